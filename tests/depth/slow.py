"""A second, slow evaluation of quantised networks: one input at a time, in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np

from separatrix.models.quantised import Embedding, Heads, Map, Normalise, Quantised, Scores
from separatrix.numbers import FixedFormat


def slow_run(network: Quantised, values: np.ndarray) -> list:
    """Outputs of one input, as nested lists."""
    low, high = network.numbers.low, network.numbers.high

    def cut(x: Fraction, least: int = low) -> int:
        return min(max(round(x), least), high)

    if network.embedding is not None:
        table = network.embedding.table.tolist()
        x = [row[min(int(t), len(row) - 1)] for row, t in zip(table, values, strict=True)]
    else:
        x = [[int(v) for v in row] for row in values]
    for layer in network.layers:
        if isinstance(layer, Heads):
            x = [attend(layer, x, i, cut) for i in range(network.n)]
        elif isinstance(layer, Map):
            x = [apply(layer, row, cut, None) for row in x]
        else:
            x = [[norm(layer, row, c, cut) for c in range(len(row))] for row in x]
    x = [x[r] for r in network.rows]
    if network.readout is None:
        return x
    weight, bias = (a.tolist() for a in network.readout)
    return [[sum(row[a] * weight[a][k] for a in range(len(row))) + bias[k] for k in range(len(bias))] for row in x]


def attend(layer: Heads, x: list[list[int]], i: int, cut) -> list[int]:
    d, seen, heads = len(x[0]), [j for j in range(len(x)) if layer.mask[i, j]], []
    for one, value in zip(layer.scores, layer.value, strict=True):
        s = [sum(int(one.score[i, j, a, b]) * x[i][a] * x[j][b] for a in range(d) for b in range(d)) for j in seen]
        if layer.weights == "softmax":
            top = len(one.table) - 1
            codes = [min(max(round(Fraction(v, 2**one.shift)) - one.low, 0), top) for v in s]
            w = [one.table[c] for c in codes]
        elif layer.weights == "average-hard":
            w = [int(v == max(s)) for v in s]
        else:
            w = [int(k == s.index(max(s))) for k in range(len(s))]
        sums = [sum(wj * x[j][a] for wj, j in zip(w, seen, strict=True)) for a in range(d)]
        bottom = sum(w) * 2**layer.value_shift
        heads.append([cut(Fraction(sum(int(value[a, c]) * sums[a] for a in range(d)), bottom))
                      for c in range(value.shape[1])])  # fmt: skip
    if layer.mix is None:
        return heads[0]
    out = []
    for c in range(layer.mix.shape[2]):
        total = sum(int(layer.mix[h, e, c]) * v for h, head in enumerate(heads) for e, v in enumerate(head))
        total += x[i][c] * 2**layer.mix_shift if layer.residual else 0
        out.append(cut(Fraction(total, 2**layer.mix_shift)))
    return out


def apply(layer: Map, row: list[int], cut, extra: list[int] | None) -> list[int]:
    if layer.out is None and layer.residual:
        extra = row
    out = []
    for c in range(layer.weight.shape[1]):
        total = sum(v * int(layer.weight[a, c]) for a, v in enumerate(row)) + int(layer.bias[c])
        x = Fraction(total, 2**layer.shift) + (extra[c] if extra else 0)
        out.append(cut(x, 0) if layer.relu else cut(x))
    return out if layer.out is None else apply(layer.out, out, cut, row if layer.residual else None)


def norm(layer: Normalise, row: list[int], c: int, cut) -> int:
    d, total = len(row), sum(row)
    t, q = d * row[c] - total, d * sum(v * v for v in row) - total**2 + layer.eps
    root = Fraction(isqrt(q)) if isqrt(q) ** 2 == q else Fraction(isqrt(q * 4**200), 2**200)  # irrational: no tie
    return cut(int(layer.gain[c]) * t / root / 2**layer.shift + int(layer.bias[c]))


def random_network(seed: int, kinds: str, n: int = 3, d: int = 2, bits: int = 3, **options) -> Quantised:
    """A network with a layer for each letter: s, a, u attention (softmax, average, unique), capital letters two heads
    with a residual; m affine, r ReLU pair, R the same with a residual, n layer normalisation."""
    rng = np.random.default_rng(seed)
    numbers = FixedFormat(bits, 0, signed=options.get("signed", True))
    mask = np.tril(np.ones((n, n), dtype=bool)) if seed % 2 else np.ones((n, n), dtype=bool)
    layers: list[Heads | Map | Normalise] = []
    for kind in kinds:
        if kind.lower() in "sau":
            heads = 1 if kind.islower() else 2
            weights = {"s": "softmax", "a": "average-hard", "u": "unique-hard"}[kind.lower()]
            table = tuple(sorted(int(v) for v in rng.integers(1, 30, 6)))
            scores = tuple(
                Scores(rng.integers(-2, 3, (n, n, d, d)), 1, -3, table if weights == "softmax" else ())
                for _ in range(heads)
            )
            value = tuple(rng.integers(-4, 5, (d, d)) for _ in range(heads))
            mix = None if heads == 1 else rng.integers(-2, 3, (heads, d, d))
            layers.append(Heads(scores, value, 2, mask, weights, mix, 1, heads > 1))  # type: ignore[arg-type]
        elif kind == "m":
            layers.append(Map(rng.integers(-3, 4, (d, d)), rng.integers(-3, 4, d), 1))
        elif kind in "rR":
            out = Map(rng.integers(-3, 4, (d + 1, d)), rng.integers(-3, 4, d), 2)
            layers.append(Map(rng.integers(-3, 4, (d, d + 1)), rng.integers(-3, 4, d + 1), 1, True, out, kind == "R"))
        else:
            layers.append(Normalise(rng.integers(-5, 6, d), rng.integers(-1, 2, d), 1, int(rng.integers(1, 4))))
    embedding = readout = None
    if symbols := options.get("symbols"):
        embedding = Embedding(rng.integers(numbers.low, numbers.high + 1, (n, symbols, d)))
    if classes := options.get("classes"):
        readout = (rng.integers(-3, 4, (d, classes)), rng.integers(-3, 4, classes))
    return Quantised(n, d, numbers, tuple(layers), embedding, options.get("queries"), readout)
