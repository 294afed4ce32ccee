"""The network as Python sees it: checks, views, the outer loop of SGD. No arithmetic."""

from __future__ import annotations  # naming numpy.random would import it, for 8 ms

import copy
import functools
import itertools
import math
import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cbackprop import callbacks as calls
from cbackprop import data, files, functions, initializers, optimizers, schedules, storage, training
from cbackprop import threads as teams
from cbackprop.core import _dispatch, table
from cbackprop.history import History
from cbackprop.rowsource import Examples, InArrays, InParts, RowSource, SparseTargets, listed

if TYPE_CHECKING:
    from cbackprop.core.builds._baseline_float32 import Core, Rows, Targets
    from cbackprop.inspect import Summary

SETTINGS = ("sizes", "num_layers", "activation", "output_activation", "cost", "dtype",
            "input_scale")
OWN = ("_activations", "_build", "_core", "_weights", "_biases", "_random", "_in_training",
       "_trained_by", "_memory", "_paces", "_threads", "history")
MOST_WEIGHTS = 2**48  # more is a slip, and would overflow the arithmetic of addresses


class DivergenceError(FloatingPointError):
    """Training produced NaN or infinity; the parameters are those from before that epoch."""


class Views(Sequence[Any]):
    """Live views of parameters, one for each layer; assigning to one copies into the network."""

    def __init__(self, name: str, arrays: list[NDArray[Any]]) -> None:
        self._name, self._arrays = name, arrays

    def __len__(self) -> int:
        return len(self._arrays)

    def __getitem__(self, layer: Any) -> Any:
        return self._arrays[layer]

    def __setitem__(self, layer: int, value: ArrayLike) -> None:
        layer = range(len(self))[layer]
        self._arrays[layer][...] = self._checked(layer, value)

    def __repr__(self) -> str:
        return f"<{self._name} of shapes {[a.shape for a in self._arrays]}>"

    def assign(self, values: Iterable[ArrayLike]) -> None:
        """Copy all layers' values, or, if one has the wrong shape, none."""
        rule = f"{self._name} must be {len(self)} arrays"
        values = data.items(values, rule)
        if len(values) != len(self):
            raise ValueError(f"{rule}, got {len(values)}")
        checked = [self._checked(layer, value).copy() for layer, value in enumerate(values)]
        for view, value in zip(self._arrays, checked, strict=True):
            view[...] = value

    def _checked(self, layer: int, value: ArrayLike) -> NDArray[Any]:
        name, shape = f"{self._name}[{layer}]", self._arrays[layer].shape
        array = data.numbers(value, name)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        return array


class Network:
    """
    A dense feedforward network, trained by stochastic gradient descent and backpropagation.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first: at least two layers of at least one.
    activation : str, (str, float), Activation, or dict; or a list of them
        Of the hidden layers; or, as a list, of every layer of weights, the output included. By
        name, such as "sigmoid", "relu" or "softmax": docs/functions.md has all with their formulas,
        and the error for an unknown one lists them. With its parameter, ("leaky_relu", 0.01), if it
        has one; or the user's own `Activation`. A layer's neurons may differ: {"relu": 20,
        "tanh": 10}, in this order, or, in a list of layers, a list of one for each neuron.
    output_activation : as activation, optional
        Of the output layer. By default what the cost goes with, such as "sigmoid" for
        "cross_entropy" and "softmax" for "log_likelihood"; for some, `activation`.
    cost : str, (str, float...), (str, dict), or Cost
        By name, such as "quadratic" or "cross_entropy", with any output activation:
        docs/functions.md has all. With its parameters, ("huber", 0.5) or ("huber", {"delta": 0.5}),
        if it has any; or the user's own.
    dtype : {"float32", "float64"}
        Of parameters and arithmetic.
    input_scale : float or array of shape (sizes[0],)
        What inputs are multiplied by as they are read; 1/255 lets images train as they are.
    initializer : str, or (weights, biases)
        "default": weights N(0, 1) / sqrt(inputs of the neuron), biases N(0, 1); "large", the book's
        first: all N(0, 1). With biases 0: "glorot_uniform", "glorot_normal", "he_uniform",
        "he_normal", "lecun_uniform", "lecun_normal", "orthogonal", "zeros". Or a list of arrays
        each, shaped as the attributes.
    seed : int, numpy.random.Generator or None
        Of the initial parameters and of the order of the examples.
    threads : int, optional
        The most to use; by default what the environment variable CBACKPROP_NUM_THREADS says, or as
        many as this process has cores. Fewer are used where that is quicker: for small
        mini-batches, or while other programs have the cores. The results are the same bits.

    Attributes
    ----------
    sizes : tuple of int
    num_layers : int
    weights, biases : sequences of arrays
        Live, writable views of shape (out, in) and (out, 1), one for each layer but the inputs.
    history : History or None
        Of the last training: what it returned, or, if it was stopped, its whole epochs.
    activation, output_activation, cost, dtype, input_scale
        As given.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, outside its range, or an unknown name.

    Notes
    -----
    Notation and equations follow chapter 2 of M. Nielsen, *Neural Networks and Deep Learning*.

    Examples
    --------
    >>> import cbackprop
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x, y), epochs=5, mini_batch_size=10, eta=3.0, test_data=test_data)
    >>> history.accuracy[-1] > 0.85
    True
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: Any = "sigmoid",
        output_activation: Any = None,
        cost: Any = "quadratic",
        dtype: DTypeLike = "float32",
        input_scale: float | ArrayLike = 1.0,
        initializer: str | tuple[Sequence[ArrayLike], Sequence[ArrayLike]] = "default",
        seed: int | np.random.Generator | None = None,
        threads: int | None = None,
    ) -> None:
        self.sizes = _sizes(sizes)
        self.num_layers = len(self.sizes)
        self.dtype = _name("dtype", _real(dtype), _dispatch.REALS)
        self._build = build = _dispatch.load(self.dtype)
        self.cost = functions.one("cost", cost, table.COSTS, functions.Cost)
        self._activations, output_activation = functions.layers(
            activation, output_activation, cost, self.sizes)
        self.activation = functions.plain(activation)
        self.output_activation = functions.plain(output_activation)
        self.input_scale = _scale(input_scale, self.sizes[0], self.dtype)
        self._core: Core = build.Core(
            self.sizes, self._activations, self.cost, self.input_scale)
        self._weights, self._biases = map(
            Views, ("weights", "biases"), self._core.views(self._core.parameters))
        self._random = _generator(seed)
        self._in_training = threading.Lock()
        self._trained_by: int | None = None  # a thread's number
        self._memory: optimizers.OptimizerState | None = None
        self.threads = threads
        self.history: History | None = None
        initializers.fill(initializer, self._random, self.weights, self.biases)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SETTINGS and name in self.__dict__:
            raise AttributeError(f"{name} is settled when a network is made: make another")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return (f"Network({list(self.sizes)}, activation={self.activation!r}, "
                f"output_activation={self.output_activation!r}, cost={self.cost!r}, "
                f"dtype={self.dtype!r})")

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
        from cbackprop.inspect import Summary

        return Summary(self)

    # ---- parameters ----

    @property
    def weights(self) -> Views:
        """Weights, `(out, in)` for each layer; assign a list of arrays to set them all."""
        return self._weights

    @weights.setter
    def weights(self, values: Sequence[ArrayLike]) -> None:
        self._weights.assign(values)

    @property
    def biases(self) -> Views:
        """Biases, `(out, 1)` for each layer; assign a list of arrays to set them all."""
        return self._biases

    @biases.setter
    def biases(self, values: Sequence[ArrayLike]) -> None:
        self._biases.assign(values)

    @property
    def threads(self) -> int | None:
        """The most threads to use; None leaves it to the library."""
        return self._threads

    @threads.setter
    def threads(self, threads: int | None) -> None:
        self._threads = teams.checked(threads)
        self._core.threads_for = functools.partial(teams.for_reading, self._threads)
        self._paces: dict[int, teams.Pace] = {}

    def _pace(self, m: int) -> teams.Pace:
        """Return what is known of mini-batches of m, from earlier calls too."""
        if m not in self._paces:
            self._paces[m] = teams.Pace(self.sizes, m, self._core.parameters.itemsize)
        return self._paces[m]

    # ---- the chapter ----

    def feedforward(self, a: ArrayLike) -> NDArray[Any]:
        """
        Return the output of the network, equation (25), for one example or many.

        Parameters
        ----------
        a : array of shape (n, in), (in,), or a column (in, 1)
            Or a sparse matrix of SciPy, which is never made dense.

        Returns
        -------
        array of shape (n, out), (out,), or (out, 1)

        Raises
        ------
        TypeError, ValueError
            If `a` has another shape, or is not finite real numbers.

        Examples
        --------
        >>> net = cbackprop.Network([2, 3, 1], seed=0)
        >>> net.feedforward([[0.0, 1.0], [1.0, 1.0]]).shape
        (2, 1)
        """
        out = self._core.feedforward(a)
        if out is not None:
            return out
        given: Any = a if data.is_sparse(a) else data.numbers(a, "a")
        rows = self._rows(data.rows_or_sparse(given, self.sizes[0], "a"), "a")
        out = self._core.feedforward(rows)
        if out is None:
            self._not_finite(rows, "a")
        assert out is not None  # or that has raised
        if given.ndim == 1:
            return out.ravel()
        return out if given.shape[1] == self.sizes[0] else out.T

    def backprop(
        self, x: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """
        Return the gradient of the cost, by BP1 to BP4.

        Parameters
        ----------
        x : array of shape (n, in), (in,), or a column (in, 1)
        y : array of shape (n, out), (out,), (out, 1), or labels (n,)
        sample_weight : array of shape (n,), optional
            What each example's gradient is multiplied by.

        Returns
        -------
        nabla_b, nabla_w : lists of arrays
            Shaped as `biases` and `weights`; the average over the examples.

        Raises
        ------
        TypeError, ValueError
            If x and y do not fit the network or each other, or are not finite.

        Examples
        --------
        >>> net = cbackprop.Network([2, 3, 1], seed=0)
        >>> nabla_b, nabla_w = net.backprop([0.0, 1.0], [1.0])
        >>> [g.shape for g in nabla_w]
        [(3, 2), (1, 3)]
        """
        x = data.rows_or_sparse(x, self.sizes[0])
        rows, targets = self._examples((x, y), "", sample_weight=sample_weight)
        nabla = np.zeros_like(self._core.parameters)
        self._gradient(rows, targets, nabla)
        nabla_w, nabla_b = self._core.views(nabla)
        return nabla_b, nabla_w

    def _with(self, weights: list[NDArray[Any]], biases: list[NDArray[Any]]) -> Network:
        """
        Return a network like this one, with other parameters of the same shapes.

        An optimizer's memory goes with it. This one keeps its parameters, for who has views of
        them. It takes a tenth of the time that checking all settings again would.
        """
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._core = self._build.Core(
            self.sizes, self._activations, self.cost, self.input_scale)
        made._core.threads_for = self._core.threads_for
        views = made._core.views(made._core.parameters)
        made._weights, made._biases = Views("weights", views[0]), Views("biases", views[1])
        made._in_training, made._trained_by = threading.Lock(), None
        self._memory = None
        if made._memory is not None:
            made._memory.follow(made._core)
        for of_kind, values in zip(views, (weights, biases), strict=True):
            for view, value in zip(of_kind, values, strict=True):
                view[...] = value
        return made

    def _gradient(self, rows: Any, targets: Any, nabla: NDArray[Any]) -> float:
        """Write the average gradient into an arena of zeros; return the mean cost."""
        return self._pace(len(rows)).timed(
            self.threads, functools.partial(self._core.backprop, rows, targets, nabla))

    def update_mini_batch(self, mini_batch: Any, eta: float) -> None:
        """
        Take one step of gradient descent, w -> w - (eta/m) sum_x delta a^T and b likewise.

        Parameters
        ----------
        mini_batch : (x, y), or a list of pairs
            As `SGD` takes its training data.
        eta : float
            Learning rate.

        Raises
        ------
        TypeError, ValueError, DivergenceError, RuntimeError
            As `SGD`; the parameters are then as before.

        Examples
        --------
        >>> net = cbackprop.Network([2, 3, 1], seed=0)
        >>> net.update_mini_batch(([[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]]), eta=0.5)
        """
        rows, targets = self._examples(mini_batch, "mini_batch")
        etas, n = schedules.rates(schedules.Constant(eta), 0, 1), len(rows)
        with self._training():
            saved = self._core.parameters.copy()
            _, cost = self._core.sgd(rows, targets, np.arange(n), n, etas, 0, n)
            if not (math.isfinite(cost) and self._core.all_finite()):
                self._core.parameters[...] = saved
                raise self._diverged("update_mini_batch diverged", etas[0], rows)

    def cost_derivative(self, output_activations: ArrayLike, y: ArrayLike) -> NDArray[Any]:
        """
        Return dC/da, the derivative of the cost by each output activation.

        Parameters
        ----------
        output_activations, y : arrays of the same shape
            (n, out), (out,), or columns (out, 1).

        Examples
        --------
        >>> net = cbackprop.Network([2, 1], seed=0)
        >>> net.cost_derivative([[0.75]], [[1.0]])
        array([[-0.25]], dtype=float32)
        """
        a = data.numbers(output_activations, "output_activations").astype(self.dtype, order="C")
        wanted = data.numbers(y, "y").astype(self.dtype, order="C")
        if a.shape != wanted.shape:
            raise ValueError(f"output_activations and y must have the same shape, "
                             f"got {a.shape} and {wanted.shape}")
        rows = (-1, self.sizes[-1]) if a.size and a.size % self.sizes[-1] == 0 else (1, -1)
        return self._core.cost_derivative(a.reshape(rows), wanted.reshape(rows)).reshape(a.shape)

    def SGD(  # noqa: N802  the book's name
        self,
        training_data: Any,
        epochs: int,
        mini_batch_size: int,
        eta: float | schedules.Schedule | Callable[[int], float],
        test_data: Any = None,
        *,
        optimizer: str | optimizers.Optimizer = "sgd",
        lmbda: float = 0.0,
        l1: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        dropout: float | Sequence[float] = 0.0,
        noise: float = 0.0,
        evaluation_data: Any = None,
        monitor: Iterable[str] | None = None,
        progress: bool | calls.Report | None = None,
        callback: Callable[[Network, History], object] | None = None,
        callbacks: Iterable[calls.Callback | Callable[[Network, History], object]] = (),
        sample_weight: ArrayLike | None = None,
        class_weight: str | dict[int, float] | None = None,
        threads: int | None = None,
        skip_zeros: bool = False,
    ) -> History:
        """
        Train by stochastic gradient descent on mini-batches, in a new random order each epoch.

        Can be called again to go on. The last mini-batch of an epoch may be shorter; its step
        divides by its own length.

        Parameters
        ----------
        training_data : (x, y), a list of pairs, a RowSource, or a DataLoader
            x of shape (n, in); y one-hot or other targets (n, out), or labels (n,). C-contiguous
            rows of uint8, float32 or float64 are used where they lie; so are SciPy's sparse
            matrices, in CSR, and x is never made dense, y a few megabytes at a time. DataFrames
            and arrays of objects may hold numbers. Or the book's list of pairs of columns. Or what
            makes rows when they are needed, such as `datasets.expand`. Or a DataLoader of PyTorch
            that gives batches (x, y): it is read once, into arrays, before training, and then
            `mini_batch_size` and a new order each epoch count, not its own.
        epochs : int
        mini_batch_size : int
            At least 1 and at most n.
        eta : float, Schedule, or callable (step)
            Learning rate; one of `cbackprop.schedules`, or a function of the number of mini-batches
            done in this call. Before each epoch it is asked for all rates of that epoch.
        test_data : as training_data, optional
            Evaluated after every epoch.
        optimizer : str or cbackprop.optimizers.Optimizer
            What a step does with the average gradient g: a name that `cbackprop.optimizers.KNOWN`
            has, such as "momentum" or "adam"; or one of its class, with other numbers. What it
            remembers survives until a call with another, and is saved. docs/functions.md has all.
        lmbda : float
            The book's L2 regularisation: lmbda / n w is added to g, so that "sgd" scales w by
            1 - eta lmbda / n. Biases are left alone, here and in the next three.
        l1 : float
            l1 sign(w) is added to g.
        weight_decay : float
            Decoupled: w is scaled by 1 - eta weight_decay before the step ("adam": AdamW).
        max_norm : float, optional
            The most that the weights of one neuron may measure together.
        clip_value, clip_norm : float, optional
            The most that one derivative, or the whole gradient, may measure; before the former. A
            longer gradient is scaled to exactly `clip_norm`; PyTorch's ``clip_grad_norm_`` divides
            by its length + 1e-6.
        dropout : float or sequence of float
            The probability that an activation is left out; a number for the hidden layers, or one
            for the inputs and each hidden layer. The others are scaled up (inverted dropout).
        noise : float
            The standard deviation of what is added to the inputs.
        evaluation_data : as training_data, optional
            Validation data for monitors.
        monitor : names out of training_cost, training_accuracy, evaluation_cost, \
                evaluation_accuracy, optional
            What else is measured after every epoch; by default the latter two, if there is
            evaluation data. The cost is the mean over the examples.
        progress : True, or callable (epoch, rows done, rows), optional
            True shows a bar (extra ``progress``). A callable hears of every chunk of some tens of
            milliseconds; its first epoch is 0.
        callback : callable (network, history), optional
            Called after every epoch; training stops when it returns True.
        callbacks : list of Callback, or of such functions
            See `cbackprop.callbacks`.
        sample_weight : array of shape (n,), optional
            What each example's cost and gradient are multiplied by. A mini-batch whose examples
            all weigh 0 takes no step: nothing decays, and the optimizer does not count it.
        class_weight : "balanced", or dict {label: weight}, optional
            The same for all examples of a class, 1 for those that the dict has not; classes within
            the outputs that y has not are passed over. "balanced": n / (number of classes in y *
            how many examples the class has).
        threads : int, optional
            The most to use in this call, as for `Network`.
        skip_zeros : bool
            Whether to leave the zeros of x out of the first layer's products, if at most about
            half of its numbers are others: an epoch on MNIST takes 0.35 to 0.75 of its time. Those
            others are copied first, in the time of two epochs at most, and x is not looked at
            again. Of a RowSource no zeros are left out; of sparse rows always.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            If an argument or the data is bad; nothing is changed then.
        DivergenceError
            If NaN or infinity arises; it names the epoch, the first being 1, and the parameters
            from before that epoch are kept.
        RuntimeError
            If another thread, or the training that a callback belongs to, is at this network.

        Examples
        --------
        >>> (x, y), _ = cbackprop.datasets.load_mnist()
        >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
        >>> len(net.SGD((x, y), epochs=2, mini_batch_size=10, eta=0.5))
        2
        """
        examples = self._set(
            training_data, "training_data", False, sample_weight, class_weight, skip_zeros)
        epochs = data.integer("epochs", epochs, 0)
        m = data.integer("mini_batch_size", mini_batch_size, 1, len(examples))
        eta = schedules.schedule(eta)
        evaluation, test = (
            None if given is None else self._set(given, name)
            for given, name in ((evaluation_data, "evaluation_data"), (test_data, "test_data")))
        rules = optimizers.training_options(
            self.num_layers - 1, optimizer, lmbda, l1, weight_decay, max_norm, clip_value,
            clip_norm, dropout, noise)
        monitors = training.monitors(monitor, examples, evaluation, test)
        called = calls.collected(callbacks, callback, progress)
        most = self.threads if threads is None else teams.checked(threads)
        with self._training():
            return training.Training(
                self, examples, m, eta, rules, monitors, called, most).run(epochs)

    def LBFGS(  # noqa: N802  beside SGD
        self, training_data: Any, iterations: int = 100, *, lmbda: float = 0.0,
        tolerance: float = 1e-6, sample_weight: ArrayLike | None = None,
        class_weight: str | dict[int, float] | None = None,
    ) -> History:
        """
        Train on all examples at once by L-BFGS, SciPy's (extra ``scipy``): for small data.

        Parameters
        ----------
        training_data, sample_weight, class_weight
            As for `SGD`, in arrays; a sparse y is made dense.
        iterations : int
            At most.
        lmbda : float
            The book's L2 regularisation: lmbda / 2n times the sum of squares of all weights.
        tolerance : float
            Training ends when no derivative is larger.

        Returns
        -------
        History
            One entry of `cost`, regularisation included, for each iteration.

        Raises
        ------
        TypeError, ValueError
            If an argument or the data is bad.
        ModuleNotFoundError
            Without SciPy.
        DivergenceError
            If the cost is no longer finite; the parameters from before are kept.

        References
        ----------
        Zhu, Byrd, Lu, Nocedal, *ACM Transactions on Mathematical Software* 23, 1997.
        """
        from cbackprop import lbfgs

        rows, targets = self._examples(
            training_data, "training_data", True, sample_weight, class_weight)
        iterations = data.integer("iterations", iterations, 1)
        lmbda = optimizers.number("lmbda", lmbda, 0)
        tolerance = optimizers.number("tolerance", tolerance, 0)
        saved = self._state()
        with self._training():
            try:
                history = lbfgs.train(
                    self._core, rows, targets, iterations, lmbda, tolerance, self._gradient)
                if not (all(map(math.isfinite, history.cost)) and self._core.all_finite()):
                    raise self._diverged("L-BFGS diverged", None, rows)
            except BaseException:
                self._go_back(saved)
                raise
            self.history = history
        return history

    def _remember(self, rules: optimizers.TrainingOptions, n: int, eta: float) -> None:
        """Set up the core's optimizer: the last one if it is the same, none if none is needed."""
        if rules.plain:
            self._memory = None
            return
        name = rules.optimizer.NAME
        if self._memory is None or self._memory.optimizer != name:
            self._memory = optimizers.OptimizerState(self._build, self._core, name)
        noisy = rules.noise or any(rules.dropout)
        seed = int(self._random.integers(2**64, dtype=np.uint64)) if noisy else 0
        self._memory.set(rules, n, eta, seed)

    def _state(self) -> tuple[Any, ...]:
        """Return a copy of all that training changes."""
        return (self._core.parameters.copy(), self._random.bit_generator.state,
                self._memory and self._memory.copies())

    def _go_back(self, state: tuple[Any, ...]) -> None:
        """Put back what `_state` returned."""
        self._core.parameters[...], self._random.bit_generator.state, remembered = state
        if self._memory is not None:
            self._memory.restore(remembered)

    def _diverged(self, what: str, eta: float | None, rows: Any) -> DivergenceError:
        """Say so; or, if these rows are the cause, that they are not finite."""
        self._check_finite(rows, "training_data")  # only now: it costs a tenth of an epoch
        cause = "" if eta is None else f"; eta = {eta:g} may be too large"
        return DivergenceError(
            f"{what}: the cost or a parameter is no longer finite; the parameters from before are "
            f"kept{cause}")

    # ---- evaluation ----

    def evaluate(self, test_data: Any) -> int:
        """
        Return how many examples the network classifies correctly.

        The class is the largest output, as in the book; a single output is a class against 1/2, or,
        with a hinge for a cost, against 0, as are its targets, 0 or -1 and 1. An example with an
        output of NaN has none, and is wrong.

        Examples
        --------
        >>> _, test_data = cbackprop.datasets.load_mnist()
        >>> 0 <= cbackprop.Network([784, 10], seed=0).evaluate(test_data) <= 1000
        True
        """
        return self._evaluate(self._set(test_data, "test_data"))[0]

    def accuracy(self, test_data: Any) -> float:
        """
        Return the share of examples that the network classifies correctly.

        Examples
        --------
        >>> _, test_data = cbackprop.datasets.load_mnist()
        >>> 0 <= cbackprop.Network([784, 10], seed=0).accuracy(test_data) <= 1
        True
        """
        return self._measure(self._set(test_data, "test_data"))[1]

    def total_cost(self, test_data: Any, *, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the mean cost of the examples, each times its weight.

        Examples
        --------
        >>> net = cbackprop.Network([2, 1], seed=0)
        >>> net.total_cost(([[0.0, 1.0]], [[1.0]])) > 0
        True
        """
        return self._measure(self._set(test_data, "test_data", sample_weight=sample_weight))[0]

    def _measure(self, examples: Examples) -> tuple[float, float]:
        """Return the mean cost, and the share that is classified correctly."""
        correct, cost = self._evaluate(examples)
        return cost / len(examples), correct / len(examples)

    def _evaluate(self, examples: Examples) -> tuple[int, float]:
        parts = [self._core.evaluate(*part) for part in examples.all()]
        return sum(correct for correct, _ in parts), sum(cost for _, cost in parts)

    def _set(
        self, examples: Any, name: str, check: bool = True,
        sample_weight: ArrayLike | None = None, class_weight: Any = None,
        skip_zeros: bool = False,
    ) -> Examples:
        """Check a data set, as far as it is there, and make it a place to draw from."""
        if isinstance(examples, RowSource):
            if sample_weight is not None or class_weight is not None:
                raise TypeError("sample_weight and class_weight need examples in arrays, got "
                                f"{type(examples).__name__}")
        elif isinstance(examples, tuple) and len(examples) == 2 and data.is_sparse(examples[1]):
            examples = self._sparse_targets(*examples, name, sample_weight, class_weight)
        else:
            return InArrays(*self._examples(
                examples, name, check, sample_weight, class_weight, skip_zeros))
        row_of_y = self.sizes[-1] * np.dtype(self.dtype).itemsize
        return InParts(examples, lambda part: self._examples(part[:2], name, check, *part[2:]),
                       name, row_of_y)

    def _sparse_targets(
        self, x: Any, y: Any, name: str, sample_weight: Any, class_weight: Any
    ) -> SparseTargets:
        """Check the shapes of examples whose y is sparse; the rest is checked part by part."""
        x = data.rows_or_sparse(x, self.sizes[0], data.part("x", name))
        n, outputs = x.shape[0], self.sizes[-1]
        if y.shape != (n, outputs):
            data.targets(y, n, outputs, self.dtype, data.part("y", name))
        y = y.tocsr()
        weights = functions.weights(sample_weight, class_weight, y, outputs, self.dtype)
        return SparseTargets(x, y, weights)

    def _examples(
        self, examples: Any, name: str, check: bool = True,
        sample_weight: ArrayLike | None = None, class_weight: Any = None,
        skip_zeros: bool = False,
    ) -> tuple[Rows, Targets]:
        """Check a data set, whether x is finite perhaps later, and hand it to the core."""
        if sample_weight is not None and data.is_loader(examples):
            raise TypeError("sample_weight needs examples in arrays, for a DataLoader may shuffle "
                            f"them, got {type(examples).__name__}")
        x, y = data.examples(examples, self.sizes, self.dtype, name)
        rows = self._rows(x, data.part("x", name), skip_zeros)
        if check:
            self._check_finite(rows, name)
        weights = functions.weights(sample_weight, class_weight, y, self.sizes[-1], self.dtype)
        return rows, self._build.Targets(y, weights)

    def _rows(self, x: Any, name: str, skip_zeros: bool = False) -> Rows:
        """Hand checked rows to the core."""
        if data.is_sparse(x):
            rows: Rows = listed(self._build, x, name)
            return rows
        return self._build.Rows(x, skip_zeros)

    def _check_finite(self, rows: Rows, name: str) -> None:
        if not rows.all_finite():
            self._not_finite(rows, data.part("x", name))

    def _not_finite(self, rows: Rows, name: str) -> None:
        look = data.stored_finite if data.is_sparse(rows.x) else data.finite
        look(rows.x, self.dtype, name)

    @contextmanager
    def _training(self) -> Iterator[None]:
        here = threading.get_ident()
        if not self._in_training.acquire(blocking=False):
            if self._trained_by == here:
                raise RuntimeError("this network is being trained: a callback, metric or schedule "
                                   "of that training cannot train it; train a copy, or wait")
            raise RuntimeError("this network is being trained by another thread; "
                               "train a copy, or wait")
        self._trained_by = here
        try:
            yield
        finally:
            self._trained_by = None
            self._in_training.release()

    def handle(self, mini_batch_size: int = 1) -> Any:
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
        >>> cbackprop.Network([2, 3, 1]).handle()  # doctest: +ELLIPSIS
        <capsule object "cbackprop.network32.1" at 0x...>
        """
        m = data.integer("mini_batch_size", mini_batch_size, 1)
        handle = self._build.handle(self._core, m)
        if handle is None:
            raise ValueError("handle needs compiled functions: an Activation or a Cost of this "
                             "network is in Python")
        return handle

    # ---- copies and files ----

    def copy(self) -> Network:
        """Return an independent copy: parameters, settings, and the state of the random order."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "settings": self._settings(),
            "weights": [np.array(w) for w in self.weights],
            "biases": [np.array(b) for b in self.biases],
            "random": self._random,
            "memory": self._memory and self._memory.__getstate__(),
            "threads": self._threads,
            "history": self.history,
            "user's": {name: value for name, value in self.__dict__.items()
                       if name not in SETTINGS and name not in OWN},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Network.__init__(self, **state["settings"], initializer="zeros",
                         threads=state.get("threads"))
        self.weights, self.biases = state["weights"], state["biases"]
        self._random = copy.deepcopy(state["random"]) or self._random
        if state.get("memory"):
            self._memory = optimizers.OptimizerState.of(self._build, self._core, state["memory"])
        self.history = copy.deepcopy(state.get("history"))
        self.__dict__.update(state.get("user's", {}))

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS if name != "num_layers"}

    def save(self, path: storage.Target) -> None:
        """
        Write the network to one file, whole or not at all; `load` goes on exactly where it is.

        That is parameters, settings, what an optimizer remembers, the state of the random order,
        and `history`. docs/files.md has the format.

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
        self._check_parameters()
        files.save(path, self.__getstate__())

    @classmethod
    def load(cls, path: storage.Target, *, max_bytes: int = storage.MAX_BYTES) -> Network:
        """
        Read a network that `save` wrote.

        Parameters
        ----------
        path : str, path-like or binary file object
        max_bytes : int
            What a file that is packed may unpack to, unless it is larger itself; and what a file
            object may hold.

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
        state, network = files.load(path, max_bytes), cls.__new__(cls)
        # Settings, arrays and numbers may not fit together.
        with (storage.damaged(f"{storage.named(path)} is not a usable network: "),
              np.errstate(over="ignore")):
            network.__setstate__(state)
            network._check_parameters()
        return network

    def _check_parameters(self) -> None:
        """See that they are finite, and say which is not."""
        if not self._core.all_finite():
            for views, name in ((self.weights, "weights"), (self.biases, "biases")):
                for layer, view in enumerate(views):
                    data.finite(view, self.dtype, f"{name}[{layer}]")


# ---- arguments ----


def _sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    rule = "sizes must be at least two positive integers, inputs first"
    given = data.items(sizes, rule)
    try:
        checked = tuple(map(operator.index, given))
    except TypeError:
        raise TypeError(f"{rule}, got {data.shown(sizes)}") from None
    if len(checked) < 2 or min(checked) < 1:
        raise ValueError(f"{rule}, got {data.shown(sizes)}")
    weights = sum(k * j for k, j in itertools.pairwise(checked))
    if weights > MOST_WEIGHTS:
        raise MemoryError(f"sizes must ask for at most {MOST_WEIGHTS} weights, "
                          f"got {data.shown(sizes)}")
    return checked


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, (list, tuple, np.ndarray)) and (  # NumPy would follow a nest without end
            (isinstance(seed, np.ndarray) and (type(seed) is not np.ndarray or seed.ndim != 1))
            or not all(isinstance(s, (int, np.integer)) for s in seed)):
        raise TypeError(f"seed must be None, a Generator or a non-negative integer, "
                        f"got {data.shown(seed)}")
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(f"seed must be None, a Generator or a non-negative integer, "
                          f"got {data.shown(seed)}") from None


def _name(argument: str, value: Any, known: Any) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{argument} must be one of {sorted(known)}, got {data.shown(value)}")
    return value


def _real(dtype: DTypeLike) -> Any:
    try:
        return dtype if dtype is None else np.dtype(dtype).name
    except TypeError:
        return dtype


def _scale(scale: Any, width: int, real: str) -> float | NDArray[Any]:
    array = data.numbers(scale, "input_scale")
    if array.shape not in {(), (width,)}:
        raise ValueError(f"input_scale must be a number or have shape ({width},), "
                         f"got shape {array.shape}")
    converted: NDArray[Any] = data.finite(array, real, "input_scale").copy()
    if array.ndim == 0:
        return float(array)
    converted.flags.writeable = False
    return converted
