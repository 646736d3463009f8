"""The audit: how many bits a model carries, what that allows, and which lower bounds bite at a context length.

A model that answers about a prefix from what it carries needs as many bits as the prefix has answers (one-way
communication; Bhattamishra et al. 2024, Theorem 2 and Section 4; Jelassi et al. 2024 for copying). Keys that attention
keeps are part of what is carried, so for a model whose cache grows these bounds only speak of its recurrent layers.
Worst cases, and independent random content: natural text can be compressed, and is easier.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from separatrix.cannot.audit.layout import Layer, Layout
from separatrix.core.errors import InputError

MOST_TOKENS = 2**40
HEBB = 0.5  # share of the threshold d_k d_v / (2 ln V) at which about 90 to 96 % of random pairs are recalled


@dataclass(frozen=True, slots=True)
class Need:
    """One task at the context length: bits that every model must carry, and whether this one's states hold them.

    active: the states that do not grow hold fewer bits. excluded: everything that is carried holds fewer bits.
    """

    task: str
    bits: float
    active: bool
    excluded: bool
    source: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What a model carries at a context length. Bits unless stated otherwise.

    Attributes:
        fixed: recurrent states and shifts. window: keys of windows, when full. growth: added by every further token.
        carried: everything after `context` tokens.
        break_even: tokens from which on the growing cache is at least as large as all that is fixed; None without both.
        hard_cap: items out of `symbols` that can be recalled without error; None where the cache grows.
        copy_length: tokens that can be copied without error; None where the cache grows.
        rank_cap: key-value pairs of one head that can be recalled exactly (orthogonal keys), the largest; None without
            matrix states. rank_total: of all heads of all layers together.
        hebbian: random pairs out of `symbols` that outer products recall to 90 or 96 %, all layers together: an
            estimate, no bound.
    """

    layout: Layout
    context: int
    symbols: int
    fixed: int
    window: int
    growth: int
    carried: int
    break_even: int | None
    hard_cap: int | None
    copy_length: int | None
    rank_cap: int | None
    rank_total: int | None
    hebbian: int | None
    needs: tuple[Need, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, layers included."""
        values = {name: getattr(self, name) for name in self.__slots__ if name not in ("layout", "needs")}
        layers = [asdict(layer) | {"bits": layer_bits(self.layout, layer)} for layer in self.layout.layers]
        return {
            "family": self.layout.family,
            "state_bits": self.layout.state_bits,
            "cache_bits": self.layout.cache_bits,
            **values,
            "layers": layers,
            "needs": [asdict(need) for need in self.needs],
            "words": self.words(),
            "notes": list(self.layout.notes),
        }

    def words(self) -> list[str]:
        """The findings, a sentence each."""
        said = []
        if self.fixed:
            said.append(
                f"States of fixed size hold {_bits(self.fixed)}, whatever the length"
                + (f"; full windows hold {_bits(self.window)} more." if self.window else ".")
            )
        elif self.window:
            said.append(f"All that is carried are the keys of full windows: {_bits(self.window)}.")
        if self.growth:
            grown = f"The cache grows by {self.growth:,} bits a token: {_bits(self.carried)} at {self.context:,} tokens"
            if self.break_even is not None:
                grown += f"; from {self.break_even:,} tokens on it is at least as large as everything of fixed size"
            said.append(grown + ".")
        else:
            said.append(
                f"No cache grows: no more than {self.hard_cap:,} symbols out of {self.symbols} can be recalled "
                f"without error, and no more than {self.copy_length:,} tokens copied, whatever the training."
            )
        if self.rank_cap is not None and self.rank_total is not None and self.hebbian is not None:
            said.append(
                f"A matrix state recalls at most {self.rank_cap:,} pairs exactly a head ({self.rank_total:,} in all "
                f"heads); by outer products about {self.hebbian:,} random pairs in all (an estimate, no bound)."
            )
            beyond = "beyond" if self.context > self.rank_cap else "within"
            said.append(f"{self.context:,} different keys are {beyond} what one head keeps apart exactly.")
        excluded = [need for need in self.needs if need.excluded]
        active = [need for need in self.needs if need.active and not need.excluded]
        for need in excluded:
            said.append(f"Impossible at this context: {need.task} (needs {_bits(need.bits)}).")
        for need in active:
            said.append(f"Only with the keys of attention: {need.task} (needs {_bits(need.bits)}).")
        if not excluded and not active:
            least = max(self.needs, key=lambda need: need.bits)
            said.append(
                f"No bound on carried bits is active at this context: the most demanding task here, {least.task}, "
                f"needs {_bits(least.bits)}; what limits this model is rank, interference and training."
            )
        said.append("Bounds on a single attention layer say nothing about a model of several layers.")
        return said

    def rows(self) -> list[tuple[str, int, str]]:
        """(kind, how many layers, what each holds) of layers that are alike, in order of first appearance."""
        counts = Counter(self.layout.layers)
        found = []
        for layer, count in counts.items():
            parts = []
            if layer.recurrent:
                parts.append(f"{layer.recurrent:,} state numbers")
            if layer.shift:
                parts.append(f"{layer.shift:,} of the last tokens")
            if layer.keys:
                parts.append(f"{layer.keys:,} a token")
            found.append((layer.kind, count, ", ".join(parts) or "nothing"))
        return found


def audit(layout: Layout, context: int, symbols: int = 64) -> Audit:
    """The audit of a layout at a context of so many tokens; `symbols`: alphabet of the items that are recalled."""
    if not 1 <= context <= MOST_TOKENS:
        raise InputError(f"context {context}: take 1 to 2^40 tokens")
    if not 2 <= symbols <= 2**20:
        raise InputError(f"symbols {symbols}: take 2 to {2**20}")
    fixed, growth, carried = layout.fixed_bits, layout.growth, layout.carried(context)
    window = sum(ly.keys * (ly.window - 1) for ly in layout.layers if ly.window is not None) * layout.cache_bits
    memories = [layer.memory for layer in layout.layers if layer.memory is not None]
    capacity = sum(heads * key * value for heads, key, value in memories)
    bounded = None if growth else fixed + window + (context.bit_length() if window else 0)
    return Audit(
        layout=layout,
        context=context,
        symbols=symbols,
        fixed=fixed,
        window=window,
        growth=growth,
        carried=carried,
        break_even=math.ceil((fixed + window) / growth) if growth and fixed else None,
        hard_cap=None if bounded is None else math.floor(bounded / math.log2(symbols)),
        copy_length=None if bounded is None else math.floor(bounded / math.log2(layout.vocabulary)),
        rank_cap=max((key for _, key, _ in memories), default=None),
        rank_total=sum(heads * key for heads, key, _ in memories) if memories else None,
        hebbian=math.floor(HEBB * capacity / (2 * math.log(symbols))) if memories else None,
        needs=_needs(context, symbols, layout.vocabulary, fixed, carried),
    )


def layer_bits(layout: Layout, layer: Layer) -> int:
    """Bits of one layer that do not depend on the length."""
    return layer.recurrent * layout.state_bits + layer.shift * layout.cache_bits


def _needs(context: int, symbols: int, vocabulary: int, fixed: int, carried: int) -> tuple[Need, ...]:
    one = math.log2(symbols)
    tasks = [
        (
            f"index lookup among {context:,} symbols out of {symbols}",
            context * one,
            "Bhattamishra et al. 2024, Theorem 3",
        ),
        (
            f"recall of one of {context // 2:,} pairs with labels out of {symbols}",
            context // 2 * one,
            "Bhattamishra et al. 2024, Proposition 9, with the label's bits",
        ),
        (
            f"equality of two halves of {context // 2:,} symbols out of {symbols}, without error",
            context // 2 * one,
            "Bhattamishra et al. 2024, Theorem 11, with the alphabet's bits",
        ),
        (
            f"copying {context:,} random tokens",
            context * math.log2(vocabulary),
            "Jelassi et al. 2024, lower bound for copying",
        ),
    ]
    return tuple(Need(task, bits, fixed < bits, carried < bits, source) for task, bits, source in tasks)


def _bits(count: float) -> str:
    if count < 2**13:
        return f"{count:,.0f} bits"
    for unit, size in (("TiB", 2**43), ("GiB", 2**33), ("MiB", 2**23), ("KiB", 2**13)):
        if count >= size:
            return f"{count:,.0f} bits ({count / size:,.1f} {unit})"
    return f"{count:,.0f} bits"
