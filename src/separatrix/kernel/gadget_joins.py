"""Proofs that an answer joins blocks: over all choices, along a read-once automaton, or gate by gate.

Both long ones keep pairs (what is left of the task, what the blocks so far join to) and go through the blocks one by
one; in the end what is left is a constant, which must be what was joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.gates import AND, IS, Gates
from separatrix.core.reading import Reading

if TYPE_CHECKING:
    from separatrix.kernel.gadget import Blocks

MOST_CHOICES = 2**20
MOST_STEPS = 20_000_000  # nodes that are visited, or moves
STEP = 2**12


def joined(join: str, so_far: int, shows: int) -> int:
    """One block more."""
    match join:
        case "and":
            return so_far & shows
        case "or":
            return so_far | shows
    return so_far ^ shows


def all_choices(shape: tuple[int, ...], d: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every choice of words (batch, d) of both sides; UnknownError where there are too many."""
    r, c = shape
    total = (r * c) ** d if d <= 64 else MOST_CHOICES + 1
    if total > MOST_CHOICES:
        raise UnknownError(f"more than {MOST_CHOICES} choices are not enumerated")
    for start in range(0, total, STEP):
        left = np.arange(start, min(start + STEP, total))
        digits = np.empty((len(left), d), dtype=np.int64)
        for i in range(d):
            left, digits[:, i] = np.divmod(left, r * c)
        yield digits // c, digits % c


def by_reading(blocks: Blocks, reading: Reading) -> None:
    """RejectedError unless the automaton's label is the value exactly where the blocks join to 1.

    The words of a block are chosen where its first position is read, and remembered until its last.
    """
    d, table = len(blocks.hers), reading.transitions.tolist()
    owner = np.full(len(blocks.base), -1)
    for i in range(d):
        owner[blocks.hers[i]] = owner[blocks.his[i]] = i
    last: dict[int, int] = {int(owner[p]): at for at, p in enumerate(reading.order)}
    seat = {int(p): (i, True, j) for i in range(d) for j, p in enumerate(blocks.hers[i])}
    seat |= {int(p): (i, False, j) for i in range(d) for j, p in enumerate(blocks.his[i])}
    r, c = blocks.table.shape
    pairs = [(u, v, int(blocks.table[u, v])) for u in range(r) for v in range(c)]
    now: set[tuple[int, int, tuple[tuple[int, int, int], ...]]] = {(0, int(blocks.join == "and"), ())}
    steps = 0
    for at, p in enumerate(reading.order):
        i = int(owner[p])
        if i < 0:
            symbol = int(blocks.base[p])
            now = {(table[s][symbol], acc, held) for s, acc, held in now}
            continue
        _, own, place = seat[p]
        after = set()
        for s, acc, held in now:
            known = [(u, v) for k, u, v in held if k == i]
            steps += len(pairs)
            if steps > MOST_STEPS:
                raise UnknownError(f"more than {MOST_STEPS} moves of the automaton are needed")
            fresh = [(u, v, acc) for u, v in known] or [(u, v, joined(blocks.join, acc, g)) for u, v, g in pairs]
            rest = tuple(entry for entry in held if entry[0] != i)
            for u, v, so_far in fresh:
                symbol = int(blocks.her_words[u][place] if own else blocks.his_words[v][place])
                keep = rest if last[i] == at else (*rest, (i, u, v))
                after.add((table[s][symbol], so_far, keep))
        now = after
    if any((int(reading.labels[s]) == blocks.value) != bool(acc) for s, acc, _ in now):
        raise RejectedError("an input is not answered by the join of its blocks")


def by_circuit(blocks: Blocks, gates: Gates) -> None:
    """RejectedError unless the circuit's bit is the value exactly where the blocks join to 1."""
    d = len(blocks.hers)
    owner = np.full(len(blocks.base), -1)
    for i in range(d):
        owner[blocks.hers[i]] = owner[blocks.his[i]] = i
    if any(kind == IS and a >= len(owner) for kind, a, _ in gates.nodes[1:]):
        raise RejectedError("the circuit reads a position that is not there")
    net, root = Gates(), 0
    copies: dict[int, int] = {0: 0}
    touched = [0]  # of each node of `net`, the blocks on which it depends, as bits

    def put(literal: int) -> int:
        """`literal` of `net`, the blocks of nodes that are new being noted."""
        for v in range(len(touched), len(net.nodes)):
            kind, a, b = net.nodes[v]
            touched.append(1 << int(owner[a]) if kind == IS else touched[a >> 1] | touched[b >> 1])
        return literal

    for v in sorted(gates.reached() - {0}):  # a copy with the base word filled in
        kind, a, b = gates.nodes[v]
        if kind == IS:
            copies[v] = put(net.is_symbol(a, b)) if owner[a] >= 0 else int(blocks.base[a] == b)
        else:
            left, right = copies[a >> 1] ^ (a & 1), copies[b >> 1] ^ (b & 1)
            copies[v] = put(net.both(left, right) if kind == AND else net.differ(left, right))
    root = copies[gates.root >> 1] ^ (gates.root & 1)
    now, steps = {(root, int(blocks.join == "and"))}, 0
    r, c = blocks.table.shape
    for i in range(d):
        after: set[tuple[int, int]] = set()
        for literal, (u, v) in itertools.product({lit for lit, _ in now}, itertools.product(range(r), range(c))):
            word = dict(zip(blocks.hers[i].tolist(), blocks.her_words[u].tolist(), strict=True))
            word |= dict(zip(blocks.his[i].tolist(), blocks.his_words[v].tolist(), strict=True))
            memo: dict[int, int] = {}
            stack = [literal >> 1]
            while stack:
                node = stack[-1]
                kind, a, b = net.nodes[node]
                if node in memo or not touched[node] >> i & 1:
                    memo.setdefault(node, 2 * node)
                elif kind == IS:
                    memo[node] = int(word[a] == b)
                elif (a >> 1) not in memo or (b >> 1) not in memo:
                    stack += [child >> 1 for child in (a, b) if (child >> 1) not in memo]
                    continue
                else:
                    left, right = memo[a >> 1] ^ (a & 1), memo[b >> 1] ^ (b & 1)
                    memo[node] = put(net.both(left, right) if kind == AND else net.differ(left, right))
                stack.pop()
                steps += 1
                if steps > MOST_STEPS:
                    raise UnknownError(f"more than {MOST_STEPS} gates are visited")
            left = memo[literal >> 1] ^ (literal & 1)
            shows = int(blocks.table[u, v])
            after |= {(left, joined(blocks.join, acc, shows)) for lit, acc in now if lit == literal}
        now = after
    if any(literal > 1 or (literal == blocks.value) != bool(acc) for literal, acc in now):
        raise RejectedError("an input is not answered by the join of its blocks")
