"""What other methods decide of the same cells: interval propagation through the softmax, and the SMT solver z3.

Both get the tables that the heads prover computes (one score and one value a position, symbol and head), which is more
than they would have from the weights: what they lack is a better idea of the softmax, not of the embedding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from separatrix.core.semantics import REAL
from separatrix.core.task import Task
from separatrix.models.model import Model
from separatrix.verify.provers.head_cells import Bench, pieces
from separatrix.verify.provers.head_search import Pairs


def intervals(model: Model, task: Task, n: int) -> int:
    """How many cells interval arithmetic proves: w_j in [l_j / (l_j + sum of other h), h_j / (h_j + sum of other l)].

    Constraints that tie positions together are not expressible: cells are widened to products.
    """
    proved = 0
    for pairs, cells in _tables(model, task, n):
        with np.errstate(all="ignore"):
            low, high = pairs.e.min(axis=3), pairs.e.max(axis=3)  # (P, H, J)
            u = pairs.m / pairs.e
        rest_low, rest_high = low.sum(axis=2, keepdims=True) - low, high.sum(axis=2, keepdims=True) - high
        weights = np.stack([low / (low + rest_high), high / (high + rest_low)])
        ends = np.stack([u.min(axis=3), u.max(axis=3)])
        least = (weights[:, None] * ends[None]).min(axis=(0, 1)).sum(axis=(1, 2)) + pairs.constant
        fails = set(pairs.cell[~(least > 1e-9)].tolist())
        proved += cells - len(fails)
    return proved


def solver(model: Model, task: Task, n: int, count: int, seconds: float) -> str:
    """`a / b`: z3 decides a of b cells, each within so many seconds; `-` where z3 is not installed."""
    try:
        import z3
    except ImportError:
        return "-"
    boards = [(pairs, cell) for pairs, cells in _tables(model, task, n) for cell in range(cells)]
    chosen = boards[:: max(1, len(boards) // count)][:count]
    decided = sum(_solve(z3, pairs, cell, seconds) for pairs, cell in chosen)
    return f"{decided} / {len(chosen)}"


def _solve(z3, pairs: Pairs, cell: int, seconds: float) -> bool:
    """Whether z3 finds for every rival either an input with no positive margin, or that there is none."""
    for pair in np.flatnonzero(pairs.cell == cell):
        asked = z3.Solver()
        asked.set("timeout", int(seconds * 1000))
        _, heads, slots, width = pairs.e[[pair]].shape
        choose = [[z3.Bool(f"x{j}_{w}") for w in range(width)] for j in range(slots)]
        for j, row in enumerate(choose):
            alike = len(np.unique(np.concatenate([pairs.e[pair, :, j], pairs.m[pair, :, j]]), axis=1)[0])
            asked.add(z3.PbEq([(x, 1) for x in row[:alike]], 1), *(z3.Not(x) for x in row[alike:]))
        if pairs.words is not None:
            _tie(z3, asked, pairs, cell, choose)
        ratios = []
        for h in range(heads):
            top, bottom, ratio = z3.Reals(f"n{h} d{h} r{h}")
            for total, table in ((top, pairs.m), (bottom, pairs.e)):
                terms = [
                    z3.If(choose[j][w], z3.RealVal(float(table[pair, h, j, w]).as_integer_ratio()[0])
                          / z3.RealVal(float(table[pair, h, j, w]).as_integer_ratio()[1]), z3.RealVal(0))
                    for j in range(slots) for w in range(width)
                ]  # fmt: skip
                asked.add(total == z3.Sum(terms))
            asked.add(ratio * bottom == top, bottom > 0)
            ratios.append(ratio)
        asked.add(z3.Sum(ratios) + z3.RealVal(str(float(pairs.constant[pair]))) <= 0)
        answer = asked.check()
        if answer == z3.sat:
            return True
        if answer == z3.unknown:
            return False
    return True


def _tie(z3, asked, pairs: Pairs, cell: int, choose: list) -> None:
    """Distinct classes, or the count of a symbol, at the positions that the cell leaves free."""
    words = pairs.words
    assert words is not None
    seats, constraint = words.of_cell(cell), words.constraint
    ids = words.used[seats.columns]
    if constraint.kind == "count":
        stands = [
            (choose[j][w], 1)
            for f, j in enumerate(seats.free)
            for w in range(ids.shape[1])
            if ids[f, w] == constraint.symbol
        ]
        asked.add(z3.PbEq(stands, constraint.count - seats.held))
    elif constraint.kind == "distinct":
        shut = set(words.used[seats.shut].tolist())
        kinds = constraint.class_of(ids)
        for kind in np.unique(kinds).tolist():
            same = [choose[j][w] for f, j in enumerate(seats.free) for w in np.flatnonzero(kinds[f] == kind)]
            asked.add(z3.PbLe([(x, 1) for x in same], 1))
        asked.add(
            *(z3.Not(choose[j][w]) for f, j in enumerate(seats.free) for w in range(ids.shape[1]) if ids[f, w] in shut)
        )


def _tables(model: Model, task: Task, n: int) -> Iterator[tuple[Pairs, int]]:
    """Tables of all pairs, piece by piece, and how many cells they are of."""
    bench = Bench(model, task, n, REAL)
    for piece in pieces(model, task, n):
        yield Pairs.of(bench.board(piece)), len(piece.group)
