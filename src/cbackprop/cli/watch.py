"""Watch: a page that shows a network, the user's own or a small problem's, and trains it."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import Network
from cbackprop.cli import data
from cbackprop.cli.output import Output
from cbackprop.cli.saved import is_network, named
from cbackprop.datasets import one_hot
from cbackprop.table_training import prepare_table
from cbackprop.tables.settings import TargetScale

if TYPE_CHECKING:
    from cbackprop.watch import Problem

HIDDEN = 8  # neurons for a table: as many as can be drawn
BATCH = 10
PACE = 25  # epochs in a second
SMALL = 10_000  # rows up to which epochs can be that many


def watch(args: argparse.Namespace, output: Output) -> None:
    """Serve the page until Ctrl-C."""
    import webbrowser

    from cbackprop.watch import Server, Session

    problem, network = _asked(args)
    with Server(Session(problem, network, seed=args.seed), args.port) as server:
        output.line(f"watch: {server.address}")
        output.line("Ctrl-C ends it.")
        output.add(command="watch", address=server.address, network=args.file, source=args.data)
        output.end()
        if args.browser:
            webbrowser.open(server.address)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(1.0)
    output.line("ended")


def _asked(args: argparse.Namespace) -> tuple[Problem | None, Network | None]:
    if args.file is not None:
        if args.target:
            raise ValueError(f"--target must be left out beside a network, which has its own, "
                             f"got {args.target[0]}")
        if args.data is None and os.path.exists(args.file) and not is_network(args.file):
            raise ValueError(f"the file without an option must be a saved network: cbackprop watch "
                             f"--data {shlex.quote(args.file)}")
        net, found = named(args)
        x, y, _ = data.for_network(net, found)
        if y is None:
            raise ValueError(f"{found.source} must hold targets to be learned, got none")
        x, y = net.data((x, y))
        return _problem(found.source, x, _targets(y, net.sizes[-1]), network=net), net
    if args.data is None:
        return None, None
    found = data.load(args.data, args.text, images=not args.target)
    if found.table is None:
        assert found.x is not None
        assert found.y is not None
        classes = 1 + int(found.y.max(initial=0))
        made = {"input_scale": 1 / 255}
        return _problem(found.source, found.x, one_hot(found.y, classes), made, [30],
                        classes=tuple(map(str, range(classes)))), None
    return _of_table(found.table, args), None


def _of_table(table: Any, args: argparse.Namespace) -> Problem:
    """Return the problem of a table: its columns as a training would take them."""
    target = args.target[0] if args.target and len(args.target) == 1 else args.target
    prepared = prepare_table(table, target, hidden=[HIDDEN], activation="sigmoid",
                             optimizer="sgd", validation_split=0.0, seed=args.seed)
    net, target = prepared.network, prepared.target
    y = np.asarray(target.y)
    if prepared.settings.scales_targets:
        y = TargetScale.of(y.astype(float)).scaled(y)
    assert net.preprocessing is not None
    made = {name: value for name, value in prepared.settings.network().items() if name != "sizes"}
    return _problem(table.source, net.inputs(table.without(target.names)),
                    _targets(y, net.sizes[-1]), made, [HIDDEN],
                    inputs=tuple(map(str, net.preprocessing.columns)),
                    classes=target.classes and tuple(map(str, target.classes)))


def _problem(
    name: str, x: NDArray[Any], y: NDArray[Any], made: dict[str, Any] | None = None,
    hidden: Any = (), *, network: Network | None = None, inputs: Any = None, classes: Any = None,
) -> Problem:
    from cbackprop.watch import Problem

    if network is not None:
        made = network.settings()
        hidden = made.pop("sizes")[1:-1]
        classes = network.classes and tuple(map(str, network.classes))
        if network.preprocessing is not None:
            inputs = tuple(map(str, network.preprocessing.columns))
    return Problem(name, lambda: (x, y), hidden, eta=None, batch=BATCH,
                   pace=PACE if len(x) <= SMALL else 0, network=made or {}, inputs=inputs,
                   classes=classes)


def _targets(y: Any, outputs: int) -> NDArray[Any]:
    """Return labels and numbers as targets of shape (n, out)."""
    y = np.asarray(y)
    if y.ndim == 1 and outputs > 1:
        return one_hot(y, outputs)
    return y.reshape(len(y), -1).astype(float)
