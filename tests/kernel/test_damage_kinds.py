"""Forty-four kinds of damage to a claim, each with the tests that show it noticed; those that had none are here.

The list keeps a kind from being lost when tests move: every name must be a test that exists.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np
import pytest

from core.heads import Instance
from core.reference import all_inputs, arb_logits, arb_right, precision, worst
from separatrix.can import registry as witnesses
from separatrix.can.witnesses.index_lookup_quadratic import build
from separatrix.core.arch import Readout
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import PRODUCT
from separatrix.core.guarantee import PROVED
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers.precision import least_precision
from tasks import tied
from tasks.tied import TiedLookup

ENGINES: tuple[Any, ...] = ("fast", "arb")
FILES, ATTACKS = "test_certificate_files", "test_certificate_attacks"
MODELS, MUTANTS = "test_model_files", "test_claim_mutants"
HEADS, RELU, CONTRACT = "test_heads", "test_relu_mutations", "test_contract"
TRUE_AND_FALSE = "test_no_false_claim_of_correctness_is_accepted_and_true_ones_are"
HERE, EXTREMES = "test_damage_kinds", "test_separable_extremes"
COVER = ("tasks.test_tasks", "test_the_cover_test_itself_notices_mistakes")

DAMAGE: dict[str, tuple[tuple[str, str], ...]] = {
    "tau lowered, against the sum rule": ((HEADS, "test_the_sum_rule_is_exact"),),
    "greatest denominator halved": ((HEADS, "test_multipliers_and_bounds_cannot_be_bent"),),
    "least denominator 0": ((HEADS, "test_multipliers_and_bounds_cannot_be_bent"),),
    "rival exchanged": ((HEADS, "test_rivals_cannot_be_exchanged"),),
    "NaN in values": ((EXTREMES, "test_nan_and_infinity_are_never_accepted"),),
    "position with no symbol": (("test_separable", "test_malformed_cells_are_refused"),),
    "negative multiplier": ((HEADS, "test_multipliers_and_bounds_cannot_be_bent"), (RELU, TRUE_AND_FALSE)),
    "temperature 1 % and 20 % under critical": ((HERE, "test_a_temperature_just_under_the_critical_one"),),
    "two equal codes": ((MUTANTS, TRUE_AND_FALSE),),
    "nearly aliased values": ((HERE, "test_answers_that_are_read_out_all_but_alike"),),
    "values all zero, ties": ((MUTANTS, "test_an_exact_tie_is_a_counterexample_and_never_right"),),
    "NaN among the arrays": ((HEADS, "test_wrong_arrays_are_refused"),),
    "right model with a huge temperature": ((MUTANTS, "test_an_eta_of_two_thousand_is_accepted"),),
    "bit of a weight": ((MUTANTS, TRUE_AND_FALSE), (FILES, "test_a_changed_byte_is_noticed")),
    "tensor transposed": ((MUTANTS, TRUE_AND_FALSE),),
    "tensors renamed": ((MODELS, "test_tensors_of_other_names_shapes_and_types_are_refused"),),
    "bf16 read as fp16": ((MODELS, "test_files_that_are_no_safetensors_are_refused"),),
    "architecture not under the hash": ((MODELS, "test_configs_with_hashes_that_match"),),
    "cell dropped": ((HEADS, "test_wrong_arrays_are_refused"), COVER),
    "cell doubled in place of another": (COVER,),
    "rival missing": ((RELU, "test_a_tree_must_be_whole_and_each_leaf_prove_its_own_box"),),
    "own score of the query left out": ((HERE, "test_the_querys_own_token_is_counted"),),
    "labels permuted": ((MUTANTS, TRUE_AND_FALSE),),
    "query shifted": ((MUTANTS, TRUE_AND_FALSE), (ATTACKS, "test_counterexamples_must_name_a_scored_position")),
    "leaf missing": ((RELU, "test_a_tree_must_be_whole_and_each_leaf_prove_its_own_box"),),
    "leaf of the sibling's box": ((RELU, "test_a_leaf_that_proves_one_side_does_not_prove_the_other"),),
    "split multiplier of the wrong sign": ((RELU, "test_no_arrays_prove_a_false_claim"),),
    "ranges of pre-activations too tight": (("test_relu", "test_ranges_hold_for_any_guess"),),
    "chord where the unit never switches": (("test_relu", "test_no_multipliers_bound_above_the_truth"),),
    "slope beyond 1": (("test_relu", "test_no_multipliers_bound_above_the_truth"),),
    "radius 0 claimed": ((CONTRACT, "test_unusable_evidence_is_refused"),),
    "coordinate read by 1e-30": ((CONTRACT, "test_coordinates_that_should_not_be_read_carry_their_range"),),
    "threshold at the gap": ((CONTRACT, "test_a_threshold_at_the_gap_is_rejected"),),
    "tree sums claimed as any order": ((HERE, "test_trees_are_not_any_order_and_a_bit_less_is_not_enough"),),
    "significand without its hidden bit": ((HERE, "test_trees_are_not_any_order_and_a_bit_less_is_not_enough"),),
    "shorter inputs claimed": ((ATTACKS, "test_other_lengths_are_refused_at_once"),),
    "product claimed of distinct words": ((HERE, "test_words_that_need_not_be_distinct"),),
    "subnormal weights": ((EXTREMES, "test_huge_and_subnormal_weights_prove_nothing_wrong"),),
    "infinite score": ((EXTREMES, "test_nan_and_infinity_are_never_accepted"),),
    "scores of 1e308": ((HEADS, "test_huge_and_subnormal_weights_prove_nothing_wrong"),),
    "length 1": ((MUTANTS, "test_one_symbol_of_output_and_length_one"),),
    "one symbol": ((HERE, "test_one_symbol"),),
    "empty file": ((FILES, "test_a_truncated_or_lengthened_file_is_noticed"),),
    "huge length": (("test_separable", "test_a_claim_about_an_absurd_length_is_refused_before_it_costs_anything"),),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_every_kind_of_damage_has_a_test(kind: str) -> None:
    for module, name in DAMAGE[kind]:
        found = importlib.import_module(module if "." in module else f"kernel.{module}")
        assert callable(getattr(found, name)), (module, name)


def accepted(model: Model, task: Task, n: int, engine: Any, semantics: str = "real", kind: str = "separable") -> bool:
    claim = Claim(task.name, task.parameters(), n, "correct", semantics)
    certificate = Certificate(kind, claim, PROVED, task.source_sha256(), {}, {}, model.reference())
    return judge(certificate, model.arch, model.tensors, engine=engine).accepted


def changed(model: Model, **tensors: np.ndarray) -> Model:
    """Other tensors under the names, `__` for a dot."""
    return Model(model.arch, dict(model.tensors) | {name.replace("__", "."): t for name, t in tensors.items()})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_temperature_just_under_the_critical_one(engine: Any) -> None:
    """The least temperature that is right on every input, by bisection of 300-bit margins; 1 % and 20 % less is not."""
    task, n = IndexLookup(3), 4
    model = build(task, n)
    query = model.tensors["layers.0.query"]

    def warm(factor: float) -> Model:
        return changed(model, layers__0__query=query * factor)

    def right(factor: float) -> bool:
        made = warm(factor)
        _, tokens, at = worst(made, task, n)
        return bool(arb_right(made, task, n, tokens, at))

    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if right(middle) else (middle, high)
    for factor in (0.8, 0.99, 1 - 1e-6):
        assert not right(high * factor) and not accepted(warm(high * factor), task, n, engine)
    for factor in (1 + 1e-6, 1.01, 1.2):
        assert accepted(warm(high * factor), task, n, engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12, 1e-15])
def test_answers_that_are_read_out_all_but_alike(size: float, engine: Any) -> None:
    """Two columns of the read-out differ by little, for and against the right one; the truth is that of 300 bits."""
    task, n = IndexLookup(2), 2
    model = build(task, n)
    weight, rng = model.tensors["readout.weight"].astype(np.float64), np.random.default_rng(0)
    seen = set()
    for sign in (1.0, -1.0):
        for _ in range(3):
            mean = weight.mean(axis=1, keepdims=True) + rng.normal(size=(len(weight), 1))
            made = changed(model, readout__weight=mean + sign * size * (weight - weight.mean(axis=1, keepdims=True)))
            right = all(arb_right(made, task, n, row, n) for row in all_inputs(task, n))
            took = accepted(made, task, n, engine)
            assert right or not took
            assert took or not right or size < 1e-13  # float64 may not see the last bits
            seen.add(right)
    assert seen == {True, False} or size < 1e-14


@pytest.mark.parametrize("engine", ENGINES)
def test_the_querys_own_token_is_counted(engine: Any) -> None:
    """The query token attends to itself with a value that spoils the answer: right without it, wrong with it."""
    task, n = IndexLookup(2), 2
    model = build(task, n)
    assert accepted(model, task, n, engine)
    token = model.tensors["embed.token"].astype(np.float64)
    for strength in (1e-3, 50.0):
        spoiled = token.copy()
        spoiled[task.symbols :] += strength * (token[0] - token[1])  # index tokens carry symbol 0
        made = changed(model, embed__token=spoiled)
        rights = [arb_right(made, task, n, row, n) for row in all_inputs(task, n)]
        assert accepted(made, task, n, engine) == all(rights)
        if strength > 1:
            assert not all(rights)
            logits = [arb_logits(made, row, n) for row in all_inputs(task, n)]
            with precision():
                assert any(bool(row[0] > row[1]) for row in logits)


def test_trees_are_not_any_order_and_a_bit_less_is_not_enough() -> None:
    """What certifies with B bits under trees is not certified with B bits in any order, nor with B - 1 under trees."""
    task, n = IndexLookup(2), 24
    model, bits = witnesses.get("index-lookup-chirp").build(task, n), {}
    for tree in (False, True):
        found, _ = least_precision(model, task, n, tree)
        assert found is not None
        bits[tree] = found
    assert bits[True] < bits[False]
    for engine in ENGINES:
        assert accepted(model, task, n, engine, f"float:{bits[True]},tree")
        assert not accepted(model, task, n, engine, f"float:{bits[True]}")
        assert not accepted(model, task, n, "fast", f"float:{bits[True] - 1},tree")
        assert not accepted(model, task, n, "fast", f"float:{bits[False] - 1}")


@dataclasses.dataclass(frozen=True)
class Untied(TiedLookup):
    """The same cells and words without their constraint."""

    name = "test-untied-lookup"

    def domain(self, n: int):
        return dataclasses.replace(super().domain(n), constraint=PRODUCT)

    def cells(self, n: int, query: int):
        return (dataclasses.replace(group, constraint=PRODUCT) for group in super().cells(n, query))


@pytest.mark.parametrize("engine", ENGINES)
def test_words_that_need_not_be_distinct(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that are right where words are distinct, and claimed to be right on all words: false ones are refused."""
    for kind in (TiedLookup, Untied):
        monkeypatch.setitem(registry._entries, kind.name, kind)
    false = true = 0
    for seed in range(600):
        given: Instance = tied.instance(seed)
        if type(given.task) is not TiedLookup or tied.worst(given.model, given.task, given.n)[0] < 0.01:
            continue
        wide = Untied(**{f.name: getattr(given.task, f.name) for f in dataclasses.fields(given.task)})
        margin, tokens, query = worst(given.model, wide, given.n)
        right = bool(arb_right(given.model, wide, given.n, tokens, query))
        if (true if right else false) < 4 and abs(margin) > 1e-9:
            assert accepted(given.model, wide, given.n, engine) == right
            false, true = false + (not right), true + right
        if false == true == 4:
            break
    assert false >= 3 and true >= 3, (false, true)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_symbol(engine: Any) -> None:
    """With one answer there is no rival; with a model of two outputs the claim is about another read-out."""
    from separatrix.core.errors import InputError

    try:
        task = IndexLookup(1)
        model = build(task, 2)
    except InputError:  # the task does not have it
        return
    assert accepted(model, task, 2, engine)
    two = Model(dataclasses.replace(model.arch, readout=Readout(2)), model.tensors)
    assert not accepted(two, task, 2, engine)
