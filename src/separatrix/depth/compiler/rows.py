"""Row-wise layers: affine maps with or without ReLU (a level a rounding), layer normalisation (two levels)."""

from __future__ import annotations

import numpy as np

from separatrix.depth.builder import Builder
from separatrix.depth.compiler.word import Word, rounded
from separatrix.depth.forms import Forms
from separatrix.depth.rows import exact
from separatrix.models.quantised import Map, Normalise
from separatrix.numbers import FixedFormat


def apply_map(
    b: Builder, numbers: FixedFormat, layer: Map, x: Word, at: int, rows: np.ndarray, extra: Forms | None = None
) -> Word:
    """The map on the rows of x; `extra` is added before the rounding."""
    count, (d, e) = len(rows), layer.weight.shape
    parts = x.value[:, None, :].broadcast((count, e, d))
    scale = np.broadcast_to(layer.weight.T, (count, e, d))
    if layer.out is None and layer.residual:
        extra = x.value
    if extra is not None:
        parts = Forms.concatenate([parts, extra[:, :, None]], axis=2)
        scale = np.concatenate([scale, np.full((count, e, 1), 1 << layer.shift)], axis=2)
    total = b.dot(scale, parts, layer.bias)
    low = 0 if layer.relu else numbers.low
    place = (at, -1, rows[:, None], -1, np.arange(e))
    op = "relu" if layer.relu else "affine"
    y = rounded(b, total, low, numbers.high, layer.shift, (numbers.low, numbers.bits), op, place)
    if layer.out is None:
        return y
    return apply_map(b, numbers, layer.out, y, at, rows, x.value if layer.residual else None)


def normalise(b: Builder, numbers: FixedFormat, layer: Normalise, x: Word, at: int, rows: np.ndarray) -> Word:
    """round(gain t / sqrt(q) / 2^shift + bias) >= k compares signed squares: level 1 gives the products of bits and the
    sign of t, level 2 one gate a code, in which the sign outweighs the squares."""
    count, d = x.value.shape
    p = numbers.bits
    k = np.arange(p * p)
    a, c = np.triu_indices(d)
    place = (at, -1, rows[:, None, None], -1, (a * d + c)[:, None] * p * p + k)
    left, right = x.bits[:, a][..., k // p], x.bits[:, c][..., k % p]
    if x.wires is not None:
        gates = b.both(x.wires[:, a][..., k // p], x.wires[:, c][..., k % p], "square", place)
    else:
        gates = b.gate(b.add([(1, left), (1, right)]), 2, "square", place)
    codes = b.forms(gates, 2 ** (k // p + k % p))  # (rows, pairs) u_a u_c
    # x_a x_c = u_a u_c + low (x_a + x_c) - low^2
    pair = b.add([(1, codes), (x.low, x.value[:, a]), (x.low, x.value[:, c])], -x.low * x.low)
    centre = d * np.eye(d, dtype=np.int64) - 1  # t_c = sum_a centre[c, a] x_a
    twice = np.where(a == c, 1, 2)
    t = b.dot(np.broadcast_to(centre, (count, d, d)), x.value[:, None, :].broadcast((count, d, d)))
    square = b.dot(
        np.broadcast_to(centre[:, a] * centre[:, c] * twice, (count, d, len(a))),
        pair[:, None, :].broadcast((count, d, len(a))), 0, 0,
    )  # fmt: skip
    spread = b.dot(np.broadcast_to(centre[a, c] * twice, (count, len(a))), pair, layer.eps, layer.eps)
    steps = np.arange(numbers.low + 1, numbers.high + 1)
    gain, bias = np.asarray(layer.gain), np.asarray(layer.bias)
    bar = exact(
        np.array([[(2 * (int(s) - int(m)) - 1) << layer.shift for s in steps] for m in bias], dtype=object)
    )  # (d, K)
    size = exact(np.array([[4 * int(g) ** 2] * len(steps) for g in gain], dtype=object))
    first = b.dot(gain[:, None], t[..., None])  # (rows, d) gain t
    place = (at, -1, rows[:, None], -1, np.arange(d))
    not_negative = b.forms(b.gate(first, 0, "sign", place)[..., None])
    up = bar > 0
    # above for bar > 0: gain t >= 0 and D >= tie; for bar < 0: gain t >= 0 or -D >= tie, with D = size t^2 - bar^2 q
    sign = np.where(up, 1, -1)
    gap = b.add([(exact(sign * size), square[..., None]), (exact(-sign * bar * bar), spread[:, None, None])])
    bound = int(max(abs(int(v)) for side in (gap.low, gap.high) for v in side.reshape(-1).tolist())) + 2
    tie = np.broadcast_to(steps % 2, up.shape)
    weighed = b.add([(1, gap), (bound, not_negative[..., None])])
    bars = np.where(up, bound + tie, tie)
    wires = b.gate(weighed, np.broadcast_to(bars, weighed.shape), "normalise", (at, -1, rows[:, None, None], -1,
                   np.arange(d)[:, None], steps))  # fmt: skip
    table = np.broadcast_to(np.arange(numbers.low, numbers.high + 1), (count, d, len(steps) + 1))
    return Word.of_steps(b, wires, table, numbers.low, p)
