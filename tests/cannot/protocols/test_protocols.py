"""Protocols: the divided model answers as the undivided one, within the stated error, in exactly the counted bits."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from cli.test_commands import separatrix as separatrix
from models.recurrent_models import CELLS, MIXED, random_recurrent
from separatrix.can.witnesses import index_lookup_quadratic, match2_circle
from separatrix.cannot.protocols import Transcript, read_split, run
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.errors import InputError
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint
from separatrix.core.shapes import tensor_shapes
from separatrix.models import Model, evaluate
from separatrix.tasks import make_task


def require_sound(done: Transcript, model: Model, tokens: np.ndarray) -> None:
    """Equal to the whole in the same arithmetic, near the model, every message as long as it says."""
    assert np.array_equal(done.output, done.whole)
    assert np.allclose(done.real, evaluate(model, tokens[None], queries=[done.query])[0, 0], atol=1e-12)
    assert done.stated is None or done.error <= done.stated
    assert done.bits == done.formula_bits
    for m in done.messages:
        assert len(m.values) == m.numbers
        if all(isinstance(v, int) for v in m.values):
            low, high = (0, 2**m.width) if "normaliser" in m.what else (-(2 ** (m.width - 1)), 2 ** (m.width - 1))
            assert all(low <= v < high for v in m.values), m


def random_head(seed: int, heads: int, blank: bool, residual: bool, mask: Any = "none", spread: float = 1.0) -> Model:
    arch = Arch(
        5, Table(4, 9), (Attention(heads, 3, 2, mask=mask, residual=residual, scale=0.5),), Readout(3), blank=blank
    )
    rng = np.random.default_rng(seed)
    return Model(arch, {name: spread * rng.normal(size=shape) for name, shape in tensor_shapes(arch).items()})


@pytest.mark.parametrize("split", ["half", "odd", "0", "9", "3,5-7"])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("p", [6, 10, 16, 30])
def test_attention_between_two_parties(split: str, heads: int, p: int) -> None:
    rng = np.random.default_rng(heads)
    for seed in range(8):
        mask = ("none", "causal")[seed % 2]
        model = random_head(seed, heads, blank=seed % 3 == 0, residual=seed % 4 > 1, mask=mask, spread=0.3 + seed % 3)
        tokens, query = rng.integers(0, 4, 9), int(rng.integers(0, 9))
        done = run(model, tokens, query, split, f"fixed:{p}")
        require_sound(done, model, tokens)
        count = 9 + model.transformer.blank
        log = int(np.ceil(np.log2(count)))
        assert done.bits == 5 * p + heads * (2 * 2 * p + 4 * p + 2 * log)
        assert done.stated is not None and (p < 30 or done.error < 1e-4)


def test_more_bits_state_smaller_errors() -> None:
    model, tokens = random_head(1, 2, False, False), np.array([0, 1, 2, 3, 0, 1, 2, 3, 1])
    stated = [run(model, tokens, 8, "odd", f"fixed:{p}").stated for p in (8, 12, 16, 20, 24)]
    assert all(a is not None and b is not None and b < a / 4 for a, b in pairwise(stated))


def test_built_witnesses_keep_their_answers() -> None:
    rng = np.random.default_rng(0)
    for task, build, p in [
        (make_task("index-lookup", {"symbols": 4}), index_lookup_quadratic.build, 24),
        (make_task("match2", {"modulus": 17}), match2_circle.build, 24),
    ]:
        model = build(task, 12)
        for _ in range(10):
            tokens = task.sample(12, 1, rng)[0][0]
            query = task.queries(12)[-1]
            done = run(model, tokens, query, "half", f"fixed:{p}")
            require_sound(done, model, tokens)
            assert done.output.argmax() == done.real.argmax()


@pytest.mark.parametrize("cells", [*CELLS, MIXED], ids=lambda cells: "-".join(cell.kind for cell in cells))
@pytest.mark.parametrize("grid", [None, FixedPoint(6, 4)], ids=["exact", "fixed"])
def test_a_recurrent_model_sends_its_state(cells: tuple, grid: FixedPoint | None) -> None:
    model, rng = random_recurrent(cells, 0, grid=grid), np.random.default_rng(0)
    for cut in (0, 3, 6):
        tokens = rng.integers(0, 4, 8)
        done = run(model, tokens, 7, str(cut))
        require_sound(done, model, tokens)
        assert done.error == 0 == done.stated and len(done.messages) == 1
        numbers = model.arch.state_numbers  # pyright: ignore
        assert done.bits == numbers * (6 if grid else 64) == model.size(8).bits("cut") or grid is None


@pytest.mark.parametrize("cell", [Elman(6), Elman(6, "tanh"), DiagonalSsm(4, 5)], ids=str)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_shorter_state_moves_the_output_by_no_more_than_stated(cell: Elman | DiagonalSsm, precision: str) -> None:
    rng, seen = np.random.default_rng(0), 0.0
    for seed in range(10):
        model, tokens = random_recurrent((cell,), seed), rng.integers(0, 4, 8)
        done = run(model, tokens, 7, "5", precision)
        require_sound(done, model, tokens)
        assert done.stated is not None and done.bits == (32 if precision == "fp32" else 16) * (
            6 if cell.units == 6 else 8
        )
        seen = max(seen, done.error / done.stated)
    assert seen > 1e-3  # the statement is not idle


def test_what_cannot_be_divided_is_refused() -> None:
    model, tokens = random_recurrent((Elman(3),), 0), np.zeros(8, dtype=int)
    for split, word in [("odd", "cut in two"), ("8", "the query is Bob's"), ("9", "8 positions"), ("a", "none of")]:
        with pytest.raises(InputError, match=word):
            run(model, tokens, 7, split)
    with pytest.raises(InputError, match="fixed:9"):
        run(model, tokens, 7, "4", "fixed:9")
    head = random_head(0, 1, False, False)
    with pytest.raises(InputError, match="float:24"):
        run(head, tokens, 7, "half", "fp32")
    deep = dataclasses.replace(head.transformer, layers=(Attention(1, 3, 2), FeedForward(4)))
    two = Model(deep, {name: np.zeros(shape) for name, shape in tensor_shapes(deep).items()})
    with pytest.raises(InputError, match="2 layers"):
        run(two, tokens, 7)
    assert read_split("1,3-4", 8) == (1, 3, 4) and read_split("odd", 5) == (0, 2, 4)


def test_the_command_shows_the_transcript(separatrix: Any) -> None:
    separatrix("build", "index-lookup-quadratic", "--n", "8", "--symbols", "4", "-o", "model")
    words = ("protocol", "model", "--task", "index-lookup", "--n", "8", "--symbols", "4", "--precision", "fixed:20")
    code, out, _ = separatrix(*words, "--split", "odd", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["bits"] == answer["formula_bits"] == sum(m["bits"] for m in answer["messages"])
    assert answer["equal_to_whole"] and answer["error"] <= answer["stated_error"]
    code, out, _ = separatrix(*words, "--tokens", "0 1 2 3 0 1 2 3 5")
    assert code == 0 and "the bounds count" in out and "the same as" in out
    for bad in (["--tokens", "0 1"], ["--tokens", "a"], ["--query", "3"], ["--split", "x"], ["--precision", "fp7"]):
        code, _, err = separatrix(*words, *bad)
        assert code == 2 and err.count("\n") == 1, err
