"""Certificate kind `senders`: sparse propagation within eps for all sets of receivers and every z in the unit ball.

Let the stream be (z ; key u_i ; query w_S). Where W_Q reads the key block only and W_K the query block only, position i
scores sender j by s(i, S_j), whatever else stands anywhere, and the start token, the model's blank, by b(i). Where
W_V W_O W_R = c I + E on the z block and 0 on the others, the answer at i is c sum_j a_j z_j, up to |E| and the norm of
the blank's value.
All C(N, q) sets are scored. At position i let l <= s <= h for the sets that hold i, and s <= o for the others. With k
senders, rho = R / (R + k e^l), R = (N - k) e^o + e^b, is above the weight of all the rest, of which the tokens have at
most sigma = (N - k) e^o / (R + k e^l), and the error is at most
    max(c e^(h - l) - 1, 1 - c (1 - rho) e^(l - h)) + c sigma,
since a sender weighs between (1 - rho) e^(l - h) / k and e^(h - l) / k; for k = 0 it is at most c sigma. Sets are
independent of each other, so k takes every value from 0 to N, and nothing else about who sends matters.
Source of the construction: Sanford, Hsu, Telgarsky 2024, appendix B (sparse propagation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from separatrix.core.arch import PointerSet
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.balls import Ball, exp, sum_high, up
from separatrix.kernel.case import Case
from separatrix.kernel.pointer_map import queries, query_width
from separatrix.kernel.pointer_model import floats, parts, through
from separatrix.tasks.sparse_propagation import SparsePropagation

MOST_SETS, MOST_SCORES = 2**22, 2**31
BLOCK = 2**18  # entries of a block of scores
SLACK = 2.0**-40  # above the rounding of the last few sums of numbers between 0 and 4
MOST_SHARE = 2.0


@dataclass(frozen=True, slots=True)
class SenderModel:
    """The parts of a model that `of` found to have the structure above.

    ask (N, m): u_i W_Q. key (query_width, m): what W_K does to a query block. start (N,): b(i), the scale included.
    sharpness: temperature times scale. share: c. leak: above |E| + |blank's value|.
    """

    task: SparsePropagation
    n: int
    first: PointerSet
    tensors: Mapping[str, np.ndarray]
    ask: Ball
    key: np.ndarray
    start: Ball
    sharpness: Ball
    share: float
    leak: float

    @classmethod
    def of(cls, case: Case) -> SenderModel:
        """Takes the model apart; UnknownError where it is built otherwise, RejectedError where it misfits the task."""
        task = propagation(case)
        arch, first, layer = parts(case)
        if layer.heads != 1 or not arch.blank or first.keys != "stored":
            raise UnknownError("this check needs one head, stored keys and a start token")
        z, query = slice(0, task.dim), slice(-query_width(first), None)
        key = slice(task.dim, task.dim + first.key_width)
        t = floats(case.tensors)
        if t["readout.bias"].any():
            raise UnknownError("the read-out has a bias")
        w_q, w_k, w_v, w_o = (t[f"layers.0.{name}"][0] for name in ("query", "key", "value", "output"))
        if w_q[z].any() or w_q[query].any() or w_k[z].any() or w_k[key].any():
            raise UnknownError("scores depend on more than the position that asks and the sets of those who send")
        out = Ball.exact(w_v) @ (Ball.exact(w_o) @ Ball.exact(t["readout.weight"]))
        if not out[task.dim :].is_zero().all():
            raise UnknownError("keys or queries reach the output")
        share = float(out.mid[0, 0])
        if not 0.0 <= share <= MOST_SHARE:
            raise UnknownError(f"the head carries z with a factor below 0 or above {MOST_SHARE:g}")
        rest = out[z] - Ball.exact(share * np.eye(task.dim))
        blank = Ball.exact(t["embed.blank"][None])
        scale = Ball.exact(np.float64(layer.scale))
        ask = through(Ball.exact(t["embed.keys"]), w_q[key])
        own = blank @ Ball.exact(w_k)
        start = (ask @ Ball(own.mid.T, own.rad.T))[:, 0] * scale
        leak = _norm(rest) + _norm(blank @ out)
        sharpness = Ball.exact(t["embed.temperature"]) * scale
        return cls(
            task, case.n, first, case.tensors, ask, w_k[query], start, sharpness, share, float(up(np.asarray(leak)))
        )

    def extremes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N,) each: l, h and o of every position; o is -inf where every set holds the position."""
        count = math.comb(self.n, self.task.q)
        if count > MOST_SETS or count * self.n > MOST_SCORES:
            raise UnknownError(f"there are {count} sets of {self.n} receivers; at most {MOST_SETS} are scored")
        least, most, off = (np.full(self.n, end) for end in (np.inf, -np.inf, -np.inf))
        sets = combinations(range(self.n), self.task.q)
        while block := list(islice(sets, max(1, BLOCK // self.n))):
            rows = np.array(block)
            asked = through(queries(self.first, self.tensors, rows), self.key)
            scores = asked @ Ball(self.ask.mid.T, self.ask.rad.T) * self.sharpness
            inside = np.zeros(scores.mid.shape, dtype=bool)
            np.put_along_axis(inside, rows, True, axis=1)
            low, high = scores.low, scores.high
            if not (np.isfinite(low).all() and np.isfinite(high).all()):
                raise RejectedError("a score is not finite")
            least = np.minimum(least, np.where(inside, low, np.inf).min(axis=0))
            most = np.maximum(most, np.where(inside, high, -np.inf).max(axis=0))
            off = np.maximum(off, np.where(inside, -np.inf, high).max(axis=0))
        return least, most, off


def propagation(case: Case) -> SparsePropagation:
    """The task, if this kind is about it."""
    if not isinstance(case.task, SparsePropagation):
        raise RejectedError(f"senders certificates are about sparse-propagation, not {case.task.name}")
    case.task.domain(case.n)
    return case.task


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    case.no_arrays()
    propagation(case)
    with np.errstate(all="ignore"):  # overflow becomes an infinity, which proves nothing
        error = worst_error(SenderModel.of(case))
    if not error <= case.task.outputs().eps:  # pyright: ignore[reportAttributeAccessIssue]
        raise RejectedError(f"the error may reach {error:.3g}; eps is {propagation(case).eps:g}")
    return said(case, error)


def said(case: Case, error: float, engine: str = "") -> str:
    """The sentence of an accepted certificate."""
    sets = math.comb(case.n, propagation(case).q)
    return (
        f"the model answers {case.where} right at every token, for all sets of receivers ({sets} sets scored, worst "
        f"error at most {error:.3g}{engine}) and all z in the ball"
    )


def worst_error(model: SenderModel) -> float:
    """Above the error at any position, for any sets and any z; NaN or infinity where the scores do not tell."""
    n, c = model.n, model.share
    least, most, off = model.extremes()
    top = np.maximum(most, model.start.high)
    on_low, on_high = _exp(least, top).low, _exp(most, top).high
    others = np.where(off == -np.inf, 0.0, _exp(np.where(off == -np.inf, least, off), top).high)
    start = exp(model.start - Ball.exact(top))
    on_low, start_low = np.maximum(on_low, 0.0), np.maximum(start.low, 0.0)
    senders = np.arange(1, n + 1)[:, None]  # k, for every position
    tokens = (n - senders) * others
    rho = (tokens + start.high) / (tokens + start.high + senders * on_low)
    sigma = tokens / (tokens + start_low + senders * on_low)
    spread = on_high / on_low
    missed = np.maximum(np.maximum(c * spread - 1.0, 1.0 - c * (1.0 - rho) / spread), 0.0) + c * sigma
    nobody = c * n * others / (n * others + start_low)
    if not (np.isfinite(missed).all() and np.isfinite(nobody).all()):
        return math.inf
    return float(max(missed.max(), nobody.max())) * (1.0 + SLACK) + SLACK + model.leak


def _exp(score: np.ndarray, top: np.ndarray) -> Ball:
    return exp(Ball.exact(score) - Ball.exact(top))


def _norm(entries: Ball) -> float:
    """Above the root of the sum of squares, hence above the operator norm."""
    squares = up((np.abs(entries.mid) + entries.rad) ** 2)
    return float(up(np.sqrt(sum_high(squares.reshape(-1)))))
