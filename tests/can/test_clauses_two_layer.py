"""Clauses in two layers: exhaustive inputs, certificates, damage."""

import itertools

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.errors import InputError
from separatrix.models import Model, evaluate
from separatrix.tasks.clauses import Clauses
from separatrix.verify.provers import certify

WITNESS = registry.get("clauses-two-layer")
CASES = [
    (Clauses("1 -2, 3 4"), 4),
    (Clauses("1 -2, 3 4", "or", 0), 5),
    (Clauses("1 2 -3, -1 4, 2, 5 -4", "or", 2), 6),
    (Clauses("1 2 -3, -1 4, 2, 5 -4", "and", 3), 7),
    (Clauses("-1"), 1),
]


def formula(rng: np.random.Generator, n: int, clauses: int, k: int) -> str:
    parts = [rng.choice(n, rng.integers(1, k + 1), replace=False) + 1 for _ in range(clauses)]
    return ", ".join(" ".join(str(v * rng.choice([-1, 1])) for v in part) for part in parts)


@pytest.mark.parametrize(("task", "n"), CASES)
def test_every_input_is_answered_with_half_a_clause(task, n):
    tokens = np.array(list(itertools.product(range(2), repeat=n)))
    model, size = WITNESS.build(task, n), WITNESS.size(task, n)
    assert model.size(n, size.precision) == size
    logits = evaluate(model, tokens, queries=[n - 1])[:, 0]
    sign = np.where(task.answer(tokens)[:, 0] == 1, 1, -1)
    assert (sign * (logits[:, 1] - logits[:, 0])).min() >= 0.5 / n - 1e-12
    assert certify(model, task, n, method="contract").verdict == "proved"


def test_random_formulas_of_64_clauses_are_certified():
    rng = np.random.default_rng(0)
    for join, least in (("and", 1), ("or", 0), ("and", 8)):
        task, n = Clauses(formula(rng, 64, 64, 3), join, least), 64
        model = WITNESS.build(task, n)
        tokens, _ = task.sample(n, 200, rng, "near")
        assert (evaluate(model, tokens, queries=[n - 1]).argmax(axis=2) == task.answer(tokens)).all()
        assert certify(model, task, n, method="contract").verdict == "proved"


@pytest.mark.parametrize("name", ["embed.position", "layers.1.in_bias", "layers.2.in", "readout.bias"])
def test_damaged_models_are_refuted(name):
    task, n = CASES[0]
    model = WITNESS.build(task, n)
    worse = {"embed.position": -1.0, "layers.1.in_bias": 0.5, "layers.2.in": -1.0, "readout.bias": 3.0}[name]
    bad = Model(model.arch, {**model.tensors, name: model.tensors[name] * worse})
    assert certify(bad, task, n, method="contract").verdict == "refuted"


@pytest.mark.parametrize("text", ["", "1,,2", "1 1", "1 -1", "0", "x", "1 2 3 4 5 6 7"])
def test_bad_formulas_are_named(text):
    with pytest.raises(InputError, match="clauses"):
        Clauses(text)
    with pytest.raises(InputError, match="at least 4"):
        WITNESS.build(Clauses("1 -2, 3 4"), 3)
