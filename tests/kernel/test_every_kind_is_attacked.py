"""Both mutation suites, for every kind that the judge knows: a kind without an attack, or an attack that shrank, fails.

Accidents run over all kinds in `test_accidents`. Attacks (hashes recomputed, claims that are now false, claims that are
still true) are written for each kind where its models are; here stands which test is whose, and each of these must ask
for a hundred claims at the least, and for nine in ten of the true ones where it has any.
"""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from separatrix.kernel.judge import KINDS

FILES, BOUNDS, PARTY = "test_claim_mutants", "test_bound_mutations", "test_party_mutations"
RIGHT = "test_no_false_claim_of_correctness_is_accepted_and_true_ones_are"
MODELS = "test_attacked_models_are_never_accepted_and_sound_ones_mostly"
FALSE, TRUE = (
    "test_attacks_with_a_false_claim_are_never_accepted",
    "test_attacks_with_a_true_claim_are_nearly_all_accepted",
)
REFUTED = "test_no_false_refutation_is_accepted_and_true_ones_are"
POINTERS, ROUTING = "test_pointer_mutations", "test_positional_routing_attacks"
BITS = ("test_bits", "test_attacks_are_accepted_exactly_when_the_claim_is_true")
Tests = tuple[tuple[str, str], ...]


def both(module: str) -> Tests:
    """The two attacks of a file about bounds."""
    return ((module, FALSE), (module, TRUE))


ATTACKS: dict[str, Tests] = {
    "separable": ((FILES, RIGHT),),
    "heads": (
        ("test_heads_mutations", RIGHT),
        ("test_heads_words_mutations", "test_no_false_claim_is_accepted_and_true_ones_are"),
    ),
    "relu": (("test_relu_mutations", RIGHT),),
    "exhaustive": ((FILES, RIGHT),),
    "contract": (("test_contract", MODELS),),
    "positional": (
        ("test_positional", "test_no_false_claim_is_accepted_and_true_ones_are"),
        (ROUTING, "test_no_false_claim_is_accepted_and_true_ones_are"),
    ),
    "positional-counterexample": (("test_positional_refutations", REFUTED), (ROUTING, REFUTED)),
    "automaton": (("test_automaton", "test_attacked_models_are_never_accepted_and_sound_ones_are"),),
    "stored": (("test_stored", MODELS),),
    "tuples": (("test_tuples", MODELS),),
    "pairs": (("test_position_pairs", MODELS),),
    "counterexample": (
        (FILES, "test_no_false_counterexample_is_accepted_and_true_ones_are"),
        (FILES, "test_counterexamples_to_wrong_models_of_every_kind"),
        ("test_recurrent", REFUTED),
    ),
    "pointer-sets": ((POINTERS, MODELS), (POINTERS, "test_damage_to_the_structure_is_never_accepted")),
    "pointer-counterexample": (
        (POINTERS, "test_counterexamples_of_right_models_are_never_accepted"),
        (POINTERS, "test_counterexamples_of_wrong_models_are_accepted"),
    ),
    "senders": (("test_senders", MODELS),),
    "real-outputs": (("test_real_outputs", "test_no_false_claim_is_accepted_and_true_ones_are"),),
    "real-counterexample": (
        ("test_real_counterexample", REFUTED),
        ("test_real_counterexample", "test_changed_weights_are_judged_as_they_are"),
    ),
    "communication": (*both(BOUNDS), *both(PARTY)),
    "coordinates": both(BOUNDS),
    "swap-rows": both(BOUNDS),
    "pointer-rows": both(BOUNDS),
    "first-layer-rank": both(BOUNDS),
    "boxes": both(PARTY),
    "decoding": both(PARTY),
    "reading": both(PARTY),
    "gadget": both("test_gadget_mutations"),
    "gadget-sampled": both("test_gadget_mutations"),
    "birthday": both("test_gadget_mutations"),
    "lists": both("test_lists_mutations"),
    "bits-exhaustive": (BITS,),
    "bits-counterexample": (("test_bits", "test_attacks_on_counterexamples"),),
    "bits-solver": (BITS,),
}


def test_every_kind_has_its_attacks() -> None:
    assert set(ATTACKS) == set(KINDS)


@pytest.mark.parametrize("kind", ATTACKS)
def test_an_attack_asks_for_a_hundred_claims(kind: str) -> None:
    for module, name in ATTACKS[kind]:
        source = inspect.getsource(getattr(importlib.import_module(f"kernel.{module}"), name))
        assert re.search(r"(>= |< )[1-9]\d\d\b", source), (module, name)


@pytest.mark.parametrize(("module", "kinds"), [
    (BOUNDS, {"communication", "coordinates", "swap-rows", "pointer-rows", "first-layer-rank"}),
    (PARTY, {"communication", "boxes", "decoding", "reading"}),
    ("test_gadget_mutations", {"gadget", "gadget-sampled", "birthday"}),
    ("test_lists_mutations", {"lists"}),
])  # fmt: skip
def test_the_files_about_bounds_submit_the_kinds_that_they_stand_for(module: str, kinds: set[str]) -> None:
    made = importlib.import_module(f"kernel.{module}")
    assert {made.original(case).kind for case in made.KINDS} == kinds
