"""A quantised network as a circuit: the same integers on every input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.builder import Builder
from separatrix.depth.circuit import Circuit
from separatrix.depth.compiler.attention import attend
from separatrix.depth.compiler.rows import apply_map, normalise
from separatrix.depth.compiler.word import Word
from separatrix.depth.words import steps
from separatrix.models.quantised import Heads, Map, Normalise, Quantised

MEMORY = 6 * 2**30
GATE_BYTES, TERM_BYTES = 500, 60  # measured peaks while building, rounded up


@dataclass(frozen=True, slots=True)
class Estimate:
    """Upper estimates before anything is built."""

    gates: int
    terms: int

    @property
    def bytes(self) -> int:
        """Peak memory of the build."""
        return GATE_BYTES * self.gates + TERM_BYTES * self.terms

    def demand(self, memory: int) -> None:
        """InputError with the estimate where it exceeds `memory` bytes."""
        if self.bytes > memory:
            raise InputError(
                f"the circuit would have about {self.gates:,} gates and {self.terms:,} terms and take "
                f"{self.bytes / 2**30:.1f} GiB to build, more than {memory / 2**30:.1f}; take a smaller n, d or p"
            )


def estimate_head(n: int, d: int, p: int, layers: int) -> Estimate:
    """The estimate of the reference head, before its n^2 d^2 weights are made."""
    pairs, codes, used = n * (n + 1) // 2, 2**p - 1, d * d * p * p
    gates = pairs * (used + codes * (1 + d * p)) + n * d * codes
    return Estimate(layers * gates, layers * (pairs * (3 * used + codes * (3 * d * p + 2)) + 3 * n * d * codes))


def estimate(network: Quantised) -> Estimate:
    """Gates and stored terms by formula, no sharing and no dead gates counted."""
    n, d, p = network.n, network.d, network.numbers.bits
    levels = 2**p - 1
    gates, terms = 0, 0
    if network.embedding is not None:
        symbols = network.embedding.table.shape[1]
        gates, terms = n * symbols, n * symbols * (network.symbol_bits + d * (p + 1))
    rows = [n] * len(network.layers)
    if network.layers:
        rows[-1] = len(network.rows)
    for layer, count in zip(network.layers, rows, strict=True):
        if isinstance(layer, Heads):
            pairs = int(layer.mask.sum()) * count // n
            for scores in layer.scores:
                used = int((scores.score != 0).any(axis=(0, 1)).sum()) * p * p
                codes = len(scores.table) - 1 if layer.weights == "softmax" else n  # or rivals of a hard row
                gates += (
                    pairs * (used + codes * (1 + (d * p if layer.weights == "softmax" else 0))) + count * d * levels
                )
                terms += pairs * (3 * used + codes * (3 * d * p + 2)) + 3 * count * d * levels
            if layer.mix is not None:
                gates += count * d * levels
                terms += count * d * levels * (p + 1)
        elif isinstance(layer, Map):
            hidden = layer.weight.shape[1] + (0 if layer.out is None else layer.out.weight.shape[1])
            gates, terms = gates + count * hidden * levels, terms + count * hidden * levels * (p + 2)
        else:
            gates += count * (d * (d + 1) // 2 * p * p + d * levels)
            terms += count * (3 * d * d * p * p + 3 * d * levels)
    return Estimate(gates, terms)


def compile_network(
    network: Quantised, memory: int = MEMORY, progress: Callable[[str], None] = lambda _: None
) -> Circuit:
    """The circuit on `network.input_bits` wires; outputs (queries, d) numbers or (queries, classes) logits.

    Raises InputError, with the estimate, for a network whose circuit would not fit in `memory` bytes.
    """
    estimate(network).demand(memory)
    b = Builder(network.input_bits)
    x = _inputs(b, network)
    everywhere = np.arange(network.n)
    for at, layer in enumerate(network.layers):
        progress(f"layer {at + 1} of {len(network.layers)}, {b.gates:,} gates so far")
        last = at == len(network.layers) - 1
        rows = np.array(network.rows) if last else everywhere
        if isinstance(layer, Heads):
            x = attend(b, network.numbers, layer, x, at, rows)
            continue
        x = x.pick(rows)
        if isinstance(layer, Map):
            x = apply_map(b, network.numbers, layer, x, at, rows)
        elif isinstance(layer, Normalise):
            x = normalise(b, network.numbers, layer, x, at, rows)
    progress("sweep")
    value = x.value if network.layers else x.value[list(network.rows)]
    if network.readout is None:
        return b.circuit(value)
    weight, bias = network.readout
    count, (d, classes) = len(network.rows), weight.shape
    logits = b.dot(
        np.broadcast_to(weight.T, (count, classes, d)), value[:, None, :].broadcast((count, classes, d)), bias
    )
    return b.circuit(logits)


def _inputs(b: Builder, network: Quantised) -> Word:
    numbers = network.numbers
    wires = np.arange(network.input_bits)
    if network.embedding is None:
        return Word.of_inputs(b, wires.reshape(network.n, network.d, numbers.bits), numbers.low)
    table = network.embedding.table  # (n, symbols, d)
    wires = wires.reshape(network.n, network.symbol_bits)
    token = b.forms(wires, 2 ** np.arange(network.symbol_bits))
    place = (-1, -1, np.arange(network.n))
    above = steps(b, token, np.arange(1, table.shape[1]), "token", place)  # (n, symbols - 1)
    return Word.of_steps(b, above[:, None, :], np.moveaxis(table, 1, 2), numbers.low, numbers.bits)
