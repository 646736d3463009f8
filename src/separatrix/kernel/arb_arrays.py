"""NumPy arrays whose entries are Arb balls: elementwise functions, least entries, matrix products, and precisions.

Every operation encloses, so code on these arrays reads like the mathematics it checks: there are no error terms to add
up. An entry may be wide (a set of reals) or a point; one that is not finite encloses everything and proves nothing.
python-flint is imported inside functions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from separatrix.core.errors import UnknownError
from separatrix.kernel.arb_nets import BITS, precision

Arbs = np.ndarray  # of dtype object: flint.arb
Found = TypeVar("Found")


class Undecided(Exception):
    """The present precision does not tell; a sentence says what."""


def at_some_precision(check: Callable[[], Found], all_bits: tuple[int, ...] = BITS) -> Found:
    """`check` with more and more bits, until it does not raise Undecided; UnknownError where the last ones do."""
    why = ""
    for bits in all_bits:
        try:
            with precision(bits):
                return check()
        except Undecided as error:
            why = str(error)
    raise UnknownError(f"{why}: not decided with {all_bits[-1]} bits")


def decide(positive: object, wrong: object, why: str) -> bool:
    """Whether something is proved; False where the contrary is; Undecided with the sentence `why` elsewhere."""
    if positive:
        return True
    if wrong:
        return False
    raise Undecided(why)


@functools.cache
def _functions() -> dict[str, Any]:
    from flint import arb

    one: dict[str, Callable[[Any], Any]] = {
        "arb": arb,
        "exp": lambda x: x.exp(),
        "low": lambda x: x.lower(),
        "high": lambda x: x.upper(),
        "size": lambda x: abs(x),
        "relu": lambda x: x.max(arb(0)),
        "sqrt": lambda x: x.sqrt(),
        "mid": lambda x: float(x.mid()),
        "rad": lambda x: float(x.rad()),
        "finite": lambda x: x.is_finite(),
    }
    two: dict[str, Callable[[Any, Any], Any]] = {
        "least": lambda x, y: x.min(y),
        "greatest": lambda x, y: x.max(y),
        "hull": lambda x, y: x.union(y),
    }
    made = {name: np.frompyfunc(f, 1, 1) for name, f in one.items()}
    return made | {name: np.frompyfunc(f, 2, 1) for name, f in two.items()}


def arbs(values: np.ndarray | float) -> Arbs:
    """The same numbers, exactly (integers of more bits than the precision as balls)."""
    return _functions()["arb"](np.asarray(values).astype(object))


def exp(x: Arbs) -> Arbs:
    """e^x."""
    return _functions()["exp"](x)


def relu(x: Arbs) -> Arbs:
    """max(x, 0)."""
    return _functions()["relu"](x)


def sqrt(x: Arbs) -> Arbs:
    """The root; NaN where a ball holds a negative number."""
    return _functions()["sqrt"](x)


def size(x: Arbs) -> Arbs:
    """|x|."""
    return _functions()["size"](x)


def low(x: Arbs) -> Arbs:
    """The lower ends, as points."""
    return _functions()["low"](x)


def high(x: Arbs) -> Arbs:
    """The upper ends, as points."""
    return _functions()["high"](x)


def mid(x: Arbs) -> np.ndarray:
    """The centres, rounded to floats: for choices that may be anything."""
    return _functions()["mid"](x).astype(np.float64)


def rad(x: Arbs) -> np.ndarray:
    """The radii, rounded to floats: for choices that may be anything."""
    return _functions()["rad"](x).astype(np.float64)


def finite(x: Arbs) -> np.ndarray:
    """Where a ball is bounded."""
    return _functions()["finite"](x).astype(bool)


def least(x: Arbs, axis: int = -1) -> Any:
    """Least entries along an axis of at least one; NaN where one is."""
    return _functions()["least"].reduce(x, axis=axis)


def greatest(x: Arbs, axis: int = -1) -> Any:
    """Greatest entries along an axis of at least one; NaN where one is."""
    return _functions()["greatest"].reduce(x, axis=axis)


def smaller(x: Arbs, y: Arbs) -> Arbs:
    """min(x, y), entry by entry."""
    return _functions()["least"](x, y)


def larger(x: Arbs, y: Arbs) -> Arbs:
    """max(x, y), entry by entry."""
    return _functions()["greatest"](x, y)


def between(x: Arbs, y: Arbs) -> Arbs:
    """Balls that hold x, y and all that lies between them."""
    return _functions()["hull"](x, y)


def around(x: Arbs, axis: int = 0) -> Arbs:
    """Balls that hold all entries along an axis of at least one."""
    return _functions()["hull"].reduce(x, axis=axis)


def total(x: Arbs, axis: int = -1) -> Any:
    """Sums along an axis; 0 where it is empty."""
    return x.sum(axis=axis, initial=zero())


def dot(a: Arbs, b: Arbs) -> Arbs:
    """(.., n, k) times (k, m), or (k,); exact zeros stay zeros."""
    from flint import arb_mat

    shape = (*a.shape[:-1], *b.shape[1:])
    if not (a.size and b.size):
        return zeros(*shape)
    rows, columns = a.reshape(-1, a.shape[-1]), b.reshape(len(b), -1)
    product = arb_mat(*rows.shape, list(rows.flat)) * arb_mat(*columns.shape, list(columns.flat))
    return np.array(product.entries(), dtype=object).reshape(shape)


def zero() -> Any:
    """The number 0."""
    from flint import arb

    return arb(0)


def infinity() -> Any:
    """+infinity, a point."""
    from flint import arb

    return arb(float("inf"))


def zeros(*shape: int) -> Arbs:
    """An array of zeros."""
    return np.full(shape, zero(), dtype=object)
