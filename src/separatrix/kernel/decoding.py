"""Certificate kind `decoding` (statistical): Bob guesses random bits of Alice's from the answers.

Alice's k-th position holds low_k or high_k by a fair bit of its own, everything else a base word; for the k-th bit Bob
makes his changes to the base word and guesses 1 iff the answer at his query is `value_k` (real answers: iff the first
coordinate is above `threshold_k`; a guess within eps of it counts as wrong). If the guesses are wrong with mean
probability e over k and all bits, a message after which Bob answers right carries at least

    I(bits; message) >= sum_k (1 - h(e_k)) >= d (1 - h(e)),   e <= 1/2,   h the binary entropy

(Fano; random access codes: Ambainis, Nayak, Ta-Shma, Vazirani 1999), since the bits are independent and h is concave. A
model that errs on a fraction eps of these inputs carries at least d (1 - h(e + eps)). The kernel draws its own sample
from the system's entropy, after everything else is fixed, and bounds e from above with failure probability delta
(Chernoff: P(Bin(S, e) <= k) <= exp(-S KL(k/S, e))). An input that is not legal counts as a wrong guess.

Claims: `state` of `rnn` (field `cut`) and `one-way` of `transformer` (one query, whose token never changes).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Labels, PointerSets, RealAnswer, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import MOST_POSITIONS, claimed, inside, integers, named_arrays, shown

MOST_SAMPLES = 2**20
MOST_WORK = 2**33  # symbols that are given to the task
BLOCK = 2**22  # of them at a time
MOST_DELTA = 1e-6


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    return decide(case, shown_bits)


def decide(case: Case, bits: Callable[[int, int, float, int], tuple[float, float]]) -> str:
    """The same, with another way to bound the bits (see `shown_bits`)."""
    target = (case.claim.arch, case.claim.measure)
    if target not in (("rnn", "state"), ("transformer", "one-way")):
        raise RejectedError(f"this kind says nothing about {target[1]} of {target[0]}")
    amount, state = claimed(case, *target), target[1] == "state"
    samples, text, *cut = case.fields(samples=int, delta=str, **({"cut": int} if state else {}))
    delta = delta_of(text)
    code = Code.of(case)
    if not 1 <= samples <= MOST_SAMPLES or samples * len(code.base) > MOST_WORK:
        raise InputError(f"samples = {samples} inputs of {len(code.base)} positions; take 1 to {MOST_SAMPLES}")
    if state:
        code.require_cut(cut[0])
    else:
        code.require_common_query()
    wrong = code.wrong_guesses(case, samples)
    d = len(code.positions)
    e, shows = bits(wrong, samples, delta, d)
    if not float(amount) <= shows:
        raise RejectedError(
            f"the claim is {float(amount):.12g}, {wrong} wrong guesses of {samples} show {shows:.6g} bits"
        )
    who = (
        f"every recurrent model (any transition, one pass) that answers {case.where} right after cut {cut[0]} carries"
        if state
        else f"whoever holds these {d} positions of {case.where} sends"
    )
    return (
        f"{who} at least {shown(amount)} bits ({d} random bits are guessed with an error of at most {e:.3g}, by "
        f"{samples} fresh samples; where a fraction x of the answers is wrong, {d} (1 - h({e:.3g} + x)))"
    )


def shown_bits(wrong: int, samples: int, delta: float, d: int) -> tuple[float, float]:
    """(greatest error of a guess but for probability delta, bits that d guesses with it show): Fano's inequality."""
    e = upper(wrong, samples, delta)
    return e, d * max(0.0, 1.0 - entropy(e)) * (1.0 - 2.0**-40) if e < 0.5 else 0.0


def delta_of(text: str) -> float:
    """The failure probability, a canonical hex float up to 1e-6; InputError otherwise."""
    try:
        value = float.fromhex(text)
    except (ValueError, OverflowError):
        raise InputError(f"delta {text!r} is not a hex-float string") from None
    if not 2.0**-200 <= value <= MOST_DELTA or value.hex() != text:
        raise InputError(f"delta {text!r} must be the canonical hex form of a number up to {MOST_DELTA:g}")
    return value


def upper(wrong: int, samples: int, delta: float) -> float:
    """An upper bound of a probability that holds but with probability delta, after so many hits; 1 for all."""
    share = wrong / samples
    if wrong >= samples:
        return 1.0
    low, high = share, 1.0
    for _ in range(200):
        e = (low + high) / 2
        if e in (low, high):
            break
        gap = (1 - share) * (math.log(1 - share) - math.log1p(-e)) if e < 1 else math.inf
        gap += share * math.log(share / e) if wrong else 0.0
        if samples * gap * (1 - 2.0**-30) - 2.0**-20 < -math.log(delta):
            low = e
        else:
            high = e
    return min(1.0, high * (1 + 2.0**-30))


def entropy(e: float) -> float:
    """The binary entropy of e <= 1/2 in bits, from above."""
    if e <= 0.0:
        return 0.0
    return (-e * math.log2(e) - (1 - e) * math.log2(1 - e)) * (1 + 2.0**-40) + 2.0**-60


@dataclass(frozen=True, slots=True)
class Code:
    """How bits become inputs and answers become guesses, d bits in all.

    Attributes:
        positions (d,), increasing: Alice's. low, high (d,): her symbols for 0 and 1 (for real answers: signs of e_1).
        base: (positions,) or (positions, q) the base word; its entries at her positions do not matter.
        changes: (m, 2) bit and position; symbols: (m,) or (m, q) what Bob puts there, sorted by bit.
        queries (d,): his scored position; values (d,): the label, or the threshold, of his guess.
    """

    positions: np.ndarray
    low: np.ndarray
    high: np.ndarray
    base: np.ndarray
    changes: np.ndarray
    symbols: np.ndarray
    queries: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, case: Case) -> Code:
        """From the evidence; InputError or RejectedError where it is malformed."""
        if case.n > MOST_POSITIONS:
            raise UnknownError(f"inputs of more than {MOST_POSITIONS} positions are not checked")
        domain, outputs, reals = case.task.domain(case.n), case.task.outputs(), case.task.domain(case.n).reals
        if reals is not None and not reals.holds_unit:
            raise UnknownError("the real parts of this task do not hold [-1, 1]")
        if domain.lengths or (reals is None) != isinstance(outputs, Labels):
            raise UnknownError("decoding is for words of one length: labels of symbols, or real answers of real parts")
        named_arrays(case, "positions", "low", "high", "base", "changes", "symbols", "queries", "values")
        n, q = domain.positions, [a.size for a in domain.alphabets[:1] if isinstance(a, PointerSets)]
        positions, changes = integers(case, "positions", None), integers(case, "changes", None, 2)
        d, m = len(positions), len(changes)
        real = isinstance(outputs, RealAnswer)
        low, high, queries = (integers(case, name, d) for name in ("low", "high", "queries"))
        base, symbols = integers(case, "base", n, *q), integers(case, "symbols", m, *q)
        values = case.arrays["values"] if real else integers(case, "values", d)
        if values.shape != (d,) or (real and (values.dtype != np.float64 or not np.isfinite(values).all())):
            raise InputError("values must hold one label, or one finite float64 threshold, a bit")
        code = cls(positions, low, high, base, changes, symbols, queries, values)
        code._require_form(case, domain, real)
        return code

    def _require_form(self, case: Case, domain: Sequence, real: bool) -> None:
        n, d = domain.positions, len(self.positions)
        if not d or self.positions[0] < 0 or self.positions[-1] >= n or (np.diff(self.positions) <= 0).any():
            raise InputError("positions must increase, and be there")
        bits, places = self.changes.T
        if (
            (np.diff(bits) < 0).any()
            or (bits < 0).any()
            or (bits >= d).any()
            or (places < 0).any()
            or (places >= n).any()
        ):
            raise InputError("changes must name a bit, increasing, and a position")
        if np.isin(places, self.positions).any():
            raise InputError("Bob changes a position of Alice's")
        if not set(self.queries.tolist()) <= set(case.task.queries(case.n)):
            raise RejectedError("a query is not a scored position")
        others = np.delete(np.arange(n), self.positions) if not real else np.arange(n)
        legal = (
            inside(domain.alphabets, others, self.base[others]).all()
            and inside(domain.alphabets, places, self.symbols).all()
        )
        if real:
            legal = legal and (np.abs(self.low) == 1).all() and (self.high == -self.low).all()
        else:
            legal = legal and all(inside(domain.alphabets, self.positions, s).all() for s in (self.low, self.high))
        if not legal:
            raise RejectedError("a symbol is not legal at its position")

    def require_cut(self, cut: int) -> None:
        """RejectedError unless Alice stands before the cut, and Bob's changes and queries after it."""
        places = self.changes[:, 1]
        if (
            not 0 < cut < len(self.base)
            or self.positions[-1] >= cut
            or (places < cut).any()
            or (self.queries < cut).any()
        ):
            raise RejectedError("Alice must stand before the cut, and Bob's changes and queries after it")

    def require_common_query(self) -> None:
        """RejectedError unless one position is asked, whose token is common knowledge."""
        query = self.queries[0]
        if (self.queries != query).any() or (self.changes[:, 1] == query).any() or (self.positions == query).any():
            raise RejectedError("the token at the query must be known to both")

    def wrong_guesses(self, case: Case, samples: int) -> int:
        """How many of so many fresh guesses are wrong."""
        rng, n, d = np.random.default_rng(), len(self.base), len(self.positions)
        domain, outputs = case.task.domain(case.n), case.task.outputs()
        first = np.searchsorted(self.changes[:, 0], np.arange(d + 1))
        column = {query: i for i, query in enumerate(case.task.queries(case.n))}
        step, wrong = max(1, BLOCK // (self.base.size + domain.vocabulary)), 0
        for start in range(0, samples, step):
            size = min(step, samples - start)
            asked = rng.integers(0, d, size)
            bits = rng.integers(0, 2, (size, d), dtype=np.int8) == 1
            tokens, reals = np.repeat(self.base[None], size, axis=0), None
            counts = np.diff(first)[asked]
            rows = np.repeat(np.arange(size), counts)
            which = np.repeat(first[asked] - np.cumsum(counts) + counts, counts) + np.arange(len(rows))
            tokens[rows, self.changes[which, 1]] = self.symbols[which]
            hers = np.where(bits, self.high, self.low)
            if domain.reals is None:
                tokens[:, self.positions] = hers
            else:
                reals = np.zeros((size, n, domain.reals.dim))
                reals[:, self.positions, 0] = hers
            legal = (
                domain.constraint.holds(tokens) if domain.constraint.kind != "product" else np.ones(size, dtype=bool)
            )
            answer = case.task.answer(tokens, reals)
            answer = answer[np.arange(size), [column[q] for q in self.queries[asked].tolist()]]
            truth = bits[np.arange(size), asked]
            if isinstance(outputs, Labels):
                right = (answer == self.values[asked]) == truth
            else:
                side = answer[:, 0] - self.values[asked]
                right = np.where(truth, side, -side) > outputs.eps + 2.0**-28
            wrong += int(np.count_nonzero(~(right & legal)))
            case.progress(f"{start + size} of {samples} samples")
        return wrong
