"""Bounds that count rows: what they count is what the whole communication matrix has, or less where they say so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from separatrix.cannot import registry
from separatrix.cannot.bound import Bound
from separatrix.cannot.engine.matrix import Matrix
from separatrix.cannot.ledger import clauses, formulas, k_hop, match_sums
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.tasks import make_task


def rows(task: Task, n: int, cut: int) -> int:
    return len(Matrix.of(task, n, cut).labels)


def of(name: str) -> Bound:
    return registry.get(name)


@pytest.mark.parametrize(("order", "modulus"), [(2, 5), (3, 5), (4, 5), (4, 7), (5, 6), (8, 4)])
def test_sets_of_residues_are_the_rows_at_the_last_cut(order: int, modulus: int) -> None:
    for n in (2, 3, 4, 5):
        task = make_task("match-sums", {"order": order, "modulus": modulus})
        assert of("match-sums-recurrent-rows").bits(task, n) == pytest.approx(math.log2(rows(task, n, n - 1)), abs=1e-9)
        assert of("match-sums-recurrent").bits(task, n) <= math.log2(rows(task, n, n - 1)) + 1e-9


def test_sums_of_four_modulo_17() -> None:
    """778 sets, from 6 numbers on: three more numbers of a larger one add up to everything (Cauchy and Davenport)."""
    task = make_task("match-sums", {"order": 4, "modulus": 17})
    assert isinstance(task, match_sums.MatchSums)
    assert len(match_sums.sets_told_apart(4, 17, match_sums.most_of(task, 16))) == 778
    assert of("match-sums-recurrent-rows").bits(task, 10**6) == pytest.approx(math.log2(778), abs=1e-9)
    assert judge(of("match-sums-recurrent-rows").certificate(task, 64)).accepted


@pytest.mark.parametrize(("k", "symbols", "n"), [(1, 2, 7), (1, 3, 7), (2, 3, 6), (2, 4, 6), (5, 2, 8), (16, 3, 7)])
def test_short_words_are_the_rows_at_the_last_cut(k: int, symbols: int, n: int) -> None:
    task = make_task("k-hop", {"k": k, "symbols": symbols})
    count = rows(task, n, n - 1)
    assert of("k-hop-recurrent-rows").bits(task, n) == pytest.approx(math.log2(count), abs=1e-9)
    assert of("k-hop-recurrent").bits(task, n) <= math.log2(count) + 1e-9


@pytest.mark.parametrize("k", [1, 2, 16])
def test_zeros_before_short_words_change_nothing(k: int) -> None:
    task = make_task("k-hop", {"k": k, "symbols": 3})
    assert isinstance(task, k_hop.KHop)
    for n in (10, 11, 16, 40):
        prefixes, last = k_hop.short_words(task, n)
        answers = [task.answer(np.column_stack([prefixes, np.full(len(prefixes), x)]))[:, -1] for x in last]
        assert len(np.unique(np.stack(answers, axis=1), axis=0)) == len(prefixes)
        assert of("k-hop-recurrent-rows").bits(task, n) == pytest.approx(math.log2(len(prefixes)), abs=1e-9)


def test_induction_heads_keep_a_tree() -> None:
    """Behind the last occurrence of a symbol stands one that occurs later: 4^3 trees where all four symbols occur."""
    task = make_task("k-hop", {"k": 1, "symbols": 4})
    assert isinstance(task, k_hop.KHop)
    words, _ = k_hop.short_words(task, 10)
    answers = np.stack([task.answer(np.column_stack([words, np.full(len(words), x)]))[:, -1] for x in range(4)], axis=1)
    assert (answers < 4).all(axis=1).sum() == 4**3


@pytest.mark.parametrize("seed", range(30))
def test_clauses_have_the_rows_of_the_best_cut(seed: int) -> None:
    rng = child(seed, "clauses")
    n, parts = int(rng.integers(3, 8)), []
    for _ in range(int(rng.integers(1, n))):
        variables = rng.choice(n, int(rng.integers(1, min(n, 4) + 1)), replace=False) + 1
        parts.append(" ".join(str(int(v * rng.choice([-1, 1]))) for v in variables))
    least = int(rng.integers(0, len(parts) + 1))
    task = make_task("clauses", {"formula": ", ".join(parts), "join": str(rng.choice(["and", "or"])), "least": least})
    best = max(rows(task, n, cut) for cut in range(1, n))
    bound = of("clauses-recurrent")
    assert bound.bits(task, n) == pytest.approx(math.log2(best), abs=1e-9)
    assert (bound.vacuous(task, n) is None) == (best > 1)
    if best > 1:
        assert judge(bound.certificate(task, n)).accepted


def test_long_formulas_keep_eight_clauses_that_cross() -> None:
    """20 clauses cross the middle, and 20 lie on either side and must be out of the way."""
    rng = child(0, "long")
    crossing = [f"{i + 1} -{i + 41}" for i in range(20)]
    aside = [f"{21 + 10 * side + a} {21 + 10 * side + b}"
             for side in (0, 1) for a, b in (rng.choice(10, 2, replace=False).tolist() for _ in range(20))]  # fmt: skip
    for join, least in (("and", 1), ("or", 0)):
        task = make_task("clauses", {"formula": ", ".join([*crossing, *aside]), "join": join, "least": least})
        assert of("clauses-recurrent").bits(task, 64) == 8.0
        assert judge(of("clauses-recurrent").certificate(task, 64)).accepted
    assert isinstance(task, clauses.Clauses)
    huge = make_task("clauses", {"formula": ", ".join(str(i + 1) for i in range(clauses.MOST_VARIABLES + 1))})
    assert of("clauses-recurrent").vacuous(huge, 2000)


def test_a_dnf_of_two_clauses() -> None:
    """(x1 and not x2) or (x3 and x4): after three bits it holds, or x4 decides, or it does not hold."""
    task = make_task("clauses", {"formula": "1 -2, 3 4"})
    assert of("clauses-recurrent").bits(task, 4) == pytest.approx(math.log2(3), abs=1e-9)


@pytest.mark.parametrize("n", [2, 3])
def test_relations_have_these_rows_exactly(n: int) -> None:
    task = make_task("relation-composition")
    assert of("relation-composition-recurrent").bits(task, n) == math.log2(rows(task, n, n * (n - 1)))


@pytest.mark.parametrize(("name", "cut"), [("match3-bigram", 1), ("match3-local", 2)])
def test_match3_nearby_stays_below_the_rows(name: str, cut: int) -> None:
    for modulus, n in ((3, 5), (4, 5), (5, 5), (6, 4), (9, 4), (10, 4), (15, 3)):
        task = make_task(name, {"modulus": modulus})
        assert of(f"{name}-recurrent").bits(task, n) <= math.log2(rows(task, n, n - cut)) + 1e-9


def test_one_number_of_alices_has_all_its_rows() -> None:
    """M rows at M = 9, and fewer at M = 3, where a + a + a = 0 answers for all."""
    for modulus, some in ((9, 9), (12, 12), (15, 15), (3, 1)):
        task = make_task("match3-local", {"modulus": modulus})
        assert rows(task, 3, 1) == some


@pytest.mark.parametrize("prime", [3, 5, 11, 257])
def test_residues_are_the_rows_of_the_first_half(prime: int) -> None:
    for n in (2, 4, 8, 12):
        task = make_task("fingerprint", {"prime": prime})
        assert of("fingerprint-recurrent").bits(task, n) == pytest.approx(math.log2(rows(task, n, n // 2)), abs=1e-9)


@pytest.mark.parametrize(("name", "parameters"), [
    ("boolean-formula", {}), ("boolean-formula", {"encoding": "plof"}),
    *(("arithmetic-formula", {"ring": r, "encoding": e})
      for r in ("gf2", "z6", "or-and", "min-plus", "matrix2-gf2") for e in ("infix", "plof")),
])  # fmt: skip
def test_words_of_brackets_are_formulas_of_one_value(name: str, parameters: dict[str, object]) -> None:
    """All that agree are, whatever they agree on; any other is no formula."""
    task = formulas.formula(make_task(name, parameters))
    for n in (16, 17, 25, 33):
        if task.written() != "infix":
            if task.shapes(n):
                assert of(f"{name}-recurrent").bits(task, n) == pytest.approx(
                    math.log2(task.algebra().size + 1), abs=1e-9
                )
            continue
        d = formulas.layout(task, n)[0]
        if not d or not task.shapes(n):
            continue
        choices = np.array(list(np.ndindex(*(2,) * (2 * d))))
        answers = task.answer(formulas.words(task, n, choices[:, :d], choices[:, d:]))[:, 0]
        agree = (choices[:, :d] == choices[:, d:]).all(axis=1)
        assert (answers[~agree] == task.algebra().size).all() and len(np.unique(answers[agree])) == 1
        assert answers[agree][0] < task.algebra().size
