"""The prover `circuit`: a quantised model of any number of layers against its task, by whatever decides first.

Random inputs to refute, all inputs where they are few (the kernel enumerates them), then the compiled circuit put to a
pseudo-Boolean solver cell by cell. What the solver finds is evaluated by the kernel; what it excludes is `checked`, on
its word and the compiler's.

The time limit holds for all of it: samples and enumerations stop between batches, and the compiler and the solver work
in a process of their own, which is stopped. The solver leaves the time that an enumeration after it would take.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
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
from separatrix.depth.solve import Solver, ask, available, within
from separatrix.kernel import bits, judge
from separatrix.kernel.case import Progress, silent
from separatrix.kernel.judge import KINDS
from separatrix.models.model import Model
from separatrix.models.quantised import Quantised, run
from separatrix.numbers.integers import integer_net
from separatrix.verify.provers.limits import time_left
from separatrix.verify.provers.outcome import Outcome, registry

SECONDS = 300.0
SAMPLES = 2**13
SOON = 60.0  # seconds: a proof by enumeration is preferred to a solver's word while it takes no longer
MARGIN = 1.25  # how much longer than foreseen what follows the solver may take
BATCH_NUMBERS = 2**23  # numbers of the emulator's greatest array


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds in all, the solver, how many inputs may be enumerated, a folder for the solver's proofs (None: none)."""

    seconds: float = SECONDS
    solver: Solver = "exact"
    enumerate_up_to: int = bits.MOST_INPUTS
    proofs: Path | None = None


class Clock:
    """Seconds left of a budget, by a clock that tests replace."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.perf_counter) -> None:
        self.now, self.start, self.seconds = now, now(), seconds

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return self.now() - self.start

    @property
    def left(self) -> float:
        """Seconds to the end, 0 after it."""
        return max(0.0, self.seconds - self.spent)

    def demand(self) -> None:
        """UnknownError once the time is spent."""
        if not self.left:
            raise UnknownError(f"not decided within {self.seconds:.3g} s")

    def stopping(self, progress: Progress) -> Progress:
        """Progress that ends whoever tells it something too late: a verdict of the kernel is then unknown."""

        def told(message: str) -> None:
            progress(message)
            self.demand()

        return told


@registry.register("circuit")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Decides quantised models (bits: semantics): enumeration, else a threshold circuit and a pseudo-Boolean solver."""
    if semantics.bits is None:
        return Outcome("unknown", None, "circuits decide quantised models; say which, as in --semantics bits:8.4")
    return decide(model, task, n, semantics, Budget(time_left(SECONDS)), progress)


def decide(
    model: Model, task: Task, n: int, semantics: Semantics, budget: Budget, progress: Progress = silent,
    now: Callable[[], float] = time.perf_counter,
) -> Outcome:  # fmt: skip
    """The same with a budget."""
    clock = Clock(budget.seconds, now)
    try:
        outcome = _decide(model, task, n, semantics, budget, clock, clock.stopping(progress))
    except UnknownError as error:
        outcome = Outcome("unknown", None, str(error))
    return replace(outcome, seconds=clock.spent)


def _decide(
    model: Model, task: Task, n: int, semantics: Semantics, budget: Budget, clock: Clock, progress: Progress
) -> Outcome:
    if semantics.bits is None or not isinstance(task.outputs(), Labels):
        raise UnknownError("circuits decide quantised models, on class labels")
    domain = task.domain(n)
    inputs = bits.size_of(domain)
    if domain.vocabulary > getattr(model.arch.first, "vocabulary", 0):
        raise UnknownError("the model does not know every token of the task")
    if (model.arch.readout.decision, model.arch.readout.outputs) != ("argmax", task.outputs().k):  # pyright: ignore
        raise UnknownError("the model's read-out does not fit the task")
    network = quantised(model.transformer, model.tensors, domain.positions, task.queries(n), semantics.bits)
    found = sampled(network, task, n, progress)
    if found is not None:
        return _refute(model, task, n, semantics, *found)
    each = input_seconds(model, task, n, semantics, clock.now)
    long = each * inputs if inputs <= budget.enumerate_up_to else math.inf
    if long <= min(SOON, clock.left):
        return enumerate_all(model, task, n, semantics, progress)
    last = MARGIN * long if MARGIN * long < clock.left else MARGIN * each * bits.SAMPLES  # what comes after the solver
    outcome = solve(model, network, task, n, semantics, budget, clock.left - last, progress)
    if outcome.verdict == "unknown" and long < clock.left:
        progress(f"{inputs:,} inputs")
        return enumerate_all(model, task, n, semantics, progress)
    return outcome


def input_seconds(model: Model, task: Task, n: int, semantics: Semantics, now: Callable[[], float]) -> float:
    """About how long the kernel takes for an input, from one batch of them."""
    domain, spec = task.domain(n), semantics.bits
    assert spec is not None
    net, queries = integer_net(model.transformer, model.tensors, domain.positions, spec), np.array(task.queries(n))
    tokens = next((some for some in bits.words(domain, bits.batch_size(net)) if len(some)), None)
    if tokens is None:
        return 0.0
    bits.evaluate(net, tokens[:1], queries)
    start = now()
    bits.evaluate(net, tokens, queries)
    return (now() - start) / len(tokens)


def sampled(network: Quantised, task: Task, n: int, progress: Progress = silent) -> tuple[np.ndarray, int] | None:
    """An input and a query on which the emulator is wrong, of SAMPLES that the task draws; None if all are right."""
    progress("random inputs")
    tokens, _ = task.sample(n, SAMPLES, child(0, "circuit", task.name))
    step = max(1, BATCH_NUMBERS // (network.n**2 * network.d))
    for start in range(0, len(tokens), step):
        found = _failing(network, task, n, tokens[start : start + step])
        if found is not None:
            return found
        progress(f"{min(start + step, SAMPLES):,} of {SAMPLES:,} random inputs")
    return None


def _failing(network: Quantised, task: Task, n: int, tokens: np.ndarray) -> tuple[np.ndarray, int] | None:
    """One of these inputs, and a query, on which the emulator is wrong."""
    logits, labels = run(network, tokens_of(network, tokens)), task.answer(tokens)
    right = np.take_along_axis(logits, labels[:, :, None], axis=2)
    rivals = np.arange(logits.shape[2]) != labels[:, :, None]
    wrong = np.argwhere(((logits >= right) & rivals).any(axis=2))
    return (tokens[wrong[0, 0]], int(task.queries(n)[wrong[0, 1]])) if len(wrong) else None


def enumerate_all(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """The kernel evaluates every input; where it rejects, a failing one is in the batch that it did not get past."""
    batches = 0

    def count(message: str) -> None:
        nonlocal batches
        batches += 1
        progress(message)

    certificate, verdict = _submit("bits-exhaustive", model, task, n, semantics, "correct", {}, count)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    if verdict.exit_code == 3:
        return Outcome("unknown", None, verdict.sentence)
    domain, spec = task.domain(n), semantics.bits
    assert spec is not None
    network = quantised(model.transformer, model.tensors, domain.positions, task.queries(n), spec)
    size = bits.batch_size(integer_net(model.transformer, model.tensors, domain.positions, spec))
    for tokens in islice(bits.words(domain, size), batches, None):
        found = _failing(network, task, n, tokens)
        if found is not None:
            return _refute(model, task, n, semantics, *found)
        progress("the input that the kernel rejected")
    return Outcome("unknown", None, f"kernel and emulator disagree ({verdict.sentence})")


def solve(
    model: Model, network: Quantised, task: Task, n: int, semantics: Semantics, budget: Budget, seconds: float,
    progress: Progress = silent,
) -> Outcome:  # fmt: skip
    """The compiled circuit and a solver, one question a group of cells, in a process that ends after `seconds`."""
    if not available(budget.solver):
        return Outcome("unknown", None, f"the solver {budget.solver} is not installed (separatrix[solvers])")
    try:
        said = within(seconds, search, network, task, n, budget.solver, budget.proofs, progress=progress)
    except (UnknownError, InputError) as error:
        return Outcome("unknown", None, str(error))
    if said is None:
        return Outcome("unknown", None, f"{budget.solver} did not finish within {seconds:.3g} s")
    asked, found = said
    if found is not None:
        return _refute(model, task, n, semantics, *found)
    evidence = {"solver": budget.solver, "questions": asked, "seed": 0}
    certificate, verdict = _submit("bits-solver", model, task, n, semantics, "correct", evidence, progress)
    if not verdict.accepted:
        return Outcome("unknown", None, verdict.sentence)
    return Outcome("checked", certificate, verdict.sentence)


def search(
    network: Quantised, task: Task, n: int, solver: Solver, proofs: Path | None, progress: Progress
) -> tuple[int, tuple[np.ndarray, int] | None]:
    """How many questions were asked, and the input and query of the first that is satisfiable; None if none is."""
    circuit: Circuit = compile_network(network, progress=progress)
    asked = 0
    for question, query in questions(task, n, circuit, network.symbol_bits):
        progress(f"question {asked + 1}: {circuit.gates:,} gates")
        proof = None if proofs is None else proofs / f"question-{asked}"
        reply = ask(question, math.inf, solver, proof, apart=False)
        asked += 1
        if reply.verdict == "unknown":
            raise UnknownError(f"{solver} gave up on question {asked}")
        if reply.verdict == "sat":
            values = network.numbers_of(np.array([reply.assignment[: circuit.inputs]]))[0]
            return asked, (values[: task.domain(n).positions], query)
    return asked, None


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
