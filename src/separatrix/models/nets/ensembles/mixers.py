"""Ensembles of the layers of `core.mixers`, all positions at once; `models.mixers` goes from one to the next.

Sums over earlier positions are products with masked N x N matrices inside chunks, and go through the state between
them: what is faster than steps wherever the transition is linear. Selective and diagonal transitions are scanned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad, silu, softplus

from separatrix.core.mixers import DeltaNet, Dense, LinearAttention, Mixer, Retention, Rwkv, SelectiveSsm
from separatrix.models.mixers import EPS, FAINT
from separatrix.models.nets.ensembles.numeric import turned
from separatrix.models.nets.ensembles.parts import exactly, mapped
from separatrix.models.nets.ensembles.scans import LinearScan, SelectiveScan

CHUNK = 64  # positions whose pairs are looked at
SOLVED = 32  # the same where a triangular system is solved
At = Sequence[int] | None


def mixer_outputs(layer: Mixer, t: Mapping[str, Tensor], x: Tensor, at: At = None) -> Tensor:
    """(members, batch, queries, hidden) what the layer hands on at the positions `at`, of all of x by default."""
    at = None if at is None else [range(x.shape[2])[j] for j in at]
    read = _by_size(x) * t["norm_scale"][:, None, None] if layer.norm == "rms" else x
    asked = read if at is None else read[:, :, list(at)]
    match layer:
        case LinearAttention():
            q, k = (_features(_heads(layer, mapped(part, t[n]))) for part, n in ((asked, "query"), (read, "key")))
            v = pad(_heads(layer, mapped(read, t["value"])), (0, 1), value=1.0)
            both = exactly(partial(decayed, factors=None, at=at), q, k, v)
            mixed = _joined(both[..., :-1] / (both[..., -1:] + EPS))
        case Retention():
            mixed = _retention(layer, t, read, asked, at)
        case DeltaNet():
            mixed = _delta(layer, t, read, at)
        case SelectiveSsm():
            mixed = _chosen(_selective(layer, t, read), at)
        case Rwkv():
            mixed = _chosen(_rwkv(t, read), at)
        case Dense():
            mixed = torch.relu(mapped(asked, t["in"], t["in_bias"]))
    out = mapped(mixed, t["out"], t.get("out_bias"))
    return out + _chosen(x, at) if layer.residual else out


def decayed(q: Tensor, k: Tensor, v: Tensor, factors: Sequence[float] | None, at: At = None) -> Tensor:
    """(.., heads, queries, v) sum over j <= i of g^(i - j) (q_i . k_j) v_j, with g of the head (1 by default).

    q (.., heads, queries, m) at the positions `at`, of all by default; k and v (.., heads, positions, ..).
    """
    length = k.shape[-2]
    g = None if factors is None else torch.tensor(factors, dtype=q.dtype, device=q.device)[:, None, None]
    if at is not None or length <= CHUNK:
        rows = torch.arange(length, device=q.device) if at is None else torch.tensor(list(at), device=q.device)
        return (q @ k.transpose(-1, -2) * _powers(g, rows[:, None] - torch.arange(length, device=q.device), q)) @ v
    parts, state = [], None
    for first in range(0, length, CHUNK):
        own, key, value = (x[..., first : first + CHUNK, :] for x in (q, k, v))
        here = torch.arange(own.shape[-2], device=q.device)
        out = (own @ key.transpose(-1, -2) * _powers(g, here[:, None] - here, q)) @ value
        if state is not None:
            out = out + (own if g is None else own * g ** (here[:, None] + 1)) @ state
        parts.append(out)
        new = (key if g is None else key * g ** (len(here) - 1 - here[:, None])).transpose(-1, -2) @ value
        state = new if state is None else (state if g is None else state * g ** len(here)) + new
    return torch.cat(parts, dim=-2)


def _powers(g: Tensor | None, gap: Tensor, like: Tensor) -> Tensor:
    """g^gap, and 0 for what is yet to come."""
    past = gap >= 0
    return past.to(like.dtype) if g is None else torch.where(past, g ** gap.clamp(min=0), 0.0)


def delta_rule(q: Tensor, k: Tensor, v: Tensor, b: Tensor, at: At = None) -> Tensor:
    """(.., queries, v) q_i S_i where S <- S + b k^T (v - k S), for q, k (.., positions, m), v and b (.., positions, 1).

    In a chunk the corrections u = b (v - k S) solve the unit triangular system u_i + b_i sum_{j<i} (k_i . k_j) u_j =
    b_i (v_i - k_i S_0) (Yang et al. 2024).
    """
    parts, state, length = [], None, k.shape[-2]
    order = None if at is None else sorted(set(at))
    for first in range(0, length, SOLVED):
        own, key, value, strong = (x[..., first : first + SOLVED, :] for x in (q, k, v, b))
        missing = strong * (value if state is None else value - key @ state)
        system = strong * (key @ key.transpose(-1, -2))  # what is on and above the diagonal is not looked at
        u = torch.linalg.solve_triangular(system, missing, upper=False, unitriangular=True)
        size = own.shape[-2]
        here = list(range(size)) if order is None else [j - first for j in order if first <= j < first + size]
        if here:
            asked = own if order is None else own[..., here, :]
            gap = torch.tensor(here, device=q.device)[:, None] - torch.arange(size, device=q.device)
            out = (asked @ key.transpose(-1, -2) * (gap >= 0)) @ u
            parts.append(out if state is None else out + asked @ state)
        new = key.transpose(-1, -2) @ u
        state = new if state is None else state + new
    found = torch.cat(parts, dim=-2)
    return found if order is None or at is None else found[..., [order.index(j) for j in at], :]


def _retention(layer: Retention, t: Mapping[str, Tensor], read: Tensor, asked: Tensor, at: At) -> Tensor:
    q, k, v = (_heads(layer, mapped(read, t[name])) for name in ("query", "key", "value"))
    if layer.base:
        q, k = turned(q, layer.base), turned(k, layer.base)
    q = q if at is None else q[..., list(at), :]
    seen = exactly(partial(decayed, factors=layer.factors, at=at), q, k / layer.key_width**0.5, v)
    return _joined(_by_size(seen)) * silu(mapped(asked, t["gate"]))


def _delta(layer: DeltaNet, t: Mapping[str, Tensor], read: Tensor, at: At) -> Tensor:
    q, k, v = (_heads(layer, silu(mapped(read, t[name]))) for name in ("query", "key", "value"))
    strength = torch.sigmoid(mapped(read, t["strength"])).transpose(2, 3)[..., None]
    strength = strength * 2.0 if layer.negative else strength
    seen = exactly(partial(delta_rule, at=at), _unit(q), _unit(k), v, strength)
    return _joined(_by_size(seen) * t["head_scale"][:, None, None, None])


def _selective(layer: SelectiveSsm, t: Mapping[str, Tensor], read: Tensor) -> Tensor:
    inner, gate = mapped(read, t["in"]).split(layer.units, dim=3)
    if layer.convolution:
        c, length = layer.convolution, inner.shape[2]
        padded = pad(inner, (0, 0, c - 1, 0))
        taps = (padded[:, :, j : j + length] * t["mix"][:, None, None, j] for j in range(c))
        inner = silu(sum(taps, t["mix_bias"][:, None, None]))
    low, write, seen = mapped(inner, t["select"]).split([layer.rank, layer.states, layer.states], dim=3)
    step = softplus(mapped(low, t["step"], t["step_bias"]))
    rate = -torch.exp(t["rate"]).transpose(1, 2)
    out = exactly(_scanned, step, step * inner, rate, write, seen)
    return (out + inner * t["skip_scale"][:, None, None]) * silu(gate)


def _scanned(*given: Tensor) -> Tensor:
    out = SelectiveScan.apply(*given)
    assert isinstance(out, Tensor)
    return out


def _rwkv(t: Mapping[str, Tensor], read: Tensor) -> Tensor:
    before = pad(read, (0, 0, 1, 0))[:, :, :-1]
    r, k, v = (
        mapped(torch.lerp(before, read, t[f"{n}_share"][:, None, None]), t[n]) for n in ("receptance", "key", "value")
    )
    return torch.sigmoid(r) * means(k, v, torch.exp(t["decay"]), t["first"])


def means(k: Tensor, v: Tensor, shrink: Tensor, first: Tensor) -> Tensor:
    """(members, batch, positions, u) means of v so far: weights e^k, times e^-shrink a position; e^(k + first) now.

    A scan of both sums, scaled by the greatest weight of the input; where that is not safe, step by step in logarithms.
    """
    high, now = k.detach().amax(dim=2, keepdim=True), first[:, None, None]
    room = -0.6 * math.log(torch.finfo(k.dtype).tiny)
    spread = (k - high + now.clamp(max=0.0)).flatten(1).amin(dim=1)
    risky = (spread < -room) | (now.flatten(1).amax(dim=1) > room)
    if bool(risky.any()):  # members alone, so that none depends on another
        rows, out = risky.nonzero()[:, 0], torch.zeros_like(k)
        out = out.index_copy(0, rows, _in_logarithms(k[rows], v[rows], shrink[rows], first[rows]))
        rows = (~risky).nonzero()[:, 0]
        return out if not len(rows) else out.index_copy(0, rows, means(k[rows], v[rows], shrink[rows], first[rows]))
    weight = torch.exp(k - high)
    start = torch.zeros_like(k[:, :, 0])
    sums = LinearScan.apply(
        torch.exp(-shrink)[:, None].repeat(1, 1, 2), torch.cat([weight * v, weight], dim=3), start.repeat(1, 1, 2)
    )
    assert isinstance(sums, Tensor)
    above, below = pad(sums, (0, 0, 1, 0))[:, :, :-1].chunk(2, dim=3)
    present = weight * torch.exp(now)
    return (above + present * v) / (below + present)


def _in_logarithms(k: Tensor, v: Tensor, shrink: Tensor, first: Tensor) -> Tensor:
    mean, log, out = torch.zeros_like(v[:, :, 0]), torch.full_like(v[:, :, 0], FAINT), []
    for key, value in zip(k.unbind(2), v.unbind(2), strict=True):
        present = key + first[:, None]
        out.append(mean + (value - mean) * torch.exp(present - torch.logaddexp(log, present)))
        log = torch.logaddexp(log - shrink[:, None], key)
        mean = mean + (value - mean) * torch.exp(key - log)
    return torch.stack(out, dim=2)


def _heads(layer: LinearAttention | Retention | DeltaNet, x: Tensor) -> Tensor:
    """(members, batch, heads, positions, columns)."""
    return x.unflatten(3, (layer.heads, -1)).transpose(2, 3)


def _joined(x: Tensor) -> Tensor:
    return x.transpose(2, 3).flatten(start_dim=3)


def _chosen(x: Tensor, at: At) -> Tensor:
    return x if at is None else x[:, :, list(at)]


def _features(x: Tensor) -> Tensor:
    """elu + 1, without its cancellation."""
    return torch.exp(x.clamp(max=0.0)) + torch.relu(x)


def _by_size(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + EPS)


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(dim=-1, keepdim=True) + EPS)
