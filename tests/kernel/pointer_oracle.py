"""The worst error of a pointer-set model over all sets and all z, in 300-bit arithmetic, one definition at a time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from flint import acb, arb, arb_mat, ctx, fmpq

from separatrix.models import Model
from separatrix.tasks.sparse_averaging import SparseAveraging

ctx.prec = 300


def exact(x: float) -> arb:
    return arb(fmpq(*float(x).as_integer_ratio()))


def dot(a: list[arb], b: list[arb]) -> arb:
    return sum((x * y for x, y in zip(a, b, strict=True)), arb(0))


def keys_of(model: Model) -> list[list[arb]]:
    first = model.arch.first
    if first.keys == "moment":
        return [[arb(int(t) ** k) for k in range(1, first.key_width + 1)] for t in model.tensors["embed.nodes"]]
    return [[exact(x) for x in row] for row in model.tensors["embed.keys"]]


def query_of(model: Model, keys: list[list[arb]], y: tuple[int, ...]) -> list[arb]:
    first = model.arch.first
    rows = [keys[j] for j in y]
    match first.query:
        case "least-norm":
            gram = arb_mat([[dot(a, b) for b in rows] for a in rows])
            weights = gram.solve(arb_mat([[1]] * len(y)))
            return [sum((weights[i, 0] * row[c] for i, row in enumerate(rows)), arb(0)) for c in range(len(rows[0]))]
        case "sum":
            return [sum(column, arb(0)) for column in zip(*rows, strict=True)]
        case "slots":
            return [x for row in rows for x in row]
        case "moment":
            p = [1]
            for t in (int(model.tensors["embed.nodes"][j]) for j in y):
                for _ in range(2):  # times (x - t), lowest coefficient first
                    p = [b - t * a for a, b in zip([*p, 0], [0, *p], strict=True)]
            return [arb(-c) for c in p[1:]]
    # trigonometric: coefficients of a product of cosines, by Fourier sums of its values at 4q + 1 points
    points = 4 * len(y) + 1
    angles = [2 * arb.pi() * k / points for k in range(points)]
    values = []
    for angle in angles:
        value = arb(1)
        for j in y:
            value *= (1 - (angle - 2 * arb.pi() * j / first.positions).cos()) / 2
        values.append(value)
    out = []
    for k in range(1, len(y) + 1):
        for wave in ([(k * a).cos() for a in angles], [(k * a).sin() for a in angles]):
            out.append(-dot(values, wave) * 2 / points)
    return out


def worst_error(model: Model, task: SparseAveraging) -> arb:
    """max over pointer sets of sum_j |sum_h c_h a_hj - t_j|; right while W_Q, W_K, W_V keep to their blocks."""
    first, layer, t = model.arch.first, model.arch.layers[0], model.tensors
    keys, n, width = keys_of(model), first.positions, len(query_of(model, keys_of(model), tuple(range(task.q))))
    heat = exact(t["embed.temperature"]) * exact(layer.scale)
    heads = []
    for h in range(layer.heads):
        w_q = [[exact(x) for x in column] for column in t["layers.0.query"][h][-width:].T]
        w_k = [[exact(x) for x in row] for row in t["layers.0.key"][h][task.dim : task.dim + first.key_width].T]
        value, output = t["layers.0.value"][h][: task.dim], t["layers.0.output"][h]
        share = value.astype(np.float64) @ output.astype(np.float64) @ t["readout.weight"].astype(np.float64)
        assert np.array_equal(share, share[0, 0] * np.eye(task.dim))
        seen = [[dot(column, key) for column in w_k] for key in keys]
        heads.append((w_q, seen, exact(share[0, 0])))
    worst = arb(0)
    for y in combinations(range(n), task.q):
        asked = query_of(model, keys, y)
        total = [arb(0)] * n
        for w_q, seen, share in heads:
            functional = [dot(asked, column) for column in w_q]
            scores = [heat * dot(functional, key) for key in seen]
            top = max(scores, key=lambda s: s.mid())
            e = [(s - top).exp() for s in scores]
            whole = sum(e, arb(0))
            total = [a + share * x / whole for a, x in zip(total, e, strict=True)]
        error = sum((abs(a - (arb(1) / task.q if j in y else 0)) for j, a in enumerate(total)), arb(0))
        worst = worst.max(error)
    return worst


__all__ = ["acb", "arb", "exact", "worst_error"]
