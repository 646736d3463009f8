"""Kinds `real-outputs` and `real-counterexample` in Arb: the algebra of `real_outputs`, with none of its rounding.

With weights a_hj, M_h = L W_V W_O W_R and b_hj = P_j W_V W_O W_R the error at query i is sum_j z_j C_j + c, where
C_j = sum_h a_hj M_h + [j = i] R - t_j I and c = sum_hj a_hj b_hj + constants. Where scores depend on z the weights are
enclosed for all z at once: z is then a ball.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.arch import Attention
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs, at_some_precision, decide
from separatrix.kernel.arb_nets import number
from separatrix.kernel.case import Case
from separatrix.kernel.real_outputs import Reader, answer_of


def check_real_outputs(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    case.no_arrays()
    worst = at_some_precision(lambda: _worst(case))
    return (
        f"the model answers {case.where} within eps at every position, for all real parts "
        f"(worst error at most {float(worst.mid()):.6g}, arb)"
    )


def check_real_counterexample(case: Case) -> str:
    """The evidence names a corner of the box, 0 or 1 a coordinate, and a position where the error is above eps."""
    case.no_arrays()
    corner, query = case.fields(corner=list, query=int)
    layer, reals = Reals.of(case), case.task.domain(case.n).reals
    assert reals is not None
    if not all(type(row) is list and all(type(x) is int and 0 <= x <= 1 for x in row) for row in corner):
        raise InputError("a corner is a list of 0 and 1 for every position")
    if len(corner) != case.n or any(len(row) != reals.dim for row in corner):
        raise RejectedError("the corner is not one of the domain's")
    if reals.kind != "box" or query not in case.task.queries(case.n):
        raise RejectedError("the domain has no corners, or the position is not scored")
    z = np.where(np.array(corner) == 1, reals.high, reals.low)
    wanted, eps = layer.wanted(query), answer_of(case.task).eps
    if len(wanted) != 1:
        raise UnknownError("which cell an input lies in is told for tasks of one cell a query only")

    def least() -> Any:
        here = Reals.of(case)
        total, constant = here.parts(query, ab.arbs(z))
        error = constant + sum(
            (ab.dot(ab.arbs(row), c) for row, c in zip(z, total - here.wanted(query)[0], strict=True)),
            ab.zeros(len(constant)),
        )
        size = ab.total(error * error)
        at = f"the error on this input is only proved to be at least {float(size.lower().mid()) ** 0.5:.3g}"
        if not decide(size > number(eps) ** 2, size <= number(eps) ** 2, at):
            raise RejectedError(f"{at}; eps is {eps:g}")
        return size.lower()

    off = float(at_some_precision(least).mid()) ** 0.5
    return f"the model errs at {case.where}: at a corner of the box, position {query}, it is off by {off:.3g} (arb)"


def _worst(case: Case) -> Any:
    """An upper bound of the error at any query, at most eps; RejectedError or Undecided where it is not."""
    layer, eps = Reals.of(case), number(answer_of(case.task).eps)
    reals = case.task.domain(case.n).reals
    assert reals is not None
    most = ab.zero()
    for query in case.task.queries(case.n):
        total, constant = layer.parts(query, None)
        for wanted in layer.wanted(query):
            c = total - wanted
            if reals.kind == "box":
                low, high = number(reals.low), number(reals.high)
                middle = c.sum(axis=(0, 1)) * ((low + high) / 2) + constant
                error = ab.size(middle) + ab.size(c).sum(axis=(0, 1)) * ((high - low) / 2)
                bound = ab.total(error * error).sqrt()
            else:
                norms = [ab.total((part * part).reshape(-1)).sqrt() for part in c]
                if layer.straight:  # |C_j|, reached by z_j along one coordinate
                    norms = [ab.greatest(ab.size(part).reshape(-1)) for part in c]
                bound = sum(norms, ab.zero()) + ab.total(constant * constant).sqrt()
            at = f"worst error at position {query} at most {float(bound.upper().mid()):.6g}"
            if not decide(bound <= eps, bound > eps, at):
                raise RejectedError(f"{at}; eps is {float(eps.mid()):g}")
            most = most.max(bound.upper())
        case.progress(f"position {query}, arb")
    return most


@dataclass(frozen=True, slots=True)
class Reals:
    """The layer taken apart, as in `real_outputs.Reader`, whose tests of what the kind is about hold here too."""

    case: Case
    reader: Reader
    t: dict[str, Arbs]
    place: Arbs
    mixes: list[Arbs]
    offsets: list[Arbs]

    @classmethod
    def of(cls, case: Case) -> Reals:
        """From the weights; UnknownError or RejectedError where the check is not about this model."""
        reader = Reader.of(case.task, case.n, case.model(), case.tensors)
        t = {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
        place = t["embed.position"]
        if case.model().blank:
            place = np.concatenate([place, t["embed.blank"][None]])
        pairs = zip(t["layers.0.value"], t["layers.0.output"], strict=True)
        through = [ab.dot(v, ab.dot(o, t["readout.weight"])) for v, o in pairs]
        mixes = [ab.dot(t["embed.linear"], w) for w in through]
        return cls(case, reader, t, place, mixes, [ab.dot(place, w) for w in through])

    @property
    def straight(self) -> bool:
        """Whether no coordinate of z reaches another one of the output, exactly."""
        return self.reader.straight

    def wanted(self, query: int) -> list[Arbs]:
        """(N, dim, dim) t_j I of every cell."""
        found, eye = [], np.eye(self.reader.reals.dim)
        for group in self.case.task.cells(self.case.n, query) or ():
            t = group.coefficients
            if group.query != query or t is None or t.shape != (self.case.n,) or not np.isfinite(t).all():
                raise RejectedError("a cell of this task has no coefficients")
            found.append(ab.arbs(t[:, None, None] * eye))
        if not found:
            raise RejectedError(f"the task has no cells at position {query}")
        return found

    def weights(self, head: int, query: int, z: Arbs | None) -> Arbs:
        """(J,) the softmax weights of a query, for these z (N, dim) or for all."""
        layer, n = self.case.model().layers[0], self.case.n
        assert isinstance(layer, Attention)
        reals = self.reader.reals
        if z is None and not self.reader.independent:
            ends = (reals.low, reals.high) if reals.kind == "box" else (-1.0, 1.0)
            z = np.full((n, reals.dim), number(ends[0]).union(number(ends[1])), dtype=object)
        rows = self.place
        if z is not None:
            moved = ab.dot(z, self.t["embed.linear"])
            rows = np.concatenate([rows[:n] + moved, rows[n:]])
        ask = ab.dot(rows[query], self.t["layers.0.query"][head]) if len(rows) else rows
        score = ab.dot(ab.dot(rows, self.t["layers.0.key"][head]), ask) * number(layer.scale)
        seen = np.arange(len(rows)) <= query if layer.mask == "causal" else np.ones(len(rows), dtype=bool)
        shift = max((s.mid() for s in score[seen]), key=float)
        e = ab.exp(score[seen] - shift)
        low, high = ab.larger(ab.low(e), np.full(len(e), ab.zero())), ab.high(e)
        rest_low, rest_high = _others(low), _others(high)
        found = np.full(len(rows), ab.zero(), dtype=object)
        with np.errstate(all="ignore"):
            least, most = low / (low + rest_high), high / (high + rest_low)
        unit = number(0).union(number(1))
        # e is a ball around a point far above 0 for the greatest score, so that a denominator is 0 for none but wide z
        fine = ab.finite(least) & ab.finite(most)
        found[seen] = [a.union(b) if ok else unit for a, b, ok in zip(least, most, fine, strict=True)]
        return found

    def parts(self, query: int, z: Arbs | None) -> tuple[Arbs, Arbs]:
        """(N, dim, k) the matrices sum_h a_hj M_h, with R at the query; and (k,) what z does not multiply."""
        n, dim = self.case.n, self.reader.reals.dim
        layer = self.case.model().layers[0]
        constant = self.t["readout.bias"]
        total = ab.zeros(n, dim, len(constant))
        for head, (mix, offset) in enumerate(zip(self.mixes, self.offsets, strict=True)):
            a = self.weights(head, query, z)
            total = total + a[:n, None, None] * mix
            constant = constant + ab.dot(a, offset)
        if layer.residual:
            total[query] = total[query] + ab.dot(self.t["embed.linear"], self.t["readout.weight"])
            constant = constant + ab.dot(self.place[query], self.t["readout.weight"])
        return total, constant


def _others(values: Arbs) -> Arbs:
    """(J,) sums of all entries but one."""
    before = np.concatenate([[ab.zero()], np.cumsum(values)[:-1]])
    after = np.concatenate([np.cumsum(values[::-1])[:-1][::-1], [ab.zero()]])
    return before + after
