"""Own functions: a Python file of the user's becomes tasks, one for each function of one argument that it defines.

A function takes an integer array (batch, n) of symbols 0 .. alphabet-1 and returns (batch,) integers, the answer after
the last symbol. It is tried on one row and on several: one that is not vectorised is called row by row, and one that
cannot take a batch of one is called with the word alone, an array (n,), and returns a number. Its task is named
own-NAME; a certificate about it names the file's hash, and is checked with the file loaded again. The same function
read as a circuit, where it can be (see `traced`), is the task circuit-NAME, whose answer evaluates the gates.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.gates import Gates
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.traced import traced

TRIED = 4  # rows that are compared between calls
MOST_LABEL = 2**31 - 1
COMPARED = 500  # words on which a circuit is compared with its function


@dataclass(frozen=True)
class OwnTask(Task):
    """Base of the tasks that are functions of a file; `alphabet` symbols a position, the last position is scored."""

    alphabet: int = 2

    function: ClassVar[Callable[..., Any]]
    file: ClassVar[Path]
    sha256: ClassVar[str]
    looped: ClassVar[dict[str, bool]]
    source = "a function of the user's"
    length_word = "symbols"

    def __post_init__(self) -> None:
        if not 2 <= self.alphabet <= 2**20:
            raise InputError(f"{self.name}: alphabet = {self.alphabet}; take 2 to {2**20} symbols")

    @classmethod
    def source_sha256(cls) -> str:
        """Hash of the user's file, as it was loaded."""
        return cls.sha256

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"{self.name}: n = {n}; take 1 to {2**20} symbols")
        return Sequence((np.arange(self.alphabet),) * n, vocabulary=self.alphabet)

    def outputs(self) -> Labels:
        return Labels(MOST_LABEL)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        """The function's values; InputError that names the input where it raises, or has another shape or kind."""
        if not len(tokens):
            return np.zeros((0, 1), dtype=np.int64)
        some = tokens[:: max(1, len(tokens) // TRIED)][:TRIED]
        alone = np.concatenate([self._row(row) for row in some])
        if "mode" not in self.looped:
            try:
                self.looped["mode"] = not np.array_equal(self._call(some), alone)
            except InputError:
                self.looped["mode"] = True
        if self.looped["mode"]:
            values = np.concatenate([self._row(row) for row in tokens])
            again = np.concatenate([self._row(row) for row in some])
        else:
            values, again = self._call(tokens), self._call(some)
        if not np.array_equal(again, alone) or not np.array_equal(
            values[:: max(1, len(tokens) // TRIED)][:TRIED], alone
        ):
            at = some[int(np.argmax(again != alone))].tolist()
            raise InputError(f"{self.name} is not deterministic: it gives two answers to the same input {_short(at)}")
        return values[:, None]

    def _row(self, row: np.ndarray) -> np.ndarray:
        """(1,) the answer to one word, given as a batch of one; alone, where the function takes it only so."""
        if self.looped.get("word"):
            return self._word(row)
        try:
            values = self._call(row[None])
        except InputError as error:
            if "word" in self.looped:
                raise
            try:
                values = self._word(row)
            except InputError as second:
                alone = str(second).removeprefix(f"{self.name} ")
                raise InputError(f"{error}; given the word alone, it {alone}") from None
            self.looped["word"] = self.looped["mode"] = True
            return values
        self.looped["word"] = False
        return values

    def _word(self, row: np.ndarray) -> np.ndarray:
        def single(tokens: np.ndarray) -> Any:
            given = type(self).function(tokens[0])
            return given if given is None else np.asarray(given)[None]

        return self._call(row[None], single)

    def _call(self, tokens: np.ndarray, function: Callable[..., Any] | None = None) -> np.ndarray:
        try:
            given = (function or type(self).function)(tokens.copy())
        except Exception as error:
            raise InputError(
                f"{self.name} raised {type(error).__name__}: {_short(error)} on {_short(tokens[0].tolist())}, given as "
                f"an array of shape {tokens.shape if function is None else tokens[0].shape}"
            ) from error
        values = np.asarray(given)
        if values.dtype.kind == "O":
            raise InputError(f"{self.name} returned {type(given).__name__}; return whole numbers or booleans")
        if values.shape == () and len(tokens) == 1:
            values = values[None]
        if values.shape != (len(tokens),):
            raise InputError(
                f"{self.name} returned shape {values.shape} for input of shape {tokens.shape}; return ({len(tokens)},)"
                if function is None
                else f"{self.name} returned shape {values.shape[1:]}; return one number"
            )
        if values.dtype.kind not in "iub":
            raise InputError(f"{self.name} returned {values.dtype}; return whole numbers or booleans")
        if values.size and not -MOST_LABEL <= int(values.min()) <= int(values.max()) <= MOST_LABEL:
            raise InputError(f"{self.name} returned a number beyond {MOST_LABEL}")
        return values.astype(np.int64)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        if distribution != "uniform":
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; there is `uniform`")
        self.domain(n)
        return rng.integers(0, self.alphabet, (size, n)), None

    def splits(self, n: int) -> tuple[int, ...]:
        return tuple(range(1, max(2, n)))

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))


@dataclass(frozen=True)
class CircuitTask(OwnTask):
    """Base of the tasks that are circuits, traced from functions of a file: one bit a word."""

    circuits: ClassVar[dict[tuple[int, int], Gates]]

    def circuit(self, n: int) -> Gates:
        """The gates; InputError where the function cannot be traced, or its values on some words are others."""
        if (self.alphabet, n) not in self.circuits:
            self.domain(n)
            gates = traced(type(self).function, self.alphabet, n)
            words = np.random.default_rng(0).integers(0, self.alphabet, (COMPARED, n))
            if not np.array_equal(gates.run(words), OwnTask.answer(self, words)[:, 0]):
                raise InputError(f"{self.name}: the circuit and the function differ; use it without --circuit")
            self.circuits[self.alphabet, n] = gates
        return self.circuits[self.alphabet, n]

    def outputs(self) -> Labels:
        return Labels(2)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        """What the gates say."""
        return self.circuit(tokens.shape[1]).run(tokens).astype(np.int64)[:, None]


def _short(value: object) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= 80 else text[:77] + "..."


def load(path: Path) -> list[str]:
    """Runs the user's file and registers what it defines; returns the names of its own tasks.

    Tasks that register themselves are registered by running it. A file that did not change is not run again.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"--load {path}: {error.strerror or error}") from error
    digest, where = hashlib.sha256(data).hexdigest(), path.resolve()
    module_name = f"separatrix_own_{hashlib.sha256(str(where).encode()).hexdigest()[:16]}_{digest[:16]}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, where)
        if spec is None or spec.loader is None:
            raise InputError(f"--load {path}: not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise InputError(f"--load {path}: {type(error).__name__}: {_short(error)}") from error
    module, names = sys.modules[module_name], []
    for name, value in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(value) or value.__module__ != module_name:
            continue
        own = "own-" + name.lower().strip("_").replace("_", "-")
        names.append(own)
        if own in registry:
            held = registry.get(own)
            if getattr(held, "sha256", None) != digest:
                raise InputError(f"--load {path}: another file has already defined {name}; give it another name")
            continue
        gloss = (inspect.getdoc(value) or "a function of the user's").partition("\n")[0]
        members = {"function": staticmethod(value), "file": where, "sha256": digest, "looped": {}, "name": own}
        registry.register(own)(type(name, (OwnTask,), members | {"gloss": gloss, "__doc__": gloss}))
        own = "circuit-" + own.removeprefix("own-")
        members |= {"looped": {}, "circuits": {}, "name": own}
        registry.register(own)(type(name, (CircuitTask,), members | {"gloss": f"{gloss} (circuit)", "__doc__": gloss}))
    return names


def own_task(spec: str, alphabet: int | None, circuit: bool = False) -> Task:
    """The task of `FILE:NAME`, or its circuit; InputError where there is no such function, or no alphabet."""
    file, sign, name = spec.rpartition(":")
    if not sign or not file or not name.isidentifier():
        raise InputError(f"--load {spec!r}: write FILE:NAME, the function's name after a colon")
    if alphabet is None:
        raise InputError("an own function needs --alphabet K, the number of symbols")
    own, names = "own-" + name.lower().strip("_").replace("_", "-"), load(Path(file))
    if own not in names:
        known = ", ".join(n.removeprefix("own-").replace("-", "_") for n in names) or "none"
        raise InputError(f"--load {spec!r}: the file defines no function {name}; it has {known}")
    own = "circuit-" + own.removeprefix("own-") if circuit else own
    return registry.get(own)(alphabet)  # pyright: ignore[reportCallIssue]
