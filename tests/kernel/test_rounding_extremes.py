"""Float claims at the edges of a format: cancellation, underflow, overflow, more terms than it can add."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from core.heads import Instance, lookup
from core.reference import accepts
from kernel.test_rounding import least_margin, lookup_model, replaced, spec_of
from separatrix.core.semantics import Semantics
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup


def test_a_query_that_cancels_against_its_position_is_rounded_before_it_does() -> None:
    """Token 10000.3 + 2, position -10000.3: at 11 bits the sum is noise, although it is small in real arithmetic."""
    made, refused = lookup_model(2), 0
    for big in (100.3, 1000.3, 3001.7, 10000.3):
        token, place = made.model.tensors["embed.token"].copy(), made.model.tensors["embed.position"].copy()
        token[2:, 1:3] += big
        place[-1, 1:3] -= big
        moved = replaced(made, embed_token=token, embed_position=place)
        assert accepts(moved.model, moved.task, 2)
        for text in ("float:11", "float:16", "float:24"):
            accepted = accepts(moved.model, moved.task, 2, Semantics.parse(text))
            refused += not accepted
            assert not accepted or least_margin(moved, text, np.random.default_rng(0)) > 0
    assert not accepts(moved.model, moved.task, 2, Semantics.parse("float:11")) and refused < 12
    assert least_margin(moved, "float:11", np.random.default_rng(0)) < 0


def test_a_residual_that_cancels_is_rounded_before_it_does() -> None:
    """The same through the residual connection: the constant part of the logits."""
    for seed in range(40):
        rng = np.random.default_rng((seed, 3))
        made = lookup(rng, 0.0, 4.0)
        if not made.model.arch.layers[0].residual:
            continue
        big = float(rng.choice([37.7, 301.3, 5003.1]))
        token, place = made.model.tensors["embed.token"].copy(), made.model.tensors["embed.position"].copy()
        symbols = made.task.outputs().k  # pyright: ignore[reportAttributeAccessIssue]
        token[symbols:, 0] += big
        place[-1, 0] -= big
        moved = replaced(made, embed_token=token, embed_position=place)
        for p in (6, 8, 11, 16):
            if accepts(moved.model, moved.task, moved.n, Semantics.parse(f"float:{p}")):
                assert least_margin(moved, f"float:{p}", rng) > 0, (seed, p)


@pytest.mark.parametrize("power", [8, 12, 16, 20, 24, 26, 27, 28, 29])
def test_weights_that_underflow_at_rest_are_magnified_later(power: int) -> None:
    """Query tokens divided by 2^power, and the maps and the scale multiplied back: fp16 loses the token."""
    made = lookup_model(2)
    split = 2.0 ** min(10, power // 2)
    t = made.model.tensors
    token = t["embed.token"].copy()
    token[2:, 1:3] /= 2.0**power
    layer = dataclasses.replace(made.model.arch.layers[0], scale=2.0**power / split**2)
    arch = dataclasses.replace(made.model.arch, layers=(layer,))
    moved = {
        "embed.token": token,
        "layers.0.query": t["layers.0.query"] * split,
        "layers.0.key": t["layers.0.key"] * split,
    }
    small = Instance("lookup", Model(arch, dict(t) | moved), made.task, 2)
    assert accepts(small.model, small.task, 2)
    wrong = least_margin(small, "fp16", np.random.default_rng(0)) <= 0
    accepted = accepts(small.model, small.task, 2, Semantics.parse("fp16"))
    assert not (accepted and wrong)
    assert wrong == (power >= 26) and (accepted or power > 12)


@pytest.mark.parametrize("name", ["layers.0.value", "layers.0.output", "readout.weight", "embed.token"])
def test_value_paths_that_underflow_are_not_accepted(name: str) -> None:
    made, rng = lookup_model(3), np.random.default_rng(0)
    for power in range(4, 30, 3):
        t = dict(made.model.tensors)
        factor = 2.0**-power
        if name == "embed.token":
            token = t[name].copy()
            token[:2, 0] *= factor
            t[name] = token
        else:
            t[name] = t[name] * factor
        other = "readout.weight" if name != "readout.weight" else "layers.0.value"
        t[other] = t[other] * min(2.0**power, 4096.0)
        moved = Instance("lookup", Model(made.model.arch, t), made.task, 3)
        if accepts(moved.model, moved.task, 3, Semantics.parse("fp16")):
            assert least_margin(moved, "fp16", rng) > 0, (name, power)
        if accepts(moved.model, moved.task, 3, Semantics.parse("fp16,tree")):
            assert least_margin(moved, "fp16,tree", rng) > 0, (name, power)


@pytest.mark.parametrize("name", ["layers.0.query", "layers.0.key", "layers.0.value", "embed.token", "readout.bias"])
def test_a_number_at_rest_that_overflows_is_rejected_even_where_nothing_reads_it(name: str) -> None:
    """An unread column of the stream: 0 * inf is NaN in the format, 0 in real arithmetic."""
    made = lookup_model(2)
    arch = dataclasses.replace(made.model.arch, width=made.model.arch.width + 1, residual=())
    t: dict[str, np.ndarray] = {}
    for key, tensor in made.model.tensors.items():
        axes = {"embed.token": 1, "embed.position": 1, "readout.weight": 0, "layers.0.output": 2}
        pads = [(0, 0)] * tensor.ndim
        if key != "readout.bias":
            pads[axes.get(key, 1)] = (0, 1)
        t[key] = np.pad(tensor, pads)
    model = Model(arch, t)
    assert accepts(model, made.task, 2, Semantics.parse("fp16"))
    poisoned = t[name].copy()
    if name == "readout.bias":
        poisoned[:] = 1e6
    else:
        poisoned.reshape(-1, poisoned.shape[-1])[-1, -1] = 1e6
    bad = Model(arch, t | {name: poisoned})
    assert accepts(bad, made.task, 2)
    assert not accepts(bad, made.task, 2, Semantics.parse("fp16"))
    assert name == "readout.bias" or accepts(bad, made.task, 2, Semantics.parse("fp32"))


@pytest.mark.parametrize("text", ["fp16", "fp32", "bf16"])
def test_scores_and_values_that_overflow_are_rejected(text: str) -> None:
    made, spec = lookup_model(3), spec_of(text)
    for name in (
        "embed.token",
        "embed.position",
        "layers.0.query",
        "layers.0.value",
        "layers.0.output",
        "readout.weight",
    ):
        huge = {name: made.model.tensors[name] * spec.greatest}
        with np.errstate(all="ignore"):
            assert not accepts(
                Model(made.model.arch, dict(made.model.tensors) | huge), made.task, 3, Semantics.parse(text)
            )
    layer = dataclasses.replace(made.model.arch.layers[0], scale=spec.greatest)
    arch = dataclasses.replace(made.model.arch, layers=(layer,))
    assert not accepts(Model(arch, made.model.tensors), made.task, 3, Semantics.parse(text))


def test_many_terms_of_little_precision_are_rejected_not_wrapped() -> None:
    """N u of about 1 and beyond: the bound explodes, it does not turn into nonsense."""
    for n in (20, 64, 200):
        made = lookup_model(n)
        assert accepts(made.model, made.task, n)
        for p in (2, 3, 4, 5):
            assert not accepts(made.model, made.task, n, Semantics.parse(f"float:{p}"))
    assert not accepts(lookup_model(300).model, IndexLookup(2), 300, Semantics.parse("bf16"))
