"""What ends training early, and what runs at the same time: Ctrl-C, divergence, threads."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cbackprop import DivergenceError, Network

PATIENCE = 0.2  # seconds from Ctrl-C to the exception
ATTEMPTS = 4  # the machine may be busy


def parameters(net):
    return np.concatenate([np.ravel(p) for p in (*net.weights, *net.biases)])


def data(n, sizes, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, sizes[0])).astype(np.float32), rng.integers(0, sizes[-1], n)


# ---- Ctrl-C ----

# Each case is the part of a program that makes `net`, `x`, `y` and `work`, which does not end.
INTERRUPTED = {
    "many tiny mini-batches": """
net = Network([8, 16, 16, 2], seed=0)
x, y = rng.standard_normal((200_000, 8)), rng.integers(0, 2, 200_000)
def work():
    net.SGD((x, y), 10**6, 1, 0.1)
""",
    "the book's network": """
net = Network([784, 30, 10], seed=0, input_scale=1 / 255)
x, y = rng.integers(0, 256, (10_000, 784), np.uint8), rng.integers(0, 10, 10_000)
def work():
    net.SGD((x, y), 10**6, 10, 0.1)
""",
    "a big network": """
net = Network([784, 2048, 2048, 10], seed=0)
x, y = rng.standard_normal((1024, 784), np.float32), rng.integers(0, 10, 1024)
def work():
    net.SGD((x, y), 10**6, 256, 0.01)
""",
    "one giant mini-batch": """
net = Network([256, 512, 10], seed=0)
x, y = rng.standard_normal((20_000, 256), np.float32), rng.integers(0, 10, 20_000)
def work():
    net.SGD((x, y), 10**6, 20_000, 0.1)
""",
    "giant mini-batches by hand": """
net = Network([256, 512, 10], seed=0)
x, y = rng.standard_normal((20_000, 256), np.float32), rng.integers(0, 10, 20_000)
def work():
    while True:
        net.update_mini_batch((x, y), 0.1)
""",
    "one giant mini-batch of a small network": """
net = Network([8, 64, 64, 64, 8], seed=0)
x, y = np.zeros((4_000_000, 8), np.uint8), np.zeros(4_000_000, np.intc)
def work():
    net.SGD((x, y), 10**6, len(x), 0.1)
""",
    "evaluation after an epoch": """
net = Network([8, 64, 64, 64, 8], seed=0)
x, y = np.zeros((4_000_000, 8), np.uint8), np.zeros(4_000_000, np.intc)
def work():
    net.SGD((x[:100], y[:100]), 10**6, 10, 0.1, (x, y))
""",
    "feedforward of many rows": """
net = Network([8, 64, 64, 64, 8], seed=0)
x, y = np.zeros((4_000_000, 8), np.uint8), np.zeros(4_000_000, np.intc)
def work():
    while True:
        net.feedforward(x)
""",
    "zeros collected": """
net = Network([400, 10], seed=0)
x, y = np.zeros((600_000, 400), np.uint8), np.zeros(600_000, np.intc)
x[:, ::7] = 1
def work():
    while True:
        net.engine.build.Rows(x, True)
""",
    "an order of many": """
net = Network([8, 2], seed=0)
x, y = rng.random((300, 8)), rng.integers(0, 2, 300)
def work():
    _runtime.random_order(10**8, 1)
""",
    "wide layers": """
net = Network([10, 4096, 4096, 10], seed=0)
x, y = rng.random((4096, 10), np.float32), rng.integers(0, 10, 4096)
def work():
    while True:
        net.feedforward(x)
""",
    "backprop of many rows": """
net = Network([256, 512, 10], seed=0)
x, y = rng.standard_normal((20_000, 256), np.float32), rng.integers(0, 10, 20_000)
def work():
    while True:
        net.backprop(x, y)
""",
}

TEAM = """
from cbackprop import thread_choice
thread_choice.ThreadTuner.threads = lambda tuner, asked: 2
thread_choice.for_reading = lambda asked, multiplications: 2
"""

AROUND = """
import json, signal, threading, time
import numpy as np
from cbackprop import Network
from cbackprop.core import _runtime
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs us behind
rng = np.random.default_rng(0)
{case}
print("ready", flush=True)
try:
    work()
except KeyboardInterrupt:
    caught = time.monotonic()
finite = all(bool(np.isfinite(p).all()) for p in (*net.weights, *net.biases))
history = net.SGD((x[:300], y[:300]), 1, 10, 0.01)
after = all(bool(np.isfinite(p).all()) for p in (*net.weights, *net.biases))
print(json.dumps(dict(caught=caught, finite=finite, cost=history.cost, after=after,
                      threads=threading.active_count())))
"""


def interrupt(program, delay):
    """Run a program, press Ctrl-C `delay` seconds after it is ready; its answer, and how long."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout.readline() == "ready\n", run.stderr.read()
            time.sleep(delay)
            pressed = time.monotonic()
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 0, err
    answer = json.loads(out)
    return answer, answer["caught"] - pressed


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process")
@pytest.mark.parametrize(("case", "team"), [
    *((case, "") for case in INTERRUPTED),
    *(pytest.param(case, TEAM, id=f"{case}, in a team") for case in (
        "many tiny mini-batches", "a big network", "one giant mini-batch",
        "feedforward of many rows"))])
def test_ctrl_c(case, team):
    seconds = []
    for attempt in range(ATTEMPTS):
        answer, took = interrupt(
            AROUND.format(case=INTERRUPTED[case] + team), 0.35 + 0.13 * attempt)
        assert answer["threads"] == 1
        assert answer["finite"]
        assert answer["after"]
        assert np.isfinite(answer["cost"]).all()
        seconds.append(took)
        if took < PATIENCE:
            return
    pytest.fail(f"Ctrl-C took {seconds} seconds")


def alarm(seconds):
    """Have this thread interrupted, once."""
    def handler(*_):
        raise KeyboardInterrupt
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    return before


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("seconds", [0.05, 0.11, 0.16, 0.23])
@pytest.mark.parametrize(("sizes", "n"), [([256, 512, 10], 6000), ([512, 1024, 1024, 10], 512)])
def test_an_interrupted_mini_batch_is_done_whole_or_not_at_all(sizes, n, seconds):
    training_data = data(n, sizes)
    net, twin, done = Network(sizes, seed=0), Network(sizes, seed=0), []
    before = alarm(seconds)
    try:
        with pytest.raises(KeyboardInterrupt):
            net.SGD(training_data, 10**6, n, 0.1, progress=lambda *report: done.append(report))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    same = []
    for _ in range(len(done) + 1):  # the last step may not have been reported yet
        same.append(np.array_equal(parameters(net), parameters(twin)))
        twin.SGD(training_data, 1, n, 0.1)
    same.append(np.array_equal(parameters(net), parameters(twin)))
    assert any(same[-2:])
    net.SGD(training_data, 1, n, 0.1)
    assert np.isfinite(parameters(net)).all()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_a_handler_that_does_not_raise_changes_nothing():
    sizes, n = [256, 512, 10], 3000
    net, twin, calls = Network(sizes, seed=0), Network(sizes, seed=0), []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        net.SGD(data(n, sizes), 8, n, 0.1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    twin.SGD(data(n, sizes), 8, n, 0.1)
    assert len(calls) > 1
    assert np.array_equal(parameters(net), parameters(twin))


# ---- divergence ----


def diverge(net, training_data, mini_batch_size, eta):
    """Train until it diverges; the error, and the parameters after each epoch."""
    states = [parameters(net)]
    with pytest.raises(DivergenceError) as raised:
        net.SGD(training_data, 10_000, mini_batch_size, eta,
                callbacks=[lambda net, _: states.append(parameters(net))])
    return raised.value, states


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("activation", "n", "mini_batch_size", "eta"), [
    ("identity", 8, 8, 20.0),
    ("identity", 40, 10, 1e3),
    ("identity", 1200, 1200, 100.0),
    ("identity", 1200, 5, 1e30),
    ("identity", 3, 1, 1e308),
    ("relu", 8, 8, 1e300),
    ("relu", 1200, 5, 1e300),
    ("relu", 1200, 1200, 1e300),
])
def test_divergence_keeps_the_parameters_from_before(activation, n, mini_batch_size, eta, dtype):
    sizes = [4, 3]
    net = Network(sizes, activation=activation, dtype=dtype, seed=0)
    x, y = data(n, sizes)
    error, states = diverge(net, (abs(x), np.eye(3)[y] * 10), mini_batch_size, eta)
    epoch = len(states)  # the first is 1
    assert re.search(rf"\bepoch {epoch}\b", str(error))
    assert f"eta = {eta:g}" in str(error)
    assert "\n" not in str(error)
    assert np.array_equal(parameters(net), states[-1])
    assert np.isfinite(parameters(net)).all()


def test_divergence_in_a_later_epoch():
    net = Network([4, 3], activation="identity", seed=0)
    _, states = diverge(net, data(8, [4, 3]), 8, 20.0)
    assert len(states) > 3
    assert all(np.isfinite(state).all() for state in states)


def test_a_network_is_usable_after_divergence():
    sizes = [4, 5, 3]
    net = Network(sizes, activation="identity", seed=0)
    training_data = data(60, sizes)
    start = parameters(net)
    with pytest.raises(DivergenceError):
        net.SGD(training_data, 3, 10, 1e6)
    assert np.array_equal(parameters(net), start)
    history = net.SGD(training_data, 20, 10, 0.05)
    assert history.cost[-1] < history.cost[0]


def test_divergence_is_a_floating_point_error():
    assert issubclass(DivergenceError, FloatingPointError)
    assert DivergenceError.__module__.split(".")[0] == "cbackprop"


def test_infinite_parameters_are_not_trained():
    net = Network([4, 3], seed=0)
    net.weights[0][1, 2] = np.inf
    before = parameters(net)
    with pytest.raises(DivergenceError, match="epoch 1:"):
        net.SGD(data(8, [4, 3]), 1, 8, 0.1)
    assert np.array_equal(parameters(net), before)


def test_a_cost_beyond_the_numbers_is_divergence():
    net = Network([4, 3], activation="identity", seed=0)
    net.weights = [np.full((3, 4), 1e25)]  # itself finite, also after a small step
    before = parameters(net)
    with pytest.raises(DivergenceError, match="epoch 1:"):
        net.SGD(data(8, [4, 3]), 1, 8, 1e-20)
    assert np.array_equal(parameters(net), before)


def test_saturated_neurons_do_not_diverge():
    sizes = [4, 5, 3]
    for cost in ("quadratic", "cross_entropy", "log_likelihood"):
        net = Network(sizes, cost=cost, seed=0)
        x, y = data(50, sizes)
        with pytest.warns(UserWarning, match="x of training_data is far from unit scale"):
            net.SGD((x * 1e4, y), 3, 10, 100.0)
        assert np.isfinite(parameters(net)).all()


# ---- threads ----


def test_feedforward_in_four_threads():
    sizes = [64, 128, 10]
    net = Network(sizes, seed=0)
    inputs = [data(n, sizes, seed)[0] for seed, n in enumerate((700, 1, 513, 2000))]
    serial = [net.feedforward(x) for x in inputs]
    start = threading.Barrier(4)

    def work(i):
        start.wait(30)
        return all(np.array_equal(net.feedforward(inputs[i]), serial[i]) for _ in range(60))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, range(4))) == [True] * 4


def test_backprop_and_evaluate_in_threads():
    sizes = [64, 128, 10]
    net = Network(sizes, seed=0)
    sets = [data(n, sizes, seed) for seed, n in enumerate((600, 3, 900))]
    serial = [(net.evaluate(one), net.total_cost(one)) for one in sets]
    start = threading.Barrier(3)

    def work(i):
        start.wait(30)
        return {(net.evaluate(sets[i]), net.total_cost(sets[i])) for _ in range(40)}

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(work, range(3))) == [{one} for one in serial]


def test_two_networks_train_in_two_threads():
    sizes = [64, 100, 10]
    training_data = data(3000, sizes)
    nets = [Network(sizes, seed=seed) for seed in (1, 2)]
    twins = [net.copy() for net in nets]
    start = threading.Barrier(2)

    def work(net):
        start.wait(30)
        return net.SGD(training_data, 4, 10, 0.5).cost

    with ThreadPoolExecutor(2) as threads:
        costs = list(threads.map(work, nets))
    for net, twin, cost in zip(nets, twins, costs, strict=True):
        assert twin.SGD(training_data, 4, 10, 0.5).cost == cost
        assert np.array_equal(parameters(net), parameters(twin))


@pytest.mark.parametrize("second", [
    lambda net, pair: net.SGD(pair, 1, 10, 0.5),
    lambda net, pair: net.update_mini_batch(pair, 0.5),
])
def test_one_network_is_trained_by_one_thread(second):
    sizes = [64, 100, 10]
    training_data = data(3000, sizes)
    net, twin = Network(sizes, seed=0), Network(sizes, seed=0)
    running, refused = threading.Event(), threading.Event()

    def hold(*_):
        running.set()
        assert refused.wait(30)

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(net.SGD, training_data, 2, 10, 0.5, progress=hold)
        assert running.wait(30)
        with pytest.raises(RuntimeError, match="trained by another thread"):
            second(net, training_data)
        assert net.feedforward(training_data[0]).shape == (3000, 10)  # looking is allowed
        assert 0 <= net.evaluate(training_data) <= 3000
        refused.set()
        cost = first.result(30).cost
    assert twin.SGD(training_data, 2, 10, 0.5).cost == cost
    assert np.array_equal(parameters(net), parameters(twin))
    second(net, training_data)


def test_looking_while_another_thread_trains():
    sizes = [64, 100, 10]
    training_data = data(3000, sizes)
    net, twin = Network(sizes, seed=0), Network(sizes, seed=0)
    with ThreadPoolExecutor(1) as threads:
        training = threads.submit(net.SGD, training_data, 10, 10, 0.5)
        while not training.done():
            assert np.isfinite(net.feedforward(training_data[0][:700])).all()
            net.accuracy((training_data[0][:100], training_data[1][:100]))
        cost = training.result().cost
    assert twin.SGD(training_data, 10, 10, 0.5).cost == cost


def test_training_lets_other_threads_run():
    sizes = [256, 512, 10]
    training_data = data(20_000, sizes)
    net, ticks = Network(sizes, seed=0), []
    with ThreadPoolExecutor(1) as threads:
        training = threads.submit(net.SGD, training_data, 1, 20_000, 0.1)  # one long call
        while not training.done():
            ticks.append(time.perf_counter())
            time.sleep(0.002)
        training.result()
    assert len(ticks) > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_trains_the_same():
    sizes = [20, 9, 4]
    training_data = data(300, sizes)
    net = Network(sizes, seed=0)
    net.SGD(training_data, 1, 10, 0.5)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, json.dumps(net.SGD(training_data, 2, 10, 0.5).cost).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        costs = json.loads(answer.read())
    os.waitpid(child, 0)
    assert costs == net.SGD(training_data, 2, 10, 0.5).cost


FORKED_ENSEMBLE = """
import os, signal
import numpy as np
from cbackprop import Ensemble, Network
x, y = np.random.default_rng(0).random((50, 4)), np.arange(50) % 3
ensemble = Ensemble([Network([4, 3], seed=seed) for seed in range(40)])
use()
child = os.fork()
if child == 0:
    signal.alarm(20)
    use()
    os._exit(0)
_, status = os.waitpid(child, 0)
print("child returned:", status == 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("use", ["ensemble.SGD((x, y), 1, 10, 0.1, threads=2)",
                                 "ensemble.feedforward(x, threads=2)"])
def test_a_forked_child_uses_an_ensemble(use):
    done = subprocess.run([sys.executable, "-c", FORKED_ENSEMBLE.replace("use()", use)],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout == "child returned: True\n", done.stderr


def test_a_diverging_update_changes_nothing():
    net = Network([3, 2], activation="identity", seed=1)
    before = parameters(net)
    with pytest.raises(DivergenceError, match=r"^update_mini_batch diverged: .* 1e\+30 may be"):
        net.update_mini_batch(([[1e30, 2, 3]], [[1, 0]]), 1e30)
    assert np.array_equal(parameters(net), before)


FORKED = """
import os
import numpy as np
from cbackprop import Network
net = Network([300, 1000, 10], seed=0)  # large enough for huge pages, which a fork must not share
x = np.random.default_rng(0).random((300, 300), np.float32)
y = np.arange(300) % 10
net.SGD((x, y), 1, 100, 0.1)
before = net.feedforward(x)
child = os.fork()
if child == 0:
    net.SGD((x, y), 2, 100, 1.0)
    os._exit(int(np.array_equal(net.feedforward(x), before)))
_, status = os.waitpid(child, 0)
print("child changed its own:", status == 0)
print("parent's are as before:", np.array_equal(net.feedforward(x), before))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_has_parameters_of_its_own():
    run = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert run.stdout == "child changed its own: True\nparent's are as before: True\n", run.stderr
