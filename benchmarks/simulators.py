"""The same circuit in other tools' hands: our evaluator against Verilator and ABC's `&sim`, core for core.

Usage: python -m benchmarks.simulators [--n 4] [--d 4] [--p 3] [--flat] [--lanes 65536] [--keep DIR]

The others get the circuit with its nested forms, adder by adder as our evaluator adds them up; with --flat they get it
as gates of plain sums of wires, which is how a circuit is exported and more work for them.

Verilator: every wire 64 bits wide, 64 inputs an evaluation, g++ -O2 -march=native, timed inside the program it makes,
whose outputs are compared with ours word by word (a checksum). ABC: an AIG, and `&sim` for its own throughput on random
inputs (it needs a latch, which is added). Times are process times, one core each; runs alternate with ours and the
median ratio is printed. Tools that are not installed are left out with a line that says so: Debian has `verilator`,
`g++` and `berkeley-abc` (or `yosys`, with `yosys-abc`). g++ takes minutes; with --keep a program once built is used
again.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from separatrix.depth.circuit import Circuit
from separatrix.depth.compiler import compile_network
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.export.boolean import Graph
from separatrix.depth.kernels import BOTH, LENGTH
from separatrix.depth.program import Program
from separatrix.models.quantise import reference_head

RUNS = 5
ROTATE = 13  # checksum = rotl(checksum, ROTATE) ^ word


class Logic(Protocol):
    """What `walk` needs: constants and the three operations, on whatever stands for a wire."""

    zero: Any
    one: Any

    def invert(self, a: Any) -> Any: ...
    def both(self, a: Any, b: Any) -> Any: ...
    def add(self, a: Any, b: Any, c: Any) -> tuple[Any, Any]: ...


def walk(program: Program, inputs: list[Any], logic: Logic) -> list[Any]:
    """The evaluator's work with other means: output planes, in the order of `Evaluator.planes`."""
    row: dict[int, Any] = dict(enumerate(inputs)) | {program.ones - 1: logic.zero, program.ones: logic.one}
    tape, at = program.tape.tolist(), 0
    while at < len(tape):
        op, flip = tape[at] & 3, tape[at] >> 2
        count = LENGTH[op] - 6 if op != BOTH else 2
        read = [logic.invert(row[r]) if flip >> k & 1 else row[r] for k, r in enumerate(tape[at + 1 : at + 1 + count])]
        last = tape[at + 1 + count : at + LENGTH[op]]
        at += LENGTH[op]
        if op == BOTH:
            value = logic.both(*read)
            row[last[0]] = logic.invert(value) if flip & 4 else value
            continue
        low, high = row[last[0]], row[last[1]]
        low, carry = logic.add(read[0], read[1], low)
        other = logic.zero
        if count == 4:
            low, other = logic.add(read[2], read[3], low)
        row[last[2]], (row[last[3]], row[last[4]]) = low, logic.add(carry, other, high)
    spans = zip(program.out_row.tolist(), program.out_width.tolist(), strict=True)
    return [row[first + k] for first, size in spans for k in range(size)]


class Ands:
    """Literals of an and-inverter graph."""

    zero, one = 0, 1

    def __init__(self, inputs: int) -> None:
        self.graph = Graph(inputs)
        self.both, self.add = self.graph.both, self.graph.add

    def invert(self, a: int) -> int:
        """NOT."""
        return a ^ 1


class Verilog:
    """Names of 64-bit wires, declared as they are made."""

    zero, one = "64'd0", "~64'd0"

    def __init__(self) -> None:
        self.lines: list[str] = []

    def _wire(self, text: str) -> str:
        self.lines.append(f"  wire [63:0] w{len(self.lines)} = {text};")
        return f"w{len(self.lines) - 1}"

    def invert(self, a: str) -> str:
        """NOT, written where it is read."""
        return a[1:] if a.startswith("~") else f"~{a}"

    def both(self, a: str, b: str) -> str:
        """AND."""
        if self.zero in (a, b):
            return self.zero
        return b if a == self.one else a if b == self.one else self._wire(f"{a} & {b}")

    def either(self, a: str, b: str) -> str:
        """OR."""
        if self.one in (a, b):
            return self.one
        return b if a == self.zero else a if b == self.zero else self._wire(f"{a} | {b}")

    def add(self, a: str, b: str, c: str) -> tuple[str, str]:
        """A full adder, or what is left of it where an operand is constant."""
        known = [x for x in (a, b, c) if x in (self.zero, self.one)]
        rest = [x for x in (a, b, c) if x not in known]
        ones = known.count(self.one)
        if len(rest) == 3:
            half = self._wire(f"{a} ^ {b}")
            return self._wire(f"{half} ^ {c}"), self._wire(f"({a} & {b}) | ({half} & {c})")
        if len(rest) == 2:
            total = self._wire(f"{rest[0]} ^ {rest[1]}")
            return (self.invert(total), self.either(*rest)) if ones else (total, self.both(*rest))
        if len(rest) == 1:
            return (self.invert(rest[0]) if ones == 1 else rest[0]), (
                self.zero if ones == 0 else rest[0] if ones == 1 else self.one
            )
        return (self.one if ones % 2 else self.zero), (self.one if ones > 1 else self.zero)


def ours(evaluator: Evaluator, packed: np.ndarray) -> float:
    """Lanes a second of process time."""
    start = time.process_time()
    evaluator.planes(packed)
    return 64 * packed.shape[1] / (time.process_time() - start)


def ratio(first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
    """Medians over RUNS runs in turn: the second's figure, and the first's over it."""
    pairs = [(first(), second()) for _ in range(RUNS)]
    return statistics.median(b for _, b in pairs), statistics.median(a / b for a, b in pairs)


def checksum(planes: np.ndarray) -> int:
    """Of (rows, steps) words, step after step."""
    value, full = 0, 2**64 - 1
    for word in planes.T.reshape(-1).tolist():
        value = ((value << ROTATE | value >> (64 - ROTATE)) & full) ^ word
    return value


def inputs_of(count: int, steps: int) -> np.ndarray:
    """(count, steps) words of splitmix64, as the C++ program makes them."""
    k = np.arange(steps, dtype=np.uint64)[None, :] * np.uint64(count) + np.arange(count, dtype=np.uint64)[:, None]
    z = (k + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def build(circuit: Circuit, program: Program, folder: Path) -> float:
    """Writes Verilog and C++, makes a program of them, and returns the seconds that took; 0 where it is there."""
    if (folder / "obj_dir" / "Vpacked_circuit").exists():
        return 0.0
    logic = Verilog()
    results = walk(program, [f"x{i}" for i in range(circuit.inputs)], logic)
    ports = [f"  input [63:0] x{i}" for i in range(circuit.inputs)]
    ports += [f"  output [63:0] y{o}" for o in range(len(results))]
    lines = ["module packed_circuit (", ",\n".join(ports), ");", *logic.lines]
    lines += [f"  assign y{o} = {wire};" for o, wire in enumerate(results)] + ["endmodule", ""]
    (folder / "packed_circuit.v").write_text("\n".join(lines))
    feed = "\n".join(f"  top.x{i} = word(t * {circuit.inputs}ull + {i});" for i in range(circuit.inputs))
    read = "\n".join(f"  mix(top.y{o});" for o in range(len(results)))
    (folder / "main.cpp").write_text(_MAIN.replace("FEED", feed).replace("READ", read).replace("13", str(ROTATE)))
    start = time.perf_counter()
    flags = ["--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "--output-split", "5000", "-Wno-fatal",
             "-CFLAGS", "-O2 -march=native", "--top-module", "packed_circuit"]  # fmt: skip
    subprocess.run(["verilator", *flags, "packed_circuit.v", "main.cpp"], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def verilator(steps: int, folder: Path) -> tuple[float, int]:
    """Lanes a second, and the checksum of all output words, step by step."""
    said = subprocess.run(
        [str(folder / "obj_dir" / "Vpacked_circuit"), str(steps)], check=True, capture_output=True, text=True
    ).stdout.split()
    return 64 * steps / float(said[0]), int(said[1])


_MAIN = """#include "Vpacked_circuit.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
static uint64_t word(uint64_t k) {
  uint64_t z = (k + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}
static uint64_t sum = 0;
static void mix(uint64_t w) { sum = ((sum << 13) | (sum >> (64 - 13))) ^ w; }
int main(int argc, char** argv) {
  static Vpacked_circuit top;
  uint64_t steps = strtoull(argv[1], 0, 10);
  clock_t start = clock();
  for (uint64_t t = 0; t < steps; t++) {
FEED
  top.eval();
READ
  }
  printf("%.9f %llu\\n", double(clock() - start) / CLOCKS_PER_SEC, (unsigned long long)sum);
  return 0;
}
"""


def and_graph(circuit: Circuit, program: Program) -> Graph:
    """The circuit in ANDs."""
    logic = Ands(circuit.inputs)
    literals = walk(program, [2 * (i + 1) for i in range(circuit.inputs)], logic)
    logic.graph.outputs = [(f"y{o}", literal) for o, literal in enumerate(literals)]
    return logic.graph


def abc(tool: str, folder: Path) -> float:
    """Lanes a second of `&sim` on latched.aig: words x frames x 64, from two lengths."""
    words = 64

    def seconds(frames: int) -> float:
        command = f"&read {folder / 'latched.aig'}; &sim -F {frames} -W {words}"
        start = _children()
        said = subprocess.run([tool, "-c", command], capture_output=True, text=True, check=True).stdout
        if "Error" in said or "asserted" in said:
            raise RuntimeError(said)
        return _children() - start

    few, many = 16, 272
    return 64 * words * (many - few) / max(1e-9, seconds(many) - seconds(few))


def latched(graph: Graph) -> bytes:
    """AIGER of the graph with one latch (a constant), whose AND with every output is the only thing that is asserted:
    `&sim` wants a sequential circuit, and stops as soon as an output is 1."""
    count, most = len(graph.ands), graph.variables
    shift = [0] + [2 * v if v <= graph.inputs else 2 * (v + 1) for v in range(1, most + 1)]  # room for the latch

    def moved(literal: int) -> int:
        return shift[literal >> 1] | literal & 1

    state = 2 * (graph.inputs + 1)
    ands = [(moved(a), moved(b)) for a, b in graph.ands]
    outputs = []
    for _, literal in graph.outputs:
        ands.append((moved(literal), state))
        outputs.append(2 * (graph.inputs + 1 + len(ands)))
    header = f"aig {graph.inputs + 1 + len(ands)} {graph.inputs} 1 {len(outputs)} {len(ands)}\n{state}\n"
    body = bytearray((header + "".join(f"{x}\n" for x in outputs)).encode())
    for k, (a, b) in enumerate(ands):
        left = 2 * (graph.inputs + 2 + k)
        high, low = max(a, b), min(a, b)
        for delta in (left - high, high - low):
            while delta >= 128:
                body.append(delta & 127 | 128)
                delta >>= 7
            body.append(delta)
    assert count <= len(ands)
    return bytes(body)


def _children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lines(circuit: Circuit, lanes: int, flat: bool, folder: Path) -> Iterator[str]:
    """The table."""
    evaluator = Evaluator(circuit, threads=1)
    program = Evaluator(circuit.flat()).program if flat else evaluator.program
    packed = inputs_of(circuit.inputs, lanes // 64)
    total = checksum(evaluator.planes(packed))
    speed = statistics.median(ours(evaluator, packed) for _ in range(RUNS))
    yield f"{'ours, one core':<28} {speed / 1e6:>9.3f} M lanes/s"
    if shutil.which("verilator") and shutil.which("g++"):
        compiled = build(circuit, program, folder)
        same = "same outputs" if verilator(lanes // 64, folder)[1] == total else "DIFFERENT OUTPUTS"
        rate, times = ratio(lambda: ours(evaluator, packed), lambda: verilator(lanes // 64, folder)[0])
        yield (f"{'Verilator, 64-bit wires':<28} {rate / 1e6:>9.3f} M lanes/s   ours is {times:.1f} times as fast; "
               f"{same}; compiled in {compiled:.0f} s")  # fmt: skip
    else:
        yield "Verilator: not installed (verilator, g++); left out"
    tool = next(filter(None, map(shutil.which, ("berkeley-abc", "yosys-abc", "abc"))), None)
    if tool:
        graph = and_graph(circuit, program)
        (folder / "latched.aig").write_bytes(latched(graph))
        rate, times = ratio(lambda: ours(evaluator, packed), lambda: abc(tool, folder))
        words = f"{len(graph.ands):,} ANDs"
        yield f"{'ABC &sim':<28} {rate / 1e6:>9.3f} M lanes/s   ours is {times:.1f} times as fast; {words}"
    else:
        yield "ABC: not installed (berkeley-abc, yosys-abc); left out"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("n", 4), ("d", 4), ("p", 3), ("lanes", 2**16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--flat", action="store_true", help="hand the others plain sums of wires")
    parser.add_argument("--keep", type=Path, help="folder for the tools' files; a temporary one by default")
    options = parser.parse_args()
    circuit = compile_network(reference_head(options.n, options.d, options.p))
    kind = "flat" if options.flat else "nested"
    print(f"head n={options.n} d={options.d} p={options.p}: {circuit.gates:,} gates, {options.lanes:,} lanes, {kind}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)) / f"{kind}-n{options.n}-d{options.d}-p{options.p}"
        folder.mkdir(parents=True, exist_ok=True)
        for line in lines(circuit, options.lanes, options.flat, folder):
            print(line, flush=True)


if __name__ == "__main__":
    main()
