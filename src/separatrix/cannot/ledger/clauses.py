"""Clauses: what the bits before a cut leave open of the formula must be kept; counted by the formula's truth table.

Up to 16 variables the rows of the best cut are counted exactly. Of longer formulas 16 variables stay free: one on each
side of the middle from clauses that cross it and share no variable, then others. The other variables of these clauses
are set so that the free ones decide, and all others so that their clauses do not.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from separatrix.cannot.bound import STATE, Bound, need, of_kind, registry, state_violated
from separatrix.cannot.engine.readings import low
from separatrix.cannot.engine.rows import rows_certificate
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.clauses import Clauses

MOST_FREE = 16
MOST_VARIABLES = 2**10  # of a formula that is looked at
MOST_N = 2**12


class Rows(NamedTuple):
    """Distinct rows and columns at a cut: positions (v,) that bits stand at; prefixes (m, v), suffixes (k, v)."""

    cut: int
    positions: np.ndarray
    prefixes: np.ndarray
    suffixes: np.ndarray


def chosen(clauses: tuple[tuple[int, ...], ...], join: str, count: int) -> tuple[list[int], np.ndarray]:
    """(free variables, values (count,)) of a formula in the variables 1 .. count, which lie in that order."""
    values, free, taken = np.zeros(count, dtype=np.int64), list[int](), set[int]()
    if count <= MOST_FREE:
        return list(range(count)), values
    good = join == "and"  # a literal that leaves the others of its clause to decide is true; else it is false
    crossing = [c for c in clauses if min(map(abs, c)) <= count // 2 < max(map(abs, c))]
    for clause in sorted(crossing, key=len):
        if len(free) < MOST_FREE and not taken & {abs(x) for x in clause}:
            taken |= {abs(x) for x in clause}
            free += [min(map(abs, clause)) - 1, max(map(abs, clause)) - 1]
            for x in clause:
                values[abs(x) - 1] = (x > 0) == good
    for v in set(range(1, count + 1)) - taken:
        signs = sum((x > 0) - (x < 0) for clause in clauses for x in clause if abs(x) == v)
        values[v - 1] = (signs <= 0) == good
    free += [v for v in range(count) if v + 1 not in taken][: MOST_FREE - len(free)]
    return sorted(free), values


def rows_of(task: Clauses, n: int) -> Rows | None:
    """At any n; it matters only whether the query is the last variable."""
    return best_rows(task, n > max(abs(x) for clause in task.clauses() for x in clause))


@lru_cache(maxsize=64)
def best_rows(task: Clauses, longer: bool) -> Rows | None:
    """The cut with the most rows; None where the formula has too many variables. longer: bits stand behind them."""
    clauses = task.clauses()
    used = sorted({abs(x) for clause in clauses for x in clause})
    if len(used) > MOST_VARIABLES:
        return None
    number = {v: i + 1 for i, v in enumerate(used)}
    packed = tuple(tuple(number[abs(x)] * (1 if x > 0 else -1) for x in clause) for clause in clauses)
    free, values = chosen(packed, task.join, len(used))
    small = Clauses(", ".join(" ".join(map(str, clause)) for clause in packed), task.join, task.least)
    table = np.empty(2 ** len(free), dtype=np.int64)
    for start in range(0, len(table), 2**12):
        bits = np.arange(start, min(start + 2**12, len(table)))[:, None] >> np.arange(len(free))[::-1] & 1
        words = np.repeat(values[None], len(bits), axis=0)
        words[:, free] = bits
        table[start : start + len(bits)] = small.answer(words)[:, 0]
    positions, best = np.array(used) - 1, None
    for held in range(1, len(free) + 1):
        cut = int(positions[free[held - 1]]) + 1
        matrix = table.reshape(2**held, -1)
        _, rows = np.unique(matrix, axis=0, return_index=True)
        if (longer or cut < used[-1]) and (best is None or len(rows) > len(best[2])):
            _, columns = np.unique(matrix, axis=1, return_index=True)
            best = cut, held, rows, columns
    if best is None:
        return None
    cut, held, rows, columns = best
    digits = np.array(list(itertools.product((0, 1), repeat=held)))
    prefixes = np.repeat(values[None], len(rows), axis=0)
    prefixes[:, free[:held]] = digits[rows]
    digits = np.array(list(itertools.product((0, 1), repeat=len(free) - held)), dtype=np.int64)
    suffixes = np.repeat(values[None], len(columns), axis=0)
    suffixes[:, free[held:]] = digits.reshape(2 ** (len(free) - held), -1)[columns]
    return Rows(cut, positions, prefixes, suffixes)


def bits(task: Task, n: int) -> float:
    """log2 of the rows."""
    found = rows_of(of_kind(Clauses, task), n)
    return low(len(found.prefixes)) if found else 0.0


def certificate(task: Task, n: int) -> Certificate:
    """The rows and columns as words, 0 where no variable stands."""
    clauses = of_kind(Clauses, task)
    need(n <= MOST_N, f"a certificate for N = {n} is too large")
    clauses.domain(n)
    found = rows_of(clauses, n)
    need(found is not None and len(found.prefixes) > 1, "this bound says nothing here")
    assert found is not None
    cut, positions, *sides = found
    words = [np.zeros((len(side), n), dtype=np.int64) for side in sides]
    for word, side in zip(words, sides, strict=True):
        word[:, positions] = side
    return rows_certificate(task, n, cut, words[0][:, :cut], words[1][:, cut:])


def vacuous(task: Task, n: int) -> str | None:
    """A sentence where one row was found."""
    if bits(task, n) > 0:
        return None
    return f"no clause is seen to cross a cut (of formulas of up to {MOST_VARIABLES} variables)"


registry.register("clauses-recurrent")(
    Bound(
        name="clauses-recurrent",
        task="clauses",
        arch="rnn",
        source="Myhill 1957, Nerode 1958: what is left of the formula at a cut, counted by its truth table",
        expression="log₂ of what the bits before the best cut leave of the formula",
        measure="state",
        merge=STATE,
        bits=bits,
        certificate=certificate,
        violated=state_violated,
        vacuous=vacuous,
        status="derived here",
    )
)
