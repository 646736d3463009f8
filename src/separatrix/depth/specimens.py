"""Models built for few bits: attention by +-1 codes of positions, whose best score is the same at every query.

A table of exponentials spans only `exp_bits` bits below its greatest code, so keys whose scores grow with the position
(the quadratic ones) do not survive quantisation. Here the right position scores `BEST`, every other one 2 gain less or
lower still: a constant coordinate shifts the scores.
"""

from __future__ import annotations

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.models.model import Model
from separatrix.tasks.equality import Equality
from separatrix.tasks.index_lookup import IndexLookup

BEST = 7.0  # the greatest code of scores:4.0


def codes(n: int) -> np.ndarray:
    """(n, bits) the numbers 0 .. n-1 in binary, as +-1."""
    bits = max(1, (n - 1).bit_length())
    return 2.0 * (np.arange(n)[:, None] >> np.arange(bits) & 1) - 1.0


def by_codes(parts: Residual, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Query and key maps whose score is BEST - 2 gain (number of bits in which the codes differ)."""
    eye, bits = np.eye(parts.width), parts.slice("place").stop - parts.slice("place").start
    query = np.concatenate([gain * eye[:, parts.slice("query")], (BEST - gain * bits) * eye[:, parts.slice("one")]], 1)
    key = np.concatenate([eye[:, parts.slice("place")], eye[:, parts.slice("one")]], axis=1)
    return query[None], key[None]


def lookup_by_codes(task: IndexLookup, n: int, gain: float = 2.0) -> Model:
    """One layer: the query token j holds the code of j, position i its own; symbols are +-1 codes, too."""
    place, symbol = codes(n), codes(task.symbols)
    parts = Residual.of(symbol=symbol.shape[1], place=place.shape[1], query=place.shape[1], one=1)
    token = np.zeros((task.symbols + n, parts.width))
    token[: task.symbols, parts.slice("symbol")] = symbol
    token[task.symbols :, parts.slice("query")] = place
    position = np.zeros((n + 1, parts.width))
    position[:n, parts.slice("place")] = place
    position[:, parts.slice("one")] = 1.0
    eye, (query, key) = np.eye(parts.width), by_codes(parts, gain)
    readout = np.zeros((parts.width, task.symbols))
    readout[parts.slice("symbol")] = symbol.T
    return Model(
        Arch(
            parts.width,
            Table(task.symbols + n, n + 1),
            (Attention(1, place.shape[1] + 1, symbol.shape[1]),),
            Readout(task.symbols),
            residual=parts.parts,
        ),
        {
            "embed.token": token,
            "embed.position": position,
            "layers.0.query": query,
            "layers.0.key": key,
            "layers.0.value": eye[None, :, parts.slice("symbol")],
            "layers.0.output": eye[None, parts.slice("symbol"), :],
            "readout.weight": readout,
            "readout.bias": np.zeros(task.symbols),
        },
    )


def equality_by_codes(task: Equality, n: int, gain: float = 2.0) -> Model:
    """Two layers (after Bhattamishra et al. 2024, Theorem 6): fetch the partner's symbol, flag a difference, add flags.

    The second layer's mean of flags is multiplied by n / 2 in the value map, so that one flag is worth 1/2 or more
    before it is rounded; sums above the range saturate, which does no harm.
    """
    place, symbol = codes(n), codes(task.symbols)
    bits, half = symbol.shape[1], n // 2
    parts = Residual.of(symbol=bits, fetched=bits, flag=1, place=place.shape[1], query=place.shape[1], one=1)
    own, fetched, flag = map(parts.slice, ("symbol", "fetched", "flag"))
    token = np.zeros((task.symbols, parts.width))
    token[:, own] = symbol
    position = np.zeros((n, parts.width))
    position[:, parts.slice("place")] = place
    target = np.where(np.arange(n) < half, np.arange(n), np.arange(n) - half)
    position[:, parts.slice("query")] = place[target]
    position[:, parts.slice("one")] = 1.0
    inner, out = np.zeros((parts.width, 2 * bits)), np.zeros((2 * bits, parts.width))
    for bit in range(bits):  # relu(own - fetched - 1) + relu(fetched - own - 1): 1 if they differ, else 0
        for unit, sign in ((2 * bit, 1.0), (2 * bit + 1, -1.0)):
            inner[own.start + bit, unit], inner[fetched.start + bit, unit] = sign, -sign
            out[unit, flag.start] = 1.0
    eye, (query, key), readout = np.eye(parts.width), by_codes(parts, gain), np.zeros((parts.width, 2))
    readout[flag, 0] = 1.0
    return Model(
        Arch(
            parts.width,
            Table(task.symbols, n),
            (
                Attention(1, place.shape[1] + 1, bits, residual=True),
                FeedForward(2 * bits, residual=True),
                Attention(1, 1, 1),
            ),
            Readout(2),
            residual=parts.parts,
        ),
        {
            "embed.token": token,
            "embed.position": position,
            "layers.0.query": query,
            "layers.0.key": key,
            "layers.0.value": eye[None, :, own],
            "layers.0.output": eye[None, fetched, :],
            "layers.1.in": inner,
            "layers.1.in_bias": np.full(2 * bits, -1.0),
            "layers.1.out": out,
            "layers.1.out_bias": np.zeros(parts.width),
            "layers.2.query": np.zeros((1, parts.width, 1)),
            "layers.2.key": np.zeros((1, parts.width, 1)),
            "layers.2.value": eye[None, :, flag] * n / 2,
            "layers.2.output": eye[None, flag, :],
            "readout.weight": readout,
            "readout.bias": np.array([0.0, 0.25]),
        },
    )
