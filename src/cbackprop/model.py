"""The parts of a network: settings, live parameters, copies, files. network.py has its methods."""

from __future__ import annotations  # naming numpy.random would import it, for 8 ms

import copy
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cbackprop import _words, arrays, files, functions, initializers, layers, precision, storage
from cbackprop._check import booleans, choice, generator
from cbackprop._check import instance as check_instance
from cbackprop._check import sizes as checked_sizes
from cbackprop.core import _dispatch, table
from cbackprop.engine import Engine
from cbackprop.history import History
from cbackprop.initializers import InitializerName
from cbackprop.layers import CostLike, LayerLike
from cbackprop.metrics import Kind
from cbackprop.parameters import Views
from cbackprop.summary import Summary
from cbackprop.tables import given
from cbackprop.tables.preprocessing import Preprocessing, is_table

SETTINGS = ("sizes", "activation", "output_activation", "cost", "dtype", "input_scale", "bias")
FIXED = (*SETTINGS, "compute_dtype", "num_layers", "engine")
KEPT = ("history", "trained_on", "_preprocessing", "_classes")  # saved in files, too

M = TypeVar("M", bound="Model")


@_words.suggesting("__init__")
class Model:
    """A network without the book's methods: its settings, parameters, copies and files."""

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: LayerLike | Sequence[LayerLike] = "sigmoid",
        output_activation: LayerLike | None = None,
        cost: CostLike = "quadratic",
        dtype: DTypeLike = "float32",
        compute_dtype: DTypeLike | None = None,
        input_scale: float | ArrayLike = 1.0,
        bias: bool | Sequence[bool] = True,
        initializer: InitializerName | tuple[
            Sequence[ArrayLike], Sequence[ArrayLike]] = "default",
        seed: int | np.random.Generator | None = None,
        threads: int | None = None,
    ) -> None:
        self.sizes = checked_sizes(sizes)
        self.num_layers = len(self.sizes)
        self.dtype = choice("dtype", _real(dtype), _dispatch.REALS)
        self.compute_dtype = precision.compute_dtype(
            _real(compute_dtype), self.dtype, self.sizes)
        self.cost = layers.resolve_function("cost", cost, table.COSTS, functions.Cost)
        activations, output_activation = layers.resolve_layers(
            activation, output_activation, self.cost, self.sizes)
        self.activation = layers.in_our_words(activation)
        self.output_activation = layers.in_our_words(output_activation)
        self.input_scale = _scale(input_scale, self.sizes[0], self.dtype)
        biased = booleans("bias", bias, len(activations))
        self.bias = biased[0] if len(set(biased)) == 1 else biased
        self.engine = Engine(self.sizes, activations, self.cost, self.dtype, self.compute_dtype,
                             self.input_scale, biased, generator(seed), threads)
        self.history: History | None = None
        self.trained_on: Kind | None = None
        self.classes: Any = None
        initializers.fill(initializer, self.engine.random, self.weights, self.biases)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and name in self.__dict__:
            raise AttributeError(f"{name} is fixed when a network is made: make another")
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # a type checker knows all names

        def __getattr__(self, name: str) -> Any:
            raise _words.unknown_attribute(self, name)

    def __repr__(self) -> str:
        rest = "" if self.compute_dtype == self.dtype else f", compute_dtype={self.compute_dtype!r}"
        rest += "" if self.bias is True else f", bias={self.bias!r}"
        return (f"Network({list(self.sizes)}, activation={self.activation!r}, "
                f"output_activation={self.output_activation!r}, cost={self.cost!r}, "
                f"dtype={self.dtype!r}{rest})")

    def _repr_html_(self) -> str:
        drawn = "" if self.history is None else self.history._repr_html_()
        return f"<div>{self.summary()._repr_html_()}{drawn}</div>"

    def summary(self) -> Summary:
        """
        Return a table of layers: shapes, parameters, activations, memory, arithmetic.

        Examples
        --------
        >>> cbackprop.Network([784, 30, 10], seed=0).summary()
        Network([784, 30, 10]), cost quadratic, float32; multiply-adds for one example
        layer  neurons    activation  parameters    bytes  forward  training
            0  784 -> 30  sigmoid         23,550   94,200   23,520    47,040
            1  30 -> 10   sigmoid            310    1,240      300       900
               all                        23,860  102,464   23,820    47,940
        """
        return Summary(self)

    def settings(self) -> dict[str, Any]:
        """
        Return the arguments for another network like this one.

        Examples
        --------
        >>> net = cbackprop.Network([2, 3, 1], activation="tanh")
        >>> cbackprop.Network(**net.settings() | {"dtype": "float64"}).activation
        'tanh'
        """
        names = SETTINGS if self.compute_dtype == self.dtype else (*SETTINGS, "compute_dtype")
        return {name: getattr(self, name) for name in names}

    # ---- columns and classes ----

    @property
    def preprocessing(self) -> Preprocessing | None:
        """The preprocessing of tables. With None, their numbers are read by position."""
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, preprocessing: Preprocessing | None) -> None:
        if preprocessing is not None:
            check_instance("preprocessing", preprocessing, Preprocessing)
            if len(preprocessing.columns) != self.sizes[0]:
                raise ValueError(f"preprocessing must make sizes[0] = {self.sizes[0]} columns, "
                                 f"got {len(preprocessing.columns)}")
        self._preprocessing = preprocessing
        self._read_as(preprocessing, self.classes)

    @property
    def classes(self) -> given.Classes | None:
        """The names or numbers of the classes. If they are set, y of one dimension holds them."""
        return self._classes

    @classes.setter
    def classes(self, classes: Sequence[Any] | None) -> None:
        self._classes = given.checked_classes(classes, self.sizes[-1])
        self._read_as(self.preprocessing, self._classes)

    _preprocessing: Preprocessing | None = None
    _classes: given.Classes | None = None

    def _read_as(
        self, preprocessing: Preprocessing | None, classes: given.Classes | None
    ) -> None:
        neither = preprocessing is None and classes is None
        self.engine.as_arrays = None if neither else functools.partial(
            given.examples, preprocessing, classes, self.sizes[0], self.dtype)

    def inputs(self, x: Any) -> Any:
        """
        Return x, transformed by `preprocessing` if it is a table.

        Raises
        ------
        ValueError
            If the table does not fit.
        """
        if self._preprocessing is not None and is_table(x):
            return self._preprocessing.transform(x, self.dtype)
        return x

    def data(self, data: Any, name: str = "") -> Any:
        """
        Return a data set with tables as arrays, and classes as labels.

        Raises
        ------
        ValueError
            If a table does not fit, or y holds a value that is no class.
        """
        return data if self.engine.as_arrays is None else self.engine.as_arrays(data, name)

    # ---- parameters ----

    @property
    def weights(self) -> Views:
        """Weights, `(out, in)` for each layer; assign a list of arrays to set them all."""
        return self.engine.weights

    @weights.setter
    def weights(self, values: Sequence[ArrayLike]) -> None:
        self.engine.weights.assign(values)

    @property
    def biases(self) -> Views:
        """Biases, `(out, 1)` for each layer, zero without `bias`; assign a list to set them all."""
        return self.engine.biases

    @biases.setter
    def biases(self, values: Sequence[ArrayLike]) -> None:
        self.engine.biases.assign(values)

    @property
    def threads(self) -> int | None:
        """The most threads to use; None leaves it to the library."""
        return self.engine.threads

    @threads.setter
    def threads(self, threads: int | None) -> None:
        self.engine.threads = threads

    def c_handle(self, mini_batch_size: int = 1) -> Any:
        """
        Return what compiled code calls this network by, without the interpreter.

        For Cython, ``cbackprop/core/__init__.pxd`` says how and what the caller has to see to;
        ``examples/control_loop`` does it.

        Parameters
        ----------
        mini_batch_size : int
            The most examples that one step may take.

        Returns
        -------
        capsule
            For network32 or network64, as `dtype` is. It owns the memory that they work in, and
            keeps the parameters alive.

        Raises
        ------
        TypeError, ValueError
            If the argument is no positive integer, or a function of the network is not compiled.

        Examples
        --------
        >>> cbackprop.Network([2, 3, 1]).c_handle()  # doctest: +ELLIPSIS
        <capsule object "cbackprop.network32.1" at 0x...>
        """
        return self.engine.c_handle(mini_batch_size)

    # ---- copies and files ----

    def copy(self: M) -> M:
        """Return an independent copy: parameters, settings, and the state of the random order."""
        return copy.deepcopy(self)

    def with_parameters(
        self: M, weights: Sequence[NDArray[Any]], biases: Sequence[NDArray[Any]]
    ) -> M:
        """
        Return a network that goes on in this one's place, with other parameters of its shapes.

        What an optimizer carries and the random order go over to it; this one keeps its parameters,
        for whoever has views of them.
        """
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__, engine=self.engine.successor())
        made.weights.put(weights)
        made.biases.put(biases)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings(), **self.engine.state(), "history": self.history,
                "trained_on": self.trained_on,
                "preprocessing": self._preprocessing and self._preprocessing.state(),
                "classes": self._classes,
                "user's": {name: value for name, value in self.__dict__.items()
                           if name not in (*FIXED, *KEPT)}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Model.__init__(self, **state["settings"], initializer="zeros")
        self.engine.set_state(state)
        self.history = copy.deepcopy(state.get("history"))
        self.trained_on = state.get("trained_on")
        preprocessing = state.get("preprocessing")
        self.preprocessing = (
            None if preprocessing is None else Preprocessing.of(preprocessing))
        self.classes = state.get("classes")
        self.__dict__.update(state.get("user's", {}))

    def save(self, path: storage.Target) -> None:
        """
        Write the network to one file, whole or not at all; `load` goes on exactly where it is.

        That is parameters, settings, what an optimizer remembers, the state of the random order,
        `history`, `preprocessing` and `classes`. docs/files.md has the format.

        Parameters
        ----------
        path : str, path-like or binary file object
            One whose name ends in ``.safetensors`` becomes such a file (extra ``safetensors``), any
            other an ``.npz``. The mode of a file that is replaced is kept.

        Raises
        ------
        OSError
            If the file cannot be written; one that was there is kept.
        TypeError
            If an activation or the cost is the user's own, or the path is none.
        ValueError
            If a weight or a bias is not finite.
        ModuleNotFoundError
            If safetensors is missing.

        See Also
        --------
        load
        """
        self.engine.check_parameters()
        files.save(path, self.__getstate__())

    @classmethod
    def load(
        cls: type[M], path: storage.Target, *, max_bytes: int = storage.MAX_BYTES,
        compute_dtype: DTypeLike | None = None,
    ) -> M:
        """
        Read a network that `save` wrote.

        Parameters
        ----------
        path : str, path-like or binary file object
        max_bytes : int
            What a file that is packed may unpack to, unless it is larger itself; and what a file
            object may hold.
        compute_dtype : {"bfloat16", "auto"}, optional
            As in `Network`. The file does not say: all that it holds is of `dtype`.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not such a file, is damaged, holds numbers that are not finite, or is of a
            later version.
        ModuleNotFoundError
            If safetensors (extra ``safetensors``) is missing, for such a file.

        Examples
        --------
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "net.npz")
        >>> cbackprop.Network([2, 3, 1], seed=0).save(path)
        >>> cbackprop.Network.load(path)
        Network([2, 3, 1], activation='sigmoid', output_activation='sigmoid', cost='quadratic', \
dtype='float32')
        """
        state = files.load(path, max_bytes)
        if compute_dtype is not None:
            state["settings"]["compute_dtype"] = precision.compute_dtype(
                _real(compute_dtype), *(state["settings"][name] for name in ("dtype", "sizes")))
        return cls.of(state, storage.named(path))

    @classmethod
    def of(cls: type[M], state: dict[str, Any], source: str) -> M:
        """
        Return the network of a state that was read from a file.

        Raises
        ------
        ValueError
            If settings, arrays and numbers do not fit together; it names the source.
        """
        network = cls.__new__(cls)
        with storage.damaged(f"{source} is not a usable network: "), np.errstate(over="ignore"):
            network.__setstate__(state)
            network.engine.check_parameters()
        return network


def _real(dtype: DTypeLike | None) -> Any:
    try:
        return dtype if dtype is None else np.dtype(dtype).name
    except TypeError:
        return dtype


def _scale(scale: Any, width: int, real: str) -> float | NDArray[Any]:
    array = arrays.numbers(scale, "input_scale")
    if array.shape not in {(), (width,)}:
        raise ValueError(f"input_scale must be a number or have shape ({width},), "
                         f"got shape {array.shape}")
    converted: NDArray[Any] = arrays.finite(array, real, "input_scale").copy()
    if array.ndim == 0:
        return float(array)
    converted.flags.writeable = False
    return converted
