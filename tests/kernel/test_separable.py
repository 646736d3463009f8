"""The separable check against enumeration: acceptance implies right on every input; right with a margin is accepted."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import Literal

import numpy as np
import pytest

from core.heads import Instance, instance, lookup, match, whole_numbers
from core.reference import accepts, all_inputs, arb_logits, arb_right, head, random_tensors, worst
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel import layer as layers
from separatrix.kernel.layer import Layer, Tables
from separatrix.kernel.separable import check
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2

CLEAR = 1e-9
HEADS = 2400


def compare(made: Instance) -> tuple[bool, bool]:
    """(accepted, right); raises where the kernel and enumeration disagree."""
    model, task, n = made.model, made.task, made.n
    margin, tokens, query = worst(model, task, n)
    accepted = accepts(model, task, n)
    if accepted and margin <= CLEAR:
        assert arb_right(model, task, n, tokens, query), f"{made.family}: accepted, but {tokens} at {query} fails"
    if margin > CLEAR:
        assert accepted, f"{made.family}: right with margin {margin}, but not accepted"
    return accepted, margin > CLEAR


@pytest.mark.parametrize("part", range(4))
def test_random_heads_agree_with_enumeration(part: int) -> None:
    seen: Counter[tuple[str, bool]] = Counter()
    for seed in range(part * HEADS // 4, (part + 1) * HEADS // 4):
        made = instance(seed)
        accepted, _ = compare(made)
        seen[made.family, accepted] += 1
    for family in ("lookup", "match", "match-distinct", "count"):
        total = seen[family, True] + seen[family, False]
        assert total >= 100 and min(seen[family, True], seen[family, False]) >= 0.2 * total, dict(seen)


def test_margins_of_all_positions_are_those_of_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    arch = head(7, 6, 3, 4)
    layer = Layer.of(arch, random_tensors(arch, rng), 6)
    labels, symbols, places = np.array([0, 2]), np.array([0, 3]), np.array([1, 4, 5])
    found = []
    for few in (2**22, 0):
        monkeypatch.setattr(layers, "FEW", few)
        tables = Tables.of(layer, np.array([0, 1, 4, 5]))
        margin = tables.margins("key", labels, layer.bias)
        found.append([tables.lows_there("key", margin, labels, symbols, places) for _ in range(2)])
        assert bool(tables.there_memo) == bool(few)
    np.testing.assert_array_equal(found[0], found[1])
    one = (margin + tables.position_logits[[4]].pairs(labels)).low  # as it is defined
    np.testing.assert_array_equal(found[0][1][..., 1], one[:, :, symbols].transpose(2, 0, 1))


def test_ties_of_small_integers_are_rejected() -> None:
    """With uniform attention and integers every margin is a rational with a small denominator: 0 or clearly not."""
    seen: Counter[str] = Counter()
    for seed in range(450):
        made = whole_numbers(seed)
        margin, tokens, query = worst(made.model, made.task, made.n)
        accepted = accepts(made.model, made.task, made.n)
        if abs(margin) < CLEAR:
            seen["tie"] += 1
            assert not accepted and not arb_right(made.model, made.task, made.n, tokens, query)
        else:
            assert accepted == (margin > 0)
            seen["right" if accepted else "wrong"] += 1
    assert seen["tie"] >= 25 and seen["right"] >= 50 and seen["wrong"] >= 100, seen


def test_equal_logits_by_construction_are_rejected() -> None:
    """Right heads whose margin on one answer is then made exactly zero: a doubled column, a shifted bias, no values."""
    rejected = 0
    for seed in range(60):
        rng = np.random.default_rng((seed, 5))
        made = lookup(rng, 0.0, 3.0) if seed % 2 else match(rng, 0.0, 12.0)
        if not accepts(made.model, made.task, made.n):
            continue
        t = dict(made.model.tensors)
        same = dict(t)
        same["readout.weight"], same["readout.bias"] = t["readout.weight"].copy(), t["readout.bias"].copy()
        same["readout.weight"][:, 1], same["readout.bias"][1] = t["readout.weight"][:, 0], t["readout.bias"][0]
        nothing = t | {
            "layers.0.value": np.zeros_like(t["layers.0.value"]),
            "readout.bias": np.zeros_like(t["readout.bias"]),
        }
        for tensors in (same, nothing):
            if made.model.arch.layers[0].residual and tensors is nothing:
                continue
            assert not accepts(Model(made.model.arch, tensors), made.task, made.n)
            rejected += 1
    assert rejected >= 50


def test_symbols_with_equal_values_are_told_apart_by_nothing() -> None:
    made = lookup(np.random.default_rng(1), 0.0, 5.0)
    token = made.model.tensors["embed.token"].copy()
    assert accepts(made.model, made.task, made.n)
    token[1] = token[0]
    assert not accepts(Model(made.model.arch, dict(made.model.tensors) | {"embed.token": token}), made.task, made.n)


@pytest.mark.parametrize("shift", [1e-14, 1e-12, 1e-9, 1e-6])
def test_margins_around_zero_are_decided_on_the_right_side(shift: float) -> None:
    """A match head whose threshold is moved to its worst margin, then a little to either side."""
    for seed in range(16):
        made = match(np.random.default_rng((seed, 6)), 0.0, 6.0)
        margin, _, _ = worst(made.model, made.task, made.n)
        if margin < 1e-3:
            continue
        for direction in (-1, 0, 1):
            for label in (0, 1):
                bias = made.model.tensors["readout.bias"].copy()
                bias[label] -= margin - direction * shift
                model = Model(made.model.arch, dict(made.model.tensors) | {"readout.bias": bias})
                _, tokens, query = worst(model, made.task, made.n)
                if accepts(model, made.task, made.n):
                    every = [
                        arb_right(model, made.task, made.n, row, q)
                        for row in all_inputs(made.task, made.n)[:16]
                        for q in made.task.queries(made.n)
                    ]
                    assert all(every)
                elif shift >= 1e-9 and direction == 1:
                    assert arb_right(model, made.task, made.n, tokens, query) is not True


@pytest.mark.parametrize("mask", ["none", "causal"])
def test_evaluation_agrees_with_arb(mask: Literal["none", "causal"]) -> None:
    """The float64 reference of these tests is itself checked, on one-layer, causal and two-layer models."""
    rng = np.random.default_rng(8)
    for blank, residual in itertools.product((False, True), repeat=2):
        layers = (
            Attention(2, 2, 2, mask=mask, residual=residual, scale=0.5),
            FeedForward(3, residual=residual),
            Attention(1, 2, 1, mask=mask),
        )
        arch = Arch(4, Table(5, 4), layers, Readout(3), blank=blank)
        model = Model(arch, random_tensors(arch, rng))
        tokens = rng.integers(0, 5, (3, 4))
        for row in tokens:
            for query in range(4):
                values = evaluate(model, row[None], queries=[query])[0, 0]
                assert [float(v.mid()) for v in arb_logits(model, row, query)] == pytest.approx(values, rel=1e-12)


@dataclasses.dataclass(frozen=True)
class Fake(Task):
    """Index lookup with n = 2 whose cells or queries are replaced, to see what the check itself insists on."""

    cells_of: tuple[CellGroup, ...] | None = ()
    scored: tuple[int, ...] = (2,)
    many: int = 2

    name = "fake"
    gloss = source = "these tests"

    def domain(self, n: int) -> Sequence:
        return IndexLookup(2).domain(2)

    def outputs(self) -> Labels:
        return Labels(self.many)

    def queries(self, n: int) -> tuple[int, ...]:
        return self.scored

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return IndexLookup(2).answer(tokens)

    def cells(self, n: int, query: int):
        return None if self.cells_of is None else iter(self.cells_of)

    def sample(self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"):
        return IndexLookup(2).sample(2, size, rng)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return str(tokens)


def good() -> Model:
    from separatrix.can.witnesses.index_lookup_quadratic import build

    return build(IndexLookup(2), 2)


def group(**changes: object) -> CellGroup:
    """The first group of index lookup, changed."""
    first = next(iter(IndexLookup(2).cells(2, 2)))
    return dataclasses.replace(first, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (Fake(()), RejectedError),
        (Fake(None), UnknownError),
        (Fake((), scored=()), RejectedError),
        (Fake((group(),), many=3), RejectedError),
        (Fake((group(query=1),)), RejectedError),
        (Fake((group(labels=None),)), RejectedError),
        (Fake((group(positions=np.array([[2], [2]])),)), RejectedError),
        (Fake((group(symbols=np.array([[7], [7]])),)), RejectedError),
        (Fake((group(background=(np.array([9]),) * 3),)), RejectedError),
        (Fake((group(background=(np.zeros(0, dtype=np.int64),) * 3),)), RejectedError),
    ],
)
def test_malformed_cells_are_refused(task: Task, error: type[Exception]) -> None:
    model = good()
    with pytest.raises(error):
        check(task, 2, model.arch, model.tensors, REAL)


def test_a_well_formed_group_passes() -> None:
    model = good()
    assert check(Fake((group(),)), 2, model.arch, model.tensors, REAL) == 2


def changed(model: Model, **fields: object) -> Model:
    """The model with fields of its only layer replaced."""
    layer = dataclasses.replace(model.arch.layers[0], **fields)  # pyright: ignore[reportArgumentType]
    return Model(dataclasses.replace(model.arch, layers=(layer,)), model.tensors)


def test_what_is_not_one_unmasked_head_is_not_decided() -> None:
    model, task = good(), IndexLookup(2)
    two = dataclasses.replace(model.arch, layers=model.arch.layers * 2)
    tensors = dict(model.tensors) | {k.replace(".0.", ".1."): v for k, v in model.tensors.items() if ".0." in k}
    reals = dataclasses.replace(model.arch, readout=Readout(2, "reals"))
    for arch, weights in (
        (two, tensors),
        (changed(model, mask="causal").arch, model.tensors),
        (reals, model.tensors),
    ):
        with pytest.raises(UnknownError):
            check(task, 2, arch, weights, REAL)


def test_vocabulary_positions_and_outputs_must_fit() -> None:
    model = good()
    for task, n in ((IndexLookup(2), 3), (IndexLookup(3), 1), (IndexLookup(2), 1), (Match2(4), 3), (Match2(4), 2)):
        with pytest.raises((RejectedError, UnknownError)):
            check(task, n, model.arch, model.tensors, REAL)


def test_a_claim_about_an_absurd_length_is_refused_before_it_costs_anything() -> None:
    arch = head(2, 0, 2, 1, table=False)
    model = Model(arch, random_tensors(arch, np.random.default_rng(0)))
    with pytest.raises(RejectedError, match="tokens"):
        check(IndexLookup(2), 2**20, model.arch, model.tensors, REAL)


def test_equal_cells_are_checked_once_and_different_ones_are_not_merged() -> None:
    """Without positions equal groups share a check; the count of cells is that of the task all the same."""
    made = match(np.random.default_rng(12), 0.0, 15.0)
    task, model = made.task, made.model
    cells = sum(len(g) for q in task.queries(made.n) for g in task.cells(made.n, q) or ())
    assert check(task, made.n, model.arch, model.tensors, REAL) == cells
    wrong = {**model.tensors, "readout.bias": -model.tensors["readout.bias"]}
    assert not accepts(Model(model.arch, wrong), task, made.n)


def test_the_coarse_exponentials_agree_with_the_fine_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from separatrix.kernel import separable

    fine = [compare(instance(seed)) for seed in range(200)]
    monkeypatch.setattr(separable, "COARSE", 1)
    assert [compare(instance(seed)) for seed in range(200)] == fine


@pytest.mark.slow
def test_many_more_random_heads() -> None:
    for seed in range(HEADS, 20 * HEADS):
        compare(instance(seed))


@pytest.mark.parametrize("engine", ["fast", "arb"])
def test_a_position_without_cells_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, engine: Literal["fast", "arb"]
) -> None:
    """The other positions are right, and say nothing about it."""
    from separatrix.can import registry
    from separatrix.kernel.labelled import groups

    task, n = Match2(4), 2
    model = registry.get("match2-circle").build(task, n)
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    known = Match2.cells
    monkeypatch.setattr(Match2, "cells", lambda self, n, query: iter(()) if query else known(self, n, query))
    given = Certificate("separable", claim, PROVED, task.source_sha256(), {}, {}, model.reference())
    verdict = judge(given, model.arch, model.tensors, engine=engine)
    assert not verdict.accepted and "no cells at position 1" in verdict.sentence
    with pytest.raises(RejectedError, match="no cells at position 1"):  # what `heads` and `relu` go through
        list(groups(task, n))
