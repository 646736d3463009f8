"""Train a small transformer on index lookup, then prove it right on every input, or meet the input where it is wrong.

    python examples/train_and_prove.py                 600 steps: proved right on all 64 * 4^64 inputs
    python examples/train_and_prove.py --stop-early    stops once no random input fails: refuted all the same

One layer, one head, no feed-forward part. Both models answer 100,000 random inputs right. In a random input the symbols
that should not count cancel each other, however much attention they get; in the worst input they all agree.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.learn import Trained, accuracy, one_layer, train
from separatrix.models import evaluate
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import Outcome, certify

WIDTH, LEARNING_RATE = 64, 3e-3
RANDOM_INPUTS = 100_000


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: proved; 1: refuted; 2: unusable arguments; 3: undecided."""
    parser = argparse.ArgumentParser(description="train on index lookup, then prove or refute")
    parser.add_argument("--n", type=int, default=64, help="length N (64)")
    parser.add_argument("--symbols", type=int, default=4, help="size of the alphabet (4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--stop-early", action="store_true", help="stop once random inputs no longer fail")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", type=Path, default=Path("separatrix-out/train-and-prove"), metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def run(options: argparse.Namespace) -> int:
    """Trains, measures, saves, decides; prints as it goes."""
    task, n = IndexLookup(options.symbols), options.n
    trained = train(
        task,
        n,
        one_layer(task, n, WIDTH),
        seed=options.seed,
        steps=options.steps,
        learning_rate=LEARNING_RATE,
        patience=3 if options.stop_early else 0,
        check_every=10,
        device=options.device,
    )
    print(f"trained {trained.steps} steps in {trained.seconds:.1f} s, last loss {trained.losses[-1]:.2g}")
    trained.model.save(options.o)
    print(f"saved as {options.o}")
    share = accuracy(trained.model, task, n, RANDOM_INPUTS, child(options.seed, "random inputs"))
    start = time.perf_counter()
    outcome = certify(trained.model, task, n)
    print(sentence(task, n, trained, share, outcome, time.perf_counter() - start))
    return {"proved": 0, "refuted": 1, "unknown": 3}[outcome.verdict]


def sentence(task: IndexLookup, n: int, trained: Trained, share: float, outcome: Outcome, seconds: float) -> str:
    """The result; a counterexample, token by token, comes with the model's answer and the right one."""
    right = round(share * RANDOM_INPUTS)
    accuracy = f"accuracy {share:.3f}" if right in (0, RANDOM_INPUTS) else f"accuracy {share:.5f}"
    measured = f"({right:,} of {RANDOM_INPUTS:,} random inputs are answered right)"
    if outcome.verdict == "proved":
        return f"{accuracy}, proved right on all {n} * {task.symbols}^{n} inputs in {seconds:.1f} s {measured}"
    if outcome.counterexample is None:
        return f"{accuracy}, not decided: {outcome.sentence} {measured}"
    tokens, query = outcome.counterexample
    said = int(evaluate(trained.model, tokens[None], queries=[query]).argmax())
    label = int(task.answer(tokens[None])[0, 0])
    shown = f"{task.show(tokens)}\nthe model answers {said}, right is {label} {measured}"
    return f"{accuracy}, refuted by this input: {shown}"


if __name__ == "__main__":
    sys.exit(main())
