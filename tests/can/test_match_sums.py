"""Sums of s numbers by attention of order s: right on short inputs, proved, refuted when worse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.errors import InputError
from separatrix.models import Model, evaluate
from separatrix.tasks.match_sums import MatchSums
from separatrix.verify.provers import certify

WITNESS = registry.get("match-sums-higher-order")


@pytest.mark.parametrize(("order", "modulus", "n"), [(3, 5, 4), (4, 3, 4), (4, 5, 3), (4, 9, 2), (5, 4, 2), (6, 3, 2)])
def test_every_short_input_is_answered_proved_and_of_the_stated_size(order: int, modulus: int, n: int) -> None:
    task = MatchSums(order, modulus)
    model, stated = WITNESS.build(task, n), WITNESS.size(task, n)
    inputs = np.array(list(itertools.product(range(modulus), repeat=n)))
    others = [list(itertools.product(x, repeat=order - 1)) for x in inputs.tolist()]
    expected = [
        [int(any((a + sum(more)) % modulus == 0 for more in found)) for a in x]
        for x, found in zip(inputs.tolist(), others, strict=True)
    ]
    assert task.answer(inputs).tolist() == expected
    assert evaluate(model, inputs).argmax(axis=2).tolist() == expected
    assert model.size(n, stated.precision) == stated and stated.key_width == 2 ** (order - 1) + 1
    assert certify(model, task, n, method="tuples").verdict == "proved"
    for query in range(n):
        for group in task.tuples(n, query):
            hits = set(map(tuple, group.hits.tolist()))
            for row in np.flatnonzero(inputs[:, query] == group.token):
                assert expected[row][query] == any(more in hits for more in others[row])


@pytest.mark.parametrize(("order", "modulus", "n"), [(4, 17, 64), (5, 9, 64)])
def test_longer_models_are_proved(order: int, modulus: int, n: int) -> None:
    task = MatchSums(order, modulus)
    assert certify(WITNESS.build(task, n), task, n, method="tuples").verdict == "proved"


@pytest.mark.parametrize(("name", "factor"), [("layers.0.query", 0.1), ("layers.0.keys", 0.4), ("readout.bias", 3.0)])
def test_weaker_models_are_refuted(name: str, factor: float) -> None:
    task, n = MatchSums(4, 5), 4
    model = WITNESS.build(task, n)
    worse = Model(model.arch, {**model.tensors, name: model.tensors[name] * factor})
    assert certify(worse, task, n, method="tuples").verdict == "refuted"


def test_sizes_out_of_reach_are_refused() -> None:
    for task, n in ((MatchSums(2, 5), 3), (MatchSums(4, 2), 3), (MatchSums(6, 97), 3), (MatchSums(8, 3), 10**4)):
        with pytest.raises(InputError, match="match-sums"):
            WITNESS.size(task, n)
