"""Certificates as files: one accepted of each kind, and what breaks them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from core.reference import all_inputs, arb_right
from separatrix.can.witnesses.index_lookup_quadratic import build
from separatrix.core.certificate import BLANK, Certificate, Claim, ModelReference
from separatrix.core.files import canonical_json, sha256
from separatrix.core.guarantee import PROVED
from separatrix.core.task import Task
from separatrix.kernel import Verdict, judge_file
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

TASK, N = IndexLookup(3), 2
NAMES = ("right.cert.json", "model.safetensors", "config.json")


def write(folder: Path, model: Model, certificate: Certificate, name: str = "right") -> Path:
    """The model folder and the certificate, with every hash as the project itself computes it."""
    model.save(folder)
    return dataclasses.replace(certificate, model=model.reference()).write(folder, name)


def correct(task: Task, n: int, kind: str = "separable", semantics: str = "real") -> Certificate:
    """`correct` of a kind, without its model yet."""
    return Certificate(kind, Claim(task.name, task.parameters(), n, "correct", semantics), PROVED, task.source_sha256())


def incorrect(task: Task, n: int, tokens: Any, query: Any) -> Certificate:
    """A counterexample with this evidence."""
    claim = Claim(task.name, task.parameters(), n, "incorrect")
    return Certificate("counterexample", claim, PROVED, task.source_sha256(), {"tokens": tokens, "query": query})


def right() -> Model:
    return build(TASK, N)


def wrong() -> Model:
    """A model that errs: the read-out of two symbols exchanged."""
    t = dict(right().tensors)
    t["readout.weight"] = t["readout.weight"][:, [1, 0, 2]]
    return Model(right().arch, t)


def failing(model: Model, task: Task, n: int) -> tuple[list[int], int]:
    """An input on which arb says that the model errs."""
    for row in all_inputs(task, n):
        for query in task.queries(n):
            if arb_right(model, task, n, row, query) is False:
                return row.tolist(), query
    raise AssertionError("the model does not err")


KINDS: dict[str, tuple[Model, Certificate]] = {}
# what JSON may hold in place of a field
VALUES = [None, True, False, 0, -1, 2**60, -(2**62), 10**18, "", "x", "\ud800", [], {}, [[1]], {"a": 1}, ["kernel"]]


def cases() -> dict[str, tuple[Model, Certificate]]:
    """One accepted certificate of each kind about models."""
    if not KINDS:
        KINDS["separable"] = right(), correct(TASK, N)
        KINDS["separable-float"] = right(), correct(TASK, N, semantics="fp32")
        KINDS["exhaustive"] = right(), correct(TASK, N, "exhaustive")
        KINDS["counterexample"] = wrong(), incorrect(TASK, N, *failing(wrong(), TASK, N))
    return KINDS


def refused(path: Path, why: object = "") -> Verdict:
    """The verdict, which must be 1 or 2 with one line to say."""
    verdict = judge_file(path)
    assert not verdict.accepted and verdict.exit_code in (1, 2), (why, verdict)
    assert verdict.guarantee is None and verdict.sentence and "\n" not in verdict.sentence
    return verdict


def rehashed(path: Path, change: Any) -> Path:
    """The certificate's JSON changed by `change`, its own hash recomputed."""
    content = json.loads(path.read_text())
    content = change(content) or content
    content["sha256"] = BLANK
    data = canonical_json(content)
    path.write_bytes(data.replace(BLANK.encode(), sha256(data).encode()))
    return path


def put(*keys: str, value: Any) -> Any:
    """A change that sets one field."""

    def change(content: dict[str, Any]) -> None:
        place = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def rewrite(folder: Path, certificate: Certificate, weights: bytes, config: bytes) -> Path:
    """Any bytes as the model, with hashes that match."""
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_bytes(config)
    model = ModelReference("model.safetensors", sha256(weights), "config.json", sha256(config))
    return dataclasses.replace(certificate, model=model).write(folder, "right")


def raw(tensors: dict[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
