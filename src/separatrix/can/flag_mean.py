"""Two layers around a feed-forward net: every position fetches, raises a flag or not, and the last takes the mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.models.model import Model


def flag_mean(
    embed: tuple[np.ndarray, np.ndarray],
    residual: Residual,
    carried: slice,
    inner: tuple[np.ndarray, np.ndarray, np.ndarray],
    flagged: int,
) -> Model:
    """The model whose label `flagged` has the mean flag for its logit, the other label 1/(2N).

    Args:
        embed: (symbols, width) and (N, width), of tokens and positions.
        residual: with slices `fetched`, `flag`, `query` and `position` (the keys of the first layer).
        carried: what a position brings into `fetched` of those that attend to it.
        inner: weights in (width, hidden), bias (hidden,) and weights out (hidden, width) of the feed-forward net.
    """
    (token, place), (into, bias, out) = embed, inner
    fetched, flag, query, position = map(residual.slice, ("fetched", "flag", "query", "position"))
    n, d, eye = len(place), residual.width, np.eye(residual.width)
    readout = np.zeros((d, 2))
    readout[flag, flagged] = 1.0
    layers = (
        Attention(heads=1, key_width=2, value_width=carried.stop - carried.start, residual=True),
        FeedForward(hidden=len(bias), residual=True),
        Attention(heads=1, key_width=1, value_width=1),
    )
    tensors: Mapping[str, np.ndarray] = {
        "embed.token": token,
        "embed.position": place,
        "layers.0.query": eye[None, :, query],
        "layers.0.key": eye[None, :, position],
        "layers.0.value": eye[None, :, carried],
        "layers.0.output": eye[None, fetched, :],
        "layers.1.in": into,
        "layers.1.in_bias": bias,
        "layers.1.out": out,
        "layers.1.out_bias": np.zeros(d),
        "layers.2.query": np.zeros((1, d, 1)),
        "layers.2.key": np.zeros((1, d, 1)),
        "layers.2.value": eye[None, :, flag],
        "layers.2.output": eye[None, flag, :],
        "readout.weight": readout,
        "readout.bias": np.where(np.arange(2) == flagged, 0.0, 0.5 / n),
    }
    return Model(Arch(d, Table(len(token), n), layers, Readout(2), residual=residual.parts), tensors)
