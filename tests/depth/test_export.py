"""Exports: each read back by an outside tool (where it is installed) and compared with the circuit on every input."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from depth.circuits import all_bits, random_circuit
from separatrix.core.errors import InputError
from separatrix.depth import Builder, Circuit, Forms
from separatrix.depth.export import FORMATS, read_npz, write
from separatrix.depth.export.boolean import lower
from separatrix.depth.export.linear import outputs, positive, rows, width
from separatrix.depth.reference import evaluate_plain

ABC = shutil.which("berkeley-abc") or shutil.which("abc")
YOSYS, CLASP = shutil.which("yosys"), shutil.which("clasp")
CIRCUITS = [random_circuit(np.random.default_rng(seed)) for seed in range(12)]


def output_bits(circuit: Circuit, inputs: np.ndarray) -> np.ndarray:
    """(lanes, bits) what the exported outputs must be, from the reference evaluation."""
    values, table = evaluate_plain(circuit, inputs).reshape(len(inputs), -1), [positive(row) for row in rows(circuit)]
    columns = []
    for o, (form, offset) in enumerate(outputs(circuit)):
        size = width(table[form].low + offset, table[form].high + offset)
        columns += [(values[:, o] >> k) & 1 for k in range(size)]
    return np.stack(columns, axis=1)


def tool(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("style", ["adders", "diagrams"])
def test_lowering_is_right_on_every_input(seed: int, style: str) -> None:
    circuit = CIRCUITS[seed]
    inputs = all_bits(circuit.inputs)
    assert np.array_equal(lower(circuit, style).simulate(inputs), output_bits(circuit, inputs))  # pyright: ignore


def test_lowering_of_weights_beyond_int64() -> None:
    b = Builder(5)
    wide = b.forms(np.arange(5), np.array([2**70, -(2**69), 3, 2**80, 1], dtype=object))
    circuit = b.circuit(Forms.concatenate([b.forms(b.gate(wide, 2**70)[None]).reshape(1), wide.reshape(1)]))
    inputs = all_bits(5)
    for style in ("adders", "diagrams"):
        assert np.array_equal(lower(circuit, style).simulate(inputs), output_bits(circuit, inputs))  # pyright: ignore


def test_npz_is_canonical_and_comes_back(tmp_path: Path) -> None:
    for k, circuit in enumerate(CIRCUITS):
        write(circuit, tmp_path / f"{k}.npz")
        back = read_npz(tmp_path / f"{k}.npz")
        inputs = all_bits(circuit.inputs)
        assert np.array_equal(evaluate_plain(back, inputs), evaluate_plain(circuit, inputs))
        assert FORMATS[".npz"](back) == (tmp_path / f"{k}.npz").read_bytes()
        with np.load(tmp_path / f"{k}.npz") as archive:  # NumPy itself is the outside reader
            assert np.array_equal(archive["gate_threshold"], circuit.gate_threshold)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match="not a circuit file"):
        read_npz(tmp_path / "bad.npz")
    with np.load(tmp_path / "0.npz") as archive:
        arrays = dict(archive)
    spoilt = {"gate_form": arrays["gate_form"] + 99, "format": np.array(2), "term_wire": arrays["term_wire"] - 50}
    for name, value in (spoilt | {"gate_level": arrays["gate_level"] + 1.5}).items():
        np.savez(tmp_path / "bad.npz", **(arrays | {name: value}))
        with pytest.raises(InputError):
            read_npz(tmp_path / "bad.npz")
    with pytest.raises(InputError, match="written as"):
        write(CIRCUITS[0], tmp_path / "circuit.txt")


@pytest.mark.skipif(ABC is None, reason="needs ABC (berkeley-abc)")
def test_abc_proves_the_formats_equal_and_finds_a_flipped_gate(tmp_path: Path) -> None:
    import dataclasses

    for k, circuit in enumerate(CIRCUITS[:6]):
        for ending in (".aig", ".blif"):
            write(circuit, tmp_path / f"{k}{ending}")
        said = tool(ABC, "-c", f"cec {tmp_path}/{k}.aig {tmp_path}/{k}.blif")
        assert "Networks are equivalent" in said
        for gate in range(circuit.gates):
            threshold = circuit.gate_threshold.copy()
            threshold[gate] += 1
            other = dataclasses.replace(circuit, gate_threshold=threshold)
            inputs = all_bits(circuit.inputs)
            if not np.array_equal(evaluate_plain(other, inputs), evaluate_plain(circuit, inputs)):
                write(other, tmp_path / "other.blif")
                said = tool(ABC, "-c", f"cec {tmp_path}/{k}.aig {tmp_path}/other.blif")
                assert "NOT EQUIVALENT" in said
                break


@pytest.mark.skipif(YOSYS is None, reason="needs Yosys")
def test_yosys_reads_verilog_and_both_aiger_forms(tmp_path: Path) -> None:
    """Yosys turns each into AIGER text, which is simulated on every input by the few lines below."""
    for k, circuit in enumerate(CIRCUITS[:4]):
        inputs, expected = all_bits(circuit.inputs), None
        expected = output_bits(circuit, inputs)
        for ending, read in ((".v", "read_verilog"), (".aag", "read_aiger"), (".aig", "read_aiger"),
                             (".blif", "read_blif")):  # fmt: skip
            write(circuit, tmp_path / f"{k}{ending}")
            script = f"{read} {tmp_path}/{k}{ending}; hierarchy -auto-top; proc; flatten; opt_clean; techmap; aigmap; "
            tool(YOSYS, "-q", "-p", script + f"write_aiger -ascii -symbols {tmp_path}/{k}.back")
            assert np.array_equal(simulate_aag((tmp_path / f"{k}.back").read_text(), inputs), expected), ending


def simulate_aag(text: str, inputs: np.ndarray) -> np.ndarray:
    """(lanes, outputs) by name order o0[0], o0[1], ..; an AIGER text read by the standard's definition."""
    lines = text.splitlines()
    most, number, latches, results, ands = map(int, lines[0].split()[1:6])
    assert latches == 0
    values = np.zeros((most + 1, len(inputs)), dtype=bool)
    symbols = dict(line.split(" ", 1) for line in lines[1 + number + results + ands :] if re.match(r"[io]\d+ ", line))
    for i in range(number):
        column = int(re.sub(r"\D", "", symbols[f"i{i}"]))
        values[int(lines[1 + i]) >> 1] = inputs[:, column]
    for line in lines[1 + number + results : 1 + number + results + ands]:
        out, a, b = map(int, line.split())
        values[out >> 1] = (values[a >> 1] ^ (a & 1)) & (values[b >> 1] ^ (b & 1))
    named = {}
    for k in range(results):
        output, bit = [*re.findall(r"\d+", symbols[f"o{k}"]), "0"][:2]
        literal = int(lines[1 + number + k])
        named[int(output), int(bit)] = values[literal >> 1] ^ bool(literal & 1)
    return np.stack([named[key] for key in sorted(named)], axis=1).astype(np.int64)


def test_a_sat_solver_finds_exactly_the_circuits_values(tmp_path: Path) -> None:
    pysat = pytest.importorskip("pysat.solvers")
    formula = pytest.importorskip("pysat.formula")
    for circuit in CIRCUITS[:6]:
        write(circuit, tmp_path / "circuit.cnf")
        cnf = formula.CNF(from_file=str(tmp_path / "circuit.cnf"))
        names = re.findall(r"^c (o\d+\[\d+\]) = (-?\d+)$", (tmp_path / "circuit.cnf").read_text(), re.MULTILINE)
        inputs = all_bits(circuit.inputs)
        expected = output_bits(circuit, inputs)
        with pysat.Solver(name="cadical195", bootstrap_with=cnf.clauses) as solver:
            for row, bits in zip(inputs.tolist(), expected.tolist(), strict=True):
                given = [i + 1 if bit else -i - 1 for i, bit in enumerate(row)]
                assert solver.solve(assumptions=given)
                model = set(solver.get_model())
                assert [int(int(literal) in model) for _, literal in names] == bits
                wrong = [-int(lit) if bit else int(lit) for (_, lit), bit in zip(names, bits, strict=True)]
                assert not solver.solve(assumptions=[*given, wrong[0]])


@pytest.mark.skipif(CLASP is None, reason="needs clasp")
def test_clasp_counts_one_model_an_input(tmp_path: Path) -> None:
    for circuit in CIRCUITS[:6]:
        write(circuit, tmp_path / "circuit.opb")
        command = [CLASP, "0", "-q0", "--outf=0", str(tmp_path / "circuit.opb")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        models = [set(block.split()) for block in re.findall(r"^c Answer: \d+\nv (.*)$", done.stdout, re.MULTILINE)]
        assert len(models) == 2**circuit.inputs
        row = np.array([[f"x{i + 1}" in model for i in range(circuit.inputs)] for model in models]).astype(np.int64)
        wires = np.array([[f"x{i + 1}" in model for i in range(circuit.wires)] for model in models]).astype(np.int64)
        assert np.array_equal(evaluate_plain(circuit, row), _from_wires(circuit, wires))


def _from_wires(circuit: Circuit, wires: np.ndarray) -> np.ndarray:
    table = rows(circuit)
    columns = [
        offset + sum((w * wires[:, at] for at, w in zip(*table[form], strict=True)), np.zeros(len(wires), dtype=int))
        for form, offset in outputs(circuit)
    ]
    return np.stack(columns, axis=1)


def test_a_drawing_names_every_gate_and_large_ones_are_refused(tmp_path: Path) -> None:
    circuit = CIRCUITS[0]
    text = FORMATS[".dot"](circuit).decode()
    assert all(f"w{circuit.inputs + g} [shape=box" in text for g in range(circuit.gates))
    assert text.count("->") == sum(len(rows(circuit)[f][0]) for f in [*circuit.gate_form, *circuit.output_form])
    if shutil.which("dot"):
        (tmp_path / "c.dot").write_text(text)
        assert "<svg" in tool("dot", "-Tsvg", str(tmp_path / "c.dot"))
    b = Builder(10)
    pairs = np.array([(i, j) for i in range(10) for j in range(i)])
    wires = np.concatenate([b.gate(b.forms(pairs, w), t) for w in (1, [1, 2], [2, 1], [3, 1], [1, 3], [2, 3])
                            for t in (1, 2, 3, 4)])  # fmt: skip
    large = b.circuit(b.forms(wires[:, None], np.arange(1, len(wires) + 1)[:, None]))
    assert large.gates > 500
    with pytest.raises(InputError, match="gates is not readable"):
        FORMATS[".dot"](large)
