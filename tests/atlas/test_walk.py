"""The walk through a model: every witness has a page, and what the page says is what the model computes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from separatrix import can
from separatrix.atlas.walk import read_input, walk
from separatrix.atlas.walk_words import flow, needed, short, token_names
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.errors import InputError
from separatrix.core.shapes import tensor_shapes
from separatrix.draw.walk import Grid, Stage, Walk, grid_svg, walk_html
from separatrix.models import Model, evaluate
from separatrix.models.trace import trace, whole
from separatrix.tasks import make_task

SETTINGS = {
    "associative-recall-quadratic": {"joined": "true"},
    "match3-packing": {"modulus": "3"},
    "nearest-neighbour-recency": {"joined": "true"},
    "sparse-averaging-chirp": {"q": "2"},
}
BENES = ("greatest-benes", "least-benes", "prefix-sums-benes", "sorting-benes")
SIZES = {"sparse-averaging-chirp": 60, **dict.fromkeys(BENES, 4)}


def made(name: str):
    """(model, task, n, tokens, reals) of a witness at a small length."""
    witness = can.registry.get(name)
    task, n = make_task(witness.task, SETTINGS.get(name, {})), SIZES.get(name, 6)
    return witness.build(task, n), task, n, *read_input(task, n, None, 1)


@pytest.mark.parametrize("name", list(can.registry))
def test_every_witness_has_a_page_that_agrees_with_the_task(name: str) -> None:
    model, task, n, tokens, reals = made(name)
    page = walk(model, task, n, tokens, reals, name, {"size": "s"})
    assert dict(page.facts)["agrees with the task"] == "yes"
    text = walk_html(page)
    body = text[text.index("<body>") : text.index("</html>")].replace("&nbsp;", " ")
    ET.fromstring(body)  # well-formed: every tag closes
    assert "<script" not in text and "http" not in text and text.count("<svg") >= 2
    assert len(page.flow) >= 2 + (len(model.arch.layers) if model.arch.kind != "recurrent" else len(tokens))


@pytest.mark.parametrize("name", list(can.registry))
def test_a_trace_ends_in_the_outputs_of_the_model_and_its_patterns_are_distributions(name: str) -> None:
    model, _, _, tokens, reals = made(name)
    seen = trace(model, tokens, reals)
    outputs = evaluate(model, tokens[None], None if reals is None else reals[None])[0]
    assert np.array_equal(seen.outputs, outputs)
    last, weight, bias = seen.steps[-1].after, model.tensors["readout.weight"], model.tensors["readout.bias"]
    if model.arch.kind != "recurrent":  # the last stream, read out by hand
        assert np.allclose(last[: len(tokens)] @ weight.astype(float) + bias, outputs, atol=1e-9)
    for before, after in zip(seen.steps, seen.steps[1:], strict=False):
        assert model.arch.kind == "recurrent" or np.array_equal(before.after, after.before)
    for step in seen.steps:
        assert [stop for _, _, stop in step.parts][-1] == step.after.shape[1]
        for head in step.heads:
            assert np.allclose(head.weights.sum(axis=1), 1.0)


def test_the_flow_of_equality_names_the_pair_that_differs() -> None:
    task = make_task("equality", {})
    model = can.registry.get("equality-two-layer").build(task, 6)
    tokens, _ = read_input(task, 6, "0 1 1 0 0 1", 0)
    seen = trace(model, tokens)
    labels = [f"t{i}" for i in range(6)]
    said = flow(seen, labels, (5,))
    assert "*flag* = 1 in t4" in said[1] and "t3" not in said[1]
    assert "t5 looks at all tokens evenly" in said[2]
    assert needed(seen, (5,)) == [set(range(6)), set(range(6)), {5}]
    page = walk(model, task, 6, tokens, None, "equality-two-layer", {})
    pattern = page.stages[1].grids[0]
    assert np.array(pattern.weights).argmax(axis=1).tolist() == [0, 1, 2, 0, 1, 2] and pattern.marked == (5,)
    after = page.stages[2].grids[0]
    assert {(after.rows[i], j) for i, j in after.framed} == {("flag", 4)}


def test_pairs_of_the_third_order_are_the_hits() -> None:
    task = make_task("match3", {"modulus": 31})
    model = can.registry.get("match3-third-order").build(task, 5)
    tokens, _ = read_input(task, 5, "3 5 23 30 30", 0)  # 3 + 5 + 23 = 31
    head = trace(model, tokens).steps[0].heads[0]
    assert {places for places, weight in head.tuples[0] if weight > 0.1} == {(1, 2), (2, 1)}
    page = walk(model, task, 5, tokens, None, "match3", {})
    assert any("(5_{1}, 23_{2})" in line for line in page.stages[1].says)


def test_the_pattern_of_a_positional_layer_does_not_depend_on_the_input() -> None:
    task = make_task("sorting", {})
    model = can.registry.get("sorting-program").build(task, 4)
    pages = [walk(model, task, 4, *read_input(task, 4, text, 0), "sort", {}) for text in ("1 0.5 -1 2", "-1 -2 0 1")]
    assert pages[0].stages[1].grids[0].weights == pages[1].stages[1].grids[0].weights
    assert pages[0].stages[-2].grids[-1].texts[0][:4] == ("−1", "0.5", "1", "2")


def test_a_trained_model_without_names_has_a_page(tmp_path: Path) -> None:
    layers = (Attention(2, 2, 2, residual=True, norm="pre"), FeedForward(4, residual=True))
    arch = Arch(4, Table(3, 8), layers, Readout(2))
    rng = np.random.default_rng(0)
    tensors = {name: rng.normal(size=shape) for name, shape in tensor_shapes(arch).items()}
    tensors["layers.0.norm_eps"] = np.array(1e-5)
    Model(arch, tensors).save(tmp_path)
    task = make_task("majority", {})
    tokens, reals = read_input(task, 5, None, 0)
    text = walk_html(walk(Model.load(tmp_path), task, 5, tokens, reals, "<b>mine</b>", {}))
    assert "<b>mine" not in text and "stream 4" in text


@pytest.mark.parametrize(
    ("task", "text"),
    [("equality", "0 1 1"), ("equality", "0 1 1 7"), ("equality", "a b c d"), ("equality", "9" * 400 + " 0 0 0"),
     ("sorting", "1 2 3 99"), ("sorting", "1 2 3 nan"), ("routing", "1 2 3 4"), ("routing", "0,1 1,1 2,1 2,1"),
     ("routing", "0,1 1,1 2,1 3,2.5"), ("sparse-averaging", "1 2 3 4"), ("equality", "")],
)  # fmt: skip
def test_an_illegal_input_is_refused_in_one_line(task: str, text: str) -> None:
    with pytest.raises(InputError, match="is no legal input; give 4") as caught:
        read_input(make_task(task, {"q": "2"} if task == "sparse-averaging" else {}), 4, text, 0)
    assert "\n" not in str(caught.value)


def test_given_inputs_are_read() -> None:
    tokens, _ = read_input(make_task("sparse-averaging", {"q": "2"}), 3, "0,1 1,2 0,2", 0)
    assert tokens.tolist() == [[0, 1], [1, 2], [0, 2]]
    _, reals = read_input(make_task("sorting", {}), 3, "1 -1,0.5", 0)
    assert reals is not None and reals[:, 0].tolist() == [1.0, -1.0, 0.5]
    _, reals = read_input(make_task("routing", {}), 3, "2,0.5 0,1 1,-1", 0)
    assert reals is not None and reals.tolist() == [[2.0, 0.5], [0.0, 1.0], [1.0, -1.0]]
    with pytest.raises(InputError, match="take a smaller n"):
        read_input(make_task("equality", {}), 128, None, 0)


def test_names_of_tokens_are_those_of_the_task() -> None:
    dyck = make_task("dyck", {})
    assert token_names(dyck, np.array([0, 1, 3, 2, 4]), None) == ["(", "[", "]", ")", "end"]
    lookup = make_task("index-lookup", {})
    assert token_names(lookup, np.array([5, 7, 64]), None) == ["5", "7", "0"]
    assert short(0.12345) == "0.123" and short(float(2**40)) == "1.1e12"


def test_parts_cover_the_stream_whatever_the_names_are() -> None:
    assert whole((("b", 3, 5), ("a", 1, 2)), 6, "rest") == (
        ("rest", 0, 1), ("a", 1, 2), ("rest", 2, 3), ("b", 3, 5), ("rest", 5, 6),
    )  # fmt: skip
    assert whole((("a", 0, 4), ("b", 2, 99)), 5, "rest") == (("a", 0, 4), ("b", 4, 5))


def test_hostile_text_stays_text() -> None:
    evil = "<script>alert('x')</script>\"'&\x00</title>"
    grid = Grid(evil, evil, (evil,), (evil, evil), ((0.0, 1.0),), ((evil, evil),), (0,), (0,), frozenset({(0, 1)}))
    ET.fromstring(grid_svg(grid))
    text = walk_html(Walk(evil, evil, ((evil, evil),), (evil,), (Stage(evil, evil, (evil,), (grid,)),), evil))
    assert "<script" not in text and re.search(r"<title>[^<]*</title>", text)
