"""
Epochs of rows on a disk, in the page cache: a Stream, the same rows in memory, and PyTorch.

Each trains in one thread; a Stream's reader has the second core. It is checked that a Stream whose
memory holds all rows gives the weights of arrays, else nothing is timed. Then a Stream whose buffer
is a sixteenth of the rows, arrays, and PyTorch are timed in turns. PyTorch reads as our reader
does: blocks of a memory map in random order, a buffer that is shuffled, whole mini-batches.

    python benchmarks/streaming.py [--work NAME ...] [--repeat N] [--tiny] [--json FILE]
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import common
from command import Bound, Command, Results
from common import interleaved, stopwatch, table

START = common.before_numpy(threads=2)

import numpy as np  # noqa: E402  only now

import cbackprop  # noqa: E402
from cbackprop import streams  # noqa: E402

try:
    import torch
except ModuleNotFoundError:
    torch = None


class Work(NamedTuple):
    """Rows of a file, and a network in mini-batches of m."""

    rows: int
    inputs: int
    dtype: str
    hidden: int
    m: int


WORKS = {
    "bytes, 784-30-10x10": Work(200_000, 784, "uint8", 30, 10),
    "bytes, 784-100-10x128": Work(200_000, 784, "uint8", 100, 128),
    "float32, 784-30-10x10": Work(50_000, 784, "float32", 30, 10),
    "float32, 28-300-10x128": Work(1_000_000, 28, "float32", 300, 128),
}
PARTS = 16  # of the rows, of which a buffer is one
ETA, TO_REACH = 0.1, 0.85


def written(work: Work, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write x and y to files, and return them."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (work.rows, work.inputs), np.uint8)
    if work.dtype != "uint8":
        x = x.astype(work.dtype) / 255
    y = rng.integers(0, 10, work.rows)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    return x, y


def network(work: Work) -> cbackprop.Network:
    return cbackprop.Network(
        [work.inputs, work.hidden, 10], seed=0, threads=1, cost="cross_entropy",
        input_scale=1 / 255 if work.dtype == "uint8" else 1.0)


def opened(folder: Path, memory: int) -> streams.Stream:
    return streams.open(folder / "x.npy", folder / "y.npy", memory=memory)


def check(work: Work, folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    """End the program unless a Stream of all rows gives the weights of arrays."""
    nets = []
    for data in ((x, y), opened(folder, 3 * x.nbytes + 64 * len(x))):
        nets.append(network(work))
        nets[-1].SGD(data, 1, work.m, ETA)
    if not all(map(np.array_equal, *(net.weights for net in nets))):
        raise SystemExit(f"{work}: a Stream gives other weights than arrays: not timed")


def epoch_of_torch(work: Work, folder: Path, size: int) -> Callable[[], None]:
    """Return a function that trains a network of PyTorch for an epoch."""
    torch.set_num_threads(1)
    x = np.load(folder / "x.npy", mmap_mode="r")
    y = torch.from_numpy(np.load(folder / "y.npy"))
    block = max(1, min(size // 8, 2**20 // (x.itemsize * work.inputs)))
    rng = np.random.default_rng(0)

    class Batches(torch.utils.data.IterableDataset):
        def __iter__(self) -> Iterator[Any]:
            starts = rng.permutation(np.arange(0, work.rows, block))
            for some in np.array_split(starts, -(-work.rows // size)):
                rows = np.concatenate([np.arange(at, min(at + block, work.rows))
                                       for at in np.sort(some)])
                buffer = np.concatenate([x[at:at + block] for at in np.sort(some)])
                given, wanted = torch.from_numpy(buffer), y[rows]
                order = torch.from_numpy(rng.permutation(len(rows)))
                for part in torch.split(order, work.m):
                    yield given[part], wanted[part]

    scale = 1 / 255 if work.dtype == "uint8" else 1.0
    net = torch.nn.Sequential(torch.nn.Linear(work.inputs, work.hidden), torch.nn.Sigmoid(),
                              torch.nn.Linear(work.hidden, 10))
    optimizer, loss = torch.optim.SGD(net.parameters(), ETA), torch.nn.CrossEntropyLoss()
    loader = torch.utils.data.DataLoader(Batches(), batch_size=None)

    def epoch() -> None:
        for given, wanted in loader:
            optimizer.zero_grad(set_to_none=True)
            loss(net(given.float() * scale), wanted).backward()
            optimizer.step()

    return epoch


def race(name: str, tiny: bool, repeat: int) -> dict[str, Any]:
    """Check and time one work; return everything measured."""
    work = WORKS[name]
    if tiny:
        work = work._replace(rows=2000)
    with tempfile.TemporaryDirectory() as folder:
        x, y = written(work, Path(folder))
        check(work, Path(folder), x, y)
        row = work.inputs * x.itemsize + 52  # 44 for y, 8 for the order
        stream = opened(Path(folder), 2 * row * max(2 * work.m, work.rows // PARTS))
        epochs: dict[str, Callable[[], Any]] = {
            kind: partial(network(work).SGD, data, 1, work.m, ETA)
            for kind, data in (("memory", (x, y)), ("stream", stream))}
        if torch is not None:
            epochs["torch"] = epoch_of_torch(work, Path(folder), work.rows // PARTS)
        timings = interleaved([partial(stopwatch, epoch) for epoch in epochs.values()], repeat)
    found = {kind: {**timing.as_dict(), "rows_per_second": work.rows / timing.best}
             for kind, timing in zip(epochs, timings, strict=True)}
    return {"rows": work.rows, "megabytes": x.nbytes / 1e6, **found,
            "share": found["memory"]["best"] / found["stream"]["best"]}


def measure(arguments: argparse.Namespace) -> Results:
    results = {name: race(name, arguments.tiny, arguments.repeat) for name in arguments.work}
    print(f"\nrows per second of an epoch, the best of {arguments.repeat}")
    print(table(("", "MB", "in memory", "Stream", "share", "PyTorch"), [
        (name, f"{one['megabytes']:.0f}",
         *(f"{one[kind]['rows_per_second']:,.0f}" for kind in ("memory", "stream")),
         f"{one['share']:.2f}",
         f"{one['torch']['rows_per_second']:,.0f}" if "torch" in one else "absent")
        for name, one in results.items()]))
    worst = min(results, key=lambda name: results[name]["share"])
    return {"works": results, "bounds": [Bound(
        f"speed of a Stream, as a share of that in memory (least: {worst})", TO_REACH,
        results[worst]["share"])]}


main = Command("streaming", __doc__, START, measure, repeat=15, works=[*WORKS],
               aim="with a core that reads")


if __name__ == "__main__":
    main()
