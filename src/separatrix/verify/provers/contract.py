"""The contract prover: models of several attention layers, by what each layer must leave for the next.

The kernel decides; the prover chooses the factorisation and how coarsely it is looked at, cheap ways first.
Where the kernel does not accept, random inputs and single changes of them are tried on the model itself.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.core.arch import Table
from separatrix.core.domain import Labels, PointerSets, Sequence
from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import Outcome, refute, registry, submit

CHOICES = (  # what counts as known; terms of a head; merged before feed-forward layers
    (2.0**-20, 2**22, True),
    (2.0**-20, 2**22, False),
    (2.0**-20, 2**25, False),
    (2.0**-20, 2**27, False),
    (2.0**-40, 2**25, False),
)
SAMPLES, ROUNDS = 64, 16
MOST_WORDS = 2**13
DISTRIBUTIONS = ("uniform", "balanced", "one", "near", "permuted")  # of those that the task knows
MOST_SCORES = 2**24  # of one batch: a layer of attention holds a score for every pair of positions


@registry.register("contract")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves a model of a task that factors, one attention layer a step; or finds a failure in exact arithmetic."""
    outcome = propose(model, task, n, semantics, progress)
    if outcome.verdict == "proved" or _not_for_us(model, task, n):
        return outcome
    if n * n > MOST_SCORES:
        return Outcome("unknown", None, f"{outcome.sentence}; N = {n} is too long for a search of failing inputs")
    found = failing_input(model, task, n, task.domain(n))
    if found is not None:
        refuted = refute(model, task, n, *found)
        if refuted.verdict == "refuted":
            return refuted
    return Outcome("unknown", None, f"{outcome.sentence}; and no failing input was found")


def propose(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """What the kernel says of the claim, looked at in one way after the other; no inputs are tried."""
    sentence = _not_for_us(model, task, n)
    if sentence:
        return Outcome("unknown", None, sentence)
    for name, chain in task.factors().items():
        for noise, terms, merge in CHOICES[len(chain) < 3 :]:  # the coarse way saves little on short ones
            evidence = {"factor": name, "noise": noise.hex(), "terms": terms, "merge": merge}
            certificate, verdict = submit("contract", model, task, n, semantics, evidence=evidence, progress=progress)
            if verdict.accepted:
                return Outcome("proved", certificate, verdict.sentence)
            sentence = verdict.sentence
            if verdict.exit_code != 1:  # thresholds change nothing about what the kernel does not handle
                break
    return Outcome("unknown", None, sentence)


def _not_for_us(model: Model, task: Task, n: int) -> str:
    """Why contracts say nothing of this model and task; nothing where they may."""
    if not isinstance(task.outputs(), Labels) or not task.factors():
        return "contracts are for tasks that factor into steps"
    if not isinstance(model.arch.first, Table) or model.arch.first.vocabulary != task.domain(n).vocabulary:
        return "the model reads no table of the task's tokens"
    return ""


def failing_input(model: Model, task: Task, n: int, domain: Sequence) -> tuple[np.ndarray, int] | None:
    """An input that the model gets wrong, and its query.

    Of a small domain every word is tried; else samples of every distribution, then single changes towards smaller
    margins.
    """
    rng, queries = child(0, "contract", task.name, n), list(task.queries(n))
    size = max(1, min(SAMPLES, MOST_SCORES // n**2))
    if len(few := every_word(domain)):
        margin = margins(model, task, few, queries)
        row, at = np.unravel_index(int(margin.argmin()), margin.shape)
        return (few[row], queries[at]) if margin[row, at] <= 0 else None
    drawn = []
    for distribution in DISTRIBUTIONS:
        try:
            drawn.append(task.sample(n, size, rng, distribution)[0])
        except InputError:
            continue
    tokens = np.concatenate(drawn)
    for _ in range(ROUNDS):
        margin = margins(model, task, tokens, queries)
        row, at = np.unravel_index(int(margin.argmin()), margin.shape)
        if margin[row, at] <= 0:
            return tokens[row], queries[at]
        best = tokens[np.argsort(margin.min(axis=1))[: max(1, size // 8)]]
        tokens = np.concatenate([best, np.repeat(best, 7, axis=0)])[:size] if size > 1 else best.copy()
        for change in tokens[len(best) :] if size > 1 else tokens:
            _change(change, domain, rng)
    return None


def margins(model: Model, task: Task, tokens: np.ndarray, queries: list[int]) -> np.ndarray:
    """(words, queries) by how much the right label leads, in floats."""
    logits, labels = evaluate(model, tokens, queries=queries), task.answer(tokens)
    right = np.take_along_axis(logits, labels[:, :, None], axis=2)[:, :, 0]
    np.put_along_axis(logits, labels[:, :, None], -np.inf, axis=2)
    return right - logits.max(axis=2)


def every_word(domain: Sequence) -> np.ndarray:
    """(words, positions) all legal inputs, where there are few; else none."""
    sizes = [len(alphabet) for alphabet in domain.alphabets]
    if math.prod(sizes) > MOST_WORDS or any(isinstance(alphabet, PointerSets) for alphabet in domain.alphabets):
        return np.zeros((0, domain.positions), dtype=np.int64)
    grid = np.indices(sizes).reshape(len(sizes), -1)
    words = np.stack([np.asarray(a)[row] for a, row in zip(domain.alphabets, grid, strict=True)], axis=1)
    return words[domain.constraint.holds(words)]


def _change(word: np.ndarray, domain: Sequence, rng: np.random.Generator) -> None:
    """Another symbol at one position, if the word stays legal."""
    j = int(rng.integers(0, len(word)))
    alphabet = domain.alphabets[j]
    if not isinstance(alphabet, PointerSets):
        before, word[j] = word[j], rng.choice(alphabet)
        if domain.constraint.kind != "product" and not domain.contains(word):
            word[j] = before
