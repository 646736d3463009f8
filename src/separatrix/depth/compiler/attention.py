"""Attention in four levels: products, score codes (or comparisons), ANDs with the values, quotients."""

from __future__ import annotations

import numpy as np

from separatrix.depth.builder import FALSE, Builder
from separatrix.depth.compiler.word import Word, and_bit, both_bits, rounded, rounding
from separatrix.depth.forms import Forms
from separatrix.depth.primitives.division import quotient_steps
from separatrix.depth.words import lookup, steps
from separatrix.models.quantised import Heads, Scores
from separatrix.numbers import FixedFormat


def attend(b: Builder, numbers: FixedFormat, layer: Heads, x: Word, at: int, rows: np.ndarray) -> Word:
    """The rows `rows` of the layer's output, as a word (rows, d); `at` is the layer's number."""
    i, j = np.nonzero(layer.mask[rows])
    grid = (numbers.low, numbers.bits)
    heads: list[Word] = []
    for h, (scores, value) in enumerate(zip(layer.scores, layer.value, strict=True)):
        pairs = score_forms(b, numbers, scores, x, rows[i], j, (at, h))
        if layer.weights == "softmax":
            top, whole = _softmax(b, scores, pairs, x, (rows, i, j), (at, h))
        else:
            top, whole = _hard(b, layer.weights == "unique-hard", pairs, x, (rows, i, j), (at, h))
        heads.append(_quotients(b, numbers, layer, value, top, whole, (at, h, rows)))
    if layer.mix is None:
        return heads[0]
    place = (at, -1, rows[:, None], -1, np.arange(layer.mix.shape[2]))
    parts = [Forms.constant(np.zeros((len(rows), layer.mix.shape[2], 1), dtype=np.int64))]
    scale = [np.zeros((layer.mix.shape[2], 1), dtype=np.int64)]
    for word, mix in zip(heads, layer.mix, strict=True):
        parts.append(word.value[:, None, :].broadcast((len(rows), mix.shape[1], mix.shape[0])))
        scale.append(mix.T)
    if layer.residual:
        parts.append(x.value[rows][..., None])
        scale.append(np.full((layer.mix.shape[2], 1), 1 << layer.mix_shift))
    total = b.dot(np.concatenate(scale, axis=1)[None].repeat(len(rows), axis=0), Forms.concatenate(parts, axis=2))
    return rounded(b, total, numbers.low, numbers.high, layer.mix_shift, grid, "mix", place)


def score_forms(
    b: Builder, numbers: FixedFormat, scores: Scores, x: Word, i: np.ndarray, j: np.ndarray, where: tuple[int, int]
) -> Forms:
    """(pairs,) exact scores S_ij: level 1, an AND for every pair of bits whose weight is not zero."""
    p, low, d = numbers.bits, numbers.low, scores.score.shape[2]
    weight = scores.score[i, j]  # (pairs, d, d)
    used_a, used_b = np.nonzero((weight != 0).any(axis=0))
    left, right = x.pick(i[:, None], used_a[None]), x.pick(j[:, None], used_b[None])  # (pairs, used)
    k = np.arange(p * p)
    unit = (used_a * d + used_b)[:, None] * p * p + k
    place = (*where, i[:, None, None], j[:, None, None], unit)
    gates = both_bits(b, left, right, ((..., k // p), (..., k % p)), "product", place)
    used = weight[:, used_a, used_b]
    sums = b.forms(
        gates.reshape(len(i), -1), (used[:, :, None] * 2 ** (k // p + k % p)).reshape(len(i), -1)
    )  # codes u = x - low
    if not low:
        return sums
    rows, columns = weight.sum(axis=2) * low, weight.sum(axis=1) * low  # x y = u v + low x + low y - low^2
    linear = Forms.concatenate([sums[:, None], x.value[i], x.value[j]], axis=1)
    scale = np.concatenate([np.ones((len(i), 1), dtype=np.int64), rows, columns], axis=1)
    return b.dot(scale, linear, -weight.sum(axis=(1, 2)) * low * low)


def _softmax(
    b: Builder, scores: Scores, pairs: Forms, x: Word, index: tuple, where: tuple[int, int]
) -> tuple[Forms, Forms]:
    """(numerators (rows, d), denominators (rows,)): level 2 the thermometer of score codes, level 3 ANDs with bits."""
    rows, i, j = index
    codes = np.arange(scores.low + 1, scores.low + len(scores.table))
    wires = steps(b, pairs, rounding(codes, scores.shift), "score", (*where, rows[i], j))  # (pairs, K)
    weights = lookup(b, wires, scores.table)
    jumps = np.diff(np.array(scores.table))
    d, p = x.bits.shape[-2:]
    word = x.pick(j)
    place = (*where, rows[i][:, None, None, None], j[:, None, None, None], np.arange(d)[:, None] * p + np.arange(p))
    gates = and_bit(
        b, wires[:, :, None, None], word, (slice(None), None), "weight and value",
        (*place, np.arange(1, len(jumps) + 1)[:, None, None]),
    )  # fmt: skip
    n, count = len(x.bits.ids), len(jumps)
    dense = np.full((len(rows), n, count, d, p), FALSE, dtype=np.int64)
    dense[i, j] = gates
    dense = np.moveaxis(dense, 3, 1).reshape(len(rows), d, -1)
    scale = np.broadcast_to(jumps[:, None] * 2 ** np.arange(p), (n, count, p)).reshape(-1)
    moving = b.forms(dense, scale)  # sum_j (w_ij - w_least) (x_ja - low)
    seen = weights.scatter((len(rows), n), i, j)
    whole = b.dot(1, seen)
    still = x.value[j].scatter((len(rows), n), i, j)  # sum_j w_least x_ja + sum_j (w_ij - w_least) low
    rest = b.dot(int(scores.table[0]), still.moved(1, 2))
    base = int(scores.table[0])
    count_row = np.bincount(i, minlength=len(rows))
    top = b.add([(1, moving), (1, rest), (x.low, whole[:, None])], -x.low * base * count_row[:, None])
    return top, whole


def _hard(b: Builder, unique: bool, pairs: Forms, x: Word, index: tuple, where: tuple[int, int]) -> tuple[Forms, Forms]:
    """Level 2 compares all scores of a row; level 3 says in one gate "greatest, and this bit of the value"."""
    rows, i, j = index
    d, p = x.bits.shape[-2:]
    first = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=len(rows)))])
    tops, wholes = [], []
    for r in range(len(rows)):
        own, seen = pairs[first[r] : first[r + 1]], j[first[r] : first[r + 1]]
        m = len(seen)
        other = ~np.eye(m, dtype=bool)
        a, c = np.nonzero(other)
        strict = (c < a) & unique  # the leftmost of equals: greater than every earlier one
        gaps = b.add([(1, own[a]), (-1, own[c])])
        wins = b.gate(gaps, strict.astype(np.int64), "comparison", (*where, rows[r], seen[a], -1, seen[c]))
        beats = b.forms(wins.reshape(m, m - 1))
        best = b.gate(beats, m - 1, "greatest", (*where, rows[r], seen))
        word = x.pick(seen)
        place = (*where, rows[r], seen[:, None, None], np.arange(d)[:, None] * p + np.arange(p))
        chosen = b.gate(b.add([(1, beats[:, None, None]), (1, word.bits)]), m, "greatest and value", place)
        sums = b.forms(np.moveaxis(chosen, 1, 0).reshape(d, -1), np.tile(2 ** np.arange(p), m))
        whole = b.forms(best, 1, 0, 1, m)
        if unique:  # exactly one is chosen
            whole = Forms.constant(1)
        tops.append(b.add([(1, sums), (x.low, whole[None])]))
        wholes.append(whole)
    return Forms.stack(tops), Forms.stack(wholes)


def _quotients(
    b: Builder, numbers: FixedFormat, layer: Heads, value: np.ndarray, top: Forms, whole: Forms, where: tuple
) -> Word:
    """round(sum_a value[a, c] N_a / (2^shift Z)): the last level, one gate a code, on forms that share N and Z."""
    at, h, rows = where
    e = value.shape[1]
    weighted = b.dot(value.T[None].repeat(len(rows), axis=0), top[:, None, :].broadcast((len(rows), *value.T.shape)))
    under = b.add([(1 << layer.value_shift, whole)])[:, None]
    codes = np.arange(numbers.low + 1, numbers.high + 1)
    wires = quotient_steps(b, weighted, under, codes, "quotient", (at, h, rows[:, None], -1, np.arange(e)))
    table = np.broadcast_to(np.arange(numbers.low, numbers.high + 1), (len(rows), e, len(codes) + 1))
    return Word.of_steps(b, wires, table, numbers.low, numbers.bits)
