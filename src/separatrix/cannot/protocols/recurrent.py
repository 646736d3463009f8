"""One message suffices for a recurrent model: the state at the cut (Bhattamishra et al. 2024, Theorem 2)."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.protocols.transcript import Message, Transcript
from separatrix.core.errors import InputError
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Recurrent
from separatrix.core.size import Precision
from separatrix.models.model import Model
from separatrix.models.recurrent import Runner

FLOATS = {53: np.float64, 24: np.float32, 11: np.float16}


def run_recurrent(
    model: Model, tokens: np.ndarray, query: int, split: tuple[int, ...], precision: Precision | None = None
) -> Transcript:
    """Alice runs the tokens before the cut and sends the state; Bob runs the rest and answers.

    The state is sent as stored, without loss: on the model's own grid, or in fp64. A shorter float (fp32, fp16) rounds
    it; then the stated error is what Lipschitz constants of the remaining steps give, for Elman nets and diagonal SSMs.
    """
    arch, cut = model.arch, len(split)
    if not isinstance(arch, Recurrent):
        raise InputError("this protocol is for recurrent models")
    if split != tuple(range(cut)) or cut > query:
        raise InputError("a recurrent model is cut in two: Alice holds the first K positions, the query is Bob's")
    runner, word = Runner(model), np.asarray(tokens)[None]
    own = Precision(arch.state.bits, "fixed") if isinstance(arch.state, FixedPoint) else Precision(53)
    precision = precision or own
    state = runner.run(runner.start(1), word[:, :cut])
    sent = _sent(state, arch, own, precision)
    rest = word[:, cut:]
    output = runner.outputs(sent, rest, cut, [query])[0, 0]
    real = runner.outputs(runner.start(1), word, 0, [query])[0, 0]
    whole = runner.outputs(sent, rest, cut, [query])[0, 0] if precision != own else real
    values = sent[0].tolist()
    if isinstance(arch.state, FixedPoint) and precision == own:
        values = [round(v * 2.0**arch.state.fraction) for v in values]
    message = Message("Alice", f"state after {cut} tokens", arch.state_numbers, precision.stored, tuple(values))
    stated = 0.0 if precision == own else _lipschitz(runner, np.abs(sent - state)[0], query + 1 - cut)
    bits = model.size(len(tokens), precision).bits("cut")
    assert bits is not None
    return Transcript(split, query, str(precision), (message,), "state numbers x p", bits, output, whole, real, stated)


def _sent(state: np.ndarray, arch: Recurrent, own: Precision, precision: Precision) -> np.ndarray:
    if precision == own:
        return state
    if isinstance(arch.state, FixedPoint) or precision.kind != "float" or precision.bits not in FLOATS:
        known = "that of its own state" if isinstance(arch.state, FixedPoint) else "fp64, fp32 and fp16"
        raise InputError(f"precision {precision} is not known for this model's state; known: {known}")
    with np.errstate(over="ignore"):
        sent = state.astype(FLOATS[precision.bits]).astype(np.float64)
    if not np.isfinite(sent).all():
        raise InputError(f"the state does not fit into {precision}")
    return sent


def _lipschitz(runner: Runner, change: np.ndarray, steps: int) -> float | None:
    """How much an output can move when the state moves by at most `change`, entry by entry; one layer only."""
    arch, t = runner.arch, runner.t
    if len(arch.layers) != 1:
        return None
    layer = arch.layers[0]
    if isinstance(layer, Elman):  # relu and tanh have slope at most 1
        matrix, through = np.abs(t["layers.0.recurrent"]), np.abs(t["readout.weight"])
    elif isinstance(layer, DiagonalSsm):
        re, im = np.abs(t["layers.0.diagonal"])
        matrix = np.block([[np.diag(re), np.diag(im)], [np.diag(im), np.diag(re)]])
        through = np.abs(t["layers.0.out"]) @ np.abs(t["readout.weight"])
    else:
        return None
    moved = change
    for _ in range(steps):
        moved = moved @ matrix
    size = float((moved @ through).max())
    return size * (1 + 1e-9) + 1e-9  # float64 evaluation on both sides
