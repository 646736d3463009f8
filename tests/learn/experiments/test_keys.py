"""Runs keep their keys from version to version, or a store of weeks would be trained anew."""

from __future__ import annotations

import pytest

from separatrix.learn.experiments import registry

KEPT = {
    "boolean-formula": ("fe26967ef5997c08", "3d598f2f39aecc5e"),
    "bounded-dyck": ("cf418adfb293d3df", "6181713ec20884f4"),
    "equality": ("56b1bcdbe8dd5f3a", "9d9fa2f767053c7c"),
    "index-lookup": ("828b291711f9392e", "2f96324cbab0e01c"),
    "k-hop": ("7faf083164858918", "5ba6ad9a66c6fd9a"),
    "positional-sum": ("156830de57482958", "4bc102ce91923dcd"),
    "positional-sort": ("c8988e65a6904ecb", "3f4ba867a178ddeb"),
    "recall": ("dcdd8931c6b9ad17", "e694f4127844d94c"),
    "word-problems": ("6d2f4551f8f6a3fb", "882969ba0760d804"),
}


@pytest.mark.parametrize("name", KEPT)
def test_stored_runs_are_still_found(name: str) -> None:
    """A new key here says that training has changed: raise `run.VERSION`, and say so in the changelog."""
    assert set(KEPT[name]) <= {run.key[:16] for run in registry.get(name).runs("quick")}
