"""The arguments of the commands, and what is answered to those that there are not."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from cbackprop import __version__, _words, initializers, layers, optimizers, precision
from cbackprop.cli import saved
from cbackprop.cli.bench import bench
from cbackprop.cli.data import NAMES
from cbackprop.cli.train import train
from cbackprop.cli.watch import watch
from cbackprop.core import _dispatch, table
from cbackprop.tables.settings import FLAGS, NETWORK, TRAINING
from cbackprop.tables.target import KIND_BY_NAME

ARGUMENTS = (  # that errors and warnings speak of
    *NETWORK, *TRAINING, "hidden", "target", "kind", "left_out", "test_split", "text", "dropout",
    "threads", "dtype", "compute_dtype", "seed")
TEXT = r"""(?:'[^']*'|"[^"]*")"""
DATA = ("mnist (the bundled 6,000 digits), mnist-full (all 70,000), a folder of MNIST's files, a "
        "table (CSV in any dialect, .npy, .npz, Parquet, Arrow, Excel, packed by gzip or not), the "
        "book's .pkl, ...-idx3-ubyte, or - for the standard input")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the process was asked for; wrong usage ends it with status 2."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser, commands = _parser()
    if words and not words[0].startswith("-") and words[0] not in commands:
        parser.error(f"COMMAND must be one of {', '.join(commands)}, got {words[0]!r}"
                     f"{_meant_command(words[0], commands)}")
    args, unknown = parser.parse_known_args(words)
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}"
                          f"{_meant(unknown[0], args)}")
    args.words = words
    if hasattr(args, "flagged"):
        if args.flagged is not None and args.data is not None:
            args.parser.error(f"the data must be named once, got {args.data} and --data "
                              f"{args.flagged}")
        args.data = args.data or args.flagged or args.otherwise
    return args


def in_options(text: str) -> str:
    """
    Return an error's line with options of the command line in the place of Python's arguments.

    Examples
    --------
    >>> in_options("leave them out, left_out=['joined', 'last seen']; choose with target=")
    "leave them out, --left-out joined --left-out 'last seen'; choose with --target"
    """
    def option(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        flag = f"--{FLAGS.get(name, name).replace('_', '-')}"
        words = [word[1:-1] for word in re.findall(TEXT, value)] or [value]
        return " ".join(f"{flag} {shlex.quote(word) if word else ''}".rstrip() for word in words)

    return re.sub(rf"\b(?P<name>{'|'.join(ARGUMENTS)})="
                  rf"(?P<value>\[{TEXT}(?:, {TEXT})*\]|{TEXT}|[\w.]*)", option, text)


class Parser(argparse.ArgumentParser):
    """A parser that exits with one line of usage and one of the error."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where to read more."""
        self.exit(2, f"usage: {self.prog} ... (see {self.prog} --help)\n"
                     f"{self.prog}: error: {message}\n")


def _meant_command(word: str, commands: Iterable[str]) -> str:
    """Return a question: the command that is like a word, or the one for the file that it names."""
    name = _words.nearest(word, commands)
    if name is None and (word in NAMES or os.path.exists(word)):
        words = "info {}" if saved.is_network(word) else "train {}"
        name = f"cbackprop {words.format(shlex.quote(word))}"
    return f"; did you mean {name!r}?" if name else ""


def _meant(word: str, args: argparse.Namespace) -> str:
    """Return a question, if an option that is not there is like one that is."""
    if not word.startswith("-"):
        return ""
    usage = args.parser.format_usage()
    flags = {name: flag for name in vars(args)
             if (flag := f"--{FLAGS.get(name, name).replace('_', '-')}") in usage}
    spelt = word.lstrip("-").partition("=")[0]
    dests = {_words.plain(flag.lstrip("-")): dest for dest, flag in flags.items()}
    ours = _words.argument(spelt, flags) or dests.get(
        _words.plain(_words.nearest(spelt, dests) or ""))
    if "hidden" in flags and "hidden" in spelt:  # which elsewhere are a part of sizes
        ours = "hidden"
    return "" if ours is None else f"; did you mean {flags[ours]}?"


# ---- values; argparse names these functions in its messages ----


def sizes(text: str) -> list[int]:
    """Read ``784,30,10``."""
    return [int(size) for size in text.split(",")]


def seed(text: str) -> int:
    """Read an integer that NumPy takes as a seed."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _name(known: Iterable[str], ours: Callable[[str], str]) -> Callable[[str], str]:
    """Return what reads a name, in any case, or another library's for the same."""
    known = list(known)

    def name(text: str) -> str:
        found = ours(text)
        if found not in known:
            raise argparse.ArgumentTypeError(
                f"must be one of {', '.join(known)}, got {text!r}{_words.meant(text, known)}")
        return found

    return name


# ---- commands ----


def _parser() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser, and those of the commands."""
    parser = Parser(
        prog="cbackprop", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Dense neural networks trained by backpropagation.",
        epilog="examples:\n  cbackprop train people.csv --save net.npz\n"
               "  cbackprop predict net.npz new.csv --proba\n\n"
               "cbackprop COMMAND --help says what a command takes.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[..., None], text: str, description: str, *examples: str
    ) -> argparse.ArgumentParser:
        shown = "".join(f"\n  cbackprop {name} {example}".rstrip() for example in examples)
        command = commands.add_parser(
            name, help=text, description=description, epilog=f"examples:{shown}",
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
        command.add_argument("--json", action="store_true",
                             help="print one JSON object, and nothing else, on standard output")
        command.set_defaults(command=run, parser=command, command_name=name, quiet=False)
        return command

    _add_train(add)
    command = add(
        "evaluate", saved.evaluate, "say how well a saved network does",
        "Measure a saved network on the test set of the data, or on all of it if it has none:\n"
        "metrics, classes, confusion, the worst mistakes.",
        "net.npz people.csv", "net.npz people.csv --json")
    _add_saved(command)
    _add_data(command, "mnist, for networks of 784 inputs", None)

    command = add(
        "predict", saved.predict, "print a saved network's answers",
        "Print a line for each row of the test set of the data, or of all of it if it has none:\n"
        "the class, or the number. The data may have targets or not. Several columns are CSV.",
        "net.npz new.csv", "net.npz - --proba --output answers.csv < new.csv")
    _add_saved(command)
    _add_data(command, "mnist, for networks of 784 inputs", None)
    command.add_argument("--proba", action="store_true",
                         help="add how likely each class is, from 0 to 1")
    command.add_argument("--output", metavar="FILE",
                         help="write CSV with a header to this file (default: standard output)")

    command = add(
        "bench", bench, "time this machine's epochs beside NumPy's",
        "Time epochs of cbackprop and of NumPy over whole mini-batches, by turns, in a process of\n"
        "its own, pinned to as many cores as threads where the system allows that. Before that,\n"
        "both have to reach the same parameters after an epoch.",
        "--sizes 784,100,10 --batch 32", "--sizes 8,16,16,1 --rows 50000 --dtype float64")
    command.add_argument("--sizes", type=sizes, default=[784, 30, 10], metavar="784,30,10",
                         help="neurons in each layer (default: 784,30,10)")
    command.add_argument("--batch", type=int, dest="mini_batch_size", default=10, metavar="N",
                         help="rows in a mini-batch (default: %(default)s)")
    command.add_argument("--rows", type=int, default=10_000, metavar="N",
                         help="rows of an epoch, cut to whole mini-batches (default: %(default)s)")
    command.add_argument("--repeat", type=int, default=7, metavar="N",
                         help="epochs to time of each (default: %(default)s)")
    command.add_argument("--threads", type=int, default=1, metavar="N",
                         help="threads for each (default: %(default)s)")
    _add_made(command, threads=False)

    command = add(
        "info", saved.info, "print what this installation and a saved network are",
        "Print what this installation is, and the layers and columns of a saved network.",
        "", "net.npz")
    command.add_argument("file", nargs="?", metavar="NETWORK",
                         help="a network that train --save wrote (default: none)")

    command = add(
        "gradcheck", saved.gradcheck,
        "compare a saved network's backpropagation with differences of the cost",
        "Move parameters up and down, and compare what the cost does with what backpropagation\n"
        "says, in float64. The exit status is 1 if they differ.",
        "net.npz", "net.npz people.csv --rows 3")
    _add_saved(command)
    _add_data(command, "random numbers", None)
    command.add_argument("--rows", type=int, default=10, metavar="N",
                         help="rows to take, the first of the data (default: %(default)s)")
    command.add_argument("--sample", type=int, metavar="N",
                         help="parameters to look at, drawn at random (default: all)")
    command.add_argument("--seed", type=seed, default=0, metavar="N",
                         help="seed of the drawing (default: %(default)s)")

    command = add(
        "watch", watch, "show a network in the browser, number by number, while it trains",
        "Serve a page to this machine alone: the network drawn, one example forwards and back\n"
        "through every equation, and live training. Ctrl-C ends it.",
        "", "--data people.csv", "net.npz people.csv")
    command.add_argument("file", nargs="?", metavar="NETWORK",
                         help="a network that train --save wrote (default: a small one for the "
                              "data)")
    _add_data(command, "XOR; mnist, for networks of 784 inputs", None)
    command.add_argument("--target", action="append", metavar="NAME|INDEX",
                         help="column to learn; may be given several times (default: found out)")
    command.add_argument("--port", type=int, default=0, metavar="N",
                         help="port of this machine to serve it on (default: a free one)")
    command.add_argument("--no-browser", dest="browser", action="store_false",
                         help="do not open the page, whose address is printed (default: open it)")
    command.add_argument("--seed", type=seed, default=0, metavar="N",
                         help="seed of everything drawn at random (default: %(default)s)")
    return parser, commands.choices


def _add_train(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add(
        "train", train, "train a network on a table, or on images",
        "Train a network and say how well it does on rows that it has not seen. Whatever is not\n"
        "given is decided by what the data are, and printed as the option that asks for it.",
        "people.csv --save net.npz", "prices.csv --target price --regression --sizes 12,50,1")
    _add_data(command, "mnist", "mnist")
    command.add_argument("--quiet", action="store_true",
                         help="print the metrics at the end, and nothing else (default: what was "
                              "read and decided, and every epoch, too)")
    group = command.add_argument_group("what is learned")
    group.add_argument("--target", action="append", metavar="NAME|INDEX",
                       help="column to learn; may be given several times (default: found out)")
    kinds = group.add_mutually_exclusive_group()
    kinds.add_argument("--regression", action="store_const", dest="kind", const="regression",
                       help="the target is numbers to come close to (default: found out)")
    kinds.add_argument("--classification", action="store_const", dest="kind",
                       const="classification", help="the target is classes (default: found out)")
    kinds.add_argument("--kind", choices=list(KIND_BY_NAME), metavar="KIND",
                       help=f"what the target is: {', '.join(KIND_BY_NAME)} (default: found out)")
    group.add_argument("--left-out", action="append", metavar="NAME",
                       help="column that the network is not to see; may be given several times "
                            "(default: none)")
    group.add_argument("--test-split", type=float, default=0.2, metavar="SHARE",
                       help="share of the rows that is kept for the test, if no test set comes "
                            "with the data (default: %(default)s)")

    group = command.add_argument_group("the network")
    activation = _name((row.name for row in table.ACTIVATIONS),
                       lambda text: layers.our_name(text, layers.ACTIVATIONS))
    names = ", ".join(row.name for row in table.ACTIVATIONS)
    costs = [row.name for row in table.COSTS]
    neurons = group.add_mutually_exclusive_group()
    neurons.add_argument("--sizes", type=sizes, metavar="784,30,10",
                         help="neurons in each layer, inputs and outputs included (default: as "
                              "the data ask for, and 100 or 200 between)")
    neurons.add_argument("--hidden", type=sizes, metavar="50,50",
                         help="neurons in each hidden layer, in place of --sizes (default: 100, or "
                              "200 from 10,000 rows on)")
    group.add_argument("--activation", type=activation, metavar="NAME",
                       help=f"activation of the hidden layers: {names} (default: relu)")
    group.add_argument("--output-activation", type=activation, metavar="NAME",
                       help="activation of the output layer, one of the same (default: what goes "
                            "with the cost)")
    group.add_argument("--cost", type=_name(costs, lambda text: layers.our_name(text, costs)),
                       metavar="NAME",
                       help=f"cost to be made small: {', '.join(costs)} (default: what fits the "
                            f"target)")
    group.add_argument("--initializer", type=_name(initializers.KNOWN, str.lower), metavar="NAME",
                       help=f"how the first weights are drawn: {', '.join(initializers.KNOWN)} "
                            f"(default: what suits the activation)")

    group = command.add_argument_group("the training")
    group.add_argument("--optimizer", metavar="NAME",
                       type=_name(optimizers.KNOWN, optimizers.our_name),
                       help=f"what makes a step of a gradient: {', '.join(optimizers.KNOWN)} "
                            f"(default: adam)")
    group.add_argument("--eta", type=float, metavar="X",
                       help="learning rate, by which a step is multiplied (default: what fits "
                            "optimizer, activation and batch)")
    group.add_argument("--batch", type=int, dest="mini_batch_size", metavar="N",
                       help="rows in a mini-batch (default: 16 to 256, by the rows)")
    group.add_argument("--epochs", type=int, metavar="N",
                       help="passes over the rows, at most (default: 10 to 300, for about ten "
                            "seconds)")
    group.add_argument("--lmbda", type=float, metavar="X",
                       help="strength of L2 regularisation, as in the book (default: by the rows)")
    group.add_argument("--dropout", type=float, metavar="P",
                       help="how likely a hidden neuron is left out, from 0 to 1 (default: 0)")
    group.add_argument("--class-weight", choices=["balanced"], metavar="balanced",
                       help="let a rare class count as much as a frequent one (default: every row "
                            "counts the same)")
    group.add_argument("--validation-split", type=float, metavar="SHARE",
                       help="share of the rows that says when to stop, 0 for none (default: 0.1 "
                            "to 0.2, by the rows)")
    group.add_argument("--patience", type=int, metavar="N",
                       help="epochs without progress before it stops (default: a tenth of the "
                            "epochs, 5 at least)")
    group.add_argument("--memory", metavar="SIZE",
                       help="read files of .npy, .npz, Parquet, Arrow or HDF5 block by block, into "
                            "so much memory, such as 2GB (default: if DATA is a folder of such "
                            "files, a name with *, or larger than the memory: 256MiB)")
    group.add_argument("--distributed", action="store_true",
                       help="train together with all processes that mpiexec has started: "
                            "mpiexec -n 4 cbackprop train --distributed people.csv")
    group.add_argument("--book", action="store_true",
                       help="the book's network and numbers for whatever is not given, on images: "
                            "sigmoid, quadratic cost, eta 3, mini-batches of 10, 10 epochs")
    _add_made(group, threads=True)
    group.add_argument("--save", metavar="FILE",
                       help="write the network, with what it needs to know of columns and "
                            "classes, to this file (default: nowhere)")
    group.add_argument("--checkpoint", metavar="FILE",
                       help="write what --resume needs to this file once a minute and at the end "
                            "(default: nowhere)")
    group.add_argument("--resume", action="store_true",
                       help="go on from the file of --checkpoint, if it is there, as if nothing "
                            "had happened; all other options have to be the same (default: begin)")


def _add_made(group: Any, threads: bool) -> None:
    group.add_argument("--dtype", choices=_dispatch.REALS, default="float32",
                       help="type of parameters and arithmetic (default: %(default)s)")
    group.add_argument("--seed", type=seed, default=0, metavar="N",
                       help="seed of everything drawn at random (default: %(default)s)")
    if threads:
        group.add_argument("--compute-dtype", choices=[precision.BFLOAT16, precision.AUTO],
                           help="what products multiply, with --dtype float32; \"cbackprop info\" "
                                "says whether bfloat16 is fast here (default: as --dtype)")
        group.add_argument("--threads", type=int, metavar="N",
                           help="the most threads to use (default: all that are worth it)")


def _add_saved(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="NETWORK", help="a network that train --save wrote")


def _add_data(command: argparse.ArgumentParser, default: str, otherwise: str | None) -> None:
    command.add_argument("data", nargs="?", metavar="DATA", help=f"{DATA} (default: {default})")
    command.add_argument("--data", dest="flagged", metavar="DATA", help="the same as DATA")
    command.add_argument("--text", action="append", default=[], metavar="NAME",
                         help="column whose values are words, whatever they look like; may be "
                              "given several times (default: found out)")
    command.set_defaults(otherwise=otherwise)
