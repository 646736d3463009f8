"""The circuit builder: what is built computes what was asked, each form and gate once, nothing dead, levels right."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.depth import FALSE, TRUE, Builder, Circuit, Forms
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.reference import evaluate_plain
from separatrix.depth.rows import exact

ALL = np.array(list(product([0, 1], repeat=6)))


def random_circuit(seed: int, wide: bool = False) -> tuple[Circuit, np.ndarray]:
    """A circuit on 6 inputs built at random (constants, equal rows and nested forms included), and its values."""
    rng = np.random.default_rng(seed)
    b = Builder(6)
    pool = {TRUE: np.ones(64, dtype=object), FALSE: np.zeros(64, dtype=object)}
    pool |= {i: ALL[:, i].astype(object) for i in range(6)}
    kept: list[tuple[Forms, np.ndarray]] = []
    for _ in range(12):
        wires = rng.choice(list(pool), size=(4, 3))
        weights = rng.integers(-3, 4, size=(4, 3)).astype(object)
        if wide:
            weights[0] = weights[0] * 3**50
        offset = rng.integers(-2, 3, size=4)
        forms = b.forms(wires, weights, offset)
        values = [offset[r] + sum(weights[r, k] * pool[wires[r, k]] for k in range(3)) for r in range(4)]
        if kept and rng.random() < 0.7:
            other, theirs = kept[rng.integers(len(kept))]
            scale = int(rng.integers(-2, 3))
            forms = b.add([(1, forms), (scale, other)], offset)
            values = [v + scale * t + o for v, t, o in zip(values, theirs, offset, strict=True)]
        for r in range(4):
            assert forms.low[r] <= min(values[r])
            assert max(values[r]) <= forms.high[r]
        bars = rng.integers(-2, 4, size=4)
        gates = b.gate(forms, bars, "random", (r for r in range(4)))
        for r in range(4):
            bit = (values[r] >= bars[r]).astype(object)
            if gates[r] in pool:
                assert (pool[gates[r]] == bit).all()
            pool[int(gates[r])] = bit
        kept.append((forms, np.array(values)))
    outputs = Forms.concatenate([kept[-1][0], kept[-3][0], Forms.constant([7])])
    return b.circuit(outputs), np.concatenate([kept[-1][1], kept[-3][1], np.full((1, 64), 7)])


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("wide", [False, True])
def test_random_circuits_compute_what_was_built(seed: int, wide: bool) -> None:
    circuit, values = random_circuit(seed, wide)
    circuit.check()
    assert (values == evaluate_plain(circuit, ALL, bounds=True).T).all()
    flat = circuit.flat()
    flat.check()
    assert len(flat.part_form) == 0
    assert (values == evaluate_plain(flat, ALL).T).all()


def test_equal_forms_and_gates_are_stored_once() -> None:
    b = Builder(4)
    x, y = b.forms([[0, 1], [1, 0], [0, 0]], [[2, 3], [3, 2], [1, 1]]), b.forms([[0, 1, FALSE]], [[2, 3, 5]])
    assert x.ids[0] == x.ids[1] == y.ids[0] != x.ids[2]
    first = b.gate(x[:2], 2)
    assert first[0] == first[1] == b.gate(y, 2)[0]
    assert b.gates == 1
    assert b.gate(x[:2] + 5, 7)[0] == first[0], "a constant moves the threshold, not the gate"


def test_constants_and_copies_make_no_gates() -> None:
    b = Builder(3)
    sums = b.forms([[0, 1, TRUE]], [[1, 1, 4]])
    assert (sums.low[0], sums.high[0]) == (4, 6)
    assert b.gate(sums, 4)[0] == TRUE
    assert b.gate(sums, 7)[0] == FALSE
    assert b.all(np.array([2, TRUE])) == 2
    assert b.all(np.array([2, FALSE])) == FALSE
    assert b.any(np.array([2, FALSE])) == 2
    assert b.gate(b.forms([[2]], [[5]]), 3)[0] == 2
    assert b.gates == 0


def test_promised_bounds_fold_gates() -> None:
    b = Builder(2)
    x = b.forms([[0, 1]], [[1, 1]], high=1)  # never both
    assert b.gate(x, 2)[0] == FALSE
    assert b.gate(b.forms([[0, 1]]), 2)[0] == FALSE, "the form remembers"


def test_dead_gates_are_swept_and_levels_kept() -> None:
    b = Builder(4)
    a = b.both(np.array(0), np.array(1))
    dead = b.both(a, np.array(3), "dead")
    c = b.any(np.stack([a, np.array(2)]), "kept", (0, -1, 5))
    b.all(np.stack([dead, c]), "dead")
    circuit = b.circuit(b.forms(np.stack([c]))[None])
    circuit.check()
    assert circuit.gates == 2
    assert circuit.depth == circuit.depth_materialised == 2
    assert circuit.ops[circuit.gate_op[1]] == "kept"
    assert circuit.gate_place[1].tolist() == [0, -1, 5, -1, -1, -1]


def test_depth_with_form_outputs_and_materialised() -> None:
    b = Builder(4)
    gates = b.gate(b.forms(np.arange(4)[None]), np.array([[1], [2]]))
    circuit = b.circuit(b.forms(gates.T))
    assert (circuit.depth, circuit.depth_materialised) == (1, 2)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("term_wire", lambda c: np.where(np.arange(len(c.term_wire)) == 0, c.wires, c.term_wire)),
        ("gate_form", lambda c: c.gate_form * 0 + c.forms),
        ("gate_level", lambda c: c.gate_level + 1),
        ("form_level", lambda c: c.form_level[::-1].copy()),
        ("part_form", lambda c: c.part_form * 0 + c.forms - 1),
        ("term_ptr", lambda c: c.term_ptr[::-1].copy()),
        ("output_shape", lambda c: (99,)),
        ("gate_threshold", lambda c: c.gate_threshold[:-1]),
    ],
)
def test_arrays_that_are_no_circuit_are_refused(field: str, change) -> None:
    circuit, _ = random_circuit(3)
    assert len(circuit.part_form) > 0
    with pytest.raises(InputError, match="not a circuit"):
        replace(circuit, **{field: change(circuit)}).check()


def test_equal_hashes_alone_merge_nothing() -> None:
    b = Builder(2)
    a = b.forms([[0, 1]], np.array([[1, 2**64]], dtype=object))  # 2^64 is 0 in the hash
    c = b.forms([[0]])
    assert a.ids[0] != c.ids[0]
    assert a.high[0] == 2**64 + 1


def test_weights_that_add_up_beyond_sixty_two_bits() -> None:
    """Repeated wires and nested forms whose weights pass int64, of values that are promised to stay small."""
    lanes = np.array([[0, 0], [1, 1]])
    b = Builder(2)
    big = 2**61
    circuit = b.circuit(b.forms([[0] * 8 + [1] * 8], [[big] * 8 + [-big] * 8]))
    assert circuit.term_weight.tolist() == [2**64, -(2**64)]
    assert evaluate_plain(circuit, lanes).tolist() == [[0], [0]]
    b = Builder(2)
    inner = b.forms([[0, 1]], [[2**40, -(2**40)]])
    outer = b.add([(2**40, inner)], low=0, high=0)  # promised: both wires agree
    circuit = b.circuit(b.add([(3, outer), (1, b.forms([[0]]))]))
    assert evaluate_plain(circuit, lanes, bounds=True).tolist() == [[0], [1]]
    flat = circuit.flat()
    assert max(abs(int(w)) for w in flat.term_weight) == 3 * 2**80 + 1
    assert evaluate_plain(flat, lanes).tolist() == [[0], [1]]


def test_numbers_from_two_to_the_sixty_two_on_stay_what_they_are() -> None:
    """NumPy holds those from 2^63 to 2^64 as unsigned, which is not to be read as signed."""
    for value in (2**62 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 5, 2**64, -(2**63), -(2**64)):
        assert exact(value).item() == value and exact([value, 1]).tolist() == [value, 1]
        b = Builder(1)
        lone = b.forms([[0]], value)
        circuit = b.circuit(b.add([(1, lone), (1, b.forms([[0]], [value], value) + value)]))
        assert evaluate_plain(circuit, np.array([[0], [1]])).reshape(-1).tolist() == [2 * value, 4 * value]
        assert Evaluator(circuit)(np.array([[0], [1]])).reshape(-1).tolist() == [2 * value, 4 * value]
