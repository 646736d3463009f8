"""The prover `circuit`: a quantised model of any number of layers against its task, by whatever decides first.

Random inputs to refute, all inputs where they are few (the kernel enumerates them), then the compiled circuit put to a
pseudo-Boolean solver cell by cell. What the solver finds is evaluated by the kernel; what it excludes is `checked`, on
its word and the compiler's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import Labels
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.seeds import child
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.depth.circuit import Circuit
from separatrix.depth.compiler.network import compile_network
from separatrix.depth.model import quantised, tokens_of
from separatrix.depth.questions import questions
from separatrix.depth.solve import Solver, ask, available
from separatrix.kernel import bits, judge
from separatrix.kernel.case import Progress, silent
from separatrix.kernel.judge import KINDS
from separatrix.models.model import Model
from separatrix.models.quantised import Quantised, run
from separatrix.numbers.integers import integer_net
from separatrix.verify.provers.outcome import Outcome, registry

SECONDS = 300.0
SAMPLES = 2**13
SOON = 60.0  # seconds: a proof by enumeration is preferred to a solver's word while it takes no longer
BATCH_NUMBERS = 2**23  # numbers of the emulator's greatest array


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds in all, the solver, how many inputs may be enumerated, a folder for the solver's proofs (None: none)."""

    seconds: float = SECONDS
    solver: Solver = "exact"
    enumerate_up_to: int = bits.MOST_INPUTS
    proofs: Path | None = None


_LIMIT: ContextVar[float] = ContextVar("seconds", default=SECONDS)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Within it, the prover `circuit` has so many seconds a model."""
    token = _LIMIT.set(seconds)
    try:
        yield
    finally:
        _LIMIT.reset(token)


@registry.register("circuit")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Decides quantised models (bits: semantics): enumeration, else a threshold circuit and a pseudo-Boolean solver."""
    if semantics.bits is None:
        return Outcome("unknown", None, "circuits decide quantised models; say which, as in --semantics bits:8.4")
    return decide(model, task, n, semantics, Budget(_LIMIT.get()), progress)


def decide(
    model: Model, task: Task, n: int, semantics: Semantics, budget: Budget, progress: Progress = silent
) -> Outcome:
    """The same with a budget."""
    start = time.perf_counter()
    return replace(_decide(model, task, n, semantics, budget, start, progress), seconds=time.perf_counter() - start)


def _decide(
    model: Model, task: Task, n: int, semantics: Semantics, budget: Budget, start: float, progress: Progress
) -> Outcome:
    try:
        if semantics.bits is None or not isinstance(task.outputs(), Labels):
            raise UnknownError("circuits decide quantised models, on class labels")
        domain = task.domain(n)
        inputs = bits.size_of(domain)
        if domain.vocabulary > getattr(model.arch.first, "vocabulary", 0):
            raise UnknownError("the model does not know every token of the task")
        if (model.arch.readout.decision, model.arch.readout.outputs) != ("argmax", task.outputs().k):  # pyright: ignore
            raise UnknownError("the model's read-out does not fit the task")
        network = quantised(model.transformer, model.tensors, domain.positions, task.queries(n), semantics.bits)
    except UnknownError as error:
        return Outcome("unknown", None, str(error))
    progress("random inputs")
    found = sampled(network, task, n)
    if found is not None:
        return _refute(model, task, n, semantics, *found)
    few = inputs <= budget.enumerate_up_to
    long = enumeration_seconds(model, task, n, semantics) if few else math.inf
    if long <= min(SOON, budget.seconds):
        return enumerate_all(model, task, n, semantics, progress)
    outcome = solve(model, network, task, n, semantics, budget, start, progress)
    if outcome.verdict == "unknown" and long <= budget.seconds:
        progress(f"{inputs:,} inputs")
        return enumerate_all(model, task, n, semantics, progress)
    return outcome


def enumeration_seconds(model: Model, task: Task, n: int, semantics: Semantics) -> float:
    """About how long the kernel takes for all inputs, from one batch of them."""
    domain, spec = task.domain(n), semantics.bits
    assert spec is not None
    net, queries = integer_net(model.transformer, model.tensors, domain.positions, spec), np.array(task.queries(n))
    tokens = next((some for some in bits.words(domain, bits.batch_size(net)) if len(some)), None)
    if tokens is None:
        return 0.0
    bits.evaluate(net, tokens[:1], queries)
    start = time.perf_counter()
    bits.evaluate(net, tokens, queries)
    return (time.perf_counter() - start) / len(tokens) * bits.size_of(domain)


def sampled(network: Quantised, task: Task, n: int) -> tuple[np.ndarray, int] | None:
    """An input and a query on which the emulator is wrong, of SAMPLES that the task draws; None if all are right."""
    tokens, _ = task.sample(n, SAMPLES, child(0, "circuit", task.name))
    step = _batch(network)
    for start in range(0, len(tokens), step):
        some = tokens[start : start + step]
        logits, labels = run(network, tokens_of(network, some)), task.answer(some)
        right = np.take_along_axis(logits, labels[:, :, None], axis=2)
        classes = np.arange(logits.shape[2])
        wrong = np.argwhere(((logits >= right) & (classes != labels[:, :, None])).any(axis=2))
        if len(wrong):
            return some[wrong[0, 0]], int(task.queries(n)[wrong[0, 1]])
    return None


def _batch(network: Quantised) -> int:
    return max(1, BATCH_NUMBERS // (network.n**2 * network.d))


def enumerate_all(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """The kernel evaluates every input; a failing one is looked for where it rejects."""
    certificate, verdict = _submit("bits-exhaustive", model, task, n, semantics, "correct", {}, progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    if verdict.exit_code == 3:
        return Outcome("unknown", None, verdict.sentence)
    domain, spec = task.domain(n), semantics.bits
    assert spec is not None
    network = quantised(model.transformer, model.tensors, domain.positions, task.queries(n), spec)
    for tokens in bits.words(domain, _batch(network)):
        logits, labels = run(network, tokens_of(network, tokens)), task.answer(tokens)
        right = np.take_along_axis(logits, labels[:, :, None], axis=2)
        others = np.arange(logits.shape[2]) != labels[:, :, None]
        wrong = np.argwhere(((logits >= right) & others).any(axis=2))
        if len(wrong):
            return _refute(model, task, n, semantics, tokens[wrong[0, 0]], int(task.queries(n)[wrong[0, 1]]))
    return Outcome("unknown", None, f"kernel and emulator disagree ({verdict.sentence})")


def solve(
    model: Model, network: Quantised, task: Task, n: int, semantics: Semantics, budget: Budget, start: float,
    progress: Callable[[str], None] = silent,
) -> Outcome:  # fmt: skip
    """The compiled circuit and a solver, one question a group of cells."""
    if not available(budget.solver):
        return Outcome("unknown", None, f"the solver {budget.solver} is not installed (separatrix[solvers])")
    asked = 0
    try:
        circuit: Circuit = compile_network(network, progress=progress)
        for question, query in questions(task, n, circuit, network.symbol_bits):
            left = budget.seconds - (time.perf_counter() - start)
            progress(f"question {asked + 1}: {circuit.gates:,} gates, {left:.0f} s left")
            if left <= 0:
                raise UnknownError("")
            reply = ask(question, left, budget.solver, budget.proofs and budget.proofs / f"question-{asked}")
            asked += 1
            if reply.verdict == "unknown":
                raise UnknownError("")
            if reply.verdict == "sat":
                values = network.numbers_of(np.array([reply.assignment[: circuit.inputs]]))[0]
                tokens = values[: task.domain(n).positions]
                return _refute(model, task, n, semantics, tokens, query)
    except UnknownError as error:
        return Outcome("unknown", None, str(error) or f"{budget.solver} did not finish within {budget.seconds:.0f} s")
    except InputError as error:
        return Outcome("unknown", None, str(error))
    evidence = {"solver": budget.solver, "questions": asked, "seed": 0}
    certificate, verdict = _submit("bits-solver", model, task, n, semantics, "correct", evidence, progress)
    if not verdict.accepted:
        return Outcome("unknown", None, verdict.sentence)
    return Outcome("checked", certificate, verdict.sentence)


def _refute(model: Model, task: Task, n: int, semantics: Semantics, tokens: np.ndarray, query: int) -> Outcome:
    evidence = {"tokens": [int(t) for t in tokens], "query": int(query)}
    certificate, verdict = _submit("bits-counterexample", model, task, n, semantics, "incorrect", evidence, silent)
    if not verdict.accepted:
        return Outcome(
            "unknown", None, f"the kernel does not see the failing input that was found ({verdict.sentence})"
        )
    return Outcome("refuted", certificate, verdict.sentence, (np.asarray(tokens), int(query)))


def _submit(
    kind: str, model: Model, task: Task, n: int, semantics: Semantics, statement: Literal["correct", "incorrect"],
    evidence: dict[str, Any], progress: Progress,
) -> tuple[Certificate, Any]:  # fmt: skip
    claim = Claim(task.name, task.parameters(), n, statement, semantics.text)
    rules = KINDS[kind]
    certificate = Certificate(
        kind, claim, rules.worth, task.source_sha256(), evidence, {}, model.reference(), rules.trusted
    )
    return certificate, judge(certificate, model.arch, model.tensors, progress)
