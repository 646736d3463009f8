"""Threshold search: against a grid on curves that are known, on curves that are not in its family, and for real."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from separatrix.core.arch import Readout, Table
from separatrix.core.errors import InputError
from separatrix.core.recurrent import Lstm, Recurrent
from separatrix.learn.cohort import Cohort, Member
from separatrix.learn.recipe import Recipe
from separatrix.learn.standard import one_layer
from separatrix.learn.threshold import Posterior, search, smallest_width
from separatrix.tasks.index_lookup import IndexLookup

WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
Attempt = Callable[[int, int], tuple[bool, float]]


def curve(threshold: float, slope: float, rng: np.random.Generator) -> Attempt:
    """Succeeds by a logistic curve in log2 width; successes take 30 to 60 % of the budget."""

    def attempt(width: int, seed: int) -> tuple[bool, float]:
        solved = rng.random() < 1 / (1 + math.exp(-slope * (math.log2(width) - threshold)))
        return bool(solved), float(rng.uniform(0.3, 0.6)) if solved else 1.0

    return attempt


def grid(attempt: Attempt, seeds: int) -> tuple[float, float, float]:
    """Cost of all widths with so many seeds; the first width that half of them solve; the middle of a Bayesian fit."""
    posterior, cost, first = Posterior(WIDTHS), 0.0, math.log2(WIDTHS[-1]) + 0.5
    for k, width in reversed(list(enumerate(WIDTHS))):
        tried = [attempt(width, seed) for seed in range(seeds)]
        cost += sum(share * width / WIDTHS[-1] for _, share in tried)
        if 2 * sum(solved for solved, _ in tried) >= seeds:
            first = math.log2(width)
        for solved, _ in tried:
            posterior.add(k, solved)
    return cost, first, math.log2(posterior.quantiles(0.5)[0])


@pytest.mark.parametrize("slope", [2.0, 4.0, 8.0])
def test_half_the_cost_of_a_grid_that_stops_early(slope: float) -> None:
    """Less error than five seeds a width at half the cost; three seeds with our own fit are no better, and dearer."""
    rng = np.random.default_rng(1)
    ours, three, five, covered = [], [], [], 0
    for _ in range(150):
        true = rng.uniform(1.5, 6.0)
        found = search(WIDTHS, curve(true, slope, rng))
        ours.append((found.cost, abs(math.log2(found.width) - true)))
        cost, _, fit = grid(curve(true, slope, rng), 3)
        three.append((cost, abs(fit - true)))
        cost, first, _ = grid(curve(true, slope, rng), 5)
        five.append((cost, abs(first - true)))
        covered += found.low <= 2**true <= found.high
        assert found.state != "found" or found.spread <= 0.3
    mine, small, large = (np.mean(each, axis=0) for each in (ours, three, five))
    assert 2 * mine[0] <= large[0] and 1.7 * mine[0] <= small[0]
    assert mine[1] <= 1.1 * small[1] and mine[1] < large[1]
    assert covered >= 0.75 * 150  # a 90 % interval; the curve has neither floor nor ceiling


def test_both_sides_are_tried() -> None:
    found = search(WIDTHS, lambda width, seed: (width >= 16, 0.5 if width >= 16 else 1.0))
    assert found.state == "found" and 12 <= found.width <= 16 and found.low < 16 and found.high > 12
    tried = {trial.width: trial.solved for trial in found.trials}
    assert tried[16] and not tried[12] and len(found.trials) <= 25


def test_one_odd_trial_does_not_decide() -> None:
    """A failure far above the threshold, as of a run that diverged."""
    failed: list[int] = []

    def attempt(width: int, seed: int) -> tuple[bool, float]:
        if width >= 8 and not failed:
            failed.append(width)
            return False, 1.0
        return width >= 6, 1.0

    found = search(WIDTHS, attempt, most=100)
    assert failed and found.state == "found" and 4 <= found.width <= 8


def test_thresholds_outside_the_widths_are_said_to_be() -> None:
    assert search(WIDTHS, lambda width, seed: (True, 0.5)).state == "below"
    assert search(WIDTHS, lambda width, seed: (False, 1.0)).state == "above"
    few = search(WIDTHS, lambda width, seed: (width >= 8, 1.0), most=3)
    assert few.state == "trials" and len(few.trials) == 3 and few.spread > 0.3 and "not settled" in str(few)


def test_seeds_are_counted_a_width() -> None:
    seen: list[tuple[int, int]] = []
    search(WIDTHS, lambda width, seed: (bool(seen.append((width, seed))) or width > 9, 1.0))
    assert len(set(seen)) == len(seen)
    assert all(sorted(s for w, s in seen if w == width) == list(range(sum(w == width for w, _ in seen)))
               for width in WIDTHS)  # fmt: skip


def test_plain_errors() -> None:
    for widths in ((8,), (8, 4), (0, 4)):
        with pytest.raises(InputError, match="increasing"):
            search(widths, lambda width, seed: (True, 1.0))
    with pytest.raises(InputError, match="spread = 0"):
        search(WIDTHS, lambda width, seed: (True, 1.0), spread=0.0)
    with pytest.raises(InputError, match="hold >= 1"):
        smallest_width(IndexLookup(2), 2, lstm, (1, 2), Recipe(10), (1e-2,))


def test_a_trial_ends_with_the_first_member_that_solves() -> None:
    task, recipe = IndexLookup(4), Recipe(600, batch=64, check_every=50, hold=1, validation=256)
    cohort = Cohort(task, 4, one_layer(task, 4, 16), [Member(0, 1e-9), Member(0, 1e-2)], recipe)
    assert cohort.first_solved() and cohort.step < 600 and cohort.active == [0]
    hopeless = Cohort(task, 4, one_layer(task, 4, 16), [Member(0, 1e-9)], Recipe(60, batch=8, hold=1, validation=64))
    assert not hopeless.first_solved() and hopeless.step == 60


def lstm(units: int) -> Recurrent:
    return Recurrent(8, Table(2 + 4), (Lstm(units),), Readout(2))


@pytest.mark.slow
def test_an_lstm_that_looks_up() -> None:
    """4 bits and an index: one unit is too little within the budget, 32 are enough."""
    recipe = Recipe(600, batch=32, check_every=50, hold=1, target=0.99, validation=256)
    found = smallest_width(IndexLookup(2), 4, lstm, (1, 2, 4, 8, 16, 32), recipe, (1e-2, 3e-2), spread=0.5, most=20)
    assert found.state in ("found", "trials") and 1 <= found.width <= 32 and found.low < found.high
    solved = {trial.width: trial.solved for trial in found.trials}
    assert any(solved.values()) and not all(solved.values())
