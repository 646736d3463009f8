"""Boolean circuits over symbols: a task's answer as and, xor and not of the questions "is position p symbol s?".

A literal is 2 v for node v, 2 v + 1 for its negation; node 0 is the constant 0. Equal nodes are one node, and what is
constant is folded, so restricting a circuit shrinks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from separatrix.core.errors import InputError

IS, AND, XOR = 0, 1, 2
MOST_NODES = 2**22
Node = tuple[int, int, int]


class Gates:
    """A circuit under construction, and its value on words.

    Attributes:
        nodes: (kind, left, right): (IS, position, symbol), or (AND | XOR, literal, literal) of earlier nodes.
        root: the literal of the answer bit.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = [(AND, 0, 0)]
        self.known: dict[Node, int] = {}
        self.root = 0

    def put(self, node: Node) -> int:
        """The literal of a node, new or known."""
        if node not in self.known:
            if len(self.nodes) >= MOST_NODES:
                raise InputError(f"a circuit of more than {MOST_NODES} gates is too large")
            self.known[node] = len(self.nodes)
            self.nodes.append(node)
        return 2 * self.known[node]

    def is_symbol(self, position: int, symbol: int) -> int:
        """Whether a position holds a symbol."""
        return self.put((IS, position, symbol))

    def both(self, a: int, b: int) -> int:
        """a and b."""
        a, b = min(a, b), max(a, b)
        if a == 0 or a == b ^ 1:
            return 0
        if a == 1 or a == b:
            return b
        return self.put((AND, a, b))

    def either(self, a: int, b: int) -> int:
        """a or b."""
        return self.both(a ^ 1, b ^ 1) ^ 1

    def differ(self, a: int, b: int) -> int:
        """a xor b; negations move to the outside."""
        sign, a, b = (a ^ b) & 1, a & ~1, b & ~1
        a, b = min(a, b), max(a, b)
        if a == b:
            return sign
        return (b if a == 0 else self.put((XOR, a, b))) ^ sign

    def fold(self, join: Callable[[int, int], int], literals: Iterable[int], empty: int) -> int:
        """All literals joined, as a balanced tree."""
        row = list(literals)
        while len(row) > 1:
            row = [join(*row[i : i + 2]) if i + 1 < len(row) else row[i] for i in range(0, len(row), 2)]
        return row[0] if row else empty

    def run(self, tokens: np.ndarray) -> np.ndarray:
        """(batch,) the answer bits of words (batch, positions)."""
        values: list[np.ndarray | None] = [None] * len(self.nodes)
        values[0] = np.zeros(len(tokens), dtype=bool)
        needed = self.reached()
        for v in sorted(needed):
            kind, a, b = self.nodes[v]
            if v and kind == IS:
                values[v] = tokens[:, a] == b
            elif v:
                left, right = values[a >> 1], values[b >> 1]
                assert left is not None and right is not None
                left, right = left ^ bool(a & 1), right ^ bool(b & 1)
                values[v] = left & right if kind == AND else left ^ right
        root = values[self.root >> 1]
        assert root is not None
        return root ^ bool(self.root & 1)

    def reached(self) -> set[int]:
        """The nodes on which the answer may depend, and the constant."""
        found, stack = {0}, [self.root >> 1]
        while stack:
            v = stack.pop()
            if v not in found:
                found.add(v)
                kind, a, b = self.nodes[v]
                stack += [] if kind == IS else [a >> 1, b >> 1]
        return found
