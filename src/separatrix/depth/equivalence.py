"""Are two circuits equal on every input? Random inputs to refute, all of them where they are few, then solvers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.circuit import Circuit
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.export.linear import gates, outputs, positive, rows
from separatrix.depth.export.opb import reified
from separatrix.depth.reference import evaluate_plain
from separatrix.depth.solve import Question, Solver, ask, available

LANES = 2**12
BLOCK = 2**16
MOST_EXHAUSTIVE = 20  # inputs


@dataclass(frozen=True, slots=True)
class Comparison:
    """`equal` on every input, `different` with one where they differ (checked by evaluation), or `unknown`.

    Attributes:
        method: random, exhaustive, exact, cadical; what decided.
        input: (inputs,) bits where the circuits differ.
        proved_outputs: outputs shown equal before the time was up.
    """

    verdict: Literal["equal", "different", "unknown"]
    method: str
    seconds: float
    input: tuple[int, ...] = ()
    proved_outputs: int = 0


def compare(
    a: Circuit, b: Circuit, seconds: float = 60.0, rng: np.random.Generator | None = None,
    solver: Solver = "exact", exhaust: bool = True, proofs: Path | None = None,
) -> Comparison:  # fmt: skip
    """Compares two circuits with the same inputs and outputs within `seconds`.

    Output by output, in order: what was proved equal is given to the solver as a lemma for the next. The solver's
    proofs go to the folder `proofs`, one an output.
    """
    if a.inputs != b.inputs or len(a.output_form) != len(b.output_form):
        raise InputError(
            f"circuits of {a.inputs} and {b.inputs} inputs, {len(a.output_form)} and {len(b.output_form)} outputs"
        )
    start = time.perf_counter()

    def done(verdict: Any, method: str, found: np.ndarray | None = None, proved: int = 0) -> Comparison:
        bits = () if found is None else tuple(int(v) for v in found)
        return Comparison(verdict, method, time.perf_counter() - start, bits, proved)

    rng = rng or np.random.default_rng(0)
    first, second = Evaluator(a), Evaluator(b)
    lanes = corners(a.inputs, rng)
    wrong = np.flatnonzero((first(lanes) != second(lanes)).reshape(len(lanes), -1).any(axis=1))
    if len(wrong):
        return done("different", "random", lanes[wrong[0]])
    if exhaust and a.inputs <= MOST_EXHAUSTIVE:
        for (at, left), (_, right) in zip(first.exhaustive(BLOCK), second.exhaustive(BLOCK), strict=True):
            wrong = np.flatnonzero((left != right).reshape(len(left), -1).any(axis=1))
            if len(wrong):
                return done("different", "exhaustive", (at + wrong[0]) >> np.arange(a.inputs) & 1)
        return done("equal", "exhaustive")
    if not available(solver):
        return done("unknown", f"{solver} is not installed")
    question, left, right = together(a, b)
    proved = 0
    for p, q in zip(left, right, strict=True):
        difference = difference_terms(p, q)
        more, less = question.fresh(), question.fresh()
        for flag, sign in ((more, 1), (less, -1)):
            question.implies(flag, [(sign * w, v) for w, v in difference[0]], 1 - sign * difference[1])
        query = Question(question.variables, [*question.constraints, ([(1, more), (1, less)], 1)])
        name = None if proofs is None else proofs / f"output-{proved}"
        reply = ask(query, seconds - (time.perf_counter() - start), solver, name)
        if reply.verdict == "unknown":
            return done("unknown", f"{solver}: the time was up", None, proved)
        if reply.verdict == "sat":
            found = np.array(reply.assignment[: a.inputs])
            values = [evaluate_plain(c, found[None]).reshape(-1) for c in (a, b)]
            if np.array_equal(values[0], values[1]):
                raise AssertionError(f"{solver} found a difference that evaluation does not show")
            return done("different", solver, found)
        proved += 1
        for sign in (1, -1):  # the lemma
            question.require([(sign * w, v) for w, v in difference[0]], -sign * difference[1])
    return done("equal", solver, None, proved)


def corners(inputs: int, rng: np.random.Generator) -> np.ndarray:
    """(LANES, inputs) all zeros, all ones, unit words and their complements, then random words of every density."""
    unit = np.eye(inputs, dtype=np.int64)
    some = np.concatenate([np.zeros((1, inputs), dtype=np.int64), np.ones((1, inputs), dtype=np.int64), unit, 1 - unit])
    density = rng.random((max(0, LANES - len(some)), 1))
    return np.concatenate([some, (rng.random((len(density), inputs)) < density).astype(np.int64)])[:LANES]


Linear = tuple[list[tuple[int, int]], int]  # terms on variables, and a constant


def together(a: Circuit, b: Circuit) -> tuple[Question, list[Linear], list[Linear]]:
    """Both circuits' gates on the same input variables 1 .. inputs, equal ones once; each circuit's outputs."""
    question, known = Question(a.inputs), {}
    results = [place(question, circuit, list(range(1, a.inputs + 1)), known) for circuit in (a, b)]
    return question, results[0], results[1]


Known = dict[tuple[frozenset[tuple[int, int]], int], int]  # (literal, weight) pairs and threshold -> variable


def place(
    question: Question, circuit: Circuit, inputs: list[int], known: Known | None = None,
    fixed: dict[int, int] | None = None,
) -> list[Linear]:  # fmt: skip
    """Adds a circuit's gates to a question, with these variables as its inputs; returns its outputs as linear terms.

    known: gates that are there already; a gate on the same variables with the same weights and threshold is not added.
    fixed: values of variables (which the caller requires elsewhere); gates that follow from them are not added either.
    """
    variable: list[int | bool] = [bool(fixed[v]) if fixed and v in fixed else v for v in inputs]
    known, table = {} if known is None else known, rows(circuit)

    def reduced(form: int, offset: int = 0) -> tuple[dict[int, int], int]:
        """Weights by variable, and the constant."""
        weights: dict[int, int] = {}
        for wire, w in zip(*table[form], strict=True):
            at = variable[wire]
            if at is True:
                offset += w
            elif at is not False:
                weights[at] = weights.get(at, 0) + w
        return {v: w for v, w in weights.items() if w}, offset

    for _, form, threshold in gates(circuit):
        weights, constant = reduced(form)
        need = threshold - constant
        if need <= sum(min(w, 0) for w in weights.values()) or need > sum(max(w, 0) for w in weights.values()):
            variable.append(need <= sum(min(w, 0) for w in weights.values()))
            continue
        key = frozenset(weights.items()), need
        if key not in known:
            known[key] = question.fresh()
            row = positive((tuple(v - 1 for v in weights), tuple(weights.values())))
            for terms, bound in reified(known[key], row, need):
                question.require(terms, bound)
        variable.append(known[key])
    results = [reduced(form, offset) for form, offset in outputs(circuit)]
    return [([(w, v) for v, w in weights.items()], constant) for weights, constant in results]


def difference_terms(p: Linear, q: Linear) -> Linear:
    """p - q."""
    return [*p[0], *((-w, v) for w, v in q[0])], p[1] - q[1]
