"""A model of the house under `bits:` semantics as a quantised network, which the compiler and the emulator read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Arch
from separatrix.core.semantics import BitsSpec
from separatrix.models.quantised import Embedding, Heads, Map, Quantised, Scores
from separatrix.numbers import FixedFormat
from separatrix.numbers.integers import IntegerAttention, integer_net


def quantised(
    arch: Arch, tensors: Mapping[str, np.ndarray], positions: int, queries: tuple[int, ...], spec: BitsSpec
) -> Quantised:
    """The network whose logits at `queries` are those of `numbers.integers`; a blank is one more row, of any token.

    UnknownError where `bits:` semantics does not reach.
    """
    net = integer_net(arch, tensors, positions, spec)
    rows = net.rows
    if net.blank is not None:
        rows = np.concatenate([rows, np.broadcast_to(net.blank, (1, *rows.shape[1:]))])
    n, _, d = rows.shape
    layers = []
    for layer in net.layers:
        if isinstance(layer, IntegerAttention):
            seen = np.tril(np.ones((n, n), dtype=bool)) if layer.causal else np.ones((n, n), dtype=bool)
            table = tuple(layer.table.tolist())
            scores = tuple(
                Scores(np.broadcast_to(one, (n, n, d, d)), layer.score_shift, layer.code_low, table)
                for one in layer.score
            )
            layers.append(
                Heads(
                    scores, tuple(layer.value), layer.shift, seen, "softmax", layer.output, layer.shift, layer.residual
                )
            )
        else:
            out = Map(layer.out, layer.out_bias, layer.shift)
            layers.append(Map(layer.inner, layer.inner_bias, layer.shift, True, out, layer.residual))
    return Quantised(
        n, d, FixedFormat(spec.bits, spec.fraction), tuple(layers), Embedding(rows), queries,
        (net.readout, net.readout_bias), "quantised model",
    )  # fmt: skip


def tokens_of(network: Quantised, tokens: np.ndarray) -> np.ndarray:
    """(lanes, network rows) tokens with a 0 for the blank's row, which ignores it."""
    missing = network.n - tokens.shape[1]
    return np.concatenate([tokens, np.zeros((len(tokens), missing), dtype=tokens.dtype)], axis=1)
