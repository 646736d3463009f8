"""Recurrent models as data: a token table, layers that carry a state from each position to the next, a read-out.

Every layer starts from its stored start state (those of `core.mixers` from zero), reads the stream below it position by
position, and hands its output to the layer above. The read-out sees the last layer's output at the scored position.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from separatrix.core.arch import FORMAT, Readout, Table, encode
from separatrix.core.errors import InputError
from separatrix.core.mixers import (
    MIXERS,
    DeltaNet,
    Dense,
    LinearAttention,
    Retention,
    Rwkv,
    SelectiveSsm,
    check_mixer,
    mixer_shapes,
    mixer_sizes,
    mixer_state,
)


@dataclass(frozen=True, slots=True)
class Elman:
    """h <- act(x W + h U + b); the output is h."""

    units: int
    activation: Literal["relu", "tanh"] = "relu"
    kind: Literal["elman"] = "elman"


@dataclass(frozen=True, slots=True)
class Lstm:
    """(i, f, g, o) = x W + h U + b; c <- s(f) c + s(i) tanh(g); h <- s(o) tanh(c), s the sigmoid; the output is h.

    The state is (h, c).
    """

    units: int
    kind: Literal["lstm"] = "lstm"


@dataclass(frozen=True, slots=True)
class Gru:
    """(r, z, g) = x W + b, (r', z', g') = h U; with s the sigmoid and c the candidate bias:

    h <- (1 - s(z + z')) tanh(g + s(r + r') (g' + c)) + s(z + z') h; the output is h.
    """

    units: int
    kind: Literal["gru"] = "gru"


@dataclass(frozen=True, slots=True)
class DiagonalSsm:
    """Complex s <- a s + x W + b, entry by entry; the output is relu(s V + x D + e) of width `hidden`.

    The state is (real parts, imaginary parts): 2 `units` numbers.
    a is stored as two rows, W and b with 2 `units` columns.
    """

    units: int
    hidden: int
    kind: Literal["diagonal-ssm"] = "diagonal-ssm"


Gated = Elman | Lstm | Gru | DiagonalSsm
Cell = Gated | LinearAttention | Retention | DeltaNet | SelectiveSsm | Rwkv | Dense


@dataclass(frozen=True, slots=True)
class Exact:
    """The state is not rounded."""

    kind: Literal["exact"] = "exact"


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Every state number is rounded after every step, half to even, to k / 2^fraction, and k clipped.

    -2^(bits-1) <= k < 2^(bits-1). Start states are rounded too. A model with such a state is a finite automaton.
    """

    bits: int
    fraction: int
    kind: Literal["fixed"] = "fixed"


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A recurrent model as data.

    Attributes:
        width: of the table's vectors; the first layer reads them.
        first: token table; with positions, a vector of the position is added (a transition that depends on time).
        layers: from the input upwards.
        state: how every layer's state is rounded.
        residual: named slices (name, start, stop) of the first layer's state, for people; evaluation ignores them.
    """

    width: int
    first: Table
    layers: tuple[Cell, ...]
    readout: Readout
    state: Exact | FixedPoint = Exact()
    residual: tuple[tuple[str, int, int], ...] = ()
    kind: Literal["recurrent"] = "recurrent"
    format: int = FORMAT

    @property
    def blank(self) -> bool:
        """Recurrent models append no token of their own."""
        return False

    @property
    def state_numbers(self) -> int:
        """Numbers carried from one position to the next, all layers together."""
        return sum(state_width(layer) for layer in self.layers)

    @property
    def state_bits(self) -> int | None:
        """Bits carried where the state is rounded; None where it is not."""
        return self.state_numbers * self.state.bits if isinstance(self.state, FixedPoint) else None

    def to_config(self) -> dict[str, Any]:
        """Every field, as JSON values."""
        return encode(self)

    def check(self) -> None:
        """Raises InputError where a size is not positive or the rounding makes no sense."""
        sizes, below = [self.width, self.readout.outputs], self.width
        for layer in self.layers:
            if isinstance(layer, MIXERS):
                sizes += mixer_sizes(layer)
                check_mixer(layer, below)
            else:
                sizes += [layer.units, output_width(layer)]
            below = output_width(layer)
        if min(sizes) < 1 or max(sizes) > 2**31:
            raise InputError("a width, number of units or output count in the config is not a positive 31-bit number")
        if not self.layers:
            raise InputError("the config has no layers")
        if isinstance(self.state, FixedPoint) and not (1 <= self.state.bits <= 48 and abs(self.state.fraction) <= 48):
            raise InputError(
                f"a state of {self.state.bits} bits, {self.state.fraction} of them after the point: "
                "take 1 to 48 bits and a fraction of at most 48"
            )


def state_width(layer: Cell) -> int:
    """Numbers of one layer's state."""
    if isinstance(layer, MIXERS):
        return mixer_state(layer)
    return layer.units * (2 if isinstance(layer, Lstm | DiagonalSsm) else 1)


def output_width(layer: Cell) -> int:
    """Width of one layer's output."""
    return layer.units if isinstance(layer, Elman | Lstm | Gru) else layer.hidden


def recurrent_shapes(arch: Recurrent) -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor; weights act on row vectors from the right (x @ W)."""
    shapes: dict[str, tuple[int, ...]] = {"embed.token": (arch.first.vocabulary, arch.width)}
    if arch.first.positions:
        shapes["embed.position"] = (arch.first.positions, arch.width)
    widths = [arch.width, *(output_width(layer) for layer in arch.layers)]
    for i, (layer, (below, _)) in enumerate(zip(arch.layers, pairwise(widths), strict=True)):
        own = mixer_shapes(layer, below) if isinstance(layer, MIXERS) else _shapes(layer, below)
        shapes |= {f"layers.{i}.{name}": shape for name, shape in own.items()}
    shapes["readout.weight"] = (widths[-1], arch.readout.outputs)
    shapes["readout.bias"] = (arch.readout.outputs,)
    return shapes


def _shapes(layer: Gated, below: int) -> dict[str, tuple[int, ...]]:
    u, gates = layer.units, {"elman": 1, "lstm": 4, "gru": 3, "diagonal-ssm": 2}[layer.kind]
    own: dict[str, tuple[int, ...]] = {"in": (below, gates * u), "bias": (gates * u,)}
    if isinstance(layer, DiagonalSsm):
        own |= {"diagonal": (2, u), "out": (2 * u, layer.hidden)}
        own |= {"skip": (below, layer.hidden), "out_bias": (layer.hidden,)}
    else:
        own["recurrent"] = (u, gates * u)
    if isinstance(layer, Gru):
        own["candidate_bias"] = (u,)
    own["start"] = (state_width(layer),)
    return own
