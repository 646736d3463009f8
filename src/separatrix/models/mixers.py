"""The layers of `core.mixers` in NumPy float64, one position at a time: the reference for their parallel forms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.mixers import DeltaNet, Dense, LinearAttention, Mixer, Retention, Rwkv, SelectiveSsm, mixer_state

EPS = 1e-6  # of root mean squares, lengths and normalisers
FAINT = -1e38  # logarithm of a weight that is none
Tensors = Mapping[str, np.ndarray]


def mixer_start(layer: Mixer) -> np.ndarray:
    """(state,) before the first position."""
    start = np.zeros(mixer_state(layer))
    if isinstance(layer, Rwkv):
        start[layer.units : 2 * layer.units] = FAINT
    return start


def mixer_step(layer: Mixer, t: Tensors, old: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(batch, state) after a position where the layer, of tensors t, reads x (batch, below)."""
    x = _read(layer, t, x)
    match layer:
        case LinearAttention():
            key, value = _features(_heads(layer, x @ t["key"])), _heads(layer, x @ t["value"])
            value = np.concatenate([value, np.ones((*value.shape[:2], 1))], axis=2)
            return (_state(layer, old) + key[..., None] * value[:, :, None]).reshape(old.shape)
        case Retention():
            key, value = _heads(layer, x @ t["key"]) / np.sqrt(layer.key_width), _heads(layer, x @ t["value"])
            kept = _turned(layer, _state(layer, old)) * np.array(layer.factors)[:, None, None]
            return (kept + key[..., None] * value[:, :, None]).reshape(old.shape)
        case DeltaNet():
            key, value = _unit(_heads(layer, swish(x @ t["key"]))), _heads(layer, swish(x @ t["value"]))
            strength, state = sigmoid(x @ t["strength"]) * (2.0 if layer.negative else 1.0), _state(layer, old)
            missing = value - np.einsum("bhm,bhmv->bhv", key, state)
            return (state + (strength[..., None] * key)[..., None] * missing[:, :, None]).reshape(old.shape)
        case SelectiveSsm():
            return _selective_step(layer, t, old, x)
        case Rwkv():
            u, share = layer.units, _shares(layer, t, old, x)
            mean, log = old[:, :u], old[:, u : 2 * u]
            key, value = share["key"] @ t["key"], share["value"] @ t["value"]
            weight = np.logaddexp(log - np.exp(t["decay"]), key)
            return np.concatenate([mean + (value - mean) * np.exp(key - weight), weight, x], axis=1)
        case Dense():
            return old


def mixer_output(layer: Mixer, t: Tensors, old: np.ndarray, new: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(batch, hidden) what the layer hands on where it read x and its state went from `old` to `new`."""
    out = _mixed(layer, t, old, new, _read(layer, t, x)) @ t["out"]
    if isinstance(layer, Dense):
        out = out + t["out_bias"]
    return out + x if layer.residual else out


def _mixed(layer: Mixer, t: Tensors, old: np.ndarray, new: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(batch, columns) before the last map."""
    match layer:
        case LinearAttention():
            both = np.einsum("bhm,bhmv->bhv", _features(_heads(layer, x @ t["query"])), _state(layer, new))
            return (both[..., :-1] / (both[..., -1:] + EPS)).reshape(len(x), -1)
        case Retention():
            seen = np.einsum("bhm,bhmv->bhv", _heads(layer, x @ t["query"]), _state(layer, new))
            return _by_size(seen).reshape(len(x), -1) * swish(x @ t["gate"])
        case DeltaNet():
            query = _unit(_heads(layer, swish(x @ t["query"])))
            seen = np.einsum("bhm,bhmv->bhv", query, _state(layer, new))
            return (_by_size(seen) * t["head_scale"]).reshape(len(x), -1)
        case SelectiveSsm():
            inner, (_, _, read) = _selected(layer, t, old, x)
            state = new[:, : layer.units * layer.states].reshape(len(x), layer.units, layer.states)
            gate = swish((x @ t["in"])[:, layer.units :])
            return (np.einsum("bus,bs->bu", state, read) + inner * t["skip_scale"]) * gate
        case Rwkv():
            u, share = layer.units, _shares(layer, t, old, x)
            mean, log = old[:, :u], old[:, u : 2 * u]
            key, value = share["key"] @ t["key"] + t["first"], share["value"] @ t["value"]
            heard = mean + (value - mean) * np.exp(key - np.logaddexp(log, key))
            return sigmoid(share["receptance"] @ t["receptance"]) * heard
        case Dense():
            return np.maximum(x @ t["in"] + t["in_bias"], 0.0)


def _read(layer: Mixer, t: Tensors, x: np.ndarray) -> np.ndarray:
    return _by_size(x) * t["norm_scale"] if layer.norm == "rms" else x


def _heads(layer: LinearAttention | Retention | DeltaNet, x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), layer.heads, -1)


def _state(layer: LinearAttention | Retention | DeltaNet, flat: np.ndarray) -> np.ndarray:
    """(batch, heads, key_width, columns)."""
    return flat.reshape(len(flat), layer.heads, layer.key_width, -1)


def _features(x: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(x, 0.0)) + np.maximum(x, 0.0)


def _turned(layer: Retention, state: np.ndarray) -> np.ndarray:
    """The state's keys turned back by one position, pair by pair."""
    if not layer.base:
        return state
    angle = layer.base ** (-2.0 * np.arange(layer.key_width // 2) / layer.key_width)[:, None]
    even, odd = state[:, :, 0::2], state[:, :, 1::2]
    parts = [even * np.cos(angle) + odd * np.sin(angle), odd * np.cos(angle) - even * np.sin(angle)]
    return np.stack(parts, axis=3).reshape(state.shape)


def _selected(layer: SelectiveSsm, t: Tensors, old: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """(batch, units) what the channels read, and the steps, writing and reading vectors that it selects."""
    inner, c = (x @ t["in"])[:, : layer.units], layer.convolution
    if c:
        window = np.concatenate([_last(layer, old), inner[:, None]], axis=1)
        inner = swish((window * t["mix"]).sum(axis=1) + t["mix_bias"])
    low, write, read = np.split(inner @ t["select"], [layer.rank, layer.rank + layer.states], axis=1)
    return inner, [np.logaddexp(0.0, low @ t["step"] + t["step_bias"]), write, read]


def _selective_step(layer: SelectiveSsm, t: Tensors, old: np.ndarray, x: np.ndarray) -> np.ndarray:
    inner, (step, write, _) = _selected(layer, t, old, x)
    state = old[:, : layer.units * layer.states].reshape(len(x), layer.units, layer.states)
    state = np.exp(-step[..., None] * np.exp(t["rate"])) * state + (step * inner)[..., None] * write[:, None]
    last = np.concatenate([_last(layer, old), (x @ t["in"])[:, None, : layer.units]], axis=1)[:, 1:]
    kept = last.reshape(len(x), -1) if layer.convolution else last[:, :0, 0]
    return np.concatenate([state.reshape(len(x), -1), kept], axis=1)


def _last(layer: SelectiveSsm, old: np.ndarray) -> np.ndarray:
    """(batch, convolution - 1, units) oldest first."""
    return old[:, layer.units * layer.states :].reshape(len(old), -1, layer.units)


def _shares(layer: Rwkv, t: Tensors, old: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    before = old[:, 2 * layer.units :]
    return {n: x * t[f"{n}_share"] + before * (1.0 - t[f"{n}_share"]) for n in ("receptance", "key", "value")}


def _by_size(x: np.ndarray) -> np.ndarray:
    """Divided by the root mean square of the last axis."""
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPS)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).sum(axis=-1, keepdims=True) + EPS)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def swish(x: np.ndarray) -> np.ndarray:
    """x times its sigmoid."""
    return x * sigmoid(x)
