"""Certificate kind `pointer-counterexample`: on this legal input the model is off by more than eps.

The task is sparse averaging, or sparse propagation, whose models have a start token (the blank) behind the others.

The evidence is the input: everybody's pointers, signs s_j with z_j = s_j e_1, and the position. The whole layer is
evaluated, whatever its weights are: in balls, or for integer keys, whose scores cancel, in rationals up to the softmax.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.core.arch import PointerSet
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.balls import Ball, U, sum_low, up
from separatrix.kernel.case import Case
from separatrix.kernel.pointer_map import queries
from separatrix.kernel.pointer_model import floats, parts, pointing, through, weights
from separatrix.tasks.sparse_propagation import SparsePropagation

Rationals = list[list[Fraction]]


def check_case(case: Case) -> str:
    """Checks that the input is legal and that the error there is above eps."""
    tokens, signs, query, wanted = question(case)
    task = pointing(case)
    answer = np.zeros(task.dim)
    answer[0] = wanted.numerator / wanted.denominator
    error = _output(case, tokens, signs, query) - Ball(answer, np.abs(answer) * 2.0**-52)
    sizes = np.maximum(np.abs(error.mid) - error.rad, 0.0)  # off by relative rounding errors only
    low = float(np.sqrt(np.maximum(sum_low(sizes**2), 0.0)) * (1.0 - 2.0**-40))
    if not low > task.eps:
        raise RejectedError(f"the error on this input is only proved to be at least {low:.3g}; eps is {task.eps:g}")
    return f"the model errs at {case.where}: on a legal input, position {query}, it is off by {low:.3g} or more"


def question(case: Case) -> tuple[np.ndarray, list[int], int, Fraction]:
    """Pointers (N, q), signs, position, and the right answer along e_1; an error for an input that is not legal."""
    case.no_arrays()
    pointers, signs, query = case.fields(tokens=list, signs=list, query=int)
    task = pointing(case)
    if not all(type(row) is list and len(row) == task.q and all(type(p) is int for p in row) for row in pointers):
        raise InputError(f"tokens must be lists of {task.q} integers")
    tokens = np.array(pointers)
    if not task.domain(case.n).contains(tokens) or len(signs) != case.n:
        raise RejectedError("the input is not one of the task's")
    if not all(type(s) is int and -1 <= s <= 1 for s in signs):
        raise InputError("signs must be -1, 0 or 1")
    if query not in task.queries(case.n):
        raise RejectedError(f"position {query} is not scored by the task")
    if isinstance(task, SparsePropagation):
        heard = [sign for sign, row in zip(signs, pointers, strict=True) if query in row]
    else:
        heard = [signs[j] for j in pointers[query]]
    return tokens, signs, query, Fraction(sum(heard), max(1, len(heard)))


def _output(case: Case, tokens: np.ndarray, signs: list[int], query: int) -> Ball:
    """(dim,) what the model answers at one position."""
    arch, first, layer = parts(case)
    t = floats(case.tensors)
    if first.keys == "moment":
        if arch.blank:
            raise UnknownError("integer keys beside a blank are not evaluated")
        rational = rational_stream(first, case, tokens, signs)
        stream = _enclosed(rational)
    else:
        rational, stream = None, _stream(first, case, tokens, signs)
        if arch.blank:
            start = t["embed.blank"][None]
            stream = Ball(np.vstack([stream.mid, start]), np.vstack([stream.rad, np.zeros_like(start)]))
    total = Ball.exact(t["readout.bias"])
    for h in range(layer.heads):
        w_q, w_k, w_v, w_o = (t[f"layers.0.{name}"][h] for name in ("query", "key", "value", "output"))
        if rational is not None:
            scores = _rational_scores(rational, w_q, w_k, query, layer.scale)
        else:
            keys = through(stream, w_k)
            scores = through(stream[[query]], w_q) @ Ball(keys.mid.T, keys.rad.T) * Ball.exact(np.float64(layer.scale))
        low, high = weights(scores)
        mid = (low + high) / 2
        attention = Ball(mid, up(np.maximum(high - mid, mid - low)))
        values = through(stream, w_v) @ (Ball.exact(w_o) @ Ball.exact(t["readout.weight"]))
        total = total + (attention @ values)[0]
    return total


def _stream(first: PointerSet, case: Case, tokens: np.ndarray, signs: list[int]) -> Ball:
    """(N, width): z, stored keys, queries times the temperature."""
    z = Ball.exact(np.eye(first.reals)[[0]] * np.array(signs)[:, None])
    keys = Ball.exact(case.tensors["embed.keys"])
    asked = queries(first, case.tensors, tokens) * Ball.exact(case.tensors["embed.temperature"])
    return Ball(np.hstack([z.mid, keys.mid, asked.mid]), np.hstack([z.rad, keys.rad, asked.rad]))


def rational_stream(first: PointerSet, case: Case, tokens: np.ndarray, signs: list[int]) -> Rationals:
    """(N, width): z, powers of the nodes, temperature times the coefficients of -prod (x - t_i)^2 from x on."""
    stored = case.tensors["embed.nodes"].tolist()
    if first.query != "moment" or first.key_width != 2 * first.pointers or any(t != int(t) for t in stored):
        raise UnknownError("integer keys need integer nodes, 2 q powers and moment-curve queries")
    nodes, temperature = [int(t) for t in stored], Fraction(float(case.tensors["embed.temperature"]))
    rows = []
    for node, sign, pointers in zip(nodes, signs, tokens, strict=True):
        square = [1]  # lowest coefficient first
        for t in (nodes[j] for j in pointers):
            factor = (t * t, -2 * t, 1)
            square = [
                sum(factor[b] * square[a - b] for b in range(3) if 0 <= a - b < len(square))
                for a in range(len(square) + 2)
            ]
        z = [Fraction(sign)] + [Fraction(0)] * (first.reals - 1)
        keys = [Fraction(node**k) for k in range(1, first.key_width + 1)]
        rows.append(z + keys + [-temperature * c for c in square[1:]])
    return rows


def _enclosed(rows: Rationals) -> Ball:
    """Rationals as balls around the nearest floats."""
    try:
        mid = np.array([[float(x) for x in row] for row in rows])
    except OverflowError:
        raise UnknownError("a power of a node is too long for float64") from None
    return Ball(mid, up(np.abs(mid) * U))


def _rational_scores(rows: Rationals, w_q: np.ndarray, w_k: np.ndarray, query: int, scale: float) -> Ball:
    """(1, N) scores less the greatest, which is exact; below -1000 they stand for everything lower."""
    asked = [_dot(rows[query], column) * Fraction(scale) for column in w_q.T]
    functional = [_dot(asked, row) for row in w_k]
    used = [i for i, value in enumerate(functional) if value]
    scores = [sum((row[i] * functional[i] for i in used), Fraction(0)) for row in rows]
    top = max(scores)
    mid = np.array([[float(max(score - top, Fraction(-1000))) for score in scores]])
    return Ball(mid, up(np.abs(mid) * U))


def _dot(left: list[Fraction], right: np.ndarray) -> Fraction:
    return sum((left[i] * Fraction(float(right[i])) for i in np.flatnonzero(right)), Fraction(0))
