"""Kind `senders` in Arb: every set of receivers scored, and the bound of `senders` for every number of senders."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np

from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import at_some_precision, decide
from separatrix.kernel.arb_nets import number
from separatrix.kernel.arb_pointers import query_of
from separatrix.kernel.case import Case
from separatrix.kernel.pointer_map import query_width
from separatrix.kernel.pointer_model import parts
from separatrix.kernel.senders import SenderModel, propagation, said

MOST_SCORES = 2**22


def check_senders(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    case.no_arrays()
    task = propagation(case)
    known = SenderModel.of(case)  # says what this kind is about
    if math.comb(case.n, task.q) * case.n > MOST_SCORES:
        raise UnknownError(f"more than {MOST_SCORES} scores of arb numbers")

    def checked() -> float:
        error = _worst(case, known.share)
        if not decide(error <= task.eps, error > task.eps, "the error"):
            raise RejectedError(f"the error may reach {float(error.upper().mid()):.3g}; eps is {task.eps:g}")
        return float(error.upper().mid())

    return said(case, at_some_precision(checked), ", arb")


def _worst(case: Case, near: float) -> Any:
    """Above the error at any position; near: a number by W_V W_O W_R, any will do, for the rest is in the leak."""
    task, n = propagation(case), case.n
    _, first, layer = parts(case)
    t = {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
    key, width, scale = slice(task.dim, task.dim + first.key_width), query_width(first), number(layer.scale)
    w_q, w_k = t["layers.0.query"][0], t["layers.0.key"][0]
    out = ab.dot(t["layers.0.value"][0], ab.dot(t["layers.0.output"][0], t["readout.weight"]))
    share = number(near)
    blank, rest = t["embed.blank"], out[: task.dim] - ab.arbs(np.eye(task.dim)) * share
    own = ab.dot(blank, out)
    leak = ab.total(ab.size(rest).reshape(-1)) + ab.total(ab.size(own))  # above the norms
    ask = ab.dot(t["embed.keys"], w_q[key])
    start, heat = ab.dot(ask, ab.dot(blank, w_k)) * scale, t["embed.temperature"] * scale
    held: list[list[Any]] = [[] for _ in range(n)]  # scores of the sets that hold a position, and of the others
    free: list[list[Any]] = [[] for _ in range(n)]
    for at, chosen in enumerate(combinations(range(n), task.q)):
        query = query_of(first, t["embed.keys"], chosen)
        scores = ab.dot(ask, ab.dot(query, w_k[-width:])) * heat
        for i in range(n):
            (held if i in chosen else free)[i].append(scores[i])
        if at % 1024 == 1023:
            case.progress(f"{at + 1:,} sets, arb")
    worst = ab.zero()
    for i in range(n):
        least, most = ab.least(np.array(held[i])), ab.greatest(np.array(held[i]))
        others = ab.greatest(np.array(free[i])).exp() if free[i] else ab.zero()
        low, high, begin = least.exp(), most.exp(), start[i].exp()
        for senders in range(1, n + 1):
            tokens = (n - senders) * others
            whole, spread = tokens + begin + senders * low, high / low
            gone = (share * spread - 1).max(1 - share * senders * low / whole / spread).max(ab.zero())
            worst = worst.max(gone + share * tokens / whole)
        worst = worst.max(share * n * others / (n * others + begin))
    return worst + leak
