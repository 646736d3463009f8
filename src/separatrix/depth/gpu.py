"""Evaluation on an NVIDIA GPU: the tape of `kernels.run_words`, one thread a machine word, compiled by `numba.cuda`.

Neighbouring threads read neighbouring words of a row, so every access is one transaction of a warp. The same loops run
under numba's simulator (NUMBA_ENABLE_CUDASIM=1), which is how they are tested where there is no GPU.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.kernels import FULL, ZERO
from separatrix.depth.program import Program

THREADS = 128  # of a block
SHARE = 0.5  # of the device's free memory

cuda: Any = None  # numba's, once it is loaded; a name of the module, since the simulator puts its own in its place


def planes(program: Program, inputs: np.ndarray, out_rows: np.ndarray) -> np.ndarray:
    """(len(out_rows), words) uint64: rows after evaluating packed inputs (program.inputs, words).

    InputError where numba sees no device.
    """
    from numba import cuda as device

    run = _kernel()
    tape, rows, total = device.to_device(program.tape), program.rows, inputs.shape[1]
    words = min(total, max(1, int(_free_bytes() * SHARE) // (8 * rows)))
    data = device.device_array((rows, words), dtype=np.uint64)  # pyright: ignore[reportArgumentType]
    out = np.zeros((len(out_rows), total), dtype=np.uint64)
    for row, word in ((program.ones - 1, ZERO), (program.ones, FULL)):
        data[row].copy_to_device(np.full(words, word))
    for start in range(0, total, words):
        size = min(words, total - start)
        for i in range(program.inputs):
            data[i, :size].copy_to_device(np.ascontiguousarray(inputs[i, start : start + size]))
        run[-(-size // THREADS), THREADS](data, size, tape)
        for k, row in enumerate(out_rows.tolist()):
            out[k, start : start + size] = data[row, :size].copy_to_host()
    return out


def demand() -> None:
    """InputError where numba sees no CUDA device."""
    from numba import cuda

    if not cuda.is_available():
        raise InputError("no CUDA device: numba sees none on this machine; leave out --device cuda")


def _free_bytes() -> int:
    from numba import config, cuda

    simulated = getattr(config, "ENABLE_CUDASIM", False)
    return 2**20 if simulated else int(cuda.current_context().get_memory_info().free)


@lru_cache(maxsize=1)
def _kernel():
    global cuda
    demand()
    from numba import cuda

    from separatrix.depth import kernels

    block = cuda.jit(device=True)(kernels.run_words)

    @cuda.jit
    def run(data, words, tape):
        w = cuda.grid(1)
        if w < words:
            block(data[:, w : w + 1], tape)

    return run
