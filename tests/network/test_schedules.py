"""Learning rates: each schedule against numbers worked by hand, and on the way into the core."""

import dataclasses
import math

import numpy as np
import pytest

from cbackprop import History, Network, callbacks, schedules
from cbackprop.core import _runtime
from cbackprop.schedules import (
    Constant,
    Cosine,
    Exponential,
    HalveOnStall,
    InverseTime,
    OneCycle,
    ReduceOnPlateau,
    Step,
)

SIZES = [5, 4, 3]


def data(n=23):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 5)), rng.integers(0, 3, n)


def network(**settings):
    return Network(SIZES, **{"seed": 0, "dtype": "float64"} | settings)


def parameters(net):
    return np.concatenate([np.ravel(p) for p in (*net.weights, *net.biases)])


R2 = math.sqrt(2)
BY_HAND = {
    "constant": (Constant(0.5), {0: 0.5, 10**6: 0.5}),
    "step": (Step(8.0, every=3, factor=0.25), {0: 8, 2: 8, 3: 2, 5: 2, 6: 0.5, 9: 0.125}),
    "exponential": (Exponential(8.0, every=2, factor=0.25), {0: 8, 1: 4, 2: 2, 3: 1, 4: 0.5}),
    "inverse time": (InverseTime(6.0, decay=0.5), {0: 6, 1: 4, 2: 3, 4: 2, 10: 1}),
    "no decay": (InverseTime(6.0, decay=0), {0: 6, 100: 6}),
    # cos 45 degrees = 1 / sqrt(2): (1 + 1 / sqrt(2)) / 2 of the way is left after a quarter
    "cosine": (Cosine(4.0, steps=8), {0: 4, 2: 2 + R2, 4: 2, 6: 2 - R2, 8: 0, 9: 0}),
    "cosine, not to 0": (Cosine(4.0, steps=8, end=0.5), {0: 4, 4: 3, 8: 2, 100: 2}),
    "cosine after a warm-up": (Cosine(4.0, steps=12, warmup=4),
                               {0: 1, 1: 2, 2: 3, 3: 4, 4: 4, 6: 2 + R2, 8: 2, 12: 0}),
    "one cycle": (OneCycle(8.0, steps=20, rise=0.4, start=0.25, end=0.0),
                  {0: 2, 2: 5 - 3 / R2, 4: 5, 8: 8, 11: 4 + 4 / R2, 14: 4, 20: 0, 99: 0}),
    "only down": (OneCycle(8.0, steps=4, rise=0, end=0.5), {0: 8, 2: 6, 4: 4}),
    "only up": (OneCycle(8.0, steps=4, rise=1, start=0.5), {0: 4, 2: 6}),
    "plateau, before any": (ReduceOnPlateau(0.5), {0: 0.5, 9: 0.5}),
    "halving, before any": (HalveOnStall(0.5), {0: 0.5, 9: 0.5}),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    schedule, rates = BY_HAND[name]
    for step, rate in rates.items():
        assert float(schedule.rate(step)) == pytest.approx(rate, rel=1e-14, abs=1e-14)
    steps = list(rates)
    together = schedules.rates(schedule, 0, max(steps[:-1]) + 1)
    assert together[steps[:-1]] == pytest.approx([rates[s] for s in steps[:-1]], abs=1e-14)


def test_one_cycle_beside_pytorchs():
    torch = pytest.importorskip("torch")
    steps = 101
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2.0, total_steps=steps)
    rates = []
    for _ in range(steps - 1):
        rates.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    rates.append(theirs.get_last_lr()[0])
    own = OneCycle(2.0, steps - 1, rise=(0.3 * steps - 1) / (steps - 1))
    np.testing.assert_allclose(own.rate(np.arange(steps)), rates, rtol=1e-12)


def history(**entries):
    return History(**entries, recorded=tuple(entries))


@pytest.mark.parametrize(("values", "rate"), [
    ([], 1), ([5], 1), ([5, 5], 1), ([5, 5, 5], 0.1), ([5, 4, 4, 4], 0.1), ([5, 4, 4, 3], 1),
    ([5, 6, 7, 8, 9], 0.01),            # two and two that are worse than the first
    ([5, 6, 7, 4, 4], 0.1),             # the best resets the patience, not the rate
    ([5, 6, 7, 6, 7, 6, 7], 0.05),      # never below a twentieth
    ([5, math.nan, math.nan], 0.1),
])
def test_plateau(values, rate):
    schedule = ReduceOnPlateau(1.0, patience=2, end=0.05)
    expected = max(rate, 0.05)
    assert schedule.watch(history(cost=values)).rate(7) == pytest.approx(expected)


def test_plateau_of_what_should_rise():
    schedule = ReduceOnPlateau(1.0, "accuracy", factor=0.5, patience=1, min_delta=0.1)
    assert schedule.watch(history(accuracy=[0.5, 0.7, 0.9])).rate(0) == 1
    assert schedule.watch(history(accuracy=[0.5, 0.55, 0.7])).rate(0) == 0.5


def test_halving():
    schedule = HalveOnStall(8.0, patience=2, stop=1 / 8)
    stalled = [0.5, 0.6, 0.6, 0.5, 0.6, 0.4, 0.7, 0.1]
    rates = [schedule.watch(history(accuracy=stalled[:n])).rate(0) for n in range(9)]
    assert rates == [8, 8, 8, 8, 4, 4, 2, 2, 2]
    with pytest.raises(callbacks.StopTraining, match=r"^eta has fallen to 0\.125 of 8$"):
        schedule.watch(history(accuracy=[*stalled, 0.2]))


def test_halving_in_training():
    x, y = data()
    net = network()
    net.weights = [w * 0 for w in net.weights]
    seen = net.SGD((x, y), 100, 5, HalveOnStall(1e-9, patience=3), (x, y))  # too small to matter
    # One epoch is the best, then three stall for each halving; the seventh is the last.
    assert len(seen) == 1 + 3 * 7
    assert seen.eta == [1e-9] * 4 + [1e-9 / 2**k for k in range(1, 7) for _ in range(3)]
    assert len(net.SGD((x, y), 2, 5, HalveOnStall(1e-9, patience=3), (x, y))) == 2


def test_one_object_serves_many_trainings():
    x, y = data()
    schedule = HalveOnStall(1e-9, patience=3)
    etas = [network().SGD((x, y), 9, 5, schedule, (x, y)).eta for _ in range(2)]
    assert etas[0] == etas[1]
    assert min(etas[0]) < 1e-9


def test_schedules_are_frozen_values():
    assert Step(1, every=np.int64(3)) == Step(1.0, every=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Step(1.0, every=3).every = 4


# ---- in training ----


def test_every_mini_batch_has_its_rate():
    """Rate zero for all but one mini-batch, against that mini-batch alone."""
    x, y = data(23)
    for only in (0, 3, 4, 5, 9):
        net, twin = network(), network()
        orders = []
        net.SGD((x, y), 2, 5, lambda step, only=only: 0.5 * (step == only))
        for _ in range(2):
            seed = twin.engine.random.integers(2**64, dtype=np.uint64)
            orders.append(_runtime.random_order(23, seed))
        first = only % 5 * 5
        batch = orders[only // 5][first:first + 5]
        twin.update_mini_batch((x[batch], y[batch]), 0.5)
        np.testing.assert_allclose(parameters(net), parameters(twin), rtol=1e-13)


def test_a_number_a_constant_and_a_callable_are_the_same():
    nets = [network() for _ in range(4)]
    for net, eta in zip(nets, [0.5, np.array(0.5), Constant(0.5), lambda step: 0.5], strict=True):
        net.SGD(data(), 3, 5, eta)
    assert all(np.array_equal(parameters(net), parameters(nets[0])) for net in nets)


def test_a_callable_hears_every_step_once():
    steps = []
    network().SGD(data(23), 3, 5, lambda step: steps.append(step) or 0.5)
    assert steps == list(range(15))
    assert all(type(step) is int for step in steps)


def test_eta_is_recorded():
    seen = network().SGD(data(20), 3, 5, lambda step: step / 100)
    assert seen.eta == [0.03, 0.07, 0.11]


def test_a_callable_may_stop_the_training():
    def rate(step):
        if step == 8:
            raise callbacks.StopTraining
        return 0.5

    net, twin = network(), network()
    assert len(net.SGD(data(20), 9, 5, rate)) == 2  # before the epoch of which step 8 is the first
    twin.SGD(data(20), 2, 5, 0.5)
    assert np.array_equal(parameters(net), parameters(twin))


# ---- bad values ----


@pytest.mark.parametrize(("make", "error", "rule"), [
    (lambda: Step(-1.0, every=3), ValueError, "^eta must be a number of at least 0, got -1.0$"),
    (lambda: Step("1", every=3), TypeError, "^eta must be a number of at least 0, got '1'$"),
    (lambda: Step(math.nan, every=3), ValueError, "^eta must be a number of at least 0, got nan$"),
    (lambda: Step(1.0, every=0), ValueError, "^every must be an integer of at least 1, got 0$"),
    (lambda: Step(1.0, every=2.0), TypeError, r"^every must be an integer of at least 1, got 2\.0"),
    (lambda: Step(1.0, 3, factor=0), ValueError, "^factor must be a number above 0 and .*, got 0$"),
    (lambda: Exponential(1.0, 3, 1.5), ValueError, "^factor must be a number above 0"),
    (lambda: InverseTime(1.0, -0.5), ValueError, "^decay must be a number of at least 0, got -0."),
    (lambda: Cosine(1.0, 0), ValueError, "^steps must be an integer of at least 1, got 0$"),
    (lambda: Cosine(1.0, 5, 5), ValueError, "^warmup must be shorter than the 5 steps, got 5$"),
    (lambda: Cosine(1.0, 5, -1), ValueError, "^warmup must be an integer of at least 0, got -1$"),
    (lambda: Cosine(1.0, 5, end=2), ValueError, "^end must be a number .*, got 2$"),
    (lambda: OneCycle(1.0, 5, rise=None), TypeError, "^rise must be a number .*, got None$"),
    (lambda: OneCycle(1.0, 5, start=25), ValueError, "^start must be a number .*, got 25$"),
    (lambda: ReduceOnPlateau(1.0, "loss"), ValueError, r"^watched must be an entry of .*, got 'lo"),
    (lambda: ReduceOnPlateau(1.0, patience=0), ValueError, "^patience must be an integer of at le"),
    (lambda: ReduceOnPlateau(1.0, min_delta=-1), ValueError, "^min_delta must be a number of"),
    (lambda: HalveOnStall(1.0, stop=2), ValueError, "^stop must be a number .*, got 2$"),
])
def test_bad_schedules(make, error, rule):
    with pytest.raises(error, match=rule) as raised:
        make()
    assert "\n" not in str(raised.value)


class Wrong(schedules.Schedule):
    def rate(self, step):
        return np.ones(3)


@pytest.mark.parametrize(("eta", "error", "rule"), [
    (lambda step: -1, ValueError, "^eta at step 0 must be a number of at least 0, got -1$"),
    (lambda step: math.nan if step == 3 else 0.5, ValueError, r"^eta at step 3 must be .*nan$"),
    (lambda step: "fast", TypeError, "^eta at step 0 must be a number of at least 0, got 'fast'$"),
    (lambda step: None, TypeError, "^eta at step 0 must be a number of at least 0, got None$"),
    (lambda: 0.5, TypeError, r"^eta must be callable as \(step\), got <function"),
    (ReduceOnPlateau(0.5, "accuracy"), ValueError, r"must be one of \['eta', 'cost', .*'accuracy'"),
    (HalveOnStall(0.5), ValueError, r"must be one of \['eta', 'cost', .*\], got 'accuracy'; te"),
    (Wrong(1.0), ValueError, r"^rate must return a number, or 4 for 4 steps, got shape \(3,\)$"),
])
def test_bad_rates_change_nothing(eta, error, rule):
    net, twin = network(), network()
    with pytest.raises(error, match=rule) as raised:
        net.SGD(data(20), 2, 5, eta)
    assert "\n" not in str(raised.value)
    assert np.array_equal(parameters(net), parameters(twin))
    assert net.SGD(data(), 1, 5, 0.5).cost == twin.SGD(data(), 1, 5, 0.5).cost  # and the same order


def test_a_bad_rate_of_a_later_epoch():
    net, twin = network(), network()
    with pytest.raises(ValueError, match=r"^eta at step 5 must be"):
        net.SGD(data(20), 9, 5, lambda step: 0.5 if step < 5 else -0.5)
    twin.SGD(data(20), 1, 5, 0.5)
    assert np.array_equal(parameters(net), parameters(twin))
