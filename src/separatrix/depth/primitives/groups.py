"""The ladder of word problems: majority, parity, words over S3 and over S5, the first three in constant depth.

Majority is one gate, parity the counting gates with alternating signs. S3 is solvable: it is the rotations of three
points and a reflection, r_1 s_1 r_2 s_2 ... = (sum of r_i, negated after an odd number of reflections), so that prefix
parities and a count modulo 3 are enough, at any length. S5 is not (Barrington 1989: NC1-complete); constant depth
would put NC1 into TC0, and what is built here is a balanced tree of products, one level a doubling.
"""

from __future__ import annotations

import numpy as np

from separatrix.depth.builder import Builder
from separatrix.depth.forms import Forms
from separatrix.depth.words import function, integer, steps, telescoped_bit
from separatrix.tasks.word_problem import elements, products


def majority(b: Builder, bits: np.ndarray) -> Forms:
    """[more ones than zeros] of wires: one gate."""
    return b.forms(b.gate(b.forms(bits), len(bits) // 2 + 1, "majority")[None])


def parity(b: Builder, bits: np.ndarray) -> Forms:
    """The sum modulo 2 of wires: one level, [sum >= 1] - [sum >= 2] + [sum >= 3] - ..."""
    return telescoped_bit(b, b.forms(bits)[None], 0, "parity")


def letters(b: Builder, words: np.ndarray, group: str) -> Forms:
    """(n, order) forms [letter i is element e] of numbers (n, bits); a number that is no element is the identity."""
    order = len(elements(group))
    codes = integer(b, words)
    reached = steps(b, codes, np.arange(1, order + 1), "letter")  # [code >= e], e = 1 .. order
    first = b.forms(reached[:, [0, -1]], [-1, 1], 1, 0, 1)
    others = b.forms(np.stack([reached[:, :-1], reached[:, 1:]], axis=-1), [1, -1], 0, 0, 1)
    return Forms.concatenate([first[:, None], others], axis=1)


def word_s3(b: Builder, words: np.ndarray) -> Forms:
    """(1,) the number of the product of n elements of S3: five levels whatever n is."""
    turns, turned = _s3()
    letter, n = letters(b, words, "s3"), len(words)
    swaps = b.dot(np.array(turns) // 3, letter, 0, 0, 1)
    # an element is a rotation, then perhaps the reflection: rotations count backwards behind odd many reflections
    behind = [b.add([(1, swaps[j]) for j in range(i)], 0, 0, i)[None] for i in range(1, n + 1)]
    odd = Forms.concatenate([Forms.constant([0]), *(telescoped_bit(b, form, 0, "reflected") for form in behind)])
    turn = Forms.stack([b.dot((np.array(turns) % 3 == r).astype(int), letter, 0, 0, 1) for r in (1, 2)])
    forth = b.gate(b.add([(1, turn), (-1, odd[:n])]), 1, "forth")
    back = b.gate(b.add([(1, turn), (1, odd[:n])]), 2, "back")
    total = b.forms(np.concatenate([forth, back], axis=None), np.repeat([1, 2, 2, 1], n))
    rotation = function(b, total, [t % 3 for t in range(6 * n + 1)], "rotation")
    last = b.gate(b.add([(1, odd[n])]), 1, "reflection")  # carried along a level
    return function(b, b.add([(1, rotation), (3, b.forms(last[None]))], 0, 0, 5), turned, "element")[None]


def _s3() -> tuple[list[int], list[int]]:
    """(rotation + 3 reflection of each element, the element of each such number)."""
    table = products("s3")
    rotation = next(e for e in range(1, 6) if table[e, e] not in (0, e))
    rotations = [0, rotation, int(table[rotation, rotation])]
    reflection = next(e for e in range(1, 6) if e not in rotations)
    turned = rotations + [int(table[r, reflection]) for r in rotations]
    return [turned.index(e) for e in range(6)], turned


def word_s5(b: Builder, words: np.ndarray) -> Forms:
    """(5,) where the product of n permutations takes each point: one level, and one more a doubling of n."""
    letter, points = letters(b, words, "s5"), np.array(elements("s5"))
    moves = (points[:, :, None] == np.arange(5)).transpose(1, 2, 0).astype(int)  # [p, q, e]: e takes p to q
    factors = b.dot(moves, letter[:, None, None].broadcast((len(words), 5, 5, 120)), 0, 0, 1)
    while len(factors.ids) > 1:
        pairs = len(factors.ids) // 2
        one, other = factors[0 : 2 * pairs : 2], factors[1 : 2 * pairs : 2]
        through = b.add([(1, one[:, :, :, None]), (1, other[:, None])])  # [pair, p, r, q]
        after = b.forms(np.moveaxis(b.gate(through, 2, "then"), 2, -1), 1, 0, 0, 1)
        factors = Forms.concatenate([after, factors[2 * pairs :]])
    return b.dot(np.arange(5), factors[0], 0, 0, 4)
