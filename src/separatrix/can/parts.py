"""Parts that several lookup constructions share: binary symbol codes, and one head from a query to a position block."""

from __future__ import annotations

import math

import numpy as np

from separatrix.core.arch import Arch, Attention, Readout, Residual, Table
from separatrix.tasks.index_lookup import IndexLookup


def code_bits(symbols: int) -> int:
    """Bits of a symbol's binary code."""
    return max(1, math.ceil(math.log2(symbols)))


def binary_codes(symbols: int) -> np.ndarray:
    """(symbols, bits) binary codes in +-1; distinct symbols differ in a sign, so a code agrees best with itself."""
    return 1.0 - 2.0 * ((np.arange(symbols)[:, None] >> np.arange(code_bits(symbols))) & 1)


def symbol_bits(task: IndexLookup) -> int:
    """Bits of a symbol of the task."""
    return code_bits(task.symbols)


def lookup_arch(task: IndexLookup, n: int, residual: Residual, key_width: int) -> Arch:
    """One softmax head; no residual connection, since the query's own stream is not read."""
    return Arch(
        width=residual.width,
        first=Table(vocabulary=task.symbols + n, positions=n + 1),
        layers=(Attention(heads=1, key_width=key_width, value_width=symbol_bits(task)),),
        readout=Readout(task.symbols),
        residual=residual.parts,
    )


def lookup_tensors(
    task: IndexLookup, residual: Residual, queries: np.ndarray, keys: np.ndarray, dtype: type = np.float64
) -> dict[str, np.ndarray]:
    """Weights of the head: index token q carries queries[q], position j carries keys[j], symbols carry their code.

    W_Q, W_K, W_V select the blocks `query`, `position`, `symbol`; logit of a symbol = agreement with its code.
    """
    n = len(keys)
    d, symbol, query, position = residual.width, *map(residual.slice, ("symbol", "query", "position"))
    codes = binary_codes(task.symbols)
    token = np.zeros((task.symbols + n, d), dtype=dtype)
    token[: task.symbols, symbol] = codes
    token[task.symbols :, query] = queries
    place = np.zeros((n + 1, d), dtype=dtype)
    place[:n, position] = keys
    readout = np.zeros((d, task.symbols), dtype=dtype)
    readout[symbol] = codes.T
    eye = np.eye(d, dtype=dtype)
    return {
        "embed.token": token,
        "embed.position": place,
        "layers.0.query": eye[None, :, query],
        "layers.0.key": eye[None, :, position],
        "layers.0.value": eye[None, :, symbol],
        "layers.0.output": eye[None, symbol, :],
        "readout.weight": readout,
        "readout.bias": np.zeros(task.symbols, dtype=dtype),
    }
