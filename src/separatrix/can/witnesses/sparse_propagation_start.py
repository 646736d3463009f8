"""Sparse propagation by dual certificates as keys, and a start token: the head of the routing lemma.

Sanford, Hsu, Telgarsky 2024, appendix B: position i asks with u_i, sender j has the key w_S of the set S that it sends
to, <u_i, w_S> = 1 for i in S and less elsewhere, and a start token that carries nothing scores in between. Keys are
random signs with one more coordinate 1, by which the start token scores alike for all, or one-hot where that is
narrower; w_S is the least-norm dual certificate. That one draw serves all sets is shown by looking at all of them.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.codes import random_signs
from separatrix.can.witness import require, witness
from separatrix.can.witnesses.sparse_averaging_random import DRAWS, MOST_SETS, worst_score
from separatrix.core.arch import Arch, Attention, PointerSet, Readout, Residual
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.sparse_propagation import SparsePropagation

MOST_POINTERS = 16
SHARE = 15 / 16  # of eps; the rest pays for rounding


def key_width(task: SparsePropagation, n: int) -> int:
    """m = 8 q ln N signs and a 1; N where that is no more."""
    return min(n, max(2 * task.q, math.ceil(8 * task.q * math.log(max(2, n)))) + 1)


def size(task: SparsePropagation, n: int) -> Size:
    """One head of key width m; width dim + 2 m."""
    task.domain(n)
    sets = math.comb(n, task.q)
    require(
        sets <= MOST_SETS and task.q <= MOST_POINTERS,
        f"sparse-propagation-start: N = {n}, q = {task.q}: {sets} sets of receivers to look at; take C(N, q) up to "
        f"2^18 and q up to {MOST_POINTERS}",
    )
    m, dim = key_width(task, n), task.dim
    width = dim + 2 * m
    parameters = n * m + 1 + width + 2 * width * m + 2 * width * dim + width * dim + dim
    return Size(1, 1, width, m, dim, n + 1, None, parameters, Precision(64, "stored"))


@witness(
    "sparse-propagation-start",
    task="sparse-propagation",
    source="Sanford, Hsu, Telgarsky 2024, Proposition B.1 (sparse propagation)",
    formula="1 head, key width m = min(N, ⌈8q ln N⌉ + 1), value width d, width d + 2m, one start token, 64 stored "
    "bits; all C(N, q) sets scored, up to 2^18",
    size=size,
    method="senders",
    growth="log",  # key width 8q ln N; `size` ends before 2^10
)
def build(task: SparsePropagation, n: int) -> Model:
    """2 N e^(-alpha g) <= 15/16 eps for g, half the gap between senders and others."""
    m = size(task, n).key_width
    assert m is not None
    keys, start, off = np.eye(n), np.ones(n), 0.0
    if m < n:
        found = []
        for seed in range(DRAWS):
            keys = np.hstack([random_signs(n, m - 1, seed).astype(np.float64), np.ones((n, 1))])
            off = max(0.0, worst_score(keys, task.q))
            found.append((off, seed))
            if off <= 0.75:
                break
        off, seed = min(found)
        require(off < 0.999, f"sparse-propagation-start: N = {n}, q = {task.q}: none of {DRAWS} draws serves every set")
        keys = np.hstack([random_signs(n, m - 1, seed).astype(np.float64), np.ones((n, 1))])
        start = np.eye(m)[-1]  # <u_i, start> = 1 for every i
    alpha = math.log(2 * n / (SHARE * task.eps)) / ((1 - off) / 2)
    residual = Residual.of(z=task.dim, key=m, query=m)
    z, key, query = map(residual.slice, ("z", "key", "query"))
    eye, blank = np.eye(residual.width), np.zeros(residual.width)
    blank[query] = alpha * (1 + off) / 2 * start
    arch = Arch(
        width=residual.width,
        first=PointerSet(pointers=task.q, positions=n, reals=task.dim, key_width=m, query="least-norm"),
        layers=(Attention(heads=1, key_width=m, value_width=task.dim),),
        readout=Readout(task.dim, "reals"),
        blank=True,
        residual=residual.parts,
    )
    tensors = {
        "embed.keys": keys,
        "embed.temperature": np.asarray(alpha),
        "embed.blank": blank,
        "layers.0.query": eye[None, :, key],
        "layers.0.key": eye[None, :, query],
        "layers.0.value": eye[None, :, z],
        "layers.0.output": eye[None, z],
        "readout.weight": eye[:, z],
        "readout.bias": np.zeros(task.dim),
    }
    return Model(arch, tensors)
