"""Certificate kind `tuples`: one head of attention over tuples of tokens answers right on every input.

The task asks whether some tuple of positions holds a hit (`Task.tuples`, part of its definition). With weights e^S and
M what a tuple adds to logit[label] - logit[rival], constants included, the label wins iff sum e^S M > 0 over all
tuples. Where a hit occurs, one tuple is a hit and the others are anything; where none does, every tuple is one of the
others, and so are mixed tuples with the model's blank. Tuples overlap, so treating them as independent is a relaxation:
what is proved holds, what is not may still be true. Positions must not matter to the model, so that N enters as a
factor alone and the work does not grow with N.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import HigherOrder, Table
from separatrix.core.domain import Labels, PointerSets, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.balls import Ball, exp, sum_low, times_low
from separatrix.kernel.case import Case
from separatrix.kernel.forward import products

MOST_TUPLES = 2**22  # of symbols, that one table holds
MOST_WORK = 2**34  # exponentials in all


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    given = asked(case)
    with np.errstate(all="ignore"):  # overflow becomes an infinite radius, which proves nothing
        tables = Tables.of(case)
        for done, (token, hits) in enumerate(given.tokens):
            tables.check(token, hits, given.positions)
            case.progress(f"{done + 1:,} tokens")
    return f"the model answers {case.where} right on every input ({len(given.tokens)} tokens that ask, real arithmetic)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the task asks of tuples: tokens with their hits (k, slots), every pair once."""

    tokens: list[tuple[int, np.ndarray]]
    slots: int
    positions: int


def asked(case: Case) -> Asked:
    """RejectedError where the model does not fit the task, UnknownError for another task or architecture."""
    case.fields()
    case.no_arrays()
    task, n, domain = case.task, case.n, case.task.domain(case.n)
    vocabulary, arch, outputs = _vocabulary(domain), case.model(), task.outputs()
    match arch.layers:
        case (HigherOrder(heads=1) as layer,):
            pass
        case _:
            raise UnknownError("the tuples check decides models of one layer of attention over tuples, one head")
    if not isinstance(arch.first, Table) or arch.first.positions:
        raise UnknownError("the tuples check needs a token table without positions")
    if arch.first.vocabulary != vocabulary or outputs != Labels(2) or arch.readout.outputs != 2:
        raise RejectedError("the model's tokens or outputs do not fit the task")
    if arch.readout.decision != "argmax":
        raise UnknownError("the tuples check needs an argmax read-out")
    slots, rows = layer.order - 1, vocabulary + arch.blank
    if rows**slots > MOST_TUPLES or domain.positions**slots > 2**53:
        raise UnknownError(f"{rows} symbols or {domain.positions} positions have too many tuples")
    found: dict[tuple[int, bytes], np.ndarray] = {}
    for query in task.queries(n):
        groups = task.tuples(n, query)
        if groups is None:
            raise UnknownError(f"task {task.name} does not ask for tuples")
        seen = []
        for group in groups:
            seen.append(group.token)
            if group.query != query or group.hits.ndim != 2 or group.hits.shape[1] != slots:
                raise RejectedError(f"the task asks for other tuples than those of {slots} tokens")
            if group.hits.size and not 0 <= group.hits.min() <= group.hits.max() < vocabulary:
                raise RejectedError("a hit of this task holds a symbol that its domain does not have")
            found.setdefault((group.token, group.hits.tobytes()), group.hits)
            if len(found) * rows**slots > MOST_WORK:
                raise UnknownError(f"more than {MOST_WORK} exponentials are needed")
        if sorted(seen) != list(range(vocabulary)):
            raise RejectedError(f"the task does not speak of every token at query {query} once")
    if not found:
        raise RejectedError("the task scores no input at this length")
    return Asked([(token, hits) for (token, _), hits in found.items()], slots, domain.positions)


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything about the model that does not depend on the query; the blank's row, if any, is the last symbol.

    token (V, d); query (d, m); key (R^slots, m), logits (R^slots, 2): of all tuples of R = V (+ 1) rows; bias (2,);
    skip (d, 2) or None.
    """

    token: Ball
    query: Ball
    key: Ball
    logits: Ball
    bias: Ball
    skip: Ball | None
    rows: int
    slots: int

    @classmethod
    def of(cls, case: Case) -> Tables:
        """From a model that `asked` has let pass."""
        arch, t = case.model(), case.tensors
        layer = arch.layers[0]
        assert isinstance(layer, HigherOrder)
        slots, rows = layer.order - 1, len(t["embed.token"]) + arch.blank
        token = Ball.exact(t["embed.token"])
        x = token
        if arch.blank:
            x = Ball.exact(np.concatenate([t["embed.token"], t["embed.blank"][None]]))
        readout = Ball.exact(t["readout.weight"])
        key, value = (
            products([x @ Ball.exact(map_[0]) for map_ in t[f"layers.0.{name}"]]) for name in ("keys", "values")
        )
        return cls(
            token,
            Ball.exact(t["layers.0.query"][0]) * Ball.exact(np.float64(layer.scale)),
            key,
            value @ (Ball.exact(t["layers.0.output"][0]) @ readout),
            Ball.exact(t["readout.bias"]),
            readout if layer.residual else None,
            rows,
            slots,
        )

    def check(self, token: int, hits: np.ndarray, positions: int) -> None:
        """RejectedError unless both answers are proved right wherever `token` asks."""
        vocabulary, shape = len(self.token.mid), (self.rows,) * self.slots
        score = (self.key @ (self.token[[token]] @ self.query)[0][:, None])[:, 0]
        weight = exp(score - Ball.exact(np.float64(score.mid.max())))
        constant = self.bias
        if self.skip is not None:
            constant = constant + (self.token[[token]] @ self.skip)[0]
        logits = self.logits + constant[None]
        is_hit = np.zeros(shape, dtype=bool)
        is_hit[tuple(hits.T)] = True
        always = bool(is_hit[(token,) * self.slots])  # the query's own position, taken every time
        for label in (0, 1):
            margin = (logits[:, label] - logits[:, 1 - label]).low
            term = times_low(np.maximum(weight.low, 0.0), weight.high, margin).reshape(shape)
            term = np.where(term > -np.inf, term, -np.inf)  # NaN becomes -inf
            parts = []
            for blanks in itertools.product((False, True), repeat=self.slots):
                if any(blanks) and self.rows == vocabulary:
                    continue
                part = tuple(slice(vocabulary, None) if b else slice(0, vocabulary) for b in blanks)
                count = positions ** blanks.count(False)
                if any(blanks):
                    parts.append(_times(count, term[part].min()))
                elif label == 1 and len(hits):
                    parts += [term[is_hit].min(), _times(count - 1, term[part].min())]
                else:
                    parts.append(_times(count, term[part][~is_hit[part]].min(initial=np.inf)))
            possible = len(hits) > 0 if label else not always
            if possible and not sum_low(np.array(parts)) > 0:
                raise RejectedError(f"token {token} asks: the answer {label} is not proved to win")


def _vocabulary(domain: Sequence) -> int:
    """The common alphabet's size; UnknownError for domains of other kinds."""
    if domain.constraint.kind != "product" or domain.reals is not None or domain.lengths:
        raise UnknownError("the tuples check needs a product domain of symbols and one length")
    whole = np.arange(domain.vocabulary)
    distinct: Iterable[object] = {id(a): a for a in domain.alphabets}.values()
    if any(isinstance(a, PointerSets) or not np.array_equal(np.asarray(a), whole) for a in distinct):
        raise UnknownError("the tuples check needs every symbol at every position")
    return domain.vocabulary


def _times(count: int, least: float) -> float:
    """A float below count times a number that is not below `least`."""
    if not count:
        return 0.0
    exact = np.array(float(count))
    return float(times_low(exact, exact, np.array(least)))
