"""Transformers on nodes with real words whose attention reads the stream: what positional attention is compared with.

Back de Luca, Giapitzakis, Yang, Velickovic, Fountoulakis 2025, section 7 and the ablations of its appendix: the block
is that of the positional transformer, Phi([sum_h A_h X V_h O_h, X]), and the weights A_h = softmax(q_i . k_j scale) are
computed from the stream X (standard), from [X, P] (hybrid), or from X with queries and keys rotated by their node
(rotary: Su et al. 2021; the pair l of node i turns by the angle i base^(-2 l / key width)).
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
class NumericLayer:
    """One round: `heads` receive, then a ReLU net with the given hidden widths on [received, own stream].

    reads: what queries and keys are linear maps of: the `stream`, or `both` stream and positions.
    base: of the rotation; 0 for none. skip: as in the positional transformer.
    """

    heads: int
    key_width: int
    value_width: int
    hidden: tuple[int, ...]
    reads: Literal["stream", "both"] = "stream"
    base: float = 0.0
    skip: Literal["concatenate", "residual"] = "concatenate"
    scale: float = 1.0
    kind: Literal["numeric"] = "numeric"


@dataclass(frozen=True, slots=True)
class Numeric:
    """A transformer on `nodes` nodes, the last `sinks` of which are its own and start from the word 0.

    Attributes:
        reals: input words of a node. width: of the stream. position_width: columns of the stored table P.
        placed: whether a node's row of P enters the stream beside its words.
        outputs: real outputs of a node (the read-out is affine).
    """

    nodes: int
    sinks: int
    reals: int
    width: int
    position_width: int
    placed: bool
    layers: tuple[NumericLayer, ...]
    outputs: int
    kind: Literal["numeric"] = "numeric"
    format: int = FORMAT

    @property
    def first(self) -> None:
        """No closed list of first maps: words and positions enter by `embed.linear`."""

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
        """Raises InputError where a size is not positive or too large, or a rotation has half a pair."""
        sizes = [self.nodes, self.reals, self.width, self.position_width, self.outputs, self.nodes - self.sinks]
        for layer in self.layers:
            sizes += [layer.heads, layer.key_width, layer.value_width, *layer.hidden]
            if not (math.isfinite(layer.scale) and 0.0 <= layer.base < math.inf):
                raise InputError(f"scale {layer.scale}, base {layer.base} of a layer in the config; take finite ones")
            if layer.base and layer.key_width % 2:
                raise InputError(f"the config rotates keys of width {layer.key_width}; rotations need an even width")
        if min(sizes) < 1 or max(sizes) > LARGEST or self.sinks < 0:
            raise InputError("a width, head or node count in the config is not a positive 31-bit number")
        if not self.layers:
            raise InputError("the config has no layers")


def numeric_shapes(arch: Numeric) -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor; weights act on row vectors from the right (x @ W)."""
    d, p = arch.width, arch.position_width
    shapes: dict[str, tuple[int, ...]] = {
        "positions": (arch.nodes, p),
        "embed.linear": (arch.reals + (p if arch.placed else 0), d),
        "embed.bias": (d,),
    }
    for i, layer in enumerate(arch.layers):
        h, m, v, read = layer.heads, layer.key_width, layer.value_width, d + (p if layer.reads == "both" else 0)
        shapes |= {f"layers.{i}.query": (h, read, m), f"layers.{i}.key": (h, read, m)}
        shapes |= {f"layers.{i}.value": (h, d, v), f"layers.{i}.output": (h, v, d)}
        widths = (2 * d if layer.skip == "concatenate" else d, *layer.hidden, d)
        for k, (inside, outside) in enumerate(pairwise(widths)):
            shapes |= {f"layers.{i}.mlp.{k}.weight": (inside, outside), f"layers.{i}.mlp.{k}.bias": (outside,)}
    return shapes | {"readout.weight": (d, arch.outputs), "readout.bias": (arch.outputs,)}
