"""Mixed-type prompts: a list of categories with prices, written in digits, and a question about some of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import RealAnswer, Reals, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

QUESTIONS = ("sum", "min", "max")
SYMBOLS = (*"0123456789", " ", "+", "-", "*", "_", *QUESTIONS)
BLANK, MARKS, ASK = 10, {"uniform": (11, 12), "unseen": (13, 14)}, 15
NUMBERS = {"uniform": (1, 21), "unseen": (21, 41)}  # of categories, from and to
ITEM = 7  # two digits of the category, a mark or a blank, four digits of the price


@registry.register("price-list")
@dataclass(frozen=True)
class PriceList(Task):
    """n categories with prices dd.dd, n/4 decoys among them, then `sum`, `min` or `max` and n/2 of the categories.

    An item is the category's two digits, a blank, and four digits of a price; a decoy repeats a category with a mark
    for the blank and another price, and does not count. The node with the question answers; a category that is not
    listed counts as one of price 0. `ask` is one of the questions, or `min+max` for one of the two in every prompt.
    Prices of a prompt are uniform on a random interval of its own within [0, scale], in hundredths.

    tokens: (batch, nodes), all 0. reals: (batch, nodes, 18), at each node 1 for its symbol; a node counts as what its
    largest word says. Right means within `eps`.

    >>> task = PriceList()
    >>> tokens, reals = task.sample(4, 1, np.random.default_rng(0))
    >>> task.show(tokens[0], reals[0])
    '03 04.03 12 04.93 12+03.11 04 04.02 14 03.91 | sum 12 03'
    >>> task.answer(tokens, reals).round(2)
    array([[[8.96]]])
    """

    ask: str = "sum"
    scale: float = 5.0
    eps: float = 0.01

    name = "price-list"
    gloss = "prices of categories written in digits, decoys among them: the sum, least or greatest of some"
    source = "Back de Luca et al. 2025, section 7 (mixed-type input), laid out anew"
    length_word = "categories"

    def __post_init__(self) -> None:
        if self.ask not in (*QUESTIONS, "min+max"):
            raise InputError(f"price-list: ask = {self.ask!r}; take sum, min, max or min+max")
        if not (0.01 <= self.scale <= 99.0 and 0.0 < self.eps < 1e9):
            raise InputError(
                f"price-list: scale = {self.scale}, eps = {self.eps}; take 0.01 to 99, and a positive number"
            )

    def domain(self, n: int) -> Sequence:
        if not 2 <= n <= 20:
            raise InputError(f"price-list: n = {n}; take 2 to 20 categories")
        return Sequence((np.zeros(1, dtype=np.int64),) * nodes(n), 1, reals=Reals("box", len(SYMBOLS), 0.0, 1.0))

    def outputs(self) -> RealAnswer:
        return RealAnswer(1, self.eps)

    def queries(self, n: int) -> tuple[int, ...]:
        return (items(n) * ITEM,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        assert reals is not None, "price-list needs the real parts"
        word = reals.argmax(axis=2)
        question, listed, asked = _split(word)
        numbers, prices = listed[:, :, 0] * 10 + listed[:, :, 1], listed[:, :, 3:] @ np.array([10.0, 1.0, 0.1, 0.01])
        wanted = asked[:, :, 0] * 10 + asked[:, :, 1]
        hit = (wanted[:, :, None] == numbers[:, None]) & (listed[:, None, :, 2] == BLANK)
        found = np.where(hit.any(axis=2), np.take_along_axis(prices, hit.argmax(axis=2), axis=1), 0.0)
        by = np.stack([found.sum(axis=1), found.min(axis=1), found.max(axis=1)], axis=1)
        return by[np.arange(len(word)), np.clip(question - ASK, 0, 2)][:, None, None]

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray]:
        """`uniform`: categories 1 to 20, marks + and -; `unseen`: 21 to 40, marks * and _."""
        if distribution not in NUMBERS:
            raise InputError(f"price-list: distribution {distribution!r} is not known; there are uniform and unseen")
        self.domain(n)
        low, high = NUMBERS[distribution]
        numbers = low + rng.random((size, high - low)).argsort(axis=1)[:, :n]
        marks = np.full((size, n), BLANK)
        twice = rng.random((size, n)).argsort(axis=1)[:, : items(n) - n]
        numbers = np.concatenate([numbers, np.take_along_axis(numbers, twice, axis=1)], axis=1)
        marks = np.concatenate([marks, rng.choice(MARKS[distribution], twice.shape)], axis=1)
        ends = np.sort(rng.uniform(0.0, self.scale, (size, 2)), axis=1)
        prices = np.round(100 * (ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * rng.random(marks.shape))).astype(np.int64)
        digits = [prices // 10**k % 10 for k in (3, 2, 1, 0)]
        listed = np.stack([numbers // 10, numbers % 10, marks, *digits], axis=2)
        wanted = np.take_along_axis(numbers, rng.random((size, n)).argsort(axis=1)[:, : n // 2], axis=1)
        order = rng.random(marks.shape).argsort(axis=1)
        listed = np.take_along_axis(listed, order[:, :, None], axis=1).reshape(size, -1)
        pool = (1, 2) if self.ask == "min+max" else (QUESTIONS.index(self.ask),)
        question = ASK + rng.choice(pool, (size, 1))
        asked = np.stack([wanted // 10, wanted % 10], axis=2).reshape(size, -1)
        word = np.concatenate([listed, question, asked], axis=1)
        return np.zeros(word.shape, dtype=np.int64), np.eye(len(SYMBOLS))[word]

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        if reals is None:
            return f"a prompt of {len(tokens)} symbols"
        question, listed, asked = _split(reals.argmax(axis=1)[None])
        rows = ["".join(SYMBOLS[s] for s in item) for item in listed[0]]
        told = " ".join(f"{row[:5]}.{row[5:]}" for row in rows)
        return f"{told} | {SYMBOLS[int(question[0])]} " + " ".join(f"{a}{b}" for a, b in asked[0].tolist())


def items(n: int) -> int:
    """Items of a list of n categories, decoys included.

    >>> items(8), nodes(8)
    (10, 79)
    """
    return n + max(1, n // 4)


def nodes(n: int) -> int:
    """Symbols of a prompt."""
    return items(n) * ITEM + 1 + 2 * (n // 2)


def _split(word: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(batch,) question, (batch, items, 7) list, (batch, asked, 2) categories, of (batch, nodes) symbols."""
    n = next(n for n in range(2, 21) if nodes(n) == word.shape[1])
    end = items(n) * ITEM
    return word[:, end], word[:, :end].reshape(len(word), -1, ITEM), word[:, end + 1 :].reshape(len(word), -1, 2)
