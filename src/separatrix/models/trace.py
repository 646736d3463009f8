"""One input through a model, step by step: attention patterns, the stream by its named parts, states over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Attention, FeedForward, HigherOrder, LayerNorm, Strassen
from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised
from separatrix.core.mixers import DeltaNet, LinearAttention, Retention
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.core.recurrent import Recurrent, state_width
from separatrix.models.embed import embed
from separatrix.models.evaluate import evaluate, layer_stream, layer_weights
from separatrix.models.higher_order import tuple_weights
from separatrix.models.model import Model
from separatrix.models.positional import patterns, streams
from separatrix.models.recurrent import Runner

Part = tuple[str, int, int]
HEADED = (LinearAttention, Retention, DeltaNet)
MOST_TUPLES = 2**23  # weights of one tuple layer that are held


@dataclass(frozen=True)
class Head:
    """What one head looks at.

    weights: (queries, keys); each row sums to 1. Over tuples it is the share of the tuples that hold the key at `slot`.
    tuples: per query the heaviest tuples (positions, weight), for attention over tuples only.
    """

    weights: np.ndarray
    slot: int = 0
    tuples: tuple[tuple[tuple[tuple[int, ...], float], ...], ...] = ()


@dataclass(frozen=True)
class Step:
    """One layer.

    kind: the layer's; note: what to know of it. heads: by head, then by slot of a tuple.
    before, after: (rows, columns) the stream around it; for recurrent layers the state, a row a time.
    parts: named columns, side by side, that cover them all.
    """

    kind: str
    note: str
    heads: tuple[Head, ...]
    before: np.ndarray
    after: np.ndarray
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Trace:
    """A model on one input.

    own: names of the tokens that the model adds behind the input. start: (tokens, columns) what the layers begin with.
    outputs: (positions, outputs) before any argmax. fixed: whether the patterns are the same for every input.
    """

    kind: str
    own: tuple[str, ...]
    start: np.ndarray
    parts: tuple[Part, ...]
    steps: tuple[Step, ...]
    outputs: np.ndarray
    fixed: bool = False


def trace(model: Model, tokens: np.ndarray, reals: np.ndarray | None = None) -> Trace:
    """What happens inside on one input.

    Args:
        tokens: (positions,) ids, or (positions, q) pointers. reals: (positions, dim), where the model reads them.

    Raises:
        InputError: too long an input for attention over tuples, or an input that the model cannot read.
    """
    batch, real = np.asarray(tokens)[None], None if reals is None else reals[None]
    arch, outputs = model.arch, evaluate(model, batch, real)[0]
    if isinstance(arch, Recurrent):
        return _recurrent(model, arch, batch, outputs)
    if isinstance(arch, Positional):
        assert real is not None
        return _positional(model, arch, real, outputs)
    if isinstance(arch, Numeric):
        raise InputError("traces of numeric transformers are not drawn; trace a transformer or a positional one")
    x = embed(arch, model.tensors, batch, real)
    parts, steps, start = whole(arch.residual, arch.width, "stream"), [], _plain(x[0])
    for i, layer in enumerate(arch.layers):
        heads: tuple[Head, ...] = ()
        if isinstance(layer, Attention):
            heads = tuple(Head(weights) for weights in layer_weights(model, i, x)[0])
        elif isinstance(layer, HigherOrder | Strassen):
            heads = _tuples(model, layer, i, _plain(x[0]))
        after = layer_stream(model, i, x)
        steps.append(Step(layer.kind, _note(layer), heads, _plain(x[0]), _plain(after[0]), parts))
        x = after
    return Trace(arch.kind, ("blank",) if arch.blank else (), start, parts, tuple(steps), outputs)


def whole(named: tuple[Part, ...], width: int, rest: str) -> tuple[Part, ...]:
    """The named columns in order, and the gaps between them under the name `rest`; overlapping names are cut short."""
    out, at = list[Part](), 0
    for name, start, stop in sorted(named, key=lambda part: part[1]):
        start, stop = max(start, at), min(stop, width)
        if start > at:
            out.append((rest, at, start))
        if stop > start:
            out.append((name, start, stop))
            at = stop
    return tuple(out + ([(rest, at, width)] if at < width else []))


def _plain(x: np.ndarray) -> np.ndarray:
    """As float64; long integers beyond its range are cut to the greatest number."""
    if x.dtype != object:
        return x.astype(np.float64)
    top = 2**1023
    return np.array([[float(max(-top, min(top, v))) for v in row] for row in x])


def _note(layer: Attention | FeedForward | LayerNorm | HigherOrder | Strassen | Kernelised) -> str:
    match layer:
        case Attention():
            return f"{_heads(layer.heads)}, key width {layer.key_width}" + (
                ", causal" if layer.mask == "causal" else ""
            )
        case HigherOrder():
            return (
                f"{_heads(layer.heads)} over {'pairs' if layer.order == 3 else f'{layer.order - 1}-tuples'} of tokens"
            )
        case Strassen():
            return f"{_heads(layer.heads)} over pairs of tokens, scores of three sides"
        case Kernelised():
            return f"{_heads(layer.heads)}, weights by features and relative positions, not drawn"
        case FeedForward():
            return f"{layer.hidden} hidden units, at every position alone"
        case LayerNorm():
            return f"eps {layer.eps:g}"


def _heads(count: int) -> str:
    return "1 head" if count == 1 else f"{count} heads"


def _tuples(model: Model, layer: HigherOrder | Strassen, i: int, x: np.ndarray) -> tuple[Head, ...]:
    if layer.heads * len(x) ** layer.order * layer.key_width > MOST_TUPLES:
        raise InputError(f"{len(x)} tokens have too many tuples for a picture of layer {i}; take a smaller n")
    heads, shape = [], (len(x),) * (layer.order - 1)
    for weights in tuple_weights(layer, model.tensors, i, x):
        flat = weights.reshape(len(x), -1)
        best = np.argsort(-flat, axis=1, kind="stable")[:, :4]
        top = tuple(
            tuple((tuple(int(j) for j in np.unravel_index(t, shape)), float(flat[q, t])) for t in best[q])
            for q in range(len(x))
        )
        for slot in range(layer.order - 1):
            others = tuple(axis for axis in range(1, layer.order) if axis != slot + 1)
            heads.append(Head(weights.sum(axis=others), slot, top if slot == 0 else ()))
    return tuple(heads)


def _positional(model: Model, arch: Positional, reals: np.ndarray, outputs: np.ndarray) -> Trace:
    xs = [x[0] for x in streams(arch, model.tensors, reals)]
    steps = []
    for i, layer in enumerate(arch.layers):
        heads = tuple(Head(weights) for weights in patterns(arch, model.tensors, i))
        note = (
            _heads(layer.heads) + ", then a ReLU net of hidden widths " + (", ".join(map(str, layer.hidden)) or "none")
        )
        steps.append(Step(layer.kind, note, heads, xs[i], xs[i + 1], _words(arch.width)))
    return Trace(arch.kind, ("sink",) * arch.sinks, xs[0], _words(arch.width), tuple(steps), outputs, fixed=True)


def _words(width: int) -> tuple[Part, ...]:
    return tuple((f"word {k + 1}", k, k + 1) for k in range(width))


def _recurrent(model: Model, arch: Recurrent, tokens: np.ndarray, outputs: np.ndarray) -> Trace:
    runner = Runner(model)
    states = [runner.start(1)]
    for j, column in enumerate(tokens.T):
        states.append(runner.step(states[-1], column, j)[0])
    table, left, steps = np.concatenate(states), 0, []
    for i, layer in enumerate(arch.layers):
        width = state_width(layer)
        own, left = table[:, left : left + width], left + width
        named = arch.residual if i == 0 else ()
        what = _heads(layer.heads) if isinstance(layer, HEADED) else f"{layer.units} units"
        note = f"{what}, {width} numbers carried from each position to the next"
        steps.append(Step(layer.kind, note, (), own[:-1], own[1:], whole(named, width, "state")))
    start = table[:1]
    return Trace(arch.kind, (), start, whole((), start.shape[1], "state"), tuple(steps), outputs)
