"""Random small heads for every task of the separable check: constructions, blurred so that about half truly fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.reference import Mixed, head
from separatrix.core.task import Task
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2


@dataclass(frozen=True)
class Instance:
    """One model with the task that it tries."""

    family: str
    model: Model
    task: Task
    n: int


def lookup(rng: np.random.Generator, noise: float, eta: float) -> Instance:
    """Quadratic keys; the query token's own key is 0; a blank has key 0 too."""
    symbols, n = int(rng.integers(2, 5)), int(rng.integers(1, 6))
    task, blank, residual = IndexLookup(symbols), bool(rng.integers(2)), bool(rng.integers(2))
    scale = float(rng.choice([1.0, 0.5, 1 / 3, 2.0]))
    width = symbols + 4
    arch = head(symbols + n, n + 1, symbols, width, value=symbols, blank=blank, residual=residual, scale=scale)
    t = np.arange(1, n + 1, dtype=float)
    token, place = np.zeros((symbols + n, width)), np.zeros((n + 1, width))
    token[:symbols, :symbols] = np.eye(symbols)
    token[symbols:, symbols : symbols + 2] = np.stack([2 * eta * t, np.full(n, -eta)], axis=1) / scale
    place[:n, symbols + 2 :] = np.stack([t, t * t], axis=1)
    eye = np.eye(width)
    tensors = {
        "embed.token": token,
        "embed.position": place,
        "layers.0.query": eye[None, :, symbols : symbols + 2],
        "layers.0.key": eye[None, :, symbols + 2 :],
        "layers.0.value": eye[None, :, :symbols],
        "layers.0.output": eye[None, :symbols],
        "readout.weight": eye[:, :symbols],
        "readout.bias": np.zeros(symbols),
    }
    if blank:
        tensors["embed.blank"] = np.zeros(width)
    return Instance("lookup", Model(arch, blur(tensors, rng, noise)), task, n)


def match(rng: np.random.Generator, noise: float, beta: float) -> Instance:
    """Residues on a circle against a blank; a residue that is its own partner raises the blank when it must."""
    modulus, n, distinct = int(rng.integers(2, 5)), int(rng.integers(1, 6)), bool(rng.integers(2))
    task, table, residual = Match2(modulus, distinct), bool(rng.integers(2)), bool(rng.integers(2))
    scale = float(rng.choice([1.0, 0.25, 0.7]))
    angle = 2 * np.pi * np.arange(modulus) / modulus
    own = (2 * np.arange(modulus)) % modulus == 0
    against = np.where(own & distinct, beta + np.log(1.5), beta * np.cos(np.pi / modulus))
    width = 7
    token = np.zeros((modulus, width))
    token[:, 0:2] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    token[:, 2:4] = beta * np.stack([np.cos(angle), -np.sin(angle)], axis=1) / scale
    token[:, 4] = against / scale
    token[:, 5] = 1.0
    blank = np.zeros(width)
    blank[6] = 1.0
    eye = np.eye(width)
    tensors = {
        "embed.token": token,
        "embed.blank": blank,
        "layers.0.query": eye[None, :, [2, 3, 4]],
        "layers.0.key": eye[None, :, [0, 1, 6]],
        "layers.0.value": eye[None, :, [5]],
        "layers.0.output": eye[None, [5]],
        "readout.weight": np.outer(eye[5], [-1.0, 1.0]),
        "readout.bias": np.array([0.5, -0.5]) + (np.array([1.0, -1.0]) if residual else 0.0),
    }
    if table:
        tensors["embed.position"] = np.zeros((n, width))
    arch = head(modulus, n, 2, width, key=3, value=1, table=table, blank=True, residual=residual, scale=scale)
    return Instance("match-distinct" if distinct else "match", Model(arch, blur(tensors, rng, noise)), task, n)


def count(rng: np.random.Generator, noise: float, beta: float) -> Instance:
    """Uniform attention counts symbol 0; the residual takes the query's own symbol out again."""
    n, blank, table = int(rng.integers(1, 6)), bool(rng.integers(2)), bool(rng.integers(2))
    residual = bool(rng.random() < 0.8)
    task = Mixed(vocabulary=int(rng.integers(2, 5)), most=int(rng.integers(1, 3)), shift=int(rng.integers(3)))
    width, total, k = 3, n + blank, task.most + 1
    token = np.zeros((task.vocabulary, width))
    token[0, 0] = 1.0
    token[:, 2] = rng.normal(size=task.vocabulary) * noise
    eye = np.eye(width)
    out = np.zeros((1, 1, width))
    out[0, 0, 1] = total
    weight = np.zeros((width, k))
    weight[1] = 2.0 * np.arange(k)
    if residual:
        weight[0] = -weight[1]
    tensors = {
        "embed.token": token,
        "layers.0.query": eye[None, :, [2]] * beta,
        "layers.0.key": eye[None, :, [2]],
        "layers.0.value": eye[None, :, [0]],
        "layers.0.output": out,
        "readout.weight": weight,
        "readout.bias": -(np.arange(k) ** 2.0),
    }
    if blank:
        tensors["embed.blank"] = np.zeros(width)
    if table:
        tensors["embed.position"] = np.zeros((n, width))
    arch = head(task.vocabulary, n, k, width, key=1, value=1, table=table, blank=blank, residual=residual)
    return Instance("count", Model(arch, blur(tensors, rng, noise)), task, n)


def blur(tensors: dict[str, np.ndarray], rng: np.random.Generator, noise: float) -> dict[str, np.ndarray]:
    """Normal noise on every tensor; some tensors keep their exact zeros, some are stored as float32."""
    out: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        kept = (tensor != 0) if rng.integers(2) else np.ones(tensor.shape, dtype=bool)
        moved = tensor + noise * rng.normal(size=tensor.shape) * kept
        out[name] = moved.astype(np.float32) if rng.random() < 0.2 else moved
    return out


def instance(seed: int) -> Instance:
    """One of the families, with a temperature and a noise of its own."""
    rng = np.random.default_rng((seed, 77))
    make = (lookup, match, match, count)[seed % 4]
    noise = float(rng.choice([0.0, 0.01, 0.03, 0.08, 0.2]))
    beta = float(np.exp(rng.uniform(np.log(0.3), np.log(20.0)))) if make is not count else float(rng.uniform(0, 8))
    return make(rng, noise, beta)


def whole_numbers(seed: int) -> Instance:
    """Heads with uniform attention and small integer values: ties are frequent, and decided exactly by integers."""
    rng = np.random.default_rng((seed, 78))
    made = (lookup, match, count)[seed % 3](rng, 0.0, 1.0)
    tensors = {name: np.rint(tensor).astype(np.float64) for name, tensor in made.model.tensors.items()}
    tensors["layers.0.query"] = np.zeros_like(tensors["layers.0.query"])
    if seed % 2:
        name = str(rng.choice(["embed.token", "readout.weight", "readout.bias", "layers.0.value"]))
        tensors[name] = tensors[name] + rng.integers(-1, 2, tensors[name].shape)
    if rng.integers(2):
        tensors["readout.bias"] = tensors["readout.bias"] * 2 + rng.integers(-1, 2, tensors["readout.bias"].shape)
    return Instance(f"whole {made.family}", Model(made.model.arch, tensors), made.task, made.n)
