"""The canonical file of a circuit: its own arrays, nothing else, in a NumPy archive whose bytes they determine."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.files import read_bytes
from separatrix.depth.circuit import Circuit

FORMAT = 1
SCALARS = ("inputs", "ops", "output_shape")


def npz(circuit: Circuit) -> bytes:
    """Numbers of any size are stored as decimal texts; the time stamp of every member is fixed."""
    arrays: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "inputs": np.array(circuit.inputs),
        "ops": np.array(list(circuit.ops), dtype=np.str_),
        "output_shape": np.array(circuit.output_shape, dtype=np.int64),
    }
    for name in _arrays():
        array = getattr(circuit, name)
        arrays[name] = np.array([str(v) for v in array.tolist()], dtype=np.str_) if array.dtype == object else array
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(arrays[name], order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    return out.getvalue()


def read_npz(path: Path) -> Circuit:
    """Inverse of `npz`; InputError for anything that is not a circuit (every array is checked)."""
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as archive:
            found: dict[str, Any] = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path.name}: not a circuit file ({error})") from error
    wanted = {"format", *SCALARS, *_arrays()}
    if set(found) != wanted or found["format"].shape != () or int(found["format"]) != FORMAT:
        raise InputError(f"{path.name}: not a circuit file of format {FORMAT}")
    for name in _arrays():
        array = found[name]
        if array.dtype.kind == "U":
            try:
                found[name] = np.array([int(text) for text in array.tolist()], dtype=object)
            except ValueError as error:
                raise InputError(f"{path.name}: {name} holds a text that is no integer") from error
        elif array.dtype.kind not in "iu" or array.ndim != (2 if name == "gate_place" else 1):
            raise InputError(f"{path.name}: {name} is no list of integers")
    circuit = Circuit(
        int(found["inputs"]),
        **{name: found[name] for name in _arrays()},
        ops=tuple(map(str, found["ops"].tolist())),
        output_shape=tuple(map(int, found["output_shape"].tolist())),
    )
    circuit.check()
    return circuit


def _arrays() -> list[str]:
    return [f.name for f in fields(Circuit) if f.name not in SCALARS]
