"""Coordinates: exact bits past the wall, the cells they rest on, and evidence that must not pass."""

import itertools
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from separatrix.cannot import registry
from separatrix.cannot.engine.matrix import Matrix
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels
from separatrix.core.semantics import REAL
from separatrix.kernel import judge
from separatrix.kernel.case import Case
from separatrix.kernel.coordinates import Boxes, _amount
from separatrix.kernel.swap import all_combinations
from separatrix.tasks import make_task
from separatrix.tasks.match2 import Match2


def certificate(bound: str, task: str, parameters: dict[str, Any], n: int) -> Certificate:
    return registry.get(bound).certificate(make_task(task, parameters), n)


def lookup(n: int, symbols: int) -> Certificate:
    return certificate("index-lookup-recurrent", "index-lookup", {"symbols": symbols}, n)


def match(n: int, modulus: int, distinct: bool = False) -> Certificate:
    return certificate("match2-recurrent", "match2", {"modulus": modulus, "distinct_indices": distinct}, n)


def changed(good: Certificate, bound: float | None = None, **parts: Any) -> Certificate:
    """The certificate with evidence fields, arrays and bound replaced."""
    arrays = {k: v for k, v in parts.items() if isinstance(v, np.ndarray)}
    fields = {k: v for k, v in parts.items() if not isinstance(v, np.ndarray)}
    claim = good.claim if bound is None else replace(good.claim, bound=float(bound).hex())
    return replace(good, claim=claim, evidence=good.evidence | fields, arrays=good.arrays | arrays)


def test_index_lookup_of_1024_symbols() -> None:
    verdict = judge(lookup(1024, 64))
    assert verdict.accepted and "6144 bits" in verdict.sentence
    assert not judge(changed(lookup(1024, 64), math.nextafter(6144, 1e9))).accepted


@pytest.mark.parametrize("distinct", [False, True])
def test_match2_of_64_numbers(distinct: bool) -> None:
    good = match(64, 97, distinct)
    assert float.fromhex(good.claim.bound) == 63 and judge(good).accepted
    assert not judge(changed(good, 63.5)).accepted


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("modulus", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("distinct", [False, True])
def test_match2_amounts_never_exceed_the_enumerated_cost(n: int, modulus: int, distinct: bool) -> None:
    """#rows at the last cut = sets of nontrivial residues of at most N - 1 numbers; the certificate stays below."""
    task = Match2(modulus, distinct)
    bound = registry.get("match2-recurrent")
    rows = len(Matrix.of(task, n).labels)
    if distinct:
        exact = sum(math.comb(modulus, k) for k in range(1, min(n - 1, modulus) + 1))
    else:
        free = modulus - math.gcd(2, modulus)
        exact = sum(math.comb(free, k) for k in range(min(n - 1, free) + 1))
    assert rows == exact
    bits = bound.bits(task, n)
    assert bits <= math.log2(rows)
    if bits:
        assert judge(bound.certificate(task, n)).accepted
    else:
        assert bound.vacuous(task, n)


def test_match2_traps() -> None:
    good = match(4, 8)  # residues 1, 2, 3 with filler 0; 4 is its own partner
    assert good.arrays["symbols"].tolist() == [0, 1, 0, 2, 0, 3]
    trivial = changed(good, symbols=np.array([0, 1, 0, 2, 0, 4]), suffixes=np.array([[7], [6], [4]]))
    assert not judge(trivial).accepted  # 2 * 4 = 0: the last number always matches itself
    spurious = changed(good, symbols=np.array([0, 1, 0, 2, 1, 3]))
    assert not judge(spurious).accepted  # position 2 may hold 1, which position 0 is asked about
    wrong = changed(good, suffixes=np.array([[7], [6], [6]]))
    assert not judge(wrong).accepted  # the third coordinate is never asked for
    early = changed(good, queries=np.array([3, 3, 2]))
    assert not judge(early).accepted  # position 2 is Alice's
    same = changed(match(4, 8, True), symbols=np.array([0, 1, 0, 2, 0, 4]), suffixes=np.array([[7], [6], [4]]))
    assert judge(same).accepted  # with distinct indices 4 needs another 4


@pytest.mark.parametrize("seed", range(40))
def test_accepted_boxes_agree_with_the_answers(seed: int) -> None:
    """Random sets: what the kernel reads off cells is what enumeration of the product gives, and it misses nothing."""
    rng = np.random.default_rng(seed)
    task = Match2(int(rng.integers(2, 6)), bool(rng.integers(2)))
    n = int(rng.integers(2, 5))
    u = int(rng.integers(1, n))
    positions = np.sort(rng.choice(n - 1, u, replace=False))
    sets = [
        np.sort(rng.choice(task.modulus, int(rng.integers(2, min(3, task.modulus) + 1)), replace=False))
        for _ in range(u)
    ]
    fillers = rng.integers(0, task.modulus, n - 1)
    suffixes = rng.integers(0, task.modulus, (u, 1))
    arrays = {
        "positions": positions,
        "offsets": np.r_[0, np.cumsum(list(map(len, sets)))],
        "symbols": np.concatenate(sets),
        "fillers": fillers,
        "suffixes": suffixes,
        "queries": np.full(u, n - 1),
    }
    good = changed(match(3, 5))
    claim = replace(good.claim, parameters=task.parameters(), n=n, bound=(0.0).hex())
    verdict = judge(replace(good, claim=claim, evidence={"cut": n - 1}, arrays=arrays))
    readable = True
    for p, allowed, suffix in zip(positions, sets, suffixes, strict=True):
        seen: dict[int, set[int]] = {}
        choices = [[f] for f in fillers.tolist()]
        for other, options in zip(positions, sets, strict=True):
            choices[other] = options.tolist()
        for x in itertools.product(*choices):
            answer = int(task.answer(np.array([[*x, int(suffix[0])]]))[0, -1])
            seen.setdefault(x[p], set()).add(answer)
        labels = [next(iter(a)) for a in seen.values()]
        readable &= all(len(a) == 1 for a in seen.values()) and len(set(labels)) == len(allowed)
    assert not (verdict.accepted and not readable)
    case = Case(task, n, claim, REAL, {"cut": n - 1}, arrays, None, {})
    assert isinstance(task.outputs(), Labels) and Boxes.of(case, task.domain(n)).cut == n - 1
    if verdict.accepted:
        assert _amount(case, task.domain(n))[2] == sum((Fraction(1) for s in sets), Fraction(0))


def test_malformed_coordinates() -> None:
    good = lookup(4, 3)
    for parts in (
        {"positions": np.array([0, 1, 3, 2])},
        {"positions": np.array([0, 1, 2, 4])},
        {"positions": np.array([-1, 1, 2, 3])},
        {"offsets": np.array([0, 1, 6, 9, 12])},
        {"offsets": np.array([0, 3, 6, 9, 11])},
        {"offsets": np.array([0, 2**63 - 1, -(2**63) + 5, -1, 12])},
        {"symbols": np.tile([0, 1, 1], 4)},
        {"symbols": np.tile([0, 1, 3], 4)},
        {"fillers": np.full(4, 9)},
        {"suffixes": np.arange(4)[:, None]},
        {"suffixes": 3 + np.zeros((4, 1), dtype=np.int64)},
        {"queries": np.array([4, 4, 4, 0])},
        {"queries": np.array([4, 4, 4, 5])},
        {"cut": 3},
        {"cut": 5},
        {"levels": 2},
        {"more": np.zeros(1, dtype=np.int64)},
    ):
        assert not judge(changed(good, 0.0, **parts)).accepted, parts
    assert judge(changed(good, 0.0)).accepted


def averaging(n: int, q: int, eps: float, **parts: Any) -> Certificate:
    """The isolating layout: u = N - max(1, q - 1) numbers, each read by a query of its own."""
    good = certificate("sparse-averaging-recurrent", "sparse-averaging", {"q": q, "eps": 0.01 / q}, n)
    u = n - max(1, q - 1)
    reads = np.array([[p, *range(u, u + q - 1)] for p in range(u)])
    arrays = {
        "positions": np.arange(u),
        "fillers": np.tile(np.arange(q), (u, 1)),
        "suffix": np.tile(np.arange(q), (n - u, 1)),
        "queries": np.full(u, n - 1),
        "pointers": reads,
    }
    claim = replace(good.claim, parameters=good.claim.parameters | {"eps": eps.hex()}, bound=float(u).hex())
    return replace(good, kind="coordinates", claim=claim, evidence={"cut": u, "levels": 2}, arrays=arrays | parts)


def test_averaging_read_one_number_at_a_time() -> None:
    assert judge(averaging(9, 3, 0.3)).accepted
    assert judge(averaging(9, 1, 0.99)).accepted
    assert not judge(changed(averaging(9, 3, 0.3), 7.5)).accepted
    assert not judge(averaging(9, 3, 0.34)).accepted  # 1/3 < eps
    assert not judge(averaging(8, 4, 0.25)).accepted  # a tie: the answers differ by exactly 2 eps
    two = averaging(9, 3, 0.3)
    reads = two.arrays["pointers"].copy()
    reads[0] = [0, 1, 7]
    assert not judge(changed(two, pointers=reads)).accepted  # reads another used position
    reads[0] = [1, 0, 7]
    assert not judge(changed(two, pointers=reads)).accepted  # not a legal pointer set
    assert judge(changed(averaging(9, 3, 0.1), 7 * 2, levels=4)).accepted  # 3 * 0.1 < 1/3
    assert not judge(changed(averaging(9, 3, 0.1), 7 * 2, levels=5)).accepted
    assert not judge(changed(averaging(9, 3, 0.1), 1.0, levels=1)).accepted


@pytest.mark.parametrize(("n", "q", "eps"), [(4, 1, 0.5), (4, 1, 0.25), (5, 1, 0.125)])
def test_levels_are_exact_for_one_pointer(n: int, q: int, eps: float) -> None:
    """For q = 1 storing each number to within eps takes 1/eps values: the bound is attained."""
    bound = registry.get("sparse-averaging-recurrent-levels")
    task = make_task("sparse-averaging", {"q": q, "eps": eps})
    assert bound.bits(task, n) == (n - 1) * math.log2(1 / eps)
    assert judge(bound.certificate(task, n)).accepted


@pytest.mark.parametrize(("n", "q"), [(4, 1), (4, 2), (4, 3), (3, 2)])
def test_swap_rows_agree_with_the_matrix(n: int, q: int) -> None:
    """Every sign but the last matters, also for q > 2, where no query reads a single number."""
    task = make_task("sparse-averaging", {"q": q, "eps": 0.5 / q})
    bound = registry.get("sparse-averaging-recurrent")
    assert bound.bits(task, n) == n - 1 == math.log2(len(Matrix.of(task, n, n - 1).labels))
    good = bound.certificate(task, n)
    assert good.kind == "swap-rows" and judge(good).accepted
    assert not judge(changed(good, math.nextafter(n - 1, n))).accepted


def test_the_swap_needs_one_more_position() -> None:
    task = make_task("sparse-averaging", {"q": 3, "eps": 0.1})
    good = registry.get("sparse-averaging-recurrent").certificate(task, 4)
    assert not judge(replace(good, claim=replace(good.claim, n=3, bound=(1.0).hex()))).accepted
    assert len(Matrix.of(task, 3, 2).labels) == 3  # one pointer set: three sums of two signs
    with pytest.raises(ValueError, match="q \\+ 1"):
        next(all_combinations(3, 3))


def test_the_swap_identity_holds() -> None:
    for n in range(2, 9):
        for q in range(1, n):
            for j, terms in all_combinations(n, q):
                total = np.zeros(n, dtype=np.int64)
                for sign, chosen in terms:
                    total[list(chosen)] += sign
                assert len(terms) == 2 * q - 1 and total.tolist() == [q * (i == j) for i in range(n)]


@dataclass(frozen=True)
class _Biased(Match2):
    """A task whose cells lie: the kernel trusts the task's file, but contradicting cells are noticed."""

    def cells(self, n: int, query: int) -> Any:
        for group in super().cells(n, query):
            yield group
            assert group.labels is not None
            yield replace(group, labels=1 - group.labels)


def test_cells_that_contradict_each_other_are_noticed() -> None:
    good = match(4, 8)
    task = _Biased(8)
    with pytest.raises(Exception, match="different answers"):
        _amount(Case(task, 4, good.claim, REAL, good.evidence, good.arrays, None, {}), task.domain(4))


def test_tasks_without_cells_say_what_a_box_answers() -> None:
    """Relation composition: entries of B above the last row, each read by a one of Bob's in the last row of A."""
    good = certificate("relation-composition-recurrent", "relation-composition", {}, 3)
    assert judge(good).accepted and float.fromhex(good.claim.bound) == 6.0
    suffixes, queries = good.arrays["suffixes"], good.arrays["queries"]
    assert not judge(changed(good, suffixes=np.zeros_like(suffixes))).accepted
    assert not judge(changed(good, suffixes=np.full_like(suffixes, 2))).accepted  # either of two entries
    assert not judge(changed(good, queries=np.roll(queries, 1))).accepted
    silent = make_task("prefix-products", {"group": "z3"})
    claim = replace(good.claim, task=silent.name, parameters=silent.parameters(), n=4)
    arrays = {
        "positions": np.array([0]),
        "offsets": np.array([0, 2]),
        "symbols": np.array([0, 1]),
        "fillers": np.zeros(2, dtype=np.int64),
        "suffixes": np.zeros((1, 2), dtype=np.int64),
        "queries": np.array([3]),
    }
    verdict = judge(replace(good, claim=claim, evidence={"cut": 2}, arrays=arrays, task_sha256=silent.source_sha256()))
    assert verdict.exit_code == 3 and "no cells" in verdict.sentence


def test_boxes_that_cannot_count_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three symbols cannot get two answers; and behind a box whose answer is not known no other one is asked for."""
    good, asked = certificate("relation-composition-recurrent", "relation-composition", {}, 3), []

    def unknown(self: Any, n: int, query: int, box: Any) -> None:
        asked.append(query)

    monkeypatch.setattr(type(make_task("relation-composition")), "constant", unknown)
    verdict = judge(good)
    assert verdict.exit_code == 1 and "not known" in verdict.sentence and len(asked) == 1
    offsets, symbols = 3 * np.arange(7), np.tile(np.arange(3), 6)
    verdict = judge(changed(good, offsets=offsets, symbols=symbols))
    assert verdict.exit_code == 1 and "more symbols than answers" in verdict.sentence and len(asked) == 1
