"""Two references for the value of a formula: recursive descent from the grammar, and parallel tree contraction."""

from __future__ import annotations

from typing import Any

import numpy as np

from separatrix.tasks.formula_value import FormulaValue

Node = tuple  # (token,) or (token, child) or (token, child, child)


def parse(task: FormulaValue, tokens: list[int]) -> Node | None:
    """The tree of a word, None where it is no formula; from the grammar, with indices and recursion."""
    kinds = task.algebra()
    arity = [0] * kinds.size + [1] * len(kinds.unary) + [2] * len(kinds.binary)
    opening = len(arity)

    def infix(at: int) -> tuple[Node, int] | None:
        if at < len(tokens) and tokens[at] < kinds.size:
            return (tokens[at],), at + 1
        if at + 1 >= len(tokens) or tokens[at] != opening:
            return None
        if tokens[at + 1] < opening and arity[tokens[at + 1]] == 1:
            only = infix(at + 2)
            node = only and ((tokens[at + 1], only[0]), only[1])
        else:
            left = infix(at + 1)
            if left is None or left[1] >= len(tokens) or tokens[left[1]] >= opening or arity[tokens[left[1]]] != 2:
                return None
            right = infix(left[1] + 1)
            node = right and ((tokens[left[1]], left[0], right[0]), right[1])
        if node is None or node[1] >= len(tokens) or tokens[node[1]] != opening + 1:
            return None
        return node[0], node[1] + 1

    def postfix(end: int) -> tuple[Node, int] | None:  # the formula that ends before `end`, and where it begins
        if end < 1:
            return None
        top = tokens[end - 1]
        if arity[top] == 0:
            return (top,), end - 1
        last = postfix(end - 1)
        if last is None or arity[top] == 1:
            return last and ((top, last[0]), last[1])
        first = postfix(last[1])
        if first is None or last[1] - first[1] < end - 1 - last[1]:  # the longer operand stands first
            return None
        return (top, first[0], last[0]), first[1]

    if task.written() == "infix":
        found = infix(0)
        return found[0] if found is not None and found[1] == len(tokens) else None
    found = postfix(len(tokens))
    return found[0] if found is not None and found[1] == 0 else None


def height(tree: Node) -> int:
    """Levels of binary operations."""
    return 0 if len(tree) == 1 else (len(tree) == 3) + max(map(height, tree[1:]))


def contract(task: FormulaValue, tree: Node) -> tuple[int, int]:
    """The value by rake and compress, and the number of rounds, which is logarithmic in the leaves.

    Every edge carries a function of the algebra to itself, as the table of its values: for rings it is affine, here
    it is any. A round rakes the odd leaves that are left children, then those that are right children (Abrahamson,
    Dadoun, Kirkpatrick, Przytycka 1989); its operations touch disjoint nodes, so it could run in parallel.
    """
    kinds = task.algebra()
    binary = {kinds.size + len(kinds.unary) + k: table for k, (_, table) in enumerate(kinds.binary)}
    unary = {kinds.size + k: table for k, (_, table) in enumerate(kinds.unary)}
    nodes: list[dict[str, Any]] = []

    def build(node: Node, parent: int, edge: np.ndarray) -> int:
        while len(node) == 2:  # operations of one operand go into the edge
            edge, node = edge[unary[node[0]]], node[1]
        me = len(nodes)
        nodes.append({"parent": parent, "edge": edge, "token": node[0], "children": []})
        nodes[me]["children"] = [build(child, me, np.arange(kinds.size)) for child in node[1:]]
        return me

    root = build(tree, -1, np.arange(kinds.size))
    leaves = [i for i, node in enumerate(nodes) if not node["children"]]  # depth first: from left to right
    rounds = 0
    while len(leaves) > 1:
        rounds += 1
        raked = set()
        for side in (0, 1):
            for leaf in leaves[0::2]:
                parent = nodes[leaf]["parent"]
                if leaf in raked or parent < 0 or nodes[parent]["children"][side] != leaf:
                    continue
                sibling = nodes[parent]["children"][1 - side]
                value = nodes[leaf]["edge"][nodes[leaf]["token"]]
                table = binary[nodes[parent]["token"]]
                partial = table[value] if side == 0 else table[:, value]
                nodes[sibling]["edge"] = nodes[parent]["edge"][partial[nodes[sibling]["edge"]]]
                above = nodes[sibling]["parent"] = nodes[parent]["parent"]
                if above < 0:
                    root = sibling
                else:
                    nodes[above]["children"] = [sibling if c == parent else c for c in nodes[above]["children"]]
                raked.add(leaf)
        leaves = [leaf for leaf in leaves if leaf not in raked]
    return int(nodes[root]["edge"][nodes[root]["token"]]), rounds
