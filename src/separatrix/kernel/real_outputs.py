"""Certificate kinds `real-outputs` and `real-counterexample`: one attention layer on real vectors, with real answers.

Token j is x_j = z_j L + P_j, z_j in a box or the unit ball; the answer at query i is sum_j t_j z_j. With weights a_hj,
M_h = L W_V W_O W_R and b_hj = P_j W_V W_O W_R the error is sum_j z_j C_j + c, where
    C_j = sum_h a_hj M_h + [j = i] R - t_j I,     c = sum_hj a_hj b_hj + constants     (R = L W_R with a residual path).
Over the box, coordinate k of it is at most |sum_j center C_j + c|_k + sum_j half |C_j|_k, which is attained; over the
ball the norm is at most sum_j |C_j|_F + |c|. The greatest error is found exactly, up to rounding, where
    the scores do not depend on z: L W_Q = 0 and L W_K = 0 in every head, exactly; and
    dim = 1, or every C_j is diagonal (box), or a multiple of the identity with c = 0 (ball).
Otherwise, with the weights enclosed for all z at once, it is an upper bound, and called so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Arch, Attention, Linear
from separatrix.core.domain import RealAnswer, Reals
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.balls import Ball, exp, sum_high, sum_low, up
from separatrix.kernel.case import Case

MOST_PAIRS = 2**24  # of a query, a head and a position
LESS, MORE = 1.0 - 2.0**-48, 1.0 + 2.0**-48  # a square root and a few operations more, far above underflow


@dataclass(frozen=True, slots=True)
class Worst:
    """The greatest error over the domain lies in [at_least, at_most]; exact: the two differ by rounding only."""

    at_least: float
    at_most: float
    exact: bool
    why: str  # it is not exact

    def __str__(self) -> str:
        if self.exact:
            return f"worst error {self.at_most:.6g}, exact up to rounding (at least {self.at_least:.6g})"
        return f"worst error at most {self.at_most:.6g}, an upper bound since {self.why}"


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    case.no_arrays()
    worst, eps = worst_error(case.task, case.n, case.model(), case.tensors), answer_of(case.task).eps
    if not worst.at_most <= eps:
        raise RejectedError(f"{worst}; eps is {eps:g}")
    return f"the model answers {case.where} within eps at every position, for all real parts ({worst})"


def check_counterexample(case: Case) -> str:
    """The evidence names a corner of the box, 0 or 1 a coordinate, and a position where the error is above eps."""
    case.no_arrays()
    corner, query = case.fields(corner=list, query=int)
    reader, eps = Reader.of(case.task, case.n, case.model(), case.tensors), answer_of(case.task).eps
    if not all(type(row) is list and all(type(x) is int and 0 <= x <= 1 for x in row) for row in corner):
        raise InputError("a corner is a list of 0 and 1 for every position")
    if len(corner) != case.n or any(len(row) != reader.reals.dim for row in corner):
        raise RejectedError("the corner is not one of the domain's")
    if reader.reals.kind != "box" or query not in case.task.queries(case.n):
        raise RejectedError("the domain has no corners, or the position is not scored")
    z = np.where(np.array(corner) == 1, reader.reals.high, reader.reals.low)
    with np.errstate(all="ignore"):
        least = max(_size_low(error) for error in reader.errors(query, z))
    if not least > eps:
        raise RejectedError(f"the error on this input is only proved to be at least {least:.3g}; eps is {eps:g}")
    return f"the model errs at {case.where}: at a corner of the box, position {query}, it is off by {least:.3g} or more"


def _size_low(error: Ball) -> float:
    """Below the norm of a vector."""
    sizes = np.maximum(np.abs(error.mid) - error.rad, 0.0)
    return float(np.sqrt(max(0.0, float(sum_low(sizes**2)))) * LESS)


@np.errstate(all="ignore")  # overflow becomes an infinity, which proves nothing
def worst_error(task: Task, n: int, arch: Arch, tensors: Mapping[str, np.ndarray]) -> Worst:
    """Over all queries and all z; UnknownError for models or tasks of another kind."""
    reader = Reader.of(task, n, arch, tensors)
    low, high, why = 0.0, 0.0, "" if reader.independent else "the scores depend on the real parts"
    for query in task.queries(n):
        for at_least, at_most, plain in reader.extent(query):
            low, high = max(low, at_least), max(high, at_most) if at_most >= 0 else np.inf
            why = why or ("" if plain else "the real parts are mixed with each other")
    if not why and not high - low <= 1e-6 * max(high, answer_of(task).eps):
        why = "rounding is not negligible"
    return Worst(0.0 if why else low, high, not why, why)


def answer_of(task: Task) -> RealAnswer:
    outputs = task.outputs()
    if not isinstance(outputs, RealAnswer):
        raise RejectedError(f"task {task.name} has no real answers")
    return outputs


@dataclass(frozen=True, slots=True)
class Reader:
    """The layer taken apart. real (dim, d): L. place (J, d): positions, then the blank. asks, keys (H, d, m); keyed
    (H, J, m): the keys of the positions. mixes (H, dim, k): M_h. offsets (H, J, k): b_hj. skip (d, k) or None.
    independent: scores do not depend on z. straight: no coordinate of z reaches another one of the output.
    """

    task: Task
    n: int
    reals: Reals
    real: Ball
    place: Ball
    asks: list[Ball]
    keys: list[Ball]
    keyed: list[Ball]
    mixes: list[Ball]
    offsets: list[Ball]
    skip: Ball | None
    bias: Ball
    scale: float
    causal: bool
    independent: bool
    straight: bool

    @classmethod
    def of(cls, task: Task, n: int, arch: Arch, tensors: Mapping[str, np.ndarray]) -> Reader:
        """From the weights; UnknownError or RejectedError where the check is not about this model."""
        domain, outputs, layer = task.domain(n), answer_of(task), arch.layers[0]
        if len(arch.layers) != 1 or not isinstance(layer, Attention) or not isinstance(arch.first, Linear):
            raise UnknownError("this check is about one attention layer on real vectors")
        if layer.norm != "none" or layer.weights != "softmax" or layer.mask not in ("none", "causal"):
            raise UnknownError("this check needs softmax attention without a norm")
        if domain.reals is None or domain.reals.kind not in ("ball", "box"):
            raise UnknownError("this check is about real parts in a ball or in a box")
        if domain.lengths or arch.first.reals != domain.reals.dim:
            raise RejectedError("the model's real parts are not the task's")
        if arch.readout.decision != "reals" or arch.readout.outputs != outputs.dim or outputs.dim != domain.reals.dim:
            raise RejectedError(f"the model's read-out is not of {outputs.dim} real numbers")
        if arch.first.positions != domain.positions or n != domain.positions:
            raise RejectedError(f"the model has {arch.first.positions} positions, the task {domain.positions}")
        if len(task.queries(n)) * layer.heads * domain.positions > MOST_PAIRS:
            raise UnknownError(f"more than {MOST_PAIRS} weights to enclose")
        readout, real = Ball.exact(tensors["readout.weight"]), Ball.exact(tensors["embed.linear"])
        if not all(np.isfinite(Ball.exact(tensor).rad).all() for tensor in tensors.values()):
            raise UnknownError("a stored integer is longer than a float64 significand")
        place = tensors["embed.position"].astype(np.float64)
        if arch.blank:
            place = np.concatenate([place, tensors["embed.blank"][None].astype(np.float64)])
        parts = {name: tensors[f"layers.0.{name}"] for name in ("query", "key", "value", "output")}
        asks, keys = ([Ball.exact(w) for w in parts[name]] for name in ("query", "key"))
        pairs = zip(parts["value"], parts["output"], strict=True)
        logits = [Ball.exact(v) @ (Ball.exact(o) @ readout) for v, o in pairs]
        mixes, skip = [real @ w for w in logits], readout if layer.residual else None
        through = [*mixes, *([] if skip is None else [real @ skip])]
        apart = ~np.eye(outputs.dim, dtype=bool)
        return cls(
            task=task,
            n=n,
            reals=domain.reals,
            real=real,
            place=Ball.exact(place),
            asks=asks,
            keys=keys,
            keyed=[Ball.exact(place) @ w for w in keys],
            mixes=mixes,
            offsets=[Ball.exact(place) @ w for w in logits],
            skip=skip,
            bias=Ball.exact(tensors["readout.bias"]),
            scale=layer.scale,
            causal=layer.mask == "causal",
            straight=all(bool(mix.is_zero()[apart].all()) for mix in through),
            independent=all((real @ w).is_zero().all() for w in (*asks, *keys)),
        )

    def weights(self, head: int, query: int, z: np.ndarray | None) -> Ball:
        """(J,) the softmax weights of a query, for these z (N, dim) or for all."""
        own = self.place[[query]]
        ask, key = own @ self.asks[head], self.keyed[head]
        if z is not None:
            more = Ball.exact(np.concatenate([z, np.zeros((len(self.place.mid) - self.n, z.shape[1]))]))
            ask, key = ask + (more[[query]] @ self.real) @ self.asks[head], key + (more @ self.real) @ self.keys[head]
        elif not self.independent:
            size = max(abs(self.reals.low), abs(self.reals.high)) if self.reals.kind == "box" else 1.0
            ask = Ball(ask.mid, up(ask.rad + size * _column_sums(self.real @ self.asks[head])))
            moved = np.where(np.arange(len(key.mid)) < self.n, size, 0.0)[:, None]
            key = Ball(key.mid, up(key.rad + moved * _column_sums(self.real @ self.keys[head])))
        score = (ask @ Ball(key.mid.T, key.rad.T))[0] * Ball.exact(np.float64(self.scale))
        seen = np.ones(len(score.mid), dtype=bool)
        if self.causal:
            seen = np.arange(len(score.mid)) <= query  # the blank comes last
        low, high = _exponentials(score, float(score.mid[seen].max()))
        low, high = np.where(seen, low, 0.0), np.where(seen, high, 0.0)
        rest_low, rest_high = _others(low, sum_low), _others(high, sum_high)
        least = np.maximum(low / (low + rest_high) * LESS, 0.0)
        most = np.minimum(high / np.maximum(high + rest_low, 0.0) * MORE, 1.0)
        most = np.where(seen, np.where(np.isfinite(most), most, 1.0), 0.0)
        least = np.where(np.isfinite(least), np.minimum(least, most), 0.0)
        mid = (least + most) / 2
        return Ball(mid, np.where(seen, up(np.maximum(most - mid, mid - least)), 0.0))

    def parts(self, query: int, z: np.ndarray | None) -> tuple[Ball, Ball]:
        """(N, dim, k) the matrices sum_h a_hj M_h, with R at the query; and (k,) what z does not multiply."""
        total, constant = Ball.exact(np.zeros((self.n, *self.mixes[0].mid.shape))), self.bias
        for head, (mix, offset) in enumerate(zip(self.mixes, self.offsets, strict=True)):
            a = self.weights(head, query, z)
            share = Ball(a.mid[: self.n, None, None], a.rad[: self.n, None, None])
            total = total + share * Ball(mix.mid[None], mix.rad[None])
            constant = constant + (Ball(a.mid[None], a.rad[None]) @ offset)[0]
        if self.skip is not None:
            at = (np.arange(self.n) == query)[:, None, None].astype(np.float64)
            own = self.real @ self.skip
            total = total + Ball(at * own.mid, at * own.rad)
            constant = constant + (self.place[[query]] @ self.skip)[0]
        return total, constant

    def _wanted(self, query: int) -> list[Ball]:
        """t_j I of every cell."""
        found = []
        for group in self.task.cells(self.n, query) or ():
            t = group.coefficients
            if group.query != query or t is None or t.shape != (self.n,) or not np.isfinite(t).all():
                raise RejectedError("a cell of this task has no coefficients")
            found.append(Ball.exact(t[:, None, None] * np.eye(self.reals.dim)))
        if not found:
            raise RejectedError(f"the task has no cells at position {query}")
        return found

    def errors(self, query: int, z: np.ndarray) -> list[Ball]:
        """(k,) the error on one input, for every cell of the query (they differ by their answer)."""
        total, constant = self.parts(query, z)
        flat = Ball.exact(z.reshape(1, -1))
        found = [(flat @ _flat(total - wanted))[0] + constant for wanted in self._wanted(query)]
        if len(found) != 1:
            raise UnknownError("which cell an input lies in is told for tasks of one cell a query only")
        return found

    def extent(self, query: int) -> list[tuple[float, float, bool]]:
        """For every cell: floats below (if the scores are independent of z) and above the greatest error, and whether
        the two meet.
        """
        total, constant = self.parts(query, None)
        dim, rows = self.reals.dim, []
        for wanted in self._wanted(query):
            c = total - wanted
            sizes = np.abs(c.mid)
            if self.reals.kind == "box":
                low, high = np.float64(self.reals.low), np.float64(self.reals.high)
                center, half = Ball.exact(low / 2) + Ball.exact(high / 2), Ball.exact(high / 2) - Ball.exact(low / 2)
                ones = Ball(np.full((1, self.n * dim), center.mid), np.full((1, self.n * dim), center.rad))
                middle = (ones @ _flat(c))[0] + constant
                spread = sum_high((sizes + c.rad).reshape(-1, dim)) * half.high * MORE
                least = sum_low(np.maximum(sizes - c.rad, 0.0).reshape(-1, dim)) * half.low * LESS
                most = (np.abs(middle.mid) + middle.rad + spread) * MORE
                under = np.maximum(np.abs(middle.mid) - middle.rad, 0.0) * LESS + np.maximum(least, 0.0)
                below = np.sqrt(max(0.0, float(sum_low(under**2)))) * LESS
                rows.append((float(below), float(np.sqrt(sum_high(most**2)) * MORE), self.straight))
                continue
            norms = np.sqrt(sum_high(((sizes + c.rad) ** 2).reshape(self.n, -1), axis=1)) * MORE
            if self.straight:  # |c_j| at least, reached by z_j along one coordinate
                norms = (sizes + c.rad).max(axis=(1, 2)) * MORE
            rest = np.sqrt(sum_high((np.abs(constant.mid) + constant.rad) ** 2)) * MORE
            along = np.maximum(np.diagonal(sizes - c.rad, axis1=1, axis2=2), 0.0).min(axis=1)
            same = bool((np.ptp(np.diagonal(c.mid, axis1=1, axis2=2), axis=1) == 0).all())
            plain = dim == 1 or (self.straight and same)
            below = float(sum_low(along)) * LESS
            above = float(sum_high(norms)) * MORE + float(rest)
            rows.append((below, above, plain and float(rest) <= 1e-9 * above))
        return rows


def _flat(c: Ball) -> Ball:
    """(N dim, k) from (N, dim, k)."""
    return Ball(c.mid.reshape(-1, c.mid.shape[2]), c.rad.reshape(-1, c.rad.shape[2]))


def _column_sums(c: Ball) -> np.ndarray:
    """Above the absolute column sums."""
    return sum_high(np.abs(c.mid) + c.rad)


def _exponentials(score: Ball, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of e^(score - shift) by the ends of the scores, which may be far apart."""
    ends = (Ball.exact(end) - Ball.exact(np.float64(shift)) for end in (score.low, score.high))
    low, high = (exp(end) for end in ends)
    return np.maximum(np.where(np.isfinite(low.rad), low.low, 0.0), 0.0), high.high


def _others(values: np.ndarray, total: Callable[..., np.ndarray]) -> np.ndarray:
    """(J,) sums of all entries but one, rounded by `total`, which is `sum_low` or `sum_high`."""
    count = len(values)
    if count <= 32:
        return total(np.where(np.eye(count, dtype=bool), 0.0, values[None]), axis=1)
    return np.nextafter(total(values) - values, -np.inf if total is sum_low else np.inf)
