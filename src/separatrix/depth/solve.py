"""Pseudo-Boolean questions about circuits, put to Exact (native) or to CaDiCaL (in clauses); each with a time limit.

A question is a list of linear constraints on 0/1 variables: sum of weight * literal >= bound, literal v or -v (1 - v).
Answers are `sat` with an assignment that was checked against every constraint, `unsat` on the solver's word, `unknown`.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from separatrix.core.errors import UnknownError
from separatrix.depth.export.boolean import Graph, diagram
from separatrix.depth.export.dimacs import clauses_of
from separatrix.depth.export.linear import Positive

Term = tuple[int, int]
Solver = Literal["exact", "cadical"]
LONGEST = 3600.0  # seconds that a pipe is waited for at a time


@dataclass
class Question:
    """Constraints on variables 1 .. variables."""

    variables: int = 0
    constraints: list[tuple[list[Term], int]] = field(default_factory=list)

    def fresh(self) -> int:
        """A new variable."""
        self.variables += 1
        return self.variables

    def require(self, terms: Sequence[Term], bound: int) -> None:
        """sum of terms >= bound."""
        self.constraints.append((list(terms), bound))

    def implies(self, literal: int, terms: Sequence[Term], bound: int) -> None:
        """literal -> sum of terms >= bound."""
        least = sum(min(w, 0) for w, _ in terms)
        if bound > least:
            self.require([*terms, (bound - least, -literal)], bound)

    def holds(self, assignment: Sequence[int]) -> bool:
        """Whether an assignment (value of variable v at v - 1) obeys every constraint."""
        return all(
            sum(w * (assignment[v - 1] if v > 0 else 1 - assignment[-v - 1]) for w, v in terms) >= bound
            for terms, bound in self.constraints
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a solver said; assignment[v - 1] is the value of variable v."""

    verdict: Literal["sat", "unsat", "unknown"]
    solver: str
    seconds: float
    assignment: tuple[int, ...] = ()
    proof: Path | None = None


def available(solver: Solver) -> bool:
    """Whether the solver's package is installed (the extra `solvers`)."""
    return find_spec("exact" if solver == "exact" else "pysat") is not None


def ask(
    question: Question, seconds: float, solver: Solver = "exact", proof: Path | None = None,
    assume: Sequence[int] = (), apart: bool = True,
) -> Reply:  # fmt: skip
    """Decides a question within `seconds`; UnknownError where the solver is not installed.

    Args:
        proof: file name without ending; Exact writes PROOF.formula and PROOF.proof (VeriPB), CaDiCaL PROOF.cnf and
            PROOF.drat.
        assume: literals that must hold besides.
        apart: whether CaDiCaL works in a process of its own, which is stopped when the time is up (Exact keeps its time
            itself, if not to the second); False where the caller is such a process.
    """
    if not available(solver):
        package = "exact" if solver == "exact" else "python-sat"
        raise UnknownError(f"the solver {package} is not installed; pip install 'separatrix[solvers]'")
    start = time.perf_counter()
    work = _exact if solver == "exact" else _cadical
    whole = Question(question.variables, [*question.constraints, *(([(1, a)], 1) for a in assume)])
    if proof is not None:
        proof.parent.mkdir(parents=True, exist_ok=True)
    if solver == "cadical" and apart:
        verdict, values = within(seconds, work, whole, seconds, proof) or ("unknown", ())
    else:
        verdict, values = work(whole, seconds, proof)
    if verdict == "sat" and not whole.holds(values):
        raise AssertionError(f"{solver} gave an assignment that breaks a constraint")
    wrote = proof if proof is not None and verdict == "unsat" else None
    return Reply(verdict, solver, time.perf_counter() - start, tuple(values), wrote)


def _exact(question: Question, seconds: float, proof: Path | None) -> tuple[Any, tuple[int, ...]]:
    import exact

    solver = exact.Exact([("proof-log", str(proof))] if proof is not None else [])
    names = [f"x{v}" for v in range(1, question.variables + 1)]
    for name in names:
        solver.addVariable(name)
    for terms, bound in question.constraints:
        shift = sum(w for w, v in terms if v < 0)  # w (1 - x) = w - w x
        solver.addConstraint([(w if v > 0 else -w, names[abs(v) - 1]) for w, v in terms], True, bound - shift)
    try:
        said = solver.runFull(False, 0 if seconds == math.inf else max(seconds, 0.01))
    except RuntimeError as error:  # what Exact makes of an interrupt
        raise KeyboardInterrupt from error
    if said == "UNSAT":
        return "unsat", ()
    if solver.hasSolution():
        return "sat", tuple(int(v) for v in solver.getLastSolutionFor(names))
    return "unknown", ()


def _cadical(question: Question, seconds: float, proof: Path | None) -> tuple[Any, tuple[int, ...]]:
    from pysat.solvers import Solver as Sat

    graph = Graph(question.variables)
    literals = [2 * (v + 1) for v in range(question.variables)]
    for k, (terms, bound) in enumerate(question.constraints):
        graph.outputs.append((f"c{k}", diagram(graph, positive_terms(terms), literals, bound - _least(terms))))
    clauses, outputs = clauses_of(graph)
    clauses += [[literal] for literal in outputs]
    with Sat(name="cadical195", bootstrap_with=clauses, with_proof=proof is not None) as sat:
        if not sat.solve():
            if proof is not None:
                text = [" ".join(map(str, clause)) + " 0\n" for clause in clauses]
                header = f"p cnf {graph.variables + 1} {len(clauses)}\n"
                proof.with_suffix(".cnf").write_text(header + "".join(text))
                proof.with_suffix(".drat").write_text("\n".join(sat.get_proof() or []) + "\n")
            return "unsat", ()
        true = set(sat.get_model() or [])
    return "sat", tuple(int(v in true) for v in range(1, question.variables + 1))


def positive_terms(terms: Sequence[Term]) -> Positive:
    """Terms on literals as a form of positive weights on wires v - 1."""
    merged: dict[int, int] = {}  # weight of the variable itself; constants move to the bound
    for w, v in terms:
        merged[abs(v) - 1] = merged.get(abs(v) - 1, 0) + (w if v > 0 else -w)
    kept = sorted((wire, w) for wire, w in merged.items() if w)
    constant = sum(w for w, v in terms if v < 0) + sum(w for _, w in kept if w < 0)
    return Positive(constant, tuple(i for i, _ in kept), tuple(abs(w) for _, w in kept), tuple(w < 0 for _, w in kept))


def _least(terms: Sequence[Term]) -> int:
    return positive_terms(terms).constant


def within(
    seconds: float, function: Callable[..., Any], *arguments: Any, progress: Callable[[str], None] | None = None
) -> Any:
    """function(*arguments) in a process of its own, None when it takes longer than `seconds` or dies.

    What the function raises is raised here. With `progress` it gets a keyword of that name; what it tells comes here.
    """
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def work() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits is interrupted, and stops this
        told = {} if progress is None else {"progress": lambda text: theirs.send(("told", text))}
        try:
            theirs.send(("done", function(*arguments, **told)))
        except Exception as error:
            theirs.send(("failed", error))

    until = time.perf_counter() + seconds
    process = context.Process(target=work, daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            left = until - time.perf_counter()
            if not ours.poll(min(max(0.0, left), LONGEST)):
                if left <= 0:
                    return None
                continue
            kind, what = ours.recv()
            if kind == "done":
                return what
            if kind == "failed":
                raise what
            if progress is not None:
                progress(what)
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()
