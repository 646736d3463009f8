"""Named things: one registry a room, filled by a decorator, read by the command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from separatrix.core.errors import InputError

T = TypeVar("T")
V = TypeVar("V")
_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Registry(Generic[T]):
    """Maps kebab-case names to values, in order of registration.

    Attributes:
        kind: what the values are, in the singular ("task"); used in error sentences.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[V], V]:
        """Decorator that enters its argument under `name`; raises ValueError for a bad or taken name."""
        if not _KEBAB.fullmatch(name):
            raise ValueError(f"{self.kind} name {name!r} is not kebab-case")
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")

        def enter(value: V) -> V:
            self._entries[name] = value  # pyright: ignore[reportArgumentType]
            return value

        return enter

    def get(self, name: str) -> T:
        """The value under `name`; raises InputError that suggests the nearest names."""
        if name in self._entries:
            return self._entries[name]
        if len(name) > 100:
            raise InputError(f"unknown {self.kind} {name[:40]!r}.. ({len(name)} characters)")
        near = difflib.get_close_matches(name, self._entries, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(self._entries) or 'none'}"
        raise InputError(f"unknown {self.kind} {name!r}; {hint}")

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def items(self) -> list[tuple[str, T]]:
        """All (name, value) pairs in order of registration."""
        return list(self._entries.items())
