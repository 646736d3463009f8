"""Cells and charts say what was certified, of the family it was certified for, and nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from separatrix import can, cannot
from separatrix.atlas.run import SIZES, Job, Result, plan
from separatrix.atlas.table import page
from separatrix.atlas.words import COLUMNS, TASKS, task_of
from separatrix.draw import Page, Verdict
from separatrix.tasks import make_task

HEADS = [column.short for _, _, column in COLUMNS]


def made(*names: str) -> Page:
    """The page where these witnesses and bounds were accepted at N = 16."""
    results = []
    for name in names:
        kind, registry = (
            ("bound", cannot.registry) if name in dict(cannot.registry.items()) else ("witness", can.registry)
        )
        job = Job(kind, name, registry.get(name).task, 16, "", "")
        results.append(Result(job, "proved", "a claim", f"{name}.cert.json", 1.0, 0.0, 0.0))
    return page(results, Path())


def cell(whole: Page, title: str, head: str) -> Verdict:
    row = next(row for row in whole.rows if row.name == title)
    return row.verdicts[HEADS.index(head)]


def test_bounds_on_one_layer_say_nothing_of_deeper_models() -> None:
    whole = made("inner-product-one-layer", "match3-one-layer", "equality-one-layer")
    for title in ("Inner product", "Match3", "Equality"):
        assert cell(whole, title, "1 layer").word == "needs"
        assert cell(whole, title, "2+ layers").word == "unknown"
        assert cell(whole, title, "Third-order").word == "unknown"


def test_a_witness_of_two_layers_is_no_witness_of_one() -> None:
    whole = made("equality-two-layer", "equality-one-layer", "equality-recurrent", "equality-store")
    assert cell(whole, "Equality", "1 layer").word == "needs"
    assert cell(whole, "Equality", "2+ layers").word == "can"
    chart = next(chart for chart in whole.charts if chart.slug == "equality")
    assert "2 attention layers can" in chart.title and "one layer needs" in chart.title
    assert {curve.family for curve in chart.curves if curve.role == "can"} == {"recurrent"}
    assert any("equality-two-layer" in text for text in chart.footnote)


def test_third_order_attention_contains_one_layer_but_is_not_ticked() -> None:
    found = cell(made("index-lookup-quadratic"), "Index lookup", "Third-order")
    assert found.word == "can" and not found.ticked and not found.links and found.lower == 0


def test_depths_that_grow_are_named_in_layers() -> None:
    whole = made("prefix-sums-program", "sorting-program", "total-program", "routing-sortnet")
    assert cell(whole, "Prefix sums", "Positional").expression == "log *N* layers"
    assert cell(whole, "Total", "Positional").expression == "log *N* layers"
    assert cell(whole, "Sorting", "Positional").expression == "log^{2} *N* layers"
    assert cell(whole, "Routing", "Positional").expression == "log^{2} *N* layers"


def test_classes_rule_out_transformers_only_under_their_assumption() -> None:
    whole = made()
    for head in HEADS:
        found = cell(whole, "Boolean formula", head)
        assert found.conditional == (head in ("1 layer", "2+ layers")) and found.word in ("cannot", "unknown")
    assert all(v.word in ("cannot", "unknown") for row in whole.rows for v in row.verdicts)


def test_every_construction_and_bound_has_a_row_and_a_size() -> None:
    full = SIZES["full"]
    assert {w.task for _, w in can.registry.items()} <= {about.task or row for row, about in TASKS.items()} and set(
        SIZES["quick"]
    ) <= set(full)
    assert {name for name, _ in can.registry.items()} <= set(full)
    assert {row for row in TASKS if any(b.task == task_of(row).name for _, b in cannot.registry.items())} <= set(full)


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_every_size_of_a_preset_is_a_job_and_every_construction_is_certified_in_the_full_one(preset: str) -> None:
    planned = plan(preset, Path("out"))
    witnesses = {(job.name, job.n) for job in planned if job.kind == "witness"}
    for name, sizes in SIZES[preset].items():
        if name in can.registry:
            assert {n for made, n in witnesses if made == name} == set(sizes), name
    if preset == "full":
        assert {name for name, _ in witnesses} == set(can.registry)


def test_positional_constructions_reach_the_lengths_at_which_their_depth_is_read_off() -> None:
    names = [name for name, witness in can.registry.items() if witness.arch == "positional"]
    assert len(names) > 10
    for name in names:
        witness = can.registry.get(name)
        near, far = (witness.size(make_task(witness.task), n).layers for n in (4, 64))
        assert near and far and near < far, name


@pytest.mark.slow
def test_the_page_of_every_accepted_job_of_the_full_preset_is_drawn() -> None:
    planned = plan("full", Path("out"))
    whole = page([Result(job, "proved", "a claim", "one.cert.json", 1.0, 0.0, 0.0) for job in planned], Path())
    assert [row.name for row in whole.rows] == [about.title for about in TASKS.values()]
    words = [verdict.word for row in whole.rows for verdict in row.verdicts]
    assert words.count("can") > 50
