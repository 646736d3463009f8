"""The reference head as a uniform family: every gate and edge computed from the bits of its number.

DLOGTIME uniformity asks that "which gate is number g, and what is its r-th input" be decided in time O(log n). Here a
gate's number is a word of bit fields (kind, i, j, a, b, k, l, v) of 2 ceil(log2 n) + O(1) bits, and `gate` and `edge`
take fields out, compare, add, subtract and shift: a number of operations on such words that does not depend on n,
counted as they happen. The integers of the model (score matrices by i - j, exponential table, value map) are wired in,
and reading them is not counted: they are what a uniform machine would still have to compute (sines and cosines to p
bits). `uniform_check` puts the description beside the compiler's arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.compiler.word import rounding
from separatrix.models.quantised import Heads, Quantised

INPUT, PRODUCT, SCORE, WEIGHED, QUOTIENT = range(5)
KINDS = {"product": PRODUCT, "score": SCORE, "weight and value": WEIGHED, "quotient": QUOTIENT}


@dataclass
class Machine:
    """Word operations on arrays of equal words, counted once an array.

    Attributes:
        operations: how many were made; longest: bits of the longest word among their results.
    """

    operations: int = 0
    longest: int = 0

    def count(self, result: np.ndarray) -> np.ndarray:
        """Counts one operation."""
        self.operations += 1
        if result.dtype != bool and result.size:
            self.longest = max(self.longest, int(np.abs(result).max()).bit_length())
        return result

    def take(self, word: np.ndarray, shift: int, bits: int) -> np.ndarray:
        """A bit field: a shift and a mask."""
        return self.count(self.count(word >> shift) & ((1 << bits) - 1))

    def less(self, a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:
        """a < b."""
        return self.count(np.less(a, b))

    def same(self, a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
        """a = b."""
        return self.count(np.equal(a, b))

    def choose(self, which: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a where `which` holds, else b."""
        return self.count(np.where(which, a, b))


@dataclass
class Family:
    """The family at one n: the layout of numbers, and the hard-wired integers."""

    network: Quantised
    machine: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        layers = self.network.layers
        head = layers[0] if len(layers) == 1 else None
        causal = np.tril(np.ones((self.network.n,) * 2, dtype=bool))
        if not isinstance(head, Heads) or len(head.scores) != 1 or head.weights != "softmax" or head.mix is not None:
            raise InputError("the uniform description is that of one causal softmax head without a residual")
        if not (head.mask == causal).all() or self.network.embedding is not None:
            raise InputError("the uniform description is that of one causal head on numbers")
        self.head, self.n, self.d, self.p = head, self.network.n, self.network.d, self.network.numbers.bits
        self.low, self.scores = self.network.numbers.low, head.scores[0]
        self.codes = len(self.scores.table) - 1
        index, wide = max(1, (self.n - 1).bit_length()), max(1, (self.d - 1).bit_length())
        bit, value = max(1, (self.p - 1).bit_length()), max(self.p, self.codes.bit_length())
        self.fields, at = {}, 0
        sizes = {"v": value, "l": bit, "k": bit, "b": wide, "a": wide, "j": index, "i": index, "kind": 3}
        for name, bits in sizes.items():
            self.fields[name] = (at, bits)
            at += bits
        self.bits = at
        jumps = np.diff(np.array((0, *self.scores.table)))
        self.base, self.jumps = int(jumps[0]), np.concatenate([[0], jumps[1:]])
        self.bars = np.concatenate(
            [[0], rounding(np.arange(self.scores.low + 1, self.scores.low + self.codes + 1), self.scores.shift)]
        )
        self.matrix = np.stack([self.scores.score[t, 0] for t in range(self.n)])

    def number(self, **fields: np.ndarray | int) -> np.ndarray:
        """The number with these fields (others 0): a shift and an OR each."""
        word = np.zeros((), dtype=np.int64)
        for name, x in fields.items():
            word = self.machine.count(word | self.machine.count(np.asarray(x, dtype=np.int64) << self.fields[name][0]))
        return word

    def take(self, word: np.ndarray, names: str) -> list[np.ndarray]:
        """Fields of a number, by one-letter name (K for the kind)."""
        return [self.machine.take(word, *self.fields["kind" if name == "K" else name]) for name in names]

    def gate(self, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(whether number g is a gate or input, its threshold)."""
        m = self.machine
        kind, i, j, a, b, k, own, v = self.take(g, "Kijabklv")
        row, seen = m.less(i, self.n), m.less(j, i + 1)
        wide, tall = m.less(a, self.d) & m.less(k, self.p), m.less(b, self.d) & m.less(own, self.p)
        step, code = m.less(v - 1, self.codes) & m.less(0, v), m.less(v - 1, 2**self.p - 1) & m.less(0, v)
        none_j, none_b, none_v = m.same(j, 0), m.same(b, 0) & m.same(own, 0), m.same(v, 0)
        none_a = m.same(a, 0) & m.same(k, 0)
        ordered = ~m.same(i, j) | m.less(self.number(a=a, k=k), self.number(a=b, k=own))
        difference = np.minimum(m.count(i - j).clip(0), self.n - 1)
        fa, fb = np.minimum(a, self.d - 1), np.minimum(b, self.d - 1)
        used = self.matrix[difference, fa, fb] | np.where(m.same(i, j), self.matrix[difference, fb, fa], 0)
        ordered = ordered & ~m.same(used, 0)  # a product of weight 0 is not there
        exists = row & np.select(
            [kind == INPUT, kind == PRODUCT, kind == SCORE, kind == WEIGHED, kind == QUOTIENT],
            [wide & none_j & none_b & none_v, wide & tall & seen & ordered & none_v, seen & step & none_a & none_b,
             seen & step & wide & none_b, code & m.less(a, self.d) & none_j & none_b & m.same(k, 0)],
            False)  # fmt: skip
        constant = self.low**2 * self.matrix.sum(axis=(1, 2))[difference]
        score = self.bars[np.minimum(v, self.codes)] - constant
        column = np.minimum(a, self.d - 1)
        at = self.low + v
        fixed = 2 * self.head.value[0].sum(axis=0)[column] * self.low - ((2 * at - 1) << self.head.value_shift)
        quotient = at % 2 - m.count((i + 1) * (fixed * self.base))
        threshold = np.select([kind == SCORE, kind == QUOTIENT, kind == INPUT], [score, quotient, np.ones_like(v)], 2)
        return exists, threshold

    def edge(self, g: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(whether gate g has an input number r, that wire's number, its weight); r has the same fields as g."""
        m = self.machine
        kind, i, j, a, b, k, own, v = self.take(g, "Kijabklv")
        sort, rj, ra, rb, rk, rl, rv = self.take(r, "Kjabklv")
        wide, tall = m.less(ra, self.d) & m.less(rk, self.p), m.less(rb, self.d) & m.less(rl, self.p)
        step = m.less(rv - 1, self.codes) & m.less(0, rv)
        no_j, no_a, no_b, no_v = (
            m.same(rj, 0),
            m.same(ra, 0) & m.same(rk, 0),
            m.same(rb, 0) & m.same(rl, 0),
            m.same(rv, 0),
        )
        t = np.minimum(m.count(i - j).clip(0), self.n - 1)
        fa, fb, fk, fl = np.minimum(ra, self.d - 1), np.minimum(rb, self.d - 1), rk, rl
        # products of a row with itself exist once, with (a, k) < (b, l); equal ones are the input itself
        mine, other = self.number(a=ra, k=rk), self.number(a=rb, k=rl)
        diagonal = m.same(i, j)
        swap = diagonal & m.less(other, mine)
        first = [m.choose(swap, y, x) for x, y in ((ra, rb), (rk, rl))]
        second = [m.choose(swap, x, y) for x, y in ((ra, rb), (rk, rl))]
        pair = self.number(kind=PRODUCT, i=i, j=j, a=first[0], b=second[0], k=first[1], l=second[1])
        pair = m.choose(diagonal & m.same(mine, other), self.number(i=i, a=ra, k=rk), pair)
        entry = self.matrix[t, fa, fb] << (fk + fl)
        left = self.number(i=i, a=ra, k=rk)
        right = self.number(i=j, a=ra, k=rk)
        rows, columns = self.matrix.sum(axis=2)[t, fa] * self.low << fk, self.matrix.sum(axis=1)[t, fa] * self.low << fk
        column, jump = np.minimum(a, self.d - 1), self.jumps[np.minimum(rv, self.codes)]
        value = 2 * self.head.value[0]
        seen = m.less(rj, i + 1)
        whole = value.sum(axis=0)[column] * self.low - ((2 * (self.low + v) - 1) << self.head.value_shift)
        empty, one = no_j & no_a & no_b & no_v, np.ones_like(rv)
        cases = [
            (PRODUCT, 0, empty, self.number(i=i, a=a, k=k), one),
            (PRODUCT, 1, empty, self.number(i=j, a=b, k=own), one),
            (SCORE, 0, wide & tall & no_j & no_v, pair, entry),
            (SCORE, 1, wide & no_b & no_j & no_v, left, rows),
            (SCORE, 2, wide & no_b & no_j & no_v, right, columns),
            (WEIGHED, 0, empty, self.number(kind=SCORE, i=i, j=j, v=v), one),
            (WEIGHED, 1, empty, self.number(i=j, a=a, k=k), one),
            (QUOTIENT, 0, wide & step & seen & no_b, self.number(kind=WEIGHED, i=i, j=rj, a=ra, k=rk, v=rv),
             value[fa, column] * jump << fk),
            (QUOTIENT, 1, wide & seen & no_b & no_v, self.number(i=rj, a=ra, k=rk),
             value[fa, column] * self.base << fk),
            (QUOTIENT, 2, step & seen & no_a & no_b, self.number(kind=SCORE, i=i, j=rj, v=rv), whole * jump),
        ]  # fmt: skip
        tests = [m.same(kind, own_kind) & m.same(sort, own_sort) for own_kind, own_sort, *_ in cases]
        exists = np.select(tests, [case[2] for case in cases], False)
        wire, weight = (np.select(tests, [case[n] for case in cases], 0) for n in (3, 4))
        return exists, wire, weight

    def all(self, kind: int) -> np.ndarray:
        """All numbers of a kind that are gates, by trying every value of every field."""
        words = np.arange(1 << self.fields["kind"][0], dtype=np.int64) | kind << self.fields["kind"][0]
        return words[self.gate(words)[0]]

    def edges(self, g: np.ndarray, kind: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(index into g, wire, weight) of all edges of gates g of one kind."""
        top = {name: bits for name, (_, bits) in self.fields.items()}
        used = {PRODUCT: "", SCORE: "abkl", WEIGHED: "", QUOTIENT: "ajkv"}[kind]
        r = np.zeros(1, dtype=np.int64)
        for name in used:
            r = (r[:, None] | np.arange(1 << top[name]) << self.fields[name][0]).reshape(-1)
        r = (r[:, None] | np.arange(3) << self.fields["kind"][0]).reshape(-1)
        parts = []
        for start in range(0, len(g), max(1, 2_000_000 // len(r))):
            own = g[start : start + max(1, 2_000_000 // len(r))]
            exists, wire, weight = self.edge(own[:, None], r[None])
            at, which = np.nonzero(exists)
            parts.append((at + start, wire[at, which], weight[at, which]))
        if not parts:
            parts = [(g[:0], g[:0], g[:0])]
        at, wire, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        return at, wire, weight
