"""What `separatrix circuit` says: one circuit measured and compared with its emulator, or a family over lengths."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.beside import bound, bound_line
from separatrix.depth.circuit import Circuit
from separatrix.depth.compiler.network import MEMORY, compile_network, estimate, estimate_head
from separatrix.depth.compiler.paper import compile_paper, encoded
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.measure import measure
from separatrix.models.paper import PaperHead, PaperNorm, run_paper
from separatrix.models.quantise import reference_head, reference_model
from separatrix.models.quantised import Heads, Quantised, run
from separatrix.numbers.floats import FloatFormat, Number

LANES = 1024


def compiled(
    network: Quantised, progress: Callable[[str], None] = lambda _: None, device: str = "cpu"
) -> tuple[Circuit, dict[str, Any]]:
    """The circuit and its report: the counts of `measure`, the build time, and how many inputs were compared."""
    started = time.perf_counter()
    circuit = compile_network(network, progress=progress)
    seconds = time.perf_counter() - started
    progress(f"measure {circuit.gates:,} gates")
    counts = measure(circuit)
    guess = estimate(network)
    progress("compare with the emulator")
    lanes, wrong, every = compare(circuit, network, device=device)
    if wrong:
        raise InputError(f"{network.name}: the circuit differs from the emulator on {wrong} of {lanes} inputs")
    return circuit, {
        "network": network.name, "n": network.n, **counts.to_json(), "seconds": round(seconds, 3),
        "estimate": {"gates": guess.gates, "bytes": guess.bytes},
        "compared": lanes, "wrong": wrong, "every_input": every, **_beside(network),
    }  # fmt: skip


def _beside(network: Quantised) -> dict[str, Any]:
    """The paper's bound, for networks of attention layers and nothing else."""
    count = len(network.layers)
    if not count or not all(isinstance(layer, Heads) for layer in network.layers):
        return {}
    return {"attention_layers": count, "bound": bound(count)}


def compiled_paper(
    n: int, d: int, p: int, norm: bool = False, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """The reference head rounded after every operation in F_p, compared with its emulator on random numbers."""
    form = FloatFormat.paper(p)
    head = PaperHead.of(reference_model(d), n, form)
    head = replace(head, norm=PaperNorm.plain(form, d)) if norm else head
    progress("compile")
    started = time.perf_counter()
    circuit = compile_paper(head)
    seconds = time.perf_counter() - started
    progress(f"measure {circuit.gates:,} gates")
    counts = measure(circuit)
    progress("compare with the emulator")
    rng, lanes = np.random.default_rng(0), 128
    inputs = [random_rows(form, n, d, rng, close=lane % 4 > 0) for lane in range(lanes)]
    got = Evaluator(circuit)(np.array([encoded(form, x) for x in inputs])).reshape(lanes, -1)
    wrong = sum(row.tolist() != encoded(form, run_paper(head, x)) for row, x in zip(got, inputs, strict=True))
    name = f"RoPE head{' and layer norm' * norm} rounded after every operation, n={n} d={d} F_{p}"
    if wrong:
        raise InputError(f"{name}: the circuit differs from the emulator on {wrong} of {lanes} inputs")
    return {
        "network": name, "n": n, **counts.to_json(), "seconds": round(seconds, 3),
        "compared": lanes, "wrong": wrong, "every_input": False,
        **({} if norm else {"attention_layers": 1, "bound": bound(1)}),
    }  # fmt: skip


def random_rows(form: FloatFormat, n: int, d: int, rng: np.random.Generator, close: bool) -> list[list[Number]]:
    """(n, d) members, some zero; with `close` of size around 1, so that sums cancel and scores differ."""
    low, high = (max(form.low, -form.p - 1), 1) if close else (form.low, form.high)
    rows = []
    for _ in range(n):
        m = rng.integers(2 ** (form.p - 1), 2**form.p, d) * rng.choice([-1, 1], d) * (rng.random(d) > 0.05)
        e = rng.integers(low, high + 1, d)
        rows.append([Number(int(a), int(c)) if a else form.zero for a, c in zip(m, e, strict=True)])
    return rows


def reference(n: int, d: int, p: int, layers: int) -> Quantised:
    """The reference head; InputError before anything large is made where its circuit would not fit."""
    estimate_head(n, d, p, layers).demand(MEMORY)
    return reference_head(n, d, p, layers)


def compare(
    circuit: Circuit, network: Quantised, lanes: int = LANES, seed: int = 0, device: str = "cpu"
) -> tuple[int, int, bool]:
    """(inputs compared, inputs that differ, whether these were all): circuit against emulator."""
    rng, width = np.random.default_rng(seed), network.input_bits
    if every := width <= 12:
        bits = np.arange(2**width)[:, None] >> np.arange(width) & 1
    else:
        bits = rng.integers(0, 2, (lanes, width))
        bits[0], bits[1] = 0, 1
        bits[2 : lanes // 8] &= rng.integers(0, 2, (lanes // 8 - 2, width))
        bits[lanes // 8 : lanes // 4] |= rng.integers(0, 2, (lanes // 4 - lanes // 8, width))
    wrong, step = 0, max(1, min(len(bits), 2**24 // max(1, network.n**2)))
    evaluator = Evaluator(circuit, device=device)
    for start in range(0, len(bits), step):
        part = bits[start : start + step]
        got, want = evaluator(part), run(network, network.numbers_of(part))
        wrong += int((got != want).reshape(len(part), -1).any(axis=1).sum())
    return len(bits), wrong, every


def scaling(
    lengths: Sequence[int], d: int = 4, p: int = 4, layers: int = 1, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Reference heads over lengths: `rows`, and the exponents fitted to gates and edges with their residuals."""
    if len(set(lengths)) != len(lengths) or min(lengths) < 1:
        raise InputError(f"--scale n={','.join(map(str, lengths))}: different positive lengths are needed")
    rows = []
    for n in sorted(lengths):
        progress(f"n = {n}")
        rows.append(compiled(reference(n, d, p, layers), lambda text, n=n: progress(f"n = {n}: {text}"))[1])
    fits = {name: fit([r["n"] for r in rows], [r[name] for r in rows]) for name in ("gates", "edges", "stored")}
    depths = sorted({r["depth"] for r in rows})
    return {"d": d, "p": p, "layers": layers, "rows": rows, "fits": fits, "depths": depths}


def fit(ns: Sequence[int], sizes: Sequence[int]) -> dict[str, float] | None:
    """Least squares of log size against log n: exponent and greatest residual as a factor; None below two lengths."""
    if len(ns) < 2 or min(sizes) < 1:
        return None
    x, y = np.log(np.array(ns, dtype=float)), np.log(np.array([float(s) for s in sizes]))
    slope, base = np.polyfit(x, y, 1)
    last = float((y[-1] - y[-2]) / (x[-1] - x[-2]))
    spread = float(np.exp(np.abs(y - slope * x - base).max()))
    return {"exponent": round(float(slope), 3), "last": round(last, 3), "residual": round(spread, 3)}


def lines_of(report: dict[str, Any]) -> list[str]:
    """The report in words."""
    m = report
    every = "every input" if m["every_input"] else f"{m['compared']:,} inputs"
    out = [
        f"{m['network']}: {m['inputs']} input bits, {m['outputs']} outputs",
        f"depth {m['depth']} (outputs read as forms), {m['depth_materialised']} with output wires",
        f"{m['gates']:,} gates, {m['edges']:,} edges ({m['stored']:,} stored), greatest fan-in {m['fan_in']:,}",
        f"weights of {m['weight_bits']} bits at most, that is inputs^{m['weight_exponent']:g}; thresholds of "
        f"{m['threshold_bits']} bits",
        f"with weights of any size (LT) depth {m['depth']}; with weights polynomial in the inputs (MAJ) depth "
        f"{m['depth'] + 1} at most, whatever the weights are (Goldmann & Karpinski 1998)",
        "gates of each level: " + ", ".join(f"{k + 1}: {g:,}" for k, g in enumerate(m["levels"])),
    ]
    for one in m["operations"]:
        share = one["gates"] / max(m["gates"], 1), one["edges"] / max(m["edges"], 1)
        out.append(
            f"  {one['name']:<22} {one['gates']:>12,} gates {share[0]:6.1%} {one['edges']:>14,} edges {share[1]:6.1%}"
        )
    if "bound" in m:
        out.append(bound_line(m["attention_layers"], m["depth"]))
    out.append(f"equal to the emulator on {every}; built in {m['seconds']:.2f} s")
    return out


def scaling_lines(result: dict[str, Any]) -> list[str]:
    """The table over lengths in words."""
    out = [f"{'n':>5} {'depth':>6} {'gates':>12} {'edges':>14} {'weight bits':>12} {'build s':>8} {'compared':>9}"]
    for r in result["rows"]:
        out.append(
            f"{r['n']:>5} {r['depth']:>6} {r['gates']:>12,} {r['edges']:>14,} {r['weight_bits']:>12} "
            f"{r['seconds']:>8.2f} {r['compared']:>9,}"
        )
    bits = {r["weight_bits"] for r in result["rows"]}
    if len(bits) == 1 and len(result["rows"]) > 1:
        out.append(f"weights of {bits.pop()} bits at every length: LT and MAJ (polynomial weights) depth are the same")
    out.append(bound_line(result["layers"], max(result["depths"])) + ", at every length")
    for name, one in result["fits"].items():
        if one:
            out.append(
                f"{name} grow like n^{one['exponent']:.2f} (last step n^{one['last']:.2f}; residuals within a factor "
                f"{one['residual']:.2f})"
            )
    return out
