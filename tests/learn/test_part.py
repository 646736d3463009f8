"""Parts of an experiment: the same runs, fewer of them, and a clear word where nothing is left."""

from __future__ import annotations

import pytest

from separatrix.core.errors import InputError
from separatrix.learn.experiments import registry
from separatrix.learn.part import Part


def test_parts_make_up_the_whole() -> None:
    experiment = registry.get("index-lookup")
    runs = experiment.runs("paper")
    assert Part().of(experiment, runs) == runs
    parts = [Part(across=(n,)).of(experiment, runs) for n in (20, 50, 100, 200)]
    assert {run.key for part in parts for run in part} == {run.key for run in runs}
    assert sum(map(len, parts)) == len(runs)


def test_every_wish_counts() -> None:
    experiment = registry.get("index-lookup")
    found = Part(("LSTM*",), (50.0, 100.0), (3e-3,), 2).of(experiment, experiment.runs("paper"))
    assert {run.label for run in found} == {"LSTM, 64 units", "LSTM, 256 units"} and len(found) == 8
    assert {(run.n, run.member.seed) for run in found} == {(n, seed) for n in (50, 100) for seed in (0, 1)}
    assert {run.member.learning_rate for run in found} == {3e-3}


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (Part(("RNN",)), "no model 'RNN'; there are 'transformer"),
        (Part(across=(21.0,)), r"no run at 21 \(N\); there are 20, 50, 100, 200"),
        (Part(rates=(1.0,)), "learning rate 1; there are 0.01, 0.003, 0.001"),
        (Part(seeds=-1), "seeds = -1"),
    ],
)
def test_wishes_that_no_run_meets(part: Part, told: str) -> None:
    experiment = registry.get("index-lookup")
    with pytest.raises(InputError, match=told):
        part.of(experiment, experiment.runs("paper"))


def test_a_curve_is_not_cut() -> None:
    experiment = registry.get("positional-sum")
    with pytest.raises(InputError, match="in every run"):
        Part(across=(8.0,)).of(experiment, experiment.runs("quick"))
