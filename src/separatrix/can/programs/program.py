"""Programs of parallel computation with oracle communication (PCOC), and their interpreter.

N nodes hold `words` words each. In a round every node receives, by lanes, words of other nodes (which ones depends on
the round and the node, never on data), and all nodes then apply one and the same local function. Back de Luca et al.
2025, section 5; a `Route` round, whose destinations are data, is what the sorting-network back end removes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.can.programs.expression import Expression, Leaf, own
from separatrix.core.errors import InputError

SINK = -1  # a lane that reads it delivers 0


@dataclass(frozen=True, slots=True)
class Lane:
    """Node i receives word `word` of node `sources[i]`, or 0 where that is SINK."""

    word: int
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """Receive by lanes, then replace every node's memory by `update` (one expression a word)."""

    lanes: tuple[Lane, ...]
    update: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Every node sends the words `payload` to the node whose number its word `destination` holds (a permutation)."""

    destination: int
    payload: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A PCOC program.

    Attributes:
        name: for people. nodes: N. words: of memory, s.
        inputs: words that the input fills (word k < inputs holds input k; the others start at 0).
        rounds: in order. outputs: what every node answers.
    """

    name: str
    nodes: int
    words: int
    inputs: int
    rounds: tuple[Round | Route, ...]
    outputs: tuple[Expression, ...] = (own(0),)

    def __post_init__(self) -> None:
        if not 1 <= self.inputs <= self.words or self.nodes < 1:
            raise InputError(f"program {self.name}: {self.inputs} inputs for {self.words} words on {self.nodes} nodes")
        for number, step in enumerate(self.rounds):
            if isinstance(step, Round):
                self._check(number, step)
            elif not {step.destination, *step.payload} <= set(range(self.words)):
                raise InputError(f"program {self.name}, round {number}: a word outside 0..{self.words - 1} is routed")

    def _check(self, number: int, step: Round) -> None:
        where = f"program {self.name}, round {number}"
        if len(step.update) != self.words:
            raise InputError(f"{where}: {len(step.update)} expressions update {self.words} words")
        for lane in step.lanes:
            if len(lane.sources) != self.nodes or not set(lane.sources) <= {SINK, *range(self.nodes)}:
                raise InputError(f"{where}: a lane needs one source a node, SINK or 0..{self.nodes - 1}")
            if not 0 <= lane.word < self.words:
                raise InputError(f"{where}: a lane reads word {lane.word} of {self.words}")
        for leaf in leaves(step.update):
            if not 0 <= leaf.index < (self.words if leaf.kind == "own" else len(step.lanes)):
                raise InputError(f"{where}: {leaf} does not exist")

    @property
    def lanes(self) -> int:
        """The most lanes of a round."""
        return max((len(step.lanes) for step in self.rounds if isinstance(step, Round)), default=0)

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.nodes} nodes of {self.words} words, {len(self.rounds)} rounds"]
        for step in self.rounds:
            if isinstance(step, Round):
                lines.append(f"  {len(step.lanes)} lanes; " + "; ".join(map(str, step.update)))
            else:
                lines.append(f"  route words {step.payload} to the node in word {step.destination}")
        return "\n".join(lines)


def leaves(expressions: tuple[Expression, ...]) -> set[Leaf]:
    """Every leaf that the expressions read."""
    found: set[Leaf] = set()
    for expression in expressions:
        for atom, _ in expression.terms:
            found |= {atom} if isinstance(atom, Leaf) else leaves((atom.argument,))
    return found


def run(program: Program, inputs: np.ndarray) -> np.ndarray:
    """The program's answers, computed as it is written.

    Args:
        inputs: (batch, nodes, program.inputs) real words.

    Returns:
        (batch, nodes, outputs) float64.

    Raises:
        InputError: wrong shape, or a `Route` whose destinations are no permutation of the nodes.
    """
    inputs = np.asarray(inputs, dtype=np.float64)
    if inputs.ndim != 3 or inputs.shape[1:] != (program.nodes, program.inputs):
        raise InputError(f"program {program.name} reads (batch, {program.nodes}, {program.inputs}), not {inputs.shape}")
    memory = np.zeros((*inputs.shape[:2], program.words))
    memory[:, :, : program.inputs] = inputs
    for step in program.rounds:
        memory = _round(step, memory) if isinstance(step, Round) else _route(step, memory, program.name)
    return _apply(program.outputs, memory, {})


def _round(step: Round, memory: np.ndarray) -> np.ndarray:
    arrived = {}
    for number, lane in enumerate(step.lanes):
        source = np.array(lane.sources)
        arrived[number] = np.where(source == SINK, 0.0, memory[:, np.maximum(source, 0), lane.word])
    return _apply(step.update, memory, arrived)


def _apply(expressions: tuple[Expression, ...], memory: np.ndarray, arrived: dict[int, np.ndarray]) -> np.ndarray:
    def read(leaf: Leaf) -> np.ndarray:
        return memory[:, :, leaf.index] if leaf.kind == "own" else arrived[leaf.index]

    values = [np.broadcast_to(e.evaluate(read), memory.shape[:2]) for e in expressions]
    return np.stack(values, axis=2)


def _route(step: Route, memory: np.ndarray, name: str) -> np.ndarray:
    to = memory[:, :, step.destination].astype(np.int64)
    if not (np.sort(to, axis=1) == np.arange(memory.shape[1])).all() or (to != memory[:, :, step.destination]).any():
        raise InputError(f"program {name}: the destinations of a route are no permutation of the nodes")
    moved = memory.copy()
    for word in step.payload:
        np.put_along_axis(moved[:, :, word], to, memory[:, :, word], axis=1)
    return moved
