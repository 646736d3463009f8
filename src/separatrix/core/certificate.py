"""Claims and certificates: what is said, and the evidence that the kernel re-checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from separatrix.core.errors import InputError, RejectedError
from separatrix.core.files import (
    MAX_JSON_BYTES,
    canonical_json,
    read_bytes,
    sha256,
    strict_json,
    tensors_from_bytes,
    tensors_to_bytes,
    write_atomically,
)
from separatrix.core.guarantee import Guarantee

FORMAT = 1
BLANK = "0" * 64


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence as data.

    statement: `correct` (the model answers every input right), `incorrect` (it errs on the input in the evidence), or
        `needs` (every model of family `arch` needs `bound` of `measure`).
    """

    task: str
    parameters: dict[str, Any]
    n: int
    statement: Literal["correct", "incorrect", "needs"]
    semantics: str = "real"
    arch: str = ""
    measure: str = ""
    bound: str = ""  # hex-float string


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model by file names in the certificate's own folder, and the hashes of those files."""

    weights: str
    weights_sha256: str
    config: str
    config_sha256: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """Claim, evidence (JSON values and arrays) and what is trusted; `kind` names the kernel's checker."""

    kind: str
    claim: Claim
    guarantee: Guarantee
    task_sha256: str
    evidence: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    model: ModelReference | None = None
    trusted: tuple[str, ...] = ("kernel", "core", "the task's file")

    def write(self, folder: Path, name: str) -> Path:
        """Writes NAME.cert.json (and NAME.cert.safetensors when there are arrays); returns the first."""
        arrays = None
        if self.arrays:
            data = tensors_to_bytes(self.arrays)
            arrays = {"file": f"{name}.cert.safetensors", "sha256": sha256(data)}
            write_atomically(folder / arrays["file"], data)
        content = {
            "format": FORMAT,
            "kind": self.kind,
            "claim": dataclasses.asdict(self.claim),
            "guarantee": str(self.guarantee),
            "evidence": self.evidence,
            "arrays": arrays,
            "model": None if self.model is None else dataclasses.asdict(self.model),
            "task_sha256": self.task_sha256,
            "trusted": list(self.trusted),
            "sha256": BLANK,
        }
        blank = canonical_json(content)
        path = folder / f"{name}.cert.json"
        write_atomically(path, blank.replace(BLANK.encode(), sha256(blank).encode()))
        return path

    @classmethod
    def read(cls, path: Path) -> Certificate:
        """Reads and checks form and hashes; InputError for an unusable file, RejectedError for a changed one.

        Soundness never rests on the hashes: they catch accidents.
        """
        data = read_bytes(path, MAX_JSON_BYTES)
        content = strict_json(data, path.name)
        where = path.name
        if not isinstance(content, dict) or type(content.get("format")) is not int or content["format"] != FORMAT:
            raise InputError(f"{where}: not a certificate of format {FORMAT}")
        keys = {
            "format",
            "kind",
            "claim",
            "guarantee",
            "evidence",
            "arrays",
            "model",
            "task_sha256",
            "trusted",
            "sha256",
        }
        if wrong := sorted(keys ^ set(content)):
            raise InputError(f"{where}: fields {', '.join(map(repr, wrong))} are unknown or missing")
        digest = content["sha256"]
        if not isinstance(digest, str) or len(digest) != 64 or data.count(digest.encode()) != 1:
            raise RejectedError(f"{where}: its sha256 field is damaged")
        if sha256(data.replace(digest.encode(), BLANK.encode())) != digest:
            raise RejectedError(f"{where}: its bytes do not match its own hash; it was changed after it was written")
        claim = _record(Claim, content["claim"], f"{where}: claim")
        model = None if content["model"] is None else _record(ModelReference, content["model"], f"{where}: model")
        arrays: dict[str, np.ndarray] = {}
        if content["arrays"] is not None:
            reference = _texts(content["arrays"], ("file", "sha256"), f"{where}: arrays")
            blob = read_bytes(path.parent / plain_name(reference["file"]))
            if sha256(blob) != reference["sha256"]:
                raise RejectedError(f"{reference['file']}: its bytes do not match the hash in {where}")
            arrays = tensors_from_bytes(blob, reference["file"])
        if not isinstance(content["evidence"], dict) or not isinstance(content["kind"], str):
            raise InputError(f"{where}: kind or evidence has the wrong type")
        if not isinstance(content["trusted"], list) or not all(isinstance(t, str) for t in content["trusted"]):
            raise InputError(f"{where}: trusted is not a list of names")
        if not isinstance(content["guarantee"], str) or not isinstance(content["task_sha256"], str):
            raise InputError(f"{where}: guarantee or task_sha256 is not a string")
        return cls(
            kind=content["kind"],
            claim=claim,
            guarantee=Guarantee.parse(content["guarantee"]),
            task_sha256=content["task_sha256"],
            evidence=content["evidence"],
            arrays=arrays,
            model=model,
            trusted=tuple(content["trusted"]),
        )


def plain_name(name: str) -> str:
    """`name`, if it is a file of the same folder; a path that leads elsewhere is an InputError."""
    if not name or name != Path(name).name or name in (".", "..") or not name.isprintable() or "\\" in name:
        raise InputError(f"file name {name!r} must name a file in the certificate's own folder")
    return name


def read_model_files(reference: ModelReference, folder: Path) -> tuple[Mapping[str, Any], dict[str, np.ndarray]]:
    """The config and the tensors that a certificate refers to; RejectedError where a hash differs."""
    weights = read_bytes(folder / plain_name(reference.weights))
    config = read_bytes(folder / plain_name(reference.config), MAX_JSON_BYTES)
    for name, data, digest in (
        (reference.weights, weights, reference.weights_sha256),
        (reference.config, config, reference.config_sha256),
    ):
        if sha256(data) != digest:
            raise RejectedError(f"{name}: its bytes do not match the certificate; the model was changed")
    return strict_json(config, reference.config), tensors_from_bytes(weights, reference.weights)


def _texts(value: Any, keys: tuple[str, ...], where: str) -> dict[str, str]:
    if not isinstance(value, dict) or set(value) != set(keys) or not all(isinstance(v, str) for v in value.values()):
        raise InputError(f"{where}: expected the text fields {', '.join(keys)} and no other")
    return value


def _record(kind: type, value: Any, where: str) -> Any:
    """A dataclass of str, int and dict fields from its JSON object."""
    types = {"str": str, "int": int, "dict[str, Any]": dict}
    fields = {f.name: types.get(str(f.type), str) for f in dataclasses.fields(kind)}
    if not isinstance(value, dict) or set(value) != set(fields):
        raise InputError(f"{where}: expected the fields {', '.join(fields)} and no other")
    for name, expected in fields.items():
        if type(value[name]) is not expected:
            raise InputError(f"{where}: {name} is not of type {expected.__name__}")
    if "statement" in value and value["statement"] not in ("correct", "incorrect", "needs"):
        raise InputError(f"{where}: statement {value['statement']!r} is not known")
    return kind(**value)
