"""
What the page is about: a network, its examples, its training, and what may be asked of them.

The page sends `{"ask": NAME, ...}`. NAME is a method in `Session.ASKS`, the rest are its arguments.
Numbers of layers and neurons are the book's. A training runs in a thread of its own. It leaves
copies of the parameters, the frames, and everything that is asked is asked of a frame.
"""

from __future__ import annotations

import inspect
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, default_eta, layers
from cbackprop.callbacks import Callback
from cbackprop.core import table
from cbackprop.inspect.page import answers
from cbackprop.inspect.page.answers import MAX_POINTS, MEASURED
from cbackprop.inspect.page.file import stored
from cbackprop.network import Network
from cbackprop.optimizers import SGD
from cbackprop.watch.problems import PROBLEMS, Problem

MAX_FRAMES, MAX_FRAME_BYTES = 200, 2**26  # beyond either, every second frame is dropped
FRAME_SECONDS = 0.1  # between two frames of a training
MAX_EPOCHS = 100_000  # of one training
MAX_LAYERS, MAX_NEURONS = 8, 512  # hidden ones, that a page may ask for
ALONE_SECONDS = 3.0  # that a training goes on when no page listens
QUEUED = 100  # messages that wait for a page

Event = dict[str, Any]


@dataclass(frozen=True)
class Frame:
    """A network after an epoch: what the page is told of it, and its parameters."""

    told: dict[str, Any]
    weights: list[NDArray[Any]]
    biases: list[NDArray[Any]]

    @property
    def epoch(self) -> int:
        """Epochs before it."""
        return int(self.told["epoch"])

    def network(self, like: Network) -> Network:
        """Return a network with these parameters, and all else like another."""
        made = _like(like)
        made.weights, made.biases = self.weights, self.biases
        return made


class Session:
    """
    A network and its data, for any number of pages.

    Parameters
    ----------
    problem : Problem, optional
        The user's own data; by default XOR.
    network : Network, optional
        A network for it, of which a copy is taken; by default the problem's.
    seed : int, numpy.random.Generator or None
        It draws the weights of networks.

    Examples
    --------
    >>> session = Session()
    >>> session.answer({"ask": "state"})["sizes"]
    [2, 4, 1]
    >>> session.answer({"ask": "edge", "row": 0, "layer": 2, "j": 1, "k": 2})["bp4"]
    0.0
    """

    READS = ("state", "example", "edge", "demon", "pixels", "plane", "page")
    ASKS = (*READS, "data", "network", "activation", "cost", "settings", "train", "stop")

    def __init__(
        self, problem: Problem | None = None, network: Network | None = None, *, seed: Any = 0
    ) -> None:
        self.problems = {each.name: each for each in (*filter(None, [problem]), *PROBLEMS)}
        self.random = _check.generator(seed)
        self._changes = threading.RLock()  # one change at a time, of whatever page
        self._lock = threading.RLock()  # of everything below, for a moment
        self._listeners: set[queue.Queue[Event | None]] = set()
        self._heard = time.monotonic()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem: Problem
        self.x: NDArray[Any]
        self.y: NDArray[Any]
        self.eta: float
        self.batch: int
        self.pace: int
        self.net: Network
        self.frames: list[Frame]
        self._begin(problem or PROBLEMS[0], network)

    # ---- asked by a page ----

    def answer(self, message: Any) -> dict[str, Any]:
        """
        Return the answer to a message of the page.

        Raises
        ------
        TypeError, ValueError
            If the message is not one, or asks for what there is not.
        """
        if not isinstance(message, dict):
            raise TypeError(f"a message must be an object, got {_check.shown(message)}")
        details = dict(message)
        name = details.pop("ask", None)
        if name not in self.ASKS:
            raise ValueError(f"ask must be one of {', '.join(self.ASKS)}, got "
                             f"{_check.shown(name)}")
        method: Callable[..., dict[str, Any] | None] = getattr(self, name)
        try:
            inspect.signature(method).bind(**details)
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from None
        if name in self.READS:
            return method(**details) or {}
        with self._changes:
            return method(**details) or {}

    def state(self) -> dict[str, Any]:
        """Return what the page has to know before it asks for more."""
        with self._lock:
            shown = slice(MAX_POINTS)
            image = 255 if self.x.dtype == np.uint8 else float(np.abs(self.x).max(initial=0)) or 1
            return answers.description(self.shown, self.x[shown], self.y[shown]) | self._names() | {
                "data": self.problem.name, "rows": len(self.x),
                "eta": self.eta, "batch": self.batch, "pace": self.pace, "full": image,
                "training": self.trains, "frames": [frame.told for frame in self.frames],
                "most_frames": self._most_frames,
                "choices": {
                    "data": [[name, name] for name in self.problems],
                    "neurons": [row.name for row in table.ACTIVATIONS if not row.whole_layer],
                    "hidden": [row.name for row in table.ACTIVATIONS],
                    "costs": [row.name for row in table.COSTS]}}

    def example(self, row: Any = None, given: Any = None, epoch: Any = None) -> dict[str, Any]:
        """Return every equation of an example: a row of the data, or numbers that are given."""
        return answers.example(self._at(epoch), *self._xy(row, given), eta=self.eta)

    def edge(
        self, layer: Any, j: Any, k: Any, row: Any = None, given: Any = None, epoch: Any = None
    ) -> dict[str, Any]:
        """Return dC/dw by BP4, (46) and (53)."""
        layer, j, k = (_check.integer(name, value, least) for name, value, least in (
            ("layer", layer, 2), ("j", j, 1), ("k", k, 1)))
        return answers.edge(self._at(epoch), *self._xy(row, given), layer, j, k)

    def demon(
        self, layer: Any, j: Any, row: Any = None, given: Any = None, epoch: Any = None
    ) -> dict[str, Any]:
        """Return what the demon does at a neuron."""
        layer, j = _check.integer("layer", layer, 2), _check.integer("j", j, 1)
        return answers.demon(self._at(epoch), *self._xy(row, given), layer, j)

    def pixels(self, row: Any = None, given: Any = None, epoch: Any = None) -> dict[str, Any]:
        """Return dC/dx."""
        return answers.pixels(self._at(epoch), *self._xy(row, given))

    def plane(self, row: Any = None, given: Any = None, epoch: Any = None) -> dict[str, Any]:
        """Return the output over the plane of two inputs."""
        if self.x.shape[1] != 2:
            raise ValueError(f"a plane must be of two inputs, got {self.x.shape[1]}")
        return answers.plane(self._at(epoch), self.x)

    def page(self, row: Any = None, given: Any = None, epoch: Any = None) -> dict[str, Any]:
        """Return the page as a file, of one example and the epochs up to this one."""
        x, y = self._xy(row, given)
        with self._lock:
            net, frames = self.net, self.frames[:self._index(epoch) + 1]
        return {"html": stored(
            {frame.epoch: frame.network(net) for frame in frames}, x, y, eta=self.eta,
            around=self.x, state=self._names(),
            frames={frame.epoch: frame.told for frame in frames})}

    # ---- changes, which end a training ----

    def data(self, name: Any) -> None:
        """Take other data, and the network that goes with them."""
        self._begin(self.problems[_check.choice("name", name, tuple(self.problems))])

    def network(self, hidden: Any = None) -> None:
        """Draw new weights, for hidden layers as they are or as they are given: "4, 3"."""
        sizes = list(self.net.sizes)
        functions = self._functions()
        if hidden is not None:
            sizes = [sizes[0], *_hidden(hidden), sizes[-1]]
            first = functions[0][0] if len(functions) > 1 else "sigmoid"
            functions = [*([first] * size for size in sizes[1:-1]), functions[-1]]
        self._change(sizes, functions, self.net.cost)

    def activation(self, name: Any, layer: Any = None, j: Any = None) -> None:
        """Set the activation of all hidden neurons, or of one neuron; the weights stay."""
        functions = self._functions()
        if layer is None:
            functions[:-1] = [[name] * len(neurons) for neurons in functions[:-1]]
        else:
            layer, j = _check.integer("layer", layer, 2), _check.integer("j", j, 1)
            neurons = functions[_check.index("layer", layer, self.net.num_layers + 1,
                                             "the inputs are layer 1") - 2]
            neurons[_check.index("j", j, len(neurons) + 1, "neurons count from 1") - 1] = name
        self._change(self.net.sizes, functions, self.net.cost, keep=True)

    def cost(self, name: Any) -> None:
        """Set the cost, and the output activation that goes with it; the weights stay."""
        name = _check.choice("name", name, tuple(row.name for row in table.COSTS))
        functions = self._functions()
        output = layers.default_output(name)
        if output is not None:
            functions[-1] = [output] * len(functions[-1])
        self._change(self.net.sizes, functions, name, keep=True)

    def settings(self, eta: Any, batch: Any, pace: Any) -> None:
        """Set how it trains; a training that runs goes on with it."""
        eta = _check.number("eta", eta, 0, above=True)
        batch = _check.integer("batch", batch, 1, len(self.x))
        pace = _check.integer("pace", pace, 0)
        with self._lock:
            changed = (eta, batch) != (self.eta, self.batch)
            self.eta, self.batch, self.pace = eta, batch, pace
            again = self.trains and changed
        self._publish("settings", settings={"eta": eta, "batch": batch, "pace": pace})
        if again:
            self._stop()
            self.train()

    # ---- training ----

    @property
    def trains(self) -> bool:
        """Whether a training runs."""
        return self._thread is not None

    def train(self, epochs: Any = None) -> None:
        """Train on, for so many epochs or until it is stopped."""
        epochs = MAX_EPOCHS if epochs is None else _check.integer("epochs", epochs, 1)
        with self._lock:
            if self.trains:
                return
            self._ending.clear()
            self._heard = time.monotonic()
            self._thread = threading.Thread(
                target=self._train, args=(self.net, min(epochs, MAX_EPOCHS)), daemon=True)
            self._thread.start()
        self._publish("training", training=True, said="")

    def stop(self) -> None:
        """Stop the training; an epoch that is under way is not counted."""
        self._stop()

    def close(self) -> None:
        """End the training, and all that listen."""
        self._stop()
        with self._lock:
            for events in self._listeners:
                _put(events, None)

    def _stop(self) -> None:
        thread = self._thread
        self._ending.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _train(self, net: Network, epochs: int) -> None:
        """Train, in a thread, and tell the pages how it ended."""
        said, watching = "", _Watching(self)
        try:
            net.SGD((self.x, self.y), epochs, self.batch, self.eta, callbacks=[watching])
        except Exception as error:  # the page has to say what ended it
            said = " ".join(str(error).split())
        with self._lock:
            last = self.frames[-1]
            if watching.epoch > last.epoch:
                self.add_frame(watching.epoch)
            else:  # the epoch that was under way is not counted
                net.weights, net.biases = last.weights, last.biases
            self._thread = None
        self._publish("training", training=False, said=said)

    @property
    def ending(self) -> bool:
        """Whether the training has to end."""
        return self._ending.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, unless the training has to end."""
        self._ending.wait(max(0.0, seconds))

    def alone(self) -> bool:
        """Whether no page has listened for a while."""
        with self._lock:
            if self._listeners:
                self._heard = time.monotonic()
            return time.monotonic() - self._heard > ALONE_SECONDS

    # ---- listeners ----

    @contextmanager
    def listener(self) -> Iterator[queue.Queue[Event | None]]:
        """Return a queue of events; None is the end."""
        events: queue.Queue[Event | None] = queue.Queue(QUEUED)
        with self._lock:
            self._listeners.add(events)
        try:
            yield events
        finally:
            with self._lock:
                self._listeners.discard(events)

    @property
    def listeners(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    def _publish(self, event: str, **details: Any) -> None:
        with self._lock:
            for events in self._listeners:
                _put(events, {"event": event, **details})

    # ---- the network and its frames ----

    def _begin(self, problem: Problem, network: Network | None = None) -> None:
        x, y = problem.make()
        if network is None:
            sizes = [x.shape[1], *problem.hidden, y.shape[1]]
            network = Network(sizes, **problem.network, seed=self.random)
        else:
            network = _like(network)
        examples = network.engine.examples((x, y), "", admit=network.engine.target_values.trained)
        batch, eta = min(problem.batch, len(x)), problem.eta
        if eta is None:
            eta = default_eta.for_training(network.engine, examples, SGD(), batch)
        self._stop()
        with self._lock:
            self.problem, self.x, self.y = problem, x, y
            self.eta, self.batch, self.pace = eta, batch, problem.pace
            self._renew(network)
        self._publish("changed")

    def _change(
        self, sizes: Any, functions: list[list[Any]], cost: Any, keep: bool = False
    ) -> None:
        """Make another network for the same data, and start from it."""
        # A whole layer of softmax cannot be a list of neurons.
        activation = [each[0] if len(set(map(repr, each))) == 1 else each for each in functions]
        given: dict[str, Any] = {}
        if keep:
            given["initializer"] = (list(self.net.weights), list(self.net.biases))
        network = self._made(sizes, activation, cost, given)
        network.engine.examples((self.x, self.y), "", admit=network.engine.target_values.trained)
        self._stop()
        with self._lock:
            if keep:  # the training may have gone on while the network was made
                network.weights, network.biases = list(self.net.weights), list(self.net.biases)
            self._renew(network)
        self._publish("changed")

    def _made(
        self, sizes: Any, activation: list[Any], cost: Any, given: dict[str, Any]
    ) -> Network:
        settings = self.net.settings() | {
            "sizes": sizes, "activation": activation, "output_activation": None, "cost": cost}
        if len(sizes) != len(self.net.sizes):
            del settings["bias"]
        return Network(**settings, seed=self.random, **given)

    def _renew(self, network: Network) -> None:
        """Start with a network at epoch 0."""
        self.net, self.frames = network, []
        self._shown: tuple[Frame, Network] | None = None
        self.add_frame(0)

    @property
    def shown(self) -> Network:
        """The network of the last frame."""
        return self._at(None)

    def _names(self) -> dict[str, Any]:
        """Return what the data are called, and their inputs and classes."""
        problem = self.problem
        return {"title": problem.name, "inputs": problem.inputs, "classes": problem.classes}

    def _functions(self) -> list[list[Any]]:
        """Return the activation of every neuron, layer by layer."""
        return layers.by_neuron(self.net.sizes, self.net.engine.activations)

    def add_frame(self, epoch: int) -> None:
        """Measure the network after an epoch, and keep its parameters."""
        net, part = self.net, slice(MEASURED)
        accuracy = None
        if self.problem.classes is not None or self.y.shape[1] == 1:
            with suppress(ValueError):  # numbers have none
                accuracy = answers.number(net.accuracy((self.x[part], self.y[part])))
        told = answers.progress(net, epoch, self.x, self.y) | {"accuracy": accuracy}
        frame = Frame(told, [w.copy() for w in net.weights], [b.copy() for b in net.biases])
        with self._lock:
            self.frames.append(frame)
            if len(self.frames) > self._most_frames:
                del self.frames[1:-1:2]
        self._publish("frame", frame=told)

    def _at(self, epoch: Any) -> Network:
        """Return the network of the frame after this epoch, or the last before it."""
        with self._lock:
            frame = self.frames[self._index(epoch)]
            if self._shown is None or self._shown[0] is not frame:
                self._shown = frame, frame.network(self.net)
            return self._shown[1]

    def _index(self, epoch: Any) -> int:
        """Return the index of the last frame, or of the last until this epoch."""
        if epoch is None:
            return len(self.frames) - 1
        epoch = _check.integer("epoch", epoch, 0)
        return sum(frame.epoch <= epoch for frame in self.frames) - 1

    @property
    def _most_frames(self) -> int:
        """How many frames are kept of this network."""
        size = sum(w.nbytes for w in self.net.weights)
        return max(8, min(MAX_FRAMES, MAX_FRAME_BYTES // size))

    def _xy(self, row: Any, given: Any) -> tuple[Any, Any]:
        """Return one example: a row of the data, or {"x": numbers, "y": numbers}."""
        if given is None:
            row = _check.index("row", row, len(self.x), "the examples")
            return self.x[row], self.y[row]
        if not isinstance(given, dict) or set(given) != {"x", "y"}:
            raise ValueError(f"given must have x and y, got {_check.shown(given)}")
        return given["x"], given["y"]


class _Watching(Callback):
    """Keeps the pace of a training, leaves frames, and ends it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.epoch = self.framed = session.frames[-1].epoch
        self.due = self.last = time.monotonic()

    def on_batches(self, network: Any, history: Any, step: int) -> bool:
        """End it within an epoch, if the last frame is from the epoch's beginning."""
        return self.framed == self.epoch and self.session.ending

    def on_epoch_end(self, network: Any, history: Any) -> bool:
        """Leave a frame from time to time, and wait for the next epoch's time."""
        session = self.session
        self.epoch += 1
        now = time.monotonic()
        if now - self.last >= FRAME_SECONDS:
            self.last, self.framed = now, self.epoch
            session.add_frame(self.epoch)
        if session.pace:
            self.due = max(self.due + 1 / session.pace, now - FRAME_SECONDS)
            session.wait(self.due - time.monotonic())
        return session.ending or session.alone()


def _put(events: queue.Queue[Event | None], event: Event | None) -> None:
    """Hand over an event. A page that has not read for long is told to look at everything anew."""
    if events.full():
        with suppress(queue.Empty):
            while True:
                events.get_nowait()
        events.put_nowait({"event": "changed"})
    events.put_nowait(event)


def _like(network: Network) -> Network:
    """Return a copy that reads numbers alone, and has neither history nor classes."""
    return Network(**network.settings(), initializer=(list(network.weights), list(network.biases)),
                   seed=0)


def _hidden(text: Any) -> list[int]:
    """
    Read the sizes of hidden layers.

    Examples
    --------
    >>> _hidden("4, 3")
    [4, 3]
    """
    rule = (f"hidden layers must be at most {MAX_LAYERS} numbers from 1 to {MAX_NEURONS}, "
            f'such as "4, 3"')
    try:
        found = [int(part) for part in text.replace(",", " ").split()]
    except (AttributeError, ValueError):
        raise ValueError(f"{rule}, got {_check.shown(text)}") from None
    if len(found) > MAX_LAYERS or not all(1 <= size <= MAX_NEURONS for size in found):
        raise ValueError(f"{rule}, got {_check.shown(text)}")
    return found
