"""Quantised networks: every number an integer, every rounding point named, so that each output bit is defined.

Rows hold d numbers of one fixed-point format, stored as integers m with low <= m <= high; all weights are integers
over powers of two. "Rounded" means to the nearest integer, ties to even, then clipped to low..high. This is the fused
schedule: sums of products are exact, and rounding happens only where a layer says so:
* attention rounds the scores to `score_bits` codes and, per head, the quotient numerator / denominator;
* `Mix` (several heads, a residual) rounds once more; a ReLU layer rounds its hidden units and its output.
Plain NumPy integers; `depth` compiles the same specification to a circuit without using this file's evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from separatrix.core.errors import InputError
from separatrix.numbers import FixedFormat


@dataclass(frozen=True, eq=False)
class Scores:
    """Attention weights from integer scores S_ij = sum_ab score[i, j, a, b] x_ia x_jb.

    Attributes:
        score: (n, n, d, d) integers.
        shift, low, table: softmax rounds S / 2^shift to a code in low .. low + len(table) - 1, whose weight is
            table[code - low] >= 1 (the exponential). Hard attention compares the S themselves and needs none.
    """

    score: np.ndarray
    shift: int = 0
    low: int = 0
    table: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Heads:
    """One attention layer. Head h gives round(sum_a value[h][a, c] N_a / (2^value_shift Z)), N_a = sum_j w_ij x_ja.

    Attributes:
        scores: one a head; value: one (d, e) integer matrix a head.
        weights: `softmax`; `average-hard` (uniform over the greatest scores); `unique-hard` (the leftmost of them).
        mask: (n, n) whether row i reads j; every row reads something.
        mix: (heads, e, d) integers, or None for a single head with e = d and no residual. With it the layer's output is
            round((sum_h head_h mix_h + residual * 2^mix_shift x) / 2^mix_shift).
    """

    scores: tuple[Scores, ...]
    value: tuple[np.ndarray, ...]
    value_shift: int
    mask: np.ndarray
    weights: Literal["softmax", "average-hard", "unique-hard"] = "softmax"
    mix: np.ndarray | None = None
    mix_shift: int = 0
    residual: bool = False


@dataclass(frozen=True, eq=False)
class Map:
    """round((x weight + bias) / 2^shift), weight (d, e); with `relu` clipped to 0..high instead of low..high.

    `out`, where given, is a second map from the hidden units; `residual` then adds x before its rounding.
    """

    weight: np.ndarray
    bias: np.ndarray
    shift: int = 0
    relu: bool = False
    out: Map | None = None
    residual: bool = False


@dataclass(frozen=True, eq=False)
class Normalise:
    """round(gain_c t / sqrt(d q + eps) / 2^shift + bias_c), t = d x_c - sum x, q = d sum x^2 - (sum x)^2.

    t / sqrt(q) is (x - mean) / standard deviation; eps >= 1 stands for d^2 times the usual one, in units of the grid.
    The quotient is compared exactly: no square root is taken.
    """

    gain: np.ndarray
    bias: np.ndarray
    shift: int
    eps: int


@dataclass(frozen=True, eq=False)
class Embedding:
    """Row i starts as table[i, token_i] (n, symbols, d); tokens beyond the last symbol read as the last."""

    table: np.ndarray


@dataclass(frozen=True, eq=False)
class Quantised:
    """A network of n rows of width d in one format.

    Attributes:
        numbers: the format of every stored row.
        embedding: where given, the input is one token a row; otherwise it is the d numbers of each row.
        queries: rows that are output (all by default).
        readout: (d, classes) and (classes,) integers; the outputs are then the logits x W + b, exactly.
    """

    n: int
    d: int
    numbers: FixedFormat
    layers: tuple[Heads | Map | Normalise, ...]
    embedding: Embedding | None = None
    queries: tuple[int, ...] | None = None
    readout: tuple[np.ndarray, np.ndarray] | None = None
    name: str = field(default="network")

    def __post_init__(self) -> None:
        if self.numbers.bits > 12:
            raise InputError(
                f"{self.numbers}: thermometers of 2^{self.numbers.bits} steps; at most 12 bits are compiled"
            )
        for layer in self.layers:
            if isinstance(layer, Heads):
                if not layer.mask.any(axis=1).all():
                    raise InputError("a row of the mask is empty: attention has nothing to read there")
                if layer.weights == "softmax" and any(not s.table or min(s.table) < 1 for s in layer.scores):
                    raise InputError("softmax needs an exponential table of positive integers for every head")
                if layer.mix is None and (len(layer.scores) > 1 or layer.residual):
                    raise InputError("several heads or a residual need a mix that says how they are added")
            elif isinstance(layer, Normalise) and layer.eps < 1:
                raise InputError(
                    f"layer normalisation with eps {layer.eps}: a positive integer keeps the quotient finite"
                )

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows that are output."""
        return tuple(range(self.n)) if self.queries is None else self.queries

    @property
    def symbol_bits(self) -> int:
        """Input bits of one token."""
        assert self.embedding is not None
        return max(1, (self.embedding.table.shape[1] - 1).bit_length())

    @property
    def input_bits(self) -> int:
        """Input wires of the circuit: bits of tokens, or of m - low for every number, lowest first."""
        return self.n * (self.symbol_bits if self.embedding else self.d * self.numbers.bits)

    def numbers_of(self, bits: np.ndarray) -> np.ndarray:
        """(lanes, input_bits) -> tokens (lanes, n) or numbers (lanes, n, d)."""
        width = self.symbol_bits if self.embedding else self.numbers.bits
        codes = np.asarray(bits, dtype=np.int64).reshape(len(bits), -1, width) @ (1 << np.arange(width))
        return codes if self.embedding else codes.reshape(-1, self.n, self.d) + self.numbers.low

    def bits_of(self, values: np.ndarray) -> np.ndarray:
        """Inverse of `numbers_of`."""
        width = self.symbol_bits if self.embedding else self.numbers.bits
        codes = np.asarray(values, dtype=np.int64) - (0 if self.embedding else self.numbers.low)
        return (codes[..., None] >> np.arange(width) & 1).reshape(len(codes), -1)


def run(network: Quantised, values: np.ndarray) -> np.ndarray:
    """Numbers (lanes, queries, d), or logits (lanes, queries, classes), of inputs as `numbers_of` gives them."""
    if network.embedding is not None:
        table = network.embedding.table
        x = table[np.arange(network.n), np.minimum(values, table.shape[1] - 1)]
    else:
        x = np.asarray(values, dtype=np.int64)
    for layer in network.layers:
        if isinstance(layer, Heads):
            x = _attend(network.numbers, layer, x)
        elif isinstance(layer, Map):
            x = _map(network.numbers, layer, x)
        else:
            x = _normalise(network.numbers, layer, x)
    x = x[:, list(network.rows)]
    return x if network.readout is None else x @ network.readout[0] + network.readout[1]


def divide(numerator: np.ndarray, denominator: np.ndarray | int) -> np.ndarray:
    """Nearest integers to quotients of integers (denominator > 0), ties to even."""
    quotient, rest = np.divmod(numerator, denominator)
    up = (2 * rest > denominator) | ((2 * rest == denominator) & (quotient % 2 == 1))
    return quotient + up


def _attend(numbers: FixedFormat, layer: Heads, x: np.ndarray) -> np.ndarray:
    outs = []
    for one, value in zip(layer.scores, layer.value, strict=True):
        s = np.einsum("lia,ijab,ljb->lij", x, one.score, x, optimize=True)
        if layer.weights == "softmax":
            code = np.clip(divide(s, 1 << one.shift), one.low, one.low + len(one.table) - 1) - one.low
            weight = np.where(layer.mask, np.array(one.table)[code], 0)
        else:
            least = int(s.min()) - 1
            s = np.where(layer.mask, s, least)
            weight = (s == s.max(axis=2, keepdims=True)).astype(np.int64)
            if layer.weights == "unique-hard":
                weight *= np.cumsum(weight, axis=2) == 1
        numerator = np.einsum("lij,lja,ac->lic", weight, x, value, optimize=True)
        whole = weight.sum(axis=2, keepdims=True) << layer.value_shift
        outs.append(np.clip(divide(numerator, whole), numbers.low, numbers.high))
    if layer.mix is None:
        return outs[0]
    total = sum(out @ mix for out, mix in zip(outs, layer.mix, strict=True))
    if layer.residual:
        total = total + (x << layer.mix_shift)
    return np.clip(divide(np.asarray(total), 1 << layer.mix_shift), numbers.low, numbers.high)


def _map(numbers: FixedFormat, layer: Map, x: np.ndarray, extra: np.ndarray | None = None) -> np.ndarray:
    total = x @ layer.weight + layer.bias
    if layer.out is None and layer.residual:
        extra = x
    if extra is not None:
        total = total + (extra << layer.shift)
    out = np.clip(divide(total, 1 << layer.shift), 0 if layer.relu else numbers.low, numbers.high)
    return out if layer.out is None else _map(numbers, layer.out, out, x if layer.residual else None)


def _normalise(numbers: FixedFormat, layer: Normalise, x: np.ndarray) -> np.ndarray:
    d = x.shape[-1]
    total = x.sum(axis=-1, keepdims=True)
    t = d * x - total
    q = d * (x * x).sum(axis=-1, keepdims=True) - total * total + layer.eps
    out = np.full(x.shape, numbers.low, dtype=np.int64)
    for k in range(numbers.low + 1, numbers.high + 1):  # round(..) >= k, by squares
        # gain t / sqrt(q) / 2^shift + bias >= k - 1/2, the tie only for even k
        left = 2 * layer.gain * t
        right = (2 * (k - layer.bias) - 1) << layer.shift
        squares = left * left - right * right * q
        above = np.where(left >= 0, squares > 0, squares < 0) | ((left >= 0) & (right < 0))
        above = np.where((left < 0) & (right >= 0), False, above)
        tie = (squares == 0) & ((left >= 0) == (right >= 0))
        out = out + (above | (tie & (k % 2 == 0)))
    return out
