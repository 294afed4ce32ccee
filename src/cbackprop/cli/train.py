"""Train: say what was read and decided, how each epoch went, and what it is worth; save it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import Any

import numpy as np

from cbackprop import History, Network, _check, _words, mpi, storage
from cbackprop.callbacks import Checkpoint
from cbackprop.cli import data, progress
from cbackprop.cli.images import ImageTraining
from cbackprop.cli.output import Output
from cbackprop.cli.report import WORST, Report
from cbackprop.cli.streamed import StreamTraining, is_in_blocks
from cbackprop.table_training import TableTraining, prepare_table
from cbackprop.tables.settings import NETWORK, TRAINING

CHECKPOINT_SECONDS = 60
LAUNCHERS = "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"  # how many processes MPICH or Open MPI started
FEWEST = 10  # rows, of which some can be spared for a test


def train(args: argparse.Namespace, output: Output) -> None:
    """Train a network, say how each epoch went, and save it if asked to."""
    comm = mpi.world("--distributed") if args.distributed else None
    processes = max(int(os.environ.get(name) or 1) for name in LAUNCHERS)
    if processes > 1 and comm is None:
        _words.warn(f"mpiexec has started {processes} processes, and each trains a network of its "
                    "own: --distributed trains one")
    ranks = mpi.processes(comm)
    ranks.together(lambda: _train(args, output, comm, ranks.rank))


def _train(args: argparse.Namespace, output: Output, comm: Any, rank: int) -> None:
    if args.save is not None:
        _check_destination(args.save)
    if args.resume and args.checkpoint is None:
        raise ValueError("--resume needs --checkpoint FILE, the file to go on from, got none")
    _check_arguments(args)
    loaded, training = _prepared(args)
    for line in training.lines:
        output.line(line)
    net = training.network
    output.line(f"{net} on {len(training.rows['training'])} examples")
    given: dict[str, Any] = {"comm": comm, "class_weight": args.class_weight}
    if args.dropout is not None:
        given["dropout"] = args.dropout
    calls, interrupted = progress.shown(output), False
    if args.checkpoint is not None:
        calls.append(Checkpoint(last=args.checkpoint, every_seconds=CHECKPOINT_SECONDS))
    if args.resume:
        given["resume"] = args.checkpoint
        output.line(f"resumed: {args.checkpoint}" if os.path.exists(args.checkpoint) else
                    f"resumed: nothing, for {args.checkpoint} is not there yet")
    try:
        training.run(calls, **given)
    except KeyboardInterrupt:
        interrupted = True
    if rank:  # rank 0 alone reports and saves
        if interrupted:
            raise KeyboardInterrupt
        return
    history = net.history
    _say_how_it_went(history, interrupted, output)
    rows = "test" if len(training.rows["test"]) else "training"
    chosen = training.rows[rows]
    x, y = training.part(rows)
    report = Report(net, x, y, lambda row: loaded.where(int(chosen[row])))
    output.line(report.summary(f"{rows} rows"), result=True)
    for line in report.mistake_lines():
        output.line(line)
    if args.save is not None:
        net.save(args.save)
        output.line(f"saved: {args.save}")
    output.add(
        command="train", source=args.data, rows={name: len(part) for name, part in
                                                 training.rows.items()},
        lines=list(training.lines), settings=_settings(training), epochs=len(history or ()),
        seconds=sum(history.seconds) if history else 0.0, interrupted=interrupted,
        measured_on=rows, **{name: fact for name, fact in
                             report.facts(WORST, whole=False).items() if name != "rows"},
        history={name: history.series(name) for name in history.recorded} if history else {},
        saved=args.save)
    if not isinstance(training, ImageTraining):
        output.add(target=training.target.name, classes=training.target.classes)
    if interrupted:
        output.end()
        raise KeyboardInterrupt
    output.line(f"next: {_next(args, getattr(training, 'file', args.data))}")


def _prepared(
    args: argparse.Namespace,
) -> tuple[data.Data | StreamTraining, ImageTraining | TableTraining | StreamTraining]:
    """Load the data and make the network, of which everything is given or decided."""
    given = {name: getattr(args, name) for name in (*NETWORK, *TRAINING, "hidden")}
    made = {name: getattr(args, name) for name in ("seed", "dtype", "compute_dtype", "threads")}
    target = args.target[0] if args.target and len(args.target) == 1 else args.target
    if args.memory is not None or is_in_blocks(args.data):
        if args.book:
            raise ValueError(f"--book needs images of bytes, as MNIST's, got {args.data}, a table "
                             "that is read block by block")
        streamed = StreamTraining(
            args.data, args.memory, target, kind=args.kind, left_out=args.left_out or (),
            test_split=args.test_split, **made, **given)
        return streamed, streamed
    as_images = args.kind in (None, "classification") and args.target is None and not args.left_out
    loaded = data.load(args.data, args.text, images=as_images or args.book)
    if loaded.table is None and (args.target or args.left_out):
        raise ValueError(f"--target and --left-out must be of a table, got {args.data}, images "
                         f"and their labels")
    if loaded.table is None:
        return loaded, ImageTraining(
            loaded, book=args.book, test_split=args.test_split, **made, **given)
    if args.book:
        raise ValueError(f"--book needs images of bytes, as MNIST's, got {args.data}, a table")
    table = loaded.table
    test: Any = args.test_split if len(table) >= FEWEST else 0.0
    if loaded.training is not None:
        test = range(loaded.training, len(table))
    return loaded, prepare_table(
        table, target, kind=args.kind, left_out=args.left_out or (), test_split=test,
        **made, **given)


def _check_arguments(args: argparse.Namespace) -> None:
    """See that numbers are right before data are read: one row with such settings is prepared."""
    for name in ("test_split", "validation_split"):
        if getattr(args, name) is not None:
            _check.number(name, getattr(args, name), 0, 1)
    for name in ("mini_batch_size", "patience"):
        if getattr(args, name) is not None:
            _check.integer(name, getattr(args, name), 1)
    for size in args.hidden or ():
        _check.integer("hidden", size, 1)
    sizes = args.sizes or [1, *(args.hidden or [1]), 1]
    given = {name: getattr(args, name) for name in (*NETWORK, "dtype", "compute_dtype", "threads")
             if name not in ("sizes", "initializer") and getattr(args, name) is not None}
    net = Network(sizes, **given, initializer="zeros")
    options = {"eta": 1.0} | {
        name: getattr(args, name) for name in ("optimizer", "eta", "lmbda", "dropout")
        if getattr(args, name) is not None}
    net.prepare((np.zeros((1, sizes[0])), np.eye(1, sizes[-1])),
                1 if args.epochs is None else args.epochs, 1, **options)


def _say_how_it_went(history: History | None, interrupted: bool, output: Output) -> None:
    epochs = len(history or ())
    if interrupted:
        output.line(f"interrupted after {epochs} whole epochs; what it has learned so far:")
    elif history:
        seconds = sum(history.seconds)
        early = "; it had stopped getting better" * (epochs < history.epochs)
        output.line(f"trained: {epochs} epochs in {seconds:.2f} s, "
                    f"{epochs * history.rows / seconds:,.0f} rows per second{early}")


def _settings(training: ImageTraining | TableTraining | StreamTraining) -> dict[str, Any]:
    if isinstance(training, ImageTraining):
        return training.values | {"sizes": list(training.network.sizes)}
    return training.settings.values


def _next(args: argparse.Namespace, data: str) -> str:
    """Return the command to try next, with data that may be predicted."""
    source = shlex.quote(data)
    if args.save is not None:
        return f"cbackprop predict {shlex.quote(args.save)} {source}"
    again = [shlex.quote(word) for word in (args.words or sys.argv[1:])]
    return " ".join(["cbackprop", *again, "--save net.npz"])


def _check_destination(path: str) -> None:
    try:
        storage.destination(path)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        raise OSError(f"--save must name a file in a folder that exists and is writable, "
                      f"got {path!r}: {reason}") from None
