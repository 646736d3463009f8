"""k-hop induction heads: jump k times to the symbol behind the last earlier occurrence, and say what stands there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.k_hop_steps import Chase, Double, Hop, Previous


def doublings(k: int) -> list[bool]:
    """From one hop to k: steps from a to 2a hops, or (True) to 2a - 1; ceil(log2 k) of them.

    >>> doublings(16), doublings(5), doublings(6)
    ([False, False, False, False], [False, True, True], [False, True, False])
    """
    steps = (k - 1).bit_length()
    reach = [-(-k // 2 ** (steps - i)) for i in range(steps + 1)]
    return [after % 2 == 1 for after in reach[1:]]


@registry.register("k-hop")
@dataclass(frozen=True)
class KHop(Task):
    """x_1 .. x_N; find(i) = the greatest j <= i with x_(j-1) = x_i, or 0; position i answers x_(find^k(i)).

    The answer `symbols` stands for "nowhere": a pointer is 0. No cells are known. The task factors into one step that
    fetches the symbol before, one hop, and ceil(log2 k) doublings, some of them of one hop less.

    >>> word = np.array([[1, 0, 4, 1, 2, 0, 1, 4, 1, 3, 4, 0]])  # baebcabebdea
    >>> [int(KHop(k, 5).answer(word)[0, -1]) for k in (1, 2, 3)]
    [1, 2, 5]
    """

    k: int = 2
    symbols: int = 4

    name = "k-hop"
    gloss = "k times: the symbol behind the last earlier occurrence of the symbol here"
    source = "Sanford, Hsu, Telgarsky 2024, Definition 4.1 (hop_k; k = 1 is the induction head)"
    length_word = "symbols"

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 2**32 or not 2 <= self.symbols <= 2**12:
            raise InputError(f"k-hop: k = {self.k}, symbols = {self.symbols}; take k to {2**32}, 2 to {2**12} symbols")

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**16:
            raise InputError(f"k-hop: n = {n}; take 1 to {2**16} symbols")
        return Sequence((np.arange(self.symbols),) * n, vocabulary=self.symbols)

    def outputs(self) -> Labels:
        return Labels(self.symbols + 1)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        """By the pointers of one hop, composed k times; index 0 is no target of a hop and stands for nowhere."""
        batch, n = tokens.shape
        rows, latest = np.arange(batch), np.zeros((batch, self.symbols), dtype=np.int64)
        find = np.zeros((batch, n), dtype=np.int64)
        for i in range(n):
            if i:
                latest[rows, tokens[:, i - 1]] = i
            find[:, i] = latest[rows, tokens[:, i]]
        where = np.broadcast_to(np.arange(n), (batch, n))
        for _ in range(min(self.k, n)):  # after n hops a pointer is 0, or stays
            where = np.take_along_axis(find, where, axis=1)
        return np.where(where > 0, np.take_along_axis(tokens, where, axis=1), self.symbols)

    def constant(self, n: int, query: int, box: tuple[np.ndarray, ...]) -> int | None:
        """Hop by hop, as long as every symbol that a hop looks at is known, or is not what it looks for."""
        where, held = query, np.concatenate(box[: query + 1])
        behind = np.repeat(np.arange(1, query + 2), [len(symbols) for symbols in box[: query + 1]])
        for _ in range(min(self.k, n)):
            if len(box[where]) != 1:
                return None
            wanted = box[where][0]
            held, behind = held[behind <= where], behind[behind <= where]
            before = int(behind[held == wanted].max(initial=0))
            if before and len(box[before - 1]) != 1:
                return None
            if before in (0, where):  # nowhere, or it stays
                where = before
                break
            where = before
        if where == 0:
            return self.symbols
        return int(box[where][0]) if len(box[where]) == 1 else None

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """The symbol before, one hop, doublings; pointers carry the symbol that they point to."""
        s, hops = self.symbols, doublings(self.k)
        if not self.k & (self.k - 1):
            chain = [Hop(s, last=not hops), *(Double(s, last=i + 1 == len(hops)) for i in range(len(hops)))]
        else:
            both = [any(hops[i:]) and i > 0 for i in range(len(hops) + 1)]  # whether both pointers are still needed
            chain = [
                Hop(s),
                *(Chase(s, i + 1 == len(hops), short, both[i], both[i + 1]) for i, short in enumerate(hops)),
            ]
        return {"doubling": (Previous(s), *chain)}

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`: all symbols equally likely."""
        if distribution != "uniform":
            raise InputError(f"k-hop: distribution {distribution!r} is not known; there is `uniform`")
        self.domain(n)
        return rng.integers(0, self.symbols, (size, n)), None

    def splits(self, n: int) -> tuple[int, ...]:
        return tuple(range(1, n)) or (1,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))
