"""Random streams that depend on names, never on order, workers or cohort."""

from __future__ import annotations

import hashlib

import numpy as np


def child(seed: int, *names: str | int) -> np.random.Generator:
    """The stream of `seed` for `names`; equal arguments give equal streams on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *names))).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
