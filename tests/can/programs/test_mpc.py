"""Protocols as transformers by packet codes, transformers as protocols by trees: both against what they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.can.programs.merge_trees import merge, simulate
from separatrix.can.programs.mpc import Head, Protocol, Router, as_transformer, cycles, directly, run
from separatrix.can.programs.packets import is_good, pack, packet_code, slots, unpack
from separatrix.core.errors import InputError
from separatrix.models import evaluate
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import certify


@pytest.mark.parametrize("together", [1, 2, 3])
def test_a_draw_of_the_stated_width_is_good_and_an_eighth_of_it_is_not(together: int) -> None:
    code = packet_code(64, together)
    assert code.shape == (64, math.ceil(12 * together**2 * math.log(64))) == (64, slots(64, together))
    assert is_good(code, together)
    assert together == 1 or not is_good(code[:, : code.shape[1] // 8], together)


def test_a_code_with_two_equal_rows_is_not_good() -> None:
    code = packet_code(10, 2)
    code[3] = code[7]
    assert not is_good(code, 2) and is_good(code, 1)
    with pytest.raises(InputError, match="tried"):
        is_good(packet_code(1000, 4), 4)


def test_every_choice_of_few_messages_can_be_read() -> None:
    code = packet_code(9, 4)
    assert is_good(code, 4)
    rng = np.random.default_rng(0)
    for _ in range(50):
        names = rng.choice(9, 4, replace=False)
        words = rng.integers(-5, 9, (4, 2)).astype(float)
        mean = (pack(code, names[:1], words[:1]) + pack(code, names[1:], words[1:])) / 2
        found = unpack(mean, 2)
        assert set(found) == set(names.tolist())
        assert all(np.allclose(found[int(k)], row) for k, row in zip(names, words, strict=True))


@pytest.mark.parametrize("machines", [1, 2, 7, 32])
def test_least_vertices_of_cycles(machines: int) -> None:
    rng = np.random.default_rng(machines)
    protocol = cycles(machines)
    after = rng.permutation(machines)
    inputs = [[int(after[i]), i] for i in range(machines)]
    expected = []
    for i in range(machines):
        at, least = int(after[i]), i
        while at != i:
            at, least = int(after[at]), min(least, at)
        expected.append(least)
    assert [memory[1] for memory in run(protocol, inputs)] == expected
    assert [memory[1] for memory in as_transformer(protocol, inputs)] == expected
    assert protocol.rounds == 2 * max(1, math.ceil(math.log2(machines)))


def test_one_cycle_and_two_at_64_machines() -> None:
    protocol = cycles(64)
    router = Router.of(protocol, key_width=56)
    assert router.keys.shape == (64, 56) and protocol.rounds == 12
    for count in (1, 2):
        length = 64 // count
        inputs = [[i // length * length + (i + 1) % length, i] for i in range(64)]
        found = as_transformer(protocol, inputs, router)
        assert len({memory[1] for memory in found}) == count


def two_each(machines: int) -> Protocol:
    """Everybody tells two others its number, and adds up what it hears."""

    def tell(i: int, memory: list[int], _: dict) -> dict[int, tuple[int, ...]]:
        return {(3 * i + 1) % machines: (memory[0],), (5 * i + 2) % machines: (memory[0] + 1,)}

    def add(_: int, memory: list[int], inbox: dict) -> dict[int, tuple[int, ...]]:
        memory[0] = sum(words[0] for words in inbox.values())
        return {}

    return Protocol(machines, (tell, add), most=2, words=1, memory=1)


@pytest.mark.parametrize("machines", [8, 16])
def test_two_messages_each_way(machines: int) -> None:
    protocol, inputs = two_each(machines), [[7 * i % 13 - 4] for i in range(machines)]
    assert as_transformer(protocol, inputs) == run(protocol, inputs)
    router = Router.of(protocol)
    assert router.code.shape == (machines**2, slots(machines**2, 4))
    assert machines > 8 or is_good(router.code, 4)  # then it is right for all messages, and not these alone


@pytest.mark.parametrize("machines", [4, 16])
def test_rounds_of_certified_weights(machines: int) -> None:
    """Proved for all sets of receivers and all packets; the code is good for one message: no round loses any."""
    protocol = cycles(machines)
    head = Head.of(Router.of(protocol), protocol.words, machines)
    assert certify(head.model, head.task, machines + 1, method="senders").verdict == "proved"
    assert is_good(head.router.code, 1)
    inputs = [[int(v), i] for i, v in enumerate(np.random.default_rng(machines).permutation(machines))]
    assert as_transformer(protocol, inputs, head) == run(protocol, inputs)


def test_certified_weights_with_two_messages_each_way() -> None:
    protocol, inputs = two_each(7), [[3 * i - 2] for i in range(7)]
    router = Router.of(protocol)
    narrow = Router(7, 2, router.keys, router.code[:, :250])
    assert is_good(narrow.code, 4)
    head = Head.of(narrow, protocol.words, 20.0)
    assert certify(head.model, head.task, 9, method="senders").verdict == "proved"
    assert as_transformer(protocol, inputs, head) == run(protocol, inputs)
    quiet = [{} for _ in range(7)]
    assert head.deliver(quiet) == quiet
    for seed in range(20):  # any words, any two receivers of which each gets two
        rng = np.random.default_rng(seed)
        one, two = rng.permutation(7), rng.permutation(7)
        sent = [{int(a): (int(rng.integers(-20, 21)),) for a in {one[i], two[i]}} for i in range(7)]
        assert head.deliver(sent) == directly(sent)


def test_what_cannot_be_read_is_an_error_and_not_a_wrong_answer() -> None:
    protocol, inputs = two_each(16), [[i] for i in range(16)]
    router = Router.of(protocol)
    with pytest.raises(InputError, match="packet code"):
        as_transformer(protocol, inputs, Router(16, 2, router.keys, router.code[:, :6]))
    with pytest.raises(InputError, match="key_width"):
        as_transformer(protocol, inputs, Router.of(protocol, key_width=3))
    narrow = Protocol(16, protocol.local, most=1, words=1, memory=1)
    with pytest.raises(InputError, match="more than"):
        run(narrow, inputs)
    assert directly([{1: (2,)}, {}]) == [{}, {0: (2,)}]


@pytest.mark.parametrize("memory", [64, 400])
def test_a_transformer_as_a_protocol(memory: int) -> None:
    for name, task, n in (
        ("index-lookup-quadratic", IndexLookup(4), 24),
        ("equality-two-layer", Equality(2), 16),
        ("dyck-three-layer", Dyck(2, 2), 12),
    ):
        model = registry.get(name).build(task, n)
        tokens = task.sample(n, 1, np.random.default_rng(0))[0][0]
        outputs, cost = simulate(model, tokens, memory)
        expected = evaluate(model, tokens[None])[0]
        np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=1e-9)
        layers, rounds = model.size(n).layers, 0
        assert layers and cost.memory <= memory and cost.machines <= 3 * len(tokens) ** 2
        for layer in model.transformer.layers:
            if layer.kind == "attention":
                branching = memory // (4 * layer.heads * max(layer.key_width, layer.value_width))
                depth = next(d for d in range(1, 60) if branching**d >= len(tokens))
                rounds += 2 * depth + 3
        assert cost.rounds == rounds


def test_partial_softmaxes_merge_in_any_grouping_and_memory_has_a_floor() -> None:
    rng = np.random.default_rng(0)
    parts = [(float(s), 1.0, rng.normal(size=2)) for s in rng.normal(size=7) * 300]
    whole, halves = merge(parts), merge([merge(parts[:3]), merge(parts[3:])])
    np.testing.assert_allclose(whole[2], halves[2])
    model = registry.get("equality-two-layer").build(Equality(2), 8)
    with pytest.raises(InputError, match="words"):
        simulate(model, np.zeros(8, dtype=np.int64), 8)
