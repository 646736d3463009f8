"""The smallest width at which training succeeds: Bayesian bisection over widths, with an interval.

A trial of a width succeeds with probability floor + (ceiling - floor) sigmoid(slope (log2 width - threshold)); the
posterior over (threshold, slope) is kept on a grid. The next width is the one with the most expected information on
both for the square root of its expected cost. Floor and ceiling keep one odd trial from deciding, and allow for widths
that fail now and then though they are large enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from separatrix.core.config import AnyArch
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.learn.cohort import Cohort, Member
from separatrix.learn.recipe import Recipe
from separatrix.learn.scoring import cpu_threads

FLOOR, CEILING = 0.02, 0.98
SLOPES = 2.0 ** np.linspace(0.0, 4.0, 9)  # a octave
ENOUGH = 0.95  # posterior probability at which the threshold counts as outside the widths
BEYOND = 1.5  # octaves that the prior reaches beyond them


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: `share` is the part of the budget that it took."""

    width: int
    seed: int
    solved: bool
    share: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """What the search found.

    Attributes:
        state: `found`; `below` or `above` all widths; `trials`: the limit of trials came first.
        low, width, high: 5 %, 50 % and 95 % of the posterior of the width at which half of the trials succeed.
        spread: standard deviation of its log2, in octaves.
        trials: in order. cost: theirs, a full-length trial of the largest width being 1.
    """

    state: Literal["found", "below", "above", "trials"]
    low: float
    width: float
    high: float
    spread: float
    trials: tuple[Trial, ...]
    cost: float

    def __str__(self) -> str:
        told = {"found": "", "below": ", below all widths", "above": ", above all widths", "trials": ", not settled"}
        ends = f"{self.width:.3g} (90 % interval {self.low:.3g} to {self.high:.3g}{told[self.state]})"
        return f"width {ends}, {len(self.trials)} trials"


class Posterior:
    """Over (threshold in log2 width, slope): uniform between the widths and somewhat beyond, then what trials told."""

    def __init__(self, widths: Sequence[int]) -> None:
        """Raises InputError unless the widths increase."""
        if len(widths) < 2 or widths[0] < 1 or any(a >= b for a, b in pairwise(widths)):
            raise InputError(f"widths {list(widths)}: take two positive numbers at least, increasing")
        self.at = np.log2(np.array(widths, dtype=np.float64))
        self.thresholds = np.arange(self.at[0] - BEYOND, self.at[-1] + BEYOND, 0.05)
        rise = SLOPES[:, None, None] * (self.at[:, None] - self.thresholds)
        self.solves = FLOOR + (CEILING - FLOOR) / (1.0 + np.exp(-rise))  # slope width threshold
        self.weights = np.full((len(SLOPES), len(self.thresholds)), 1.0 / (len(SLOPES) * len(self.thresholds)))

    def add(self, index: int, solved: bool) -> None:
        """A trial of the width at `index`."""
        self.weights *= self.solves[:, index] if solved else 1.0 - self.solves[:, index]
        self.weights /= self.weights.sum()

    def chances(self) -> np.ndarray:
        """(widths,) probability that the next trial succeeds."""
        return np.einsum("st,swt->w", self.weights, self.solves)

    def information(self) -> np.ndarray:
        """(widths,) nats that a trial is expected to tell about threshold and slope."""
        return _entropy(self.chances()) - np.einsum("st,swt->w", self.weights, _entropy(self.solves))

    def quantiles(self, *shares: float) -> list[float]:
        """Of the threshold, as widths."""
        below = np.cumsum(self.weights.sum(axis=0))
        return [float(2.0 ** self.thresholds[np.searchsorted(below, share)]) for share in shares]

    def spread(self) -> float:
        """Standard deviation of the threshold, octaves."""
        weights = self.weights.sum(axis=0)
        mean = float(weights @ self.thresholds)
        return math.sqrt(max(0.0, float(weights @ (self.thresholds - mean) ** 2)))

    def outside(self) -> Literal["below", "above"] | None:
        """Whether the threshold is almost surely none of the widths."""
        weights = self.weights.sum(axis=0)
        if weights[self.thresholds < self.at[0]].sum() > ENOUGH:
            return "below"
        return "above" if weights[self.thresholds > self.at[-1]].sum() > ENOUGH else None


def search(
    widths: Sequence[int],
    attempt: Callable[[int, int], tuple[bool, float]],
    *,
    cost: Callable[[int], float] = float,
    spread: float = 0.3,
    most: int = 60,
    progress: Callable[[Trial], None] = lambda _: None,
) -> Threshold:
    """Tries widths until the threshold is known to `spread` octaves, and one width on each side of it has been tried.

    Args:
        attempt: (width, seed) -> (solved, share of the budget that it took).
        cost: of a full-length trial of a width, in any unit.
        most: trials at most.
    """
    if not 0.0 < spread < math.inf or most < 1:
        raise InputError(f"spread = {spread}, most = {most}; take a positive number of octaves, and one trial or more")
    posterior, trials = Posterior(widths), list[Trial]()
    prices = np.array([cost(width) for width in widths])
    state: Literal["found", "below", "above", "trials"] = "trials"
    while len(trials) < most:
        if (outside := posterior.outside()) is not None:
            state = outside
            break
        index = _next(posterior, trials, widths, prices, spread)
        if index is None:
            state = "found"
            break
        width = widths[index]
        seed = sum(trial.width == width for trial in trials)
        solved, share = attempt(width, seed)
        trials.append(Trial(width, seed, solved, share))
        posterior.add(index, solved)
        progress(trials[-1])
    low, middle, high = posterior.quantiles(0.05, 0.5, 0.95)
    spent = sum(trial.share * cost(trial.width) for trial in trials) / cost(widths[-1])
    return Threshold(state, low, middle, high, posterior.spread(), tuple(trials), spent)


def _next(
    posterior: Posterior, trials: Sequence[Trial], widths: Sequence[int], prices: np.ndarray, spread: float
) -> int | None:
    """The width to try; None when the threshold is known and both widths beside it have been tried."""
    if posterior.spread() > spread:
        chances = posterior.chances()
        shares = [trial.share for trial in trials if trial.solved]
        solved = sum(shares) / len(shares) if shares else 0.5
        expected = prices * (chances * solved + 1.0 - chances)
        return int(np.argmax(posterior.information() / np.sqrt(expected)))
    (middle,) = posterior.quantiles(0.5)
    right = next((k for k, width in enumerate(widths) if width >= middle), len(widths) - 1)
    tried = {trial.width for trial in trials}
    return next((k for k in (right, max(0, right - 1)) if widths[k] not in tried), None)


def _entropy(chance: np.ndarray) -> np.ndarray:
    """Of a coin, nats; chances are never 0 or 1."""
    return -(chance * np.log(chance) + (1.0 - chance) * np.log(1.0 - chance))


def smallest_width(
    task: Task,
    n: int,
    arch: Callable[[int], AnyArch],
    widths: Sequence[int],
    recipe: Recipe,
    rates: Sequence[float],
    *,
    spread: float = 0.3,
    most: int = 60,
    device: str = "cpu",
    progress: Callable[[Trial], None] = lambda _: None,
) -> Threshold:
    """The smallest width at which `arch(width)` learns the task within the recipe's budget.

    A trial is one seed at every learning rate, trained together; it succeeds when one of them does, and ends then. So
    a width for which one rate is too large is not taken for one that is too small.
    """
    if not recipe.hold or not rates:
        raise InputError("a threshold needs a learning rate, and a recipe with hold >= 1, which says what success is")

    def attempt(width: int, seed: int) -> tuple[bool, float]:
        with cpu_threads(1):
            members = [Member(seed, rate) for rate in rates]
            cohort = Cohort(task, n, arch(width), members, recipe, device)
            return cohort.first_solved(), cohort.step / recipe.steps

    def cost(width: int) -> float:
        return float(width) ** 1.5  # between overhead and arithmetic, on a CPU

    return search(widths, attempt, cost=cost, spread=spread, most=most, progress=progress)
