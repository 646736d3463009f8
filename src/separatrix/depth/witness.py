"""How deep is a model of the house? Its circuit at one length: read off its own rounded numbers, or quantised first.

A recurrent model with a rounded state is compiled as it is. A transformer over tokens is rescaled (`balance`), its
numbers are rounded to the fewest bits at which it still computes its task, and its softmax is taken at its limit: hard
attention, uniform over the greatest scores, which is what these constructions approach. Every other model is answered
with the reason why it is not compiled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.domain import Labels
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.positional import Positional
from separatrix.core.recurrent import FixedPoint, Recurrent
from separatrix.core.seeds import child
from separatrix.core.semantics import BitsSpec
from separatrix.core.task import Task
from separatrix.depth.balance import balanced
from separatrix.depth.circuit import Circuit
from separatrix.depth.compiler.network import compile_network, estimate
from separatrix.depth.compiler.recurrent import compile_recurrent
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.measure import Measure, measure
from separatrix.depth.model import quantised, tokens_of
from separatrix.kernel import bits
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.models.quantised import Heads, Quantised, run
from separatrix.numbers.integers import is_known

BITS = (4, 5, 6, 8, 10, 12)  # of a number
WEIGHTS = (3, 6)  # fraction bits of a weight
WIDEST = 64  # columns of a stream that is quantised
EVERY = 2**16  # inputs that are all tried
SAMPLES = 2**12
COMPARED = 2**10
BATCH = 2**22  # numbers of the emulator's greatest array

Logits = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Deep:
    """A compiled model.

    Attributes:
        numbers, bits: of the compiled model, in words, and the bits of one. counts: of the circuit.
        tried, every: inputs on which its labels were the task's, and whether these were all.
        compared: inputs on which the circuit gave the emulator's logits, bit for bit.
    """

    numbers: str
    bits: int
    counts: Measure
    tried: int
    every: bool
    compared: int
    seconds: float


def deep(model: Model, task: Task, n: int, most_gates: int = 10**6, least_bits: int = 0) -> Deep:
    """The circuit of a model at length n, compared with its emulator and its task.

    UnknownError with the reason where there is none: what is not compiled, too few bits, or too many gates by the
    estimate. A transformer's numbers get `least_bits` or more: what a shorter length needed, where samples are scarce.
    """
    start = time.perf_counter()
    if not isinstance(task.outputs(), Labels):
        raise UnknownError("its inputs and outputs are real numbers; circuits read bits and decide labels")
    if isinstance(model.arch, Recurrent):
        made = compile_recurrent(model, task.domain(n).positions, task.queries(n))
        grid = model.arch.state
        size = grid.bits if isinstance(grid, FixedPoint) else 0
        numbers = f"its own, states of {size} bit{'s' * (size != 1)}"
        scale = 2.0**made.exponent
        logits = _float_logits(model, task, n, scale)
        tried, every = _right(logits, task, n)
        circuit, encode = made.circuit, made.bits_of
    elif isinstance(model.arch, Positional):
        raise UnknownError("its words are real numbers; circuits read bits")
    else:
        spec, network, tried, every = _quantised(model, task, n, most_gates, least_bits)
        size, numbers = spec.bits, f"{spec.bits} bits, hard attention"
        circuit = compile_network(network)
        logits, encode = _integer_logits(network), lambda tokens: network.bits_of(tokens_of(network, tokens))
    compared = _compare(circuit, encode, logits, task, n)
    return Deep(numbers, size, measure(circuit), tried, every, compared, time.perf_counter() - start)


def _quantised(
    model: Model, task: Task, n: int, most_gates: int, least_bits: int
) -> tuple[BitsSpec, Quantised, int, bool]:
    """The fewest bits at which every input that is tried gets its label."""
    if not all(map(is_known, model.transformer.layers)):
        kinds = {layer.kind for layer in model.transformer.layers if not is_known(layer)}
        raise UnknownError(f"layers of kind {', '.join(sorted(kinds))} are not compiled")
    if model.transformer.width > WIDEST:
        raise UnknownError(f"its stream is {model.transformer.width} wide; at most {WIDEST} columns are compiled here")
    tokens = task.sample(n, 64, child(0, "ranges", task.name))[0]
    scaled, wrong = balanced(model, tokens), ""
    for size in (size for size in BITS if size >= least_bits):
        for weights in WEIGHTS:
            spec = BitsSpec(size, size - 2, weights, 4, 0, 0)
            network = hardened(
                quantised(scaled.transformer, scaled.tensors, task.domain(n).positions, task.queries(n), spec)
            )
            if (guess := estimate(network).gates) > most_gates:
                raise UnknownError(
                    f"at N = {n} it takes {size} bits or more: about {guess:,} gates, more than {most_gates:,}"
                )
            try:
                return spec, network, *_right(_integer_logits(network), task, n)
            except UnknownError as error:
                wrong = str(error)
    raise UnknownError(f"numbers of {BITS[-1]} bits are too coarse for it at N = {n}: {wrong}")


def hardened(network: Quantised) -> Quantised:
    """The network with every softmax at its limit: uniform over the greatest scores."""
    layers = (replace(one, weights="average-hard") if isinstance(one, Heads) else one for one in network.layers)
    return replace(network, layers=tuple(layers))


def _integer_logits(network: Quantised) -> Logits:
    def logits(tokens: np.ndarray) -> np.ndarray:
        step = max(1, BATCH // (network.n**2 * network.d))
        parts = [run(network, tokens_of(network, tokens[at : at + step])) for at in range(0, len(tokens), step)]
        return np.concatenate(parts)

    return logits


def _float_logits(model: Model, task: Task, n: int, scale: float) -> Logits:
    return lambda tokens: np.rint(evaluate(model, tokens, queries=task.queries(n)) * scale).astype(np.int64)


def _right(logits: Logits, task: Task, n: int) -> tuple[int, bool]:
    """(inputs tried, whether these are all); UnknownError where a label is not the task's."""
    domain = task.domain(n)
    every = bits.size_of(domain) <= EVERY
    first = task.sample(n, 256, child(1, "witness", task.name))[0]
    rest = bits.words(domain, SAMPLES) if every else iter([task.sample(n, SAMPLES, child(2, "witness", task.name))[0]])
    tried = 0
    for k, tokens in enumerate((first, *rest)):
        if not len(tokens):
            continue
        got, labels = logits(tokens), task.answer(tokens)
        right = np.take_along_axis(got, labels[:, :, None], axis=2)
        rivals = np.arange(got.shape[2]) != labels[:, :, None]
        if wrong := int(((got >= right) & rivals).any(axis=(1, 2)).sum()):
            raise UnknownError(f"{wrong} of {len(tokens):,} inputs go wrong")
        tried += len(tokens) * (k > 0)
    return tried, every


def _compare(circuit: Circuit, encode: Callable, logits: Logits, task: Task, n: int) -> int:
    tokens = task.sample(n, COMPARED, child(3, "witness", task.name))[0]
    got = Evaluator(circuit)(encode(tokens))
    if not np.array_equal(got, logits(tokens)):
        raise InputError("the circuit differs from its emulator")
    return len(tokens)
