"""Patterns from counts at several lengths, and the certificate that turns one into a proof where there is one."""

from __future__ import annotations

import pytest

from separatrix.cannot import registry
from separatrix.cannot.engine.families import propose
from separatrix.cannot.engine.matrix import Matrix
from separatrix.cannot.engine.partition import worst_by_reading
from separatrix.core.guarantee import Level
from separatrix.kernel import judge
from separatrix.tasks import make_task


@pytest.mark.parametrize(("counts", "formula"), [
    ({4: 9, 6: 33, 8: 129}, "2^(N − 1) + 1"), ({4: 5, 6: 17, 8: 65}, "2^(N − 2) + 1"),
    ({2: 2, 4: 4, 8: 16}, "2^(1/2 N)"),
    ({3: 8, 4: 16, 5: 32}, "2^N"), ({2: 6, 3: 12, 4: 24}, "3/2 · 2^N"), ({4: 2, 5: 2, 6: 2}, "2"),
    ({3: 3, 5: 4, 7: 5, 9: 6}, None), ({4: 7, 6: 9, 9: 12}, "N + 3"),
])  # fmt: skip
def test_patterns_by_hand(counts: dict[int, int], formula: str | None) -> None:
    pattern = propose(counts)
    assert (str(pattern) if pattern else None) == formula
    if pattern is not None:
        assert pattern.guarantee.level is Level.CONJECTURED and all(pattern.at(n) == c for n, c in counts.items())


def test_what_is_no_pattern() -> None:
    assert propose({4: 5, 6: 17}) is None and propose({2: 3, 3: 7, 4: 20}) is None
    pattern = propose({4: 4, 6: 8, 8: 16})
    assert pattern is not None
    with pytest.raises(ValueError, match="N = 7"):
        pattern.at(7)


def test_from_small_lengths_to_a_proof_at_a_long_one() -> None:
    """Dyck: fooling words at N = 4, 6, 8 suggest 2^(N - 1); the kernel proves it at N = 1000. INDEX likewise: 2^N."""
    pattern = propose({n: worst_by_reading(make_task("dyck"), n, 1).count for n in (4, 6, 8)})
    assert pattern is not None and str(pattern) == "2^(N − 1)"
    made = registry.get("dyck-one-layer").certificate(make_task("dyck"), 1000)
    assert judge(made).accepted and 2 ** round(float.fromhex(made.claim.bound)) == pattern.at(1000)
    index = make_task("index-lookup", {"symbols": 2})
    assert str(propose({n: len(Matrix.of(index, n).labels) for n in (2, 4, 6)})) == "2^N"
