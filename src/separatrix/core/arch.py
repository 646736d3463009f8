"""What kind of model, as data: first map, layers, read-out. `config.json` is this, and nothing else."""

from __future__ import annotations

import dataclasses
import math
import types
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Token -> stored vector, plus a stored vector of its position when `positions` > 0 (`table+position`)."""

    vocabulary: int
    positions: int = 0
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class PointerSet:
    """Token (z, y, i) -> (z ; key u_i ; query computed from the keys of the pointer set y).

    query: `least-norm` w = U_y^T (U_y U_y^T)^-1 1; `sum` of the keys; `slots`, the keys side by side in increasing
        order of the pointers; `trigonometric` and `moment`, the polynomials of the cyclic polytope.
    keys: `stored` (a table), or `moment` (powers t .. t^key_width of stored integer nodes, never rounded).
    The query is multiplied by the stored temperature.
    """

    pointers: int
    positions: int
    reals: int
    key_width: int
    query: Literal["least-norm", "sum", "slots", "trigonometric", "moment"]
    keys: Literal["stored", "moment"] = "stored"
    kind: Literal["pointer-set"] = "pointer-set"


@dataclass(frozen=True, slots=True)
class Linear:
    """Real vectors of dimension `reals` -> stored linear map, plus a stored vector of the position."""

    reals: int
    positions: int
    kind: Literal["linear"] = "linear"


@dataclass(frozen=True, slots=True)
class Attention:
    """Multi-head attention; score = scale * <query, key>, head outputs mapped by W_O and summed.

    norm: `pre`, a layer norm of what queries, keys and values read, inside the residual branch.
    """

    heads: int
    key_width: int
    value_width: int
    weights: Literal["softmax"] = "softmax"
    mask: Literal["none", "causal"] = "none"
    scale: float = 1.0
    norm: Literal["none", "pre"] = "none"
    residual: bool = False
    kind: Literal["attention"] = "attention"


@dataclass(frozen=True, slots=True)
class FeedForward:
    """One hidden layer, applied to every position; norm `pre` is a layer norm of what it reads."""

    hidden: int
    activation: Literal["relu"] = "relu"
    norm: Literal["none", "pre"] = "none"
    residual: bool = False
    kind: Literal["feed-forward"] = "feed-forward"


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """(x - mean) / sqrt(variance + eps) * scale [+ bias] at every position, in place of the stream."""

    eps: float = 1e-5
    bias: bool = True
    kind: Literal["layer-norm"] = "layer-norm"

    @property
    def residual(self) -> bool:
        """A layer norm has no residual path around it."""
        return False


@dataclass(frozen=True, slots=True)
class HigherOrder:
    """Attention of a query over (order - 1)-tuples of tokens (order 3: pairs); Sanford et al. 2023, Definition 4.

    score(i; j_1, ..) = scale * sum_l q_i[l] k1_{j_1}[l] k2_{j_2}[l] .., a tuple's value is the entrywise product of
    its tokens' values; one softmax over all tuples, repetitions included. Head outputs are mapped by W_O and summed.
    """

    heads: int
    key_width: int
    value_width: int
    order: int = 3
    scale: float = 1.0
    residual: bool = False
    kind: Literal["higher-order"] = "higher-order"

    @property
    def norm(self) -> Literal["none"]:
        """Reads the stream as it is."""
        return "none"


@dataclass(frozen=True, slots=True)
class Strassen:
    """Attention of a query over pairs of tokens by a score of three sides; Kozachinskiy et al. 2025, Section 4.

    score(i; j, k) = scale * (<q_i, k1_j> + <k1_j, k2_k> + <k2_k, q_i>); a pair's value is the entrywise product of its
    tokens' values; one softmax over all pairs. Unlike third-order attention it is a ratio of products of N x N
    matrices. Tensors as those of `HigherOrder` with order 3.
    """

    heads: int
    key_width: int
    value_width: int
    scale: float = 1.0
    residual: bool = False
    kind: Literal["strassen"] = "strassen"

    @property
    def norm(self) -> Literal["none"]:
        """Reads the stream as it is."""
        return "none"

    @property
    def order(self) -> int:
        """Tokens that a score is about."""
        return 3


@dataclass(frozen=True, slots=True)
class Readout:
    """Affine map of the last stream: `argmax` over `outputs` classes (a tie is an error), or `outputs` `reals`."""

    outputs: int
    decision: Literal["argmax", "reals"] = "argmax"


@dataclass(frozen=True, slots=True)
class Arch:
    """A transformer as data.

    Attributes:
        width: dimension of the residual stream.
        first: the first map, one of a closed list.
        layers: attention, higher-order, Strassen and kernelised attention, feed-forward and norm layers in order.
        blank: whether the model appends one constant token of its own after the input.
        residual: named slices (name, start, stop) of the stream, for people; evaluation ignores them.
    """

    width: int
    first: Table | PointerSet | Linear
    layers: tuple[Attention | FeedForward | LayerNorm | HigherOrder | Strassen | Kernelised, ...]
    readout: Readout
    blank: bool = False
    residual: tuple[tuple[str, int, int], ...] = ()
    kind: Literal["transformer"] = "transformer"
    format: int = FORMAT

    def to_config(self) -> dict[str, Any]:
        """Every field, as JSON values; floats as hex strings."""
        return encode(self)

    @classmethod
    def from_config(cls, config: object) -> Arch:
        """Inverse of `to_config`; refuses unknown, missing or ill-typed fields with InputError."""
        if isinstance(config, dict) and config.get("format") != FORMAT:
            raise InputError(f"config format {config.get('format')!r} is not known; this version reads {FORMAT}")
        arch = decode(cls, config, "config")
        arch.check()
        return arch

    def check(self) -> None:
        """Raises InputError where the fields contradict each other or a size is not positive."""
        sizes = [self.width, self.readout.outputs]
        for layer in self.layers:
            if isinstance(layer, Attention | HigherOrder | Strassen):
                sizes += [layer.heads, layer.key_width, layer.value_width]
                if isinstance(layer, HigherOrder) and not 3 <= layer.order <= 8:
                    raise InputError(f"a higher-order layer in the config has order {layer.order}; take 3 to 8")
                if not math.isfinite(layer.scale):
                    raise InputError(f"the scale {layer.scale} of an attention layer in the config is not finite")
            elif isinstance(layer, Kernelised):
                sizes += [layer.heads, layer.key_width, layer.value_width, layer.positions]
            elif isinstance(layer, LayerNorm):
                if not 0.0 < layer.eps < math.inf:
                    raise InputError(f"the eps {layer.eps} of a layer norm in the config is not positive and finite")
            else:
                sizes.append(layer.hidden)
        if min(sizes) < 1 or max(sizes) > 2**31:
            raise InputError("a width, head count or output count in the config is not a positive 31-bit number")
        if isinstance(self.first, PointerSet) and (self.first.keys == "moment") != (self.first.query == "moment"):
            raise InputError("moment-curve queries go with moment-curve keys, and with no others")
        if not self.layers:
            raise InputError("the config has no layers")


@dataclass(frozen=True, slots=True)
class Residual:
    """Allots named slices of the residual stream, in order.

    >>> Residual.of(symbol=6, position=2).slice("position")
    slice(6, 8, None)
    """

    parts: tuple[tuple[str, int, int], ...]

    @classmethod
    def of(cls, **widths: int) -> Residual:
        """One slice a keyword, side by side."""
        parts, start = [], 0
        for name, width in widths.items():
            parts.append((name, start, start + width))
            start += width
        return cls(tuple(parts))

    @property
    def width(self) -> int:
        """Total width."""
        return self.parts[-1][2]

    def slice(self, name: str) -> slice:
        """The columns of `name`."""
        return next(slice(start, stop) for part, start, stop in self.parts if part == name)


def encode(value: Any) -> Any:
    """A config as JSON values; floats as hex strings."""
    if dataclasses.is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value.hex() if isinstance(value, float) else value


def decode(kind: Any, value: Any, where: str) -> Any:
    """Reads `value` as the annotated type `kind`; every mismatch is an InputError that names the place."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        name = value.get("kind") if isinstance(value, dict) else None
        for option in get_args(kind):
            if isinstance(name, str) and get_type_hints(option)["kind"] == Literal[name]:
                return decode(option, value, where)
        raise InputError(f"{where}: kind {name!r} is not known")
    if origin is Literal:
        if value not in get_args(kind):
            raise InputError(f"{where}: {value!r} is none of {', '.join(map(str, get_args(kind)))}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where}: a list is expected")
        items = get_args(kind)
        if len(items) == 2 and items[1] is Ellipsis:
            items = (items[0],) * len(value)
        if len(items) != len(value):
            raise InputError(f"{where}: {len(items)} entries are expected, {len(value)} found")
        return tuple(
            decode(item, entry, f"{where}[{i}]") for i, (item, entry) in enumerate(zip(items, value, strict=True))
        )
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise InputError(f"{where}: an object is expected")
        hints = get_type_hints(kind)
        if wrong := sorted(set(hints) ^ set(value)):
            raise InputError(f"{where}: fields {', '.join(map(repr, wrong))} are unknown or missing")
        return kind(**{name: decode(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})
    if kind is float:
        try:
            return float.fromhex(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{where}: {value!r} is not a hex-float string") from error
    if type(value) is not kind:
        raise InputError(f"{where}: {value!r} is not of type {getattr(kind, '__name__', kind)}")
    return value
