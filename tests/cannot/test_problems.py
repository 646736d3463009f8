"""Every entry of the ledger: its reduction run through, its certificate judged, its formula at known values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from separatrix.cannot import bounds_for, registry
from separatrix.cannot.bound import Bound
from separatrix.cannot.ledger import match3, pointer_chasing
from separatrix.cannot.ledger.lists import LISTS
from separatrix.cannot.reduction import DISJ, EQ, GT, INDEX, IP
from separatrix.core.errors import UnknownError
from separatrix.core.seeds import child
from separatrix.core.size import Precision, Size
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.tasks import make_task

AUTOMATA = (("0 1, 1 0", "1"), ("0 1, 0 2, 2 2", "2"), ("1 2, 0 2, 2 2", "0"), ("1 1, 2 2, 0 0", "1"), ("0 0", "0"))
CASES: list[tuple[str, dict[str, object], tuple[int, ...]]] = [
    *((name, {}, (2, 4, 6, 8, 40)) for name in ("equality", "disjointness", "inner-product", "greater-than")),
    ("equality", {"symbols": 3}, (2, 4, 20)),
    ("parity", {}, (1, 2, 9)),
    ("majority", {}, (1, 3, 9, 101)),
    *(("dyck", {"types": t, "depth": d}, (2, 4, 8, 30)) for t, d in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (2, 3))),
    *(
        ("associative-recall", {"keys": 9, "labels": k, "joined": j}, (1, 2, 5, 9))
        for k in (2, 3)
        for j in (False, True)
    ),
    *(("nearest-neighbour", {"dim": d, "joined": j}, (1, 2, 5)) for d in (1, 3) for j in (False, True)),
    ("multi-query-recall", {"keys": 3, "labels": 2}, (1, 2, 5)),
    ("multi-query-recall", {"keys": 1, "labels": 2}, (1, 2)),
    *(("match3", {"modulus": m, "distinct_indices": e}, (2, 3, 5, 9)) for m in (4, 8, 29, 64) for e in (False, True)),
    *(("function-composition", {"labels": k}, (1, 2, 5, 9)) for k in (2, 5)),
    *(("regular", {"transitions": t, "accepting": a}, (1, 2, 5, 40)) for t, a in AUTOMATA),
    *(
        ("word-problem", {"group": g, "ask": a}, (1, 2, 5, 40))
        for g in ("z5", "s3", "s5")
        for a in ("identity", "product")
    ),
    *(("pointer-chasing", {"steps": s}, (2, 3, 6)) for s in (1, 2, 3, 4)),
    *(
        ("sparse-propagation", {"q": q, "dim": d, "eps": e}, (q, 7, 16))
        for q, d in ((1, 1), (2, 2))
        for e in (0.01, 0.9)
    ),
    ("relation-composition", {}, (1, 2, 5, 8)),
    *(
        ("match-sums", {"order": s, "modulus": m}, (1, 3, 4, 6, 20))
        for s, m in ((2, 9), (3, 5), (3, 31), (3, 200), (4, 17), (4, 200), (5, 60), (8, 13))
    ),
    *(("match3-bigram", {"modulus": m}, (1, 2, 3, 4, 9, 20)) for m in (2, 3, 6, 12, 17)),
    *(("match3-local", {"modulus": m, "window": w}, (2, 3, 6)) for m in (8, 9, 17, 40) for w in (1, 3)),
    *(("fingerprint", {"prime": p}, (2, 4, 8, 20)) for p in (3, 257)),
    *(
        ("clauses", {"formula": f, "join": j, "least": k}, (4, 5, 9))
        for f in ("1 -2, 3 4", "1 3, -2 4, 2 -3", "1 2 3 4", "4")
        for j, k in (("and", 1), ("or", 0), ("and", 0))
    ),
    *(("k-hop", {"k": k, "symbols": s}, (1, 2, 3, 8, 20)) for k in (1, 2, 16) for s in (2, 3, 4, 16)),
    ("boolean-formula", {}, (1, 8, 9, 16, 57)),
    ("boolean-formula", {"encoding": "plof"}, (1, 2, 3, 10)),
    *(("arithmetic-formula", {"ring": r}, (1, 5, 9, 17, 57)) for r in ("gf2", "z6", "min-plus")),
    *(("arithmetic-formula", {"ring": r, "encoding": "plof"}, (1, 3, 9)) for r in ("gf2", "or-and", "matrix2-gf2")),
]


def entries(name: str) -> list[Bound]:
    return [bound for arch in ("rnn", "transformer", "mlp") for bound in bounds_for(name, arch)]


@pytest.mark.parametrize(("name", "parameters", "lengths"), CASES, ids=str)
def test_certificates_are_accepted_and_claim_what_the_formula_says(
    name: str, parameters: dict[str, Any], lengths: tuple[int, ...]
) -> None:
    task = make_task(name, parameters)
    for bound in entries(name):
        for n in lengths:
            if bound.vacuous(task, n) is not None:
                assert bound.bits(task, n) <= 0 or bound.name == "pointer-chasing-decoder"
                with pytest.raises(UnknownError):
                    bound.certificate(task, n)
                continue
            made = bound.certificate(task, n)
            verdict = judge(made)
            assert verdict.accepted, (bound.name, parameters, n, verdict.sentence)
            assert float.fromhex(made.claim.bound) == pytest.approx(bound.bits(task, n), abs=1e-9)
            assert (made.claim.arch, made.claim.measure) == (bound.arch, bound.measure)
            assert float.fromhex(made.claim.bound) <= task.domain(n).log2_inputs() + 1e-9


def test_every_bound_is_tried_here_or_in_the_first_ledger_tests() -> None:
    older = ("index-lookup", "match2", "sparse-averaging")
    lists = {kind.name for kind, *_ in LISTS}  # in `test_list_bounds`
    assert {bound.task for _, bound in registry.items()} == {name for name, *_ in CASES} | set(older) | lists


def test_problems_by_hand() -> None:
    a, b = np.array([[1, 0, 1], [0, 1, 1]]), np.array([[0, 1, 1], [0, 1, 1]])
    assert [p.value(a, b).tolist() for p in (EQ, DISJ, IP, GT)] == [[0, 1], [1, 1], [1, 0], [1, 0]]
    assert INDEX.value(a, np.array([[0, 0, 1], [1, 0, 0]])).tolist() == [1, 0]
    for problem in (EQ, DISJ, IP, GT, INDEX):
        a, b = problem.sample(6, 200, child(1))
        assert 0.05 < problem.value(a, b).mean() < 0.95 and len(problem.inputs(3)[0]) == (
            24 if problem is INDEX else 64
        )


def test_a_zero_at_the_query_breaks_the_reduction_to_match3() -> None:
    """Control: with x_1 = 0, which may be used again, 0 + 0 + 0 = 0 answers 1 for all."""
    task = make_task("match3", {"modulus": 12})
    a, b = DISJ.inputs(4)
    tokens, _ = match3.disjointness(task, 11, a, b)
    assert np.array_equal(task.answer(tokens)[:, 0], DISJ.value(a, b))
    tokens[:, 0] = 0
    assert task.answer(tokens)[:, 0].all() and not DISJ.value(a, b).all()


@pytest.mark.parametrize("k", range(2, 8))
def test_disjointness_reduces_to_match3_at_its_least_modulus(k: int) -> None:
    """M = 2k + 2 = N + 1 works for N = 2k + 1; one less does not, with this layout."""
    a, b = DISJ.inputs(k) if k <= 5 else DISJ.sample(k, 3000, child(k))
    for modulus, works in ((2 * k + 2, True), (2 * k + 1, False)):
        task = make_task("match3", {"modulus": modulus})
        tokens, _ = match3.disjointness(task, 2 * k + 1, a, b)
        assert np.array_equal(task.answer(tokens)[:, 0], DISJ.value(a, b)) == works


@pytest.mark.parametrize(("modulus", "n", "count"), [(16, 4, 3), (20, 5, 4), (24, 6, 5)])
def test_one_way_rows_of_match3(modulus: int, n: int, count: int) -> None:
    """Sets of exactly N - 2 numbers: C(floor(M/4) - 1, N - 2); repetition allows smaller sets as well."""
    free = modulus // 4 - 1
    assert math.comb(free, n - 2) == count
    task = make_task("match3", {"modulus": modulus})
    rows = set()
    for choice in np.ndindex(*(modulus,) * (n - 2)):
        numbers = [1, *choice]
        if all(2 <= c <= free + 1 for c in choice):
            tokens = np.array([[*numbers, modulus - 1 - c] for c in range(2, free + 2)])
            rows.add(tuple(task.answer(tokens)[:, 0].tolist()))
    assert len(rows) == sum(math.comb(free, k) for k in range(1, n - 1)) == round(2 ** match3.rows(task, n))


def test_match3_at_thirty_two_numbers() -> None:
    for modulus, least in ((97, 8), (257, 30), (1025, 90)):
        task = make_task("match3", {"modulus": modulus})
        for name in ("match3-one-layer", "match3-recurrent"):
            bound = registry.get(name)
            assert bound.bits(task, 32) >= least and judge(bound.certificate(task, 32)).accepted


def test_nearest_neighbour_and_recall_hold_every_label() -> None:
    """Nearest neighbour K = 16: 16 bits; recall K = 64: 64 bits, state and one-way."""
    for name, parameters, n in (
        ("nearest-neighbour", {"dim": 4}, 16),
        ("associative-recall", {"keys": 64, "labels": 2}, 64),
    ):
        task = make_task(name, parameters)
        for bound in entries(name):
            made = bound.certificate(task, n)
            assert float.fromhex(made.claim.bound) == n and judge(made).accepted


def test_index_gives_no_bound_on_one_layer() -> None:
    """Two-way cost of INDEX is log2 N + 1: Bob sends his index, Alice her bit; nothing of order N is registered."""
    task = make_task("index-lookup", {"symbols": 2})
    assert bounds_for("index-lookup", "transformer") == []
    for n in (2, 5, 16):
        tokens, _ = task.sample(n, 100, child(n))
        index = tokens[:, -1] - 2  # Bob's message, ceil(log2 N) bits
        assert np.array_equal(tokens[np.arange(100), index], task.answer(tokens)[:, 0])


def test_sizes_that_are_ruled_out() -> None:
    task = make_task("equality")
    one_layer = registry.get("equality-one-layer")
    bits = one_layer.bits(task, 10_000)
    small = Size(1, 1, 8, 8, 8, 10_000, None, None, Precision(16, "fixed"))
    assert small.bits("cut") == 8 * 16 + 2 * 8 * 16 + 4 * 16 + 2 * 14 and one_layer.violated(small, bits)
    for change in (
        {"layers": 2},
        {"layers": None},
        {"heads": None},
        {"precision": Precision(16, "stored")},
        {"precision": Precision(16, "float")},
    ):
        import dataclasses

        assert not one_layer.violated(dataclasses.replace(small, **change), bits), change
    recall = registry.get("associative-recall-one-layer")
    held = recall.bits(make_task("associative-recall", {"keys": 4096, "labels": 2}), 4096)
    accumulators = Size(1, 2, 64, 16, 16, None, None, None, Precision(32, "accumulator"))
    assert held == 4096 and recall.violated(accumulators, held) and not recall.violated(accumulators, 2 * 17 * 32)
    assert not recall.violated(dataclasses.replace(accumulators, precision=Precision(24)), held)  # keeps a row maximum


def test_layered_bounds_say_when_they_are_vacuous() -> None:
    bound = registry.get("pointer-chasing-decoder")
    for steps, amount in ((1, 2.37), (2, 1.055)):
        task = make_task("pointer-chasing", {"steps": steps})
        assert bound.bits(task, 10**6) == pytest.approx(amount, abs=5e-3)
        assert "vacuous at this size" in str(bound.vacuous(task, 10**6))
    assert pointer_chasing.composition_vacuous(make_task("pointer-chasing", {"steps": 1}), 2**100) is None
    assert isinstance(make_task("pointer-chasing"), Task)
