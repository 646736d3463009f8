"""Evaluation of circuits on many inputs at once: 64 inputs a machine word, compiled loops, all cores.

A Circuit's `reference.evaluate_plain` says what must come out; this is the fast way to the same integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.jobs import default_workers
from separatrix.depth import gpu
from separatrix.depth.circuit import Circuit
from separatrix.depth.kernels import FULL
from separatrix.depth.program import prepare

MEMORY = 2**30
ROW_BYTES = 256  # of a block
DEVICES = ("cpu", "cuda")


class Evaluator:
    """A circuit made ready for evaluation.

    Attributes:
        circuit, program: what is evaluated, and its compiled form.
        threads: blocks that run at the same time; by default one a core.
        device: `cpu` or `cuda`; InputError where there is no such device.
    """

    def __init__(self, circuit: Circuit, threads: int | None = None, device: str = "cpu") -> None:
        if device not in DEVICES:
            raise InputError(f"device {device!r} is none of {', '.join(DEVICES)}")
        if device == "cuda":
            gpu.demand()
        self.circuit, self.program, self.device = circuit, prepare(circuit), device
        self.threads = min(threads or default_workers(), max(1, MEMORY // (ROW_BYTES * self.program.rows)))

    def planes(self, inputs: np.ndarray) -> np.ndarray:
        """Output bits of packed inputs.

        Args:
            inputs: (circuit.inputs, lanes / 64) uint64; bit l of a word is lane l.

        Returns:
            (rows, lanes / 64) uint64: for every output its planes, lowest first (`decode` makes integers of them).
        """
        spans = zip(self.program.out_row.tolist(), self.program.out_width.tolist(), strict=True)
        rows = np.array([r + k for r, width in spans for k in range(width)], dtype=np.int64)
        if self.device == "cuda":
            return gpu.planes(self.program, inputs, rows)
        from separatrix.depth.vectors import WORDS, rows_of, run_blocks

        inputs = np.ascontiguousarray(inputs, dtype=np.uint64)
        out = np.zeros((len(rows), inputs.shape[1]), dtype=np.uint64)
        threads = max(1, min(self.threads, -(-inputs.shape[1] // WORDS)))

        def work(first: int) -> None:
            data = rows_of(self.program.rows)
            data[self.program.ones] = FULL
            run_blocks(data, data.ctypes.data, self.program.tape, inputs, rows, out, first, threads)

        if threads == 1:
            work(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, range(threads)))
        return out

    def decode(self, planes: np.ndarray, lanes: int) -> np.ndarray:
        """(lanes, *output_shape) integers from `planes`."""
        p = self.program
        wide = p.out_low.dtype == object or p.out_width.max(initial=0) > 62
        out = np.zeros((len(p.out_width), lanes), dtype=object if wide else np.int64)
        out += p.out_low[:, None]
        at = 0
        for o, width in enumerate(p.out_width.tolist()):
            for k in range(width):
                bits = np.unpackbits(planes[at + k].view(np.uint8), bitorder="little")[:lanes]
                out[o] += bits.astype(out.dtype) << k if not wide else bits.astype(object) * 2**k
            at += width
        return out.T.reshape(lanes, *self.circuit.output_shape)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """(lanes, inputs) of 0 and 1 -> (lanes, *output_shape) integers."""
        bits = np.asarray(inputs)
        if bits.ndim != 2 or bits.shape[1] != self.circuit.inputs:
            raise InputError(f"inputs of shape {bits.shape}; this circuit reads (lanes, {self.circuit.inputs})")
        return self.decode(self.planes(pack(bits)), len(bits))

    def exhaustive(self, chunk: int = 2**16) -> Iterator[tuple[int, np.ndarray]]:
        """(first input, output integers) for all 2^inputs inputs in order; input wire k is bit k of the number."""
        total = 2**self.circuit.inputs
        for start in range(0, total, chunk):
            size = min(chunk, total - start)
            yield start, self.decode(self.planes(counting(self.circuit.inputs, start, size)), size)


def pack(bits: np.ndarray) -> np.ndarray:
    """(lanes, inputs) of 0 and 1 -> (inputs, ceil(lanes / 64)) uint64."""
    lanes = len(bits)
    full = np.zeros((bits.shape[1], -(-lanes // 64) * 64), dtype=np.uint8)
    full[:, :lanes] = bits.T
    return np.packbits(full, axis=1, bitorder="little").view(np.uint64)


def counting(inputs: int, start: int, size: int) -> np.ndarray:
    """Packed inputs number start .. start + size - 1 (start a multiple of 64): wire k is bit k of the number."""
    low = [0xAAAAAAAAAAAAAAAA, 0xCCCCCCCCCCCCCCCC, 0xF0F0F0F0F0F0F0F0, 0xFF00FF00FF00FF00,
           0xFFFF0000FFFF0000, 0xFFFFFFFF00000000]  # fmt: skip
    words = start // 64 + np.arange(-(-size // 64), dtype=np.int64)
    out = np.zeros((inputs, len(words)), dtype=np.uint64)
    for k in range(inputs):
        out[k] = low[k] if k < 6 else np.where(words >> (k - 6) & 1, np.uint64(2**64 - 1), np.uint64(0))
    return out
