"""Partial results of a survey as a file: trees, spans and inputs, by piece. Nothing in it is believed when read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.files import (
    canonical_json,
    read_bytes,
    sha256,
    tensors_from_bytes,
    tensors_to_bytes,
    write_atomically,
)
from separatrix.core.semantics import Semantics
from separatrix.verify.provers.head_cells import Bench, Finding

FORMAT = 2
Read = tuple[list[Any], np.ndarray | None, np.ndarray, np.ndarray]  # trees, spans, inputs (C, T), margins (C,)


class Partial:
    """NAME.partial.safetensors in a folder; the name has a hash of model, task, n and semantics."""

    def __init__(self, folder: Path, bench: Bench, semantics: Semantics) -> None:
        task, n, reference = bench.task, bench.n, bench.model.reference()
        of = [FORMAT, reference.weights_sha256, reference.config_sha256, task.name, task.source_sha256()]
        key = sha256(canonical_json([*of, task.parameters(), n, semantics.text]))
        self.bench = bench
        self.path = folder / f"certify-{task.name}-n{n}-{key[:16]}.partial.safetensors"

    def write(self, found: Mapping[int, Finding]) -> None:
        """Atomically, all that is known so far."""
        tensors: dict[str, np.ndarray] = {}
        for number, finding in found.items():
            tensors[f"{number}.tokens"], tensors[f"{number}.found"] = finding.tokens.astype(np.int64), finding.found
            made = self.bench.arrays([replace(finding, piece=replace(finding.piece, first=0))])
            tensors |= {f"{number}.{name}": array for name, array in made.items()}
        write_atomically(self.path, tensors_to_bytes(tensors))

    def read(self) -> dict[int, Read]:
        """By number of the piece; empty where there is no file, InputError where it is damaged."""
        if not self.path.exists():
            return {}
        tensors = tensors_from_bytes(read_bytes(self.path), self.path.name)
        rows: dict[int, dict[str, np.ndarray]] = {}
        try:
            for name, tensor in tensors.items():
                number, _, part = name.partition(".")
                rows.setdefault(int(number), {})[part] = tensor
            return {k: (*self.bench.parted(row), row["tokens"], row["found"]) for k, row in rows.items()}
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(f"{self.path}: not partial results of this version ({error}); remove the file") from None

    def remove(self) -> None:
        """Once nothing is left to do."""
        self.path.unlink(missing_ok=True)
