"""Kind `decoding` in Arb: the same fresh sample, with the tail bound and the entropy in balls."""

from __future__ import annotations

import math

from separatrix.kernel.arb_nets import Number, number, precision
from separatrix.kernel.case import Case
from separatrix.kernel.decoding import decide


def check_decoding(case: Case) -> str:
    """The claim in a sentence, or an error."""
    with precision(128):
        return f"{decide(case, shown_bits)} (arb)"


def shown_bits(wrong: int, samples: int, delta: float, d: int) -> tuple[float, float]:
    """(the greatest error of a guess but for probability delta, bits that d guesses with it show).

    With `wrong` hits among so many, a probability e above the share s is ruled out where samples KL(s, e) >= -ln delta
    (Chernoff); d guesses of random bits that err with probability e <= 1/2 show d (1 - h(e)) bits (Fano).
    """
    share, wanted = number(wrong) / samples, -number(delta).log()

    def ruled_out(e: float) -> bool:
        gap = (1 - share) * ((1 - share) / (1 - number(e))).log() if wrong < samples else number(0)
        gap += share * (share / number(e)).log() if wrong else 0
        return bool(samples * gap >= wanted)

    low, high = wrong / samples, 0.5
    if wrong >= samples or not (low < high and ruled_out(high)):
        return 1.0, 0.0
    for _ in range(60):
        e = (low + high) / 2
        low, high = (low, e) if ruled_out(e) else (e, high)
    shows = d * (1 - _entropy(number(high)))
    return high, max(0.0, math.nextafter(float(shows.lower().mid()), -math.inf))


def _entropy(e: Number) -> Number:
    return -(e * e.log() + (1 - e) * (1 - e).log()) / number(2).log()
