"""Evaluation of circuits on many inputs at once: 64 inputs a machine word, compiled loops, all cores.

A Circuit's `reference.evaluate_plain` says what must come out; this is the fast way to the same integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.jobs import default_workers
from separatrix.depth import gpu
from separatrix.depth.circuit import Circuit
from separatrix.depth.program import prepare

WORDS = 64  # shorter rows cost more in loop overhead than they gain in the cache
MEMORY = 2**30
DEVICES = ("cpu", "cuda")


class Evaluator:
    """A circuit made ready for evaluation.

    Attributes:
        circuit, program: what is evaluated, and its compiled form.
        words: 64-bit words a row in one block, at most.
        threads: blocks that run at the same time; by default one a core.
        device: `cpu` or `cuda`; InputError where there is no such device.
    """

    def __init__(self, circuit: Circuit, words: int = WORDS, threads: int | None = None, device: str = "cpu") -> None:
        if device not in DEVICES:
            raise InputError(f"device {device!r} is none of {', '.join(DEVICES)}")
        if device == "cuda":
            gpu.demand()
        self.circuit, self.program, self.device = circuit, prepare(circuit), device
        rows = self.program.rows + 2 * self.program.carries + self.program.widest
        self.words, self.threads = words, threads or default_workers()
        while rows * self.words * 8 * self.threads > MEMORY and (self.words > 8 or self.threads > 1):
            self.words, self.threads = (self.words // 2, self.threads) if self.words > 8 else (self.words, 1)

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
        kernel, total = _kernel(), inputs.shape[1]
        out = np.zeros((len(rows), total), dtype=np.uint64)
        words = max(1, min(self.words, -(-total // self.threads)))
        starts = list(range(0, total, words))

        def work(own: list[int]) -> None:
            p = self.program
            data = np.zeros((p.rows + 2 * p.carries + p.widest, words), dtype=np.uint64)
            for start in own:
                size = min(words, total - start)
                data[: self.circuit.inputs, :size] = inputs[:, start : start + size]
                kernel(data, p.rows, p.carries, *p.arrays)
                out[:, start : start + size] = data[rows, :size]

        count = min(self.threads, len(starts))
        if count <= 1:
            work(starts)
        else:
            with ThreadPoolExecutor(count) as pool:
                for done in [pool.submit(work, starts[k::count]) for k in range(count)]:
                    done.result()
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


@lru_cache(maxsize=1)
def _kernel():
    """The compiled inner loop; it releases the interpreter lock, so that threads run side by side."""
    from numba import njit

    from separatrix.depth import kernels

    return njit(nogil=True, cache=True)(kernels.run_block)
