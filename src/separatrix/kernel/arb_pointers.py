"""Kinds `pointer-sets` and `pointer-counterexample` in Arb: the four methods of `pointer_sets`, and whole layers.

The first map is computed from its definition: least-norm queries by solving Gram systems in balls, trigonometric ones
from cos and sin, those of integer keys in whole numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from separatrix.core.arch import Attention, PointerSet
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel import pointer_counterexample, pointer_sets
from separatrix.kernel.arb_arrays import Arbs, Undecided, at_some_precision, decide
from separatrix.kernel.arb_nets import BITS, number
from separatrix.kernel.case import Case
from separatrix.kernel.pointer_map import MOST_POINTERS, query_width
from separatrix.kernel.pointer_model import PointerModel, averaging, parts, pointing

LONG = (*BITS, 2048, 8192)  # integer keys have many digits


def check_pointer_sets(case: Case) -> str:
    """The claim in a sentence, or an error."""
    (method,) = case.fields(method=str)
    case.no_arrays()
    if method not in METHODS:
        raise InputError(f"method {method!r} is none of {', '.join(METHODS)}")
    how = at_some_precision(lambda: METHODS[method](Model.of(case)))
    said = f"for every pointer set ({how}, arb) and all z in the ball"
    return f"the model answers {case.where} right at every token, {said}"


@dataclass(frozen=True, slots=True)
class Model:
    """Heads (query and key maps of their blocks, share c_h), sharpness and leak, as in `pointer_model.PointerModel`."""

    case: Case
    known: PointerModel
    first: PointerSet
    keys: Arbs | None
    heads: list[tuple[Arbs, Arbs, Any]]
    sharpness: Any
    leak: Any

    @classmethod
    def of(cls, case: Case) -> Model:
        """From a model that the float64 engine could take apart: it says what this kind is about."""
        known = PointerModel.of(case)
        task, (_, first, layer) = averaging(case), parts(case)
        t = {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
        heads, leak = [], ab.zero()
        for h, head in enumerate(known.heads):
            through = ab.dot(t["layers.0.value"][h], ab.dot(t["layers.0.output"][h], t["readout.weight"]))
            share = number(head.share)  # any number near W_V W_O W_R will do: the rest is in the leak
            rest = through[: task.dim] - ab.arbs(np.eye(task.dim)) * share
            leak = leak + ab.total((rest * rest).reshape(-1)).sqrt()
            heads.append((ab.arbs(head.query), ab.arbs(head.key), share))
        sharpness = t["embed.temperature"] * number(layer.scale)
        return cls(case, known, first, t.get("embed.keys"), heads, sharpness, leak)

    @property
    def eps(self) -> float:
        """What the task allows."""
        return self.known.task.eps

    def within(self, error: Any, at: str) -> float:
        """The error as a float, once it is at most eps."""
        if not decide(error <= self.eps, error > self.eps, at):
            raise RejectedError(f"{at}: the error may reach {float(error.upper().mid()):.3g}; eps is {self.eps:g}")
        return float(error.upper().mid())

    def one_head(self, gap: Any) -> float:
        """|c - 1| + 2 c rho + leak, for scores before sharpness equal on the set and lower by `gap` elsewhere."""
        n, q = self.case.n, self.known.task.q
        if len(self.heads) != 1 or not self.known.heads[0].selects:
            raise UnknownError("this bound needs one head that scores <query, key> as it stands")
        if not decide(self.sharpness > 0 and gap > 0, self.sharpness <= 0 or gap <= 0, "the gap"):
            raise RejectedError("other tokens may score as much as the pointers")
        share = self.heads[0][2]
        others = (-(self.sharpness * gap)).exp() * (n - q) / q
        return self.within(abs(share - 1) + 2 * share * others + self.leak, "the bound")


def _exhaustive(model: Model) -> str:
    n, q = model.case.n, model.known.task.q
    count = math.comb(n, q)
    if count > pointer_sets.MOST_SETS or count * n > pointer_sets.MOST_SCORES:
        raise UnknownError(f"there are {count} pointer sets of {n} tokens; they are too many to be enumerated")
    if model.first.keys != "stored" or model.keys is None:
        raise UnknownError("queries of integer keys are too long for balls")
    worst = 0.0
    keyed = [ab.dot(model.keys, key) for _, key, _ in model.heads]
    for at, chosen in enumerate(combinations(range(n), q)):
        asked = query_of(model.first, model.keys, chosen)
        mass = ab.zeros(n)
        for (query, _, share), keys in zip(model.heads, keyed, strict=True):
            mass = mass + _softmax(ab.dot(keys, ab.dot(asked, query)) * model.sharpness) * share
        mass[list(chosen)] = mass[list(chosen)] - number(1) / q
        worst = max(worst, model.within(ab.total(ab.size(mass)) + model.leak, f"pointers {chosen}"))
        if at % 1024 == 1023:
            model.case.progress(f"{at + 1:,} of {count:,} sets, arb")
    return f"exhaustive: {count} sets, worst error {worst:.3g}"


def _babel(model: Model) -> str:
    if model.first.query != "least-norm" or model.first.keys != "stored" or model.keys is None:
        raise UnknownError("the Babel bound is about least-norm queries of stored keys")
    q, gram = model.known.task.q, ab.dot(model.keys, model.keys.T)
    off, delta = ab.zero(), ab.infinity()
    for i, row in enumerate(gram):
        sizes = sorted((abs(v).upper() for k, v in enumerate(row) if k != i), reverse=True)
        off = off.max(sum(sizes[:q], ab.zero()))
        delta = delta.min((row[i] - sum(sizes[: q - 1], ab.zero())).lower())
    if not decide(delta > 0, delta <= 0, "the Babel bound"):
        raise RejectedError("mu(q - 1) exceeds the norms: no Babel bound for these keys")
    gap = 1 - off / delta
    error = model.one_head(gap)
    return f"Babel: others score at most {1 - float(gap.mid()):.3g} of a pointer's, worst error at most {error:.3g}"


def _moment(model: Model) -> str:
    gap = pointer_sets.moment_gap(model.known)
    error = model.one_head(number(min(gap, 2**52)))
    return f"moment curve: others score lower by an integer, {gap} or more, worst error at most {error:.3g}"


def _slots(model: Model) -> str:
    first, n = model.first, model.case.n
    if first.query != "slots" or first.keys != "stored" or model.keys is None:
        raise UnknownError("this bound is about the keys of the pointers side by side")
    error, totals = model.leak, [ab.zero() for _ in range(first.pointers)]
    for query, key, share in model.heads:
        blocks = query.reshape(first.pointers, first.key_width, -1)
        used = [p for p, block in enumerate(blocks) if any(bool(v != 0) for v in block.reshape(-1))]
        if len(used) != 1:
            raise UnknownError("a head reads more or less than one pointer")
        keyed, asked = ab.dot(model.keys, key), ab.dot(model.keys, blocks[used[0]])
        scores = ab.dot(asked, keyed.T) * model.sharpness
        rate = ab.least(np.array([_softmax(scores[j])[j] for j in range(n)], dtype=object))
        error, totals[used[0]] = error + 2 * share * (1 - rate), totals[used[0]] + share
    error = error + sum((abs(t - number(1) / first.pointers) for t in totals), ab.zero())
    most = model.within(error, "the heads together")
    return f"{len(model.heads)} heads, one pointer each, worst error at most {most:.3g}"


METHODS = {"exhaustive": _exhaustive, "babel": _babel, "moment": _moment, "slots": _slots}


def _softmax(score: Arbs) -> Arbs:
    """(J,) of one row; the terms of the sum are few next to the precision, so that they may be divided by it."""
    e = ab.exp(score - score[ab.mid(score).argmax()].mid())
    return e / ab.total(e)


def query_of(first: PointerSet, keys: Arbs, chosen: tuple[int, ...]) -> Arbs:
    """(query_width,) of one pointer set, before the temperature; stored keys."""
    if first.pointers > MOST_POINTERS and first.query != "slots":
        raise UnknownError(f"queries of more than {MOST_POINTERS} pointers are not enclosed")
    rows = keys[list(chosen)]
    match first.query:
        case "least-norm":
            return ab.dot(_solved(ab.dot(rows, rows.T)), rows)
        case "sum":
            return rows.sum(axis=0)
        case "slots":
            return rows.reshape(-1)
        case "trigonometric":
            if first.key_width != 2 * first.pointers:
                raise RejectedError("trigonometric queries are 2 q numbers, and the keys are not")
            return _trigonometric(first.positions, chosen)
    raise UnknownError(f"{first.query} queries need integer keys")


def _solved(gram: Arbs) -> Arbs:
    """M^-1 1."""
    from flint import arb, arb_mat

    matrix, ones = arb_mat(len(gram), len(gram), list(gram.flat)), arb_mat(len(gram), 1, [arb(1)] * len(gram))
    try:
        return np.array(matrix.solve(ones).entries(), dtype=object)
    except ZeroDivisionError:
        raise Undecided("whether the keys of a pointer set are linearly independent") from None


def _trigonometric(n: int, chosen: tuple[int, ...]) -> Arbs:
    """-(a_1, b_1, .., a_q, b_q) of prod_j (1 - cos(t - 2 pi j/n)) / 2 = a_0 + sum a_k cos kt + b_k sin kt."""
    from flint import acb, arb

    p = [acb(1)]  # coefficients of e^{ikt}, k = -d .. d
    for j in chosen:
        turn = acb(0, 2 * arb.pi() * j / n).exp()
        factor = (-turn / 4, acb(1) / 2, -1 / turn / 4)
        p = [sum((factor[b] * p[a - b] for b in range(3) if 0 <= a - b < len(p)), acb(0)) for a in range(len(p) + 2)]
    q = len(chosen)
    # p_k e^{ikt} + conj = 2 Re p_k cos kt - 2 Im p_k sin kt
    return np.array([v for k in range(1, q + 1) for v in (-2 * p[q + k].real, 2 * p[q + k].imag)], dtype=object)


def check_pointer_counterexample(case: Case) -> str:
    """Checks that the input is legal and that the error there is above eps."""
    tokens, signs, query, wanted = pointer_counterexample.question(case)
    task, (_, _, layer) = pointing(case), parts(case)

    def least() -> Any:
        t = {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
        stream = _stream(case, t, tokens, signs)
        error = t["readout.bias"].copy()
        error[0] = error[0] - number(wanted.numerator) / wanted.denominator
        for h in range(layer.heads):
            wq, wk, wv, wo = (t[f"layers.0.{name}"][h] for name in ("query", "key", "value", "output"))
            ask = ab.dot(wk, ab.dot(stream[query], wq) * number(layer.scale))
            mix = ab.dot(wv, ab.dot(wo, t["readout.weight"]))
            error = error + ab.dot(ab.dot(_softmax(ab.dot(stream, ask)), stream), mix)
        size = ab.total(error * error)
        at = f"the error on this input is only proved to be at least {_root(size):.3g}"
        if not decide(size > number(task.eps) ** 2, size <= number(task.eps) ** 2, at):
            raise RejectedError(f"{at}; eps is {task.eps:g}")
        return size

    off = _root(at_some_precision(least, LONG))
    return f"the model errs at {case.where}: on a legal input, position {query}, it is off by {off:.3g} or more (arb)"


def _root(size: Any) -> float:
    return max(0.0, float(size.lower().mid())) ** 0.5


def _stream(case: Case, t: dict[str, Arbs], tokens: np.ndarray, signs: list[int]) -> Arbs:
    """(N, width): z, keys, queries times the temperature; and a row for the blank."""
    arch, first, layer = parts(case)
    assert isinstance(layer, Attention)
    z = ab.arbs(np.eye(first.reals)[[0]] * np.array(signs)[:, None])
    if first.keys != "moment":
        keys = t["embed.keys"]
        asked = np.array([query_of(first, keys, tuple(row)) for row in tokens.tolist()], dtype=object)
        blocks = [z, keys, asked.reshape(len(z), query_width(first)) * t["embed.temperature"]]
        return np.concatenate([np.concatenate(blocks, axis=1), *([t["embed.blank"][None]] if arch.blank else [])])
    if arch.blank:
        raise UnknownError("integer keys beside a blank are not evaluated")
    rows = pointer_counterexample.rational_stream(first, case, tokens, signs)
    from flint import fmpq

    exact = [[number(fmpq(v.numerator, v.denominator)) for v in row] for row in rows]  # pyright: ignore
    return np.array(exact, dtype=object)
