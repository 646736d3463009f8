"""Sparse propagation: each token sends what it carries to q tokens; answer with the mean of what arrives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import PointerSets, RealAnswer, Reals, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

MOST_AIMS = 2**24  # pairs of positions that are held at a time


@registry.register("sparse-propagation")
@dataclass(frozen=True)
class SparsePropagation(Task):
    """Token j is (z_j, S_j, j): z_j in the unit ball of R^dim, S_j the q positions that it sends to.

    Answer at i: the mean of z_j over the j with i in S_j, and 0 where nobody sends to i. Sparse averaging turned round:
    the sender chooses, so that a position may hear from nobody or from all. tokens: (batch, N, q) pointers, increasing,
    counted from 0. reals: (batch, N, dim). Right means within `eps` in the Euclidean norm at every position.

    >>> z = np.array([[3, 1, 4, 1.0]])[..., None]
    >>> sent = np.array([[[1, 2], [0, 2], [1, 2], [0, 1]]])
    >>> SparsePropagation(q=2).answer(sent, z)[0, :, 0].round(3)
    array([1.   , 2.667, 2.667, 0.   ])
    """

    q: int = 2
    dim: int = 1
    eps: float = 0.01

    name = "sparse-propagation"
    gloss = "every token sends to q tokens: answer with the mean of what arrives"
    source = "Sanford, Hsu, Telgarsky 2024, appendix B (sparse propagation, the head of the routing lemma)"

    def __post_init__(self) -> None:
        if not 1 <= self.q <= 4096 or not 1 <= self.dim <= 4096:
            raise InputError(f"sparse-propagation: q = {self.q}, dim = {self.dim}; take 1 to 4096 each")
        if not 0.0 < self.eps < 1.0:
            raise InputError(f"sparse-propagation: eps = {self.eps}; take a number between 0 and 1")

    def domain(self, n: int) -> Sequence:
        if not self.q <= n <= 2**20:
            raise InputError(f"sparse-propagation: n = {n}; take q = {self.q} to {2**20} tokens")
        return Sequence((PointerSets(n, self.q),) * n, vocabulary=0, reals=Reals("ball", self.dim))

    def outputs(self) -> RealAnswer:
        return RealAnswer(self.dim, self.eps)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        assert reals is not None, "sparse propagation needs the real parts"
        batch, n = tokens.shape[:2]
        step = max(1, MOST_AIMS // n**2)
        if batch > step:
            parts = [self.answer(tokens[at : at + step], reals[at : at + step]) for at in range(0, batch, step)]
            return np.concatenate(parts)
        aims = self.aims(tokens).astype(np.float64)
        return np.einsum("bji,bjd->bid", aims, reals) / np.maximum(aims.sum(axis=1), 1.0)[:, :, None]

    def aims(self, tokens: np.ndarray) -> np.ndarray:
        """(batch, N, N) whether token j (axis 1) sends to position i (axis 2)."""
        out = np.zeros((*tokens.shape[:2], tokens.shape[1]), dtype=bool)
        np.put_along_axis(out, tokens, True, axis=2)
        return out

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray]:
        """`uniform`: random sets and directions, half of the lengths 1; `signs`: z = +-1 corners scaled."""
        if distribution not in ("uniform", "signs"):
            raise InputError(f"sparse-propagation: distribution {distribution!r} is not known; uniform, signs")
        self.domain(n)
        keys = rng.random((size, n, n)).argsort(axis=2)[:, :, : self.q]
        directions = rng.standard_normal((size, n, self.dim))
        if distribution == "signs":
            directions = np.sign(directions) + (directions == 0)
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
        radii = np.where(rng.random((size, n, 1)) < 0.5, 1.0, rng.random((size, n, 1)))
        return np.sort(keys, axis=2), directions * (1.0 if distribution == "signs" else radii)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        values = [""] * len(tokens) if reals is None else [np.array2string(z, precision=3) + " " for z in reals]
        sets = ("{" + ",".join(map(str, y)) + "}" for y in tokens)
        return " ".join(f"({z}to {y})" for z, y in zip(values, sets, strict=True))
