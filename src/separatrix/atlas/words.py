"""How tasks and architectures are named on the page, and how sizes grow, in the reader's words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.draw import Column
from separatrix.tasks import make_task


@dataclass(frozen=True, slots=True)
class TaskWords:
    """Title, group and gloss of a task's row; `parameters` are those that the atlas draws.

    task: the registered task, where a task has several rows and this one is not named after it.
    grown: parameters that grow with N, for the growth of lower bounds, which a fixed modulus or number of keys would
    stop; `grows` says so. None where nothing stops them.
    """

    title: str
    group: str
    gloss: str
    parameters: dict[str, object]
    grown: Callable[[int], dict[str, object]] | None = None
    grows: str = ""
    task: str = ""


RETRIEVAL, PAIRS, ORDER, LISTS = "Retrieval", "Pairs and sets", "Order and structure", "Lists of real numbers"
TASKS = {
    "index-lookup": TaskWords(
        "Index lookup", RETRIEVAL, "*x*_{1} … *x*_{N}, *q* ↦ *x*_{q}; 64 symbols", {"symbols": 64}
    ),
    "sparse-averaging": TaskWords("Sparse averaging", RETRIEVAL, "mean of *q* = 4 chosen tokens", {"q": 4}),
    "sparse-propagation": TaskWords(
        "Sparse propagation", RETRIEVAL, "each sends to *q* = 2; mean of what came", {"q": 2}
    ),
    "associative-recall": TaskWords(
        "Associative recall",
        RETRIEVAL,
        "keys with labels, then one of 64 keys",
        {"joined": True},
        lambda n: {"joined": True, "keys": n},
        "*N* keys",
    ),
    "associative-recall-apart": TaskWords(
        "Associative recall, keys apart",
        RETRIEVAL,
        "key, label, key, label, …, then one of the keys",
        {},
        lambda n: {"keys": n},
        "*N* keys",
        task="associative-recall",
    ),
    "multi-query-recall": TaskWords(
        "Multi-query recall", RETRIEVAL, "pairs, then as many keys of 64", {}, lambda n: {"keys": n}, "*N* keys"
    ),
    "nearest-neighbour": TaskWords(
        "Nearest neighbour",
        RETRIEVAL,
        "labelled points of a 4-cube, then a point",
        {"dim": 4, "joined": True},
        lambda n: {"dim": math.ceil(math.log2(n)), "joined": True},
        "log_{2} *N* dimensions",
    ),
    "nearest-neighbour-apart": TaskWords(
        "Nearest neighbour, points apart",
        RETRIEVAL,
        "point, label, point, label, …, then a point; 4-cube",
        {"dim": 4},
        lambda n: {"dim": math.ceil(math.log2(n))},
        "log_{2} *N* dimensions",
        task="nearest-neighbour",
    ),
    "function-composition": TaskWords(
        "Function composition",
        RETRIEVAL,
        "tables *g*, *h* of *N* entries, *x* ↦ *h*(*g*(*x*)); 4 labels",
        {"labels": 4},
    ),
    "match2": TaskWords(
        "Match2",
        PAIRS,
        "some *x*_{i} + *x*_{j} ≡ 0 modulo 97",
        {"modulus": 97},
        lambda n: {"modulus": 2 * n + 1},
        "modulus 2 *N* + 1",
    ),
    "match3": TaskWords(
        "Match3",
        PAIRS,
        "some *x*_{i} + *x*_{j} + *x*_{k} ≡ 0 modulo 257",
        {"modulus": 257},
        lambda n: {"modulus": 4 * n + 4},
        "modulus 4 *N* + 4",
    ),
    "match3-packed": TaskWords(
        "Match3, few numbers",
        PAIRS,
        "some *x*_{i} + *x*_{j} + *x*_{k} ≡ 0 modulo 8",
        {"modulus": 8},
        task="match3",
    ),
    "relation-composition": TaskWords(
        "Relation composition", PAIRS, "some *k* with *A*(*i*, *k*) and *B*(*k*, *j*), *N* things", {}
    ),
    "match-sums": TaskWords(
        "Sums of four",
        PAIRS,
        "some four numbers, *x*_{i} among them, add up to 0 modulo 17",
        {"order": 4, "modulus": 17},
    ),
    "match3-bigram": TaskWords(
        "Match3, neighbours", PAIRS, "some *x*_{i} + *x*_{j} + *x*_{j+1} ≡ 0 modulo 17", {"modulus": 17}
    ),
    "match3-local": TaskWords(
        "Match3, nearby",
        PAIRS,
        "some *x*_{i} + *x*_{j} + *x*_{k} ≡ 0 modulo 17, *j* and *k* next to *i*",
        {"modulus": 17},
    ),
    "equality": TaskWords("Equality", PAIRS, "first half = second half, bits", {"symbols": 2}),
    "fingerprint": TaskWords(
        "Fingerprint", PAIRS, "do the halves agree modulo 257? (equality, for a random prime)", {"prime": 257}
    ),
    "disjointness": TaskWords("Disjointness", PAIRS, "do the two halves, as sets, meet?", {}),
    "inner-product": TaskWords("Inner product", PAIRS, "of the two halves, modulo 2", {}),
    "greater-than": TaskWords("Greater than", PAIRS, "first half > second half, in binary", {}),
    "clauses": TaskWords(
        "*k*-DNF", PAIRS, "(*x*_{1} ∧ ¬*x*_{2}) ∨ (*x*_{3} ∧ *x*_{4})", {"formula": "1 -2, 3 4", "join": "and"}
    ),
    "majority": TaskWords("Majority", ORDER, "more ones than zeros, *N* odd", {}),
    "parity": TaskWords("Parity", ORDER, "is the number of ones odd?", {}),
    "regular": TaskWords(
        "Regular language", ORDER, "two ones in a row", {"transitions": "0 1, 0 2, 2 2", "accepting": "2"}
    ),
    "dyck": TaskWords("Bounded Dyck", ORDER, "brackets of 2 types, depth at most 2", {"types": 2, "depth": 2}),
    "induction-heads": TaskWords(
        "Induction heads", ORDER, "the symbol behind the last like it", {"k": 1}, task="k-hop"
    ),
    "k-hop": TaskWords("*k*-hop", ORDER, "behind the last like it, *k* = 2 times", {}),
    "16-hop": TaskWords("16-hop", ORDER, "*k* = 16 times, 2 symbols", {"k": 16, "symbols": 2}, task="k-hop"),
    "pointer-chasing": TaskWords("Pointer chasing", ORDER, "two tables of *N* entries, in turn", {}),
    "boolean-formula": TaskWords("Boolean formula", ORDER, "value of a formula of *N* tokens", {}),
    "word-problem": TaskWords("Words over S_{5}", ORDER, "is the product the identity?", {}),
    "prefix-sums": TaskWords("Prefix sums", LISTS, "running totals", {}),
    "prefix-minima": TaskWords("Prefix minima", LISTS, "least number so far", {}),
    "prefix-maxima": TaskWords("Prefix maxima", LISTS, "greatest number so far", {}),
    "prefix-medians": TaskWords(
        "Prefix medians", LISTS, "median of the numbers so far", {}, lambda n: {"eps": 1e-3 / n}, "eps = 0.001/*N*"
    ),
    "sorting": TaskWords("Sorting", LISTS, "all numbers in order", {}, lambda n: {"eps": 1e-3 / n}, "eps = 0.001/*N*"),
    "routing": TaskWords("Routing", LISTS, "every number at the place that it names", {}),
    "maximum-subarray": TaskWords("Maximum subarray", LISTS, "largest sum of a run", {}),
    "total": TaskWords("Total", LISTS, "sum of all numbers, everywhere", {}),
    "least": TaskWords("Least", LISTS, "least of all numbers, everywhere", {}),
    "greatest": TaskWords("Greatest", LISTS, "greatest of all numbers, everywhere", {}),
}
COLUMNS = (  # family, layers at most, heading
    ("transformer", 1, Column("1-layer transformer", "softmax attention", "1 layer")),
    ("transformer", None, Column("Deeper transformer", "2 layers or more", "2+ layers")),
    ("third-order", 1, Column("Third-order", "1 layer, pairs of keys", "Third-order")),
    ("strassen", 1, Column("Strassen", "1 layer, scores of three sides", "Strassen")),
    ("positional", None, Column("Positional", "attention sees positions only", "Positional")),
    ("rnn", None, Column("Recurrent, SSM", "any transition, any depth", "Recurrent")),
    ("mlp", None, Column("Feed-forward", "any activation", "Feed-fwd")),
)
GROWTH = ("constant", "O(log *N*)", "sublinear", "linear", "more than linear")
SHORT = ("1", "log *N*", "*N*^{*c*}", "*N*", "*N*^{2}")


def task_of(row: str) -> Task:
    """The task of a row, with the parameters that the atlas draws."""
    return make_task(TASKS[row].task or row, dict(TASKS[row].parameters))


def row_of(task: Task) -> str:
    """The row of such a task."""
    return next(row for row in TASKS if (TASKS[row].task or row) == task.name and task_of(row) == task)


def brief(expression: str) -> str:
    """A bound's formula for a table cell: without conditions, variables in italics.

    >>> brief("(N − 1) log₂ K, K = ⌈1/(q eps)⌉"), brief("log₂ C(N − 1, q) ≤ H(m + d_v + 1)p")
    ('(*N* − 1) log₂ *K*', 'log₂ C(*N* − 1, *q*)')
    """
    short = re.split(r" \(for |, [A-Za-z] = | ≤ |, with |, for ", expression)[0]
    short = re.sub(r"^min\((.*), [^,]*\)(?= |$)", r"\1", short)  # as long as the task's parameters let it grow
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


def layers_of(layers: Callable[[int], int | None]) -> tuple[str, str] | None:
    """How a depth grows, as words for a cell and for a phone; None for a constant depth.

    >>> layers_of(lambda n: n.bit_length() - 1), layers_of(lambda n: 3)
    (('log *N* layers', 'log *N*'), None)
    """
    near, far = layers(4), layers(64)
    if not near or not far or near == far:
        return None
    power = math.ceil(math.log(far / near) / math.log(3) - 0.1)  # log2 64 = 3 log2 4; lower terms only flatten it
    text = "log" if power <= 1 else f"log^{{{power}}}"
    return f"{text} *N* layers", f"{text} *N*"
