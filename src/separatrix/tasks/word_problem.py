"""Word problems of finite groups: is a product of group elements the identity?"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry


@lru_cache(maxsize=128)
def elements(group: str) -> tuple[tuple[int, ...], ...]:
    """The group as permutations of points 0 .. d-1 in lexicographic order, so that the identity is number 0.

    `zM` (2 <= M <= 64; number k turns by k), `sD` and `aD` for D = 3, 4, 5; InputError for another name.
    """
    if match := re.fullmatch(r"z([1-9][0-9]?)", group):
        order = int(match[1])
        if 2 <= order <= 64:
            return tuple(tuple((i + k) % order for i in range(order)) for k in range(order))
    if match := re.fullmatch(r"([sa])([345])", group):
        every = itertools.permutations(range(int(match[2])))
        return tuple(p for p in every if match[1] == "s" or is_even(p))
    raise InputError(f"group {group!r} is not known; there are z2 .. z64, s3, s4, s5, a3, a4, a5")


def is_even(permutation: tuple[int, ...]) -> bool:
    """Whether a permutation has an even number of inversions."""
    return sum(a > b for a, b in itertools.combinations(permutation, 2)) % 2 == 0


@lru_cache(maxsize=16)
def products(group: str) -> np.ndarray:
    """(order, order) the number of `a, then b` at [a, b]: point i goes to b[a[i]].

    >>> bool((products("z5")[2] == [2, 3, 4, 0, 1]).all())
    True
    """
    table = np.array(elements(group))
    number = {row: k for k, row in enumerate(elements(group))}
    return np.array([[number[tuple(b[a].tolist())] for b in table] for a in table])


@registry.register("word-problem")
@dataclass(frozen=True)
class WordProblem(Task):
    """N group elements, then an end token; the end answers 1 iff their product is the identity.

    Token ids: the elements by number, then the end. With `ask = product` the answer is the product's number.

    >>> WordProblem("z3").answer(np.array([[1, 1, 1, 3], [1, 1, 2, 3]]))
    array([[1],
           [0]])
    """

    group: str = "s5"
    ask: str = "identity"

    name = "word-problem"
    gloss = "is the product of group elements the identity (or which element is it)"
    source = "Barrington 1989 (S5 and every nonsolvable group: NC1-complete)"
    length_word = "group elements"

    def __post_init__(self) -> None:
        elements(self.group)
        if self.ask not in ("identity", "product"):
            raise InputError(f"word-problem: ask = {self.ask!r}; take identity or product")

    @property
    def order(self) -> int:
        """Number of group elements."""
        return len(elements(self.group))

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"word-problem: n = {n}; take 1 to {2**20} group elements")
        return Sequence((np.arange(self.order),) * n + (np.array([self.order]),), vocabulary=self.order + 1)

    def outputs(self) -> Labels:
        return Labels(2 if self.ask == "identity" else self.order)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        product = self.product(tokens[:, :-1])
        return (product == 0).astype(np.int64)[:, None] if self.ask == "identity" else product[:, None]

    def product(self, words: np.ndarray) -> np.ndarray:
        """(batch,) the product of each word (batch, length), from left to right."""
        table, state = products(self.group), np.zeros(len(words), dtype=np.int64)
        for symbol in words.T:
            state = table[state, symbol]
        return state

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """One cell an answer: the words that lead the automaton of right multiplication to it."""
        empty, table = np.zeros((1, 0), dtype=np.int64), tuple(map(tuple, products(self.group).tolist()))
        others = tuple(range(1, self.order))
        accepts = ((1, (0,)), (0, others)) if self.ask == "identity" else [(g, (g,)) for g in range(self.order)]
        for label, accepting in accepts:
            constraint = Constraint("regular", transitions=table, accepting=accepting, positions=tuple(range(n)))
            yield CellGroup(n, self.order, empty, empty, labels=np.array([label]), constraint=constraint)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` words; `balanced`: the last element is chosen so that half of the products are the identity."""
        self.domain(n)
        if distribution not in ("uniform", "balanced"):
            raise InputError(
                f"word-problem: distribution {distribution!r} is not known; there are `uniform` and `balanced`"
            )
        words = rng.integers(0, self.order, (size, n))
        if distribution == "balanced":
            inverse = (products(self.group) == 0).argmax(axis=1)
            right = rng.random(size) < 0.5
            wanted = np.where(right, 0, rng.integers(1, self.order, size))
            words[:, -1] = products(self.group)[inverse[self.product(words[:, :-1])], wanted]
        return np.concatenate([words, np.full((size, 1), self.order)], axis=1), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (max(1, n // 2),)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        """Permutations as the images of 1 .. d; elements of zM as numbers."""
        if self.group.startswith("z"):
            return " + ".join(map(str, tokens[:-1].tolist())) + " = 0 ?"
        written = ["".join(str(point + 1) for point in elements(self.group)[g]) for g in tokens[:-1].tolist()]
        return " ".join(written) + (" = 1 ?" if self.ask == "identity" else " = ?")
