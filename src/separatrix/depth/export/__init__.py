"""A circuit in other tools' formats, chosen by the file's ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically
from separatrix.depth.circuit import Circuit
from separatrix.depth.export.aiger import aag, aig
from separatrix.depth.export.blif import blif
from separatrix.depth.export.dimacs import dimacs
from separatrix.depth.export.dot import dot
from separatrix.depth.export.npz import npz, read_npz
from separatrix.depth.export.opb import opb
from separatrix.depth.export.verilog import verilog

FORMATS: dict[str, Callable[[Circuit], bytes]] = {
    ".npz": npz,
    ".opb": opb,
    ".cnf": dimacs,
    ".v": verilog,
    ".blif": blif,
    ".aag": aag,
    ".aig": aig,
    ".dot": dot,
}


def write(circuit: Circuit, path: Path) -> None:
    """Writes the circuit atomically; InputError for an ending that names no format."""
    if path.suffix not in FORMATS:
        raise InputError(f"{path.name}: circuits are written as {', '.join(FORMATS)}")
    write_atomically(path, FORMATS[path.suffix](circuit))


__all__ = ["FORMATS", "read_npz", "write"]
