"""k-hop in ceil(log2 k) + 2 layers: the symbol before, one hop, and doublings of the pointers.

After Sanford, Hsu, Telgarsky 2024, Theorem 4.2 (induction heads by pointer doubling), one causal head a layer, with two
changes: pointers are binary codes that a feed-forward layer makes exact again after every layer, and the last
occurrence is found by a score that grows with the position (the angles of the printed code lead astray).
Layer 1 fetches the symbol before. Layer 2: position i attends to the last j <= i whose symbol before is x_i, and
fetches its index and symbol. Layers 3, 4, ..: attend to the position that the pointer names, and fetch its pointer and
symbol. Index 0, to which nothing leads, stands for nowhere, and holds no symbol. Where k is no power of two, positions
keep the pointer of one hop less, too: from (a, a - 1) hops, a look-up where the first leads gives (2a, 2a - 1), where
the second leads (2a - 1, 2a - 2). The recursion that is printed is off by one (see docs/errata).
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.flag_units import Units
from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.can.witnesses.index_lookup_quadratic import slope
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.k_hop import KHop, doublings
from separatrix.tasks.k_hop_steps import MOST, MOST_PAIRS


def size(task: KHop, n: int) -> Size:
    """ceil(log2 k) + 2 layers of one head. InputError where the construction does not reach."""
    task.domain(n)
    most = MOST_PAIRS if any(doublings(task.k)) else MOST
    require(n <= most, f"k-hop-doubling: N = {n}; take N up to {most} for k = {task.k}")
    bits, places, layers = code_bits(task.symbols), code_bits(n), len(doublings(task.k)) + 2
    more = places if any(doublings(task.k)) else 0
    width = _residual(bits, places, more).width
    key, value = max(bits + 1, 2), bits + places + more
    parameters = (task.symbols + n) * width + layers * (2 * width * key + 2 * width * value)
    hidden = [8 * bits] + [8 * bits + 6 * (places + (more if i else 0)) for i in range(layers - 2)]
    parameters += sum((2 * width + 1) * count + width for count in hidden)
    parameters += (width + 1) * (task.symbols + 1)
    return Size(layers, 1, width, key, value, n, None, parameters, Precision(64, "stored"))


def _residual(bits: int, places: int, more: int) -> Residual:
    parts = {"symbol": bits, "before": bits, "mark": bits, "index": places}
    parts |= {"pointer": places, "held": bits, "new_pointer": places, "new_held": bits}
    parts |= {"less": more, "new_less": more} if more else {}
    return Residual.of(**parts, position=2, target=1, recency=1, one=1, later=1)


@witness(
    "k-hop-doubling",
    task="k-hop",
    source="Sanford, Hsu, Telgarsky 2024, Theorem 4.2, repaired",
    formula="⌈log₂ k⌉ + 2 causal layers of 1 head, b = ⌈log₂|Σ|⌉, key width max(b + 1, 2), value width b + ⌈log₂ N⌉, "
    "width 5b + 3⌈log₂ N⌉ + 6 (one pointer of ⌈log₂ N⌉ more, twice, for k no power of two), 64 stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to 6 N^2: O(log N) bits would do
)
def build(task: KHop, n: int) -> Model:
    """Every fetched sign is off by 1/2 at most, and made exact again before it is used."""
    size(task, n)
    bits, places, short = code_bits(task.symbols), code_bits(n), doublings(task.k)
    more, layers = places if any(short) else 0, len(short) + 2
    residual = _residual(bits, places, more)
    d, eye = residual.width, np.eye(residual.width)
    s = {name: residual.slice(name) for name, _, _ in residual.parts}
    target, recency, one, later = (s[name].start for name in ("target", "recency", "one", "later"))

    t, codes = np.arange(n, dtype=np.float64), binary_codes(task.symbols)
    token, place = np.zeros((task.symbols, d)), np.zeros((n, d))
    token[:, s["symbol"]] = codes
    place[:, s["index"]] = binary_codes(n)[:, :places]
    if more:
        place[:, s["less"]] = place[:, s["index"]]  # no hop leads here
    place[:, s["position"]] = np.stack([t, t * t], axis=1)
    place[:, target], place[:, one], place[:, later] = np.maximum(t - 1, 0), 1.0, t > 0
    # layer 2, score(i, j) = B <symbol i, before j> + 2j; codes of b signs agree to b, or at most b - 2. The last match
    # has odds e^-2 + e^-4 + .. < 0.16 against earlier ones; index 0, where `before` is 0, stands B above every
    # mismatch (less 2N) and B below every match
    b = 2 * n + math.ceil(math.log(100 * n))
    place[:, recency] = np.where(t > 0, 2 * t, b * (bits - 1.0))
    eta, key_width, value_width = slope(), max(bits + 1, 2), bits + places + more  # weight of a named position >= 3/4

    def attention(layer: int, query: np.ndarray, key: np.ndarray, moves: dict[str, str]) -> dict[str, np.ndarray]:
        """Tensors of one head that moves slices of the position attended to into other slices."""
        value, output, at = np.zeros((d, value_width)), np.zeros((value_width, d)), 0
        for source, to in moves.items():
            width = s[source].stop - s[source].start
            value[s[source], at : at + width] = output[at : at + width, s[to]] = np.eye(width)
            at += width
        pad = np.zeros((d, key_width))
        query, key = (np.concatenate([w, pad], axis=1)[:, :key_width] for w in (query, key))
        names = ("query", "key", "value", "output")
        return {f"layers.{layer}.{name}": w[None] for name, w in zip(names, (query, key, value, output), strict=True)}

    asked = np.zeros((d, 2))  # the position that `target` or a pointer names: score eta (2 p j - j^2)
    asked[one, 1] = -eta
    before = asked.copy()
    before[target, 0] = 2.0 * eta
    powers = 2.0 ** np.arange(places)  # p = sum_k 2^k (1 - sign_k) / 2

    def pointed(name: str) -> np.ndarray:
        query = asked.copy()
        query[one, 0], query[s[name], 0] = eta * powers.sum(), -eta * powers
        return query

    match = np.concatenate([b * eye[:, s["symbol"]], eye[:, [one]]], axis=1)
    occur = np.concatenate([eye[:, s["before"]], eye[:, [recency]]], axis=1)

    tensors = {"embed.token": token, "embed.position": place}
    tensors |= attention(0, before, eye[:, s["position"]], {"symbol": "new_held"})
    first, pointers = _first(d, s, later), ("pointer", "less") if more else ("pointer",)
    stack: list[Attention | FeedForward] = []
    for layer in range(layers):
        if layer == 1:
            tensors |= attention(2, match, occur, {"index": "new_pointer", "mark": "new_held"})
        elif layer > 1:
            moves = {name: f"new_{name}" for name in (*pointers, "held")}
            named = pointed("less" if short[layer - 2] else "pointer")
            tensors |= attention(2 * layer, named, eye[:, s["position"]], moves)
        last = layer + 1 == layers
        stack.append(Attention(1, key_width, value_width, mask="causal", residual=not last))
        if not last:
            made = pointers if layer > 1 else ("pointer",)
            units = _round(d, s, made) if layer else first
            stack.append(FeedForward(hidden=len(units), residual=True))
            tensors |= units.tensors(2 * layer + 1)
            if layer:
                tensors[f"layers.{2 * layer + 1}.out_bias"] = -np.sum(
                    [eye[s[name]].sum(axis=0) for name in made], axis=0
                )
    # an exact code agrees with its symbol to b, noisy ones to b/2 or more, and what stands for nowhere to b/4 at most
    readout = np.zeros((d, task.symbols + 1))
    readout[s["new_held"], : task.symbols] = codes.T
    tensors["readout.weight"] = readout
    tensors["readout.bias"] = np.array([0.0] * task.symbols + [0.375 * bits])
    first_map = Table(vocabulary=task.symbols, positions=n)
    return Model(Arch(d, first_map, tuple(stack), Readout(task.symbols + 1), residual=residual.parts), tensors)


def _first(d: int, s: dict[str, slice], later: int) -> Units:
    """before := sign of what was fetched, mark := symbol; both 0 at index 0; what was fetched is forgotten."""
    units = Units(d)
    for bit in range(s["symbol"].stop - s["symbol"].start):
        got, own = s["new_held"].start + bit, s["symbol"].start + bit
        for sign in (1.0, -1.0):
            units.clip({got: sign, later: 4.0}, 0.5 - 4.0, {s["before"].start + bit: sign})
            units.relu({got: sign}, 0.0, {got: -sign})
            units.relu({own: sign, later: 2.0}, -2.0, {s["mark"].start + bit: sign})
    return units


def _round(d: int, s: dict[str, slice], pointers: tuple[str, ...]) -> Units:
    """pointer := sign of the new one (2 step - 1, the 1 in the output bias), held := the new one made -1, 0 or 1."""
    units = Units(d)
    for old, new in [(name, f"new_{name}") for name in (*pointers, "held")]:
        for to, got in zip(range(s[old].start, s[old].stop), range(s[new].start, s[new].stop), strict=True):
            for sign in (1.0, -1.0):
                units.relu({to: sign}, 0.0, {to: -sign})
                units.relu({got: sign}, 0.0, {got: -sign})
                if old == "held":
                    units.clip({got: 4.0 * sign}, -1.0, {to: sign})
            if old != "held":
                units.clip({got: 1.0}, 0.5, {to: 2.0})
    return units
