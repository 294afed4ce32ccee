"""Streams: rows in blocks, of files and iterables, trained on as if they were in arrays."""

import itertools
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest
from refusals import one_line

from cbackprop import Network, callbacks, inspect, streams

N, K, J = 1003, 7, 3


def arrays(dtype):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 200, (N, K)).astype(dtype)
    return x, rng.integers(0, J, N), rng.uniform(0.5, 2, N)


@pytest.fixture
def data():
    rng = np.random.default_rng(2)
    return rng.standard_normal((N, K)), rng.integers(0, J, N)


def readers():
    """Return the threads that read ahead; those of other tests may still be ending."""
    return [one for one in threading.enumerate() if one.name.startswith("cbackprop-reader")]


def npy(folder, x, y, w, **given):
    for name, values in zip("xyw", (x, y, w), strict=True):
        np.save(folder / f"{name}.npy", values)
    return streams.open(folder / "x.npy", str(folder / "y.npy"), sample_weight=folder / "w.npy",
                        **given)


def several_npy(folder, x, y, w, **given):
    cuts = [0, 300, 301, 301, N]  # one row, and none
    for at, (a, b) in enumerate(itertools.pairwise(cuts)):
        for name, values in zip("xyw", (x, y, w), strict=True):
            np.save(folder / f"{name}-{at}.npy", values[a:b])
    return streams.open(folder / "x-*.npy", folder / "y-?.npy", sample_weight=folder / "w-*.npy",
                        **given)


def one_npy(folder, x, y, w, **given):
    np.save(folder / "all.npy", np.insert(x, 2, y.astype(x.dtype), axis=1))
    np.save(folder / "w.npy", w)
    return streams.open(folder / "all.npy", target=2, sample_weight=folder / "w.npy", **given)


def npz(folder, x, y, w, **given):
    np.savez(folder / "all.npz", x=x, y=y, w=w)
    return streams.open(folder / "all.npz", sample_weight="w", **given)


def hdf5(folder, x, y, w, **given):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "all.h5", "w") as file:
        file.create_dataset("group/pixels", data=x, chunks=(64, K))
        file["label"], file["w"] = y, w
    return streams.open(folder / "all.h5", columns="group/pixels", target="label",
                        sample_weight="w", **given)


def table(x, y, w):
    pa = pytest.importorskip("pyarrow")
    columns = {f"c{at}": x[:, at] for at in range(2)}
    rest = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(x[:, 2:])), K - 2)
    return pa.table({**columns, "label": y, "rest": rest, "w": w})


def parquet(folder, x, y, w, **given):
    made = table(x, y, w)
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(made[:600], folder / "part-0.parquet", row_group_size=250)
    pq.write_table(made[600:], folder / "part-1.parquet", row_group_size=N)
    (folder / "_SUCCESS").touch()
    return streams.open(folder, target="label", sample_weight="w", **given)


def feather(folder, x, y, w, **given):
    made = table(x, y, w)
    pytest.importorskip("pyarrow.feather").write_feather(
        made, folder / "all.feather", chunksize=100)
    return streams.open(folder / "all.feather", target="label", sample_weight="w", **given)


def batches(folder, x, y, w, **given):
    def made():
        first = 0
        while first < N:
            part = slice(first, first + 1 + first % 97)
            yield x[part], y[part], w[part]
            first = part.stop
    return streams.batches(made, **given)


def a_list(folder, x, y, w, **given):
    return streams.batches([(x[:500], y[:500], w[:500]), (x[500:], y[500:], w[500:])], rows=N,
                           **given)


class Blocks(streams.Stream):
    def __init__(self, x, y, w=None, rows=40, memory=streams.Stream.memory):
        self.x, self.y, self.w, self.memory = x, y, w, memory
        self.n = np.append(np.arange(0, len(x), rows), len(x))

    @property
    def bounds(self):
        return self.n

    def read(self, block):
        part = slice(*self.n[block:block + 2])
        return self.x[part], self.y[part], *([] if self.w is None else [self.w[part]])


def own(folder, x, y, w, memory=2**28, **given):
    return Blocks(x, y, w, memory=streams.stream.size("memory", memory))


FORMS = [npy, several_npy, one_npy, npz, hdf5, parquet, feather, batches, a_list, own]


def network(dtype="float32", **settings):
    return Network([K, 5, J], seed=3, dtype=dtype, input_scale=0.01, **settings)


def same(net, twin):
    return (net.engine.core.parameters == twin.engine.core.parameters).all()


@pytest.mark.parametrize(("form", "dtype"), [
    *((form, "float32") for form in FORMS),
    *itertools.product([one_npy, hdf5, parquet, own], ["uint8", "int32", "float64"])])
def test_a_stream_that_fits_in_memory_trains_as_arrays(form, dtype, tmp_path):
    x, y, w = arrays(dtype)
    stream = form(tmp_path, x, y, w)
    assert len(stream) == N
    assert (stream.width, stream.dtype) == (K, {"int32": "float64"}.get(str(x.dtype), x.dtype))
    for real in ("float32", "float64"):
        net, twin = network(real), network(real)
        history = net.SGD(stream, 2, 10, 0.5, test_data=stream, optimizer="momentum")
        wanted = twin.SGD((x, y), 2, 10, 0.5, test_data=(x, y), sample_weight=w,
                          optimizer="momentum")
        assert same(net, twin)
        assert history.cost == wanted.cost
        assert history.test_accuracy == wanted.test_accuracy
        assert history.rows == N
        # Parts weigh the examples, which arrays do not here.
        assert net.total_cost(stream) == pytest.approx(
            twin.total_cost((x, y), sample_weight=w), rel=1e-6)
        assert net.evaluate(stream) == twin.evaluate((x, y))


@pytest.mark.parametrize("form", FORMS)
def test_in_their_order_rows_are_trained_on_as_in_arrays(form, tmp_path):
    x, y, w = arrays("uint8")
    stream = form(tmp_path, x, y, w, memory="9KB")
    net, twin = network(), network()
    net.SGD(stream, 2, 9, 0.5, shuffle=False)
    twin.SGD((x, y), 2, 9, 0.5, shuffle=False, sample_weight=w)
    assert same(net, twin)
    assert examples_of(stream).order(0, 9).size < 200  # several buffers
    assert not readers()


def examples_of(stream, check=False):
    return network().engine.examples(stream, "data", check)


@pytest.mark.parametrize(("n", "rows", "m", "memory"), [
    (1, 1, 1, 10**4), (100, 7, 10, 4000), (100, 7, 33, 10**4), (101, 1, 10, 5000),
    (300, 300, 7, 8000), (1003, 40, 1, 3000), (1003, 97, 100, 30_000)])
def test_an_epoch_takes_every_row_once_in_whole_mini_batches(n, rows, m, memory):
    x, y = np.arange(n, dtype=np.float64)[:, None] * np.ones(K), np.arange(n) % J
    examples = examples_of(Blocks(x, y, rows=rows, memory=memory))
    epochs = []
    for seed in (5, 6, 5):
        order, seen, at = examples.order(seed, m), [], 0
        while at < n:
            part, targets, order_, first, last = examples.part(order, at, min(n, at + 3 * m))
            some = part.x[order_[first:last], 0].astype(int)
            assert (targets.y[order_[first:last]] == y[some]).all()
            assert len(some) % m == 0 or at + len(some) == n
            assert 0 < len(some) <= 3 * m
            seen += some.tolist()
            at += len(some)
        assert sorted(seen) == list(range(n))
        epochs.append(seen)
    assert epochs[0] == epochs[2]  # the seed alone decides
    assert n < 5 or epochs[0] != epochs[1]
    middle = n // 2 // m * m  # as a training goes on that was interrupted there
    part, _, order_, first, last = examples.part(examples.order(5, m), middle, min(n, middle + m))
    assert part.x[order_[first:last], 0].tolist() == epochs[0][middle:middle + last - first]
    examples.close()
    assert not readers()


def test_blocks_and_buffers_are_shuffled():
    n = 2000
    x, y = np.arange(n, dtype=np.float64)[:, None] * np.ones(K), np.zeros(n, int)
    examples = examples_of(Blocks(x, y, rows=10, memory=80_000))
    order = examples.order(1, 10)
    assert n / 6 < order.size < n / 3
    part, _, order_, _, last = examples.part(order, 0, n)
    rows = part.x[order_[:last], 0]
    assert last == order.size
    assert len(np.unique(rows // 10)) == len(order.ranges(0)) >= order.size // 10
    assert rows.min() < n / 10 < 9 * n / 10 < rows.max()
    assert abs(np.corrcoef(np.arange(last), rows)[0, 1]) < 0.2
    examples.close()


def test_sorted_labels_are_learned_in_a_buffer_of_a_sixth():
    from cbackprop import datasets

    (x, y), test = datasets.load_mnist()
    x, y = x[np.argsort(y, kind="stable")], np.sort(y)

    def accuracy(memory):
        net = Network([784, 30, 10], input_scale=1 / 255, seed=0)
        history = net.SGD(Blocks(x, y, rows=20, memory=memory), 5, 10, 3.0, test_data=test)
        return max(history.accuracy)

    row = 784 + 8 + 4 * 11
    assert accuracy(len(x) * row * 8 // 7 + 10**5) > 0.85  # all of it
    assert accuracy(len(x) * row * 8 // 7 // 3) > 0.85  # two buffers


def test_the_next_buffer_is_read_by_another_thread_while_this_one_trains(data):
    read, threads = threading.Event(), set()

    class Slow(Blocks):
        def read(self, block):
            if training:
                threads.add(threading.current_thread())
                if len(threads) and self.count > self.in_a_buffer:
                    read.set()
                self.count += 1
            return super().read(block)

    class Waits(callbacks.Callback):
        every = 1

        def on_batches(self, network, history, step):
            assert read.wait(30)  # the first step, and already the second buffer is read

    training = False
    stream = Slow(*data, memory=60_000)
    stream.count = 0
    examples = examples_of(stream)
    stream.in_a_buffer = examples.order(0, 10).size // 40 + 1
    assert examples.order(0, 10).size < N / 2
    training = True
    network().SGD(stream, 1, 10, 0.1, callbacks=[Waits()])
    (reader,) = threads - {threading.main_thread()}  # which reads some rows first
    assert reader.name.startswith("cbackprop-reader")
    assert not readers()


class Ends(callbacks.Callback):
    every = 1

    def __init__(self, error):
        self.error = error

    def on_batches(self, network, history, step):
        if step == 13:
            raise self.error


@pytest.mark.parametrize("error", [callbacks.StopTraining(), KeyboardInterrupt(), OSError("own")])
def test_however_a_training_ends_no_thread_is_left(data, error):
    stops = isinstance(error, callbacks.StopTraining)
    with nullcontext() if stops else pytest.raises(type(error)):
        network().SGD(Blocks(*data, memory=30_000), 3, 10, 0.1, callbacks=[Ends(error)])
    assert not readers()


@pytest.mark.skipif(sys.platform == "win32", reason="a lock there waits, whatever comes")
def test_ctrl_c_ends_a_training_that_waits_for_its_reader(data):
    began = threading.Event()

    class Slow(Blocks):
        def read(self, block):
            if began.is_set():
                time.sleep(0.01)
            return super().read(block)

    class Begins(callbacks.Callback):
        def on_epoch_begin(self, network, history):
            began.set()

    def interrupt():
        began.wait(30)
        time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    stream = Slow(*data, rows=1, memory=60_000)  # 10 s in an epoch
    thread, start = threading.Thread(target=interrupt), time.monotonic()
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        network().SGD(stream, 10, 10, 0.1, callbacks=[Begins()])
    thread.join()
    assert time.monotonic() - start < 30
    assert not readers()


def test_an_evaluation_that_fails_leaves_no_thread(data):
    x, y = data
    x = np.tile(x, (400, 1))
    x[N * 399, 2] = np.inf
    stream = Blocks(x, np.tile(y, 400), rows=1000)
    with one_line(ValueError, rf"^x of test_data must be finite, got inf in column 2 of row "
                              rf"{N * 399}$"):
        network().total_cost(stream)
    assert not readers()


@pytest.mark.parametrize("form", [npy, several_npy, npz, hdf5, parquet, feather])
@pytest.mark.parametrize("change", ["truncate", "touch", "remove"])
def test_a_file_that_changes_in_an_epoch_ends_it_and_nothing_is_lost(form, change, data, tmp_path):
    x, y = data
    stream = form(tmp_path, x, y, np.ones(N), memory="20KB")
    path = max(tmp_path.glob("*"), key=lambda path: path.stat().st_size)
    kept = []

    class Changes(callbacks.Callback):
        every = 1

        def on_epoch_begin(self, network, history):
            kept.append(network.engine.core.parameters.copy())

        def on_batches(self, network, history, step):
            if len(kept) == 2 and path.exists():
                if change == "truncate":
                    with open(path, "r+b") as file:
                        file.truncate(path.stat().st_size // 2)
                elif change == "touch":
                    path.touch()
                else:
                    path.unlink()

    net = network()
    with one_line(OSError, rf"{path.name} must stay as it was opened, but (is gone|was changed)"):
        net.SGD(stream, 3, 10, 0.1, callbacks=[Changes()])
    assert (net.engine.core.parameters == kept[1]).all()
    assert not (kept[0] == kept[1]).all()
    assert len(net.history) == 1
    assert not readers()


@pytest.mark.parametrize("form", [npy, several_npy, one_npy, npz, hdf5, parquet, feather, batches])
def test_what_is_wrong_with_a_row_is_said_with_the_row(form, data, tmp_path):
    x, y = data
    where = {batches: "row 123 of the batches", several_npy: r"row 123 of .*x-0\.npy"}.get(
        form, "row 123 of .*")
    x = x.copy()
    x[123, 5] = np.nan
    column = {one_npy: "column 6", parquet: "column 'rest'", feather: "column 'rest'"}.get(
        form, "column 5")
    stream = form(tmp_path, x, y, np.ones(N), memory="20KB")
    net = network()
    before = net.engine.core.parameters.copy()
    for call, name in ((lambda: net.SGD(stream, 2, 10, 0.1), "training_data"),
                       (lambda: net.total_cost(stream), "test_data")):
        with one_line(ValueError, rf"^x of {name} must be finite, got nan in {column} of {where}"):
            call()
    assert (net.engine.core.parameters == before).all()
    y, x[123, 5], w = y.copy(), 0, np.ones(N)
    y[123], w[500] = 7, -1
    stream = form(tmp_path, x, y, np.ones(N), memory="20KB")
    of_y, of_w = {npy: (r".*y\.npy", r".*w\.npy"), several_npy: (r".*y-0\.npy", r".*w-3\.npy"),
                  one_npy: (r".*all\.npy", r".*w\.npy"), npz: ("'y' of", "'w' of"),
                  hdf5: ("'label' of", "'w' of")}.get(form, ("", ""))
    with one_line(ValueError, "^y of training_data must hold labels in 0..2, got 7.* in row 123 "
                              f"of {of_y}"):
        net.SGD(stream, 2, 10, 0.1)
    y[123] = 0
    stream = form(tmp_path, x, y, w, memory="20KB")
    with one_line(ValueError, rf"^sample_weight must not be negative, .* in row \d+ of {of_w}"):
        net.SGD(stream, 2, 10, 0.1)
    assert (net.engine.core.parameters == before).all()


def test_numbers_beyond_float32_are_found(data):
    x = data[0].copy()
    x[77, 1] = 1e300
    with one_line(ValueError, r"got 1e\+300 in column 1 of row 77, beyond float32$"):
        network().SGD(Blocks(x, data[1]), 1, 10, 0.1)


# ---- parts, copies ----


@pytest.mark.parametrize("form", [several_npy, parquet, batches])
@pytest.mark.parametrize("of", [1, 3, 7])
def test_parts_are_all_rows_and_train_as_their_rows(form, of, data, tmp_path):
    x, y = data
    stream = form(tmp_path, x, y, np.ones(N))
    parts = [stream.part(rank, of) for rank in range(of)]
    cuts = [0, *np.cumsum([len(part) for part in parts]).tolist()]
    assert cuts[-1] == N
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for part, (first, last) in zip(parts, itertools.pairwise(cuts), strict=True):
        blocks = [part.read(block) for block in range(len(part.bounds) - 1)]
        assert (np.concatenate([block[0] for block in blocks]) == x[first:last]).all()
        assert (np.concatenate([block[1] for block in blocks]) == y[first:last]).all()
        assert part.where(len(part) - 1) == stream.where(last - 1)
    net, twin = network(), network()
    net.SGD(parts[-1], 1, 10, 0.1)
    twin.SGD((x[cuts[-2]:], y[cuts[-2]:]), 1, 10, 0.1)
    assert same(net, twin)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("form", [npy, several_npy, parquet])
def test_of_every_block_some_rows_are_held_out(form, shuffle, tmp_path):
    x, y, _ = arrays("float32")
    w = np.ones(N, np.float32)
    stream = form(tmp_path, x, y, w, block="3KB")
    count, held = round(0.3 * N), np.zeros(N, bool)
    held[-count:] = not shuffle
    if shuffle:
        for begin, end in itertools.pairwise(stream.bounds):
            most = end * count // N - begin * count // N
            assert abs(most - count / N * (end - begin)) < 1
            held[end - most:end] = True
    assert held.sum() == count
    net, twin = network(), network()
    history = net.SGD(stream, 2, 10, 0.5, validation_split=0.3, shuffle=shuffle)
    twin.engine.seed()  # the one with which rows in arrays are drawn
    wanted = twin.SGD((x[~held], y[~held]), 2, 10, 0.5, evaluation_data=(x[held], y[held]),
                      sample_weight=w[~held], shuffle=shuffle)
    assert same(net, twin)
    assert history.rows == N - count
    assert history.evaluation_cost == pytest.approx(wanted.evaluation_cost, rel=1e-6)
    assert history.evaluation_accuracy == wanted.evaluation_accuracy


def test_a_nan_in_rows_that_are_held_out_is_found(tmp_path):
    x, y, w = arrays("float32")
    x[1000, 4] = np.nan
    stream = npy(tmp_path, x, y, w, memory="20KB")
    with one_line(ValueError, "got nan in column 4 of row 1000 of"):
        network().SGD(stream, 1, 10, 0.1, validation_split=0.1)


@pytest.mark.parametrize(("given", "said"), [
    (lambda folder, *data: npy(folder, *data),
     r"Stream of .*x\.npy: 1,003 rows of 7 columns, float32"),
    (lambda folder, *data: several_npy(folder, *data),
     "Stream of 3 files: 1,003 rows of 7 columns, float32"),
    (lambda folder, *data: npy(folder, *data).rows(2, 9),
     r"7 rows of Stream of .*x\.npy: 1,003 rows of 7 columns, float32")])
def test_a_stream_as_text(given, said, tmp_path):
    assert re.fullmatch(said, repr(given(tmp_path, *arrays("float32"))))


def test_the_footer_of_a_file_is_read_once(tmp_path, monkeypatch):
    x, y, w = arrays("float32")
    stream = parquet(tmp_path, x, y, w)
    pq, given = pytest.importorskip("pyarrow.parquet"), []

    def opened(path, metadata=None, **rest):
        given.append(metadata)
        return ParquetFile(path, metadata=metadata, **rest)

    ParquetFile = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", opened)
    network().SGD(stream, 1, 10, 0.1)
    assert given
    assert None not in given


def test_rows_of_rows(data):
    x, y = data
    part = Blocks(x, y).rows(35, 500).rows(3, 50)
    assert (part.read(0)[0] == x[38:40]).all()
    assert part.where(0) == "row 38"
    for arguments, said in [((3, 3), "at least one, got 3 and 3"), ((0, N + 1), f"rows of {N}"),
                            ((-1, 3), "at least 0, got -1"), (("a", 3), "integer")]:
        with one_line((TypeError, ValueError), said):
            Blocks(x, y).rows(*arguments)
    with one_line(ValueError, r"rank must be an integer in 0..2"):
        Blocks(x, y).part(3, of=3)
    with one_line(ValueError, rf"of must be .* at most the {N} examples"):
        Blocks(x, y).part(0, of=N + 1)


@pytest.mark.parametrize("form", [npy, parquet, hdf5, a_list])
def test_a_stream_is_pickled_without_its_rows(form, data, tmp_path):
    x, y = data
    stream = form(tmp_path, x, y, np.ones(N))
    net, twin = network(), network()
    net.SGD(stream, 1, 10, 0.1)
    pickled = pickle.dumps(stream)
    assert form is a_list or len(pickled) < 20_000 < x.nbytes
    twin.SGD(pickle.loads(pickled), 1, 10, 0.1)
    assert same(net, twin)


def test_other_uses_of_a_stream(data):
    x, y = data
    stream = Blocks(x, y, memory=40_000)
    net, twin = network(), network()
    history = net.SGD(stream, 2, 10, evaluation_data=stream, monitor=["training_cost", "f1"])
    assert history.eta[0] == twin.SGD((x, y), 1, 10).eta[0]
    assert history.evaluation_f1[-1] == pytest.approx(net.measure((x, y))["f1"])
    assert history.training_cost[-1] == pytest.approx(net.total_cost((x, y)), rel=1e-6)
    found = inspect.find_eta(net, stream, steps=30, mini_batch_size=10)
    assert found.suggestion > 0
    net.classes = ["a", "b", "c"]
    names = np.array(["a", "b", "c"])[y]
    assert net.total_cost(Blocks(x, names)) == pytest.approx(net.total_cost((x, names)), rel=1e-6)
    assert net.evaluate(Blocks(x, names)) == net.evaluate((x, names))
    assert not readers()


def test_progress_knows_the_rows(data):
    said = []
    network().SGD(Blocks(*data, memory=40_000), 2, 10, 0.1,
                  progress=lambda epoch, done, rows: said.append((epoch, done, rows)))
    assert said[-1] == (1, N, N)
    assert {rows for _, _, rows in said} == {N}


def test_batches_are_read_anew_in_every_epoch(data):
    x, y = data
    passes = []

    def noisy():
        passes.append(0)
        buffer = np.empty((100, K))  # the generator's own, used again
        for first in range(0, 1000, 100):
            buffer[...] = x[first:first + 100] + len(passes)
            yield buffer, y[first:first + 100]

    for memory in ("1MB", "20KB"):
        passes.clear()
        network().SGD(streams.batches(noisy, rows=1000, memory=memory), 3, 10, 0.1)
        assert len(passes) == 3 + 2  # the type of x, and some rows to know the targets
    images = streams.batches([(x[:N - 3].reshape(-1, K, 1), y[:N - 3])])
    assert (len(images), images.width) == (N - 3, K)


# ---- what is refused ----


@pytest.mark.parametrize(("given", "said"), [
    ([([[1.0] * K], [0]), ([[1.0] * 6], [0])], "7 columns in every batch.* got 6 at row 1"),
    ([(np.ones((2, K), "f4"), [0, 0]), (np.ones((3, K)), [0, 0, 0])],
     "one type in all batches, float32 as in the first, got float64 from row 2 of the batches"),
    ([([[1.0] * K], [0, 1])], r"y of a batch must have a row for each of the 1 rows.*\(2,\)"),
    ([[1.0] * K], r"a batch must be \(x, y\), or .* a list of 7 at row 0"),
    ([1.0], r"a batch must be \(x, y\).* got a float at row 0"),
    ([(1.0, [0])], "x of a batch must have a row for each example, got 1.0 at row 0"),
    ([([["a"] * K], [0])], "x must hold real numbers"),
    ([], "at least one example, got none")])
def test_bad_batches_are_refused(given, said):
    with one_line((TypeError, ValueError), said):
        network().SGD(streams.batches(given), 1, 1, 0.1)


def test_numbers_of_another_byte_order_keep_their_size(tmp_path):
    x, y, w = arrays("float32")
    stream = npy(tmp_path, x.astype(">f4"), y, w, memory="20KB")
    assert stream.dtype == np.float32
    net, twin = network(), network()
    net.SGD(stream, 1, 10, 0.5, shuffle=False)
    twin.SGD((x, y), 1, 10, 0.5, sample_weight=w, shuffle=False)
    assert same(net, twin)


@pytest.mark.parametrize("target", ["a", True, [0, 1], 1.5])
def test_a_target_that_is_no_index(target, tmp_path):
    np.save(tmp_path / "all.npy", np.ones((3, 4)))
    with one_line(TypeError, f"^target must be the index of a .* got {re.escape(repr(target))}$"):
        streams.open(tmp_path / "all.npy", target=target)


def test_sparse_batches_are_told_of_memory_mapped_ones():
    sparse = pytest.importorskip("scipy.sparse")
    with one_line(TypeError, "dense, got a sparse csr_matrix at row 0 of .*: a CSR .*map"):
        network().SGD(streams.batches([(sparse.csr_matrix(np.eye(K)), [0] * K)]), 1, 1, 0.1)


@pytest.mark.parametrize(("others", "said"), [
    (lambda x, y: (x, y, np.full(len(x), 5.0)),
     r"alike in weights, got None in the first and rows of shape \(\) in the one from row 30 of"),
    (lambda x, y: (x, np.eye(3)[y]),
     r"alike in y, got rows of shape \(\) in the first and rows of shape \(3,\) in the one from"),
])
def test_batches_that_are_not_alike(others, said):
    x, y = np.random.default_rng(0).random((60, 4)), np.arange(60) % 3

    def given():
        yield x[:30], y[:30]
        yield others(x[30:], y[30:])

    with pytest.raises(ValueError, match=f"^batches must be {said}"):
        Network([4, 3], seed=0).SGD(streams.batches(given), 1, 10, 0.1)


@pytest.mark.parametrize("rows", [20, 30])
def test_no_batch_is_dropped_where_rows_end_with_a_batch(rows):
    x, y = np.random.default_rng(0).random((40, 4)), np.arange(40) % 3
    given = [(x[at:at + 10], y[at:at + 10]) for at in range(0, 40, 10)]
    with pytest.raises(ValueError, match=f"^batches must have {rows} rows in every pass, got more"):
        Network([4, 3], seed=0).SGD(streams.batches(given, rows=rows), 1, 10, 0.1)


def test_a_function_that_returns_no_batches():
    with one_line(TypeError, r"source must return an iterable of \(x, y\) batches, got None"):
        Network([4, 3], seed=0).SGD(streams.batches(lambda: None), 1, 10, 0.1)


@pytest.mark.parametrize(("rows", "said"), [(9, "9 rows in every pass, got more"),
                                            (11, "11 rows in every pass, got 10")])
def test_the_number_of_rows_must_be_true(rows, said):
    with one_line(ValueError, said):
        network().SGD(streams.batches([(np.ones((10, K)), [0] * 10)], rows=rows), 1, 5, 0.1)


@pytest.mark.parametrize("bounds", [[0, 50], [0, 30, 30], [5, 40], [0, 30, 20], [0.0, 40.0], [0]])
def test_bounds_must_be_true(bounds):
    class Wrong(Blocks):
        bounds = property(lambda self: np.array(bounds))

    with one_line(ValueError, "bounds"):
        network().SGD(Wrong(np.ones((40, K)), np.zeros(40, int)), 1, 5, 0.1)


@pytest.mark.parametrize(("call", "error", "said"), [
    (lambda s: streams.batches(iter([])), TypeError, "source must be .* give the function"),
    (lambda s: streams.batches(3), TypeError, "source must be an iterable .* got 3"),
    (lambda s: streams.batches([], memory=True), TypeError, "memory must be a number .* got True"),
    (lambda s: streams.batches([], rows=0), ValueError, "rows must be .* got 0"),
    (lambda s: streams.batches([], memory="much"), ValueError, "memory must be .* got 'much'"),
    (lambda s: streams.batches([], memory="5TB"), ValueError, "memory must be .* got '5TB'"),
    (lambda s: streams.batches([], memory=2.5), TypeError, "memory must be .* got 2.5"),
    (lambda s: network().SGD(s, 1, 10, 0.1, sample_weight=np.ones(N)), TypeError,
     "sample_weight and class_weight need .* own weights"),
    (lambda s: network().SGD(s, 1, 10, 0.1, validation_split=0.1), TypeError,
     r"validation_split needs .* Stream whose `keeps` is False: .* rows\(\) makes"),
    (lambda s: streams.open("x.npy", memry=1), TypeError, r"'memry': did you mean 'memory'\?$"),
    (lambda s: streams.batches([], row=5), TypeError, r"'row': did you mean 'rows'\?$"),
    (lambda s: streams.open("x.npy", "y.npy", 3), TypeError,
     r"open\(\) takes x, y without a keyword, got 3 arguments"),
    (lambda s: network().SGD(s, 1, N + 1, 0.1), ValueError, "at most the 1003 examples"),
    (lambda s: Network([K + 1, 3]).SGD(s, 1, 1, 0.1), ValueError,
     r"x of training_data must have sizes\[0\] = 8 columns, got shape \(1003, 7\)"),
    (lambda s: network().LBFGS(s, 3), TypeError, r"must be \(x, y\) arrays"),
    (lambda s: network().feedforward(s), TypeError,
     r"^a must be rows in an array, got <.*>, whose read\(block\) returns x and y of a block$"),
    (lambda s: network().SGD(Blocks(s.x, s.y, memory=1000), 1, 10, 0.1), ValueError,
     "memory must hold two mini-batches of 10 rows of training_data, 1,829 bytes, got 1,000")])
def test_bad_arguments_are_refused(call, error, said, data):
    with one_line(error, said):
        call(Blocks(*data))
    assert not readers()


@pytest.mark.parametrize(("given", "error", "said"), [
    (["x.npy"], TypeError, "target must be the index of a column, or y must name .* got None"),
    (["x.npy", "few.npy"], ValueError, r"few.npy must have as many rows as .*x.npy, 10"),
    (["x.npy", ["y.npy", "y.npy"]], ValueError, "y must be 1 files, as x, got 2"),
    (["none.npy"], FileNotFoundError, "none.npy"),
    (["empty"], FileNotFoundError, "x must be a folder with files, got .*empty"),
    (["none*.npy"], FileNotFoundError, "x must match a file, got .*none"),
    (["text.npy"], ValueError, "text.npy must be a file of .npy, .npz, Parquet"),
    (["cut.npy", "y.npy"], ValueError, "cut.npy must be a whole file of NumPy, 688 bytes .*, got"),
    (["long.npy", "y.npy"], ValueError, "long.npy must be a whole .*, 688 bytes .*, got 689$"),
    (["fortran.npy", "y.npy"], ValueError, "fortran.npy must lie row by row, got an array in For"),
    (["names.npy", "y.npy"], TypeError, "names.npy must hold real numbers, got dtype <U1"),
    (["packed.npz"], ValueError, "'x' of .*packed.npz must not be compressed"),
    (["other.npz"], ValueError, r"other.npz must have an array 'x', got \['a', 'b'\]"),
    (["other.npz", "y.npy"], ValueError, "y must be None for .*other.npz"),
    ([["x.npy", "wide.npy"], ["y.npy", "y.npy"]], ValueError,
     "wide.npy must have the columns of .*x.npy, got 8 columns .* for 7 columns"),
    ([["x.npy", "bytes.npy"], ["y.npy", "y.npy"]], ValueError,
     "bytes.npy must .*, got 7 columns of uint8 in x for 7 columns of float64 in x"),
    ([["x.npy", "other.npz"], ["y.npy", "y.npy"]], ValueError, "other.npz must be of the format"),
    ([3], TypeError, "x must be a path, or a list of paths, got 3"),
    ([[]], ValueError, "x must be a file, got 0")])
def test_bad_files_are_refused_by_name(given, error, said, tmp_path):
    x = np.ones((10, K))
    (tmp_path / "empty").mkdir()
    for name, values in {"x": x, "few": np.zeros(9), "y": np.zeros(10, int), "wide": np.ones(
            (10, 8)), "bytes": x.astype("u1"), "names": np.full((10, K), "a")}.items():
        np.save(tmp_path / f"{name}.npy", values)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(np.ones((10, K))))
    (tmp_path / "text.npy").write_text("a,b\n1,2\n")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-9])
    (tmp_path / "long.npy").write_bytes((tmp_path / "x.npy").read_bytes() + b"x")
    np.savez_compressed(tmp_path / "packed.npz", x=x, y=x[:, 0])
    np.savez(tmp_path / "other.npz", a=x, b=x)

    def there(name):
        if isinstance(name, list):
            return [there(each) for each in name]
        return tmp_path / name if isinstance(name, str) else name

    with one_line(error, said):
        streams.open(*map(there, given))


@pytest.mark.parametrize(("second", "given", "said"), [
    ({"a": [1.0], "label": [1]}, {}, "second.parquet must have the columns of .*first.parquet, "
                                     "got column 'label' of int64 for column 'b' of double"),
    ({"a": [1.0], "b": [1], "label": [1]}, {}, "column 'b' of int64 for column 'b' of double"),
    ({"a": [1.0], "b": [1.0], "c": [1.0], "label": [1]}, {}, "got column 'c' of double for colu"),
    (None, {"target": "lable"}, "target must name columns of .*first.*; did you mean 'label'"),
    (None, {"target": None}, r"target must name the column of .*\['a', 'b', 'label'\]"),
    (None, {"columns": ["a", "z"]}, "columns must name columns of .*, got 'z'"),
    (None, {"columns": []}, "columns must be at least one of"),
    (None, {"sample_weight": "z"}, "sample_weight must name columns of .*, got 'z'"),
    ({"a": ["u"], "b": [1.0], "label": [1]}, {}, "real numbers, got column 'a' of .*second.* of "
                                                 "type string: columns= leaves it out")])
@pytest.mark.parametrize("write", ["parquet", "feather"])
def test_tables_that_do_not_fit_are_refused_by_file_and_column(
    write, second, given, said, tmp_path
):
    pa = pytest.importorskip("pyarrow")
    if write == "parquet":
        write = pytest.importorskip("pyarrow.parquet").write_table
    else:
        write = pytest.importorskip("pyarrow.feather").write_feather
    one = {"a": [1.0, 2.0], "b": [1.0, 2.0], "label": [0, 1]}
    for name, columns in (("first", one), ("second", second or one)):
        write(pa.table(columns), str(tmp_path / f"{name}.parquet"))
    with one_line((TypeError, ValueError), said):
        streams.open(tmp_path / "*.parquet", **({"target": "label"} | given))


def test_columns_of_tables(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({
        "a": pa.array([1, 2, 3], pa.int16()), "b": pa.array([True, False, True]),
        "d": pa.array([None, 1.0, 2.0]), "e": pa.array([1.5, 2.5, 3.5], pa.float16()),
        "name": pa.array(["x", "y", "x"]).dictionary_encode(), "z": [0.0, 0.5, 1.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    path = tmp_path / "a.parquet"
    stream = streams.open(path, target=["z", "a"], columns=["b", "a", "e"])
    x, y = stream.read(0)
    assert (x.dtype, x.tolist()) == ("float32", [[1, 1, 1.5], [0, 2, 2.5], [1, 3, 3.5]])
    assert y.tolist() == [[0, 1], [0.5, 2], [1, 3]]
    x, y = streams.open(path, target="name", columns="b").read(0)
    assert y.tolist() == ["x", "y", "x"]
    with one_line(TypeError, "y of training_data must hold real numbers, .*'x'.*in row 0 of "):
        Network([1, 2]).SGD(streams.open(path, target="name", columns="b"), 1, 1, 0.1)
    with one_line(ValueError, "^column 'd' must not have missing values, got one in row 0 of "):
        Network([1, 1]).SGD(streams.open(path, target="z", columns="d"), 1, 1, 0.1)


@pytest.mark.parametrize(("magic", "module", "extra"), [
    (b"PAR1", "pyarrow", "arrow"), (b"ARROW1\0\0", "pyarrow", "arrow"),
    (b"\x89HDF\r\n\x1a\n", "h5py", "hdf5")])
def test_a_missing_library_is_named_with_its_extra(magic, module, extra, monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(magic + bytes(100))
    monkeypatch.setitem(sys.modules, module, None)
    with one_line(ModuleNotFoundError, rf"streams.open needs {module}: "
                                       rf"pip install 'cbackprop\[{extra}\]'"):
        streams.open(tmp_path / "file", target="y")


@pytest.mark.parametrize("magic", [b"\x93NUMPY\1\0", b"PK\3\4", b"PAR1", b"ARROW1\0\0",
                                   b"\x89HDF\r\n\x1a\n"])
def test_damaged_files_are_named(magic, tmp_path):
    if magic[:3] in (b"PAR", b"ARR"):
        pytest.importorskip("pyarrow")
    if b"HDF" in magic:
        pytest.importorskip("h5py")
    (tmp_path / "file").write_bytes(magic + bytes(100))
    with one_line(ValueError, r"file must be a whole file of (NumPy|Parquet|Arrow|HDF5), got "):
        streams.open(tmp_path / "file", target="y")


@pytest.mark.slow
def test_two_gigabytes_are_trained_on_in_less_than_512_megabytes(tmp_path):
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (2**29, 2**29))
import numpy as np
from cbackprop import Network, streams
stream = streams.open(*sys.argv[1:3])
net = Network([4096, 2], output_activation="softmax", cost="log_likelihood", seed=0)
history = net.SGD(stream, 1, 1000, 0.1, test_data=stream.rows(0, 10**5))
assert history.rows == 2**19
with open("/proc/self/status") as status:  # getrusage counts what stood here before the exec
    (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
print(int(peak) * 1024)
"""
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (2**19, 4096))  # sparse
    assert x.nbytes == 2**31
    del x
    np.save(tmp_path / "y.npy", np.arange(2**19) % 2)
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x.npy"), str(tmp_path / "y.npy")],
        capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) < 2**29
