"""What the kinds that state `needs` share: the amount claimed, logarithms rounded down, arrays and legal symbols."""

from __future__ import annotations

import math
from collections.abc import Sequence as Items
from fractions import Fraction

import numpy as np

from separatrix.core.domain import PointerSets, RealAnswer, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case

MOST_POSITIONS = 2**20  # longer inputs are not opened
MOST_ENTRIES = 2**26  # of one array of evidence
SLACK = Fraction(1, 2**32)  # what a task's own float64 answers and coefficients may be off by, for numbers up to 1


def claimed(case: Case, arch: str, measure: str) -> Fraction:
    """The amount in the claim: a canonical hex float, finite and not negative, about `measure` of `arch`."""
    claim = case.claim
    if claim.arch != arch or claim.measure != measure:
        raise RejectedError(f"this certificate is about {measure} of {arch}, not {claim.measure} of {claim.arch}")
    try:
        value = float.fromhex(claim.bound)
    except (ValueError, OverflowError):
        raise InputError(f"bound {claim.bound!r} is not a hex-float string") from None
    if not math.isfinite(value) or math.copysign(1.0, value) < 0 or value.hex() != claim.bound:
        raise InputError(f"bound {claim.bound!r} is not the canonical hex form of a finite number from 0 on")
    return Fraction(value)


def require(claim: Fraction, amount: Fraction, what: str) -> None:
    """RejectedError unless claim <= amount (which was rounded down)."""
    if claim > amount:
        raise RejectedError(f"the claim is {float(claim):.12g}, the evidence shows {shown(amount)} {what}")


def shown(amount: Fraction) -> str:
    """The amount for a sentence, never above it: whole, or cut off after 6 decimals.

    >>> shown(Fraction(7)), shown(Fraction(2, 3))
    ('7', '0.666666')
    """
    whole, rest = divmod(amount.numerator * 10**6 // amount.denominator, 10**6)
    return str(whole) if amount.denominator == 1 else f"{whole}.{rest:06d}"


def log2_low(count: int) -> Fraction:
    """A rational below log2(count) by less than 2^-60, exact for powers of two.

    log2 x = (bit + log2(x^2 / 2^bit)) / 2 with bit = [x^2 >= 2]; every x is rounded down, and so is the result.
    """
    if count < 1:
        raise ValueError("log2 of a number below 1")
    whole = count.bit_length() - 1
    x = (count << 160) >> whole  # count / 2^whole, in [1, 2)
    bits = 0
    for _ in range(64):
        x = (x * x) >> 160
        bits <<= 1
        if x >> 161:
            x >>= 1
            bits |= 1
    return whole + Fraction(bits, 2**64)


def named_arrays(case: Case, *names: str) -> None:
    """InputError unless the evidence has exactly these arrays."""
    if set(case.arrays) != set(names):
        raise InputError(f"the evidence must have the arrays {', '.join(names) or 'none'} and no other")


def integers(case: Case, name: str, *shape: int | None) -> np.ndarray:
    """The int64 array `name` of the evidence; None in `shape` leaves a dimension open; InputError otherwise."""
    array = case.arrays[name]
    fits = array.ndim == len(shape) and all(s is None or s == t for s, t in zip(shape, array.shape, strict=True))
    if array.dtype.name not in ("int64", "int32") or not fits or array.size > MOST_ENTRIES:
        wanted = " x ".join("any" if s is None else str(s) for s in shape)
        raise InputError(f"array {name} must hold integers, {wanted}; it is {array.dtype} of shape {array.shape}")
    if array.size and max(-int(array.min()), int(array.max())) > 2**60:  # differences must not wrap around
        raise InputError(f"array {name} holds a number beyond 2^60")
    return array.astype(np.int64)


def open_domain(case: Case) -> Sequence:
    """The task's domain, a product of one length; UnknownError for others and for very long inputs."""
    if case.n > MOST_POSITIONS:
        raise UnknownError(f"inputs of more than {MOST_POSITIONS} positions are not checked")
    domain = case.task.domain(case.n)
    if domain.constraint.kind != "product" or domain.lengths:
        raise UnknownError("bounds are checked on product domains of one length")
    return domain


def averages(case: Case, domain: Sequence) -> tuple[PointerSets, RealAnswer]:
    """(pointer sets of every token, answers) of a task whose real parts hold t e_1 for |t| <= 1; else UnknownError."""
    outputs, reals, kinds = case.task.outputs(), domain.reals, numbered(domain.alphabets)[1]
    sets = kinds[0]
    if not isinstance(outputs, RealAnswer) or not isinstance(sets, PointerSets) or any(a != sets for a in kinds[1:]):
        raise UnknownError("this argument is about real answers of tokens that are pointer sets")
    if reals is None or reals.dim != outputs.dim or sets.n != domain.positions:
        raise UnknownError("every token must point at all positions, and carry real parts like the answer")
    if not reals.holds_unit:
        raise UnknownError("the real parts of this task do not hold [-1, 1]")
    return sets, outputs


def cut_of(cut: int, domain: Sequence) -> int:
    """`cut`, if both sides hold a position; Alice holds the positions before it."""
    if not 0 < cut < domain.positions:
        raise InputError(f"cut {cut} must leave a position on both sides of {domain.positions}")
    return cut


def numbered(alphabets: Items[object]) -> tuple[np.ndarray, list[object]]:
    """(positions,) the number of each position's alphabet, and the distinct alphabet objects by number."""
    numbers: dict[int, int] = {}
    kinds = np.fromiter((numbers.setdefault(id(a), len(numbers)) for a in alphabets), np.int64, len(alphabets))
    _, first = np.unique(kinds, return_index=True)
    return kinds, [alphabets[int(i)] for i in first]


def inside(alphabets: Items[object], places: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """(k,) whether symbols[i] (an id, or a row of pointers) belongs to the alphabet of position places[i]."""
    kinds, distinct = numbered(alphabets)
    fine = np.zeros(len(places), dtype=bool)
    for number, alphabet in enumerate(distinct):
        here = kinds[places] == number
        rows = symbols[here]
        if isinstance(alphabet, PointerSets):
            if rows.ndim == 2 and rows.shape[1] == alphabet.size:
                rising = (np.diff(rows, axis=1) > 0).all(axis=1)
                fine[here] = rising & (rows[:, 0] >= 0) & (rows[:, -1] < alphabet.n)
        elif rows.ndim == 1:
            fine[here] = np.isin(rows, np.asarray(alphabet))
    return fine


def require_legal(domain: Sequence, start: int, tokens: np.ndarray, what: str) -> None:
    """RejectedError unless every row of `tokens` (rows, columns[, q]) is legal at the positions from `start` on."""
    rows, columns = tokens.shape[:2]
    places = np.tile(np.arange(start, start + columns), rows)
    if not inside(domain.alphabets, places, tokens.reshape(rows * columns, *tokens.shape[2:])).all():
        raise RejectedError(f"a symbol of {what} is not legal at its position")
