"""Families of architectures by name, and whose lower bounds apply to which."""

from __future__ import annotations

from dataclasses import dataclass

from separatrix.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Family:
    """A family. `bounds_of`: the most general family whose lower bounds hold for it. `size`: its size flags."""

    name: str
    gloss: str
    bounds_of: str
    size: str


_RECURRENT = "--state-bits"
_ATTENTION = "--layers --heads --width --key-width --value-width --precision"
FAMILIES = {
    family.name: family
    for family in (
        Family("transformer", "softmax attention and feed-forward layers", "transformer", _ATTENTION),
        Family("positional", "attention weights depend on positions only", "positional", _ATTENTION),
        Family("third-order", "attention over pairs of keys", "third-order", _ATTENTION),
        Family("higher-order", "attention over tuples of keys, of any order", "higher-order", _ATTENTION),
        Family("strassen", "attention over pairs of keys, scores of three sides", "strassen", _ATTENTION),
        Family("rnn", "any transition, any depth: the state is all that is carried", "rnn", _RECURRENT),
        Family("elman", "one ReLU or tanh recurrence", "rnn", _RECURRENT),
        Family("lstm", "gated recurrence with a cell (both vectors are state)", "rnn", _RECURRENT),
        Family("gru", "gated recurrence", "rnn", _RECURRENT),
        Family("ssm", "diagonal linear recurrence (S4D, DSS)", "rnn", _RECURRENT),
        Family("mamba", "selective linear recurrence", "rnn", _RECURRENT),
        Family("linear-attention", "causal: a matrix state, one outer product a token", "rnn", _RECURRENT),
        Family("retnet", "linear attention with decay", "rnn", _RECURRENT),
        Family("deltanet", "linear attention with the delta rule", "rnn", _RECURRENT),
        Family("rwkv", "linear recurrence with token shift", "rnn", _RECURRENT),
        Family("mlp", "feed-forward net on the whole input; width is the first layer's", "mlp", "--width --precision"),
    )
}


def family(name: str) -> Family:
    """The family `name`; raises InputError that lists the known ones."""
    if name not in FAMILIES:
        raise InputError(f"unknown arch {name!r}; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]
