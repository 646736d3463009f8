"""Certificate kinds `gadget` and `gadget-sampled`: an answer that joins many copies of one small block.

Alice holds `hers[i]` and Bob `his[i]`, the positions of block i; everything else holds a base word. When block i holds
the u-th of Alice's words and the v-th of Bob's, it shows table[u, v], 0 or 1. If for all choices in all d blocks

    [answer at the query = value]  =  AND (or OR, or XOR) of table[u_i, v_i],

the matrix of answers is a tensor power, and its rank over the rationals is rank(table)^d for AND, rank(1 - table)^d
for OR (of the complement, which costs the same), rank(1 - 2 table)^d for XOR (of signs) (Mehlhorn and Schmidt 1982).
Rank bounds distinct rows, and conversations from below.

That the answer is the join is shown `by`: `reading`, the task's read-once automaton run together with the join;
`circuit`, the gates that are the task's answer, restricted block by block; `words`, all choices, where they are few.
The kind `gadget-sampled` tries fresh samples instead, and is `checked`: the join beyond them is its weak link.

Claims: `state` of `rnn` (field `cut`), `one-way` of `transformer` (the token at the query is in no block) and
`exchange` of `transformer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from separatrix.core.domain import Labels, PointerSets, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel import gadget_joins
from separatrix.kernel.case import Case
from separatrix.kernel.needs import (
    claimed,
    inside,
    integers,
    log2_low,
    named_arrays,
    numbered,
    open_domain,
    require,
    shown,
)

TARGETS = (("rnn", "state"), ("transformer", "one-way"), ("transformer", "exchange"))
MOST_WORDS = 64  # of a side of a block
FEWEST_SAMPLES, MOST_SAMPLES = 1000, 2**20
MOST_WORK = 2**33  # symbols that are given to the task
BLOCK = 2**22


def check(case: Case) -> str:
    """The claim in a sentence, or an error; the join is proved."""
    return _check(case, {"by": str})


def check_sampled(case: Case) -> str:
    """The claim in a sentence, or an error; the join is tried."""
    return _check(case, {"samples": int})


def _check(case: Case, how: dict[str, type]) -> str:
    target = (case.claim.arch, case.claim.measure)
    if target not in TARGETS:
        raise RejectedError(f"this kind says nothing about {target[1]} of {target[0]}")
    amount, state = claimed(case, *target), target[1] == "state"
    fields = {"query": int, "join": str, "value": int, **how, **({"cut": int} if state else {})}
    query, join, value, way, *cut = case.fields(**fields)
    domain = open_domain(case)
    if not isinstance(case.task.outputs(), Labels) or query not in case.task.queries(case.n):
        raise RejectedError(f"position {query} is not scored with labels")
    blocks = Blocks.of(case, domain, query, join, value)
    if state and not (0 < cut[0] <= query and (blocks.hers < cut[0]).all() and (blocks.his >= cut[0]).all()):
        raise RejectedError("Alice must stand before the cut, Bob and the query after it")
    if target[1] == "one-way" and ((blocks.hers == query).any() or (blocks.his == query).any()):
        raise RejectedError("the token at the query must be known to both")
    d, rank = len(blocks.hers), blocks.rank()
    require(amount, d * log2_low(rank), "bits")
    if isinstance(way, int):
        shows = f"on {blocks.sampled(case, way)} fresh samples"
    else:
        shows = blocks.proved(case, way)
    who = {
        "state": f"every recurrent model (any transition, one pass) that answers {case.where} right at position "
        f"{query} carries at least {shown(amount)} bits across cut {cut[0] if cut else 0}",
        "one-way": f"whoever holds these {blocks.hers.size} positions of {case.where} sends at least {shown(amount)} "
        "bits to a party that holds the others and then answers right, the query's token being known",
        "exchange": f"two parties, one holding these {blocks.hers.size} positions of {case.where} and one the others, "
        f"exchange at least {shown(amount)} bits until both know the answer",
    }[target[1]]
    return f"{who} (the answer joins {d} blocks of rank {rank} by {join.upper()}: {shows})"


@dataclass(frozen=True, slots=True)
class Blocks:
    """The evidence: hers (d, a), his (d, b) positions; words (r, a), (c, b); table (r, c); base (positions,)."""

    query: int
    join: Literal["and", "or", "xor"]
    value: int
    hers: np.ndarray
    his: np.ndarray
    her_words: np.ndarray
    his_words: np.ndarray
    table: np.ndarray
    base: np.ndarray

    @classmethod
    def of(cls, case: Case, domain: Sequence, query: int, join: str, value: int) -> Blocks:
        """From the arrays; InputError or RejectedError where they are malformed, or a word is illegal."""
        named_arrays(case, "hers", "his", "her_words", "his_words", "table", "base")
        if domain.reals is not None or any(isinstance(a, PointerSets) for a in numbered(domain.alphabets)[1]):
            raise UnknownError("blocks are checked for one symbol a token")
        if join not in ("and", "or", "xor"):
            raise InputError(f"join {join!r} is none of and, or, xor")
        n = domain.positions
        hers, his, base = (
            integers(case, "hers", None, None),
            integers(case, "his", None, None),
            integers(case, "base", n),
        )
        d, a, b = len(hers), hers.shape[1], his.shape[1]
        her_words, his_words = integers(case, "her_words", None, a), integers(case, "his_words", None, b)
        r, c = len(her_words), len(his_words)
        table = integers(case, "table", r, c)
        if not d or len(his) != d or not a or not b or not 1 <= r <= MOST_WORDS or not 1 <= c <= MOST_WORDS:
            raise InputError(f"both sides need blocks, and 1 to {MOST_WORDS} words each")
        places = np.concatenate([hers.reshape(-1), his.reshape(-1)])
        if places.min() < 0 or places.max() >= n or len(np.unique(places)) != len(places):
            raise InputError("the positions of the blocks must be there, each once")
        if not np.isin(table, (0, 1)).all():
            raise InputError("the table must hold 0 and 1")
        others = np.delete(np.arange(n), places)
        legal = inside(domain.alphabets, others, base[others]).all()
        for positions, words in ((hers, her_words), (his, his_words)):
            spots = np.repeat(positions[:, None, :], len(words), axis=1)
            legal = legal and inside(domain.alphabets, spots.reshape(-1), np.tile(words.reshape(-1), d)).all()
        if not legal:
            raise RejectedError("a symbol is not legal at its position")
        return cls(query, join, value, hers, his, her_words, his_words, table, base)  # type: ignore[arg-type]

    def rank(self) -> int:
        """Of the table, of its complement or of its signs, over the rationals, by exact elimination."""
        match self.join:
            case "and":
                matrix = self.table
            case "or":
                matrix = 1 - self.table
            case _:
                matrix = 1 - 2 * self.table
        rows, rank = [[Fraction(x) for x in row] for row in matrix.tolist()], 0
        for column in range(matrix.shape[1]):
            pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
            if pivot is None:
                continue
            rows[rank], rows[pivot] = rows[pivot], rows[rank]
            for i in range(rank + 1, len(rows)):
                factor = rows[i][column] / rows[rank][column]
                if factor:
                    rows[i] = [x - factor * y for x, y in zip(rows[i], rows[rank], strict=True)]
            rank += 1
        if not rank:
            raise RejectedError("the table has rank 0: the answer never varies")
        return rank

    def words(self, hers: np.ndarray, his: np.ndarray) -> np.ndarray:
        """(batch, positions) inputs whose blocks hold the words numbered `hers` and `his` (batch, d)."""
        tokens = np.repeat(self.base[None], len(hers), axis=0)
        tokens[:, self.hers] = self.her_words[hers]
        tokens[:, self.his] = self.his_words[his]
        return tokens

    def joined(self, hers: np.ndarray, his: np.ndarray) -> np.ndarray:
        """(batch,) what the blocks join to."""
        ones = self.table[hers, his].sum(axis=1)
        match self.join:
            case "and":
                return ones == hers.shape[1]
            case "or":
                return ones > 0
            case _:
                return ones % 2 == 1

    def wrong(self, case: Case, hers: np.ndarray, his: np.ndarray) -> bool:
        """Whether some of these choices are not answered by the join."""
        column = case.task.queries(case.n).index(self.query)
        answers = case.task.answer(self.words(hers, his))[:, column]
        return not np.array_equal(answers == self.value, self.joined(hers, his))

    def choices(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Random choices (size, d) of both sides: some uniform, most with few blocks, or neighbours, not idle."""
        d, (r, c) = len(self.hers), self.table.shape
        idle = np.argwhere(self.table == (1 if self.join == "and" else 0))
        idle = idle if len(idle) else np.argwhere(self.table >= 0)
        rate = rng.choice(np.array([0.0, 1 / d, 4 / d, 0.5, 1.0]), (size, 1))
        free = rng.random((size, d)) < rate
        start, width = rng.integers(0, d, (size, 1)), rng.integers(1, 5, (size, 1))
        window = (np.arange(d) >= start) & (np.arange(d) < start + width)
        free = np.where(rng.random((size, 1)) < 0.5, window, free)
        quiet = idle[rng.integers(0, len(idle), (size, d))]
        return (
            np.where(free, rng.integers(0, r, (size, d)), quiet[..., 0]),
            np.where(free, rng.integers(0, c, (size, d)), quiet[..., 1]),
        )

    def sampled(self, case: Case, samples: int) -> int:
        """The number of samples, all answered by the join; RejectedError otherwise."""
        if not FEWEST_SAMPLES <= samples <= MOST_SAMPLES or samples * len(self.base) > MOST_WORK:
            raise InputError(f"samples = {samples} of {len(self.base)} positions; take {FEWEST_SAMPLES} or more")
        rng, step = np.random.default_rng(), max(1, BLOCK // len(self.base))
        for start in range(0, samples, step):
            if self.wrong(case, *self.choices(rng, min(step, samples - start))):
                raise RejectedError("a sample is not answered by the join of its blocks")
        return samples

    def proved(self, case: Case, way: str) -> str:
        """How the join was proved, in words; RejectedError where it does not hold."""
        match way:
            case "words":
                for hers, his in gadget_joins.all_choices(self.table.shape, len(self.hers)):
                    if self.wrong(case, hers, his):
                        raise RejectedError("an input is not answered by the join of its blocks")
                return "all their words"
            case "reading":
                reading = case.task.reading(case.n, self.query)
                n, vocabulary = len(self.base), case.task.domain(case.n).vocabulary
                if reading is None or len(reading.order) != n or reading.transitions.shape[1] < vocabulary:
                    raise UnknownError(f"task {case.task.name} has no automaton here that reads every position")
                gadget_joins.by_reading(self, reading)
                return "its automaton, block by block"
            case "circuit":
                gates = case.task.circuit(case.n)
                if gates is None or case.task.queries(case.n) != (self.query,):
                    raise UnknownError(f"task {case.task.name} is not defined by a circuit")
                if self.value not in (0, 1):
                    raise RejectedError("a circuit answers 0 or 1")
                gadget_joins.by_circuit(self, gates)
                return "its circuit, block by block"
        raise InputError(f"by {way!r} is none of words, reading, circuit")
