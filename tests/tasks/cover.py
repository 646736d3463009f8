"""The test that every task's cells must pass: they cover the domain and carry the label of `answer`."""

from __future__ import annotations

import itertools

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, PointerSets, Sequence
from separatrix.core.task import Task

MOST = 20_000


def words(domain: Sequence) -> np.ndarray:
    """(inputs, positions) or (inputs, positions, q): the discrete part of every legal input of a small domain."""
    choices = [
        list(itertools.combinations(range(a.n), a.size)) if isinstance(a, PointerSets) else np.asarray(a).tolist()
        for a in domain.alphabets
    ]
    assert np.prod([len(c) for c in choices]) <= MOST, "take a smaller n"
    inputs = np.array(list(itertools.product(*choices)))
    keep = np.array([obeys(domain.constraint, row) for row in inputs], dtype=bool)
    assert all(domain.contains(row) == kept for row, kept in zip(inputs[:200], keep[:200], strict=True))
    return inputs[keep]


def obeys(constraint: Constraint, row: np.ndarray) -> bool:
    """Whether one word satisfies a constraint, spelled out anew."""
    symbols = row.tolist()
    tied = symbols if constraint.positions is None else [symbols[j] for j in constraint.positions]
    match constraint.kind:
        case "count":
            return tied.count(constraint.symbol) == constraint.count
        case "distinct":
            kinds = [constraint.classes[s] if constraint.classes else s for s in tied]
            if constraint.present is not None:
                asked = symbols[constraint.present]
                if (constraint.classes[asked] if constraint.classes else asked) not in kinds:
                    return False
            return len(set(kinds)) == len(kinds)
        case "regular":
            state = 0
            for symbol in tied:
                state = constraint.transitions[state][symbol]
            return state in constraint.accepting
    return True


def members(group: CellGroup, cell: int, domain: Sequence, inputs: np.ndarray) -> np.ndarray:
    """(inputs,) which of the inputs lie in one cell."""
    inside = (inputs[:, group.query] == np.asarray(group.token)).reshape(len(inputs), -1).all(axis=1)
    forced = dict(zip(group.positions[cell].tolist(), group.symbols[cell].tolist(), strict=True))
    assert group.query not in forced, "a cell forces its own query"
    for j, alphabet in enumerate(domain.alphabets):
        if j == group.query:
            continue
        if j in forced:
            inside &= inputs[:, j] == forced[j]
        elif group.background is not None:
            inside &= np.isin(inputs[:, j], group.background[j])
        elif not isinstance(alphabet, PointerSets):
            inside &= np.isin(inputs[:, j], alphabet)
    if group.constraint.kind != "product":
        inside &= np.array([obeys(group.constraint, row) for row in inputs])
    return inside


def assert_cells_cover(task: Task, n: int, seed: int = 0) -> int:
    """For every scored position the cells cover the domain and carry the answer; returns the number of cells.

    Labels are compared with `answer` on every member of every cell. Coefficients must reproduce `answer` on random real
    parts. Every group is of the query asked for, its token and symbols lie in the alphabets, arrays have their shapes.
    """
    domain, outputs, queries = task.domain(n), task.outputs(), task.queries(n)
    inputs = words(domain)
    assert len(inputs) and all(domain.contains(row) for row in inputs[:50])
    reals = None
    if domain.reals is not None:
        rng = np.random.default_rng(seed)
        reals = rng.normal(size=(len(inputs), domain.positions, domain.reals.dim))
    answers = task.answer(inputs, reals)
    assert answers.shape[:2] == (len(inputs), len(queries))
    assert len(set(queries)) == len(queries) and all(0 <= q < domain.positions for q in queries)
    total = 0
    for column, query in enumerate(queries):
        groups = task.cells(n, query)
        if groups is None:
            continue
        covered = np.zeros(len(inputs), dtype=bool)
        for group in groups:
            assert group.query == query
            assert group.positions.shape == group.symbols.shape and group.positions.ndim == 2
            assert group.background is None or len(group.background) == domain.positions
            total += len(group)
            for cell in range(len(group)):
                inside = members(group, cell, domain, inputs)
                covered |= inside
                if isinstance(outputs, Labels):
                    assert group.labels is not None and group.labels.shape == (len(group),)
                    label = int(group.labels[cell])
                    assert 0 <= label < outputs.k
                    assert (answers[inside, column] == label).all(), (query, group.token, cell)
                else:
                    assert group.coefficients is not None and group.coefficients.shape == (domain.positions,)
                    assert reals is not None
                    mean = np.einsum("j,bjd->bd", group.coefficients, reals[inside])
                    np.testing.assert_allclose(answers[inside, column], mean, rtol=1e-12, atol=1e-12)
        assert covered.all(), f"query {query}: no cell holds {inputs[np.flatnonzero(~covered)[0]]}"
    return total
