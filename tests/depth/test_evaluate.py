"""The compiled evaluator gives the integers of the reference evaluation, for every kind of form and gate."""

from __future__ import annotations

import numpy as np
import pytest

from depth.test_builder import ALL, random_circuit
from separatrix.core.errors import InputError
from separatrix.depth.evaluate import Evaluator, counting, pack
from separatrix.depth.primitives.table import adder, float_products, primitives
from separatrix.depth.reference import evaluate_plain


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_random_circuits(seed: int, wide: bool, flat: bool) -> None:
    circuit, values = random_circuit(seed, wide)
    got = Evaluator(circuit.flat() if flat else circuit, threads=1)(ALL)
    assert (values == got.T).all()


def test_primitives_and_floats_with_long_weights() -> None:
    rng = np.random.default_rng(0)
    for one in [*primitives(), float_products(3)]:
        bits, _ = one.inputs(70, rng)
        circuit = one.circuit()
        assert (Evaluator(circuit)(bits) == evaluate_plain(circuit, bits)).all(), one.name


@pytest.mark.parametrize(("lanes", "threads"), [(1, 1), (63, 2), (65, 2), (3000, 3), (2049, 2), (9000, 2)])
def test_blocks_and_threads_do_not_matter(lanes: int, threads: int) -> None:
    circuit = adder(5, 4, small=True).circuit()
    bits = np.random.default_rng(lanes).integers(0, 2, (lanes, circuit.inputs))
    assert (Evaluator(circuit, threads)(bits) == evaluate_plain(circuit, bits)).all()


def test_counting_lists_all_inputs() -> None:
    for inputs, start, size in [(9, 0, 512), (9, 128, 192), (3, 0, 8)]:
        bits = (start + np.arange(size))[:, None] >> np.arange(inputs) & 1
        words = counting(inputs, start, size)
        unpacked = np.unpackbits(words.view(np.uint8).reshape(inputs, -1), axis=1, bitorder="little")[:, :size]
        assert (bits == unpacked.T).all()
        if size % 64 == 0:
            assert (pack(bits) == words).all()


def test_wrong_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="reads"):
        Evaluator(adder(2, 2, small=False).circuit())(np.zeros((3, 5)))


def test_without_a_gpu_the_device_is_refused_in_a_sentence() -> None:
    from numba import cuda

    circuit = adder(2, 2, small=False).circuit()
    with pytest.raises(InputError, match="none of cpu, cuda"):
        Evaluator(circuit, device="tpu")
    if not cuda.is_available():
        with pytest.raises(InputError, match="no CUDA device"):
            Evaluator(circuit, device="cuda")
    else:
        bits = np.random.default_rng(0).integers(0, 2, (70_000, circuit.inputs))
        assert np.array_equal(Evaluator(circuit, device="cuda")(bits), Evaluator(circuit)(bits))


SIMULATED = """
import numpy as np
from depth.test_builder import ALL, random_circuit
from separatrix.depth import gpu
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.primitives.table import adder, float_sums
for seed, wide in ((0, False), (1, True), (2, False)):
    circuit, values = random_circuit(seed, wide)
    assert (values == Evaluator(circuit, device="cuda")(ALL).T).all()
gpu._free_bytes = lambda: 2**14  # several portions
circuit = adder(3, 3, small=True).circuit()
bits = np.random.default_rng(0).integers(0, 2, (400, circuit.inputs))
assert np.array_equal(Evaluator(circuit, device="cuda")(bits), Evaluator(circuit)(bits))
print("equal")
"""


def test_the_gpu_loops_under_the_simulator() -> None:
    """numba's simulator runs the kernel with a Python thread in place of each of the GPU's."""
    import os
    import subprocess
    import sys
    from pathlib import Path

    here = Path(__file__).resolve()
    paths = os.pathsep.join([str(here.parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED], env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": paths},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
