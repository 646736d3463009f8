"""Witnesses as circuits: rescaling changes nothing, recurrences give their own numbers, reasons are plain."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix import can
from separatrix.core.errors import UnknownError
from separatrix.core.recurrent import Exact, Recurrent
from separatrix.core.task import Task
from separatrix.depth.balance import balanced, ranges
from separatrix.depth.compiler.recurrent import compile_recurrent
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.witness import deep
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks import make_task

RNG = np.random.default_rng


def built(witness: str, n: int, **parameters: object) -> tuple[Model, Task]:
    one = can.registry.get(witness)
    task = make_task(one.task, parameters)
    return one.build(task, n), task


@pytest.mark.parametrize("name", ["index-lookup-quadratic", "equality-two-layer", "k-hop-doubling"])
def test_rescaling_keeps_the_function_up_to_temperature(name: str) -> None:
    model, task = built(name, 8)
    tokens = task.sample(8, 60, RNG(0))[0]
    scaled = balanced(model, tokens)
    found = ranges(scaled, tokens)
    assert max(found.stream.max(), *(size.max() for size in found.inner)) <= 1.0 + 1e-9
    old, new = (evaluate(m, tokens, queries=task.queries(8)) for m in (model, scaled))
    hot = [layer.scale for layer in scaled.transformer.layers if hasattr(layer, "scale")]
    assert any(scale != 1.0 for scale in hot)  # temperatures were folded away, so only labels in the limit remain
    tensors = scaled.tensors | {}
    for i, (before, after) in enumerate(zip(model.transformer.layers, scaled.transformer.layers, strict=True)):
        if hasattr(after, "scale"):
            tensors[f"layers.{i}.query"] = tensors[f"layers.{i}.query"] * (before.scale / after.scale)
    assert np.allclose(evaluate(Model(scaled.transformer, tensors), tokens, queries=task.queries(8)), old, atol=1e-9)
    assert old.shape == new.shape


@pytest.mark.parametrize(
    ("name", "n", "depth"),
    [("regular-elman", 6, 6), ("dyck-elman", 4, 6), ("dyck-stack", 4, 6), ("index-lookup-store", 3, 6),
     ("equality-store", 6, 9), ("disjointness-store", 6, 9)],
)  # fmt: skip
def test_recurrent_witnesses_give_their_own_numbers(name: str, n: int, depth: int) -> None:
    parameters = {"symbols": 5} if name.startswith("index") else {}
    model, task = built(name, n, **parameters)
    made = compile_recurrent(model, task.domain(n).positions, task.queries(n))
    tokens = task.sample(n, 300, RNG(1))[0]
    got = Evaluator(made.circuit)(made.bits_of(tokens)) / 2.0**made.exponent
    want = evaluate(model, tokens, queries=task.queries(n))
    assert np.array_equal(got, want)
    assert np.array_equal(got.argmax(axis=2), task.answer(tokens))
    assert made.circuit.depth == depth
    made.circuit.check()


def test_random_recurrences_with_fractions_clip_and_round_as_the_model_does() -> None:
    from separatrix.core.arch import Readout, Table
    from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint

    rng = RNG(3)
    for seed in range(4):
        first = Elman(3) if seed % 2 else DiagonalSsm(2, 3)
        arch = Recurrent(2, Table(4, 5), (first, Elman(2)), Readout(2), FixedPoint(3, 1))
        from separatrix.core.recurrent import recurrent_shapes

        tensors = {name: rng.integers(-6, 7, shape) / 4.0 for name, shape in recurrent_shapes(arch).items()}
        model = Model(arch, tensors)
        made = compile_recurrent(model, 5, (2, 4))
        tokens = rng.integers(0, 4, (200, 5))
        got = Evaluator(made.circuit)(made.bits_of(tokens)) / 2.0**made.exponent
        assert np.array_equal(got, evaluate(model, tokens, queries=(2, 4)))
        assert len(np.unique(got)) > 3


def test_transformers_are_quantised_hardened_and_compared() -> None:
    model, task = built("index-lookup-quadratic", 4, symbols=8)
    found = deep(model, task, 4)
    assert found.counts.depth == 6 and found.tried > 10_000 and found.every and found.compared >= 1000
    assert "hard attention" in found.numbers
    with pytest.raises(UnknownError, match="gates, more than 10"):
        deep(model, task, 4, most_gates=10)
    assert deep(model, task, 4, least_bits=10).bits == 10


def test_what_is_not_compiled_says_why() -> None:
    for name, n, words in (
        ("sparse-averaging-circle", 8, "real numbers"),
        ("sorting-program", 4, "real numbers"),
        ("match3-third-order", 4, "higher-order"),
        ("match2-circle", 4, "12 bits are too coarse"),
        ("index-lookup-random", 8, "wide"),
    ):
        with pytest.raises(UnknownError, match=words):
            deep(*built(name, n), n)
    model, task = built("regular-elman", 4)
    assert isinstance(model.arch, Recurrent)
    from dataclasses import replace

    with pytest.raises(UnknownError, match="not rounded"):
        deep(Model(replace(model.arch, state=Exact()), model.tensors), task, 4)
