"""Kernelised attention with relative positions: a layer of transformers whose sums are convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Kernelised:
    """Attention with weights e^(b[i - j]) phi(q_i) . phi(k_j), phi(t) = elu(t) + 1, normalised (Luo et al. 2021).

    A head gives sum_j e^(b[i - j]) (phi(q_i) . phi(k_j)) v_j over the sum of the weights plus 1e-6; `causal` takes
    j <= i alone. Head outputs are mapped by W_O and summed. b is stored by head for gaps 0, 1, .. (`causal`), or
    1 - positions .. positions - 1, so that inputs have at most `positions` tokens, a blank included.

    All positions take O(N log N) by Fourier transforms. Unlike linear attention this is no recurrence with a state of
    constant size, unless e^b is a sum of few exponentials: every later query weighs the past anew. What crosses a cut
    is not bounded here: the size's `cut` and `state` are None.
    """

    heads: int
    key_width: int
    value_width: int
    positions: int
    mask: Literal["none", "causal"] = "none"
    residual: bool = False
    kind: Literal["kernelised-attention"] = "kernelised-attention"

    @property
    def norm(self) -> Literal["none"]:
        """Reads the stream as it is."""
        return "none"

    @property
    def gaps(self) -> int:
        """Stored numbers of a head for its relative positions."""
        return self.positions if self.mask == "causal" else 2 * self.positions - 1
