"""The back end `direct`: one layer a round; attention is the communication, the feed-forward net the computation.

Back de Luca et al. 2025, Theorem 5.1 (simulation of PCOC). Positions are one-hot; head h of round r scores
(i, j) -> beta where node i reads node j on lane h, and 0 elsewhere, so that a row loses at most
(nodes - 1) e^-beta of its mass to other nodes (`sharpness` says how large beta must be).
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from separatrix.can.programs.expression import Leaf, compile_net
from separatrix.can.programs.program import SINK, Program, Round
from separatrix.core.errors import InputError
from separatrix.core.positional import Positional, PositionalLayer
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model

BETA = 128.0  # e^-128 is 0 in float32 softmax (below 2^-149 of the row maximum), and 2^-184 in exact arithmetic


def sharpness(nodes: int, layers: int, scale: float, tolerance: float) -> float:
    """A score gap beta that keeps what leaks out of all rows within `tolerance`, as a rule of thumb.

    beta >= ln N + ln L + 2 ln scale - ln tol; the certificate bounds the error of the weights themselves.
    """
    return math.log(nodes) + math.log(max(layers, 1)) + 2 * math.log(max(scale, 1.0)) - math.log(tolerance)


def compile_direct(program: Program, beta: float = BETA, first: np.ndarray | None = None) -> Model:
    """Weights of a positional transformer that runs the program: N + 1 nodes (the sink), one layer a round.

    first: (inputs, words) a linear map of the input into the node's words; by default word k is input k.
    Raises InputError for a program without rounds or with a `Route` (compile that by the back end `sortnet`).
    """
    steps = [step for step in program.rounds if isinstance(step, Round)]
    if len(steps) < len(program.rounds):
        raise InputError(f"program {program.name} routes by data; remove its Route rounds by the back end sortnet")
    if not steps:
        raise InputError(f"program {program.name} has no rounds")
    nodes, d = program.nodes + 1, max(program.words, program.lanes, 1)
    first = np.eye(program.inputs, program.words) if first is None else first
    tensors: dict[str, np.ndarray] = {
        "positions": np.eye(nodes),
        "embed.linear": np.pad(first, ((0, 0), (0, d - program.words))),
        "embed.bias": np.zeros(d),
    }
    layers = []
    for i, step in enumerate(steps):
        heads = max(1, len(step.lanes))
        key, value, output = np.zeros((heads, nodes, nodes)), np.zeros((heads, d, 1)), np.zeros((heads, 1, d))
        for h, lane in enumerate(step.lanes):
            # query of node i is e_i, so the score of node j is key[j, i]
            sources = [program.nodes if source == SINK else source for source in (*lane.sources, SINK)]
            key[h, sources, np.arange(nodes)] = beta
            value[h, lane.word, 0] = output[h, 0, h] = 1.0
        net = compile_net(step.update, lambda leaf: _column(leaf, d), 2 * d)
        for k, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
            last = k == len(net.weights) - 1
            tensors[f"layers.{i}.mlp.{k}.weight"] = np.pad(weight, ((0, 0), (0, d - program.words))) if last else weight
            tensors[f"layers.{i}.mlp.{k}.bias"] = np.pad(bias, (0, d - program.words)) if last else bias
        tensors |= {f"layers.{i}.query": np.tile(np.eye(nodes), (heads, 1, 1)), f"layers.{i}.key": key}
        tensors |= {f"layers.{i}.value": value, f"layers.{i}.output": output}
        layers.append(PositionalLayer(heads, nodes, 1, net.hidden))
    readout, bias = np.zeros((d, len(program.outputs))), np.zeros(len(program.outputs))
    for o, expression in enumerate(program.outputs):
        bias[o] = expression.constant
        for atom, coefficient in expression.terms:
            if not isinstance(atom, Leaf) or atom.kind != "own":
                raise InputError(f"program {program.name}: output {o} must be an affine function of the node's words")
            readout[atom.index, o] = coefficient
    tensors |= {"readout.weight": readout, "readout.bias": bias}
    arch = Positional(nodes, 1, program.inputs, d, nodes, tuple(layers), len(program.outputs))
    return Model(arch, tensors)


def _column(leaf: Leaf, d: int) -> int:
    return leaf.index if leaf.kind == "received" else d + leaf.index


def program_size(program: Program) -> Size:
    """The size of `compile_direct(program)` without building it: 64-bit stored numbers."""
    d, nodes = max(program.words, program.lanes, 1), program.nodes + 1
    parameters = nodes * nodes + program.inputs * d + d + (d + 1) * len(program.outputs)
    most = 1
    for step in program.rounds:
        if not isinstance(step, Round):
            raise InputError(f"program {program.name} routes by data; remove its Route rounds by the back end sortnet")
        heads, net = max(1, len(step.lanes)), compile_net(step.update, lambda leaf: _column(leaf, d), 2 * d)
        widths = (2 * d, *net.hidden, d)
        parameters += 2 * heads * nodes * nodes + 2 * heads * d
        parameters += sum((a + 1) * b for a, b in pairwise(widths))
        most = max(most, heads)
    return Size(len(program.rounds), most, d, nodes, 1, nodes, None, parameters, Precision(64, "stored"))
