"""States that halves of words tell apart: the count against the whole matrix, for automata of all kinds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from separatrix.cannot import registry
from separatrix.cannot.engine.matrix import Matrix
from separatrix.cannot.ledger.automata import middle, regular_classes
from separatrix.kernel import judge
from separatrix.tasks import make_task
from separatrix.tasks.regular import Regular


def random_automaton(seed: int) -> Regular:
    rng = np.random.default_rng(seed)
    states, symbols = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    rows = (" ".join(map(str, rng.integers(0, states, symbols))) for _ in range(states))
    accepting = np.flatnonzero(rng.random(states) < 0.5).tolist() or [0]
    return Regular(", ".join(rows), " ".join(map(str, accepting)))


def test_the_count_is_that_of_the_whole_matrix() -> None:
    seen = set()
    for seed in range(60):
        task, n = random_automaton(seed), 2 + seed % 5
        count = regular_classes(task, n)
        assert count == len(Matrix.of(task, n, middle(n)).labels), seed
        seen.add(count)
        if count > 1:
            made = registry.get("regular-recurrent").certificate(task, n)
            assert judge(made).accepted and 2 ** float.fromhex(made.claim.bound) == pytest.approx(count)
    assert len(seen) >= 4


def test_periods_are_walked_once() -> None:
    """At lengths beyond the period the count is that of the symbol-by-symbol walk."""
    for seed in range(40):
        task = random_automaton(seed)
        table, accepting = task.automaton(), set(task.accepted())
        for n in (61, 200):
            states = {0}
            for _ in range(middle(n)):
                states = {int(to) for s in states for to in table[s]}
            classes = [int(s in accepting) for s in range(len(table))]
            for _ in range(n - middle(n)):
                rows = [tuple(classes[to] for to in row) for row in table.tolist()]
                classes = [sorted(set(rows)).index(row) for row in rows]
            assert regular_classes(task, n) == len({classes[s] for s in states}), (seed, n)
    parity = make_task("regular", {"transitions": "0 1, 1 0", "accepting": "1"})
    assert registry.get("regular-recurrent").bits(parity, 10**9 + 1) == 1


def test_long_words_and_groups() -> None:
    task = make_task("regular", {"transitions": "0 1, 0 2, 2 2", "accepting": "2"})
    made = registry.get("regular-recurrent").certificate(task, 1000)
    assert judge(made).accepted and float.fromhex(made.claim.bound) == pytest.approx(math.log2(3))
    bound = registry.get("word-problem-recurrent")
    made = bound.certificate(make_task("word-problem"), 200)
    assert judge(made).accepted and float.fromhex(made.claim.bound) == pytest.approx(math.log2(120))
    assert len(Matrix.of(make_task("word-problem", {"group": "s3"}), 4, 2).labels) == 6
