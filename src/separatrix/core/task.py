"""A task: what is computed, as a family indexed by the length n."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

import numpy as np

from separatrix.core.closed_form import ClosedForm
from separatrix.core.domain import CellGroup, Labels, PairGroup, RealAnswer, Sequence, TupleGroup
from separatrix.core.errors import InputError
from separatrix.core.gates import Gates
from separatrix.core.reading import Reading


class Task(ABC):
    """Base of all tasks: subclasses are frozen dataclasses whose fields are the task's parameters.

    Class attributes:
        name: the registry name. gloss: one line for lists. source: paper and definition.
        length_word: what n counts ("symbols").
        causal: for steps of `factors` only, never for a task that is registered. Answers read nothing behind their
            position, and what a cell says of the positions behind its query (by its background or by the domain's
            constraint) is void: any word of the domain's alphabets may stand there.
    """

    name: ClassVar[str]
    gloss: ClassVar[str]
    source: ClassVar[str]
    length_word: ClassVar[str] = "tokens"
    causal: ClassVar[bool] = False

    @abstractmethod
    def domain(self, n: int) -> Sequence:
        """The legal inputs at length n; raises InputError when n is out of range."""

    @abstractmethod
    def outputs(self) -> Labels | RealAnswer:
        """What answers look like."""

    @abstractmethod
    def queries(self, n: int) -> tuple[int, ...]:
        """Positions that are scored."""

    @abstractmethod
    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        """The right answers.

        Args:
            tokens: (batch, positions) symbol ids; (batch, positions, q) for pointer sets.
            reals: (batch, positions, dim) real parts, where the domain has them.

        Returns:
            (batch, queries) labels, or (batch, queries, dim) vectors.
        """

    def cells(self, n: int, query: int) -> Iterator[CellGroup] | None:
        """Cells that cover the domain, for one scored position; None when no cells are known."""
        return None

    def constant(self, n: int, query: int, box: tuple[np.ndarray, ...]) -> int | None:
        """The label that every input of a box has at `query`; None where it varies, or the task cannot tell.

        box: per position the symbols that it may hold, increasing, each legal there. For tasks with too many cells.
        """
        return None

    def reading(self, n: int, query: int) -> Reading | None:
        """An automaton that reads every position once, in any order, and ends with the answer at `query`; or None."""
        return None

    def circuit(self, n: int) -> Gates | None:
        """For tasks that are defined by a circuit over the symbols: `answer` evaluates it, 1 or 0; else None."""
        return None

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """Ways to compute the task step by step, one step an attention layer of a model: name -> (first, .., last).

        All but the last answer at every position with a label; each reads the labels of the one before as its tokens,
        and answer(x) = last.answer(.. first.answer(x)) for every input. All have cells, which cover at least the words
        that the steps before can leave.
        """
        return {}

    def tuples(self, n: int, query: int) -> Iterator[TupleGroup] | None:
        """For tasks that ask whether some tuple of positions holds a hit: one group a token at `query`; else None."""
        return None

    def pairs(self, n: int, query: int) -> Iterator[PairGroup] | None:
        """For tasks whose answer is decided by what two positions hold: one group a token at `query`; else None."""
        return None

    def closed_form(self, n: int, query: int) -> ClosedForm | None:
        """For one real output a position: the answer at `query` as a formula in the real parts; None: not known."""
        return None

    @abstractmethod
    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """`size` legal inputs (tokens, reals); raises InputError for an unknown distribution."""

    def splits(self, n: int) -> tuple[int, ...]:
        """Contiguous cuts worth trying: Alice holds the positions before the cut."""
        return tuple(range(1, self.domain(n).positions))

    @abstractmethod
    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        """One input (no batch axis) in a line, as a person would write it."""

    def parameters(self) -> dict[str, Any]:
        """The parameters by name, as JSON values; floats as hex strings."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # pyright: ignore
        return {name: value.hex() if isinstance(value, float) else value for name, value in values.items()}

    @classmethod
    def source_sha256(cls) -> str:
        """Hash of the file that defines the task: certificates name what they trusted."""
        return hashlib.sha256(Path(inspect.getfile(cls)).read_bytes()).hexdigest()


def read_parameters(kind: type[Task], values: dict[str, Any]) -> Task:
    """Makes a task of class `kind` from parameters given as JSON values or command-line strings.

    Raises InputError for an unknown name or a value of the wrong type; omitted parameters keep their defaults.
    """
    hints = get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            known = ", ".join(sorted(fields)) or "none"
            raise InputError(f"task {kind.name} has no parameter {name!r}; it has {known}")
        read[name] = _read(kind.name, name, hints[name], value)
    return kind(**read)


def _read(task: str, name: str, kind: type, value: Any) -> Any:
    if type(value) is kind:
        return value
    try:
        if isinstance(value, str):
            if kind is bool and value.lower() in ("true", "false", "yes", "no", "1", "0"):
                return value.lower() in ("true", "yes", "1")
            if kind is int:
                return int(value)
            if kind is float:
                return float.fromhex(value) if "0x" in value else float(value)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"task {task}: {name} = {value!r} is not of type {kind.__name__}")
