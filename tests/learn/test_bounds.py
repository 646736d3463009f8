"""Bounds of learning: never below what is measured, blind to sharp positional attention, and not to standard."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from separatrix.core.arch import Arch, Attention, Readout, Table
from separatrix.core.errors import InputError
from separatrix.core.shapes import tensor_shapes
from separatrix.learn.bounds import learning_bound
from separatrix.learn.experiments.positional_scale import BASE, positional, standard
from separatrix.learn.standard import initialise
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model

ARCHS = {
    "positional": positional(8),
    "standard": standard(8),
    "rotary": standard(8, base=BASE),
    "hybrid": standard(8, "both"),
}
TOKENS = np.zeros((1, 8), dtype=np.int64)


def drawn(name: str, seed: int = 0) -> Model:
    return initialise(ARCHS[name], np.random.default_rng(seed), np.float64)


def sharper(model: Model, factor: float) -> Model:
    tensors = {k: t * factor if k.endswith((".query", ".key")) else t for k, t in model.tensors.items()}
    return Model(model.arch, tensors)


@pytest.mark.parametrize("name", ARCHS)
def test_no_pair_of_inputs_is_further_apart_than_the_constant_allows(name: str) -> None:
    rng = np.random.default_rng(1)
    for factor in (1.0, 3.0):
        model = sharper(drawn(name), factor)
        constant = 10.0 ** learning_bound(model, 1000, 2.0).lipschitz
        steepest = 0.0
        for size in (1e-4, 0.1, 4.0):
            for _ in range(20):
                x = rng.uniform(-2, 2, (1, 8, 1))
                y = np.clip(x + size * rng.uniform(-1, 1, x.shape), -2, 2)
                moved = np.abs(evaluate(model, TOKENS, x) - evaluate(model, TOKENS, y)).max()
                steepest = max(steepest, moved / np.abs(x - y).max())
        assert 0.0 < steepest <= constant


def test_the_bound_is_met_where_it_should_be() -> None:
    """One head that averages, identity maps: a common shift passes unchanged through every part but the skip."""
    arch = dataclasses.replace(positional(8), layers=positional(8).layers[:1])
    tensors = {name: np.zeros(shape) for name, shape in tensor_shapes(arch).items()}
    tensors["positions"] = np.eye(9)
    tensors["embed.linear"][0, 0] = 1.0
    tensors["layers.0.mlp.0.weight"][64, 0] = tensors["layers.0.mlp.1.weight"][0, 0] = 1.0
    tensors["readout.weight"][0, 0] = 3.0
    found = learning_bound(Model(arch, tensors), 1000, 2.0)
    assert math.isclose(found.lipschitz, math.log10(3.0), abs_tol=1e-12) and found.qk_factor == 0.0
    # maps with a nonzero entry: embedding, two of the net, read-out; each carries words of size 2 and ends times 3
    assert math.isclose(found.capacity, math.log10((4 * 6 ** (2 / 3)) ** 1.5), abs_tol=1e-9)


def test_queries_and_keys_multiply_in_standard_attention_alone() -> None:
    assert learning_bound(drawn("positional"), 1000, 2.0).qk_factor == 0.0
    loose, sharp = (learning_bound(sharper(drawn("positional"), f), 1000, 2.0) for f in (1.0, 10.0))
    assert sharp.lipschitz == loose.lipschitz
    for name in ("standard", "rotary", "hybrid"):
        loose, sharp = (learning_bound(sharper(drawn(name), f), 1000, 2.0) for f in (1.0, 10.0))
        assert loose.qk_factor > 1.0 and sharp.qk_factor > loose.qk_factor + 7.9  # a factor 100 in each of four layers
        assert sharp.vacuous


def test_more_samples_narrow_the_gap_and_larger_numbers_widen_it() -> None:
    model = drawn("positional")
    gaps = [learning_bound(model, m, 2.0).gap for m in (1000, 30000, 10**6)]
    assert gaps == sorted(gaps, reverse=True) and learning_bound(model, 1000, 20.0).gap > gaps[0]
    with pytest.raises(InputError, match="this model is transformer"):
        arch = Arch(2, Table(3), (Attention(1, 1, 1),), Readout(2))
        learning_bound(initialise(arch, np.random.default_rng(0)), 1000, 2.0)
