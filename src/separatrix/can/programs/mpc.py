"""Massively parallel protocols, run as they are and as a transformer: one attention head a round.

Sanford, Hsu, Telgarsky 2024, Theorem 3.1 and Lemma 3.2. A token is a machine. In a round each machine computes on its
own, and sends at most s messages; at most s reach it. The head: receiver i asks with u_i, sender j has the key w_S of
the set S of those it sends to, <u_i, w_S> = 1 for i in S and at most 1/2 elsewhere, and a start token stands between at
3/4. So i takes the mean of its senders' packets (see `packets`), and reads the messages from the slots with one writer.
What a machine computes is any function, as are the token-wise maps of the theorem: it is Python here, and no weights.

What is checked: the gap of every pair (receiver, set) that occurs, and every message against the round as it was meant;
a message that cannot be read raises an error. For all messages at once only where `packets.is_good` can try them all.

What is proved: a `Head` is the head as weights, a witness of sparse propagation whose certificate (kind `senders`)
covers all sets of s receivers and all packets; where the code is good besides, no round can lose a message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from separatrix.can.codes import random_signs
from separatrix.can.programs.packets import pack, packet_code, unpack
from separatrix.can.witnesses.sparse_propagation_start import build
from separatrix.core.errors import InputError
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.sparse_propagation import SparsePropagation

Messages = Mapping[int, Sequence[int]]  # machine -> words
Local = Callable[[int, list[int], dict[int, tuple[int, ...]]], Messages]  # (machine, memory, inbox) -> outbox


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol on so many machines.

    Attributes:
        local: one function a round, and a last one whose outbox must be empty. It may change the machine's memory, a
            list of words, in place.
        most: s, messages that a machine may send or get in a round. words: of one message. memory: words of a machine.
    """

    machines: int
    local: tuple[Local, ...]
    most: int
    words: int
    memory: int

    @property
    def rounds(self) -> int:
        """Rounds with messages."""
        return len(self.local) - 1


Deliver = Callable[[list[dict[int, tuple[int, ...]]]], list[dict[int, tuple[int, ...]]]]


def run(protocol: Protocol, inputs: Sequence[Sequence[int]], deliver: Deliver | None = None) -> list[list[int]]:
    """The memories after the last round; `deliver` turns outboxes into inboxes, directly by default.

    InputError where a machine sends, gets or keeps more than it may.
    """
    memories: list[list[int]] = [list(words) for words in inputs]
    inboxes: list[dict[int, tuple[int, ...]]] = [{} for _ in memories]
    if len(memories) != protocol.machines:
        raise InputError(f"the protocol has {protocol.machines} machines; {len(memories)} inputs were given")
    for number, local in enumerate(protocol.local):
        sent = [
            {to: tuple(words) for to, words in local(i, memory, inboxes[i]).items()}
            for i, memory in enumerate(memories)
        ]
        got = directly(sent)
        for i, memory in enumerate(memories):
            if max(len(sent[i]), len(got[i])) > protocol.most or len(memory) > protocol.memory:
                raise InputError(f"round {number}: machine {i} sends, gets or keeps more than the protocol allows")
            if any(len(words) != protocol.words for words in sent[i].values()):
                raise InputError(f"round {number}: machine {i} sends a message that is not of {protocol.words} words")
        if number == protocol.rounds and any(sent):
            raise InputError("a machine sends after the last round")
        inboxes = got if deliver is None else deliver(sent)
    return memories


def directly(sent: list[dict[int, tuple[int, ...]]]) -> list[dict[int, tuple[int, ...]]]:
    """Inboxes by sender."""
    got: list[dict[int, tuple[int, ...]]] = [{} for _ in sent]
    for source, outbox in enumerate(sent):
        for to, words in outbox.items():
            got[to][source] = words
    return got


@dataclass(frozen=True)
class Router:
    """The head of every round: keys u_i of width m, packet codes for all pairs of machines, and the temperature.

    Attributes:
        keys: (N, m) unit vectors. code: (N^2, d), row source * N + destination.
    """

    machines: int
    most: int
    keys: np.ndarray
    code: np.ndarray

    @classmethod
    def of(cls, protocol: Protocol, key_width: int | None = None, seed: int = 0) -> Router:
        """key_width: 30 s ln N by default, one-hot keys where that is no less than N."""
        n, s = protocol.machines, protocol.most
        m = key_width or math.ceil(30 * s * math.log(max(2, n)))
        keys = np.eye(n) if m >= n else random_signs(n, m, seed).astype(np.float64) / math.sqrt(m)
        return cls(n, s, keys, packet_code(n * n, min(s * s, n * n), seed))

    @property
    def width(self) -> int:
        """Numbers of one token: key, query and a packet of slots."""
        return 2 * self.keys.shape[1] + self.code.shape[1] * 2

    def temperature(self, greatest: float) -> float:
        """alpha with (N + 1) e^(-alpha / 4) <= 1 / (32 s g): what leaks changes no number up to g by 1/16 or more."""
        return 4 * math.log((self.machines + 1) * 32 * self.most * max(1.0, greatest))

    def deliver(self, sent: list[dict[int, tuple[int, ...]]]) -> list[dict[int, tuple[int, ...]]]:
        """The inboxes, by one softmax head over machines and a start token; InputError where one cannot be read."""
        n, m, words = self.machines, self.keys.shape[1], max((len(w) for o in sent for w in o.values()), default=0)
        w, packets = np.zeros((n, m)), np.zeros((n, self.code.shape[1], 2 + words))
        for j, outbox in enumerate(sent):
            if outbox:
                to = np.array(sorted(outbox))
                w[j] = np.linalg.lstsq(self.keys[to], np.ones(len(to)), rcond=None)[0]
                packets[j] = pack(
                    self.code, j * n + to, np.array([outbox[t] for t in sorted(outbox)], dtype=np.float64)
                )
        scores = self.keys @ w.T  # receiver, sender
        aims = np.array([[i in outbox for outbox in sent] for i in range(n)])
        if np.abs(scores[aims] - 1).max(initial=0) > 1e-6 or scores[~aims].max(initial=-1.0) > 0.5:
            raise InputError(f"keys of width {m} do not tell these destinations apart; take a greater key_width")
        alpha = self.temperature(float(np.abs(packets).max()))
        scores = np.concatenate([scores, np.full((n, 1), 0.75)], axis=1) * alpha
        weight = np.exp(scores - scores.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        means = np.einsum("ij,jdw->idw", weight[:, :n], packets)
        return [self.read(i, means[i]) for i in range(n)]

    def read(self, i: int, mean: np.ndarray) -> dict[int, tuple[int, ...]]:
        """The smallest share of a slot that was written to is one writer's: 1 over the number of senders."""
        shares = mean[:, 0][mean[:, 0] > 1 / (4 * self.most)]
        if not len(shares):
            return {}
        found = unpack(mean, round(1 / float(shares.min())))
        return {
            name // self.machines: tuple(int(v) for v in np.rint(words))
            for name, words in found.items()
            if name % self.machines == i
        }


@dataclass(frozen=True)
class Head:
    """One round of messages as one layer of weights: machines, s idle receivers behind them, a start token.

    A machine that sends fewer than s messages sends to idle receivers besides. Packets are divided by `norm`, the
    largest that one can have, so that they lie in the unit ball; `task` is what the certificate is about, and its eps
    changes no number that is read by 1/16 or more.
    """

    router: Router
    words: int
    norm: float
    task: SparsePropagation
    model: Model

    @classmethod
    def of(cls, router: Router, words: int, greatest: float) -> Head:
        """For messages of so many words up to `greatest` in absolute value; InputError where it is too large."""
        (names, slots), s = router.code.shape, router.most
        norm = math.sqrt(slots * (1 + names**2 + words * greatest**2))
        task = SparsePropagation(s, slots * (2 + words), 1 / (32 * s * s * norm))
        return cls(router, words, norm, task, build(task, router.machines + s))

    def deliver(self, sent: list[dict[int, tuple[int, ...]]]) -> list[dict[int, tuple[int, ...]]]:
        """The inboxes, as the weights compute them."""
        n, s = self.router.machines, self.router.most
        idle = np.arange(n, n + s)
        tokens, packets = np.tile(idle, (n + s, 1)), np.zeros((n + s, self.task.dim))
        for j, outbox in enumerate(sent):
            to = sorted(outbox)
            tokens[j] = [*to, *idle[: s - len(to)]]
            if to:
                words = np.array([outbox[t] for t in to], dtype=np.float64)
                packets[j] = pack(self.router.code, j * n + np.array(to), words).reshape(-1) / self.norm
        means = evaluate(self.model, tokens[None], packets[None], range(n))[0] * self.norm
        return [self.router.read(i, mean.reshape(-1, 2 + self.words)) for i, mean in enumerate(means)]


def as_transformer(
    protocol: Protocol, inputs: Sequence[Sequence[int]], router: Router | Head | None = None
) -> list[list[int]]:
    """The memories after R heads of one router; InputError where a message is lost or changed on the way."""
    router = router or Router.of(protocol)

    def deliver(sent: list[dict[int, tuple[int, ...]]]) -> list[dict[int, tuple[int, ...]]]:
        got = router.deliver(sent)
        if got != directly(sent):
            raise InputError("the packet code does not tell these messages apart; take another seed")
        return got

    return run(protocol, inputs, deliver)


def cycles(machines: int) -> Protocol:
    """Machine i holds the next vertex of a permutation, and ends with the least vertex of its cycle: 2 log2 N rounds.

    Memory: pointer, least vertex from here to before the pointer. Each doubling asks the machine that is pointed to,
    and gets its memory back.
    """

    def ask(_: int, memory: list[int], inbox: dict[int, tuple[int, ...]]) -> Messages:
        for pointer, least in inbox.values():
            memory[:] = [pointer, min(memory[1], least)]
        return {memory[0]: (0, 0)}

    def reply(_: int, memory: list[int], inbox: dict[int, tuple[int, ...]]) -> Messages:
        return {source: tuple(memory) for source in inbox}

    def end(_: int, memory: list[int], inbox: dict[int, tuple[int, ...]]) -> Messages:
        ask(0, memory, inbox)
        return {}

    doublings = max(1, math.ceil(math.log2(machines)))
    return Protocol(machines, (ask, reply) * doublings + (end,), most=1, words=2, memory=2)
