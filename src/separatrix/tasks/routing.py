"""Routing: every position holds a number and its destination; position i answers with the number sent to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.closed_form import Delivered
from separatrix.core.domain import Reals, Sequence
from separatrix.core.errors import InputError
from separatrix.tasks import registry
from separatrix.tasks.real_list import RealList


@registry.register("routing")
@dataclass(frozen=True)
class Routing(RealList):
    """Position j holds the destination p_j and the payload x_j in [-scale, scale]; y_(p_j) = x_j, p a permutation.

    tokens: (batch, N), all 0. reals: (batch, N, 2), destination (0 .. N-1, as a real number) and payload. What stands
    there is data: which position reads which differs from input to input. Every answer is right within `eps`.

    >>> Routing().of(np.array([[[2.0, 0.5], [0.0, -1.0], [1.0, 0.25]]]))
    array([[-1.  ,  0.25,  0.5 ]])
    """

    name = "routing"
    gloss = "every position answers with the number that is sent to it; destinations are part of the input"
    source = "Sanford, Hsu, Telgarsky 2024, Lemma 3.2 (routing; here one message a node), and Back de Luca et al. 2025"
    length_word = "nodes"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**16:
            raise InputError(f"{self.name}: n = {n}; take 1 to {2**16} nodes")
        return Sequence((np.zeros(1, dtype=np.int64),) * n, 1, reals=Reals("routed", 2, -self.scale, self.scale))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        assert reals is not None, "routing needs the real parts"
        return self.of(reals)[:, :, None]

    def of(self, x: np.ndarray) -> np.ndarray:
        """(batch, N) answers to (batch, N, 2) destinations and payloads."""
        return np.take_along_axis(x[:, :, 1], x[:, :, 0].argsort(axis=1), axis=1)

    def closed_form(self, n: int, query: int) -> Delivered:
        return Delivered(query)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Uniform destinations; payloads as in `RealList.sample`."""
        tokens, payloads = super().sample(n, size, rng, distribution)
        destinations = rng.random((size, n)).argsort(axis=1).astype(np.float64)
        return tokens, np.concatenate([destinations[:, :, None], payloads], axis=2)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(f"{x:.4g}→{to:g}" for to, x in ([] if reals is None else reals))
