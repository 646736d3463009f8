"""Random formulas of exactly n tokens whose value is uniform: a shape, then values from the root down.

A shape is a word of arities in prefix order. The operation of a node is uniform whatever its value, the pair of
operands uniform among those that give the value, so that neither the operation at the root nor the shape tells it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from separatrix.tasks.formula_value import FormulaValue


def sample(task: FormulaValue, n: int, size: int, rng: np.random.Generator, shape: str) -> np.ndarray:
    """(size, n) tokens of formulas; shape: `uniform` (all trees alike), `complete` (least depth), `comb` (greatest)."""
    pairs = task.shapes(n)
    if shape == "uniform":  # not mostly chains of one operand
        pairs = [pair for pair in pairs if pair[1] <= pair[0] + 1] or pairs[:1]
    else:
        pairs = pairs[:1]
    tokens = np.empty((size, n), dtype=np.int64)
    chosen = rng.integers(0, len(pairs), size)
    for k, (binary, unary) in enumerate(pairs):
        rows = np.flatnonzero(chosen == k)
        if not len(rows):
            continue
        if shape == "uniform":
            arity = any_trees(binary, unary, len(rows), rng)
        else:
            arity = combs(binary, len(rows), rng) if shape == "comb" else np.tile(complete(binary), (len(rows), 1))
            arity = np.stack([wrap(row, unary, rng) for row in arity])
        tokens[rows] = spell(task, arity, n, rng)
    return tokens


def any_trees(binary: int, unary: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, nodes) uniform prefix words: exactly one rotation of a word of arities is a tree (the cycle lemma)."""
    word = np.repeat([2, 1, 0], [binary, unary, binary + 1])
    words = rng.permuted(np.tile(word, (size, 1)), axis=1)
    start = np.cumsum(words - 1, axis=1).argmin(axis=1) + 1  # just after the first least partial sum
    return np.take_along_axis(words, (start[:, None] + np.arange(len(word))) % len(word), axis=1)


def complete(binary: int) -> np.ndarray:
    """The prefix word of a tree of `binary` nodes of two operands whose depth is least.

    >>> complete(3).tolist()
    [2, 2, 0, 0, 2, 0, 0]
    """
    word, open_nodes = [], [binary]
    while open_nodes:
        nodes = open_nodes.pop()
        word.append(2 if nodes else 0)
        if nodes:
            open_nodes += [(nodes - 1) // 2, nodes // 2]  # popped from the right: the greater half first
    return np.array(word)


def combs(binary: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, nodes) prefix words of trees of depth `binary`: one leaf a level, on a random side."""
    words = np.zeros((size, 2 * binary + 1), dtype=np.int64)
    leaf_first = rng.integers(0, 2, (size, binary))
    at = np.arange(binary) + np.cumsum(leaf_first, axis=1) - leaf_first
    words[np.arange(size)[:, None], at] = 2
    return words


def wrap(word: np.ndarray, unary: int, rng: np.random.Generator) -> np.ndarray:
    """The prefix word with `unary` nodes of one operand put above random nodes."""
    for _ in range(unary):
        word = np.insert(word, rng.integers(0, len(word)), 1)
    return word


def subtree_sizes(arity: np.ndarray) -> np.ndarray:
    """(rows, nodes) nodes of the subtree of each node of prefix words, itself included."""
    rows, count = np.arange(len(arity)), np.zeros(len(arity), dtype=np.int64)
    stack, sizes = np.zeros((len(arity), arity.shape[1] + 2), dtype=np.int64), np.empty_like(arity)
    for node in range(arity.shape[1] - 1, -1, -1):
        here = arity[:, node]
        left = np.where(here > 0, stack[rows, count - 1], 0)
        right = np.where(here > 1, stack[rows, count - 2], 0)
        count = count - here
        stack[rows, count] = sizes[:, node] = 1 + left + right
        count = count + 1
    return sizes


def spell(task: FormulaValue, arity: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(rows, n) tokens of formulas with these shapes, values and operations drawn from the root down.

    Every row keeps a stack of what it writes next: tokens, and nodes with the value that they must have.
    """
    kinds, infix = task.algebra(), task.written() == "infix"
    one, two = kinds.size, kinds.size + len(kinds.unary)
    bracket = two + len(kinds.binary)
    preimages = _preimages(kinds.size, [table for _, table in kinds.unary], [table for _, table in kinds.binary])
    size, count, rows = subtree_sizes(arity), len(arity), np.arange(len(arity))
    tokens, written = np.empty((count, n), dtype=np.int64), np.zeros(count, dtype=np.int64)
    node = np.full((count, 2 * n + 8), -1, dtype=np.int64)  # -1: the entry of `todo` is a token
    todo, height = np.zeros_like(node), np.ones(count, dtype=np.int64)
    node[:, 0], todo[:, 0] = 0, rng.integers(0, kinds.size, count)
    while len(live := rows[height > 0]):
        height[live] -= 1
        at, value = node[live, height[live]], todo[live, height[live]]
        kind = np.where(at < 0, 0, arity[live, np.maximum(at, 0)])
        done = live[kind == 0]
        tokens[done, written[done]] = value[kind == 0]
        written[done] += 1
        for operands in (1, 2):
            some = kind == operands
            if not some.any():
                continue
            who, parent, wanted = live[some], at[some], value[some]
            op = rng.integers(0, len(kinds.unary) if operands == 1 else len(kinds.binary), len(who))
            pair = preimages[operands - 1](op, wanted, rng)
            left = parent + 1
            right = left + size[who, np.minimum(left, arity.shape[1] - 1)]
            if operands == 1:
                token = one + op
                items = [(token, -1), (pair[0], left)] if infix else [(pair[0], left), (token, -1)]
            else:
                token = two + op
                if not infix:  # the longer operand first
                    turn = size[who, left] < size[who, right]
                    left, right = np.where(turn, right, left), np.where(turn, left, right)
                items = [(pair[0], left), (token, -1), (pair[1], right)]
                if not infix:
                    items = [items[0], items[2], items[1]]
            if infix:
                items = [(np.full(len(who), bracket), -1), *items, (np.full(len(who), bracket + 1), -1)]
            for what, child in reversed(items):
                todo[who, height[who]], node[who, height[who]] = what, child
                height[who] += 1
    return tokens


def _preimages(size: int, unary: list[np.ndarray], binary: list[np.ndarray]):
    """Two samplers: (op, wanted value, rng) -> operands, uniform among those with op(operands) = wanted value."""

    def sampler(tables: list[np.ndarray], operands: int):
        lists = [[np.argwhere(table == v) for v in range(size)] for table in tables]
        most = max((len(pairs) for row in lists for pairs in row), default=1)
        padded = np.zeros((max(1, len(tables)), size, most, operands), dtype=np.int64)
        counts = np.ones((max(1, len(tables)), size), dtype=np.int64)
        for t, row in enumerate(lists):
            for v, pairs in enumerate(row):
                padded[t, v, : len(pairs)], counts[t, v] = pairs, len(pairs)

        def draw(op: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
            pick = rng.integers(0, counts[op, wanted])
            return tuple(padded[op, wanted, pick].T)

        return draw

    return sampler(unary, 1), sampler(binary, 2)
