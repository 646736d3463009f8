"""Equivalence by solvers against enumeration; the two adders; faults; proofs on paper; time limits."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from depth.circuits import all_bits, random_circuit
from separatrix.core.errors import InputError, UnknownError
from separatrix.depth import Builder, Circuit
from separatrix.depth import solve as solving
from separatrix.depth.compiler.network import compile_network
from separatrix.depth.equivalence import compare, corners, place, together
from separatrix.depth.faults import faults, survey
from separatrix.depth.primitives.addition import add_large_weights, add_small_weights
from separatrix.depth.reference import evaluate_plain
from separatrix.depth.solve import Question, Solver, ask, available, within
from separatrix.models.quantise import reference_head

SOLVERS: list[Solver] = [s for s in ("exact", "cadical") if available(s)]  # pyright: ignore
needs_pysat = pytest.mark.skipif(not available("cadical"), reason="needs PySAT's CaDiCaL")
needs_exact = pytest.mark.skipif(not available("exact"), reason="needs the solver Exact")


def adder(n: int, p: int, small: bool) -> Circuit:
    b = Builder(n * p)
    wires = np.arange(n * p).reshape(n, p)
    return b.circuit((add_small_weights if small else add_large_weights)(b, wires))


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_agree_with_enumeration_on_faulty_circuits(solver: Solver) -> None:
    seen: Counter[str] = Counter()
    for seed in range(10 if solver == "exact" else 5):
        rng = np.random.default_rng(seed)
        circuit = random_circuit(rng)
        inputs = all_bits(circuit.inputs)
        for fault in faults(circuit, rng, 8):
            other = fault.apply(circuit)
            same = np.array_equal(evaluate_plain(circuit, inputs), evaluate_plain(other, inputs))
            found = compare(circuit, other, 20, solver=solver, exhaust=False)
            assert found.verdict == ("equal" if same else "different")
            seen[found.verdict + "/" + found.method] += 1
    assert seen[f"equal/{solver}"] >= 5 and seen["different/random"] >= 10


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_find_the_one_input_that_random_lanes_miss(solver: Solver) -> None:
    """x = secret, a single gate, against the constant 0: on 40 bits by the solver, on 18 by enumeration."""
    for bits in (40, 18):
        secret = np.random.default_rng(0).integers(0, 2, bits)
        b, zero = Builder(bits), Builder(bits)
        match = b.gate(b.forms(np.arange(bits), np.where(secret, 1, -1)), int(secret.sum()))
        circuit = b.circuit(b.forms(match[None])[None])
        nothing = zero.circuit(zero.forms(np.arange(1), np.array([0]))[None])
        found = compare(circuit, nothing, 20, solver=solver)
        assert found.verdict == "different" and found.input == tuple(secret.tolist())
        assert found.method == (solver if bits == 40 else "exhaustive")


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_adders_of_large_and_small_weights_are_equal(solver: Solver, tmp_path: Path) -> None:
    for n, p in ((2, 3), (4, 4), (16, 4)) if solver == "exact" else ((2, 3), (4, 4)):
        found = compare(adder(n, p, False), adder(n, p, True), 60, solver=solver, exhaust=False)
        assert (found.verdict, found.method) == ("equal", solver), (n, p, found)
    compare(adder(2, 3, False), adder(2, 3, True), 60, solver=solver, exhaust=False, proofs=tmp_path / "proofs")
    endings = (".formula", ".proof") if solver == "exact" else (".cnf", ".drat")
    assert all((tmp_path / "proofs" / f"output-{k}{ending}").exists() for k in range(4) for ending in endings)
    wrong = dataclasses.replace(adder(4, 4, True), gate_threshold=adder(4, 4, True).gate_threshold + 1)
    assert compare(adder(4, 4, False), wrong, 20, solver=solver).verdict == "different"


@needs_exact
@pytest.mark.slow
def test_the_adders_of_eight_numbers_of_six_bits_are_equal_within_a_minute() -> None:
    found = compare(adder(8, 6, False), adder(8, 6, True), 60, exhaust=False)
    assert found.verdict == "equal" and found.proved_outputs == 9


def test_enumeration_alone_decides_small_circuits() -> None:
    assert compare(adder(3, 4, False), adder(3, 4, True)).method == "exhaustive"
    flipped = faults(adder(3, 4, False), np.random.default_rng(0), 1)[0].apply(adder(3, 4, False))
    found = compare(adder(3, 4, False), flipped)
    assert found.verdict == "different"
    left, right = (evaluate_plain(c, np.array([found.input])) for c in (adder(3, 4, False), flipped))
    assert not np.array_equal(left, right)
    with pytest.raises(InputError, match="outputs"):
        compare(adder(3, 4, False), adder(4, 3, False))


def parity(bits: int, chain: bool) -> Circuit:
    b = Builder(bits)
    if not chain:
        wires = b.gate(b.forms(np.arange(bits)).broadcast((bits,)), np.arange(1, bits + 1))
        return b.circuit(b.forms(wires, np.where(np.arange(bits) % 2 == 0, 1, -1))[None])
    total = b.forms(np.array([0]))
    for k in range(1, bits):
        both = b.add([(1, total[None]), (1, b.forms(np.array([[k]])))])
        two, one = b.gate(both, 2), b.gate(both, 1)
        total = b.forms(np.stack([one, two], axis=-1), np.array([1, -1]), 0, 0, 1)[0]
    return b.circuit(total[None])


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_hard_question_is_unknown_when_the_time_is_up(solver: Solver) -> None:
    assert compare(parity(7, False), parity(7, True), 30, solver=solver, exhaust=False).verdict == "equal"
    found = compare(parity(40, False), parity(40, True), 1.0, solver=solver)
    assert found.verdict == "unknown" and found.seconds < 20


@needs_exact
def test_faults_in_an_adder_are_caught_or_proved_harmless() -> None:
    rng = np.random.default_rng(0)
    circuit = adder(4, 4, True)
    some = faults(circuit, rng, 150)
    assert len({(f.kind, f.index, f.change) for f in some}) == 150
    result = survey(circuit, some, rng.integers(0, 2, (24, 16)))  # few tests, so that the solver has work
    assert result.settled + result.missed / 150 == 1 and result.harmless > 0
    full = survey(circuit, some, all_bits(16)[rng.permutation(2**16)[:4096]])
    assert full.settled >= 0.99 and full.caught >= result.caught and full.missed <= result.missed


@pytest.mark.parametrize("solver", SOLVERS)
def test_proofs_are_written_and_are_about_the_question(solver: Solver, tmp_path: Path) -> None:
    question = Question(4)
    question.require([(2, 1), (3, -2), (1, 3)], 4)
    question.require([(1, 2), (1, -3), (1, -1)], 2)
    reply = ask(question, 10, solver, tmp_path / "proof")
    assert reply.verdict == "unsat" or question.holds(reply.assignment)
    question.require([(1, 2)], 1)
    question.require([(1, 4), (1, 1)], 2)
    reply = ask(question, 10, solver, tmp_path / "proof")
    assert reply.verdict == "unsat" and reply.proof == tmp_path / "proof"
    endings = (".formula", ".proof") if solver == "exact" else (".cnf", ".drat")
    assert all((tmp_path / f"proof{ending}").stat().st_size > 0 for ending in endings)
    if solver == "cadical":
        from pysat.formula import CNF
        from pysat.solvers import Solver as Sat

        with Sat("minisat22", bootstrap_with=CNF(from_file=str(tmp_path / "proof.cnf")).clauses) as other:
            assert not other.solve()


@needs_pysat
@pytest.mark.skipif(shutil.which("drat-trim") is None, reason="needs the proof checker drat-trim")
def test_an_outside_checker_accepts_the_proof_and_rejects_it_for_another_formula(tmp_path: Path) -> None:
    found = compare(adder(2, 3, False), adder(2, 3, True), 60, solver="cadical", exhaust=False, proofs=tmp_path)
    assert found.verdict == "equal"
    for k in range(found.proved_outputs):
        stem = tmp_path / f"output-{k}"
        verdict = checked(stem.with_suffix(".cnf"), stem.with_suffix(".drat"))
        assert "s VERIFIED" in verdict, verdict
    last = tmp_path / f"output-{found.proved_outputs - 1}"
    lines = last.with_suffix(".cnf").read_text().splitlines()
    weaker = [lines[0].replace(lines[0].split()[3], str(len(lines) - 2)), *lines[1:-1]]  # without the last clause
    (tmp_path / "weaker.cnf").write_text("\n".join(weaker) + "\n")
    assert "s VERIFIED" not in checked(tmp_path / "weaker.cnf", last.with_suffix(".drat"))


@needs_exact
@pytest.mark.skipif(shutil.which("veripb") is None, reason="needs the proof checker VeriPB")
def test_veripb_accepts_the_logs_of_exact_and_rejects_them_for_another_formula(tmp_path: Path) -> None:
    found = compare(adder(2, 3, False), adder(2, 3, True), 60, exhaust=False, proofs=tmp_path)
    assert found.verdict == "equal"
    for k in range(found.proved_outputs):
        command = ["veripb", str(tmp_path / f"output-{k}.formula"), str(tmp_path / f"output-{k}.proof")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert "Verification succeeded" in done.stdout, done.stdout
    lines = (tmp_path / "output-3.formula").read_text().splitlines()
    (tmp_path / "other.formula").write_text("\n".join([*lines[:3], *lines[4:]]) + "\n")  # without a gate's half
    command = ["veripb", str(tmp_path / "other.formula"), str(tmp_path / "output-3.proof")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "succeeded" not in done.stdout


def checked(formula: Path, proof: Path) -> str:
    return subprocess.run(["drat-trim", str(formula), str(proof)], capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("solver", SOLVERS)
def test_random_questions_against_enumeration(solver: Solver) -> None:
    seen: Counter[str] = Counter()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        question = Question(7)
        for _ in range(6):
            literals = rng.integers(1, 8, 5) * rng.choice([-1, 1], 5)
            question.require(list(zip(rng.integers(-6, 7, 5).tolist(), literals.tolist(), strict=True)),
                             int(rng.integers(-4, 5)))  # fmt: skip
        possible = any(question.holds(row) for row in all_bits(7).tolist())
        reply = ask(question, 10, solver)
        assert reply.verdict == ("sat" if possible else "unsat")
        seen[reply.verdict] += 1
    assert min(seen["sat"], seen["unsat"]) >= 5


def test_without_a_solver_the_answer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solving, "find_spec", lambda name: None)
    with pytest.raises(UnknownError, match=r"separatrix\[solvers\]"):
        ask(Question(1), 1)
    assert compare(parity(30, False), parity(30, True), 1).verdict == "unknown"


def test_processes_are_stopped_in_time() -> None:
    import time

    assert within(5, int, "7") == 7 and within(0.2, time.sleep, 30) is None
    question, left, right = together(parity(4, False), parity(4, True))
    assert question.variables == 4 + 4 + 6 and len(left) == len(right) == 1


@needs_exact
@pytest.mark.slow
def test_a_thousand_faults_in_a_compiled_head_are_caught_or_proved_harmless() -> None:
    """The reference RoPE head, n = 3, d = 2, p = 3, 18 input bits: one-bit faults of thresholds and weights.

    The test set is 2^16 random inputs and the corners; what it does not notice is enumerated, or the solver's.
    """
    rng = np.random.default_rng(0)
    circuit = compile_network(reference_head(3, 2, 3))
    tests = np.concatenate([corners(18, rng), rng.integers(0, 2, (2**16, 18))])
    result = survey(circuit, faults(circuit, rng, 1000), tests, exhaust=True)
    assert result.caught + result.harmless + result.missed + result.open == 1000
    assert result.settled >= 0.99 and result.caught >= 700 and result.harmless >= 10, result


@needs_exact
def test_harmless_faults_of_a_head_by_enumeration_and_by_the_solver_agree() -> None:
    rng = np.random.default_rng(1)
    circuit = compile_network(reference_head(2, 2, 2))
    some = faults(circuit, rng, 60)
    tests = rng.integers(0, 2, (40, circuit.inputs))
    by_solver, by_all = survey(circuit, some, tests, 20.0), survey(circuit, some, tests, exhaust=True)
    assert by_solver == by_all and by_all.open == 0 and by_all.harmless > 0


def test_gates_that_become_equal_are_not_mistaken_for_each_other() -> None:
    """x + x >= 2 on one variable is x, and not [x >= 2]: equal gates are shared, their weights must add up."""
    b = Builder(2)
    both, either = b.gate(b.forms(np.array([0, 1])), 2), b.gate(b.forms(np.array([0, 1])), 1)
    circuit = b.circuit(b.forms(b.gate(b.forms(np.stack([both, either])), 2)[None])[None])
    same = circuit.gate_threshold.copy()
    same[0] = same[1] = 1  # now both gates are the OR, and the third is the OR as well
    changed = dataclasses.replace(circuit, gate_threshold=same)
    question, left, right = together(changed, changed)
    for x in all_bits(2).tolist():
        for value in (0, 1):
            fixed = Question(question.variables, [*question.constraints])
            fixed.require([(1, v + 1 if bit else -v - 1) for v, bit in enumerate(x)], 2)
            sign = 1 if value else -1
            fixed.require([(sign * w, v) for w, v in left[0][0]], sign * (value - left[0][1]))
            if available("exact"):
                assert (ask(fixed, 5).verdict == "sat") == (value == int(any(x)))
    assert right == left


@needs_exact
def test_fixed_inputs_are_put_into_the_gates() -> None:
    for seed in range(8):
        circuit = random_circuit(np.random.default_rng(seed))
        inputs = all_bits(6)
        for bits in ((0, 1), (1, 0), (1, 1)):
            question = Question(6)
            outputs = place(question, circuit, list(range(1, 7)), fixed={2: bits[0], 5: bits[1]})
            full = Question(6)
            assert question.variables <= (place(full, circuit, list(range(1, 7))), full.variables)[1]
            rows = inputs[(inputs[:, 1] == bits[0]) & (inputs[:, 4] == bits[1])]
            values = evaluate_plain(circuit, rows)
            for row, value in list(zip(rows.tolist(), values.tolist(), strict=True))[::5]:
                asked = Question(question.variables, [*question.constraints])
                asked.require([(1, v + 1 if bit else -v - 1) for v, bit in enumerate(row)], 6)
                found = np.array(ask(asked, 5).assignment)
                assert [sum(w * found[v - 1] for w, v in terms) + c for terms, c in outputs] == value
