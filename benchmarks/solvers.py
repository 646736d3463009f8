"""What general solvers decide of the same cells: HiGHS (mixed integer programming) and z3 (real arithmetic).

Both are asked for a word of the cell on which the label does not beat a rival, with every constraint of the cell, from
the tables of `cell_tables`. HiGHS works in floating point with tolerances, and so nothing that it says is a proof; z3
has the tables as exact rationals, so that its answer is about numbers that were rounded once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from benchmarks.cell_tables import CellTable

Answer = Literal["none", "found", "open"]  # of failing words
Tie = tuple[list[tuple[int, int]], bool, int]  # columns (j, w), whether exactly or at most, so many of them
CLEAR = 1e-6


def decide(solve: Callable[[CellTable, int, float], Answer], cells: list[CellTable], seconds: float) -> dict[str, Any]:
    """How many cells are decided, within so many seconds each for all rivals."""
    start, done = time.process_time(), 0
    for cell in cells:
        end, answers = time.perf_counter() + seconds, []
        for rival in cell.rivals:
            answers.append(solve(cell, rival, end - time.perf_counter()))
            if answers[-1] != "none":
                break
        done += answers[-1] != "open"
    return {"cells": len(cells), "decided": done, "limit": seconds, "seconds": time.process_time() - start}


def ties(cell: CellTable) -> list[Tie]:
    """What the constraint says of columns; `regular` is not among the tasks of the table."""
    tie, found = cell.constraint, []
    if tie.kind not in ("product", "count", "distinct"):
        raise ValueError(f"no solver is asked about {tie.kind} cells")
    if tie.kind != "product":
        places = tie.places(len(cell.ids))
        kinds = tie.class_of(cell.ids) if tie.kind == "distinct" else np.where(cell.ids == tie.symbol, 0, -1)
        for kind in np.unique(kinds[places]).tolist():
            columns = [(j, w) for j in places.tolist() for w in np.flatnonzero(cell.allowed[j] & (kinds[j] == kind))]
            if kind >= 0:
                found.append((columns, tie.kind == "count", tie.count if tie.kind == "count" else 1))
    return found


def highs(cell: CellTable, rival: int, seconds: float) -> Answer:
    """With t = 1 / D of a head and z = t x of a column x, exact by t_min x <= z <= t_max x and sum_w z = t."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    heads, slots, width = cell.score.shape
    f, e = cell.hidden, np.exp(cell.score - np.where(cell.allowed, cell.score, -np.inf).max(axis=(1, 2), keepdims=True))
    d_low = np.where(cell.allowed, e, np.inf).min(axis=2).sum(axis=1)
    d_high = np.where(cell.allowed, e, -np.inf).max(axis=2).sum(axis=1)
    x = np.arange(slots * width).reshape(slots, width)
    t = x.size + np.arange(heads)
    z = t[-1] + 1 + np.arange(heads * x.size).reshape(heads, slots, width)
    y = z.max() + 1 + np.arange(f)  # the hidden units
    on = y + f  # whether each is positive
    count = int(z.max()) + 1 + 2 * f
    lower, upper = np.zeros(count), np.ones(count)
    upper[x[~cell.allowed]] = 0.0
    lower[t], upper[t], upper[z] = 1 / d_high, 1 / d_low, (1 / d_low)[:, None, None]
    rows: list[tuple[np.ndarray, np.ndarray, float, float]] = []

    def add(columns: Any, numbers: Any, low: float, high: float) -> None:
        columns = np.asarray(columns).reshape(-1)
        rows.append((columns, np.broadcast_to(numbers, columns.shape), low, high))

    for j in range(slots):
        add(x[j], 1.0, 1.0, 1.0)
    for h in range(heads):
        add(z[h], e[h].reshape(-1), 1.0, 1.0)
        for j in range(slots):
            add([*z[h, j], t[h]], [1.0] * width + [-1.0], 0.0, 0.0)
            for w in np.flatnonzero(cell.allowed[j]):
                add([z[h, j, w], x[j, w]], [1.0, -1 / d_low[h]], -np.inf, 0.0)
                add([z[h, j, w], x[j, w]], [1.0, -1 / d_high[h]], 0.0, np.inf)
    for columns, exactly, number in ties(cell):
        add([x[j, w] for j, w in columns], 1.0, number if exactly else -np.inf, number)
    gain = e[..., None] * cell.value  # of the stream, per unit of z
    spread = np.abs(cell.value).max(axis=(1, 2)).sum(axis=0)
    for k in range(f):
        most, least = spread[k] + cell.own[k], cell.own[k] - spread[k]
        upper[y[k]] = max(0.0, most)
        flat = -gain[..., k].reshape(-1)
        add([y[k], *z.reshape(-1)], [1.0, *flat], cell.own[k], np.inf)
        add([y[k], on[k], *z.reshape(-1)], [1.0, -min(0.0, least), *flat], -np.inf, cell.own[k] - min(0.0, least))
        add([y[k], on[k]], [1.0, -max(0.0, most)], -np.inf, 0.0)
    turn = gain[..., f + cell.label] - gain[..., f + rival]
    constant = cell.own[f + cell.label] - cell.own[f + rival]
    add([*z.reshape(-1), *y], [*turn.reshape(-1), *(cell.out[:, cell.label] - cell.out[:, rival])], -np.inf, -constant)
    at = np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows])
    columns, numbers = np.concatenate([row[0] for row in rows]), np.concatenate([row[1] for row in rows])
    matrix = coo_array((numbers, (at, columns)), shape=(len(rows), count)).tocsr()
    whole = np.zeros(count)
    whole[x] = whole[on] = 1
    made = milp(
        np.zeros(count),
        integrality=whole,
        bounds=Bounds(lower, upper),
        constraints=LinearConstraint(matrix, np.array([row[2] for row in rows]), np.array([row[3] for row in rows])),
        options={"time_limit": max(0.01, seconds)},
    )
    if made.status == 2:
        return "none"
    if made.x is None:
        return "open"
    logits = cell.logits(made.x[x].argmax(axis=1))
    return "found" if logits[cell.label] - logits[rival] < CLEAR else "open"


def smt(cell: CellTable, rival: int, seconds: float) -> Answer:
    """Ratios r of each head with r D = N, over Booleans for the columns; not for ReLU layers."""
    import z3

    def exact(number: float) -> Any:
        over, under = float(number).as_integer_ratio()
        return z3.RealVal(over) / z3.RealVal(under)

    asked = z3.Solver()
    asked.set("timeout", max(1, int(seconds * 1000)))
    heads, slots, width = cell.score.shape
    e = np.exp(cell.score - np.where(cell.allowed, cell.score, -np.inf).max(axis=(1, 2), keepdims=True))
    m = e * (cell.value[..., cell.label] - cell.value[..., rival])
    x = [[z3.Bool(f"x{j}_{w}") for w in range(width)] for j in range(slots)]
    for j, row in enumerate(x):
        asked.add(z3.PbEq([(v, 1) for v in row], 1), *(z3.Not(row[w]) for w in np.flatnonzero(~cell.allowed[j])))
    for columns, exactly, number in ties(cell):
        chosen = [(x[j][w], 1) for j, w in columns]
        asked.add(z3.PbEq(chosen, number) if exactly else z3.PbLe(chosen, number))
    ratios = []
    for h in range(heads):
        top, bottom, ratio = z3.Reals(f"n{h} d{h} r{h}")
        for total, table in ((top, m[h]), (bottom, e[h])):
            terms = [
                z3.If(x[j][w], exact(table[j, w]), z3.RealVal(0))
                for j in range(slots)
                for w in np.flatnonzero(cell.allowed[j])
            ]
            asked.add(total == z3.Sum(terms))
        asked.add(ratio * bottom == top, bottom > 0)
        ratios.append(ratio)
    asked.add(z3.Sum(ratios) + exact(cell.own[cell.label] - cell.own[rival]) <= 0)
    answer = asked.check()
    return "found" if answer == z3.sat else "none" if answer == z3.unsat else "open"
