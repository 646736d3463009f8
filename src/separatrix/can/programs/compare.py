"""A compiled program against its interpreter, scale by scale, in float64 and float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from separatrix.can.programs import library
from separatrix.can.programs.benes import SHARP, compile_benes, fixed_benes
from separatrix.can.programs.direct import compile_direct
from separatrix.can.programs.program import Program, Route, run
from separatrix.can.programs.sortnet import compile_packed, compile_sortnet
from separatrix.core.errors import InputError
from separatrix.core.registry import Registry
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model

RANGE = 2.0  # inputs at scale 1 lie in [-2, 2], the papers' training range
MOST = 64
"""Largest N: a layer of positional weights holds (N + 1)^2 numbers a head."""

SORTING = {"sortnet": compile_sortnet, "sortnet-packed": compile_packed}

programs: Registry[Callable[[int], Program]] = Registry("program")
for _make in (
    library.prefix_sums, library.prefix_minima, library.prefix_maxima, library.total, library.least, library.greatest,
    library.sort, library.sort_in_turn, library.route, library.maximum_subarray, library.prefix_medians,
):  # fmt: skip
    programs.register(_make.__name__.replace("_", "-"))(_make)


@dataclass(frozen=True)
class Compiled:
    """A program, the weights that run it, and the words they read besides.

    extra: (nodes, words) appended to every node's input; (nodes, 0) for the back end `direct`.
    """

    program: Program
    model: Model
    extra: np.ndarray


def compiled(name: str, n: int, backend: str, scale: int) -> Compiled:
    """A library program on n nodes by a back end; InputError where it does not go through it.

    backend: `direct`; `benes`, settings as input words; `benes-weights`, settings in the weights; `sortnet` and
        `sortnet-packed` for programs that route by data (`can.programs.sortnet`).

    scale: for `benes`, whose switches are exact up to a bound: that of n words of this scale together; and for the
        sorting networks, whose bound is a word of this scale.
    """
    make = programs.get(name)
    if not 2 <= n <= MOST:
        raise InputError(f"--n {n}: take 2 to {MOST} nodes")
    if not 1 <= scale <= 1000:
        raise InputError(f"--scale {scale}: take 1 to 1000")
    program = make(n)
    routes = any(isinstance(step, Route) for step in program.rounds)
    if routes and backend in ("direct", "benes", "benes-weights"):
        raise InputError(f"program {program.name} routes by data; take --backend {' or '.join(SORTING)}")
    if backend in SORTING:
        if not routes:
            raise InputError(f"program {program.name} routes nothing by data; take --backend direct")
        return Compiled(program, compile_direct(SORTING[backend](program, RANGE * scale)), np.zeros((n, 0)))
    if backend == "direct":
        return Compiled(program, compile_direct(program), np.zeros((n, 0)))
    if backend not in ("benes", "benes-weights"):
        raise InputError(f"--backend {backend}: take direct, benes, benes-weights, {' or '.join(SORTING)}")
    try:
        if backend == "benes-weights":
            return Compiled(program, compile_direct(fixed_benes(program), SHARP), np.zeros((n, 0)))
        routed, extra = compile_benes(program, RANGE * scale * n)
    except InputError as error:
        raise InputError(f"{error}; or take --backend direct") from error
    return Compiled(program, compile_direct(routed), extra.astype(np.float64))


def deviation(
    made: Compiled, scale: float, samples: int, seed: int, dtype: Literal["float64", "float32"] = "float64"
) -> tuple[float, float]:
    """The largest difference to the interpreter over inputs uniform in [-2, 2] times `scale`, and the largest answer.

    Of a program that routes by data, the destinations are an input word, and uniform permutations.

    float64 is the NumPy reference; float32 the torch module, whose inputs are rounded before either sees them.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(-RANGE, RANGE, (samples, made.program.nodes, made.program.inputs)) * scale
    for step in made.program.rounds:
        if isinstance(step, Route):
            x[:, :, step.destination] = rng.random(x.shape[:2]).argsort(axis=1)
    x = x.astype(dtype).astype(np.float64)
    wanted = run(made.program, x)
    words = np.concatenate([x, np.broadcast_to(made.extra, (samples, *made.extra.shape))], axis=2)
    if dtype == "float64":
        got = evaluate(made.model, np.zeros(words.shape[:2], dtype=np.int64), words)
    else:
        import torch

        from separatrix.models import nets

        with torch.no_grad():
            got = nets.load(made.model, torch.float32)(None, torch.from_numpy(words).float()).numpy()
    return float(np.abs(got - wanted).max()), float(np.abs(wanted).max())
