"""What a node computes in a round: piecewise linear functions of its own words and of what it received.

Expressions are built from `own(word)` and `received(lane)` by +, -, numbers, and `relu`, `maximum`, `minimum`,
`absolute`, `select`; they are values, equal when written equally.

>>> str(minimum(own(0), received(0)))
'own[0] - relu(own[0] - received[0])'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Read = Callable[["Leaf"], np.ndarray]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A word of the node's own memory, or the word that a lane delivered."""

    kind: str
    index: int

    def __str__(self) -> str:
        return f"{self.kind}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Relu:
    """max(argument, 0)."""

    argument: Expression

    def __str__(self) -> str:
        return f"relu({self.argument})"


Atom = Leaf | Relu


@dataclass(frozen=True, slots=True)
class Expression:
    """constant + sum of coefficient * atom, every atom at most once and no coefficient 0."""

    terms: tuple[tuple[Atom, float], ...]
    constant: float = 0.0

    def __add__(self, other: Expression | float) -> Expression:
        if not isinstance(other, Expression):
            return Expression(self.terms, self.constant + other)
        total = dict(self.terms)
        for atom, coefficient in other.terms:
            total[atom] = total.get(atom, 0.0) + coefficient
        return Expression(tuple((a, c) for a, c in total.items() if c), self.constant + other.constant)

    def __radd__(self, other: float) -> Expression:
        return self + other

    def __mul__(self, factor: float) -> Expression:
        return Expression(tuple((a, c * factor) for a, c in self.terms if c * factor), self.constant * factor)

    __rmul__ = __mul__

    def __neg__(self) -> Expression:
        return self * -1.0

    def __sub__(self, other: Expression | float) -> Expression:
        return self + (-other)

    def __rsub__(self, other: float) -> Expression:
        return -self + other

    def __str__(self) -> str:
        parts = [(("- " if c < 0 else "+ "), ("" if abs(c) == 1 else f"{abs(c):g} "), atom) for atom, c in self.terms]
        text = " ".join(f"{sign}{size}{atom}" for sign, size, atom in parts).removeprefix("+ ")
        if self.constant or not parts:
            text += f" + {self.constant:g}" if parts else f"{self.constant:g}"
        return text

    @property
    def depth(self) -> int:
        """Hidden layers that a ReLU net needs for it."""
        return max((1 + atom.argument.depth for atom, _ in self.terms if isinstance(atom, Relu)), default=0)

    def evaluate(self, read: Read) -> np.ndarray | float:
        """The value, given the value of every leaf."""
        total: np.ndarray | float = self.constant
        for atom, coefficient in self.terms:
            value = np.maximum(atom.argument.evaluate(read), 0.0) if isinstance(atom, Relu) else read(atom)
            total = total + coefficient * value
        return total


def own(word: int) -> Expression:
    """The node's own word."""
    return Expression(((Leaf("own", word), 1.0),))


def received(lane: int) -> Expression:
    """What the lane delivered this round."""
    return Expression(((Leaf("received", lane), 1.0),))


def relu(x: Expression) -> Expression:
    """max(x, 0)."""
    return Expression(((Relu(x), 1.0),)) if x.terms else Expression((), max(x.constant, 0.0))


def maximum(x: Expression, y: Expression) -> Expression:
    """The larger of two."""
    return x + relu(y - x)


def minimum(x: Expression, y: Expression) -> Expression:
    """The smaller of two."""
    return x - relu(x - y)


def absolute(x: Expression) -> Expression:
    """|x|."""
    return relu(x) + relu(-x)


def select(bit: Expression, one: Expression, zero: Expression, bound: float) -> Expression:
    """`one` where the bit is 1, `zero` where it is 0; exact for |one|, |zero| <= bound and bits that are 0 or 1.

    Fixed routing needs no bound; routing by data does, since a ReLU net is piecewise linear.
    """

    def gate(value: Expression, open_: Expression) -> Expression:
        closed = bound * (1.0 - open_)
        return relu(value - closed) - relu(-value - closed)

    return gate(one, bit) + gate(zero, 1.0 - bit)


@dataclass(frozen=True, slots=True)
class ReluNet:
    """weights[k] (in, out) and biases[k] (out,): x -> relu(x W + b) layer by layer, the last without ReLU."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    @property
    def hidden(self) -> tuple[int, ...]:
        """Hidden widths."""
        return tuple(len(bias) for bias in self.biases[:-1])


def compile_net(outputs: Sequence[Expression], column: Callable[[Leaf], int], inputs: int) -> ReluNet:
    """The ReLU net that computes `outputs` from a row of `inputs` numbers, `column` of which holds a leaf.

    Hidden layer t holds the ReLUs of depth t that are needed, and carries whatever later layers still read: a ReLU as
    it is, a leaf x as relu(x) and relu(-x). Bias-free, hence positively homogeneous, where no constant stands.
    """
    depth = max(1, *(e.depth for e in outputs))
    needed: list[set[Atom]] = [set() for _ in range(depth + 2)]  # needed[t]: atoms read by level t
    needed[depth + 1] = {atom for e in outputs for atom, _ in e.terms}
    for t in range(depth, 0, -1):
        for atom in needed[t + 1]:
            if isinstance(atom, Relu) and 1 + atom.argument.depth == t:
                needed[t] |= {a for a, _ in atom.argument.terms}
            else:
                needed[t].add(atom)
    rows: dict[Atom, np.ndarray] = {}
    for atom in needed[1]:
        assert isinstance(atom, Leaf), "a ReLU stands below its depth"
        rows[atom] = np.eye(inputs)[column(atom)]

    def affine(e: Expression, known: dict[Atom, np.ndarray], width: int) -> tuple[np.ndarray, float]:
        total = np.zeros(width)
        for atom, coefficient in e.terms:
            total = total + coefficient * known[atom]
        return total, e.constant

    weights, biases, width = [], [], inputs
    for t in range(1, depth + 1):
        columns: list[tuple[np.ndarray, float]] = []
        spans: dict[Atom, tuple[tuple[int, float], ...]] = {}
        for atom in sorted(needed[t + 1], key=str):
            if isinstance(atom, Relu) and 1 + atom.argument.depth == t:
                spans[atom] = ((len(columns), 1.0),)
                columns.append(affine(atom.argument, rows, width))
            elif isinstance(atom, Relu):
                spans[atom] = ((len(columns), 1.0),)
                columns.append((rows[atom], 0.0))
            else:
                spans[atom] = ((len(columns), 1.0), (len(columns) + 1, -1.0))
                columns += [(rows[atom], 0.0), (-rows[atom], 0.0)]
        if not columns:  # a constant: one idle unit
            columns.append((np.zeros(width), 0.0))
        weights.append(np.stack([c for c, _ in columns], axis=1))
        biases.append(np.array([b for _, b in columns]))
        width = len(columns)
        rows = {atom: sum((s * np.eye(width)[u] for u, s in span), np.zeros(width)) for atom, span in spans.items()}
    last = [affine(e, rows, width) for e in outputs]
    weights.append(np.stack([c for c, _ in last], axis=1))
    biases.append(np.array([b for _, b in last]))
    return ReluNet(tuple(weights), tuple(biases))
