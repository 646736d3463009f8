"""Packet codes: which of d slots a message is copied into, so that a sum of few senders' packets can be read.

Sanford, Hsu, Telgarsky 2024, Fact B.2 and Lemma 3.2. A receiver sees the mean of its senders' packets. A slot that one
of them alone has written to holds that message; a code is good for b messages if among any b of them every one has a
slot of its own. Independent bits that are 1 with probability 1/(b + 1) are good at d = ceil(12 b^2 ln n) for most
draws; whether one draw is good is decided here, and not hoped.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.seeds import child

MOST = 2**24  # choices of one message and b - 1 others that `is_good` looks at
BLOCK = 2**14


def slots(count: int, together: int) -> int:
    """d = ceil(12 b^2 ln n)."""
    return math.ceil(12 * together**2 * math.log(max(2, count)))


def packet_code(count: int, together: int, seed: int = 0) -> np.ndarray:
    """(n, d) booleans for n messages of which b are sent to one receiver; a draw, good with high probability."""
    if count < 1 or not 1 <= together <= count:
        raise InputError(f"packet code: {count} messages, {together} at once; take 1 <= b <= n")
    rng = child(seed, "packet-code", count, together)
    return rng.random((count, slots(count, together))) < 1 / (together + 1)


def is_good(code: np.ndarray, together: int) -> bool:
    """Whether every message has a slot of its own among any b messages: all C(n - 1, b - 1) n choices are tried."""
    count = len(code)
    choices = count * math.comb(count - 1, together - 1)
    if choices > MOST:
        raise InputError(
            f"packet code: {choices} choices of b = {together} of {count} messages; at most {MOST} are tried"
        )
    words = np.packbits(code, axis=1)
    words = np.pad(words, ((0, 0), (0, -words.shape[1] % 8))).view(np.uint64)
    others = np.array(list(combinations(range(count), together - 1)), dtype=np.int64)
    for start in range(0, len(others), BLOCK):
        part = others[start : start + BLOCK]
        union = np.bitwise_or.reduce(words[part], axis=1)
        for message in range(count):
            own = ((words[message] & ~union) != 0).any(axis=1)
            if not (own | (part == message).any(axis=1)).all():
                return False
    return True


def pack(code: np.ndarray, names: np.ndarray, words: np.ndarray) -> np.ndarray:
    """(d, 2 + width) what one machine sends: 1, name and words in each slot that one of its messages alone has.

    Args:
        names: (k,) rows of the code, one a message. words: (k, width) numbers.
    """
    used = code[names]
    alone = used & (used.sum(axis=0) == 1)
    packet = np.zeros((code.shape[1], 2 + words.shape[1]))
    for name, row, mine in zip(names, words, alone, strict=True):
        packet[mine] = [1.0, float(name), *row]
    return packet


def unpack(mean: np.ndarray, sources: int) -> dict[int, np.ndarray]:
    """Message name -> words, from the mean of the packets of so many senders: slots with one writer are read."""
    total = mean * sources
    read = np.abs(total[:, 0] - 1.0) < 0.25
    return {round(float(row[1])): row[2:] for row in total[read]}
