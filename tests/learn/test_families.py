"""Families of linear recurrences: their blocks are trained as ensembles, and runs that were stored keep their names."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.core.mixers import Rwkv, SelectiveSsm
from separatrix.core.recurrent import Recurrent
from separatrix.core.shapes import tensor_shapes
from separatrix.learn.cohort import Cohort, Member
from separatrix.learn.comparison import recurrent
from separatrix.learn.experiments import registry
from separatrix.learn.families import FAMILIES, block
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import initialise
from separatrix.tasks import make_task
from separatrix.tasks.index_lookup import IndexLookup

TASK, N = IndexLookup(4), 6
STATES = {  # numbers that a block of width 8 with 2 heads carries
    "linear-attention": 2 * 4 * 5,
    "retnet": 2 * 4 * 4,
    "deltanet": 2 * 4 * 4,
    "negative-deltanet": 2 * 4 * 4,
    "mamba": 8 * (16 + 3),
    "rwkv": 3 * 8,
}
STORED = {  # (experiment, label, N): how the key of its first run in a store begins
    ("index-lookup", "LSTM, 64 units", 20): "336f2af6c0aabf13",
    ("recall", "diagonal SSM, 64 complex units", 4): "46df2822b0eecb83",
    (
        "word-problems",
        "S3, transformer, depth 2",
        8,
    ): "684e59253338a194",
}


def small(family: str) -> Recurrent:
    return recurrent(TASK, N, 8, *block(family, 8, heads=2), placed=family == "linear-attention")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_ensemble_equals_separate_trainings(family: str) -> None:
    arch = small(family)
    assert arch.state_numbers == STATES[family]
    members = [Member(0, 3e-3), Member(5, 1e-2)]
    recipe = Recipe(12, batch=8, check_every=6, validation=32)
    together = Cohort(TASK, N, arch, members, recipe, dtype="float64").train()
    for member, mine in zip(members, together, strict=True):
        (alone,) = Cohort(TASK, N, arch, [member], recipe, dtype="float64").train()
        assert np.abs(mine.curve - alone.curve).max() < 1e-9
        for name in tensor_shapes(arch):
            assert np.abs(mine.model.tensors[name] - alone.model.tensors[name]).max() < 1e-5, name
    assert (
        np.abs(together[0].model.tensors["readout.weight"] - together[1].model.tensors["readout.weight"]).max() > 1e-3
    )


def test_mamba_and_rwkv_begin_as_in_their_papers() -> None:
    rng = np.random.default_rng(0)
    model = initialise(small("mamba"), rng, np.float64)
    assert isinstance(small("mamba").layers[0], SelectiveSsm)
    np.testing.assert_allclose(np.exp(model.tensors["layers.0.rate"]), np.tile(np.arange(1, 17), (8, 1)))
    steps = np.logaddexp(0, model.tensors["layers.0.step_bias"])
    assert ((steps > 0.99e-3) & (steps < 0.101)).all() and steps.std() > 1e-3
    model = initialise(small("rwkv"), rng, np.float64)
    assert isinstance(small("rwkv").layers[0], Rwkv)
    decay = model.tensors["layers.0.decay"]
    assert (decay[0], decay[-1]) == (-5.0, 3.0) and (np.diff(decay) > 0).all()
    assert (model.tensors["layers.0.key_share"] == 0.5).all()


def test_unknown_families_are_refused() -> None:
    with pytest.raises(InputError, match="known: linear-attention, retnet"):
        block("hyena", 8)
    with pytest.raises(InputError, match="heads divide"):
        block("retnet", 10, heads=4)


def test_runs_that_were_stored_are_found_again() -> None:
    for (name, label, n), key in STORED.items():
        runs = [run for run in registry.get(name).runs("quick") if run.label == label and run.n == n]
        assert runs[0].key.startswith(key), (name, label)


def test_new_rows_come_back_from_their_text() -> None:
    for name in ("index-lookup", "recall", "word-problems"):
        runs = [run for run in registry.get(name).runs("quick") if isinstance(run.arch, Recurrent)]
        assert len({run.key for run in runs}) == len(runs)
        assert all(Run.from_json(run.label, run.text) == run for run in runs)


def test_negative_eigenvalues_learn_parity_and_positive_ones_do_not() -> None:
    """Grazzi et al. 2025, Theorem 1: transitions with eigenvalues in (0, 1) cannot tell parity; 12 bits, 300 steps."""
    task = make_task("prefix-products", {"group": "z2"})
    recipe = Recipe(300, batch=32, check_every=50, validation=256, hold=1, target=0.999)
    found = {}
    for family in ("deltanet", "negative-deltanet"):
        arch = recurrent(task, 12, 16, *block(family, 16))
        (found[family],) = Cohort(task, 12, arch, [Member(0, 2e-2)], recipe).train()
    assert found["negative-deltanet"].state == "solved" and found["deltanet"].score < 0.8
