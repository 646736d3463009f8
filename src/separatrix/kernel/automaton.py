"""Certificate kind `automaton`: a recurrent model with few reachable states answers right on every input.

The kernel walks through all inputs of every cell at once: after each position it holds the set of pairs (state of the
cell's own automaton, state of the model) that some input reaches, computed in exact rational arithmetic from the
weights. Where the cell's automaton accepts, the model's answer must be the cell's label, and ties fail. Nothing is
taken from the certificate; states that are equal are equal numbers, so the walk is exact: it fails only for a model
that errs, or has too many states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from separatrix.core.domain import CellGroup, Labels, PointerSets, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.recurrent import DiagonalSsm, Elman, Recurrent
from separatrix.kernel.case import Case
from separatrix.kernel.recurrent import Dyadic, _keep, _step

State = tuple[tuple[tuple[int, ...], int], ...]  # per layer the integers and the exponent of its Dyadic, shortened
MOST_BITS = 4096  # of one number of a state
MOST_STEPS = 2**24  # transitions that are looked up
MOST_STATES = 2**18  # pairs after one position


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    case.no_arrays()
    task, n = case.task, case.n
    arch = case.recurrent()
    if arch is None:
        raise UnknownError("the automaton check decides recurrent models")
    domain, outputs = task.domain(n), task.outputs()
    if domain.constraint.kind != "product" or domain.reals is not None or domain.lengths:
        raise UnknownError("the automaton check needs a product domain of symbols and one length")
    if any(isinstance(a, PointerSets) for a in domain.alphabets):
        raise UnknownError("the automaton check needs one symbol a token")
    if not isinstance(outputs, Labels) or outputs.k != arch.readout.outputs or arch.readout.decision != "argmax":
        raise RejectedError(f"the model's {arch.readout.outputs} outputs do not fit the task")
    if arch.first.vocabulary != domain.vocabulary:
        raise RejectedError(f"the model knows {arch.first.vocabulary} tokens, the task {domain.vocabulary}")
    walk = Walk(Net.of(arch, case.tensors), domain)
    cells = 0
    for query in task.queries(n):
        groups = task.cells(n, query)
        if groups is None:
            raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
        count = 0
        for group in groups:
            if group.query != query:
                raise RejectedError(f"the task gave cells of another query for query {query}")
            for cell in range(len(group)):
                walk.check(group, cell)
            cells, count = cells + len(group), count + len(group)
            case.progress(f"{cells:,} cells")
        if not count:
            raise RejectedError(f"task {task.name} has no cells at position {query}, of which nothing is proved")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    states = f"at most {walk.most} pairs of states at a position"
    return f"the model answers {case.where} right on every input ({cells} cells, {states}, exact arithmetic)"


@dataclass(slots=True)
class Net:
    """A model whose every number is dyadic, and the transitions that were taken so far."""

    arch: Recurrent
    table: Dyadic
    places: Dyadic | None
    t: dict[str, Dyadic]
    known: dict[tuple[State, int, int], tuple[State, Dyadic]] = field(default_factory=dict)

    @classmethod
    def of(cls, arch: Recurrent, tensors: Mapping[str, np.ndarray]) -> Net:
        """UnknownError for layers that compute anything but sums, products with stored numbers, and maxima."""
        if any(not isinstance(c, DiagonalSsm | Elman) or c == Elman(c.units, "tanh") for c in arch.layers):
            raise UnknownError("the automaton check is for ReLU recurrences")
        t = {name: Dyadic.of(tensor) for name, tensor in tensors.items()}
        return cls(arch, t.pop("embed.token"), t.pop("embed.position", None), t)

    def start(self) -> State:
        """Before the first token."""
        return tuple(_key(_keep(self.arch, self.t[f"layers.{i}.start"])) for i in range(len(self.arch.layers)))

    def step(self, state: State, token: int, position: int) -> tuple[State, Dyadic]:
        """The state after `token` at `position`, and what the read-out sees there."""
        if self.places is not None and position >= len(self.places.values):
            raise UnknownError(f"the input has more than {position} positions, the model has not")
        key = state, token, 0 if self.places is None else position
        if key not in self.known:
            x = self.table[token]
            if self.places is not None:
                x = x + self.places[position]
            new = []
            for i, (values, exponent) in enumerate(state):
                after, x = _step(self.arch, self.t, i, Dyadic(_vector(values), exponent), x)
                new.append(_key(after))
            self.known[key] = tuple(new), x
        return self.known[key]

    def logits(self, seen: Dyadic) -> list[int]:
        """Of what the read-out sees, times a power of two."""
        return (seen @ self.t["readout.weight"] + self.t["readout.bias"]).values.tolist()


def _key(state: Dyadic) -> tuple[tuple[int, ...], int]:
    short = state.short()
    values = tuple(short.values.tolist())
    if max((abs(v).bit_length() for v in values), default=0) + short.exponent > MOST_BITS:
        raise UnknownError(f"a number of the model's state takes more than {MOST_BITS} bits")
    return values, short.exponent


def _vector(values: tuple[int, ...]) -> np.ndarray:
    return np.array([*values, None], dtype=object)[:-1]


class Walk:
    """All inputs of a cell at once, position by position."""

    def __init__(self, net: Net, domain: Sequence) -> None:
        self.net, self.domain, self.steps, self.most = net, domain, 0, 1

    def check(self, group: CellGroup, cell: int) -> None:
        """RejectedError unless the model answers every input of the cell with its label."""
        if not isinstance(group.token, int) or group.labels is None:
            raise RejectedError("a cell of this task has no single symbol at its query, or no label")
        token, label, query, constraint = group.token, int(group.labels[cell]), group.query, group.constraint
        if constraint.kind not in ("product", "regular"):
            raise UnknownError("the automaton check needs cells that are products or regular")
        where = group.background or self.domain.alphabets
        forced = dict(zip(group.positions[cell].tolist(), group.symbols[cell].tolist(), strict=True))
        if query in forced or not set(forced) <= set(range(len(where))):
            raise RejectedError("a cell of this task forces its own query, or a position that is not there")
        tied: set[int] = set()
        if constraint.kind == "regular":
            try:
                tied = set(constraint.places(len(where)).tolist())
            except InputError as error:
                raise RejectedError(f"a cell of this task is malformed: {error}") from error
            if max(tied, default=-1) > query:
                raise UnknownError("a cell's automaton reads positions behind the query")
        pairs: set[tuple[int, State]] = {(0, self.net.start())}
        answers: dict[tuple[int, State], Dyadic] = {}
        for position in range(query + 1):
            last = position == query
            symbols: list[int] = np.asarray(where[position]).tolist()
            if last:
                symbols = [token]
            elif position in forced:
                symbols = [forced[position]]
            self.steps += len(pairs) * len(symbols)
            if self.steps > MOST_STEPS:
                raise UnknownError(f"the walk takes more than {MOST_STEPS} steps")
            after: set[tuple[int, State]] = set()
            for own, state in pairs:
                for symbol in symbols:
                    to = own
                    if position in tied:
                        row = constraint.transitions[own]
                        if not 0 <= symbol < len(row):
                            continue  # no word of the cell goes on like this
                        to = row[symbol]
                    new, read = self.net.step(state, symbol, position)
                    after.add((to, new))
                    if last:
                        answers[to, state] = read  # the query's token is one, so the state before it says it all
            pairs = after
            self.most = max(self.most, len(pairs))
            if len(pairs) > MOST_STATES:
                raise UnknownError(f"more than {MOST_STATES} states are reached")
        for (own, _), read in answers.items():
            if constraint.kind == "regular" and own not in constraint.accepting:
                continue
            logits = self.net.logits(read)
            if any(logits[c] >= logits[label] for c in range(len(logits)) if c != label):
                raise RejectedError(f"query position {query}, token {group.token}: an input of cell {cell} fails")
