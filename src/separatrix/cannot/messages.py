"""From bits to sizes: what a model of each architecture sends, with constants and named merge semantics.

Alice and Bob hold some positions each. What one of them must tell the other so that he can go on is a message; a task
that needs B bits of it rules out every size whose message is shorter. p is the bits of one number that is computed and
accumulated (`accumulator`: numerators and normalisers of T tokens), never of weights at rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

EXCHANGE = (
    "two-way exchange over one softmax layer, the row maximum first: d p + H (2 d_v p + 4 p + 2 ceil(log2 T)) bits, "
    "and one for the answer; exact for p-bit fixed point, any partition of the positions (audited count of "
    "Bhattamishra et al. 2024, Theorem 4)"
)
ONE_WAY = (
    "one message over one softmax layer whose query token is common knowledge: H (d_v + 1) p bits, a numerator and a "
    "normaliser a head; exact only where exponentials use no row maximum (or a constant one) and p holds the "
    "accumulated sums (mergeable semantics)"
)


@dataclass(frozen=True, slots=True)
class Message:
    """A count: `bits` for sizes and precision, under `semantics`; `exact` where a protocol reproduces the model."""

    bits: float
    semantics: str
    exact: bool


def state(numbers: int, p: int) -> Message:
    """Recurrent models of any depth: everything that is carried from one position to the next."""
    return Message(numbers * p, "the whole state, all layers", True)


def audited(heads: int, value_width: int, width: int, p: int, tokens: int) -> Message:
    """One softmax layer, any partition: the query's token, maxima, normalisers, and numerators in one direction."""
    bits = width * p + heads * (2 * value_width * p + 4 * p + 2 * math.ceil(math.log2(tokens)))
    return Message(bits, EXCHANGE, True)


def printed(heads: int, width: int, p: int, tokens: int) -> Message:
    """The count that the paper prints, 3 m H (p + log2 N); exact counting exceeds it where 2 p > 3 log2 N."""
    return Message(
        3 * width * heads * (p + math.log2(tokens)), "as printed: Bhattamishra et al. 2024, Theorem 4", False
    )


def one_way(heads: int, value_width: int, accumulator: int) -> Message:
    """One softmax layer with a known query token, mergeable semantics; `accumulator` bits a summed number."""
    return Message(heads * (value_width + 1) * accumulator, ONE_WAY, True)


def accumulated(p: int, tokens: int) -> tuple[int, int]:
    """Bits of a normaliser and of a numerator entry that sum `tokens` products of p-bit fixed-point numbers exactly."""
    extra = math.ceil(math.log2(tokens))
    return p + extra, 2 * p + extra


def fixed_point(heads: int, value_width: int, p: int, tokens: int) -> Message:
    """One-way for p-bit fixed-point exponentials without row maximum: exact sums."""
    normaliser, entry = accumulated(p, tokens)
    return Message(heads * (normaliser + value_width * entry), "exact sums of p-bit fixed-point products", True)


def kernel_attention(heads: int, features: int, value_width: int, p: int) -> Message:
    """Linear attention, causal: per head a features x d_v matrix and a normaliser are all that is carried."""
    return Message(heads * features * (value_width + 1) * p, "the matrix state and normaliser of every head", True)


def sliding_window(layers: int, window: int, heads: int, key_width: int, value_width: int, p: int) -> Message:
    """Causal attention to the last `window` tokens: keys and values of the window, in every layer."""
    return Message(layers * window * heads * (key_width + value_width) * p, "keys and values of the window", True)


def positional(heads: int, value_width: int, accumulator: int) -> Message:
    """One layer whose weights depend on positions only: one weighted sum of values a head; normalisers are known."""
    return Message(heads * value_width * accumulator, "weighted sums of values, weights known to both", True)


def higher_order(order: int) -> Message | None:
    """Attention over pairs (or more) of keys: pairs with one key on each side do not split, so there is no message."""
    return None if order > 2 else Message(math.inf, "use the counts for ordinary attention", False)


def feed_forward(inputs: int) -> Message:
    """Linear first layer over `inputs` real numbers: its rank, in units, must be that of what the answers determine."""
    return Message(float(inputs), "units of the first layer, exact arithmetic", True)


def embedding(width: int, p: int) -> Message:
    """Any depth: a token that enters only through its p-bit vector of the residual stream is known by these bits."""
    return Message(width * p, "the first map's vector of the token, a deterministic p-bit function of it", True)


def least_heads_times_width(bits: float, p: int, tokens: int) -> float:
    """m H >= bits / (3 (p + log2 N)): how the paper prints a bound for one layer."""
    return bits / (3 * (p + math.log2(tokens)))
