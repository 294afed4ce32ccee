"""
The command line: train, evaluate, predict, info, gradcheck.

It reads arguments, calls the library and prints; what can be wrong with a value, the library says.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import (
    DivergenceError,
    History,
    Network,
    __version__,
    datasets,
    layers,
    show_config,
    storage,
)
from cbackprop._check import integer
from cbackprop.core import _dispatch

ERRORS = (ValueError, TypeError, OSError, ModuleNotFoundError, MemoryError, OverflowError,
          DivergenceError)
INTERRUPTED, PIPE_CLOSED = 130, 141  # 128 + SIGINT, 128 + SIGPIPE: what a shell would report


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit status: 0, 1 after an error, 130 after Ctrl-C, 141 if what read our output has
        closed it. Wrong usage exits with 2.
    """
    try:
        try:
            args = _parser().parse_args(argv)
            args.command(args)
        finally:
            _flush()
    except BrokenPipeError:
        return PIPE_CLOSED
    except KeyboardInterrupt:
        print("cbackprop: interrupted", file=sys.stderr)
        return INTERRUPTED
    except ERRORS as error:
        print(f"cbackprop: error: {_describe(error)}", file=sys.stderr)
        return 1
    return 0


# ---- commands ----


def train(args: argparse.Namespace) -> None:
    """Train a network, say how each epoch went, and save it if asked to."""
    if args.save is not None:
        _check_destination(args.save)
    (x, y), (test_x, test_y) = _training_and_test(args.data, args.seed)
    sizes = args.sizes or [x.shape[1], 30, _outputs(y, test_y)]
    classes = _are_classes(y, sizes[-1])
    unbounded = not classes and layers.default_output(args.cost) is None
    net = Network(
        sizes,
        activation=args.activation,
        output_activation="identity" if unbounded else None,
        cost=args.cost,
        dtype=args.dtype,
        input_scale=1 / max(1, x.max()) if x.dtype == np.uint8 else 1,
        seed=args.seed,
        threads=args.threads,
    )
    print(f"{net} on {len(x)} examples", flush=True)
    tqdm = _tqdm()
    say = partial(print, flush=True) if tqdm is None else tqdm.write
    history = net.SGD(
        (x, y), args.epochs, args.batch, args.eta,
        test_data=(test_x, test_y) if classes else None,
        optimizer=args.optimizer, lmbda=args.lmbda, dropout=args.dropout, skip_zeros=True,
        progress=tqdm is not None,
        callbacks=[lambda _, history: say(_epoch_line(history, args.epochs))],
    )
    print(_score(net, test_x, test_y))
    if history:
        seconds = sum(history.seconds)
        print(f"{seconds:.2f} s, {len(history) * len(x) / seconds:,.0f} rows per second")
    if args.save is not None:
        net.save(args.save)


def evaluate(args: argparse.Namespace) -> None:
    """Print how well a saved network does."""
    print(_score(Network.load(args.file), *_test_part(args.data)))


def predict(args: argparse.Namespace) -> None:
    """Print what a saved network makes of each example: its class, or its only output."""
    net = Network.load(args.file)
    out = net.feedforward(_test_part(args.data)[0])
    values = out[:, 0] if net.sizes[-1] == 1 else out.argmax(axis=1)
    sys.stdout.writelines(f"{value}\n" for value in values)


def info(args: argparse.Namespace) -> None:
    """Print what this installation is, and what a saved network is."""
    net = None if args.file is None else Network.load(args.file)
    show_config()
    if net is not None:
        print(f"\n{'network':<16} {args.file}\n{net.summary()}")


def gradcheck(args: argparse.Namespace) -> None:
    """Compare a saved network's backpropagation with differences; an error if they are apart."""
    from cbackprop.inspect import gradient_check

    net = Network.load(args.file)
    n = integer("--rows", args.rows, 1)
    if args.data is None:
        rng = np.random.default_rng(args.seed)
        scale = np.where(np.equal(net.input_scale, 0), 1, net.input_scale)
        x, y = rng.random((n, net.sizes[0])) / scale, rng.random((n, net.sizes[-1]))
    else:
        x, y = (part[:n] for part in _test_part(args.data))
    found = gradient_check(net, x, y, sample=args.sample, seed=args.seed)
    if not found.passed:
        raise ValueError(f"{args.file}: gradient check {found}")
    print(f"gradient check {found}")


# ---- data ----


def _training_and_test(source: str, seed: int) -> tuple[datasets.readers.Pair, ...]:
    """Load a data set; if it has no test set, draw a sixth of its rows as one."""
    training, test = datasets.load(source)
    if test is not None:
        return training, test
    x, y = training
    if len(x) < 2:
        raise ValueError(f"{source}: must have a test set, or two rows or more, got {len(x)}")
    held_out = max(1, len(x) // 6)
    order = np.random.default_rng(seed).permutation(len(x))
    print(f"{source} has no test set: {held_out} of its {len(x)} rows, drawn at random, become one")
    test_rows, rows = np.split(order, [held_out])
    return (x[rows], y[rows]), (x[test_rows], y[test_rows])


def _test_part(source: str) -> datasets.readers.Pair:
    training, test = datasets.load(source)
    return training if test is None else test


def _outputs(*ys: NDArray[Any]) -> int:
    """Count the output neurons that targets ask for."""
    if ys[0].ndim > 1:
        return int(ys[0].shape[1])
    if ys[0].dtype.kind == "f":
        return 1
    return 1 + max(int(y.max(initial=0)) for y in ys)


def _are_classes(y: NDArray[Any], outputs: int) -> bool:
    """Tell labels, one-hot rows, and 0 against 1, from numbers to come close to."""
    return (y.ndim == 1 and outputs > 1) or bool(np.isin(y, (0, 1)).all())


def _check_destination(path: str) -> None:
    try:
        storage.destination(path)
    except OSError as error:
        raise OSError(f"--save must name a file in a folder that exists and is writable, "
                      f"got {path!r}: {_describe(error)}") from None


# ---- words ----


def _score(net: Network, x: NDArray[Any], y: NDArray[Any]) -> str:
    cost = f"mean cost {net.total_cost((x, y)):.4g}"
    if not _are_classes(y, net.sizes[-1]):
        return f"{cost} of {len(x)} test examples"
    correct = net.evaluate((x, y))
    return (f"accuracy {correct / len(x) * 100:.2f} % of {len(x)} test examples, "
            f"{correct} correct, {cost}")


def _epoch_line(history: History, epochs: int) -> str:
    parts = [f"epoch {len(history):>{len(str(epochs))}}", f"cost {history.cost[-1]:<7.4g}"]
    if history.accuracy:
        parts.append(f"accuracy {history.accuracy[-1] * 100:5.2f} %")
    return "  ".join([*parts, f"{history.seconds[-1]:.2f} s"])


def _describe(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _flush() -> None:
    """Hand over what was printed; if nobody takes it, keep the interpreter from trying again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _tqdm() -> Any:
    """Return tqdm if there is a terminal to draw a bar on, and tqdm."""
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        return None
    return tqdm


# ---- arguments; argparse names these functions in its messages ----


def sizes(text: str) -> list[int]:
    """Read ``784,30,10``."""
    return [int(size) for size in text.split(",")]


def seed(text: str) -> int:
    """Read an integer that NumPy takes as a seed."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _parser() -> argparse.ArgumentParser:
    core = _dispatch.load("float32")

    saved = argparse.ArgumentParser(add_help=False)
    saved.add_argument("file", metavar="FILE", help="a network that train --save wrote")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", default="mnist", metavar="mnist|mnist-full|FILE",
                      help="the bundled MNIST, the full one, or a file: .npz, .csv, .pkl, "
                           "...-idx3-ubyte, or a folder of MNIST's (%(default)s)")

    parser = argparse.ArgumentParser(
        prog="cbackprop", description="Dense neural networks trained by backpropagation.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser(
        "train", parents=[data], help="train a network; by default the book's, on MNIST",
        description="Train a network and say how well it does on the data's test set, or, if it "
                    "has none, on a sixth of its rows. Integer targets are classes; others, and "
                    "those of a network with one output, are numbers to come close to.")
    command.add_argument("--sizes", type=sizes, metavar="784,30,10",
                         help="neurons in each layer (as the data asks for, and 30 between)")
    command.add_argument("--epochs", type=int, default=10, help="(%(default)s)")
    command.add_argument("--batch", type=int, default=10,
                         help="examples in a mini-batch (%(default)s)")
    command.add_argument("--eta", type=float, default=3.0,
                         help="learning rate (%(default)s: right for the quadratic cost with "
                              "sigmoid neurons; others want less, such as 0.5 or 0.1, and adam "
                              "0.001)")
    command.add_argument("--optimizer", choices=core.OPTIMIZERS, default="sgd",
                         help="(%(default)s)")
    command.add_argument("--lmbda", type=float, default=0.0,
                         help="of L2 regularisation, as in the book (%(default)s)")
    command.add_argument("--dropout", type=float, default=0.0,
                         help="how likely a hidden neuron is left out (%(default)s)")
    command.add_argument("--cost", choices=core.COSTS, default="quadratic", help="(%(default)s)")
    command.add_argument("--activation", choices=core.ACTIVATIONS, default="sigmoid",
                         help="of the hidden layers; the output layer's goes with the cost "
                              "(%(default)s)")
    command.add_argument("--dtype", choices=_dispatch.REALS, default="float32",
                         help="of parameters and arithmetic (%(default)s)")
    command.add_argument("--seed", type=seed, default=0,
                         help="of everything drawn at random (%(default)s)")
    command.add_argument("--threads", type=int, metavar="N", help="at most (all that are worth it)")
    command.add_argument("--save", metavar="FILE", help="write the trained network to this file")
    command.set_defaults(command=train)

    command = commands.add_parser(
        "evaluate", parents=[saved, data], help="say how well a saved network does",
        description="Evaluate a saved network on the test set of the data, or all of it if it "
                    "has none.")
    command.set_defaults(command=evaluate)

    command = commands.add_parser(
        "predict", parents=[saved, data], help="print a saved network's answers",
        description="Print a line for each example of the test set of the data, or of all of it "
                    "if it has none: the class, or, if the network has one output, its value.")
    command.set_defaults(command=predict)

    command = commands.add_parser(
        "info", help="print what this installation and a saved network are",
        description="Print what this installation is, and the layers of a saved network.")
    command.add_argument("file", nargs="?", metavar="FILE",
                         help="a network that train --save wrote")
    command.set_defaults(command=info)

    command = commands.add_parser(
        "gradcheck", parents=[saved],
        help="compare a saved network's backpropagation with differences of the cost",
        description="Move parameters up and down, and compare what the cost does with what "
                    "backpropagation says, in float64. The exit status is 1 if they differ.")
    command.add_argument("--data", metavar="mnist|mnist-full|FILE",
                         help="as for evaluate (random numbers)")
    command.add_argument("--rows", type=int, default=10,
                         help="examples to take, the first of the data (%(default)s)")
    command.add_argument("--sample", type=int, metavar="N",
                         help="parameters to look at, drawn at random (all)")
    command.add_argument("--seed", type=seed, default=0, help="of what is drawn (%(default)s)")
    command.set_defaults(command=gradcheck)
    return parser
