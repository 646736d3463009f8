"""How tasks and architectures are named on the page, and how sizes grow, in the reader's words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from separatrix.core.errors import InputError
from separatrix.draw import Column


@dataclass(frozen=True, slots=True)
class TaskWords:
    """Title, group and gloss of a task's row; `parameters` are those that the atlas draws."""

    title: str
    group: str
    gloss: str
    parameters: dict[str, object]


TASKS = {
    "index-lookup": TaskWords(
        "Index lookup", "Retrieval", "*x*_{1} … *x*_{N}, *q* ↦ *x*_{q}; 64 symbols", {"symbols": 64}
    ),
    "sparse-averaging": TaskWords("Sparse averaging", "Retrieval", "mean of *q* = 4 chosen tokens", {"q": 4}),
    "match2": TaskWords("Match2", "Pairs and sets", "some *x*_{i} + *x*_{j} ≡ 0 modulo 97", {"modulus": 97}),
    "match3": TaskWords(
        "Match3", "Pairs and sets", "some *x*_{i} + *x*_{j} + *x*_{k} ≡ 0 modulo 257", {"modulus": 257}
    ),
    "clauses": TaskWords("k-DNF", "Pairs and sets", "(*x*_{1} ∧ ¬*x*_{2}) ∨ (*x*_{3} ∧ *x*_{4})", {}),
    "associative-recall": TaskWords(
        "Associative recall", "Retrieval", "64 keys with labels in one token, then a key", {"joined": True}
    ),
    "nearest-neighbour": TaskWords(
        "Nearest neighbour", "Retrieval", "labelled points of a 4-cube, then a point", {"dim": 4, "joined": True}
    ),
    "disjointness": TaskWords("Disjointness", "Pairs and sets", "do the two halves, as sets, meet?", {}),
    "dyck": TaskWords("Bounded Dyck", "Languages", "brackets of 2 types, depth at most 2", {"types": 2, "depth": 2}),
    "regular": TaskWords("A regular language", "Languages", "an odd number of ones", {}),
    "equality": TaskWords("Equality", "Pairs and sets", "first half = second half, bits", {"symbols": 2}),
}
COLUMNS = (  # family, layers at most, heading
    ("transformer", 1, Column("1-layer transformer", "softmax attention", "1 layer")),
    ("transformer", 2, Column("2-layer transformer", "softmax attention", "2 layers")),
    ("rnn", None, Column("Recurrent, SSM", "any transition, any depth", "Recurrent")),
    ("mlp", None, Column("Feed-forward", "any activation, real weights", "Feed-fwd")),
)
GROWTH = ("constant", "O(log *N*)", "sublinear", "linear", "more than linear")
SHORT = ("1", "log *N*", "*N*^{*c*}", "*N*", "*N*^{2}")


def brief(expression: str) -> str:
    """A bound's formula for a table cell: without conditions, variables in italics.

    >>> brief("(N − 1) log₂ K, K = ⌈1/(q eps)⌉"), brief("log₂ C(N − 1, q) ≤ H(m + d_v + 1)p")
    ('(*N* − 1) log₂ *K*', 'log₂ C(*N* − 1, *q*)')
    """
    short = re.split(r" \(for |, [A-Za-z] = | ≤ |, with ", expression)[0]
    return re.sub(r"(?<![A-Za-z*_])([NKMqrd])(?![A-Za-z*(])", r"*\1*", short)


def sentence(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def order(bits: Callable[[int], float | None]) -> int | None:
    """Where a formula in N stands among 1, log N, N^c, N, N^2: by its slope between N = 2^10 and 2^16.

    None where the formula does not reach that far; a slope below 0.3 counts as polylogarithmic.

    >>> order(lambda n: 6 * n), order(lambda n: 40 * n.bit_length()), order(lambda n: 7)
    (3, 1, 0)
    """
    try:
        near, far = bits(2**10), bits(2**16)
    except InputError:
        return None
    if not near or not far or near <= 0 or far <= 0:
        return None
    slope = math.log2(far / near) / 6
    if slope < 0.01:
        return 0
    return 1 if slope < 0.3 else 2 if slope < 0.95 else 3 if slope < 1.5 else 4
