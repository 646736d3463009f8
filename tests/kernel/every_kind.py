"""One small true certificate, or several, of every kind that the judge knows; each takes a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from core.heads import Instance
from kernel.heads_cases import share_out, split_case
from kernel.relu_cases import one_cell
from separatrix.can import registry as witnesses
from separatrix.can.programs import library
from separatrix.can.programs.direct import compile_direct
from separatrix.can.programs.sortnet import packed_route
from separatrix.cannot import registry as bounds
from separatrix.core.arch import Arch, Attention, FeedForward, LayerNorm, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.recurrent import DiagonalSsm, Elman, Gru, Lstm
from separatrix.core.semantics import Semantics
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.depth.specimens import lookup_by_codes
from separatrix.kernel import judge
from separatrix.kernel.judge import KINDS, WITH_ARB
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks import make_task
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality
from separatrix.tasks.function_composition import FunctionComposition
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.k_hop import KHop
from separatrix.tasks.match2 import Match2
from separatrix.tasks.match3 import Match3
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.tasks.regular import Regular
from separatrix.tasks.relation_composition import RelationComposition
from separatrix.tasks.routing import Routing
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.tasks.sparse_propagation import SparsePropagation
from separatrix.verify.provers import certify
from tasks import tied
from tasks.tied import Neighbours, Tally, TiedLookup

Made = tuple[Certificate, Model | None]
TASKS = (Tally, TiedLookup, Neighbours)  # the cells of these tie positions together: count, distinct, regular


def submit(kind: str, model: Model, task: Task, n: int, semantics: str = "real", **evidence: Any) -> Made:
    """The certificate as it stands."""
    rules = KINDS[kind]
    claim = Claim(task.name, task.parameters(), n, rules.statement, semantics)  # pyright: ignore
    parts = (kind, claim, rules.worth, task.source_sha256(), evidence, {}, model.reference(), rules.trusted)
    return Certificate(*parts), model


def prove(method: str, model: Model, task: Task, n: int, semantics: str = "real") -> Made:
    """What a prover writes."""
    outcome = certify(model, task, n, Semantics.parse(semantics), method)
    assert outcome.certificate is not None, outcome.sentence
    return outcome.certificate, model


def built(name: str, task: Task, n: int) -> tuple[Model, Task, int]:
    """A witness's model."""
    return witnesses.get(name).build(task, n), task, n


def shared(given: Instance) -> tuple[Model, Task, int]:
    """Two heads that share the work of one."""
    made = share_out(given, np.random.default_rng(1), 2)
    return made.model, made.task, made.n


def tied_case(kind: type[Task], method: str, semantics: str = "real") -> Made:
    """The first right model on a task whose cells tie positions together, by two heads or one."""
    for seed in range(400):
        given = tied.instance(seed)
        if type(given.task) is not kind or tied.worst(given.model, given.task, given.n)[0] < 0.05:
            continue
        model, task, n = shared(given) if method == "heads" else (given.model, given.task, given.n)
        outcome = certify(model, task, n, Semantics.parse(semantics), method)
        if outcome.verdict == "proved" and outcome.certificate is not None:
            return outcome.certificate, model
    raise AssertionError("no right model")


def normed() -> tuple[Model, Task, int]:
    """A lookup with a small ReLU layer, and norms within and at the end."""
    model, task, n = built("index-lookup-quadratic", IndexLookup(2), 2)
    layers = (*model.arch.layers, FeedForward(3, norm="pre", residual=True), LayerNorm(1e-2))
    arch = replace(model.arch, layers=layers)  # pyright: ignore
    rng = np.random.default_rng(0)
    t = {name: 0.1 * rng.normal(size=shape) for name, shape in tensor_shapes(arch).items()} | dict(model.tensors)
    t |= {name: np.ones(tensor.shape) for name, tensor in t.items() if name.endswith("scale")}
    t |= {name: np.full((), 1e-2) for name in t if name.endswith("eps")}
    return Model(arch, t), task, n


def errs(layers: tuple, vocabulary: int = 2, blank: bool = False) -> Made:
    """A random transformer on matching pairs, with an input on which it is wrong."""
    arch, rng = Arch(3, Table(vocabulary, 3), layers, Readout(2), blank=blank), np.random.default_rng(5)
    task = Match2(2)
    while True:
        t = {name: rng.normal(size=shape) for name, shape in tensor_shapes(arch).items()}
        t |= {name: np.full((), 1e-2) for name in t if name.endswith("eps")}
        model, tokens = Model(arch, t), rng.integers(0, vocabulary, 3)
        gap = np.diff(evaluate(model, tokens[None], queries=[0])[0, 0])[0] * (2 * task.answer(tokens[None])[0, 0] - 1)
        if gap < -0.01:
            return submit("counterexample", model, task, 3, tokens=tokens.tolist(), query=0)


def recurrent_errs(cell: Any) -> Made:
    """A random recurrent model on equality, with an input on which it is wrong."""
    from models.recurrent_models import random_recurrent

    task, words = Equality(2), np.array([[0, 0, 0, 0], [0, 1, 1, 1]])
    model = random_recurrent((cell,), 0, vocabulary=2, outputs=2)
    logits, labels = evaluate(model, words, queries=[3])[:, 0], task.answer(words)[:, 0]
    wrong = int(logits[0].argmax() == labels[0])
    made, _ = submit("counterexample", model, task, 4, tokens=words[wrong].tolist(), query=3)
    if isinstance(cell, Lstm | Gru):
        made = replace(made, trusted=WITH_ARB)
    return made, model


def prefix_sums(n: int, sharp: float, mixed: bool = False) -> tuple[Model, Task, int]:
    """One-hot positions that sum what stands before (see `test_real_outputs`)."""
    from kernel.test_real_outputs import built as sums

    task = PrefixSums(dim=2) if mixed else PrefixSums()
    return sums(task, n, sharp), task, n


def averaging(name: str, n: int, q: int, method: str) -> Made:
    """A witness of sparse averaging, by one of the four methods."""
    task = SparseAveraging(q=q)
    return submit("pointer-sets", witnesses.get(f"sparse-averaging-{name}").build(task, n), task, n, method=method)


def average_missed(name: str, n: int, q: int) -> Made:
    """A witness whose temperature is too low, and an input where it misses."""
    task = SparseAveraging(q=q, eps=0.1)
    model = witnesses.get(f"sparse-averaging-{name}").build(task, n)
    cold = Model(model.arch, dict(model.tensors) | {"embed.temperature": np.array(1e-9)})
    pointers = [list(range(q)) for _ in range(n)]
    return submit("pointer-counterexample", cold, task, n, tokens=pointers, signs=[1] * q + [-1] * (n - q), query=0)


def propagation_missed() -> Made:
    """A start token that is as loud as a sender."""
    model, task, n = built("sparse-propagation-start", SparsePropagation(2), 4)
    loud = Model(model.arch, dict(model.tensors) | {"embed.blank": model.tensors["embed.blank"] * 2})
    pointers, query = [[0, 1], [2, 3], [1, 2], [1, 3]], 0
    return submit("pointer-counterexample", loud, task, n, tokens=pointers, signs=[1] * 4, query=query)


def program(name: str, n: int) -> Made:
    """A compiled positional program."""
    model = compile_direct(getattr(library, name.replace("-", "_") if name != "sorting" else "sort")(n))
    return submit("positional", model, make_task(name, {}), n)


def program_errs() -> Made:
    """The program for minima, where sums are asked for."""
    ones = [(1.0).hex()] * 3
    model = compile_direct(library.prefix_minima(3))
    return submit("positional-counterexample", model, make_task("prefix-sums", {}), 3, reals=ones, query=2)


def routing_errs() -> Made:
    """Packed words whose destinations count too little for payloads of this scale."""
    program, first = packed_route(2, 1.0)
    words = [float(word).hex() for word in (0, 2.0, 1, -2.0)]
    model = compile_direct(program, first=first)
    return submit("positional-counterexample", model, make_task("routing", {}), 2, reals=words, query=0)


def bound(name: str, task: str, n: int, **parameters: Any) -> Made:
    """A lower bound of the ledger."""
    return bounds.get(name).certificate(make_task(task, parameters), n), None


def deciding() -> Made:
    """A decoding certificate of index lookup."""
    from kernel.test_party_mutations import index

    return index(8), None


def matrix() -> Made:
    """Explicit rows."""
    from separatrix.cannot.engine.matrix import Matrix

    return Matrix.of(make_task("match2", {"modulus": 5}), 4).rows(), None


def joined(sampled: bool) -> Made:
    """Inner product as an XOR of blocks, proved by its gates, or tried on samples."""
    from separatrix.cannot.engine.gadget import gadget_certificate, search

    task = make_task("inner-product", {})
    made = gadget_certificate(task, 6, search(task, 6)[0])
    if not sampled:
        return made, None
    evidence = {name: made.evidence[name] for name in ("query", "join", "value")} | {"samples": 1000}
    rules = KINDS["gadget-sampled"]
    return replace(made, kind="gadget-sampled", evidence=evidence, guarantee=rules.worth, trusted=rules.trusted), None


def birthday() -> Made:
    """256 random words of 40 bits, each told from the others by equality with itself."""
    from separatrix.core.guarantee import statistical

    task, delta = make_task("equality", {}), 1e-9
    claim = Claim(task.name, task.parameters(), 80, "needs", "real", "rnn", "state", (10.0).hex())
    evidence = {"cut": 40, "prefixes": 256, "suffixes": 256, "delta": delta.hex()}
    arrays = {"copy": np.arange(40), "letters": np.arange(2), "base": np.zeros(40, dtype=np.int64)}
    return Certificate("birthday", claim, statistical(delta), task.source_sha256(), evidence, arrays), None


BITS = "bits:5.2,weights:2,scores:4.0,exp:8"


def quantised(kind: str) -> Made:
    """Index lookup by codes in fixed point; with its read-out turned where it is to err."""
    model, task, n = lookup_by_codes(IndexLookup(2), 2), IndexLookup(2), 2
    if kind == "bits-counterexample":
        turned = Model(model.arch, {k: -v if k == "readout.weight" else v for k, v in model.tensors.items()})
        for tokens in ([0, 0, 2], [0, 1, 2], [1, 0, 2], [1, 1, 3]):
            made = submit(kind, turned, task, n, BITS, tokens=tokens, query=2)
            if judge(made[0], turned.arch, turned.tensors).accepted:
                return made
    evidence = {"solver": "exact", "questions": 6, "seed": 0} if kind == "bits-solver" else {}
    return submit(kind, model, task, n, BITS, **evidence)


def chain(name: str, task: Task, n: int, factor: str = "", semantics: str = "real") -> Made:
    """A witness with its contract."""
    model, _, _ = built(name, task, n)
    layers = sum(isinstance(layer, Attention) for layer in model.arch.layers)
    factor = factor or next(name for name, steps in task.factors().items() if len(steps) == layers)
    evidence = {"factor": factor, "noise": (2.0**-20).hex(), "terms": 2**20, "merge": False}
    return submit("contract", model, task, n, semantics, **evidence)


def from_two(method: str, semantics: str = "real") -> Made:
    """A lookup of two heads."""
    model, task, n = built("index-lookup-quadratic", IndexLookup(3), 3)
    return prove(method, *shared(Instance("lookup", model, task, n)), semantics)


CASES: dict[str, Callable[[], Made]] = {
    "separable": lambda: submit("separable", *built("index-lookup-quadratic", IndexLookup(3), 3)),
    "separable fp32": lambda: submit("separable", *built("index-lookup-chirp", IndexLookup(2), 5), "fp32"),
    "separable tree": lambda: submit("separable", *built("index-lookup-quadratic", IndexLookup(2), 4), "bf16,tree"),
    "separable count": lambda: tied_case(Tally, "separable"),
    "separable distinct": lambda: tied_case(TiedLookup, "separable"),
    "separable regular": lambda: tied_case(Neighbours, "separable"),
    "separable count fp32": lambda: tied_case(Tally, "separable", "fp32"),
    "heads": lambda: from_two("heads"),
    "heads cut": lambda: prove("heads", *split_case()),
    "heads fp32": lambda: from_two("heads", "fp32"),
    "heads count": lambda: tied_case(Tally, "heads"),
    "heads distinct": lambda: tied_case(TiedLookup, "heads"),
    "heads regular": lambda: tied_case(Neighbours, "heads"),
    "heads regular fp32": lambda: tied_case(Neighbours, "heads", "fp32"),
    "relu": lambda: prove("relu", *_of(one_cell(123, 2, "none"))),
    "relu fp32": lambda: prove("relu", *_of(one_cell(123, 2, "none")), "fp32"),
    "relu norms": lambda: prove("relu", *normed()),
    "exhaustive": lambda: submit("exhaustive", *built("index-lookup-quadratic", IndexLookup(2), 2)),
    "exhaustive third order": lambda: submit("exhaustive", *built("match3-third-order", Match3(3), 3)),
    "contract equality": lambda: chain("equality-two-layer", Equality(2), 6),
    "contract dyck": lambda: chain("dyck-two-layer", Dyck(1, 2), 6),
    "contract three layers": lambda: chain("dyck-three-layer", Dyck(2, 3), 4),
    "contract k-hop": lambda: chain("k-hop-doubling", KHop(2, 2), 5),
    "contract equality fp16": lambda: chain("equality-two-layer", Equality(2), 6, semantics="fp16"),
    "contract dyck fp32": lambda: chain("dyck-two-layer", Dyck(1, 2), 6, semantics="fp32"),
    "contract three layers tree": lambda: chain("dyck-three-layer", Dyck(2, 3), 4, semantics="float:18,tree"),
    "contract k-hop fp32": lambda: chain("k-hop-doubling", KHop(2, 2), 5, semantics="fp32"),
    "positional sorting": lambda: program("sorting", 4),
    "positional sums": lambda: program("prefix-sums", 4),
    "positional maxima": lambda: program("prefix-maxima", 3),
    "positional routing": lambda: submit("positional", *built("routing-sortnet", Routing(), 4)),
    "positional-counterexample": program_errs,
    "positional-counterexample routing": routing_errs,
    "automaton": lambda: submit("automaton", *built("regular-elman", Regular("0 1, 1 0", "1"), 5)),
    "stored": lambda: submit("stored", *built("index-lookup-store", IndexLookup(2), 4), factor=""),
    "stored flags": lambda: submit("stored", *built("equality-store", Equality(2), 4), factor="mismatch"),
    "tuples": lambda: submit("tuples", *built("match3-third-order", Match3(5), 3)),
    "tuples strassen": lambda: submit("tuples", *built("match3-strassen", Match3(5), 3)),
    "pairs": lambda: submit("pairs", *built("relation-composition-strassen", RelationComposition(), 2)),
    "pairs labels": lambda: submit("pairs", *built("function-composition-strassen", FunctionComposition(2), 2)),
    "counterexample": lambda: errs(
        (Attention(2, 2, 2, mask="causal", residual=True), FeedForward(3), Attention(1, 2, 2))
    ),
    "counterexample norms": lambda: errs((Attention(1, 2, 2, norm="pre"), FeedForward(3, norm="pre"), LayerNorm(1e-3))),
    "counterexample elman": lambda: recurrent_errs(Elman(3)),
    "counterexample ssm": lambda: recurrent_errs(DiagonalSsm(2, 3)),
    "counterexample lstm": lambda: recurrent_errs(Lstm(3)),
    "counterexample gru": lambda: recurrent_errs(Gru(3)),
    "pointer-sets babel": lambda: averaging("onehot", 6, 2, "babel"),
    "pointer-sets exhaustive": lambda: averaging("random", 7, 2, "exhaustive"),
    "pointer-sets trigonometric": lambda: averaging("trigonometric", 7, 2, "exhaustive"),
    "pointer-sets moment": lambda: averaging("moment", 7, 2, "moment"),
    "pointer-sets slots": lambda: averaging("circle", 6, 2, "slots"),
    "pointer-counterexample": lambda: average_missed("random", 7, 2),
    "pointer-counterexample moment": lambda: average_missed("moment", 7, 2),
    "pointer-counterexample senders": propagation_missed,
    "senders": lambda: submit("senders", *built("sparse-propagation-start", SparsePropagation(2), 5)),
    "real-outputs": lambda: submit("real-outputs", *prefix_sums(4, 60.0)),
    "real-outputs vectors": lambda: submit("real-outputs", *prefix_sums(3, 60.0, mixed=True)),
    "real-counterexample": lambda: prove("real-outputs", *prefix_sums(4, 3.0)),
    "communication": matrix,
    "coordinates": lambda: bound("index-lookup-recurrent", "index-lookup", 5, symbols=4),
    "swap-rows": lambda: bound("sparse-averaging-recurrent-levels", "sparse-averaging", 5, q=1, eps=0.5),
    "pointer-rows": lambda: bound("sparse-averaging-one-layer", "sparse-averaging", 6, q=2, eps=0.4),
    "first-layer-rank": lambda: bound("sparse-averaging-feed-forward", "sparse-averaging", 6, q=2, dim=2, eps=0.3),
    "boxes": lambda: bound("nearest-neighbour-recurrent", "nearest-neighbour", 2, dim=2, labels=2),
    "decoding": deciding,
    "gadget": lambda: joined(False),
    "gadget-sampled": lambda: joined(True),
    "birthday": birthday,
    "reading": lambda: bound("greater-than-recurrent", "greater-than", 6),
    "lists": lambda: bound("maximum-subarray-recurrent", "maximum-subarray", 6, eps=0.1),
    "lists order": lambda: bound("sorting-recurrent", "sorting", 5, eps=0.3),
    "bits-exhaustive": lambda: quantised("bits-exhaustive"),
    "bits-counterexample": lambda: quantised("bits-counterexample"),
    "bits-solver": lambda: quantised("bits-solver"),
}


def _of(given: Any) -> tuple[Model, Task, int]:
    return given.model, given.task, given.n
