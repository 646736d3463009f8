"""The integers of a quantised model: what `bits:` semantics makes of stored weights, exactly, with each rounding named.

Numbers of the stream are integers m, |m| < 2^(bits - 1), in units of 2^-fraction; weights are integers in units of
2^-weights. "Rounded" means to the nearest integer, ties to even; "clipped" to the least and greatest m. In order:

* Row j starts as the clipped rounding of token + position (the model's own blank, where it has one, comes last).
* Attention: for each head, A = the rounding of scale * W_Q W_K^T; S_ij = x_i A x_j; code_ij = the rounding of
  S_ij / 2^score_shift, clipped to `score_bits` bits; w_ij = table[code_ij - least code] where the mask lets i read j,
  else 0; head_i = clipped rounding of (sum_j w_ij x_j) V / (2^weights sum_j w_ij); the layer is the clipped rounding of
  (sum of heads times O + residual 2^weights x) / 2^weights.
* Feed-forward: h = rounding of (x W + b) / 2^weights clipped to 0 .. greatest; then the clipped rounding of
  (h W' + b' + residual 2^weights x) / 2^weights.
* Logits: x R + r, not rounded.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, Table
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.semantics import BitsSpec

EXACT = 2**53  # every sum that an evaluation forms stays below, so that float64 holds it exactly in any order
MOST_ENTRIES = 2**22


@dataclass(frozen=True, eq=False)
class IntegerAttention:
    """score (heads, d, d), value (heads, d, v), output (heads, v, d); table: weight of code code_low + k at k."""

    score: np.ndarray
    score_shift: int
    code_low: int
    table: np.ndarray
    value: np.ndarray
    output: np.ndarray
    shift: int
    causal: bool
    residual: bool


@dataclass(frozen=True, eq=False)
class IntegerFeed:
    """inner (d, hidden), out (hidden, d) and their biases, these in units of 2^-(fraction + weights)."""

    inner: np.ndarray
    inner_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray
    shift: int
    residual: bool


@dataclass(frozen=True, eq=False)
class IntegerNet:
    """rows[j, token] (positions, vocabulary, d) and blank (d,) or None; layers; readout (d, k) and (k,)."""

    low: int
    high: int
    rows: np.ndarray
    blank: np.ndarray | None
    layers: tuple[IntegerAttention | IntegerFeed, ...]
    readout: np.ndarray
    readout_bias: np.ndarray


def integer_net(arch: Arch, tensors: Mapping[str, np.ndarray], positions: int, spec: BitsSpec) -> IntegerNet:
    """The integers of a model on inputs of so many positions.

    UnknownError for first maps other than token tables, and where sums would leave 2^53.
    """
    if type(arch) is not Arch or type(arch.first) is not Table or arch.first.kind != "table":
        raise UnknownError("bits: semantics is for models that start from a token table")
    if not all(map(is_known, arch.layers)):
        raise UnknownError("bits: semantics is for softmax attention and ReLU layers without norms, none other")
    if arch.first.positions and positions > arch.first.positions:
        raise UnknownError("the input is longer than the model's table of positions")
    if positions * tensors["embed.token"].size > MOST_ENTRIES:
        raise UnknownError(f"{positions} positions are too many for bits: semantics at this width and vocabulary")
    low, high = -(2 ** (spec.bits - 1)), 2 ** (spec.bits - 1) - 1
    token = np.broadcast_to(tensors["embed.token"][None], (positions, *tensors["embed.token"].shape))
    entries = [token] + ([tensors["embed.position"][:positions, None]] if arch.first.positions else [])
    rows = clip(scaled_sum(entries, spec.fraction), low, high)
    blank = clip(scaled_sum([tensors["embed.blank"]], spec.fraction), low, high) if arch.blank else None
    layers = []
    for i, layer in enumerate(arch.layers):
        if isinstance(layer, Attention):
            part = {name: tensors[f"layers.{i}.{name}"] for name in ("query", "key", "value", "output")}
            layers.append(_attention(layer, part, arch.width, spec))
        else:
            inner, out = (scaled_sum([tensors[f"layers.{i}.{name}"]], spec.weights) for name in ("in", "out"))
            names, finer = (f"layers.{i}.in_bias", f"layers.{i}.out_bias"), spec.weights + spec.fraction
            first, second = (scaled_sum([tensors[name]], finer) for name in names)
            layers.append(IntegerFeed(inner, first, out, second, spec.weights, layer.residual))
    net = IntegerNet(
        low, high, rows, blank, tuple(layers), scaled_sum([tensors["readout.weight"]], spec.weights),
        scaled_sum([tensors["readout.bias"]], spec.weights + spec.fraction),
    )  # fmt: skip
    _require_exact(net, positions + arch.blank)
    return net


def is_known(layer: object) -> bool:
    """Whether the layer is one that the module's text describes, in every field; what is not known is refused."""
    if type(layer) is Attention:
        sizes = layer.heads, layer.key_width, layer.value_width
        plain = Attention(*sizes, mask=layer.mask, scale=layer.scale, residual=layer.residual)
        return layer == plain and layer.mask in ("none", "causal") and layer.weights == "softmax"
    if type(layer) is FeedForward:
        return layer == FeedForward(layer.hidden, residual=layer.residual) and layer.activation == "relu"
    return False


def _attention(layer: Attention, part: dict[str, np.ndarray], width: int, spec: BitsSpec) -> IntegerAttention:
    if layer.heads * width * width * layer.key_width > MOST_ENTRIES:
        raise UnknownError(f"score matrices of width {width} are too large to be multiplied out exactly")
    shift = 2 * spec.fraction + spec.weights - spec.score_fraction
    if shift < 0:
        raise InputError(f"scores:..{spec.score_fraction}: more fraction bits than the scores have; take fewer")
    code_low = -(2 ** (spec.score_bits - 1))
    return IntegerAttention(
        np.stack([_product(layer.scale, q, k, spec.weights) for q, k in zip(part["query"], part["key"], strict=True)]),
        shift, code_low, exponentials(spec), scaled_sum([part["value"]], spec.weights),
        scaled_sum([part["output"]], spec.weights), spec.weights, layer.mask == "causal", layer.residual,
    )  # fmt: skip


@lru_cache(maxsize=16)
def exponentials(spec: BitsSpec) -> np.ndarray:
    """(2^score_bits,) max(1, rounding of 2^exp_bits exp((code - greatest code) / 2^score_fraction)).

    Decimal's exp is correctly rounded to 80 digits; an irrational number so close to a tie has never been met and
    would be reported, not rounded.
    """
    top, context = 2 ** (spec.score_bits - 1) - 1, decimal.Context(prec=80)
    table = []
    for code in range(-top - 1, top + 1):
        power = context.exp(context.divide(decimal.Decimal(code - top), decimal.Decimal(2**spec.score_fraction)))
        value = context.multiply(power, decimal.Decimal(2**spec.exp_bits))
        nearest = value.to_integral_value(decimal.ROUND_HALF_EVEN)
        if code != top and abs(abs(value - nearest) - decimal.Decimal("0.5")) < decimal.Decimal("1e-60"):
            raise UnknownError(f"the exponential of code {code} is too close to a tie")
        table.append(max(1, int(nearest)))
    array = np.array(table, dtype=np.int64)
    array.flags.writeable = False  # it is kept
    return array


def dyadic(values: np.ndarray) -> tuple[np.ndarray, int]:
    """(integers M as Python ints, e) with values = M / 2^e exactly."""
    given = np.asarray(values)
    if given.dtype.kind == "i" and ((given >= EXACT) | (given <= -EXACT)).any():  # 2^53 + 1 would become 2^53
        raise UnknownError("a stored integer is too large for bits: semantics (2^53 or more)")
    significand, exponent = np.frexp(given.astype(np.float64))
    whole = (significand * 2.0**53).astype(np.int64).astype(object)
    exponent = exponent.astype(np.int64) - 53
    e = int(max(0, -exponent.min(initial=0)))
    scale = np.array([1 << int(s) for s in (exponent + e).reshape(-1)], dtype=object).reshape(exponent.shape)
    return np.asarray(whole * scale, dtype=object).reshape(np.shape(values)), e


def scaled_sum(parts: list[np.ndarray], bits: int) -> np.ndarray:
    """The rounding of 2^bits times the sum of arrays that broadcast against each other; int64."""
    wholes = [dyadic(part) for part in parts]
    e = max(e for _, e in wholes)
    total = wholes[0][0] * (1 << (e - wholes[0][1]))
    for whole, own in wholes[1:]:
        total = total + whole * (1 << (e - own))
    return _narrow(shifted(total, e - bits))


def shifted(whole: np.ndarray, shift: int) -> np.ndarray:
    """Python ints: the rounding of whole / 2^shift."""
    if shift <= 0:
        return whole * (1 << -shift)
    half, mask = 1 << (shift - 1), (1 << shift) - 1

    def one(m: int) -> int:
        quotient, rest = m >> shift, m & mask
        return quotient + (rest > half or (rest == half and quotient & 1))

    return np.array([one(int(m)) for m in whole.reshape(-1)], dtype=object).reshape(whole.shape)


def _product(scale: float, query: np.ndarray, key: np.ndarray, bits: int) -> np.ndarray:
    """(d, d) the rounding of 2^bits scale W_Q W_K^T, multiplied out exactly."""
    (q, qe), (k, ke), (s, se) = dyadic(query), dyadic(key), dyadic(np.array(scale))
    product = (q @ k.T) * int(s)
    return _narrow(shifted(product, qe + ke + se - bits))


def _narrow(whole: np.ndarray) -> np.ndarray:
    if any(abs(int(m)) >= EXACT for m in whole.reshape(-1)):
        raise UnknownError("a weight is too large for bits: semantics (2^53 units or more)")
    return whole.astype(np.int64)


def clip(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """Saturated to low .. high."""
    return np.clip(values, low, high)


def _require_exact(net: IntegerNet, rows: int) -> None:
    """UnknownError unless every sum of an evaluation stays below 2^53 in size."""
    top, d = max(-net.low, net.high), net.rows.shape[2]
    sizes = [_row_sum(net.readout) * top + _most(net.readout_bias)]
    for layer in net.layers:
        if isinstance(layer, IntegerAttention):
            pull = rows * _most(layer.table) * top
            sizes += [d * d * _most(layer.score) * top * top, 4 * d * pull * _most(layer.value)]
            sizes.append(4 * rows * _most(layer.table) << layer.shift)
            sizes.append(sum(_row_sum(o) * top for o in layer.output) + (top << layer.shift))
        else:
            sizes += [_row_sum(layer.inner) * top + _most(layer.inner_bias)]
            sizes += [_row_sum(layer.out) * top + _most(layer.out_bias) + (top << layer.shift)]
    if max(sizes) * 2 >= EXACT:
        raise UnknownError("sums of this model leave 2^53; take fewer bits (fewer exp or weight bits, smaller numbers)")


def _most(array: np.ndarray) -> int:
    return int(np.abs(array).max(initial=0))


def _row_sum(matrix: np.ndarray) -> int:
    return int(np.abs(matrix).sum(axis=0).max(initial=0))
