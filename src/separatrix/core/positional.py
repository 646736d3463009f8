"""The positional transformer as data: attention computed from positions alone, local computation by feed-forward nets.

Back de Luca, Giapitzakis, Yang, Velickovic, Fountoulakis 2025, section 4: layer l maps the stream X (nodes, width) to
Phi_l([sum_h A_lh X V_lh O_lh, X]) with A_lh = softmax((P Q_lh)(P K_lh)^T scale), P the same stored table in every layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from separatrix.core.arch import decode, encode
from separatrix.core.errors import InputError

FORMAT = 1
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

    def to_config(self) -> dict[str, Any]:
        """Every field, as JSON values; floats as hex strings."""
        return encode(self)

    @classmethod
    def from_config(cls, config: object) -> Positional:
        """Inverse of `to_config`; refuses unknown, missing or ill-typed fields with InputError."""
        if isinstance(config, dict) and config.get("format") != FORMAT:
            raise InputError(f"config format {config.get('format')!r} is not known; this version reads {FORMAT}")
        arch = decode(cls, config, "config")
        arch.check()
        return arch

    def check(self) -> None:
        """Raises InputError where a size is not positive or too large."""
        sizes = [self.nodes, self.reals, self.width, self.position_width, self.outputs, self.nodes - self.sinks]
        for layer in self.layers:
            sizes += [layer.heads, layer.key_width, layer.value_width, *layer.hidden]
        if min(sizes) < 1 or max(sizes) > LARGEST or self.sinks < 0:
            raise InputError("a width, head or node count in the config is not a positive 31-bit number")
        if not self.layers:
            raise InputError("the config has no layers")

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every stored tensor; weights act on row vectors from the right (x @ W)."""
        d = self.width
        shapes: dict[str, tuple[int, ...]] = {
            "positions": (self.nodes, self.position_width),
            "embed.linear": (self.reals, d),
            "embed.bias": (d,),
        }
        for i, layer in enumerate(self.layers):
            h, m, v = layer.heads, layer.key_width, layer.value_width
            shapes |= {f"layers.{i}.query": (h, self.position_width, m), f"layers.{i}.key": (h, self.position_width, m)}
            shapes |= {f"layers.{i}.value": (h, d, v), f"layers.{i}.output": (h, v, d)}
            widths = (2 * d if layer.skip == "concatenate" else d, *layer.hidden, d)
            for k in range(len(widths) - 1):
                shapes[f"layers.{i}.mlp.{k}.weight"] = (widths[k], widths[k + 1])
                shapes[f"layers.{i}.mlp.{k}.bias"] = (widths[k + 1],)
        return shapes | {"readout.weight": (d, self.outputs), "readout.bias": (self.outputs,)}
