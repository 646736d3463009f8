"""Certificate kind `stored`: a linear recurrence whose rounded numbers each remember one position of the input.

The first layer is diagonal with real factors, so every number of its state goes its own way: rounded(a s + drive). The
kernel follows each number through time and shows that it is a function of the symbol at one position, or constant:
either the current symbol makes no difference to what it becomes, or what it was makes none. Any other number is a
reason to give up. What the layer hands on is then a sum of ReLUs of known numbers on every cell of a task, enclosed by
intervals. With one layer these cells are the task's, and the read-out must answer right; a second layer with few
states is an automaton over the labels of an inner task (see `stored_flags`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from separatrix.core.arch import Readout
from separatrix.core.domain import CellGroup, Labels, PointerSets, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.recurrent import DiagonalSsm, FixedPoint, Recurrent
from separatrix.kernel.balls import Ball, sum_high, sum_low, times_low
from separatrix.kernel.case import Case
from separatrix.kernel.needs import inside

MOST_BITS = 4  # of one number
MOST_ENTRIES = 2**26  # numbers of the state times tokens


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    (name,) = case.fields(factor=str)
    case.no_arrays()
    arch = case.recurrent()
    if arch is None:
        raise UnknownError("the stored check decides recurrent models")
    if not all(np.isfinite(Ball.exact(tensor).rad).all() for tensor in case.tensors.values()):
        raise UnknownError("a stored integer is longer than a float64 significand")
    with np.errstate(all="ignore"):  # overflow becomes an infinity, which proves nothing
        if name:
            from separatrix.kernel import stored_flags

            return stored_flags.check(case, arch, name)
        return _check(case, arch)


def _check(case: Case, arch: Recurrent) -> str:
    task, n, outputs = case.task, case.n, case.task.outputs()
    if len(arch.layers) != 1:
        raise UnknownError("without a factor, the stored check is for one layer")
    store = Store.of(arch, case.tensors, task.domain(n))
    if not isinstance(outputs, Labels) or arch.readout != Readout(outputs.k):
        raise RejectedError("the model's read-out does not fit the task")
    weight, bias = Ball.exact(case.tensors["readout.weight"]), Ball.exact(case.tensors["readout.bias"])
    cells = 0
    for query in sorted(task.queries(n)):
        while store.time <= query:
            store.advance()
        groups = task.cells(n, query)
        if groups is None:
            raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
        count = 0
        for group in groups:
            if group.query != query or group.labels is None:
                raise RejectedError("a cell of this task is not a cell of this query, or has no label")
            active, low, high = store.outputs(group)
            for label in np.unique(group.labels).tolist():
                rows, rivals = group.labels == label, np.delete(np.arange(outputs.k), label)
                gain = (weight[active][:, [label] * len(rivals)] - weight[active][:, rivals]).low  # (active, rivals)
                parts = times_low(low[rows][:, :, None], high[rows][:, :, None], gain[None])
                constant = (bias[[label] * len(rivals)] - bias[rivals]).low
                constant = np.broadcast_to(constant, (len(parts), 1, len(rivals)))
                if not (sum_low(np.concatenate([parts, constant], axis=1), axis=1) > 0).all():
                    raise RejectedError(f"position {query}, token {group.token}: a cell is not proved right")
            cells, count = cells + len(group), count + len(group)
            case.progress(f"{cells:,} cells")
        if not count:
            raise RejectedError(f"task {task.name} has no cells at position {query}, of which nothing is proved")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    return f"the model answers {case.where} right on every input ({cells} cells, {store.sentence()})"


@dataclass(slots=True)
class Store:
    """The first layer's state after some positions, as a function of the input.

    Attributes:
        time: positions read so far. domain: what they may hold.
        source (K,): the position that number k depends on, -1 for none. value (K, V): its step of the grid when that
            position holds each token (meaningless for tokens that it cannot hold; equal in all columns for none).
        held (K, U): which steps of the grid it may be at.
        factor, drive (V, K), place (T, K): what a step does. grid (U,): the numbers that a state can be.
        reads (H, m), weights (H, m): the numbers that output h adds up, and with which weights, padded with zeros.
        skip (V, H), place_skip (T, H): what else it adds, bias included.
    """

    domain: Sequence
    state: FixedPoint
    source: np.ndarray
    value: np.ndarray
    held: np.ndarray
    factor: Ball
    drive: Ball
    place: Ball
    grid: np.ndarray
    reads: np.ndarray
    weights: np.ndarray
    skip: Ball
    place_skip: Ball
    time: int = 0
    extremes: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    known: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(cls, arch: Recurrent, tensors: Mapping[str, np.ndarray], domain: Sequence) -> Store:
        """Before the first position; UnknownError for another architecture, RejectedError where it does not fit."""
        layer, state = arch.layers[0], arch.state
        if not isinstance(layer, DiagonalSsm) or not isinstance(state, FixedPoint):
            raise UnknownError("the stored check needs a diagonal first layer and a state in fixed point")
        if state.bits > MOST_BITS:
            raise UnknownError(f"the stored check handles numbers of up to {MOST_BITS} bits")
        if domain.constraint.kind != "product" or domain.reals is not None or domain.lengths:
            raise UnknownError("the stored check needs a product domain of symbols and one length")
        if any(isinstance(a, PointerSets) for a in domain.alphabets):
            raise UnknownError("the stored check needs one symbol a token")
        if arch.first.vocabulary != domain.vocabulary or arch.first.positions not in (0, domain.positions):
            raise RejectedError("the model's tables do not fit the task")
        count, width = 2 * layer.units, arch.width
        if max(count, layer.hidden) * max(domain.vocabulary, domain.positions) > MOST_ENTRIES:
            raise UnknownError(f"{count} numbers and {domain.vocabulary} tokens are too many to follow")
        t = {name: Ball.exact(tensor) for name, tensor in tensors.items() if name.startswith(("embed.", "layers.0."))}
        if t["layers.0.diagonal"].mid[1].any():
            raise UnknownError("the stored check needs real factors")
        place = t.get("embed.position", Ball.exact(np.zeros((domain.positions, width))))
        used = tensors["layers.0.out"] != 0
        most = max(1, int(used.sum(axis=0).max()))
        if most * layer.hidden > MOST_ENTRIES:
            raise UnknownError("the outputs read too many numbers of the state")
        reads = np.argsort(~used, axis=0, kind="stable")[:most].T
        unit, top = 2.0**-state.fraction, 1 << (state.bits - 1)
        start = np.clip(np.rint(tensors["layers.0.start"].astype(np.float64) / unit), -top, top - 1) + top
        factors = t["layers.0.diagonal"][0]
        return cls(
            domain=domain,
            state=state,
            source=np.full(count, -1),
            value=np.repeat(start.astype(np.int8)[:, None], domain.vocabulary, axis=1),
            held=start[:, None] == np.arange(2 * top)[None],
            factor=Ball.exact(np.tile(factors.mid, 2)),
            drive=t["embed.token"] @ t["layers.0.in"],
            place=place @ t["layers.0.in"] + t["layers.0.bias"][None],
            grid=(np.arange(2 * top) - top) * unit,
            reads=reads,
            weights=np.take_along_axis(tensors["layers.0.out"].astype(np.float64), reads.T, axis=0).T,
            skip=t["embed.token"] @ t["layers.0.skip"],
            place_skip=place @ t["layers.0.skip"] + t["layers.0.out_bias"][None],
        )

    def sentence(self) -> str:
        """What was followed, in words."""
        bits = f"{self.state.bits} bit" + "s" * (self.state.bits > 1)
        return f"{len(self.source)} numbers of {bits} followed one by one"

    def advance(self) -> None:
        """One position; UnknownError where a number would depend on two positions, or a rounding is not decided."""
        alphabet, here = self._alphabet(self.time), self.place[[self.time]]
        low, high = self._extremes(alphabet)
        held = self.held
        own = self.factor[:, None] * Ball.exact(self.grid)[None]  # (K, U)
        base = own + Ball(here.mid.T, here.rad.T)
        least = self._steps(np.nextafter(base.low + low[:, None], -np.inf))
        most = self._steps(np.nextafter(base.high + high[:, None], np.inf))
        same = ((least == most) | ~held).all(axis=1)
        moved = same & ((least != np.arange(len(self.grid))) & held).any(axis=1)
        if moved.any():
            self.value[moved] = np.take_along_axis(least[moved], self.value[moved].astype(np.int64), axis=1)
            for k in np.flatnonzero(moved).tolist():
                self._hold(k)
        for k in np.flatnonzero(~same).tolist():
            total = base[k][:, None] + self.drive[alphabet, k][None]  # (U, symbols)
            below, above = self._steps(total.low), self._steps(total.high)
            rows = held[k]
            if (below != above)[rows].any():
                raise UnknownError(f"position {self.time}: the rounding of number {k} of the state is not decided")
            if (below[rows] != below[rows][0]).any():
                raise UnknownError(f"position {self.time}: number {k} of the state would depend on two positions")
            self.value[k] = below[rows][0][0]
            self.value[k, alphabet] = below[rows][0]
            self.source[k] = self.time
            self._hold(k)
        self.time += 1
        self.known = None

    def outputs(self, group: CellGroup) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The outputs that may be positive on a group at the last position read, and (cells, active) their ranges."""
        query, token = group.query, group.token
        if query != self.time - 1 or not isinstance(token, int) or group.constraint.kind != "product":
            raise UnknownError("the stored check needs product cells, at the position that was read last")
        if (group.positions == query).any() or (group.positions < 0).any() or (group.positions >= self.time).any():
            raise RejectedError("a cell of this task forces its own query, or a position that is not read yet")
        vocabulary = self.value.shape[1]
        if group.symbols.size and not 0 <= group.symbols.min() <= group.symbols.max() < vocabulary > token >= 0:
            raise RejectedError("a cell of this task holds a symbol that its domain does not have")
        places, held = group.positions.reshape(-1), group.symbols.reshape(-1)  # outputs are dropped by the background
        if group.background is not None and not inside(group.background, places, held).all():
            raise UnknownError("a cell of this task forces a symbol that its background does not have")
        base_low, base_high = self._range(group)
        offset = self.skip[token] + self.place_skip[query]
        _, high = self._add(base_low[self.reads], base_high[self.reads], self.weights, offset)
        active = np.flatnonzero(~(high <= 0))
        reads, weights, offset = self.reads[active], self.weights[active], offset[active]
        at_low = np.tile(base_low[reads], (len(group), 1, 1))
        at_high = np.tile(base_high[reads], (len(group), 1, 1))
        for f in range(group.positions.shape[1]):
            known = self.grid[self.value[reads[None], group.symbols[:, f, None, None]]]
            forced = self.source[reads][None] == group.positions[:, f, None, None]
            at_low, at_high = np.where(forced, known, at_low), np.where(forced, known, at_high)
        low, high = self._add(at_low, at_high, weights, offset)
        return active, np.maximum(low, 0.0), np.maximum(high, 0.0)

    def _range(self, group: CellGroup) -> tuple[np.ndarray, np.ndarray]:
        """(K,) least and greatest number of the state on all cells of a group, forced positions aside."""
        if group.background is not None or self.known is None:
            where = group.background or self.domain.alphabets
            low, high = self.grid[self.value[:, 0]], self.grid[self.value[:, 0]]
            for j in np.unique(self.source[self.source >= 0]):
                mine = np.flatnonzero(self.source == j)
                numbers = self.grid[self.value[np.ix_(mine, np.asarray(where[j]))]]
                low[mine], high[mine] = numbers.min(axis=1), numbers.max(axis=1)
            if group.background is not None:
                return self._own(group, low, high)
            self.known = low, high
        return self._own(group, *self.known)

    def _own(self, group: CellGroup, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same, for numbers that depend on the query's own token."""
        mine = self.source == group.query
        known = self.grid[self.value[:, group.token]]
        return np.where(mine, known, low), np.where(mine, known, high)

    def _add(
        self, low: np.ndarray, high: np.ndarray, weights: np.ndarray, offset: Ball
    ) -> tuple[np.ndarray, np.ndarray]:
        """(.., H) floats below and above the sums over the last axis of weights times [low, high], plus the offset."""
        down = np.where(weights >= 0, low, high) * weights
        up = np.where(weights >= 0, high, low) * weights
        parts = [np.nextafter(down, -np.inf), np.broadcast_to(offset.low, down.shape[:-1])[..., None]]
        others = [np.nextafter(up, np.inf), np.broadcast_to(offset.high, up.shape[:-1])[..., None]]
        return sum_low(np.concatenate(parts, axis=-1), axis=-1), sum_high(np.concatenate(others, axis=-1), axis=-1)

    def _alphabet(self, position: int) -> np.ndarray:
        if position >= self.domain.positions:
            raise InputError("the task scores a position that its inputs do not have")
        return np.asarray(self.domain.alphabets[position])

    def _extremes(self, alphabet: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(K,) least and greatest drive of these symbols."""
        if id(alphabet) not in self.extremes:
            self.extremes[id(alphabet)] = self.drive.low[alphabet].min(axis=0), self.drive.high[alphabet].max(axis=0)
        return self.extremes[id(alphabet)]

    def _hold(self, k: int) -> None:
        """Notes which steps of the grid number k may be at."""
        j = int(self.source[k])
        self.held[k] = False
        self.held[k, self.value[k, self._alphabet(j)] if j >= 0 else self.value[k, :1]] = True

    def _steps(self, values: np.ndarray) -> np.ndarray:
        """The step of the grid that each float is rounded to; scaling by a power of two is exact."""
        top = len(self.grid) // 2
        steps = np.clip(np.rint(values * 2.0**self.state.fraction), -top, top - 1)
        if np.isnan(steps).any():
            raise UnknownError("a number of the state overflows")
        return steps.astype(np.int64) + top
