"""The separable sum under fuzz: what float64 calls a lower bound, against Arb with 1,200 bits; no violation at all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from flint import arb

from core.reference import head, precision
from separatrix.core.domain import CellGroup, Sequence
from separatrix.kernel.balls import sum_low, times_low
from separatrix.kernel.cells import margins_low, zones_of
from separatrix.kernel.layer import Layer, Tables, scores
from separatrix.kernel.row import Row

SORTS = ("same-sign", "near-tie", "subnormal", "huge", "scales")
BITS = 1200


def tables(sort: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (count, positions, symbols) as intervals [low, high], and margins, of one adversarial sort."""
    positions, symbols = int(rng.integers(1, 61 if sort == "same-sign" else 13)), int(rng.integers(1, 4))
    shape = (count, positions, symbols)
    low = np.exp(rng.uniform(-30, 0, shape))
    if sort == "same-sign":  # equal terms: every rounding error of the running sum has one sign
        low = np.broadcast_to(rng.random((count, 1, 1)), shape).copy()
        margin = np.broadcast_to(rng.choice([-1.0, 1.0], (count, 1, 1)) * rng.random((count, 1, 1)), shape).copy()
    elif sort == "near-tie":  # neighbours cancel but for some units in the last place
        margin = rng.normal(size=shape)
        margin[:, 1::2] = -margin[:, : 2 * (positions // 2) : 2] * (1 + rng.integers(-4, 5, (count, 1, 1)) * 2.0**-52)
        low[:, 1::2] = low[:, : 2 * (positions // 2) : 2]
    elif sort == "subnormal":
        low, margin = low * 2.0**-500, rng.normal(size=shape) * 2.0 ** rng.integers(-600, -480, shape)
    elif sort == "huge":
        low, margin = np.exp(rng.uniform(0, 300, shape)), rng.normal(size=shape) * 2.0 ** rng.integers(400, 560, shape)
    else:
        low, margin = (
            np.exp(rng.uniform(-690, 0, shape)),
            np.ldexp(rng.normal(size=shape), rng.integers(-300, 300, shape)),
        )
    high = low * (1.0 + rng.choice([0.0, 2.0**-52, 2.0**-50, 1e-3], shape))
    return low, high, margin


def violations(sort: str, count: int, rng: np.random.Generator) -> int:
    """How many of `count` tables have a bound that is not below the real sum of the real minima."""
    low, high, margin = tables(sort, count, rng)
    bound = sum_low(times_low(low, high, margin).min(axis=2), axis=1)
    at = np.where(rng.integers(0, 2, low.shape) > 0, low, high)  # the true weights: ends of their intervals
    wrong = 0
    with precision(BITS):
        for i, claimed in enumerate(bound.tolist()):
            total = arb(0)
            for weights, values in zip(at[i].tolist(), margin[i].tolist(), strict=True):
                products = [arb(w) * arb(v) for w, v in zip(weights, values, strict=True)]
                least = products[0]
                for other in products[1:]:
                    least = least.min(other)
                total += least
            wrong += not (arb(claimed) < total)
    return wrong


@pytest.mark.parametrize("sort", SORTS)
def test_sums_of_least_products(sort: str) -> None:
    rng = np.random.default_rng((5, SORTS.index(sort)))
    assert sum(violations(sort, 50, rng) for _ in range(40)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("sort", SORTS)
def test_a_hundred_thousand_sums_of_least_products(sort: str) -> None:
    rng = np.random.default_rng((6, SORTS.index(sort)))
    assert sum(violations(sort, 200, rng) for _ in range(105)) == 0


def test_the_oracle_sees_a_bound_without_its_error_term(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain float sum is above the real one in some table: the fuzz would notice a missing error term."""
    monkeypatch.setitem(globals(), "sum_low", lambda values, axis: np.asarray(values).sum(axis=axis))
    rng = np.random.default_rng(7)
    assert sum(violations("same-sign", 100, rng) for _ in range(10)) > 10


def bounds(rng: np.random.Generator, size: float) -> tuple[int, int]:
    """(violations, bounds) of one random group of cells through all of the kernel's tables."""
    n, symbols, k, width = int(rng.integers(2, 8)), int(rng.integers(1, 4)), int(rng.integers(2, 4)), 3
    blank, residual = bool(rng.integers(2)), bool(rng.integers(2))
    arch = head(symbols, n, k, width, blank=blank, residual=residual, scale=float(rng.choice([1.0, 0.5, 1 / 3])))
    from core.reference import random_tensors

    t = random_tensors(arch, rng)
    t["layers.0.query"] = t["layers.0.query"] * size
    if rng.integers(2):  # a rival within some units in the last place
        t["readout.weight"][:, 1] = t["readout.weight"][:, 0] * (1 + 2.0**-50)
    if rng.integers(3) == 0:  # positions add nothing
        t["embed.position"] = t["embed.position"] * 0.0
    t["layers.0.value"] = t["layers.0.value"] * float(rng.choice([1.0, 1e-200, 1e120]))
    domain = Sequence((np.arange(symbols),) * n, vocabulary=symbols)
    query, token = int(rng.integers(n)), int(rng.integers(symbols))
    others = np.array([j for j in range(n) if j != query])
    forced = rng.choice(others, (6, 1)) if rng.integers(3) else np.zeros((1, 0), dtype=np.int64)
    group = CellGroup(
        query, token, forced, rng.integers(0, symbols, forced.shape), labels=rng.integers(0, k, len(forced))
    )
    layer = Layer.of(arch, t, n)
    held = Tables.of(layer, np.arange(symbols))
    x, g = layer.queries([token], query)
    place, sign = scores(layer.position, g, layer.memo), scores(layer.token[held.used], g)
    row = Row.of(layer, x[0], g[0], place[:, 0], sign[:, 0], False)
    low = margins_low(group, zones_of(domain.alphabets, query, held.used), layer, held, row, None)
    top = float(sign.mid[:, 0].max())  # what Row takes off every score, with its shift
    wrong = 0
    assert group.labels is not None
    with precision(BITS):
        true = oracle(t, arch.layers[0].scale, residual, group, symbols, arb(float(row.shift.mid)) + arb(top))  # pyright: ignore
        for c, rival in itertools.product(range(len(group)), range(k)):
            if rival != group.labels[c] and np.isfinite(low[c, rival]):
                wrong += not (arb(float(low[c, rival])) < true(c, rival))
    return wrong, int(np.isfinite(low).sum())


def oracle(t: dict[str, np.ndarray], scale: float, residual: bool, group: CellGroup, symbols: int, shift: arb):
    """(cell, rival) -> the least sum over the cell, term by term from the weights."""

    def times(row: list[arb], matrix: np.ndarray) -> list[arb]:
        return [sum((r * arb(float(m)) for r, m in zip(row, column, strict=True)), arb(0)) for column in matrix.T]

    def plus(a: np.ndarray, b: np.ndarray) -> list[arb]:
        return [arb(float(u)) + arb(float(v)) for u, v in zip(a, b, strict=True)]

    x = plus(t["embed.token"][group.token], t["embed.position"][group.query])
    ask = times(x, t["layers.0.query"][0])
    const = plus(t["readout.bias"], t["readout.bias"] * 0)
    if residual:
        const = [c + s for c, s in zip(const, times(x, t["readout.weight"]), strict=True)]

    def term(row: list[arb]) -> tuple[arb, list[arb]]:
        key = times(row, t["layers.0.key"][0])
        score = sum((q * k for q, k in zip(ask, key, strict=True)), arb(0)) * arb(scale)
        out = times(times(times(row, t["layers.0.value"][0]), t["layers.0.output"][0]), t["readout.weight"])
        return (score - shift).exp(), [u + c for u, c in zip(out, const, strict=True)]

    n = len(t["embed.position"])
    terms = {(j, s): term(plus(t["embed.token"][s], t["embed.position"][j])) for j in range(n) for s in range(symbols)}
    fixed = [term(x)]
    if "embed.blank" in t:
        fixed.append(term(plus(t["embed.blank"], t["embed.blank"] * 0)))

    def value(c: int, rival: int) -> arb:
        assert group.labels is not None
        label, forced = int(group.labels[c]), dict(zip(group.positions[c], group.symbols[c], strict=True))
        total = sum((e * (u[label] - u[rival]) for e, u in fixed), arb(0))
        for j in range(n):
            if j != group.query:
                allowed = [int(forced[j])] if j in forced else range(symbols)
                products = [terms[j, s][0] * (terms[j, s][1][label] - terms[j, s][1][rival]) for s in allowed]
                least = products[0]
                for other in products[1:]:
                    least = least.min(other)
                total += least
        return total

    return value


@pytest.mark.parametrize("size", [0.0, 1.0, 8.0, 60.0])
def test_bounds_of_whole_rows(size: float) -> None:
    rng = np.random.default_rng((8, int(size)))
    found = [bounds(rng, size) for _ in range(40)]
    assert sum(wrong for wrong, _ in found) == 0 and sum(count for _, count in found) >= 200


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.0, 1.0, 8.0, 60.0])
def test_ten_thousand_bounds_of_whole_rows(size: float) -> None:
    rng = np.random.default_rng((9, int(size)))
    found = [bounds(rng, size) for _ in range(600)]
    assert sum(wrong for wrong, _ in found) == 0 and sum(count for _, count in found) >= 5000
