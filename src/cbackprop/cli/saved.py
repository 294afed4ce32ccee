"""What is done with a saved network: evaluate, predict, info, gradcheck."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from cbackprop import Network, config, storage
from cbackprop._check import integer
from cbackprop.cli import data
from cbackprop.cli.output import Output
from cbackprop.cli.report import Report
from cbackprop.metrics import CLASSES

IMAGES = 784  # inputs of what is meant for MNIST


def evaluate(args: argparse.Namespace, output: Output) -> None:
    """Print how well a saved network does."""
    net, loaded = named(args)
    x, y, rows = data.for_network(net, loaded)
    if y is None:
        raise ValueError(f"{loaded.source} must hold targets to be evaluated, got none: "
                         f"cbackprop predict needs none")
    report = Report(net, x, y, lambda row: loaded.where(int(rows[row])))
    output.lines(report.lines("rows"))
    output.add(command="evaluate", network=args.file, source=loaded.source, **report.facts())


def predict(args: argparse.Namespace, output: Output) -> None:
    """Print what a saved network makes of each row, or write it to a file."""
    if args.output is not None:
        storage.destination(args.output)
    net, loaded = named(args)
    x, _, _ = data.for_network(net, loaded)
    predictions = net.predict(x)
    columns = {name: predictions if predictions.ndim == 1 else predictions[:, at]
               for at, name in enumerate(_names(net, predictions))}
    if args.proba:
        shares = net.predict_proba(x)
        columns |= dict(zip(_share_names(net, shares.shape[1]), shares.T, strict=True))
    output.add(command="predict", network=args.file, source=loaded.source, columns=columns)
    if args.output is not None:
        with storage.replacing(args.output) as file:
            file.write("".join(_csv(columns, header=True)).encode())
        output.line(f"{len(predictions)} rows written to {args.output}")
        return
    output.lines(line.rstrip("\n") for line in _csv(columns, header=len(columns) > 1))


def info(args: argparse.Namespace, output: Output) -> None:
    """Print what this installation is, and what a saved network is."""
    net = None if args.file is None else Network.load(args.file)
    found = config.config()
    output.lines(f"{name:<16} {value}" for name, value in found.items())
    output.add(command="info", installation=found)
    if net is None:
        return
    output.lines(["", f"{'network':<16} {args.file}", *str(net.summary()).splitlines()])
    output.add(network=args.file, parameters=net.engine.core.parameters.size,
               classes=net.classes,
               settings={name: _plain(value) for name, value in net.settings().items()})
    if net.preprocessing is not None:
        output.lines(["", net.preprocessing.summary()])
        output.add(columns=net.preprocessing.names, inputs=net.preprocessing.columns,
                   target=net.preprocessing.target)
    if net.classes is not None:
        output.lines(["", f"{'classes':<16} {', '.join(map(str, net.classes))}"])


def gradcheck(args: argparse.Namespace, output: Output) -> None:
    """Compare a saved network's backpropagation with differences; an error if they are apart."""
    from cbackprop.inspect import gradient_check

    n = integer("--rows", args.rows, 1)
    if args.sample is not None:
        integer("--sample", args.sample, 1)
    net = _network(args)
    if args.data is None:
        rng = np.random.default_rng(args.seed)
        scale = np.where(np.equal(net.input_scale, 0), 1, net.input_scale)
        x: Any = rng.random((n, net.sizes[0])) / scale
        y: Any = rng.random((n, net.sizes[-1]))
    else:
        x, y, _ = data.for_network(net, data.load(args.data, args.text))
        if y is None:
            raise ValueError(f"{args.data} must hold targets, got none")
        x, y = x[:n], y[:n]
    found = gradient_check(net, x, y, sample=args.sample, seed=args.seed)
    if not found.passed:
        raise ValueError(f"{args.file}: gradient check {found}")
    output.line(f"gradient check {found}")
    output.add(command="gradcheck", network=args.file, passed=True, text=str(found))


def is_network(path: str) -> bool:
    """Return whether a file is a saved network."""
    try:
        Network.load(path)
    except (ValueError, OSError, ImportError):
        return False
    return True


def _network(args: argparse.Namespace) -> Network:
    """Load the network; if the data stand in its place, say so."""
    try:
        return Network.load(args.file)
    except ValueError:
        if args.data is None or not is_network(args.data):
            raise
        raise ValueError(f"the network comes first: cbackprop {args.command_name} {args.data} "
                         f"{args.file}") from None


def named(args: argparse.Namespace) -> tuple[Network, data.Data]:
    """Return the network that was named and its data: MNIST's, if they fit and none were."""
    net = _network(args)
    source = args.data
    if source is None:
        if net.sizes[0] != IMAGES or (net.preprocessing is not None and net.preprocessing.named):
            raise ValueError(f"{args.command_name} needs the data, as in cbackprop "
                             f"{args.command_name} {args.file} data.csv")
        source = "mnist"
    return net, data.load(source, args.text)


def _names(net: Network, predictions: Any) -> list[str]:
    """Return what predictions are called: as the target, if its name is known."""
    count = 1 if predictions.ndim == 1 else predictions.shape[1]
    if net.preprocessing is not None and len(net.preprocessing.target) == count and (
            net.preprocessing.named):
        return list(net.preprocessing.target)
    return ["prediction"] if count == 1 else [f"prediction {at + 1}" for at in range(count)]


def _share_names(net: Network, count: int) -> list[str]:
    kind = net.trained_on
    if net.classes is not None:
        names = list(map(str, net.classes))
    elif kind is not None and kind.name == CLASSES and net.sizes[-1] == 1:
        names = [f"{kind.low:g}", f"{kind.high:g}"]
    else:
        names = list(map(str, range(count)))
    return [f"p of {name}" for name in names]


def _csv(columns: dict[str, Any], header: bool) -> Iterator[str]:
    """Return lines of CSV."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    rows = zip(*(column.tolist() if column.dtype.kind in "OUib" else map(str, column)
                 for column in columns.values()), strict=True)
    for row in ([tuple(columns)] if header else []):
        yield _row(writer, line, row)
    for row in rows:
        yield _row(writer, line, row)


def _row(writer: Any, line: io.StringIO, row: Any) -> str:
    line.seek(0)
    line.truncate()
    writer.writerow(row)
    return line.getvalue()


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, list, tuple, np.ndarray)) else str(value)
