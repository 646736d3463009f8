"""Read-once automata against enumeration: random automata, orders, partitions and sets; then long words."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from separatrix.cannot.engine.readings import reading_certificate
from separatrix.core.certificate import Certificate
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.reading import Reading
from separatrix.kernel import judge, reading_steps
from separatrix.kernel.reading_steps import Game
from separatrix.tasks import make_task


def some_game(rng: np.random.Generator) -> tuple[Game, Reading, list[list[int]], list[bool]]:
    """A random automaton on five positions, each with one to three of three symbols, each of one party."""
    states, n = int(rng.integers(2, 5)), 5
    table, labels = rng.integers(0, states, (states, 3)), rng.integers(0, 2, states)
    order = rng.permutation(n).tolist()
    sets = [sorted(rng.choice(3, int(rng.integers(1, 4)), replace=False).tolist()) for _ in range(n)]
    alice = (rng.random(n) < 0.5).tolist()
    game = Game(table.tolist(), labels.tolist(), [(alice[p], p) for p in order], sets)
    return game, Reading(tuple(order), table, labels), sets, alice


def matrix(reading: Reading, sets: list[list[int]], alice: list[bool]) -> np.ndarray:
    """(Alice's words, Bob's words) the answers, by enumeration."""
    sides = [[p for p in range(len(sets)) if alice[p] == who] for who in (True, False)]
    choices = [list(itertools.product(*(sets[p] for p in side))) for side in sides]
    words = np.zeros((len(choices[0]), len(choices[1]), len(sets)), dtype=np.int64)
    for (i, a), (j, b) in itertools.product(enumerate(choices[0]), enumerate(choices[1])):
        words[i, j, sides[0]], words[i, j, sides[1]] = a, b
    return reading.run(words.reshape(-1, len(sets))).reshape(words.shape[:2])


def test_rows_and_ranks_of_random_automata() -> None:
    rng = np.random.default_rng(0)
    accepted = 0
    for _ in range(400):
        game, reading, sets, alice = some_game(rng)
        table = matrix(reading, sets, alice)
        distinct = len(np.unique(table, axis=0)) == len(table)
        try:
            assert reading_steps.rows(game) == len(table) and distinct
            accepted += len(table) > 1
        except RejectedError:
            assert not distinct
        values = np.array([1, int(rng.integers(-3, 4))])
        m = values[table].astype(float)
        if not m.any():
            continue
        p, q = reading_steps.rank(game, values.tolist())
        assert p / q == pytest.approx(np.trace(m.T @ m) ** 2 / np.trace(m.T @ m @ m.T @ m))
        assert math.ceil(p / q) <= np.linalg.matrix_rank(m)
    assert accepted > 20


def test_fooling_sets_of_random_automata() -> None:
    """Random guards; now and then the guard accepts a fooling set."""
    rng = np.random.default_rng(1)
    accepted = rejected = 0
    for _ in range(800):
        game, reading, sets, alice = some_game(rng)
        if rng.random() < 0.7:  # pairs of positions, one of each party, so that words can fool
            moves = rng.integers(0, 2, (2, 2, 2))
            moves[1] |= rng.random() < 0.8  # lost for ever
            pairs = Reading.of_pairs(4, moves, np.array([1, 0]))
            reading, sets, alice = pairs, [[0, 1]] * 4, [True, True, False, False]
            game = Game(pairs.transitions.tolist(), pairs.labels.tolist(), [(p < 2, 0) for p in pairs.order], sets[:1])
        guard, accepts = rng.integers(0, 3, (3, reading.transitions.shape[1])), np.array([0, 0, 1])
        if rng.random() < 0.5:  # the words with answer 1 themselves
            guard, accepts = reading.transitions, reading.labels
        words = np.array(list(itertools.product(*sets)))
        kept = words[Reading(reading.order, guard, accepts).run(words) == 1]
        crossed = np.where(np.array(alice), kept[:, None], kept[None, :]).reshape(-1, len(sets))
        answers = reading.run(crossed).reshape(len(kept), len(kept)) if len(kept) else np.ones((0, 0))
        hit = answers == 1
        fools = bool(hit.diagonal().all()) and np.count_nonzero(hit & hit.T) == len(kept)
        try:
            count = reading_steps.fooling(game, 1, guard.tolist(), (accepts == 1).tolist())
            assert fools and count == len(kept)
            accepted += count > 1
        except RejectedError:
            assert not fools
            rejected += 1
    assert accepted > 20 and rejected > 50


def test_classes_of_random_automata() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        states = int(rng.integers(1, 6))
        table, labels = rng.integers(0, states, (states, 2)), rng.integers(0, 2, states)
        cut, n, both = int(rng.integers(0, 6)), 6, np.array([0, 1])
        reading = Reading(tuple(range(n)), table, labels)
        m = matrix(reading, [[0, 1]] * n, [p < cut for p in range(n)])
        found = reading_steps.classes(table, labels, [both] * cut, [both] * (n - cut))
        assert found == len(np.unique(m, axis=0))


def dyck(n: int, count: int, types: int = 2, depth: int = 2, claim: str = "exchange", **more: Any) -> Certificate:
    task = make_task("dyck", {"types": types, "depth": depth})
    return reading_certificate(task, n, "transformer", claim, "fooling", range(0, n, 2), count, value=1, **more)


@pytest.mark.parametrize(("types", "depth", "n"), [(2, 2, 4), (2, 2, 10), (3, 2, 8), (1, 2, 12), (4, 2, 64)])
def test_dyck_words_of_depth_two_are_a_fooling_set(types: int, depth: int, n: int) -> None:
    """Odd symbols determine even ones: 2^(L - 1) types^L words of 2 L brackets."""
    half = n // 2
    count = 2 ** (half - 1) * types**half
    assert judge(dyck(n, count, types, depth)).accepted
    assert judge(dyck(n, count, types, depth, "one-way")).accepted
    assert "shows" in judge(dyck(n, 2 * count, types, depth)).sentence


@pytest.mark.parametrize("n", [4, 6, 8, 10, 12])
def test_dyck_with_the_last_bracket_known(n: int) -> None:
    """A last bracket that both know leaves half of the words (and 2^(N - 2) + 1 rows with the dead ones)."""
    known = {n - 1: [2]}
    assert judge(dyck(n, 2 ** (n - 2), allowed=known)).accepted
    assert not judge(dyck(n, 2 ** (n - 1), allowed=known)).accepted


@pytest.mark.parametrize(("types", "n"), [(1, 6), (2, 6), (2, 8), (1, 10)])
def test_depth_three_words_do_not_fool(types: int, n: int) -> None:
    verdict = judge(dyck(n, 2, types, 3))
    assert not verdict.accepted and "crossings" in verdict.sentence


@pytest.mark.parametrize("n", [2, 4, 8, 256])
def test_depth_one_words_of_several_types(n: int) -> None:
    assert judge(dyck(n, 3 ** (n // 2), 3, 1)).accepted


def state(name: str, n: int, count: int, measure: str = "rows", cut: int | None = None, **more: Any) -> Certificate:
    cut = n // 2 if cut is None else cut
    return reading_certificate(make_task(name), n, "rnn", "state", measure, range(cut), count, **more)


@pytest.mark.parametrize("name", ["equality", "disjointness", "inner-product", "greater-than"])
@pytest.mark.parametrize("n", [2, 8, 512])
def test_halves_need_half_the_length(name: str, n: int) -> None:
    assert judge(state(name, n, 2 ** (n // 2))).accepted
    assert not judge(state(name, n, 2 ** (n // 2 + 1))).accepted


@pytest.mark.parametrize(("name", "n", "cut", "count"), [
    ("parity", 9, 4, 2), ("majority", 9, 1, 2), ("majority", 9, 5, 6), ("majority", 9, 8, 3), ("dyck", 8, 1, 3),
    ("dyck", 8, 4, 6), ("dyck", 12, 5, 3), ("dyck", 12, 6, 6),
])  # fmt: skip
def test_contiguous_cuts_count_classes(name: str, n: int, cut: int, count: int) -> None:
    assert judge(state(name, n, count, "classes", cut)).accepted
    assert not judge(state(name, n, count + 1, "classes", cut)).accepted


def test_inner_product_has_full_rank() -> None:
    task = make_task("inner-product")
    for n in (2, 8, 256):
        half = 2 ** (n // 2)
        signs = reading_certificate(
            task, n, "transformer", "exchange", "rank", range(n // 2), half, values=np.array([1, -1])
        )
        assert judge(signs).accepted
        bits = replace(signs, arrays=signs.arrays | {"values": np.array([0, 1])})
        assert not judge(bits).accepted  # the bound on the 0/1 matrix is weaker
        assert "0" in judge(replace(signs, arrays=signs.arrays | {"values": np.zeros(2, dtype=np.int64)})).sentence


def test_who_holds_what() -> None:
    good = state("equality", 8, 16)
    scattered = np.array([1, 0] * 4)
    assert "before a cut" in judge(replace(good, arrays=good.arrays | {"alice": scattered})).sentence
    one_way = reading_certificate(make_task("equality"), 8, "transformer", "one-way", "rows", range(4), 16)
    assert "known to both" in judge(one_way).sentence
    known = reading_certificate(
        make_task("equality"), 8, "transformer", "one-way", "rows", range(3), 8, {7: [1], 3: [1]}
    )
    assert judge(known).accepted
    assert not judge(replace(one_way, claim=replace(one_way.claim, measure="exchange"))).accepted  # rows are one-way
    assert not judge(replace(good, claim=replace(good.claim, arch="mlp"))).accepted
    assert not judge(replace(good, claim=replace(good.claim, measure="message"))).accepted


def test_malformed_evidence() -> None:
    good = dyck(4, 8)
    arrays = good.arrays
    for change in (
        {"alice": np.zeros(5, dtype=np.int64)},
        {"alice": np.full(5, 2)},
        {"alice": np.array([1, 0, 1, 0])},
        {"offsets": arrays["offsets"] + 1},
        {"offsets": arrays["offsets"][::-1].copy()},
        {"symbols": arrays["symbols"][::-1].copy()},
        {"symbols": np.zeros_like(arrays["symbols"])},
        {"symbols": arrays["symbols"] + 1},
        {"guard": arrays["guard"] + 100},
        {"guard": -arrays["guard"]},
        {"guard": arrays["guard"][:, :4]},
        {"guard": arrays["guard"].astype(float)},
        {"accepts": arrays["accepts"][:3]},
        {"accepts": np.ones_like(arrays["accepts"])},
        {"more": arrays["alice"]},
    ):
        assert not judge(replace(good, arrays=arrays | change)).accepted, change
    for change in ({"value": 0}, {"value": 7}, {"value": True}, {"query": 0}, {"query": 3}, {"measure": "rows"}):
        assert not judge(replace(good, evidence=good.evidence | change)).accepted, change


def test_tasks_without_automaton_and_large_ones() -> None:
    task = make_task("index-lookup", {"symbols": 2})
    with_none = reading_certificate(task, 3, "rnn", "state", "rows", range(3), 8)
    assert "no read-once automaton" in judge(with_none).sentence
    verdict = judge(state("majority", 999, 2, "rows", 500))
    assert verdict.exit_code == 3 and "too large" in verdict.sentence
    many = Game([[0] * 3000], [0], [(True, 0)], [list(range(3000))])
    with pytest.raises(UnknownError, match="moves"):
        reading_steps.rows(Game(many.table, many.labels, many.steps * 3, many.sets))


@pytest.mark.parametrize(("name", "measure"), [("equality", "rows"), ("greater-than", "rows"), ("majority", "classes")])
def test_four_thousand_symbols(name: str, measure: str) -> None:
    n = 4095 if name == "majority" else 4096
    assert judge(state(name, n, 2049 if name == "majority" else 2**2048, measure, 2048)).accepted
