"""Attention over pairs of tokens is trained like any other."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.arch import HigherOrder, Strassen
from separatrix.core.errors import InputError
from separatrix.learn.cohort import Cohort, Member
from separatrix.learn.recipe import Recipe
from separatrix.learn.standard import one_layer
from separatrix.models.evaluate import evaluate
from separatrix.tasks import make_task

TASK, N = make_task("match3", {"modulus": 3}), 6


@pytest.mark.parametrize(("pairs", "kind"), [("third-order", HigherOrder), ("strassen", Strassen)])
def test_a_cohort_learns_match3(pairs: str, kind: type) -> None:
    arch = one_layer(TASK, N, 16, residual=True, mlp=32, pairs=pairs)  # pyright: ignore[reportArgumentType]
    assert isinstance(arch.layers[0], kind)
    recipe = Recipe(300, batch=32, validation=256, check_every=25, hold=1, target=0.99)
    trained = Cohort(TASK, N, arch, [Member(0, 0.01), Member(1, 0.01)], recipe).train()
    assert [one.state for one in trained] == ["solved", "solved"]
    tokens = TASK.sample(N, 500, np.random.default_rng(5))[0]
    right = evaluate(trained[0].model, tokens).argmax(axis=2) == TASK.answer(tokens, None)
    assert right.mean() > 0.97


def test_unknown_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="third-order or strassen"):
        one_layer(TASK, N, 16, pairs="fourth")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="without a norm"):
        one_layer(TASK, N, 16, norm=True, pairs="strassen")
