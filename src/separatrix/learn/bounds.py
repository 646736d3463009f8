"""Bounds of learning, in numbers: how large the norms of a trained positional or numeric transformer let the gap be.

Back de Luca et al. 2025, Theorem 6.1, bounds risk minus training error by a product of norms over the layers; for
standard attention the norms of queries and keys enter every factor of that product, for positional attention they do
not. Here the products are evaluated on trained weights. Tokens are measured in the 2-norm, a stream by its largest
token: a row of softmax weights never lengthens it, and weights move by no more than the scores do (in the 1-norm, with
the constant 1).

    layer       G = M sqrt(1 + a^2),  a = sum_h |V_h O_h| (1 + 2 B_h q_h)      (a residual skip: G = M (1 + a))
    positional  q_h = 0
    stream      B_h q_h = B |x|_qk |Q_h K_h^T| scale, B the bound on a token, |x|_qk on what queries and keys read

|.| is the greatest singular value, M the product of those of the ReLU net. The capacity is (sum_w (k_w B_w
|w|_{2,1})^{2/3})^{3/2} over all linear maps w, with k_w the Lipschitz constant of what follows, B_w of what enters; the
gap is then at most about 12 g C log(m) sqrt(log(d m n) / m) + b sqrt(log(2 / delta) / 2 m) for m samples and a loss
clipped at b with slope g = 2 sqrt(b) (covering numbers and Dudley's integral, after Bartlett, Foster, Telgarsky 2017
and Edelman et al. 2022; the constant 12 is that of the integral, and no certificate). At the sizes of the experiments
every such bound is vacuous, which the report says: it ranks models, it guarantees nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.models.model import Model

CLIP = 1.0  # of the squared error
DELTA = 0.05


@dataclass(frozen=True, slots=True)
class LearningBound:
    """What the norms say; logarithms to base 10.

    Attributes:
        lipschitz: log of the Lipschitz constant from input words to answers, for words of the given size.
        qk_factor: log of what queries and keys add to it: 0 for positional attention.
        capacity: log of C. gap: log of the bound on risk minus training error, for a loss of at most CLIP.
    """

    lipschitz: float
    qk_factor: float
    capacity: float
    gap: float

    @property
    def vacuous(self) -> bool:
        """Whether the bound exceeds the largest possible loss."""
        return self.gap >= math.log10(CLIP)


def learning_bound(model: Model, samples: int, largest: float) -> LearningBound:
    """The bound of a trained model of numbers within [-largest, largest], from its weights alone.

    Raises InputError for models of other kinds.
    """
    arch = model.arch
    if not isinstance(arch, Positional | Numeric):
        raise InputError(f"bounds of learning are for models of real words on nodes; this model is {arch.kind}")
    t = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}
    place = float(np.linalg.norm(t["positions"], axis=1).max())
    words = largest * math.sqrt(arch.reals)
    entering = math.hypot(words, place) if isinstance(arch, Numeric) and arch.placed else words
    stream = _norm(t["embed.linear"]) * entering + float(np.linalg.norm(t["embed.bias"]))
    terms = [(0, entering, t["embed.linear"], 1.0)]  # layers passed, norm that enters, map, factor to the layer's end
    growth, plain = list[float](), list[float]()
    for i, layer in enumerate(arch.layers):
        net = [t[f"layers.{i}.mlp.{k}.weight"] for k in range(len(layer.hidden) + 1)]
        after = math.prod(map(_norm, net))
        values = [_norm(v @ o) for v, o in zip(t[f"layers.{i}.value"], t[f"layers.{i}.output"], strict=True)]
        reads, moves = _reads(arch, i, stream, place), _moves(arch, i, t)
        sharp = [2.0 * stream * reads * q if isinstance(arch, Numeric) else 0.0 for q in moves]
        a = sum(v * (1.0 + s) for v, s in zip(values, sharp, strict=True))
        growth.append(after * _skip(layer.skip, a))
        plain.append(after * _skip(layer.skip, sum(values)))
        terms += _attention(arch, i, t, stream, reads, after)
        joined = stream * _skip(layer.skip, sum(values))  # entering the net: weights of a row sum to 1
        for k, weight in enumerate(net):
            terms.append((i + 1, joined, weight, math.prod(map(_norm, net[k + 1 :]))))
            joined = joined * _norm(weight) + float(np.linalg.norm(t[f"layers.{i}.mlp.{k}.bias"]))
        stream = joined
    last = _norm(t["readout.weight"])
    terms.append((len(growth), stream, t["readout.weight"], 1.0))
    suffix = [last * math.prod(growth[i:]) for i in range(len(growth) + 1)]
    total = 0.0
    for passed, norm, weight, factor in terms:
        follows = 1.0 if weight is t["readout.weight"] else suffix[passed]
        total += (follows * factor * norm * float(np.linalg.norm(weight, axis=0).sum())) ** (2.0 / 3.0)
    capacity = total**1.5
    scale = math.log(arch.width * samples * arch.nodes) / samples
    gap = 12.0 * 2.0 * math.sqrt(CLIP) * capacity * math.log(samples) * math.sqrt(scale)
    gap += CLIP * math.sqrt(math.log(2.0 / DELTA) / (2.0 * samples))
    lipschitz = _norm(t["embed.linear"][: arch.reals]) * suffix[0]
    factor = sum(math.log10(g / p) for g, p in zip(growth, plain, strict=True))
    return LearningBound(math.log10(lipschitz), factor, math.log10(capacity), math.log10(gap))


def _norm(matrix: np.ndarray) -> float:
    """The greatest singular value."""
    return float(np.linalg.norm(matrix, 2))


def _skip(skip: str, received: float) -> float:
    return math.hypot(1.0, received) if skip == "concatenate" else 1.0 + received


def _reads(arch: Positional | Numeric, i: int, stream: float, place: float) -> float:
    """Norm of what queries and keys of layer i read."""
    if isinstance(arch, Positional):
        return place
    return math.hypot(stream, place) if arch.layers[i].reads == "both" else stream


def _moves(arch: Positional | Numeric, i: int, t: Mapping[str, np.ndarray]) -> list[float]:
    """For every head how far a score moves for unit tokens: |Q K^T| scale; with rotations in between |Q| |K| scale."""
    layer, pairs = arch.layers[i], zip(t[f"layers.{i}.query"], t[f"layers.{i}.key"], strict=True)
    turned = isinstance(arch, Numeric) and arch.layers[i].base > 0
    return [abs(layer.scale) * (_norm(q) * _norm(k) if turned else _norm(q @ k.T)) for q, k in pairs]


def _attention(
    arch: Positional | Numeric, i: int, t: Mapping[str, np.ndarray], stream: float, reads: float, after: float
) -> list[tuple[int, float, np.ndarray, float]]:
    """The terms of values, outputs, queries and keys; the last two reach the answers through the scores."""
    found, layer = [], arch.layers[i]
    for h in range(layer.heads):
        q, k, v, o = (t[f"layers.{i}.{name}"][h] for name in ("query", "key", "value", "output"))
        found.append((i + 1, stream, v, after * _norm(o)))
        found.append((i + 1, stream * _norm(v), o, after))
        weight = after * _norm(v @ o) * stream * abs(layer.scale)  # of a unit change of all scores of a row
        found.append((i + 1, reads, q, weight * reads * _norm(k)))
        found.append((i + 1, reads, k, weight * reads * _norm(q)))
    return found
