"""Equal networks that are trained and asked together, one in each lane of the core's vectors."""

from __future__ import annotations

import io
import operator
import zipfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import (
    _check,
    _words,
    arrays,
    lanes,
    lockstep,
    metrics,
    storage,
    thread_choice,
)
from cbackprop._endings import DivergenceError
from cbackprop.callbacks import copies
from cbackprop.history import History
from cbackprop.network import Network
from cbackprop.parallel_training import again, check_files
from cbackprop.sources import ArrayExamples
from cbackprop.training import Training

# Arguments of SGD of which a list has one value for each network.
EACH = ("epochs", "eta", "optimizer", "lmbda", "l1", "weight_decay", "max_norm", "clip_value",
        "clip_norm", "noise")
OUTPUTS = ("mean", "all", "vote")


class Ensemble:
    """
    Networks of the same sizes, activations and cost, which differ in their parameters.

    A vector of the core has a number of eight networks (AVX2; four in float64; AVX-512 has twice as
    many), so that tiny networks train several times as fast as one after another. docs/ensembles.md
    says when that pays.

    Parameters
    ----------
    networks : sequence of Network
        They stay the caller's own: training changes them.

    Attributes
    ----------
    networks : tuple of Network

    Raises
    ------
    TypeError, ValueError
        If there are none, one is there twice, they are not equal, or a function is the user's own.

    Examples
    --------
    >>> networks = [cbackprop.Network([2, 8, 1], seed=seed) for seed in range(20)]
    >>> ensemble = cbackprop.Ensemble(networks)
    >>> x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    >>> histories = ensemble.SGD((x, y), epochs=2000, mini_batch_size=4, eta=3.0)
    >>> ensemble.feedforward(x).round().ravel()
    array([0., 1., 1., 0.], dtype=float32)
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        rule = "networks must be a list of networks of the same sizes, activations and cost"
        given = _check.items(networks, rule)
        if not given or not all(isinstance(each, Network) for each in given):
            raise TypeError(f"{rule}, got {_check.shown(networks)}")
        if len(set(map(id, given))) < len(given):
            raise ValueError(f"{rule}, each of them once, got one twice")
        for at, each in enumerate(given):
            found = lanes.obstacle(each)
            if found:
                raise ValueError(f"an Ensemble cannot have {found}, got it in networks[{at}]; "
                                 "train_many can")
            first, other = lanes.structure(given[0]), lanes.structure(each)
            for name, value in first.items():
                if value != other[name]:
                    raise ValueError(f"networks must have the same {name}, got "
                                     f"{_check.shown(value)} and, in networks[{at}], "
                                     f"{_check.shown(other[name])}; train_many takes others")
        self.networks: tuple[Network, ...] = tuple(given)
        self._first()

    def _first(self) -> Network:
        """Return the first network, which reads tables and names classes as all others do."""
        first = self.networks[0]
        reading = first.preprocessing, first.classes
        for at, each in enumerate(self.networks):  # both may have been set since __init__
            if (each.preprocessing, each.classes) != reading:
                raise ValueError("networks must have the same preprocessing and classes, got "
                                 f"others in networks[{at}]; train_many takes them")
        return first

    def __len__(self) -> int:
        return len(self.networks)

    def __getitem__(self, at: int) -> Network:
        try:
            return self.networks[operator.index(at)]
        except TypeError:
            raise TypeError(f"the index of a network must be an integer, got {_check.shown(at)}"
                            "; networks is a tuple, of which there are slices") from None
        except IndexError:
            raise IndexError(f"there are {len(self)} networks, got the index {at}") from None

    def __iter__(self) -> Iterator[Network]:
        return iter(self.networks)

    if not TYPE_CHECKING:  # a type checker knows all names

        def __getattr__(self, name: str) -> Any:
            networks = self.__dict__.get("networks")  # before __init__ there are none
            if networks and hasattr(networks[0], name):
                raise AttributeError(
                    f"'Ensemble' object has no attribute {name!r}: each of its networks has it; "
                    "feedforward and measure are of all together", name=name, obj=self)
            raise _words.unknown_attribute(self, name)

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)}: {self.networks[0]!r}>"

    def SGD(  # noqa: N802  the book's name
        self, training_data: Any, epochs: int | Sequence[int], mini_batch_size: int,
        eta: Any = None, test_data: Any = None, *, same_order: bool = False,
        sample_weight: ArrayLike | None = None, callbacks: Any = (), threads: int | None = None,
        **others: Any,
    ) -> list[History | DivergenceError]:
        """
        Train all networks on the same examples.

        Each gets what `Network.SGD` would give it, up to rounding: sums have another order. It has
        its own order of the examples, its own dropout, its own history.

        Parameters
        ----------
        training_data, mini_batch_size, test_data
            As for `Network.SGD`; in dense arrays.
        epochs, eta
            As for `Network.SGD`, or a list with one for each network.
        same_order : bool
            Whether all networks see the examples in the order that the first one draws.
        sample_weight : array of shape (n,) or (networks, n), optional
            The examples' weights; a row for each network makes bags of examples.
        callbacks : list
            As for `Network.SGD`. Each network gets copies of its own, which may write no file. One
            that returns True stops its network, and the others go on.
        threads : int, optional
            The most threads; each trains a group of networks at a time.
        **others
            Other arguments of `Network.SGD`. Those that are one number or one optimizer may be a
            list with one for each network: optimizer, lmbda, l1, weight_decay, max_norm,
            clip_value, clip_norm, noise.

        Returns
        -------
        list of History
            A network that diverged has its DivergenceError in the list, and the parameters from
            before that epoch.

        Raises
        ------
        TypeError, ValueError
            If an argument is bad, or one that networks in lanes cannot follow; nothing is changed.
        RuntimeError
            If one of the networks is being trained.

        Examples
        --------
        >>> networks = [cbackprop.Network([2, 8, 1], seed=seed) for seed in range(3)]
        >>> histories = cbackprop.Ensemble(networks).SGD(
        ...     ([[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]]), 5, 1, eta=[0.1, 0.5, 1.0])
        >>> [history.eta[-1] for history in histories]
        [0.1, 0.5, 1.0]
        """
        self._first()
        weights = None if sample_weight is None else arrays.numbers(sample_weight, "sample_weight")
        given = {"epochs": epochs, "eta": eta, "sample_weight": weights, **others}
        own = [{} for _ in self.networks]  # type: list[dict[str, Any]]
        for name in EACH:
            if np.iterable(given.get(name)) and not isinstance(given[name], (str, bytes)):
                values = _check.items(given.pop(name), name)
                if len(values) != len(self):
                    raise ValueError(f"{name} must be one value, or one for each of {len(self)} "
                                     f"networks, got {len(values)}")
                for arguments, value in zip(own, values, strict=True):
                    arguments[name] = value
        if weights is not None and weights.ndim == 2:
            if len(weights) != len(self):
                raise ValueError(f"sample_weight must be (n,), or ({len(self)}, n) for {len(self)} "
                                 f"networks, got {weights.shape}")
            for arguments, row in zip(own, weights, strict=True):
                arguments["sample_weight"] = row
            del given["sample_weight"]
        same_order = _check.boolean("same_order", same_order)
        threads = thread_choice.checked(threads)
        data, called = again(training_data), _check.items(callbacks, "callbacks must be a list")
        test_data = again(test_data, "test_data")
        given = {name: again(value, name) for name, value in given.items()}
        check_files([(network, {"callbacks": called}) for network in self.networks])
        trainings: list[Training] = []
        for at, (network, arguments) in enumerate(zip(self.networks, own, strict=True)):
            try:
                trainings.append(network.prepare(
                    data, mini_batch_size=mini_batch_size, test_data=test_data,
                    callbacks=copies(called), **given, **arguments))
            except (TypeError, ValueError) as error:
                if arguments:
                    error.args = (f"networks[{at}]: {error}",)
                raise
            self._check(trainings[0], trainings[-1], same_order)
        return lockstep.run(trainings, threads, same_order)

    def _check(self, first: Training, training: Training, same_order: bool) -> None:
        found = lanes.obstacle_in_training(training)
        if found:
            raise ValueError(f"an Ensemble cannot train with {found}; train_many can")
        if lanes.training_structure(training) != lanes.training_structure(first):
            raise ValueError("an Ensemble must have one optimizer, perhaps with numbers of each "
                             f"network, got {first.options.optimizer!r} and "
                             f"{training.options.optimizer!r}")
        if same_order and training.split:
            raise ValueError("same_order must be False where each network holds out examples of "
                             "its own (validation_split), got True")

    def feedforward(
        self, a: ArrayLike, output: str | float | Sequence[float] = "mean", *,
        threads: int | None = None,
    ) -> NDArray[Any]:
        """
        Return what the networks say together.

        Parameters
        ----------
        a : array
            As `Network.feedforward` takes it.
        output : {"mean", "all", "vote"}, float, or sequence of float
            The mean output; all of them; the share of the networks that choose each class, or
            label, as `Network.predict` does; or quantiles of the outputs, such as 0.5 for the
            median.
        threads : int, optional
            The most threads.

        Returns
        -------
        array
            Shaped as by `Network.feedforward`; before that, with "all" the networks, with several
            quantiles these.

        Raises
        ------
        TypeError, ValueError
            If an argument is bad, `a` is not finite, or networks of numbers are to vote.

        Examples
        --------
        >>> ensemble = cbackprop.Ensemble([cbackprop.Network([2, 3], seed=s) for s in range(9)])
        >>> ensemble.feedforward([[0.0, 1.0]], "all").shape
        (9, 1, 3)
        >>> ensemble.feedforward([[0.0, 1.0]], [0.1, 0.9]).shape
        (2, 1, 3)
        """
        how = _output(output)
        first = self._first()
        given: Any = first.inputs(a)
        if not arrays.is_sparse(given):
            given = arrays.numbers(given, "a")
        rows = first.engine.rows(arrays.rows_or_sparse(given, first.sizes[0], "a"), "a")
        first.engine.check_finite(rows, "a")
        core = first.engine.build.Lanes([each.engine.core for each in self.networks])
        most = thread_choice.most(thread_choice.checked(threads))
        kinds = self._voting() if isinstance(how, str) and how == "vote" else []
        out = _combined(core.feedforward(core.examples(rows), most), how, kinds)
        if given.ndim == 1:
            return out.reshape(*out.shape[:-2], -1)
        return out if given.shape[1] == first.sizes[0] else np.swapaxes(out, -1, -2)

    def _voting(self) -> list[metrics.Kind]:
        """Return the kind of each network's targets, which must be classes or labels."""
        kinds = [metrics.kind_of(each.engine, None, each.trained_on) for each in self.networks]
        others = {kind.name for kind in kinds} - {metrics.CLASSES, metrics.LABELS}
        if others:
            raise ValueError("output 'vote' needs networks of classes or labels, got some of "
                             f"{min(others)}: take their 'mean' or quantiles")
        return kinds

    def measure(self, test_data: Any) -> dict[str, float]:
        """
        Return every metric that fits the targets, by name, of the mean output.

        Parameters
        ----------
        test_data : (x, y)
            As for `Network.measure`, in arrays.

        Raises
        ------
        TypeError, ValueError
            If the data does not fit the networks.

        Examples
        --------
        >>> (x, y), test_data = cbackprop.datasets.load_mnist()
        >>> networks = [cbackprop.Network([784, 10], input_scale=1 / 255, seed=s) for s in range(3)]
        >>> ensemble = cbackprop.Ensemble(networks)
        >>> histories = ensemble.SGD((x, y), 2, 10, 0.5)
        >>> ensemble.measure(test_data)["accuracy"] > 0.8
        True
        """
        first = self._first()
        engine = first.engine
        rows, targets = engine.arrays(test_data, "test_data", admit=engine.target_values.measured)
        kind = metrics.kind_for(engine, ArrayExamples(rows, targets), first.trained_on)
        outputs = self.feedforward(rows.x)
        return {metric.name: metric.value(metric.part(outputs, targets.y, kind))
                for metric in metrics.fitting(kind, engine) if metric is not metrics.cost}

    def save(self, path: storage.Target) -> None:
        """
        Write all networks to one file, whole or not at all: a zip of what `Network.save` writes.

        Parameters
        ----------
        path : str, path-like or binary file object

        Raises
        ------
        OSError, TypeError, ValueError
            As `Network.save`.

        See Also
        --------
        load
        """
        with storage.replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
            for at, network in enumerate(self.networks):
                content = io.BytesIO()
                network.save(content)
                archive.writestr(f"{at}.npz", content.getbuffer())

    @classmethod
    def load(cls, path: storage.Target, *, max_bytes: int = storage.MAX_BYTES) -> Ensemble:
        """
        Read an ensemble that `save` wrote.

        Parameters
        ----------
        path : str, path-like or binary file object
        max_bytes : int
            What the file may unpack to, unless it is larger itself.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not such a file, or is damaged.

        Examples
        --------
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "ensemble.zip")
        >>> cbackprop.Ensemble([cbackprop.Network([2, 1], seed=s) for s in range(3)]).save(path)
        >>> len(cbackprop.Ensemble.load(path))
        3
        """
        max_bytes = _check.integer("max_bytes", max_bytes, 0)
        with (storage.opened(path, max_bytes) as file,
              storage.damaged(f"{storage.named(path)} is not a usable ensemble: "),
              storage.unzipped(file) as archive):
            if sum(info.file_size for info in archive.infolist()) > max_bytes:
                raise ValueError(f"more than max_bytes = {max_bytes:,} bytes; give a larger "
                                 "max_bytes to read it")
            names = [f"{at}.npz" for at in range(len(archive.infolist()))]
            found = archive.namelist()
            if "header.npy" in found:
                raise ValueError("it holds one network: Network.load reads it")
            if not names or {*found} != {*names}:
                raise ValueError(f"its parts must be 0.npz, 1.npz, ..., got {_check.shown(found)}")
            networks = []
            for name in names:
                storage.check_packed(archive.getinfo(name))
                with archive.open(name) as part:
                    networks.append(Network.load(
                        cast(BinaryIO, part), max_bytes=max_bytes))
            return cls(networks)


def _output(output: Any) -> str | NDArray[np.float64]:
    rule = f"output must be one of {list(OUTPUTS)}, or quantiles between 0 and 1"
    if isinstance(output, str):
        if output not in OUTPUTS:
            raise ValueError(f"{rule}, got {output!r}{_words.meant(output, OUTPUTS)}")
        return output
    quantiles = arrays.numbers(output, "output").astype(np.float64)
    if quantiles.ndim > 1 or not quantiles.size or not ((quantiles >= 0) & (quantiles <= 1)).all():
        raise ValueError(f"{rule}, got {_check.shown(output)}")
    return quantiles


def _combined(
    outputs: NDArray[Any], how: str | NDArray[np.float64], kinds: Sequence[metrics.Kind]
) -> NDArray[Any]:
    """Return one array for the outputs of all networks, (networks, n, out)."""
    if not isinstance(how, str):
        return np.quantile(outputs, how, axis=0).astype(outputs.dtype)
    if how == "all":
        return outputs
    if how == "mean":
        return outputs.mean(axis=0, dtype=np.float64).astype(outputs.dtype)
    share: NDArray[Any] = np.zeros(outputs.shape[1:])
    for each, kind in zip(outputs, kinds, strict=True):
        said = metrics.decided(each, kind)  # -1 where an output is NaN: no vote
        if share.shape[1] == 1 or kind.name == metrics.LABELS:
            share += said.reshape(share.shape) == 1
        else:
            share += said[:, None] == np.arange(share.shape[1])
    return (share / len(outputs)).astype(outputs.dtype)
