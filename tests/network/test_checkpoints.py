"""A training that ends at any moment goes on from its checkpoint, to the bit."""

import os
import random
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from refusals import one_line

from cbackprop import (
    DivergenceError,
    Network,
    callbacks,
    files,
    schedules,
    streams,
    thread_choice,
)
from cbackprop.callbacks import Callback, Checkpoint, EarlyStopping, WeightAverage
from cbackprop.optimizers import KNOWN
from cbackprop.sources import RowSource
from cbackprop.streams import Stream

SIZES, N, M, EPOCHS = [5, 7, 3], 47, 6, 4  # 8 steps in an epoch, the last of 5 rows
TIMES = {"seconds", "rows_per_second"}


class Death(Exception):  # noqa: N818  no error
    """What ends a training in a test, as a killed process does."""


class Dies(Callback):
    """Raises after each of some steps, once."""

    every = 1

    def __init__(self, *steps):
        self.steps = list(steps)

    def on_batches(self, network, history, step):
        if self.steps and step == self.steps[0]:
            self.steps.pop(0)
            raise Death


def data(seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, SIZES[0])).astype(dtype), rng.integers(0, SIZES[-1], N)


def sparse(labels=True):
    matrices = pytest.importorskip("scipy.sparse")
    x, y = data()
    x[np.abs(x) < 0.7] = 0
    return matrices.csr_matrix(x), y if labels else matrices.csr_matrix(np.eye(SIZES[-1])[y])


class Rows(RowSource):
    """Rows that are made on demand."""

    def __len__(self):
        return N

    def take(self, indices):
        x, y = data()
        return x[indices], y[indices]


class Blocks(Stream):
    """The same rows in blocks, by default in a buffer of 12."""

    bounds = np.array([0, 5, 15, 16, 30, N])

    def __init__(self, memory=2200):
        self.memory = memory

    def read(self, block):
        x, y = data()
        return x[slice(*self.bounds[block:block + 2])], y[slice(*self.bounds[block:block + 2])]


def state(net):
    """Return all that training changes, but the times that it took."""
    memory = net.engine.optimizer_state
    history = {name: net.history.series(name) for name in net.history.recorded if name not in TIMES}
    rest = (net.history.steps, net.history.seed, net.history.epochs, net.trained_on)
    return (net.engine.core.parameters.tobytes(), net.engine.random.bit_generator.state,
            memory and [np.asarray(part).tobytes() for part in memory.__getstate__()["memory"]],
            memory and memory.in_core.steps, history, rest)


def assert_same(net, other):
    for one, two in zip(state(net), state(other), strict=True):
        np.testing.assert_equal(one, two)  # NaN is equal to NaN


def network(seed=int, real="float32"):
    return Network(SIZES, seed=seed(), dtype=real)


def trained(net, training_data=None, **given):
    net.SGD(training_data or data(), EPOCHS, M, **{"eta": 0.1, **given})
    return net


def undisturbed(made, calls=list, **given):
    return trained(network(**made), callbacks=calls(), **given)


def killed(path, *steps, made, calls=list, every=4, **given):
    """Train; die after these steps, each time in a network of its own, and call again."""
    dies, deaths = Dies(*steps), 0
    while True:
        net = network(**made)
        if path.exists():
            net.weights[0][...] = 9  # the checkpoint has the parameters
        try:
            trained(net, **given, resume=path, threads=1 + deaths % 2,
                    callbacks=[Checkpoint(last=path, every_steps=every), *calls(), dies])
        except Death:
            deaths += 1
            continue
        assert deaths == len(steps)
        return net


@pytest.fixture(autouse=True)
def no_power_cuts(monkeypatch):
    """Do not wait for the disk: what is killed are processes."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


CASES = {
    **{name: {"optimizer": name, "eta": 0.01} for name in KNOWN},
    "float64": {"made": {"real": "float64"}, "optimizer": "nadam"},
    "float32 rows": {"training_data": data(dtype="float32")},
    "dropout and noise": {"dropout": 0.3, "noise": 0.1},
    "validation": {"validation_split": 0.2, "monitor": ["cost", "f1"]},
    "validation and dropout": {"validation_split": 0.3, "dropout": [0.1, 0.2], "optimizer": "adam"},
    "rows in their order": {"shuffle": False, "validation_split": 0.1},
    "weights": {"sample_weight": np.arange(N) % 4, "optimizer": "momentum"},
    "weights of classes": {"class_weight": "balanced"},
    "regularised": {"lmbda": 0.1, "l1": 1e-3, "max_norm": 1.5, "clip_norm": 0.5,
                    "nonnegative": [True, False]},
    "frozen": {"eta_factors": [0, 1], "optimizer": "adam"},
    "rprop, frozen": {"eta_factors": [1, 0], "optimizer": "rprop", "eta": 1e-3},
    "cosine": {"eta": schedules.Cosine(0.5, steps=EPOCHS * 8, warmup=5)},
    "plateau": {"eta": schedules.ReduceOnPlateau(0.9, "evaluation_cost", patience=1),
                "evaluation_data": data(1)},
    "function": {"eta": lambda step: 1 / (1 + step)},
    "default eta": {"eta": None},
    "zeros skipped": {"skip_zeros": True, "training_data": (
        np.where(np.abs(data()[0]) > 1, 1, 0).astype(np.uint8), data()[1])},
    "row source": {"training_data": Rows()},
    "row source, held out": {"training_data": Rows(), "validation_split": 0.2},
    "stream": {"training_data": Blocks(), "test_data": Blocks()},
    "stream in its order": {"training_data": Blocks(), "shuffle": False, "optimizer": "adam"},
    "test data": {"test_data": data(1)},
    "another generator": {"made": {
        "seed": lambda: np.random.Generator(np.random.MT19937(4))}},
}


@pytest.mark.parametrize("case", CASES)
def test_goes_on_to_the_bit(case, tmp_path, monkeypatch):
    """Before the first checkpoint, within an epoch, at its end, and at the next one's beginning."""
    monkeypatch.setattr(thread_choice.ThreadTuner, "threads", lambda tuner, asked: asked or 1)
    given = {"made": {}, **CASES[case]}
    net = killed(tmp_path / "last.npz", 3, 9, 16, 17, **given)
    assert_same(net, undisturbed(**given))


@pytest.mark.parametrize("labels", [True, False])
def test_sparse_rows(labels, tmp_path):
    given = {"training_data": sparse(labels), "optimizer": "adam", "made": {"real": "float64"}}
    assert_same(killed(tmp_path / "last.npz", 5, 14, 20, **given), undisturbed(**given))


def stored(folder, **given):
    """A stream of two files, in blocks of 5 rows and buffers of a few mini-batches."""
    for name, part in zip("xy", data(), strict=True):
        np.save(folder / f"{name}.npy", part)
    return streams.open(folder / "x.npy", folder / "y.npy", block=200, **given)


def batches():
    x, y = data()
    for first in range(0, N, 7):
        yield x[first:first + 7], y[first:first + 7]


@pytest.mark.parametrize("source", [
    lambda folder: stored(folder, memory=2000),
    lambda folder: streams.batches(batches, memory=2000)], ids=["files", "batches"])
def test_files_and_batches(source, tmp_path):
    given = {"training_data": source(tmp_path), "optimizer": "adam", "made": {}}
    net = network().engine.examples(given["training_data"], "")
    assert len(net.order(1, M).rows(0)) < N / 2  # several buffers
    assert_same(killed(tmp_path / "last.npz", 5, 9, 14, 20, **given), undisturbed(**given))


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_seconds(seconds, tmp_path):
    """Every chunk, or the end alone."""
    path, times = tmp_path / "last.npz", []

    class Looks(Callback):
        every = 1

        def on_batches(self, network, history, step):
            times.append(path.stat().st_mtime_ns if path.exists() else None)

    net = Network(SIZES, seed=0)
    net.SGD(data(), EPOCHS, M, 0.1,
            callbacks=[Checkpoint(last=path, every_seconds=seconds), Looks()])
    assert path.exists()
    assert (set(times) == {None}) == (seconds > 0)
    if not seconds:
        assert len(set(times)) == len(times)


# ---- callbacks ----


def stopping(**given):
    return lambda: [EarlyStopping("evaluation_cost", patience=2, min_delta=0.01, **given)]


@pytest.mark.parametrize("calls", [
    stopping(), stopping(restore_best=False), lambda: [WeightAverage(0.9, every=3)],
    lambda: [WeightAverage(0.9, every=100)],
    lambda: [*stopping()(), WeightAverage(0.8, every=1)],
    lambda: [EarlyStopping(data(2), "accuracy", patience=1)],
    lambda: [EarlyStopping(data(2), lambda net, data: np.nan, patience=3, minimize=True)],
    lambda: [lambda net, history: len(history) == 2]])
def test_callbacks_go_on(calls, tmp_path):
    given = {"made": {}, "evaluation_data": data(1), "eta": 1.5, "calls": calls}
    one, other = killed(tmp_path / "last.npz", 5, 9, 10, 15, **given), undisturbed(**given)
    assert_same(one, other)
    # A training that has ended is gone on with: it is over.
    assert_same(killed(tmp_path / "last.npz", **given), other)


def test_the_best_is_known(tmp_path):
    """Another object has the best parameters, and its file is not written again."""
    stop = EarlyStopping("cost", patience=9, minimize=False)  # the first epoch is the best
    calls, best = [stop], tmp_path / "best.npz"
    killed(tmp_path / "last.npz", 14, made={}, calls=lambda: [
        *calls, Checkpoint(best, "cost", minimize=False)])
    assert stop.best_epoch == 1
    first = Network.load(best)
    assert len(first.history) == 1
    np.testing.assert_equal(stop.best_parameters[0], [*first.weights])


def test_a_callback_of_ones_own(tmp_path):
    class Steps(Callback):
        every = 1

        def on_train_begin(self, network, history):
            self.seen = []

        def on_batches(self, network, history, step):
            self.seen.append((step, float(network.weights[0][0, 0])))

        def to_checkpoint(self, network):
            return {"steps": np.array([step for step, _ in self.seen]), "first": np.float64(0.1),
                    "values": tuple(value for _, value in self.seen), "nothing": None}

        def from_checkpoint(self, network, state):
            assert state["first"] == 0.1
            assert state["nothing"] is None
            self.seen = [*zip(state["steps"].tolist(), state["values"], strict=True)]

    made = [Steps(), Steps()]
    killed(tmp_path / "last.npz", 6, 13, made={}, calls=lambda: made[:1])
    undisturbed(made={}, calls=lambda: made[1:])
    assert made[0].seen == made[1].seen


@pytest.mark.parametrize("value", [object(), {"a": [1j]}])
def test_a_callback_that_keeps_what_no_file_has(value, tmp_path):
    class Odd(Callback):
        def to_checkpoint(self, network):
            return value

    with one_line(TypeError, r"^to_checkpoint must return numbers, strings, arrays, lists and "
                             r"dicts, got "):
        trained(network(), callbacks=[Odd(), Checkpoint(last=tmp_path / "last.npz")])
    assert os.listdir(tmp_path) == []


def test_a_log_is_whole(tmp_path):
    log = tmp_path / "log.csv"
    net = killed(tmp_path / "last.npz", 9, 22, made={}, calls=lambda: [callbacks.CSVLog(log)])
    lines = [line.split(",")[2] for line in log.read_text().splitlines()[1:]]
    assert lines == [repr(cost) for cost in net.history.cost]


def test_a_training_runs_again(tmp_path):
    """What one run left, such as a stop, the next does not see."""
    training = network().prepare(data(), 3, M, 0.1, callbacks=[lambda *_: True])
    assert [len(training.run()) for _ in range(2)] == [1, 1]


# ---- when it is written, and when it is not ----


@pytest.mark.parametrize(("every", "steps"), [
    ({}, [8, 16, 24, 32]), ({"every_steps": 5}, [5, 10, 15, 20, 25, 30, 32]),
    ({"every_steps": 16}, [16, 32]), ({"every_steps": 100}, [32]), ({"every_seconds": 1e9}, [32])])
def test_when(every, steps, tmp_path, monkeypatch):
    """An epoch's end is a step like any other, and the last has a file."""
    found, save = [], files.save

    def saved(path, state):
        save(path, state)
        found.append(state["history"].steps + state["training"]["position"]["done"])

    monkeypatch.setattr(files, "save", saved)
    trained(network(), callbacks=[Checkpoint(last=tmp_path / "last.npz", **every)])
    assert found == steps


def test_a_stop_is_the_end(tmp_path):
    path, seen = tmp_path / "last.npz", []

    class Stops(Callback):
        every = 11

        def on_batches(self, network, history, step):
            seen.append(step)
            return True

    for _ in range(2):
        net = trained(network(), resume=path, callbacks=[
            Checkpoint(last=path, every_steps=11), Stops()])
    assert seen == [11]
    assert len(net.history) == 1
    np.testing.assert_equal([*net.weights], [*Network.load(path).weights])


class Breaks(Callback):
    """Makes a parameter infinite: costs say so only in the next mini-batch."""

    every = 12

    def on_batches(self, network, history, step):
        network.biases[-1][0] = np.inf


def test_what_diverges_is_not_written(tmp_path):
    path = tmp_path / "last.npz"
    with pytest.raises(DivergenceError, match="in epoch 2"):
        trained(network(), callbacks=[Checkpoint(last=path, every_steps=4), Breaks()])
    kept = files.load(path)
    assert (kept["history"].steps, kept["training"]["position"]["done"]) == (8, 0)
    assert_same(killed(path, made={}), undisturbed(made={}))


def test_a_continued_epoch_diverges(tmp_path):
    """The checkpoint's parameters are kept."""
    path = tmp_path / "last.npz"
    with pytest.raises(Death):
        trained(network(), callbacks=[Checkpoint(last=path, every_steps=10), Dies(11)])
    net = network()
    with pytest.raises(DivergenceError, match="in epoch 2"):
        trained(net, resume=path, callbacks=[Breaks()])
    np.testing.assert_equal([*net.weights], [*Network.load(path).weights])


def test_a_generator_that_no_file_has(tmp_path):
    class Own(np.random.PCG64):
        pass

    net = network(seed=lambda: np.random.Generator(Own(0)))
    with one_line(TypeError, "last needs a seed whose bit generator is one of .*, got Own"):
        trained(net, callbacks=[Checkpoint(last=tmp_path / "last.npz")])
    assert net.history is None



# ---- what a file is ----


def test_a_checkpoint_is_a_network(tmp_path):
    """Also in the first epoch, with the parameters of that step."""
    path, seen = tmp_path / "last.npz", {}

    class Looks(Callback):
        every = 1

        def on_batches(self, network, history, step):
            seen[step] = [np.array(w) for w in network.weights]

    with pytest.raises(Death):
        trained(network(), callbacks=[Checkpoint(last=path, every_steps=4), Looks(), Dies(6)])
    net = Network.load(path)
    np.testing.assert_equal([*net.weights], seen[4])
    assert len(net.history) == 0
    assert net.feedforward(data()[0]).shape == (N, SIZES[-1])
    net.SGD(data(), 1, M, 0.1, resume=True)
    assert len(net.history) == 1


def test_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    given = {"made": {}, "optimizer": "adam", "calls": stopping(), "evaluation_data": data(1)}
    assert_same(killed(tmp_path / "last.safetensors", 9, 14, **given), undisturbed(**given))


def begun(path, *steps, **given):
    """Write a checkpoint, and return what is needed to go on from it."""
    with pytest.raises(Death):
        trained(network(), **given, callbacks=[Checkpoint(last=path, every_steps=5), Dies(6)])
    return path


@pytest.mark.parametrize(("given", "answer"), [
    ({"optimizer": "adam"}, r"optimizer = 'sgd', got 'adam'"),
    ({"eta": 0.2}, r"eta = 0.1, got 0.2"),
    ({"eta": schedules.Step(0.1, 5)}, r"eta = 0.1, got 'Step\(eta=0.1, every=5, factor=0.5\)'"),
    ({"dropout": 0.1}, r"dropout = \[0.0, 0.0\], got \[0.0, 0.1\]"),
    ({"shuffle": False}, "shuffle = True, got False"),
    ({"skip_zeros": True}, "skip_zeros = False, got True"),
    ({"validation_split": 0.1}, "rows = 47, got 42"),
    ({"test_data": data(1)}, r"entries of the history = \[.*\], got \[.*\]"),
    ({"training_data": tuple(part[:-1] for part in data())}, "rows = 47, got 46"),
    ({"training_data": data(1)}, r"training_data = '47 rows, float64 with checksum \w{8}', "
                                 r"got '47 rows, float64 with checksum \w{8}'"),
    ({"training_data": data(dtype="float32")}, "training_data = .* got .*float32.*"),
    ({"sample_weight": np.full(N, 2)}, "training_data = .*"),
    ({"calls": stopping(), "evaluation_data": data(1)}, "entries of the history = .*"),
    ({"calls": lambda: [EarlyStopping("cost")]}, r"callbacks = .*, got .*'EarlyStopping'.*"),
])
def test_another_training(given, answer, tmp_path):
    path = begun(tmp_path / "last.npz")
    net, twin = network(), network()
    calls = {"calls": list, **given}.pop("calls")()
    given = {name: value for name, value in given.items() if name != "calls"}
    with one_line(ValueError, rf"^resume must go on as '.*last\.npz' began, with {answer}$"):
        trained(net, **given, resume=path, callbacks=calls)
    np.testing.assert_equal([*net.weights], [*twin.weights])


@pytest.mark.parametrize(("settings", "answer"), [
    ({"sizes": [5, 8, 3]}, r"sizes = \[5, 7, 3\], got \[5, 8, 3\]"),
    ({"activation": "tanh", "output_activation": "sigmoid"}, "activation = 'sigmoid', got 'tanh'"),
    ({"dtype": "float64"}, "dtype = 'float32', got 'float64'"),
    ({"input_scale": 0.5}, "input_scale = 1.0, got 0.5"),
    ({"bias": [True, False]}, r"bias = True, got \[True, False\]"),
])
def test_another_network(settings, answer, tmp_path):
    path = begun(tmp_path / "last.npz")
    with one_line(ValueError, rf"^resume must go on as '.*' began, with {answer}$"):
        Network(**{"sizes": SIZES, **settings}).SGD(data(), EPOCHS, M, 0.1, resume=path)


def test_other_epochs_and_mini_batches(tmp_path):
    path = begun(tmp_path / "last.npz")
    further = "; to train further, call SGD with resume=True after it"
    for epochs, m, answer in [(5, M, f"epochs = 4, got 5{further}"),
                              (EPOCHS, 7, "mini_batch_size = 6, got 7")]:
        with one_line(ValueError, f"began, with {answer}$"):
            network().SGD(data(), epochs, m, 0.1, resume=path)


def test_another_buffer(tmp_path):
    path = begun(tmp_path / "last.npz", training_data=Blocks())
    with one_line(ValueError, r"training_data = '47 rows in 5 blocks, read into 2,200 bytes', "
                              r"got '47 rows in 5 blocks, read into 2,500 bytes'"):
        trained(network(), Blocks(2500), resume=path)
    assert re.fullmatch(r"47 rows in .* blocks, read into 2,000 bytes, float64 with checksum .{8}",
                        network().engine.examples(stored(tmp_path, memory=2000), "").fingerprint())


def test_no_file_yet(tmp_path):
    """A training begins if it will write it: the command on a cluster is the same every time."""
    path, net = tmp_path / "last.npz", network()
    for calls in ([], [Checkpoint(path)], [Checkpoint(last=tmp_path / "other.npz")]):
        with one_line(FileNotFoundError, "resume must name a checkpoint, or the file that "
                                         r"Checkpoint\(last=...\) in callbacks will write: '.*'$"):
            net.SGD(data(), 1, M, 0.1, resume=path, callbacks=calls)
    assert net.history is None
    net.SGD(data(), 1, M, 0.1, resume=os.fsencode(path),
            callbacks=[Checkpoint(last=os.path.relpath(path))])
    assert path.exists()


def test_a_network_is_no_checkpoint(tmp_path):
    path = tmp_path / "net.npz"
    trained(network(), callbacks=[Checkpoint(path)])
    with one_line(ValueError, r"^resume must name a checkpoint, got '.*net.npz', a network without "
                              r"a training: Checkpoint\(last=...\) writes one$"):
        trained(network(), resume=path)


@pytest.mark.parametrize("resume", [None, 1, [], 0.5])
def test_what_resume_is(resume):
    with one_line(TypeError, "^resume must be True, False or the path of a checkpoint, got "):
        trained(network(), resume=resume)


@pytest.mark.parametrize(("given", "error", "answer"), [
    ({}, TypeError, "path must be a str or path-like, got None"),
    ({"path": "x", "every_steps": 3}, ValueError, "every_steps and every_seconds need last"),
    ({"path": "x", "every_seconds": 3}, ValueError, "every_steps and every_seconds need last"),
    ({"last": "x", "every_steps": 3, "every_seconds": 1}, ValueError, "every_steps must be None"),
    ({"last": "x", "every_steps": 0}, ValueError, "every_steps must be an integer of at least 1"),
    ({"last": "x", "every_seconds": -1}, ValueError, "every_seconds must be .* at least 0"),
    ({"last": "x", "every_seconds": "1m"}, TypeError, "every_seconds must be"),
    ({"last": 3}, TypeError, "^last must be a str or path-like, got 3"),
    ({"path": b"x", "last": "x"}, ValueError, "last must be another file than path, got x"),
])
def test_arguments(given, error, answer):
    with one_line(error, answer):
        Checkpoint(**given)


@pytest.mark.parametrize("place", range(0, 100, 9))
def test_a_damaged_file(place, tmp_path):
    """It is refused in a line, or its damage is in bytes that mean nothing; nothing is changed."""
    path = begun(tmp_path / "last.npz")
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:len(content) * place // 100])
    net, twin = network(), network()
    with one_line(ValueError, "is not a whole cbackprop network file: "):
        trained(net, resume=path)
    content[len(content) * place // 100] ^= 0xff
    path.write_bytes(content)
    try:
        trained(net, resume=path)
    except ValueError as error:
        refused = str(error)
    else:
        return
    assert re.fullmatch(".*last.npz.*", refused)
    np.testing.assert_equal([*net.weights], [*twin.weights])


@pytest.mark.parametrize(("part", "value"), [
    ("done", 9), ("done", -1), ("done", 0.5), ("seed", -1), ("seed", 2**64),
    ("costs", [np.nan]), ("costs", "1"), ("costs", []), ("seconds", "1"), ("more", 1)])
def test_a_position_that_is_none(part, value, tmp_path):
    path = begun(tmp_path / "last.npz")
    state = files.load(path)
    state["training"]["position"][part] = value
    files.save(path, state)
    with one_line(ValueError, "last.npz is not a usable checkpoint: "):
        trained(network(), resume=path)


# ---- processes that are killed ----

PROGRAM = """
import sys
import numpy as np
from cbackprop import Network
from cbackprop.callbacks import Checkpoint
path, end, seed, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(0)
data = rng.integers(0, 256, (3000, 100), np.uint8), rng.integers(0, 10, 3000)
net = Network([100, 300, 10], input_scale=1 / 255, seed=seed)
calls = [Checkpoint(last=path, every_steps=7)] if path else []
print("ready", flush=True)
net.SGD(data, 4, 10, 0.001, optimizer="adam", dropout=0.2, threads=threads, callbacks=calls,
        resume=path or False)
np.save(end, net.engine.core.parameters)
"""


def run(path, end, seed, threads, delay=None):
    """Run the program, kill it after a while, and return whether it ended by itself."""
    arguments = [sys.executable, "-c", PROGRAM, *map(str, (path, end, seed, threads))]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
        assert process.returncode == 0, process.stderr.read()
        return True


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is of POSIX")
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_kill_9(kills, tmp_path):
    path, end, killed_, seed = tmp_path / "last.npz", tmp_path / "end.npy", 0, 0
    delays = random.Random(kills)
    while killed_ < kills or seed == 0:
        run("", end, seed, 1)
        wanted = np.load(end)
        end.unlink()
        while not run(path, end, seed, 1 + killed_ % 2,
                      delays.uniform(0.02, 0.4) if killed_ < kills else None):
            killed_ += 1
            if path.exists():
                Network.load(path)
        assert np.array_equal(np.load(end), wanted)
        path.unlink()
        seed += 1
    assert [name for name in os.listdir(tmp_path) if name.endswith(".tmp")] == []


def test_a_crash_before_the_file_has_its_name(tmp_path, monkeypatch):
    """The older checkpoint is good."""
    path = tmp_path / "last.npz"
    replace, written = os.replace, []

    def crashing(source, target):
        written.append(target)
        if len(written) == 3:
            raise Death
        replace(source, target)

    monkeypatch.setattr(os, "replace", crashing)
    with pytest.raises(Death):
        trained(network(), callbacks=[Checkpoint(last=path, every_steps=5)])
    assert Network.load(path).engine.random.bit_generator.state["has_uint32"] in (0, 1)
    assert_same(killed(path, made={}), undisturbed(made={}))


def test_best_and_last_do_not_overwrite_each_other():
    with pytest.raises(ValueError, match=r"^last must be another file than path, got \./b\.npz$"):
        callbacks.Checkpoint("b.npz", "cost", last="./b.npz")
