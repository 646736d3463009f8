"""Boolean formula value -> word problem of S5 (Barrington 1989, Theorem 1; width-5 programs of length 4^depth)."""

from __future__ import annotations

from functools import cache

import numpy as np

from separatrix.core.errors import InputError
from separatrix.tasks.formula_value import BooleanFormula
from separatrix.tasks.word_problem import elements, products

MOST_LENGTH = 2**22
CYCLE = (1, 2, 3, 4, 0)  # point i goes to i + 1
Tree = tuple  # ("value", bit) | ("~", tree) | ("&" or "|", tree, tree)


def to_word(task: BooleanFormula, tokens: np.ndarray) -> np.ndarray:
    """(length,) elements of S5 whose product is the cycle (1 2 3 4 5) if the formula is true, else the identity.

    Followed by the cycle's inverse it is the identity iff the formula is true: an input of `word-problem`. The length
    is at most 4^depth, `~` not counted. InputError where the tokens are no formula or the word is too long.
    """
    tree = parse(task, tokens)
    if word_length(tree) > MOST_LENGTH:
        raise InputError(f"the formula is so deep that its program has more than 2^22 steps (depth {depth(tree)})")
    return np.array(_program(tree, CYCLE), dtype=np.int64)


def parse(task: BooleanFormula, tokens: np.ndarray) -> Tree:
    """The formula as a tree."""
    if int(task.answer(np.asarray(tokens)[None])[0, 0]) == 2:
        raise InputError("these tokens are no formula")
    names, stack = ("0", "1", "~", "&", "|", "(", ")"), []
    for token in np.asarray(tokens).tolist():
        name = names[token]
        if token < 2:
            stack.append(("value", token))
        elif name == ")":
            *stack, second, last = stack
            if second == "~":
                stack = [*stack[:-1], ("~", last)]
            else:
                stack = [*stack[:-2], (second, stack[-1], last)]
        elif task.encoding == "infix":
            stack.append(name)
        elif name == "~":
            stack[-1] = ("~", stack[-1])
        else:
            stack[-2:] = [(name, stack[-2], stack[-1])]
    return stack[0]


def depth(tree: Tree) -> int:
    """Levels of & and |."""
    if tree[0] == "value":
        return 0
    return (tree[0] != "~") + max(map(depth, tree[1:]))


def word_length(tree: Tree) -> int:
    """Steps of the program: 1 for a value, as many under ~, four half-programs for & and |."""
    if tree[0] == "value":
        return 1
    return sum(map(word_length, tree[1:])) * (1 if tree[0] == "~" else 2)


def _program(tree: Tree, cycle: tuple[int, ...]) -> list[int]:
    """A word of product `cycle` if the tree is true, else the identity; `cycle` is any 5-cycle."""
    if tree[0] == "value":
        return [_number(cycle) if tree[1] else 0]
    if tree[0] == "~":  # the word of `cycle` inverse, and `cycle` multiplied to its last step
        word = _program(tree[1], _inverse(cycle))
        return [*word[:-1], int(products("s5")[word[-1], _number(cycle)])]
    if tree[0] == "|":
        return _program(("~", ("&", ("~", tree[1]), ("~", tree[2]))), cycle)
    a, b = _commutator(cycle)
    first, second = _program(tree[1], a), _program(tree[2], b)
    return [*first, *second, *_program(tree[1], _inverse(a)), *_program(tree[2], _inverse(b))]


def _inverse(permutation: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(permutation.index(i) for i in range(5))


@cache
def _number(permutation: tuple[int, ...]) -> int:
    return elements("s5").index(permutation)


@cache
def _commutator(cycle: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """5-cycles a, b with a b a^-1 b^-1 = cycle (Barrington's Lemma 2), the first pair in lexicographic order."""
    fives = [p for p in elements("s5") if _is_five_cycle(p)]
    table = products("s5")
    for a in fives:
        for b in fives:
            left, right = table[_number(a), _number(b)], table[_number(_inverse(a)), _number(_inverse(b))]
            if int(table[left, right]) == _number(cycle):
                return a, b
    raise AssertionError("every 5-cycle is a commutator of 5-cycles")


def _is_five_cycle(permutation: tuple[int, ...]) -> bool:
    at, seen = 0, set()
    while at not in seen:
        seen.add(at)
        at = permutation[at]
    return len(seen) == 5
