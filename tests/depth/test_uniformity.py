"""The uniform description equals what the compiler builds, with a number of word operations that n does not change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depth.slow import random_network
from separatrix.core.errors import InputError
from separatrix.depth.compiler import compile_network
from separatrix.depth.uniform_check import differences
from separatrix.depth.uniformity import INPUT, KINDS, Family, Machine
from separatrix.models.quantise import reference_head


def counts(n: int) -> tuple[int, int, int, int]:
    """(differences, operations of one `gate` and one `edge`, longest word, bits of a number)."""
    network = reference_head(n, 2, 3)
    wrong, _, bits = differences(network, compile_network(network))
    family = Family(network)
    family.machine = Machine()
    g = family.all(KINDS["quotient"])[:5]
    family.machine = Machine()
    family.gate(g)
    family.edge(g, g)
    return wrong, family.machine.operations, family.machine.longest, bits


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
def test_description_equals_the_compiled_arrays(n: int) -> None:
    assert counts(n)[0] == 0


@pytest.mark.slow
def test_description_equals_the_compiled_arrays_up_to_thirty_two() -> None:
    assert {n: counts(n)[0] for n in range(1, 33)} == dict.fromkeys(range(1, 33), 0)


def test_operations_do_not_grow_and_words_grow_by_two_bits_a_doubling() -> None:
    found = {}
    for n in (4, 16, 64, 1024):
        family = Family.__new__(Family)
        base = Family(reference_head(4, 2, 3))
        family.__dict__.update(base.__dict__)
        index = (n - 1).bit_length()
        family.n, at, family.fields = n, 0, {}
        for name, (_, bits) in base.fields.items():
            family.fields[name] = (at, index if name in "ij" else bits)
            at += family.fields[name][1]
        family.matrix = np.ones((n, 2, 2), dtype=np.int64)
        family.machine = Machine()
        g = family.number(kind=KINDS["score"], i=n - 1, j=n // 2, v=1)[None]
        family.machine = Machine()
        assert family.gate(g)[0].all()
        family.edge(g, np.array([0]))
        found[n] = (family.machine.operations, at)
    assert len({operations for operations, _ in found.values()}) == 1
    assert found[1024][1] - found[4][1] == 2 * 8


def test_a_changed_weight_or_threshold_is_found() -> None:
    network = reference_head(3, 2, 3)
    circuit = compile_network(network).flat()
    for name in ("gate_threshold", "term_weight"):
        bent = getattr(circuit, name).copy()
        bent[len(bent) // 2] += 1
        assert differences(network, replace(circuit, **{name: bent}))[0] > 0
    other = reference_head(3, 2, 3)
    head = other.layers[0]
    scores = head.scores[0]  # type: ignore[union-attr]
    changed = replace(other, layers=(replace(head, scores=(replace(scores, score=scores.score * 2),)),))  # type: ignore[type-var]
    assert differences(changed, circuit)[0] > 0


def test_numbers_hold_their_fields() -> None:
    family = Family(reference_head(5, 4, 3))
    word = family.number(kind=3, i=4, j=2, a=3, b=1, k=2, l=1, v=6)
    assert [int(x) for x in family.take(np.asarray(word), "Kijabklv")] == [3, 4, 2, 3, 1, 2, 1, 6]
    assert len(family.all(INPUT)) == 5 * 4 * 3


@pytest.mark.parametrize("kinds", ["S", "a", "sm"])
def test_other_networks_are_refused(kinds: str) -> None:
    with pytest.raises(InputError, match="uniform description"):
        Family(random_network(1, kinds))
