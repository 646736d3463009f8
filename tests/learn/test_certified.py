"""Certified learning: the verdict on a trained model, next to its accuracy."""

from __future__ import annotations

import numpy as np

from separatrix.core.recurrent import Recurrent
from separatrix.core.seeds import child
from separatrix.learn.certified import verdict
from separatrix.learn.cohort import Cohort, Member
from separatrix.learn.experiments.index_lookup import archs, measure
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import initialise, one_layer
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.k_hop import KHop


def test_what_is_learned_is_proved_and_what_is_not_is_refuted() -> None:
    task, recipe = IndexLookup(4), Recipe(400, batch=64, check_every=50, hold=2, validation=256)
    arch = one_layer(task, 4, 16)
    (trained,) = Cohort(task, 4, arch, [Member(0, 1e-2)], recipe).train()
    told = verdict(trained.model, task, 4)
    assert trained.state == "solved" and (told["proved"], told["refuted"]) == (1.0, 0.0)
    assert told["cells"] == told["cells_proved"] == 16 and told["cells_refuted"] == 0
    fresh = verdict(initialise(arch, child(0, "weights")), task, 4)
    assert (fresh["proved"], fresh["refuted"]) == (0.0, 1.0) and fresh["cells_refuted"] > 0
    run = Run.of("one layer", task, 4, arch, recipe, Member(0, 1e-2))
    assert measure(run, trained.model) == {"accuracy": 1.0, "fano_bits": 8.0} | told


def test_what_is_too_large_is_left_alone() -> None:
    for task, n, arch in (
        (IndexLookup(64), 50, one_layer(IndexLookup(64), 50, 64)),
        (KHop(2, 4), 6, one_layer(KHop(2, 4), 6, 8)),  # no cells
    ):
        assert verdict(initialise(arch, np.random.default_rng(0)), task, n) == {}


def test_recurrent_models_have_no_verdict() -> None:
    (arch,) = [a for label, a in archs(IndexLookup(64), 4, "quick").items() if label.startswith("LSTM")]
    assert isinstance(arch, Recurrent)
    run = Run.of("LSTM", IndexLookup(64), 4, arch, Recipe(1), Member(0, 1e-2))
    assert set(measure(run, initialise(arch, np.random.default_rng(0)))) == {"accuracy", "fano_bits"}
