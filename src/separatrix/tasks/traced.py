"""Own functions as circuits: a function of arrays is run once on symbols that are not known yet, and leaves its gates.

For one word of n symbols it gets a `Traced` array (1, n): bits for two symbols, otherwise letters, which compare with
numbers and with each other. Arrays take & | ^ ~ == != < <= > >=, any, all, sum(..) % 2, indexing, and np.where; the
result must be one bit. What asks an unknown bit for its value is no circuit, and says so.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.gates import Gates


class NoCircuitError(InputError):
    """The function is none of the gates that can be traced."""


@dataclass(frozen=True, slots=True)
class Bit:
    """A literal of a circuit."""

    gates: Gates
    literal: int

    def __bool__(self) -> bool:
        raise NoCircuitError("the function branches on a symbol of its input: it cannot be read as a circuit")


@dataclass(frozen=True, slots=True)
class Letter:
    """The unknown symbol of a position, one of `size`."""

    gates: Gates
    position: int
    size: int

    def __bool__(self) -> bool:
        raise NoCircuitError("the function branches on a symbol of its input: it cannot be read as a circuit")

    def among(self, fits: Callable[[int], bool]) -> Bit:
        """Whether the symbol is one of those that fit."""
        literals = [self.gates.is_symbol(self.position, s) for s in range(self.size) if fits(s)]
        return Bit(self.gates, self.gates.fold(self.gates.either, literals, 0))


COMPARED = {
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge,
}  # fmt: skip
BITWISE = {
    "bitwise_and": "and", "logical_and": "and", "multiply": "and", "bitwise_or": "or", "logical_or": "or",
    "bitwise_xor": "xor", "logical_xor": "xor",
}  # fmt: skip


class Traced:
    """An array of bits or letters. `cells` holds them as objects."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, gates: Gates, cells: np.ndarray) -> None:
        self.gates, self.cells = gates, cells

    shape = property(lambda self: self.cells.shape)
    ndim = property(lambda self: self.cells.ndim)
    size = property(lambda self: self.cells.size)
    T = property(lambda self: Traced(self.gates, self.cells.T))

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, key: Any) -> Traced:
        if any(isinstance(part, Traced) for part in (key if isinstance(key, tuple) else (key,))):
            raise NoCircuitError("the function looks up a place that its input names: it cannot be read as a circuit")
        found = self.cells[key]
        if not isinstance(found, np.ndarray):
            alone = np.empty((), dtype=object)
            alone[()] = found
            found = alone
        return Traced(self.gates, found)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        raise NoCircuitError("the function branches on a symbol of its input: it cannot be read as a circuit")

    def astype(self, _: Any) -> Traced:
        """Bits are bits."""
        return self

    def reshape(self, *shape: Any) -> Traced:
        """As NumPy does."""
        return Traced(self.gates, self.cells.reshape(*shape))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "reduce" and name in ("bitwise_and", "logical_and", "bitwise_or", "logical_or", "bitwise_xor"):
            return self._folded(BITWISE[name], options.get("axis", 0))
        if method == "__call__" and not options:
            if name in ("invert", "logical_not"):
                return self._each(lambda a: self._bit(a) ^ 1, inputs[0])
            if name in BITWISE:
                join = self._join(BITWISE[name])
                return self._each(lambda a, b: join(self._bit(a), self._bit(b)), *inputs)
            if name in COMPARED:
                return self._each(lambda a, b: self._compare(name, a, b), *inputs)
        raise NoCircuitError(f"np.{name} of symbols cannot be read as a circuit; there are & | ^ ~ == < and their like")

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        name = function.__name__
        if name in ("any", "all", "sum") and isinstance(args[0], Traced):
            return getattr(args[0], name)(*args[1:], **options)
        if name == "where" and len(args) == 3:
            gates = self.gates
            return self._each(
                lambda c, a, b: gates.either(
                    gates.both(self._bit(c), self._bit(a)), gates.both(self._bit(c) ^ 1, self._bit(b))
                ),
                *args,
            )
        raise NoCircuitError(f"np.{name} of symbols cannot be read as a circuit")

    def _each(self, make: Callable[..., int], *parts: Any) -> Traced:
        """`make` of the cells of arrays of one shape, side by side."""
        arrays = [part.cells if isinstance(part, Traced) else np.asarray(part, dtype=object) for part in parts]
        arrays = np.broadcast_arrays(*arrays)
        cells = np.empty(arrays[0].shape, dtype=object)
        for at in np.ndindex(cells.shape):
            cells[at] = Bit(self.gates, make(*(array[at] for array in arrays)))
        return Traced(self.gates, cells)

    def _bit(self, cell: Any) -> int:
        if isinstance(cell, Bit):
            return cell.literal
        if not isinstance(cell, Letter) and cell in (0, 1):
            return int(cell)
        raise NoCircuitError("& | ^ ~ and sums are for bits; compare symbols with == first")

    def _compare(self, name: str, a: Any, b: Any) -> int:
        test = COMPARED[name]
        if isinstance(a, Letter) and isinstance(b, Letter):
            gates = self.gates
            pairs = [(s, t) for s in range(a.size) for t in range(b.size) if test(s, t)]
            return gates.fold(
                gates.either,
                [gates.both(gates.is_symbol(a.position, s), gates.is_symbol(b.position, t)) for s, t in pairs],
                0,
            )
        if isinstance(a, Letter):
            return a.among(lambda s: test(s, int(b))).literal
        if isinstance(b, Letter):
            return b.among(lambda s: test(int(a), s)).literal
        gates, out = self.gates, 0
        one, other = (
            [(value, self._bit(cell) ^ (1 - value)) for value in (0, 1)] if isinstance(cell, Bit) else [(int(cell), 1)]
            for cell in (a, b)
        )
        for s, left in one:
            for t, right in other:
                if test(s, t):
                    out = gates.either(out, gates.both(left, right))
        return out

    def _join(self, how: str) -> Callable[[int, int], int]:
        return {"and": self.gates.both, "or": self.gates.either, "xor": self.gates.differ}[how]

    def _folded(self, how: str, axis: int | None) -> Traced:
        cells = self.cells.reshape(-1) if axis is None else np.moveaxis(self.cells, axis, -1)
        out = np.empty(cells.shape[:-1], dtype=object)
        for at in np.ndindex(out.shape):
            bits = [self._bit(cell) for cell in cells[at]]
            out[at] = Bit(self.gates, self.gates.fold(self._join(how), bits, 1 if how == "and" else 0))
        return Traced(self.gates, out)

    def any(self, axis: int | None = None) -> Traced:
        """Or along an axis."""
        return self._folded("or", axis)

    def all(self, axis: int | None = None) -> Traced:
        """And along an axis."""
        return self._folded("and", axis)

    def sum(self, axis: int | None = None) -> Total:
        """A sum of bits, of which only the parity is a circuit here."""
        return Total(self._folded("xor", axis))


for _symbol, _name in (
    ("and", "bitwise_and"), ("or", "bitwise_or"), ("xor", "bitwise_xor"), ("mul", "multiply"), ("eq", "equal"),
    ("ne", "not_equal"), ("lt", "less"), ("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal"),
):  # fmt: skip

    def _operator(name: str) -> Callable[..., Any]:
        return lambda self, other: self.__array_ufunc__(getattr(np, name), "__call__", self, other)

    def _reflected(name: str) -> Callable[..., Any]:
        return lambda self, other: self.__array_ufunc__(getattr(np, name), "__call__", other, self)

    setattr(Traced, f"__{_symbol}__", _operator(_name))
    if _symbol in ("and", "or", "xor", "mul"):
        setattr(Traced, f"__r{_symbol}__", _reflected(_name))
Traced.__invert__ = lambda self: self.__array_ufunc__(np.invert, "__call__", self)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of bits before it is taken modulo 2."""

    parity: Traced

    def __mod__(self, modulus: int) -> Traced:
        if modulus != 2:
            raise NoCircuitError(f"a sum of bits modulo {modulus} cannot be read as a circuit; modulo 2 can")
        return self.parity

    def __and__(self, mask: int) -> Traced:
        return self % (mask + 1)


def traced(function: Callable[..., Any], alphabet: int, n: int) -> Gates:
    """The circuit of a function of one word of n symbols; NoCircuitError where it is none."""
    gates = Gates()
    cells = np.empty((1, n), dtype=object)
    for p in range(n):
        cells[0, p] = Bit(gates, gates.is_symbol(p, 1)) if alphabet == 2 else Letter(gates, p, alphabet)
    try:
        value = function(Traced(gates, cells))
    except InputError:
        raise
    except Exception as error:
        raise NoCircuitError(f"the function cannot be read as a circuit: {type(error).__name__}: {error}") from error
    if not isinstance(value, Traced) or value.size != 1 or not isinstance(value.cells.reshape(-1)[0], Bit):
        raise NoCircuitError("the function does not return one bit a word: it cannot be read as a circuit")
    gates.root = value.cells.reshape(-1)[0].literal
    return gates
