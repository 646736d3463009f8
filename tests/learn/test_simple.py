"""Training: deterministic, able to learn what it should, and refusing what it cannot use."""

import subprocess
import sys

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.learn import Trained, accuracy, initialise, one_layer, train
from separatrix.learn.simple import schedule
from separatrix.tasks import make_task
from separatrix.verify.provers import certify

TINY = make_task("index-lookup", {"symbols": 2})
FEW = {"steps": 20, "learning_rate": 1e-2, "batch": 32}


def tiny(seed: int = 0, **changes) -> Trained:
    return train(TINY, 4, one_layer(TINY, 4, 8), **{"seed": seed, **FEW, **changes})


def test_same_seed_same_losses_and_weights():
    first, second, other = tiny(), tiny(), tiny(seed=1)
    assert np.array_equal(first.losses, second.losses)
    assert all(np.array_equal(t, second.model.tensors[name]) for name, t in first.model.tensors.items())
    assert not np.array_equal(first.losses, other.losses)
    assert len(first.losses) == first.steps == 20


def test_checks_do_not_change_the_run():
    assert np.array_equal(tiny(check_every=1).losses, tiny(check_every=20).losses)


def test_global_state_is_left_alone():
    import torch

    torch.manual_seed(3)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    tiny(threads=3)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


def test_tiny_lookup_is_learned_and_proved():
    trained = tiny(steps=400, batch=128)
    assert trained.accuracy == 1.0 and trained.losses[-1] < 1e-2 < trained.losses[0]
    assert certify(trained.model, TINY, 4, method="separable").verdict == "proved"
    assert accuracy(trained.model, TINY, 4, 5000, child(0, "more")) == 1.0


def test_untrained_model_is_refuted():
    outcome = certify(initialise(one_layer(TINY, 4, 8), child(0, "weights")), TINY, 4)
    assert outcome.verdict == "refuted"


def test_patience_ends_the_run():
    seen = []
    trained = tiny(steps=400, batch=128, patience=3, check_every=10, progress=lambda *check: seen.append(check))
    assert trained.steps < 400 and trained.steps == seen[-1][0] == len(trained.losses)
    assert [right for _, _, right in seen[-3:]] == [1.0] * 3 and seen[-4][2] < 1.0


def test_sparse_averaging_loses_error():
    task = make_task("sparse-averaging", {"q": 2})
    trained = train(task, 6, one_layer(task, 6, 17), seed=0, steps=400, learning_rate=1e-2, batch=128)
    assert trained.losses[-20:].mean() < 0.1 * trained.losses[:5].mean()


def test_every_position_is_scored():
    task = make_task("match2", {"modulus": 5})
    arch = one_layer(task, 3, 16, heads=2, residual=True, blank=True)
    trained = train(task, 3, arch, seed=0, distribution="sparse", **FEW)
    assert np.isfinite(trained.losses).all() and 0.0 < trained.accuracy <= 1.0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"batch": 0}, "batch = 0"),
        ({"learning_rate": 0.0}, "learning rate = 0.0"),
        ({"learning_rate": float("nan")}, "learning rate = nan"),
        ({"learning_rate": 1e20}, "learning rate 1e\\+20 is too large"),
        ({"patience": -1}, "patience = -1"),
        ({"threads": 0}, "threads = 0"),
        ({"check_every": 0}, "check_every = 0"),
        ({"distribution": "none-such"}, "none-such"),
        ({"device": "none-such"}, "none-such"),
    ],
)
def test_bad_arguments(changes, named):
    with pytest.raises(InputError, match=named):
        tiny(**changes)


def test_architecture_of_another_task_is_refused():
    averaging = make_task("sparse-averaging", {"q": 2})
    for arch in (
        one_layer(averaging, 6, 17),
        one_layer(TINY, 3, 8),
        one_layer(make_task("match2", {"modulus": 5}), 5, 8),
    ):
        with pytest.raises(InputError, match="first map"):
            train(TINY, 4, arch, seed=0, **FEW)
    with pytest.raises(InputError, match="first map"):
        train(averaging, 6, one_layer(TINY, 6, 8), seed=0, **FEW)
    four = one_layer(make_task("index-lookup", {"symbols": 4}), 4, 8)  # vocabulary large enough, too many answers
    with pytest.raises(InputError, match="2 outputs by argmax"):
        train(TINY, 4, four, seed=0, **FEW)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_width_of_pointer_models(width):
    with pytest.raises(InputError, match="width"):
        one_layer(make_task("sparse-averaging", {"q": 2}), 6, width)


def test_more_heads_than_dimensions():
    with pytest.raises(InputError, match="heads = 3"):
        one_layer(TINY, 4, 2, heads=3)


def test_schedule_rises_then_falls_to_zero():
    rates = [schedule(step, 1000) for step in range(1, 1001)]
    assert max(rates) == rates[49] == 1.0 and rates[-1] == 0.0
    assert rates[:50] == sorted(rates[:50]) and rates[49:] == sorted(rates[49:], reverse=True)
    assert schedule(1, 1) == 1.0


def test_importing_learn_leaves_torch_out():
    check = "import separatrix.learn, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
