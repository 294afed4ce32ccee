"""The book's network and the verbs of chapter 2. The arithmetic is in the core."""

from __future__ import annotations  # naming numpy.random would import it, for 8 ms

import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _words, arrays, lbfgs, optimizers, schedules, training
from cbackprop import callbacks as calls
from cbackprop._endings import DivergenceError as DivergenceError
from cbackprop.evaluation import Evaluation
from cbackprop.history import History
from cbackprop.metrics import Monitor


@_words.suggesting("SGD", "LBFGS", prepare="SGD")
class Network(Evaluation):
    """
    A dense feedforward network, trained by stochastic gradient descent and backpropagation.

    Notation and equations are chapter 2's of M. Nielsen, *Neural Networks and Deep Learning*.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first: at least two layers of at least one.
    activation : str, (str, float), Activation, or dict; or a list of them
        The activation of the hidden layers; or a list of those of all layers, the output last. By
        name, such as "sigmoid", "relu" or "softmax": docs/functions.md has all, with their formulas
        and other libraries' names for them. With its parameter, ("leaky_relu", 0.01), if it
        has one; or the user's own `Activation`. A layer's neurons may differ: {"relu": 20,
        "tanh": 10}, in this order, or, in a list of layers, a list of one for each neuron.
    output_activation : as activation, optional
        The activation of the output layer. By default the one that goes with the cost, such as
        "sigmoid" for "cross_entropy" and "softmax" for "log_likelihood"; for some, `activation`.
    cost : str, (str, float...), (str, dict), or Cost
        By name, such as "quadratic" or "cross_entropy", with any output activation:
        docs/functions.md has all. With its parameters, ("huber", 0.5) or ("huber", {"delta": 0.5}),
        if it has any; or the user's own.
    dtype : {"float32", "float64"}
        The type of the parameters and of the arithmetic.
    compute_dtype : {"bfloat16", "auto"}, optional
        What products multiply, with dtype="float32"; by default `dtype`. With "bfloat16", the
        numbers are rounded as they are multiplied, and summed in float32: on CPUs with products of
        bfloat16 (``cbackprop info`` says so) wide networks train up to twice as fast; elsewhere
        products have the same bits, but are slower. "auto" takes it where it is faster.
        docs/bfloat16.md.
    input_scale : float or array of shape (sizes[0],)
        What inputs are multiplied by as they are read; 1/255 lets images train as they are.
    bias : bool, or sequence of bool
        Whether layers of weights have biases, all or each; those that they have not are zero.
    initializer : str, or (weights, biases)
        "default": weights N(0, 1) / sqrt(inputs of the neuron), biases N(0, 1); "large", the book's
        first: all N(0, 1). With biases 0: "glorot_uniform", "glorot_normal", "he_uniform",
        "he_normal", "lecun_uniform", "lecun_normal", "orthogonal", "zeros". Or a list of arrays
        each, shaped as the attributes.
    seed : int, numpy.random.Generator or None
        It draws the initial parameters and the order of the examples.
    threads : int, optional
        The most threads to use. By default the environment variable CBACKPROP_NUM_THREADS, or the
        number of cores of this process. Fewer are used if that is faster: for small mini-batches,
        or while other programs use the cores. The results are the same bits.

    Attributes
    ----------
    sizes : tuple of int
    num_layers : int
    weights, biases : sequences of arrays
        Live, writable views of shape (out, in) and (out, 1), one for each layer but the inputs.
    history : History or None
        The history of the last training; if it was stopped, of its completed epochs.
    trained_on : metrics.Kind or None
        The kind of the targets in the last training: classes, several labels, numbers or counts.
    activation, output_activation, cost, dtype, compute_dtype, input_scale, bias
        As given; of compute_dtype, the type that was chosen.
    preprocessing, classes : tables.Preprocessing or None; tuple or None
        The preprocessing of tables, which x may then be; the classes that y of one dimension holds.
    engine : Engine
        The part that trains and evaluates, for tools that need more than the methods.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, outside its range, or an unknown name.

    Examples
    --------
    >>> import cbackprop
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x, y), epochs=5, mini_batch_size=10, eta=3.0, test_data=test_data)
    >>> history.accuracy[-1] > 0.85
    True
    """

    def feedforward(self, a: ArrayLike) -> NDArray[Any]:
        """
        Return the output of the network, equation (25), for one example or many.

        Parameters
        ----------
        a : array of shape (n, in), (in,), or a column (in, 1)
            It may be a sparse matrix of SciPy, which is never made dense, or a table if there is
            `preprocessing`.

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
        engine = self.engine
        out = engine.core.feedforward(a)
        if out is not None:
            return out
        given: Any = a if arrays.is_sparse(a) else arrays.numbers(self.inputs(a), "a")
        rows = engine.rows(arrays.rows_or_sparse(given, self.sizes[0], "a"), "a")
        out = engine.core.feedforward(rows)
        if out is None:
            engine.not_finite(rows, "a")
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
        x = arrays.rows_or_sparse(self.inputs(x), self.sizes[0])
        engine = self.engine
        rows, targets = engine.arrays((x, y), "", sample_weight=sample_weight)
        nabla = engine.zeros()
        engine.gradient(rows, targets, nabla)
        nabla_w, nabla_b = engine.core.views(nabla)
        return nabla_b, nabla_w

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
        engine = self.engine
        rows, targets = engine.arrays(
            mini_batch, "mini_batch", admit=engine.target_values.trained)
        etas, n = schedules.rates(schedules.Constant(eta), 0, 1), len(rows)
        with engine.exclusive():
            saved = engine.core.parameters.copy()
            _, cost = engine.core.sgd(rows, targets, np.arange(n), n, etas, 0, n)
            if not (math.isfinite(cost) and engine.core.all_finite()):
                engine.core.parameters[...] = saved
                raise engine.diverged("update_mini_batch diverged", etas[0], rows)

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
        a = arrays.numbers(output_activations, "output_activations").astype(self.dtype, order="C")
        wanted = arrays.numbers(y, "y").astype(self.dtype, order="C")
        if a.shape != wanted.shape:
            raise ValueError(f"output_activations and y must have the same shape, "
                             f"got {a.shape} and {wanted.shape}")
        rows = (-1, self.sizes[-1]) if a.size and a.size % self.sizes[-1] == 0 else (1, -1)
        core = self.engine.core
        return core.cost_derivative(a.reshape(rows), wanted.reshape(rows)).reshape(a.shape)

    def SGD(  # noqa: N802  the book's name
        self, training_data: Any, epochs: int, mini_batch_size: int,
        eta: float | schedules.Schedule | Callable[[int], float] | None = None,
        test_data: Any = None, *,
        optimizer: optimizers.OptimizerName | optimizers.Optimizer = "sgd", lmbda: float = 0.0,
        l1: float = 0.0, weight_decay: float = 0.0, max_norm: float | None = None,
        clip_value: float | None = None, clip_norm: float | None = None,
        dropout: float | Sequence[float] = 0.0, noise: float = 0.0,
        eta_factors: Sequence[float] | None = None, nonnegative: bool | Sequence[bool] = False,
        evaluation_data: Any = None, monitor: Monitor | Iterable[Monitor] | None = None,
        progress: bool | calls.Report | None = None, verbose: bool | int = False,
        callback: Callable[[Network, History], object] | None = None,
        callbacks: Iterable[calls.Callback | Callable[[Network, History], object]] = (),
        sample_weight: ArrayLike | None = None, class_weight: str | dict[int, float] | None = None,
        threads: int | None = None, skip_zeros: bool = False,
        validation_split: float | None = None, shuffle: bool = True,
        resume: bool | str | os.PathLike[str] = False, comm: Any = None,
        average_every: int | None = None, reduce_dtype: str | None = None,
    ) -> History:
        """
        Train by stochastic gradient descent on mini-batches, in a new random order each epoch.

        Another call continues the training. The last mini-batch of an epoch may be shorter; its
        step divides by its own length. UserWarnings name common mistakes: docs/functions.md.

        Parameters
        ----------
        training_data : (x, y), a list of pairs, a Stream, a RowSource, or a DataLoader
            x of shape (n, in); y one-hot or other targets (n, out), or labels (n,) or (n, 1), which
            may be 2.0. C-contiguous rows of uint8, float32 or float64 are used where they lie; so
            are SciPy's sparse matrices, in CSR: x is never made dense, y a few megabytes at a time.
            DataFrames and arrays of objects may hold numbers. Or the book's list of pairs of
            columns. Or an iterable of batches (x, y), such as a DataLoader of PyTorch: it is read
            once, before training, and then divided into mini-batches anew in each epoch. What is
            larger than memory is a Stream of `cbackprop.streams`: files, or batches that are read
            anew in each epoch.
        epochs, mini_batch_size : int
            The latter at least 1 and at most n.
        eta : float, Schedule, or callable (step), optional
            Learning rate; one of `cbackprop.schedules`, or a function of the mini-batches done so
            far, called before each epoch for all its rates. By default it is chosen to fit the
            optimizer, the network, the mini-batch and the scale of x: `history.eta` has it.
        test_data : as training_data, optional
            Data that is evaluated after every epoch: its cost, and the metrics that fit the
            targets (docs/metrics.md), such as accuracy for classes and R2 for numbers.
        optimizer : str or cbackprop.optimizers.Optimizer
            The step for an average gradient g: a name in `cbackprop.optimizers.KNOWN`, such as
            "momentum" or "adam", or an object of such a class, with other numbers. Its state is
            kept until a call with another optimizer, and is saved. docs/functions.md has all. With
            ``lazy_`` before it, rows of the first w without an entry in sparse x stay.
        lmbda, l1, weight_decay, max_norm, clip_value, clip_norm, dropout, noise
            Regularisation: `cbackprop.optimizers.TrainingOptions` says what each of them does.
        eta_factors : sequence of float, optional
            A factor of eta for each layer of weights; 0 freezes the layer.
        nonnegative : bool, or sequence of bool
            Whether negative weights become 0 after each step, in all layers or in each.
        evaluation_data : as training_data, optional
            Validation data for monitors.
        monitor : list of str, Metric, or callable (outputs, targets), optional
            Further metrics after every epoch, such as "training_cost", "evaluation_f1" or
            "test_log_loss", or the user's own `metrics.Metric`. Without a set, as in "f1", they are
            measured on test and evaluation data. By default, `evaluation_data` has the metrics that
            `test_data` has.
        progress : True, or callable (epoch, rows done, rows), optional
            True shows a bar (extra ``progress``). A callable is called every some tens of
            milliseconds; its first epoch is 0.
        verbose : bool
            Whether to print a line after every epoch.
        callbacks : list of Callback, or of callables (network, history)
            See `cbackprop.callbacks`. A callable is called after every epoch; training stops when
            it returns True. The argument `callback`, which took one of them, is deprecated.
        sample_weight : array of shape (n,), optional
            The factor of each example's cost and gradient. A mini-batch whose examples all weigh 0
            takes no step: nothing decays, and the optimizer does not count it.
        class_weight : "balanced", or dict {label: weight}, optional
            The factor of all examples of a class; 1 for classes that the dict does not have.
            "balanced" is n / (number of classes in y * number of examples of the class). Targets
            that are several labels, numbers or counts have no classes, and are refused.
        threads : int, optional
            The most to use in this call, as for `Network`.
        skip_zeros : bool
            Whether to skip multiplications by zero in the first layer, if about half of x is zero:
            an epoch on MNIST takes 0.35 to 0.75 of its time. The nonzeros are copied first, in two
            epochs' time at most. It is ignored for a RowSource; sparse rows always skip zeros.
        validation_split : float, optional
            The share of the training data that is held out and becomes the evaluation data, with
            its weights; x is not copied. The part is stratified by class; of a stream of files, it
            is the last rows of each block.
        shuffle : bool
            False takes the rows in their order, and holds out the last ones.
        resume : bool, str or path-like
            Whether to continue the steps, the `history`, the held-out part and the seed of dropout:
            two calls of k epochs are then one of 2 k, to the bit. The history must have the same
            entries. Or the file of a checkpoint, which ``callbacks.Checkpoint(last=...)`` wrote:
            the call goes on where that one was, to the bit, with the checkpoint's parameters. All
            arguments must be the same; `threads` may differ. If that file is not there yet, and a
            callback is to write it, training begins.
        comm : mpi4py.MPI.Intracomm, optional
            The ranks that train this network together (extra ``mpi``), such as MPI.COMM_WORLD. Each
            passes its own share of all data; `mini_batch_size` counts the rows of all ranks. They
            begin with the parameters, the random state and the history of rank 0, whose callbacks
            alone are called, and all end with the same network: docs/mpi.md.
        average_every : int, optional
            With comm: how many steps each rank takes by itself, with its own rows of each
            mini-batch, before parameters and the optimizer's state are averaged (local SGD). They
            are at the end of each epoch, too. By default, ranks take each step together.
        reduce_dtype : "bfloat16", optional
            With comm: gradients travel in this type, in half the bytes of float32.

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
            If another thread, or a callback's own training, is training this network.
        OSError
            If a checkpoint cannot be read or written.

        Examples
        --------
        >>> (x, y), _ = cbackprop.datasets.load_mnist()
        >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
        >>> len(net.SGD((x, y), epochs=2, mini_batch_size=10, eta=0.5))
        2
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        return training.prepare(self, **given).run()

    def prepare(self, *args: Any, **kwargs: Any) -> training.Training:
        """
        Check the arguments of `SGD`, change nothing, and return the training, which `run` begins.

        Examples
        --------
        >>> net = cbackprop.Network([2, 3, 1], seed=0)
        >>> training = net.prepare(([[0.0, 1.0]], [[1.0]]), 3, 1, eta=0.5)
        >>> len(training.run())
        3
        """
        return training.prepare(self, *args, **kwargs)

    def LBFGS(  # noqa: N802  beside SGD
        self, training_data: Any, iterations: int = 100, *, lmbda: float = 0.0,
        tolerance: float = 1e-6, sample_weight: ArrayLike | None = None,
        class_weight: str | dict[int, float] | None = None,
    ) -> History:
        """
        Train on all examples at once by SciPy's L-BFGS (extra ``scipy``); it suits small data.

        Parameters
        ----------
        training_data, sample_weight, class_weight
            As for `SGD`, in arrays; a sparse y is made dense.
        iterations : int
            The most iterations.
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
            If SciPy is missing.
        DivergenceError
            If the cost is no longer finite; the parameters from before are kept.
        """
        return lbfgs.fit(self, training_data, iterations, lmbda, tolerance, sample_weight,
                         class_weight)
