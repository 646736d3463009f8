"""The RoPE transformer: properties of rotations, the torch form, what rotations change, and the integer form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.models.quantise import Recipe, quantise, reference_model
from separatrix.models.quantised import run
from separatrix.models.rope import (
    Affine,
    LayerNorm,
    RopeAttention,
    RopeTransformer,
    evaluate_rope,
    folded_scores,
    rotation,
    schedule,
)  # fmt: skip
from separatrix.numbers import FixedFormat


def test_rotations_form_a_group_and_fold() -> None:
    theta = schedule(6)
    assert theta == pytest.approx([1.0, 10000 ** (-1 / 3), 10000 ** (-2 / 3)])
    for a, b in [(1, 2), (-3, 5), (7, -7)]:
        assert rotation(theta, a) @ rotation(theta, b) == pytest.approx(rotation(theta, a + b))
        assert rotation(theta, a).T @ rotation(theta, a) == pytest.approx(np.eye(6))
        assert rotation(theta, a).T @ rotation(theta, b) == pytest.approx(rotation(theta, b - a))
    with pytest.raises(InputError, match="even width"):
        schedule(3)


def model_with_everything(weights: str = "softmax") -> RopeTransformer:
    rng = np.random.default_rng(1)
    base = reference_model(4, 1, 2, seed=2)
    maps = Affine(
        rng.standard_normal((4, 5)), rng.standard_normal(5), rng.standard_normal((5, 4)), rng.standard_normal(4)
    )
    one = base.blocks[0]
    assert isinstance(one, RopeAttention)
    norm = LayerNorm(rng.standard_normal(4), rng.standard_normal(4))
    plain = Affine(rng.standard_normal((4, 4)), np.zeros(4), residual=True)
    return replace(base, blocks=(replace(one, weights=weights), maps, norm, plain, one))


@pytest.mark.parametrize("mask", ["none", "causal"])
@pytest.mark.parametrize("weights", ["softmax", "average-hard", "unique-hard"])
def test_the_torch_form_is_the_numpy_form(mask: str, weights: str) -> None:
    torch = pytest.importorskip("torch")
    from separatrix.models.nets.rope import RopeNet

    model = replace(model_with_everything(weights), mask=mask)
    x = np.random.default_rng(0).standard_normal((3, 6, 4))
    got = RopeNet(model)(torch.tensor(x))
    assert got.detach().numpy() == pytest.approx(evaluate_rope(model, x), abs=1e-9)
    if weights == "softmax":
        got.sum().backward()


def test_rotations_change_outputs_and_break_equivariance() -> None:
    model = replace(model_with_everything(), mask="none")
    still = replace(model, theta=np.zeros(2))
    rng = np.random.default_rng(3)
    x, order = rng.standard_normal((2, 5, 4)), rng.permutation(5)
    assert np.abs(evaluate_rope(model, x) - evaluate_rope(still, x)).max() > 0.05
    assert evaluate_rope(still, x[:, order]) == pytest.approx(evaluate_rope(still, x)[:, order])
    assert np.abs(evaluate_rope(model, x[:, order]) - evaluate_rope(model, x)[:, order]).max() > 0.05


def test_scores_depend_on_the_difference_of_positions_only() -> None:
    model = reference_model(4)
    block = model.blocks[0]
    assert isinstance(block, RopeAttention)
    folded = folded_scores(model.theta, block, 5)[0]
    assert folded[1, 3] == pytest.approx(folded[2, 4])
    assert np.abs(folded[1, 3] - folded[3, 1]).max() > 0.01


def test_the_integer_form_approaches_the_real_one() -> None:
    """Finer grids come closer; the integer form is no other function."""
    model, rng = reference_model(4), np.random.default_rng(0)
    errors = []
    for bits, score_bits in [(4, 4), (8, 8)]:
        numbers = FixedFormat(bits, bits - 2)
        network = quantise(model, 5, numbers, Recipe(score_bits, 8.0 / 2**score_bits, 10, 10))
        codes = rng.integers(numbers.low, numbers.high + 1, (200, 5, 4)) // 2
        want = evaluate_rope(model, codes / 2**numbers.fraction)
        errors.append(np.abs(run(network, codes) / 2**numbers.fraction - want).mean())
    assert errors[0] < 0.2
    assert errors[1] < errors[0] / 4


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="query and key"):
        replace(reference_model(4), theta=schedule(6))
    with pytest.raises(InputError, match="at least one row"):
        quantise(reference_model(4), 0, FixedFormat(4))
