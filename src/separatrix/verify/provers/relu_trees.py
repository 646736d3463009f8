"""Trees for the kernel's `relu` check as the prover holds them, and the arrays of a certificate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

ALONE, CORNERS, MULTIPLIERS = -1, -2, -3  # kinds of leaves
NAMES = ("node", "split", "symbols", "range", "slope", "tau", "plus", "minus")


@dataclass(slots=True)
class Tree:
    """One pair's part of the certificate's arrays, in preorder; symbols: a set (V,) of bools for each slot cut."""

    node: list[int] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    symbols: list[np.ndarray] = field(default_factory=list)
    slope: list[np.ndarray] = field(default_factory=list)
    tau: list[np.ndarray] = field(default_factory=list)
    plus: list[np.ndarray] = field(default_factory=list)
    minus: list[np.ndarray] = field(default_factory=list)

    def add(self, slope: np.ndarray, tau: np.ndarray, push: np.ndarray | None = None) -> Tree:
        """Appends a leaf: slope (F,), tau (H,), push (2, 2, H): multipliers plus and minus."""
        pushed = push is not None and push.any()
        self.node.append(ALONE if len(tau) == 1 else MULTIPLIERS if pushed else CORNERS)
        self.slope.append(slope)
        self.tau.append(tau)
        if push is not None and pushed:
            self.plus.append(push[0])
            self.minus.append(push[1])
        return self

    @property
    def start(self) -> tuple[np.ndarray, np.ndarray]:
        """Slopes and tau of some leaf, from where a search may begin."""
        return self.slope[0], self.tau[0]


def arrays(trees: Iterable[Tree], guesses: list[np.ndarray], hidden: int, vocabulary: int) -> dict[str, np.ndarray]:
    """The certificate's arrays, from the trees of all pairs and the guesses of ranges (C, 2, R, H), in order."""
    trees, heads = list(trees), guesses[0].shape[3]

    def rows(name: str, *shape: int) -> np.ndarray:
        found = [row for tree in trees for row in getattr(tree, name)]
        return np.array(found, dtype=np.float64).reshape(len(found), *shape)

    tau = rows("tau", heads)
    made = {
        "node": np.array([kind for tree in trees for kind in tree.node], dtype=np.int64),
        "split": rows("split"),
        "symbols": np.packbits(rows("symbols", vocabulary) > 0, axis=1),
        "range": np.concatenate(guesses).astype(np.float32),
        "slope": rows("slope", hidden).astype(np.float32),
        "tau": tau if heads > 1 else tau[:, :0],
        "plus": rows("plus", 2, heads),
        "minus": rows("minus", 2, heads),
    }
    return {name: made[name] for name in NAMES}


def parted(made: Mapping[str, np.ndarray], variables: int, vocabulary: int) -> list[Tree]:
    """The trees of arrays that `arrays` made; `variables`: how many are no slots. IndexError for others."""
    trees: list[Tree] = []
    heads, sets = made["range"].shape[3], np.unpackbits(made["symbols"], axis=1, count=vocabulary) > 0
    open_ = leaf = split = cut = several = 0
    for kind in made["node"].tolist():
        if not open_:
            trees.append(Tree())
            open_ = 1
        tree = trees[-1]
        if kind >= 0:
            tree.node.append(kind)
            if kind < variables:
                tree.split.append(float(made["split"][split]))
                split += 1
            else:
                tree.symbols.append(sets[cut])
                cut += 1
            open_ += 1
            continue
        push = np.zeros((2, 2, heads))
        if kind == MULTIPLIERS:
            push = np.stack([made["plus"][several], made["minus"][several]])
            several += 1
        tau = made["tau"][leaf] if heads > 1 else np.zeros(1)
        tree.add(made["slope"][leaf].astype(np.float64), tau, push)
        open_, leaf = open_ - 1, leaf + 1
    return trees
