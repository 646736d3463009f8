"""The positional transformer as data: attention computed from positions alone, local computation by feed-forward nets.

Back de Luca, Giapitzakis, Yang, Velickovic, Fountoulakis 2025, section 4: layer l maps the stream X (nodes, width) to
Phi_l([sum_h A_lh X V_lh O_lh, X]) with A_lh = softmax((P Q_lh)(P K_lh)^T scale), P one stored table for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from separatrix.core.arch import FORMAT, Readout, encode
from separatrix.core.errors import InputError

LARGEST = 2**31


@dataclass(frozen=True, slots=True)
class PositionalLayer:
    """One round: `heads` receive, then a ReLU net with the given hidden widths on [received, own stream].

    skip: `concatenate` as in the paper; `residual` adds the stream to what was received before the net.
    """

    heads: int
    key_width: int
    value_width: int
    hidden: tuple[int, ...]
    skip: Literal["concatenate", "residual"] = "concatenate"
    scale: float = 1.0
    kind: Literal["positional"] = "positional"


@dataclass(frozen=True, slots=True)
class Positional:
    """A positional transformer on `nodes` nodes, the last `sinks` of which are its own and start from the word 0.

    Attributes:
        reals: input words of a node. width: of the stream. position_width: columns of P.
        outputs: real outputs of a node (the read-out is affine).
    """

    nodes: int
    sinks: int
    reals: int
    width: int
    position_width: int
    layers: tuple[PositionalLayer, ...]
    outputs: int
    kind: Literal["positional"] = "positional"
    format: int = FORMAT

    @property
    def first(self) -> None:
        """No closed list of first maps: words enter by `embed.linear`."""

    @property
    def readout(self) -> Readout:
        """Real outputs."""
        return Readout(self.outputs, "reals")

    @property
    def blank(self) -> bool:
        """The sinks are part of the model, not of its input; nothing else is appended."""
        return False

    def to_config(self) -> dict[str, Any]:
        """Every field, as JSON values; floats as hex strings."""
        return encode(self)

    def check(self) -> None:
        """Raises InputError where a size is not positive or too large."""
        sizes = [self.nodes, self.reals, self.width, self.position_width, self.outputs, self.nodes - self.sinks]
        for layer in self.layers:
            sizes += [layer.heads, layer.key_width, layer.value_width, *layer.hidden]
            if not math.isfinite(layer.scale):
                raise InputError(f"the scale {layer.scale} of a layer in the config is not finite")
        if min(sizes) < 1 or max(sizes) > LARGEST or self.sinks < 0:
            raise InputError("a width, head or node count in the config is not a positive 31-bit number")
        if not self.layers:
            raise InputError("the config has no layers")


def positional_shapes(arch: Positional) -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor; weights act on row vectors from the right (x @ W)."""
    d = arch.width
    shapes: dict[str, tuple[int, ...]] = {
        "positions": (arch.nodes, arch.position_width),
        "embed.linear": (arch.reals, d),
        "embed.bias": (d,),
    }
    for i, layer in enumerate(arch.layers):
        h, m, v = layer.heads, layer.key_width, layer.value_width
        shapes |= {f"layers.{i}.query": (h, arch.position_width, m), f"layers.{i}.key": (h, arch.position_width, m)}
        shapes |= {f"layers.{i}.value": (h, d, v), f"layers.{i}.output": (h, v, d)}
        widths = (2 * d if layer.skip == "concatenate" else d, *layer.hidden, d)
        for k, (inside, outside) in enumerate(pairwise(widths)):
            shapes |= {f"layers.{i}.mlp.{k}.weight": (inside, outside), f"layers.{i}.mlp.{k}.bias": (outside,)}
    return shapes | {"readout.weight": (d, arch.outputs), "readout.bias": (arch.outputs,)}
