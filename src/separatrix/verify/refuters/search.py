"""What every refuter shares: the count of evaluations, the check of an input, and the certificate of a failing one.

One evaluation is a forward pass of the whole model at length N. Part of a pass counts in proportion to the positions
that are run, a gradient counts three, and the answers of the task count nothing. An input that fails in float64 is a
suspicion; the kernel evaluates it exactly, and only its word is `proved`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from separatrix.core.arch import Table
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels
from separatrix.core.errors import InputError
from separatrix.core.guarantee import CHECKED, PROVED, Guarantee
from separatrix.core.recurrent import Recurrent
from separatrix.core.registry import Registry
from separatrix.core.seeds import child
from separatrix.core.semantics import REAL
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import refute as ask_kernel
from separatrix.verify.provers.outcome import submit

BATCH = 256
MOST_NUMBERS = 2**24  # of one batch: attention holds a score for every pair of positions


@dataclass(frozen=True, slots=True)
class Refutation:
    """What a search found.

    Attributes:
        verdict: `refuted` by an input, or `unknown`.
        method: the refuter that found it, or all that were tried.
        certificate: what the kernel accepted.
        counterexample: (positions,) tokens on which the model errs, with the scored position.
        guarantee: `proved` by the kernel, or `checked` where it cannot evaluate the model.
        evaluations: forward passes spent.
        sentence: what happened, in words.
    """

    verdict: Literal["refuted", "unknown"]
    method: str
    certificate: Certificate | None
    counterexample: tuple[np.ndarray, int] | None
    guarantee: Guarantee | None
    evaluations: float
    sentence: str
    seconds: float = 0.0


class BudgetSpent(Exception):
    """The evaluations are used up."""


class Found(Exception):
    """A failing input, which ends the search that raised it."""

    def __init__(self, tokens: np.ndarray, query: int, signs: np.ndarray | None = None) -> None:
        """signs: (positions,) s with real parts z_j = s_j e_1, where the task has real parts."""
        super().__init__("a failing input")
        self.tokens, self.query, self.signs = tokens, query, signs


class Search:
    """One search on one model: counts evaluations and stops at the first failing input or when they are used up.

    Attributes:
        positions: length of an input. spent: evaluations so far.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        n: int,
        budget: float,
        rng: np.random.Generator,
        distribution: str = "",
        progress: Progress = silent,
    ) -> None:
        self.model, self.task, self.n, self.budget, self.rng, self.progress = model, task, n, budget, rng, progress
        self.distribution = distribution or "uniform"
        self.domain, self.queries = task.domain(n), list(task.queries(n))
        self.positions = self.domain.positions
        self.spent = 0.0
        pairs = self.positions if isinstance(model.arch, Recurrent) else self.positions**2
        self.batch = int(max(1, min(BATCH, MOST_NUMBERS // (pairs * model.arch.width))))

    def spend(self, evaluations: float) -> None:
        """Counts; raises BudgetSpent when nothing is left."""
        self.spent += float(evaluations)
        if self.spent > self.budget:
            raise BudgetSpent

    def sample(self, size: int) -> np.ndarray:
        """(size, positions) inputs of the search's distribution."""
        return self.task.sample(self.n, size, self.rng, self.distribution)[0]

    def margins(self, tokens: np.ndarray) -> np.ndarray:
        """(batch, queries) least lead of the right answer over a rival; raises Found at the first that is not > 0.

        A float64 overflow counts as no failure. Everything up to the failing input is counted, and nothing after it.
        """
        with np.errstate(all="ignore"):
            return self.judge(tokens, evaluate(self.model, tokens, queries=self.queries), 1.0)

    def judge(self, tokens: np.ndarray, logits: np.ndarray, cost: float) -> np.ndarray:
        """The same for logits (batch, queries, outputs) that were already computed, at `cost` an input."""
        margin = lead(logits, self.task.answer(tokens))
        if not len(margin):
            return margin
        worst = np.where(np.isnan(margin), np.inf, margin).min(axis=1)
        failing = np.flatnonzero(worst <= 0)
        self.spend(cost * (failing[0] + 1 if len(failing) else len(tokens)))
        if len(failing):
            raise Found(tokens[failing[0]], self.queries[int(np.nanargmin(margin[failing[0]]))])
        return margin


def lead(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(batch, queries) logit of the label less the greatest other one."""
    right = np.take_along_axis(logits, labels[:, :, None], axis=2)[:, :, 0]
    others = logits.copy()
    np.put_along_axis(others, labels[:, :, None], -np.inf, axis=2)
    return right - others.max(axis=2)


Refuter = Callable[[Search], str | None]  # raises Found; returns why there is nothing (more) to try
registry: Registry[Refuter] = Registry("refuter")
AUTO = ("pointer-codes", "separable", "reachable", "collisions", "descent", "gradient", "coordinate", "random")


def refute(
    model: Model,
    task: Task,
    n: int,
    method: str = "auto",
    budget: float = 20_000,
    seed: int = 0,
    distribution: str = "",
    progress: Progress = silent,
) -> Refutation:
    """Looks for an input of length n on which the model errs.

    Args:
        method: a registered refuter; `auto` tries those that fit, one after the other, with equal shares of the budget.
        budget: forward passes, at most.
        distribution: of the task, for the methods that start from samples; `uniform` by default.
    """
    start = time.perf_counter()
    require_fit(model, task, n)
    if budget <= 0:
        raise InputError(f"a budget of {budget:g} evaluations; take a positive number")
    methods = AUTO if method == "auto" else (method,)
    refuters = [registry.get(name) for name in methods]
    spent, reasons = 0.0, []
    for k, (name, refuter) in enumerate(zip(methods, refuters, strict=True)):
        share = (budget - spent) / (len(methods) - k)
        search = Search(model, task, n, share, child(seed, "refute", name, task.name, n), distribution, progress)
        progress(name)
        try:
            reason = refuter(search) or "nothing found"
        except BudgetSpent:
            reason = f"nothing found in {share:,.0f} evaluations"
        except Found as found:
            refutation = settle(name, search, found, spent)
            if refutation is not None:
                return replace(refutation, seconds=time.perf_counter() - start)
            reason = "its input fails in float64 only by rounding"
        spent += min(search.spent, share)
        reasons.append(f"{name}: {reason}")
    seconds = time.perf_counter() - start
    return Refutation("unknown", method, None, None, None, spent, "; ".join(reasons), seconds)


def settle(method: str, search: Search, found: Found, before: float) -> Refutation | None:
    """The kernel's word on a failing input; where it has none, that of torch in float64; None where neither agrees."""
    spent, input_ = before + search.spent, (found.tokens, found.query)
    if found.signs is not None:
        evidence = {"tokens": found.tokens.tolist(), "signs": found.signs.tolist(), "query": found.query}
        kernel = submit("pointer-counterexample", search.model, search.task, search.n, REAL, "incorrect", evidence)
        certificate, verdict = kernel
        if verdict.accepted:
            return Refutation("refuted", method, certificate, input_, PROVED, spent, verdict.sentence)
        if verdict.exit_code == 1:
            return None
        sentence = f"evaluation in float64 errs on this input; the kernel: {verdict.sentence}"
        return Refutation("refuted", method, None, input_, CHECKED, spent, sentence)
    outcome = ask_kernel(search.model, search.task, search.n, found.tokens, found.query)
    if outcome.verdict == "refuted":
        return Refutation("refuted", method, outcome.certificate, input_, PROVED, spent, outcome.sentence)
    if torch_agrees(search, found):
        sentence = f"evaluation in float64 errs on this input, and so does torch; the kernel: {outcome.sentence}"
        return Refutation("refuted", method, None, input_, CHECKED, spent, sentence)
    return None


def torch_agrees(search: Search, found: Found) -> bool:
    """Whether the model's torch form in float64 errs on the input as well, by more than rounding."""
    try:
        import torch

        from separatrix.models import nets
    except ImportError:
        return False
    net = nets.load(search.model, torch.float64)
    with torch.no_grad():
        logits = net(torch.from_numpy(found.tokens[None]), queries=[found.query]).numpy()
    label = search.task.answer(found.tokens[None])[:, [search.queries.index(found.query)]]
    return bool(lead(logits, label)[0, 0] < -1e-9 * np.abs(logits).max())


def random_testing(
    model: Model, task: Task, n: int, budget: float, seed: int = 0, distribution: str = ""
) -> tuple[float, bool]:
    """(inputs drawn from the distribution up to the first that fails in float64, whether one failed)."""
    search = Search(model, task, n, budget, child(seed, "random-testing", task.name, n), distribution)
    try:
        while True:
            search.margins(search.sample(search.batch))
    except BudgetSpent:
        return budget, False
    except Found:
        return search.spent, True


def require_fit(model: Model, task: Task, n: int) -> None:
    """InputError unless the model reads the task's inputs and answers with its labels."""
    domain, outputs, first = task.domain(n), task.outputs(), model.arch.first
    if first is None:
        raise InputError("refuters search among tokens, and a positional transformer reads none; try certify")
    if isinstance(outputs, Labels):
        if not isinstance(first, Table):
            raise InputError(f"the model reads no table of tokens; {task.name} at n = {n} has {domain.vocabulary}")
        if first.vocabulary < domain.vocabulary:
            raise InputError(
                f"the model knows {first.vocabulary} tokens; {task.name} at n = {n} has {domain.vocabulary}"
            )
        if (model.arch.readout.outputs, model.arch.readout.decision) != (outputs.k, "argmax"):
            raise InputError(f"{task.name} has {outputs.k} labels; the model's read-out is {model.arch.readout}")
    if first.positions and first.positions < domain.positions:
        raise InputError(f"the model has {first.positions} positions; {task.name} at n = {n} has {domain.positions}")
