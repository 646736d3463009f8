"""From a RoPE transformer in real numbers to the integers of `models.quantised`; and the reference head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import InputError
from separatrix.models.quantised import Heads, Map, Normalise, Quantised, Scores
from separatrix.models.rope import (
    Block,
    LayerNorm,
    RopeAttention,
    RopeTransformer,
    folded_scores,
    schedule,
    visible,
)
from separatrix.numbers import FixedFormat


@dataclass(frozen=True, slots=True)
class Recipe:
    """How weights become integers.

    Attributes:
        score_bits: bits of a score's code; its steps are `temperature` apart.
        weight_bits: fraction bits of value, affine and mixing weights.
        exp_bits: fraction bits of the exponential's table.
    """

    score_bits: int = 4
    temperature: float = 0.5
    weight_bits: int = 6
    exp_bits: int = 6


def quantise(model: RopeTransformer, n: int, numbers: FixedFormat, recipe: Recipe | None = None) -> Quantised:
    """The network on n rows whose real numbers are m / 2^numbers.fraction.

    The rotations are constants and disappear into the score matrices. Every weight is rounded once, here.
    """
    recipe = recipe or Recipe()
    if n < 1:
        raise InputError(f"n = {n}: a sequence has at least one row")
    layers = tuple(_block(model, block, n, numbers, recipe) for block in model.blocks)
    return Quantised(n, model.d, numbers, layers)


def _block(model: RopeTransformer, block: Block, n: int, numbers: FixedFormat, r: Recipe) -> Heads | Map | Normalise:
    unit = 2**numbers.fraction
    if isinstance(block, RopeAttention):
        seen = visible(model.mask, n)
        scale = 2**r.weight_bits / (r.temperature * unit**2)
        folded = _integers(folded_scores(model.theta, block, n) * scale)
        low = -(2 ** (r.score_bits - 1))
        codes = np.arange(low, low + 2**r.score_bits)
        table = tuple(int(v) for v in np.maximum(1, _integers(np.exp(codes * r.temperature) * 2**r.exp_bits)))
        scores = tuple(Scores(m * seen[:, :, None, None], r.weight_bits, low, table) for m in folded)
        heads = len(scores)
        if heads == 1 and not block.residual:
            value = (_integers(block.value[0] * 2**r.weight_bits),)
            return Heads(scores, value, r.weight_bits, seen, block.weights)
        one = np.eye(model.d, dtype=np.int64)
        mix = _integers(block.value * 2**r.weight_bits)
        return Heads(scores, (one,) * heads, 0, seen, block.weights, mix, r.weight_bits, block.residual)
    if isinstance(block, LayerNorm):
        gain = _integers(block.gain * unit * 2**r.weight_bits)
        eps = max(1, round(block.eps * (model.d * unit) ** 2))
        return Normalise(gain, _integers(block.bias * unit), r.weight_bits, eps)
    first = _affine(block.weight, block.bias, unit, r)
    if block.out is None:
        return Map(*first, r.weight_bits, residual=block.residual)
    zero = np.zeros(block.out.shape[1]) if block.out_bias is None else block.out_bias
    out = Map(*_affine(block.out, zero, unit, r), r.weight_bits)
    return Map(*first, r.weight_bits, relu=True, out=out, residual=block.residual)


def _affine(weight: np.ndarray, bias: np.ndarray, unit: int, r: Recipe) -> tuple[np.ndarray, np.ndarray]:
    return _integers(weight * 2**r.weight_bits), _integers(bias * unit * 2**r.weight_bits)


def _integers(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.int64)


def reference_model(d: int = 4, layers: int = 1, heads: int = 1, seed: int = 0) -> RopeTransformer:
    """Random Gaussian heads (standard deviation 1 / sqrt(d)) under the usual angles, causal."""
    rng = np.random.default_rng(seed)

    def maps() -> np.ndarray:
        return rng.standard_normal((heads, d, d)) / np.sqrt(d)

    blocks = tuple(RopeAttention(maps(), maps(), maps(), residual=heads > 1) for _ in range(layers))
    return RopeTransformer(schedule(d), blocks, "causal")


def reference_head(n: int, d: int = 4, p: int = 4, layers: int = 1) -> Quantised:
    """The network that reports are about: one causal RoPE softmax head a layer, p-bit numbers, 2^p score codes."""
    numbers = FixedFormat(p, p - 2)
    network = quantise(reference_model(d, layers), n, numbers, Recipe(score_bits=p))
    from dataclasses import replace

    return replace(network, name=f"reference RoPE head, n={n} d={d} p={p}" + (f", {layers} layers" * (layers > 1)))
