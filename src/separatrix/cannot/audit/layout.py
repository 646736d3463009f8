"""What one sequence leaves behind in every layer of a model, counted in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's memory.

    Attributes:
        kind: in words.
        recurrent: numbers of the recurrent state.
        shift: numbers kept of the last few tokens by a short convolution or a token shift. Implementations hold one
            column more, which the next token pushes out: it carries nothing.
        keys: numbers that attention keeps of every token.
        window: tokens that attention sees, the present one included; None when it sees all.
        memory: (heads, key width, value width) of a matrix state that is written by outer products.
    """

    kind: str
    recurrent: int = 0
    shift: int = 0
    keys: int = 0
    window: int | None = None
    memory: tuple[int, int, int] | None = None

    def kept(self, tokens: int) -> int:
        """Tokens whose keys are still needed after so many."""
        return tokens if self.window is None else min(tokens, self.window - 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """A model's layers in order, and how its numbers are stored.

    Attributes:
        family: its model_type.
        vocabulary: tokens that it knows.
        state_bits, cache_bits: bits of one number of a recurrent state, and of everything else.
        notes: what a reader should know of the reading.
    """

    family: str
    layers: tuple[Layer, ...]
    vocabulary: int
    state_bits: int = 32
    cache_bits: int = 16
    notes: tuple[str, ...] = ()

    @property
    def fixed_bits(self) -> int:
        """Bits whose number does not depend on the length: recurrent states and shifts."""
        return sum(layer.recurrent * self.state_bits + layer.shift * self.cache_bits for layer in self.layers)

    @property
    def growth(self) -> int:
        """Bits that every further token adds for ever: keys of the layers that see all tokens."""
        return sum(layer.keys for layer in self.layers if layer.window is None) * self.cache_bits

    def carried(self, tokens: int) -> int:
        """Bits carried on after so many tokens: states, shifts, keys, and the position where there is attention."""
        keys = sum(layer.keys * layer.kept(tokens) for layer in self.layers) * self.cache_bits
        counter = tokens.bit_length() if any(layer.keys for layer in self.layers) else 0
        return self.fixed_bits + keys + counter
