"""A transformer as a massively parallel protocol: attention by trees of partial softmaxes, rounds and memory counted.

Sanford, Hsu, Telgarsky 2024, Theorem 3.4. For each query the heads' partial results (greatest score, normaliser, mean
of the values) of b machines are merged into one, level by level; queries reach the leaves down the same kind of tree.
With memory s and m H numbers a token the branching is b = floor(s / (4 m H)), the depth of a tree D = ceil(log_b N),
and a layer takes 2 D + 3 rounds: queries down, partial results up, and three to form the pairs and to hand the result
back. The merging runs here as the protocol does it, machine by machine; its words are float64 numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Attention
from separatrix.core.errors import InputError
from separatrix.models.embed import embed
from separatrix.models.evaluate import layer_stream
from separatrix.models.model import Model


@dataclass(frozen=True, slots=True)
class Cost:
    """What the protocol takes: rounds; machines (one a pair of tokens, and inner nodes); the most words on one."""

    rounds: int
    machines: int
    memory: int


Partial = tuple[float, float, np.ndarray]  # greatest score, sum of exponentials shifted by it, their mean value


def simulate(model: Model, tokens: np.ndarray, memory: int) -> tuple[np.ndarray, Cost]:
    """(positions, outputs) of one input (positions,) by the protocol with `memory` words a machine, and its cost.

    InputError where the memory is too small for a tree, or a layer is no attention or feed-forward layer.
    """
    arch = model.transformer
    x = embed(arch, model.tensors, np.asarray(tokens)[None], None)[0].astype(np.float64)
    rounds = machines = most = 0
    for i, layer in enumerate(arch.layers):
        if not isinstance(layer, Attention):
            if layer.kind != "feed-forward":
                raise InputError(
                    f"layer {i} is of kind {layer.kind}; the protocol knows attention and feed-forward layers"
                )
            x = layer_stream(model, i, x[None])[0]  # every machine on its own
            continue
        if layer.norm != "none":
            raise InputError(f"layer {i} has a layer norm; the protocol knows none")
        numbers = layer.heads * max(layer.key_width, layer.value_width)
        branching = memory // (4 * numbers)
        if branching < 2:
            raise InputError(f"{memory} words hold no two partial results of layer {i}; take {8 * numbers} or more")
        depth = max(1, math.ceil(math.log(len(x)) / math.log(branching) - 1e-12))
        out, words, nodes = _attend(model, i, layer, x, branching)
        x = out + x if layer.residual else out
        rounds, machines, most = rounds + 2 * depth + 3, max(machines, nodes), max(most, words)
    outputs = x[: len(tokens)] @ model.tensors["readout.weight"] + model.tensors["readout.bias"]
    return outputs, Cost(rounds, machines, most)


def _attend(model: Model, i: int, layer: Attention, x: np.ndarray, branching: int) -> tuple[np.ndarray, int, int]:
    """(the heads' sum, the most words on a machine, machines)."""
    out, words, nodes = np.zeros_like(x), 0, 0
    for h in range(layer.heads):
        query, key, value = (
            x @ model.tensors[f"layers.{i}.{name}"][h].astype(np.float64) for name in ("query", "key", "value")
        )
        for q in range(len(x)):
            seen = range(q + 1) if layer.mask == "causal" else range(len(x))
            level: list[Partial] = [(float(query[q] @ key[j]) * layer.scale, 1.0, value[j]) for j in seen]
            own = len(level)
            while len(level) > 1:
                level = [merge(level[at : at + branching]) for at in range(0, len(level), branching)]
                own += len(level)
            words = max(words, min(branching, len(x)) * (2 + layer.value_width) * layer.heads)
            nodes = max(nodes, own * len(x))
            out[q] += level[0][2] @ model.tensors[f"layers.{i}.output"][h]
    return out, words, nodes


def merge(parts: list[Partial]) -> Partial:
    """What one machine does with the partial results that it gets."""
    top = max(part[0] for part in parts)
    sums = [part[1] * math.exp(part[0] - top) for part in parts]
    total = math.fsum(sums)
    return top, total, sum((share / total * part[2] for share, part in zip(sums, parts, strict=True)), 0 * parts[0][2])
