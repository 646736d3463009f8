"""Builds threshold circuits from arrays: equal forms and gates are stored once, constants are folded as they arise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from separatrix.depth.circuit import FIELDS, Circuit
from separatrix.depth.forms import Forms
from separatrix.depth.index import HashIndex
from separatrix.depth.rows import LIMIT, Grow, exact, expand, merge_terms, safe, segment_sum

TRUE, FALSE = -1, -2


class Builder:
    """A growing circuit. Wires are ints (inputs first, then gates in order of creation; TRUE and FALSE are constants).

    Every method takes arrays of any shape and works on all entries at once. Bounds that a caller promises (`low`,
    `high`) must hold on every input: gates are folded by them.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self._terms, self._parts = _Rows(np.int64), _Rows(np.int64)
        self._level, self._rank, self._hash = Grow(np.int64), Grow(np.int64), Grow(np.uint64)
        self._low, self._high = Grow(np.int64), Grow(np.int64)
        self._form, self._threshold = Grow(np.int64), Grow(np.int64)
        self._wire_level = Grow(np.int64)
        self._wire_level.add(np.zeros(inputs, dtype=np.int64))
        self._op, self._place = Grow(np.int64), Grow(np.int32, (len(FIELDS),))
        self._ops: dict[str, int] = {}
        self._form_index, self._gate_index = HashIndex(), HashIndex()
        none = np.zeros(0, dtype=np.int64)
        self._intern(np.zeros(2, dtype=np.int64), none, none, np.zeros(2, dtype=np.int64), none, none)  # the empty form

    @property
    def gates(self) -> int:
        """Gates so far, before any sweep."""
        return self._form.size

    def forms(
        self, wires: np.ndarray, weights: np.ndarray | Sequence[int] | int = 1, offset: np.ndarray | int = 0,
        low: np.ndarray | int | None = None, high: np.ndarray | int | None = None,
    ) -> Forms:  # fmt: skip
        """offset + sum over the last axis of weights * wires.

        Args:
            wires: (..., terms); pad with FALSE.
            weights: broadcast against `wires`.
            offset, low, high: of shape (...) or one for all; the bounds are promises, intersected with the interval.
        """
        wires = np.asarray(wires, dtype=np.int64)
        shape, terms = wires.shape[:-1], wires.shape[-1]
        weight = safe(np.broadcast_to(exact(weights), wires.shape).reshape(-1))
        flat, rows = wires.reshape(-1), int(np.prod(shape, dtype=np.int64))
        offset = _spread(offset, shape)
        true = flat == TRUE
        if true.any():
            owner = np.repeat(np.arange(rows), terms)
            added = np.zeros(rows, dtype=weight.dtype)
            np.add.at(added, owner[true], weight[true])
            offset = exact(offset + added)
        kept = (flat >= 0) & (weight != 0).astype(bool)
        owner = np.repeat(np.arange(rows), terms)[kept]
        ptr, wire, weight = merge_terms(owner, flat[kept], weight[kept], rows)
        ids = self._intern(ptr, wire, exact(weight), np.zeros(rows + 1, dtype=np.int64), wire[:0], weight[:0])
        return self._handle(ids, offset, low, high, shape)

    def add(
        self, parts: Sequence[tuple[np.ndarray | int, Forms]], offset: np.ndarray | int = 0,
        low: np.ndarray | int | None = None, high: np.ndarray | int | None = None,
    ) -> Forms:  # fmt: skip
        """offset + sum of coefficient * forms, broadcast against each other; no level, the parts stay shared."""
        shape = np.broadcast_shapes(*(np.shape(c) for c, _ in parts), *(f.shape for _, f in parts), np.shape(offset))
        coefficients = np.stack([_spread(c, shape) for c, _ in parts], axis=-1)
        spread = Forms.stack([f.broadcast(shape) for _, f in parts], axis=-1)
        return self.dot(coefficients.reshape(*shape, len(parts)), spread.reshape(*shape, len(parts)), offset, low, high)

    def dot(
        self, coefficients: np.ndarray | int, forms: Forms, offset: np.ndarray | int = 0,
        low: np.ndarray | int | None = None, high: np.ndarray | int | None = None,
    ) -> Forms:  # fmt: skip
        """offset + sum over the last axis of coefficients * forms."""
        shape, count = forms.shape[:-1], forms.shape[-1]
        rows = int(np.prod(shape, dtype=np.int64))
        scale = exact(np.broadcast_to(np.asarray(coefficients), forms.shape).reshape(-1))
        ids = forms.ids.reshape(-1)
        narrow = _product_fits(scale, (forms.offset, forms.low, forms.high), count)
        wide = scale if narrow else scale.astype(object)
        own, least, most = (getattr(forms, n).reshape(-1) for n in ("offset", "low", "high"))
        total = exact((wide * own).reshape(rows, count).sum(axis=1)) + _spread(offset, shape)
        ends = wide * least, wide * most
        floor = exact(np.minimum(*ends).reshape(rows, count).sum(axis=1)) + _spread(offset, shape)
        ceiling = exact(np.maximum(*ends).reshape(rows, count).sum(axis=1)) + _spread(offset, shape)
        kept = (ids != 0) & (scale != 0).astype(bool)
        owner = np.repeat(np.arange(rows), count)[kept]
        ptr, part, scale = merge_terms(owner, ids[kept], safe(scale[kept]), rows)
        lone = np.diff(ptr) == 1  # 1 * form is that form
        lone[lone] = (scale[ptr[:-1][lone]] == 1).astype(bool)
        out = np.zeros(rows, dtype=np.int64)
        out[lone] = part[ptr[:-1][lone]]
        rest = np.flatnonzero(~lone & (np.diff(ptr) > 0))
        if len(rest):
            which, entry = expand(ptr, rest)
            new = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=len(rest)))])
            none = np.zeros(0, dtype=np.int64)
            zero = np.zeros(len(rest) + 1, dtype=np.int64)
            out[rest] = self._intern(zero, none, none, new, part[entry], exact(scale[entry]))
        low, high = (side.reshape(shape) for side in _tighter(floor, ceiling, low, high, shape))
        return self._handle(out, exact(total), low, high, shape)

    def gate(
        self, forms: Forms, thresholds: np.ndarray | int = 1, op: str = "gate", place: Sequence[np.ndarray | int] = ()
    ) -> np.ndarray:
        """Wires [forms >= thresholds], broadcast against each other.

        Args:
            op: the operation's name, kept per gate.
            place: up to six arrays or ints (layer, head, i, j, unit, value), broadcast against the result; -1 is none.
        """
        shape = np.broadcast_shapes(forms.shape, np.shape(thresholds))
        forms, threshold = forms.broadcast(shape), _spread(thresholds, shape)
        flat = forms.reshape(-1)
        out = np.full(threshold.shape, -3, dtype=np.int64)
        out[(flat.low >= threshold).astype(bool)] = TRUE
        out[(flat.high < threshold).astype(bool)] = FALSE
        ids, bar = flat.ids, exact(threshold - flat.offset)
        lone, wire, weight = self._single(ids)
        same = lone & (weight > 0).astype(bool) & (bar > 0).astype(bool) & (bar <= weight).astype(bool)  # a copy
        out = np.where((out == -3) & same, wire, out)
        rest = np.flatnonzero(out == -3)
        if len(rest):
            fields = np.full((len(FIELDS), *shape), -1, dtype=np.int32)
            for k, field in enumerate(place):
                fields[k] = field
            out[rest] = self._intern_gates(ids[rest], bar[rest], op, fields.reshape(len(FIELDS), -1).T[rest])
        return out.reshape(shape)

    def both(self, left: np.ndarray, right: np.ndarray, op: str = "and", place: Sequence = ()) -> np.ndarray:
        """AND of two arrays of wires, broadcast."""
        return self.all(np.stack(np.broadcast_arrays(left, right), axis=-1), op, place)

    def all(self, wires: np.ndarray, op: str = "and", place: Sequence = ()) -> np.ndarray:
        """AND over the last axis: one gate."""
        forms = self.forms(wires)
        return self.gate(forms, np.asarray(wires).shape[-1], op, place)

    def any(self, wires: np.ndarray, op: str = "or", place: Sequence = ()) -> np.ndarray:
        """OR over the last axis: one gate."""
        return self.gate(self.forms(wires), 1, op, place)

    def circuit(self, outputs: Forms) -> Circuit:
        """The circuit that computes `outputs`, with everything that they do not need swept away."""
        from separatrix.depth.sweep import freeze

        return freeze(self, outputs)

    # ---- storage -------------------------------------------------------------------------------------------------

    def _single(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which forms are one term without parts, and that term's wire and weight (of row 0 of the terms elsewhere)."""
        start = self._terms.ptr[ids]
        lone = (self._terms.ptr[ids + 1] - start == 1) & (self._parts.ptr[ids + 1] == self._parts.ptr[ids])
        if not self._terms.entry.size:
            return lone, np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.int64)
        at = np.where(lone, start, 0)
        return lone, self._terms.entry.values[at], self._terms.weight.values[at]

    def _handle(self, ids: np.ndarray, offset: np.ndarray, low, high, shape: tuple[int, ...]) -> Forms:
        offset = _spread(offset, (len(ids),))
        floor, ceiling = exact(self._low.values[ids] + offset), exact(self._high.values[ids] + offset)
        floor, ceiling = _tighter(floor, ceiling, low, high, shape)
        if low is not None or high is not None:  # what is known of the handle is known of the form
            np.maximum.at(self._low.values, ids, _fit(exact(floor - offset), self._low))
            np.minimum.at(self._high.values, ids, _fit(exact(ceiling - offset), self._high))
        return Forms(ids.reshape(shape), offset.reshape(shape), floor.reshape(shape), ceiling.reshape(shape))

    def _intern(
        self, ptr: np.ndarray, wire: np.ndarray, weight: np.ndarray,
        part_ptr: np.ndarray, part: np.ndarray, part_weight: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Rows of the form table for these forms, new or old."""
        hashes = segment_sum(ptr, _mix(wire) * _word(weight))
        if len(part):
            hashes = hashes + segment_sum(part_ptr, self._hash.values[part] * _word(part_weight))
        terms, parts = (ptr, wire, weight), (part_ptr, part, part_weight)

        def equal(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
            return _equal_rows(terms, rows, terms, others) & _equal_rows(parts, rows, parts, others)

        def known(rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
            stored = (self._terms.triple(), self._parts.triple())
            return _equal_rows(terms, rows, stored[0], ids) & _equal_rows(parts, rows, stored[1], ids)

        ids, new = self._form_index.find(hashes, self._hash.size, equal, known)
        if len(new):
            fresh, entries = _pick(terms, new), _pick(parts, new)
            level = _segment_max(fresh[0], self._wire_level.values[fresh[1]])
            level = np.maximum(level, _segment_max(entries[0], self._level.values[entries[1]]))
            rank = _segment_max(entries[0], self._rank.values[entries[1]] + 1)
            low, high = self._interval(fresh, entries)
            self._terms.add(*fresh)
            self._parts.add(*entries)
            for column, values in (
                (self._level, level), (self._rank, rank), (self._low, low), (self._high, high),
                (self._hash, hashes[new]),
            ):  # fmt: skip
                column.add(values)
        return ids

    def _interval(self, terms: tuple, parts: tuple) -> tuple[np.ndarray, np.ndarray]:
        """Interval bounds of forms; in Python ints as soon as int64 could overflow."""
        weight, scale = terms[2], parts[2]
        least, most = self._low.values[parts[1]], self._high.values[parts[1]]
        size = float(np.abs(weight.astype(np.float64)).sum()) if len(weight) else 0.0
        if len(scale):
            reach = np.maximum(np.abs(least.astype(np.float64)), np.abs(most.astype(np.float64)))
            size += float((np.abs(scale.astype(np.float64)) * reach).sum())
        if size >= LIMIT:
            weight, scale = weight.astype(object), scale.astype(object)
        zero = np.zeros(len(weight), dtype=weight.dtype)
        low = segment_sum(terms[0], np.minimum(weight, zero))
        high = segment_sum(terms[0], np.maximum(weight, zero))
        if len(scale):
            ends = scale * least, scale * most
            low = low + segment_sum(parts[0], np.minimum(*ends))
            high = high + segment_sum(parts[0], np.maximum(*ends))
        return exact(low), exact(high)

    def _intern_gates(self, ids: np.ndarray, thresholds: np.ndarray, op: str, place: np.ndarray) -> np.ndarray:
        hashes = _mix(ids + (1 << 40)) + _word(thresholds) * np.uint64(0x9E3779B97F4A7C15)

        def equal(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
            return (ids[rows] == ids[others]) & (thresholds[rows] == thresholds[others]).astype(bool)

        def known(rows: np.ndarray, gates: np.ndarray) -> np.ndarray:
            same = (self._threshold.values[gates] == thresholds[rows]).astype(bool)
            return (self._form.values[gates] == ids[rows]) & same

        gates, new = self._gate_index.find(hashes, self._form.size, equal, known)
        if len(new):
            self._form.add(ids[new])
            self._threshold.add(thresholds[new])
            self._wire_level.add(self._level.values[ids[new]] + 1)
            self._op.add(np.full(len(new), self._ops.setdefault(op, len(self._ops)), dtype=np.int64))
            self._place.add(place[new])
        return gates + self.inputs


class _Rows:
    """A growing table of ragged rows (entry, weight)."""

    def __init__(self, dtype: type) -> None:
        self.entry, self.weight, self._end = Grow(np.int64), Grow(dtype), Grow(np.int64)
        self._end.add(np.zeros(1, dtype=np.int64))

    @property
    def ptr(self) -> np.ndarray:
        return self._end.values

    def add(self, ptr: np.ndarray, entry: np.ndarray, weight: np.ndarray) -> None:
        self._end.add(ptr[1:] + self.entry.size)
        self.entry.add(entry)
        self.weight.add(weight)

    def triple(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.ptr, self.entry.values, self.weight.values


def _equal_rows(a: tuple, rows: np.ndarray, b: tuple, others: np.ndarray) -> np.ndarray:
    """Whether row rows[k] of table a has the entries of row others[k] of table b."""
    same = (a[0][rows + 1] - a[0][rows]) == (b[0][others + 1] - b[0][others])
    check = np.flatnonzero(same)
    which, left = expand(a[0], rows[check])
    _, right = expand(b[0], others[check])
    wrong = (a[1][left] != b[1][right]) | (a[2][left] != b[2][right]).astype(bool)
    same[check[which[wrong]]] = False
    return same


def _pick(table: tuple, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if len(rows) == len(table[0]) - 1:
        return table
    which, entry = expand(table[0], rows)
    ptr = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(np.bincount(which, minlength=len(rows)), out=ptr[1:])
    return ptr, table[1][entry], table[2][entry]


def _segment_max(ptr: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = np.zeros(len(ptr) - 1, dtype=np.int64)
    full = np.flatnonzero(np.diff(ptr) > 0)
    if len(full):
        out[full] = np.maximum.reduceat(values, ptr[:-1][full])
    return out


def _mix(keys: np.ndarray) -> np.ndarray:
    """splitmix64 of the keys."""
    z = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x2545F4914F6CDD1D)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _word(weights: np.ndarray) -> np.ndarray:
    """Integers modulo 2^64."""
    if weights.dtype == object:
        return np.array([int(w) % 2**64 for w in weights.tolist()], dtype=np.uint64)
    return weights.astype(np.int64).view(np.uint64)


def _spread(values: np.ndarray | int, shape: tuple[int, ...]) -> np.ndarray:
    """Flat exact integers of one shape."""
    return np.broadcast_to(exact(values), shape).reshape(-1)


def _tighter(floor: np.ndarray, ceiling: np.ndarray, low, high, shape: tuple[int, ...]):
    if low is not None:
        floor = exact(np.maximum(floor, _spread(low, shape)))
    if high is not None:
        ceiling = exact(np.minimum(ceiling, _spread(high, shape)))
    return floor, ceiling


def _fit(values: np.ndarray, column: Grow) -> np.ndarray:
    """Bounds as the column can hold them: where it is int64, wide bounds say nothing and are dropped."""
    if column.values.dtype == object or values.dtype != object:
        return values
    return np.array([min(max(int(v), -LIMIT), LIMIT) for v in values.tolist()], dtype=np.int64)


def _product_fits(scale: np.ndarray, others: tuple[np.ndarray, ...], count: int) -> bool:
    if scale.dtype == object or any(o.dtype == object for o in others):
        return False
    top = max((float(np.abs(o).max(initial=0)) for o in others), default=0.0)
    return float(np.abs(scale).max(initial=0)) * max(top, 1.0) * max(count, 1) < LIMIT
