"""
scikit-learn's multilayer perceptrons, trained by the core.

`MLPClassifier` and `MLPRegressor` take what those of `sklearn.neural_network` take, draw the same
random numbers, and come to the same weights; they can be told more besides.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    from scipy.sparse import issparse
    from sklearn import neural_network
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
    from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
    from sklearn.metrics import r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelBinarizer
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils._param_validation import StrOptions
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import (
        _check_partial_fit_first_call,
        type_of_target,
        unique_labels,
    )
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"cbackprop.sklearn needs scikit-learn: pip install "
                              f"'cbackprop[sklearn]' ({error})") from None
try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before 1.6 it is a method
    def validate_data(estimator: Any, *arrays: Any, **rules: Any) -> Any:
        """Check arrays by the estimator's own method."""
        return estimator._validate_data(*arrays, **rules)

from cbackprop import callbacks as calls
from cbackprop import data, functions, lbfgs, optimizers, schedules
from cbackprop.convert import skl2onnx
from cbackprop.core import _runtime, table
from cbackprop.history import History
from cbackprop.network import DivergenceError, Network
from cbackprop.rowsource import Examples, InArrays, listed
from cbackprop.training import Training

OURS = {theirs: row.name for row in table.ACTIVATIONS  # where scikit-learn has another name
        for theirs in row.sklearn if theirs not in (None, row.name)}
PROBABILITIES = ("logistic", "softmax")
SMALLEST_RATE = 1e-6  # at which "adaptive" stops
THEIRS = neural_network.MLPClassifier.__module__
TIMES = ("seconds", "rows_per_second")  # of a history
NOT_FINITE = ("Solver produced non-finite parameter weights. The input data may contain large "
              "values and need to be preprocessed.")


def _warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the caller's line, in the name of scikit-learn's module: filters know that."""
    frame, inside = sys._getframe(1), ("cbackprop.", "joblib.", "sklearn.")
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(inside):
        frame = frame.f_back
    warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, THEIRS,
                           frame.f_globals.setdefault("__warningregistry__", {}))


def _weighty(weights: NDArray[Any] | None, rows: str) -> NDArray[Any] | None:
    """
    Return the weights.

    Raises
    ------
    ValueError
        If all are 0.
    """
    if weights is not None and not weights.any():
        raise ValueError(f"{rows} must not all weigh 0: sample_weight and class_weight leave "
                         f"nothing of {len(weights)} rows")
    return weights


def _weights_of_classes(
    class_weight: Any, y: NDArray[Any], sample_weight: NDArray[Any] | None, known: list[Any]
) -> NDArray[Any]:
    """
    Return what class_weight makes of each example's class.

    Raises
    ------
    TypeError, ValueError
        If a weight is no number, or negative, or none is for a class that is known.
    """
    classes, at = np.unique(y, return_inverse=True)
    if isinstance(class_weight, dict) and class_weight and class_weight.keys().isdisjoint(known):
        raise ValueError(f"class_weight must be for some of the classes {data.shown(known)}, got "
                         f"{data.shown(class_weight)}")
    if isinstance(class_weight, dict):  # a class that it does not name weighs 1
        return np.array([optimizers.number(f"class_weight[{c!r}]", class_weight.get(c, 1.0), 0)
                         for c in classes.tolist()])[at]
    counts = np.bincount(at, sample_weight)  # a row of weight 2 is as two rows
    there = counts > 0
    return np.divide(counts.sum() / there.sum(), counts, np.zeros(len(counts)), where=there)[at]


def _shuffle(random_state: np.random.RandomState, order: NDArray[np.intp]) -> None:
    """Do what random_state.shuffle does; compiled, if that can be."""
    if _shuffles_alike() and len(order) < 2**32:
        _compiled_shuffle(random_state, order)
    else:
        random_state.shuffle(order)


def _compiled_shuffle(random_state: np.random.RandomState, order: NDArray[np.intp]) -> None:
    _runtime.shuffle_as_numpy(random_state._bit_generator, order)


@cache
def _shuffles_alike() -> bool:
    """Whether this NumPy draws as the compiled shuffle does."""
    ours, theirs = np.random.RandomState(0), np.random.RandomState(0)
    order, wanted = np.arange(1100), np.arange(1100)
    theirs.shuffle(wanted)
    try:
        _compiled_shuffle(ours, order)
    except (AttributeError, TypeError, ValueError):
        return False
    return np.array_equal(order, wanted) and ours.randint(2**31) == theirs.randint(2**31)


class _Epochs(Training, calls.Callback):
    """
    The epochs of the solvers "sgd" and "adam": scikit-learn's order, weighted means, and ends.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    network : Network
    examples : Examples
    validation : tuple of (X, y, weights), or None
    """

    def __init__(
        self, estimator: Any, network: Network, examples: Examples, validation: Any
    ) -> None:
        self.estimator, self.validation = estimator, validation
        self.rows = np.arange(len(examples))
        self.converged = False
        if validation is not None and validation[2] is not None and not np.any(validation[2]):
            raise ValueError(f"early stopping must have validation data that weigh something, got "
                             f"{validation[0].shape[0]} rows that all weigh 0")
        super().__init__(
            network, examples, estimator._mini_batch_size(len(examples)),
            schedules.Constant(estimator._rate), estimator._rules(), {},
            [self, *calls.collected(estimator.callbacks, None, None)])

    def begin(self, eta: float) -> None:
        """Set up the optimizer; alpha is divided by what each mini-batch weighs."""
        self.network._remember(self.rules, 1, eta)
        assert self.network._memory is not None
        state = self.network._memory.in_core
        state.divide_by_weight(0.5 * self.rules.lmbda * self.estimator._outputs_of_a_loss)
        self.passed_over = state.passed_over

    def order(self) -> NDArray[Any]:
        """Draw as `sklearn.utils.shuffle` does, ten times as fast."""
        if self.estimator.shuffle:
            _shuffle(self.estimator._random_state, self.rows)
        return self.rows

    def on_epoch_end(self, network: Network, history: History) -> bool:
        """Record the epoch, change the rate, and tell whether training is over."""
        own = self.estimator
        own.n_iter_ += 1
        own.t_ += len(self.examples)
        assert network._memory is not None
        before, self.passed_over = self.passed_over, network._memory.in_core.passed_over
        counted = len(self.examples) - (self.passed_over - before)  # mini-batches that weigh 0: no
        own.loss_ = history.cost[-1] / own._outputs_of_a_loss * len(self.examples) / max(1, counted)
        own.loss_curve_.append(own.loss_)
        if own.verbose:
            print(f"Iteration {own.n_iter_}, loss = {own.loss_:.8f}")
        if own.early_stopping:
            what, better = "Validation score did not improve", self.validated()
        else:
            what, better = "Training loss did not improve", own.loss_ <= own.best_loss_ - own.tol
            own.best_loss_ = min(own.best_loss_, own.loss_)
        own._no_improvement_count = 0 if better else own._no_improvement_count + 1
        if own.solver == "sgd" and own.learning_rate == "invscaling":
            self.change_rate(own._first_rate())
        if own._no_improvement_count <= own.n_iter_no_change:
            return False
        end = "Stopping."
        if own.solver == "sgd" and own.learning_rate == "adaptive":
            if own._rate > SMALLEST_RATE:
                self.change_rate(own._rate / 5)
                own._no_improvement_count = 0
                end = f"Setting learning rate to {own._rate:f}"
            else:
                end = "Learning rate too small. Stopping."
        if own.verbose:
            print(f"{what} more than tol={own.tol:f} for {own.n_iter_no_change} consecutive "
                  f"epochs. {end}")
        self.converged = end.endswith("Stopping.")
        return self.converged

    def validated(self) -> bool:
        """Score the validation data, keep the best parameters, and tell whether it is better."""
        own = self.estimator
        x, y, weights = self.validation
        score = own._score(own._outputs(x), y, weights)
        own.validation_scores_.append(score)
        if own.verbose:
            print(f"Validation score: {score:f}")
        # NaN is no improvement; but as long as there is nothing else, no reason to stop.
        best = own.best_validation_score_
        better = best == -math.inf or score >= best + own.tol
        if score > best:
            own.best_validation_score_ = score
            own._best = own._copies()
        return better

    def change_rate(self, eta: float) -> None:
        """Go on with another rate."""
        self.estimator._change_rate(eta)
        self.eta = schedules.Constant(eta)


def _fits_in_parts(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver 'sgd' or 'adam', got 'lbfgs'")
    return True


def _gives_probabilities(estimator: Any) -> bool:
    return estimator.loss not in ("hinge", "squared_hinge")


def _gives_sums(estimator: Any) -> bool:
    return not _gives_probabilities(estimator)


def _real(array: NDArray[Any]) -> Any:
    return np.float32 if array.dtype == np.float32 else np.float64


class _Perceptron(BaseEstimator, ABC):
    """
    What both have in common.

    `coefs_` and `intercepts_` are live views of a network's parameters. What is put in the place of
    one is copied into the network at the next use; into a new one, if its shape or type is another.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {  # what is missing is looked at by others
        **neural_network.MLPClassifier._parameter_constraints, "activation": "no_validation"}
    _LOSSES: ClassVar[tuple[str, ...]]  # beside the network's costs
    _best: list[NDArray[Any]] | None = None
    loss: Any
    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    _net: Network

    def _keep(self, given: dict[str, Any]) -> None:
        """Set what the constructor was given."""
        self.__dict__.update((name, value) for name, value in given.items() if name != "self")

    # ---- what differs ----

    def _learn_classes(self, y: NDArray[Any], anew: bool, partial: bool) -> None:
        """Learn which classes there are, or see that they are the same."""

    @property
    @abstractmethod
    def _has_rows(self) -> bool:
        """Whether y has a row of several numbers for each example."""

    @abstractmethod
    def _encoded(self, y: NDArray[Any], real: Any) -> NDArray[Any]:
        """Return targets as the core takes them."""

    def _weights(self, sample_weight: NDArray[Any] | None, y: Any) -> NDArray[Any] | None:
        """Return what each example counts."""
        return sample_weight

    @abstractmethod
    def _ends(self, real: Any) -> tuple[str, Any]:
        """Return the activation of the output by scikit-learn's name, and the cost as ours."""

    @abstractmethod
    def _score(self, outputs: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """Score outputs against encoded targets."""

    # ---- the network ----

    @property
    def network_(self) -> Network:
        """
        The trained `Network`, whose parameters `coefs_` and `intercepts_` show.

        It has what `cbackprop` has: activations of hidden layers, gradients, files.
        `cbackprop.inspect`, `plot` and `convert` take the estimator itself too. What is written to
        its parameters, predictions follow.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        return self._network()

    def _network(self) -> Network:
        """Return the network of coefs_ and intercepts_."""
        views = self.__dict__.get("_views")
        now = [*self.coefs_, *self.intercepts_]
        if views is None or len(views) != len(now) or any(map(operator.is_not, views, now)):
            self._take(now, views)
        return self._net

    def _take(self, now: list[Any], views: list[NDArray[Any]] | None) -> None:
        """Make a network of these parameters: of the last one, with its optimizer, if it can be."""
        now, n = [*map(np.asarray, now)], len(self.coefs_)
        if (views is None or [p.shape for p in now] != [view.shape for view in views]
                or _real(now[0]) != _real(views[0])):
            widths = self.n_features_in_, *(b.size for b in now[n:-1]), self.n_outputs_
            for at, shape in enumerate(itertools.pairwise(widths)):
                if now[at].shape != shape:
                    raise ValueError(f"coefs_[{at}] must have shape {shape}, from n_features_in_ "
                                     f"by intercepts_ to n_outputs_, got {now[at].shape}")
            self._make(now[:n], now[n:])
            return
        self._net = self._net._with([w.T for w in now[:n]], [b[:, None] for b in now[n:]])
        self._show()

    def _make(self, coefs: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> None:
        """Make a network of these parameters."""
        sizes = [len(coefs[0]), *(len(b) for b in intercepts)]
        real = _real(coefs[0])
        first = self.loss[:1] if isinstance(self.loss, (list, tuple)) else [self.loss]
        if all(isinstance(size, (int, np.integer)) for size in first):
            raise ValueError(f"loss must be a name, (name, number) or a Cost, got "
                             f"{data.shown(self.loss)}; layers are hidden_layer_sizes="
                             f"{data.shown(self.loss)}")
        functions.one("loss", self.loss, table.COSTS, functions.Cost, self._LOSSES)
        out, cost = self._ends(real)
        activation = self.activation
        if isinstance(activation, (str, tuple)):
            functions.one("activation", activation, table.ACTIVATIONS, functions.Activation, OURS)
        if not isinstance(activation, list):
            activation = [activation] * (len(sizes) - 2)
        if len(activation) == len(sizes) - 2:
            activation = [*activation, out]
        elif isinstance(self, ClassifierMixin) or len(activation) != len(sizes) - 1:
            raise ValueError(
                f"activation must have {len(sizes) - 2} entries, one for each hidden layer"
                f"{', or one more' * isinstance(self, RegressorMixin)}, got {len(activation)}")
        self.out_activation_ = activation[-1]
        self._made_of = self._functions
        self._net = Network(
            sizes, cost=cost, dtype=real,
            activation=[OURS.get(a, a) if isinstance(a, str) else a for a in activation],
            initializer=([w.T for w in coefs], [b.reshape(-1, 1) for b in intercepts]), seed=0)
        self._show()

    @property
    def _functions(self) -> tuple[Any, Any]:
        """Return what the network is made of beside its parameters."""
        several = isinstance(self.activation, list)
        return tuple(self.activation) if several else self.activation, self.loss

    def _targets(self, y: Any) -> NDArray[Any]:
        """Return what `_encoded` does, of one example too."""
        y = y.toarray() if issparse(y) else np.asarray(y)
        one = y.shape == (self.n_outputs_,) * self._has_rows
        return self._encoded(y[None] if one else y, self._net.dtype)

    def _make_again(self) -> None:
        """Make the network anew, for another activation or cost; the optimizer stays."""
        memory = self._network()._memory
        self._make(self.coefs_, self.intercepts_)
        if memory is not None:
            self._net._memory = optimizers.OptimizerState.of(
                self._net._build, self._net._core, memory.__getstate__())

    def _show(self) -> None:
        """Let coefs_ and intercepts_ be views of the network's parameters."""
        self.coefs_ = [w.T for w in self._net.weights[:]]
        self.intercepts_ = [b[:, 0] for b in self._net.biases[:]]
        self._views = [*self.coefs_, *self.intercepts_]

    def _copies(self) -> list[NDArray[Any]]:
        return [np.array(view) for view in self._views]

    def _outputs(self, x: Any) -> NDArray[Any]:
        """Return the network's outputs for rows that were checked."""
        out = self._outputs_if_finite(x)
        if out is not None:
            return out
        if issparse(x):  # it was finite, but is not in the network's type
            data.finite(x.data, self._net.dtype, "X.data")
        return self._net.feedforward(data.finite(x, self._net.dtype, "X"))

    def _outputs_if_finite(self, x: Any) -> NDArray[Any] | None:
        """Return the network's outputs, or None if the core cannot take the rows."""
        network = self._network()
        return network._core.feedforward(network._rows(x, "X") if issparse(x) else x)

    def __getstate__(self) -> dict[str, Any]:
        if hasattr(self, "coefs_"):
            self._network()
        state = super().__getstate__().copy()
        for name in ("coefs_", "intercepts_", "_views"):  # the network has them
            state.pop(name, None)
        if "_net" in state:
            state["_net"] = self._net.__getstate__()
            history = self._net.history
            if history is not None:  # without times, so that equal fits have equal states
                state["_net"]["history"] = dataclasses.replace(
                    history, seconds=[], rows_per_second=[],
                    recorded=tuple(name for name in history.recorded if name not in TIMES))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_net" in state:
            if isinstance(self._net, dict):  # 0.6.0 kept the network itself
                network = Network.__new__(Network)
                network.__setstate__(self._net)
                self._net = network
            self._show()

    # ---- fit ----

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, *, X_val: Any = None,
        y_val: Any = None, sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """
        Train on X and y.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, features)
            float32 trains in float32, all else in float64. What is sparse is never made dense.
        y : array of shape (n,) or (n, outputs)
        sample_weight : array of shape (n,), optional
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            What early stopping looks at, instead of a part of X and y.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data is bad, or training diverges.
        """
        return self._fit(X, y, sample_weight, False, (X_val, y_val, sample_weight_val))

    def _fit(
        self, x: Any, y: Any, sample_weight: Any, partial: bool,
        validation: tuple[Any, Any, Any] = (None, None, None),
    ) -> Any:
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if np.iterable(hidden) else [hidden]
        if any(size <= 0 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}")
        anew = not hasattr(self, "coefs_") or not (self.warm_start or partial)
        stops_early = self.early_stopping and self.solver != "lbfgs"
        if partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if validation[0] is not None and not stops_early:
            raise ValueError("X_val needs early_stopping=True, and solver 'sgd' or 'adam'")
        if (validation[0] is None) != (validation[1] is None):
            raise ValueError("X_val and y_val must come together, got one of them")
        if validation[0] is None and validation[2] is not None:
            raise ValueError("sample_weight_val must come with X_val and y_val, got it alone")

        x, y = self._arrays(x, y, anew)
        self._learn_classes(y, anew, partial)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x)
        weights = _weighty(self._weights(weights, y), "X")
        targets = self._encoded(y, x.dtype)
        self.n_outputs_ = targets.shape[1] if targets.ndim == 2 else len(self.classes_)
        sizes = [x.shape[1], *hidden, self.n_outputs_]
        self._random_state = check_random_state(self.random_state)
        if anew:
            self._initialize(sizes, x.dtype)
        else:
            there = [len(self.coefs_[0]), *map(len, self.intercepts_)]
            if sizes != there:
                raise ValueError(f"warm_start and partial_fit need the layers that are there, "
                                 f"{there}, got {sizes}")
            if not partial:
                self._make(self.coefs_, self.intercepts_)
            elif self._functions != self.__dict__.get("_made_of"):
                self._make_again()
        network = self._network()
        if self.solver == "lbfgs":
            self._run_lbfgs(network, x, targets, weights)
        elif stops_early:
            self._run_epochs(network, partial, *self._split(x, targets, weights, validation))
        else:
            self._run_epochs(network, partial, (x, targets, weights), None)
        return self

    def _arrays(self, x: Any, y: Any, anew: bool) -> tuple[Any, NDArray[Any]]:
        """Check X and y as scikit-learn does."""
        x, y = validate_data(
            self, x, y, accept_sparse=["csr", "csc"], multi_output=True,
            dtype=(np.float64, np.float32), y_numeric=isinstance(self, RegressorMixin), reset=anew)
        return x, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _split(
        self, x: Any, targets: NDArray[Any], weights: NDArray[Any] | None, given: Any
    ) -> Any:
        """Return what is trained on and what early stopping looks at, as (X, targets, weights)."""
        if given[0] is not None:
            x_val, y_val = self._arrays(given[0], given[1], False)
            w_val = None if given[2] is None else _check_sample_weight(given[2], x_val)
            w_val = _weighty(self._weights(w_val, y_val), "X_val")
            return (x, targets, weights), (x_val, self._encoded(y_val, x.dtype), w_val)
        parts = train_test_split(
            np.arange(x.shape[0]), random_state=self._random_state,
            test_size=self.validation_fraction, stratify=self._strata(targets))
        if len(parts[1]) < 2:
            raise ValueError("The validation set is too small. Increase 'validation_fraction' or "
                             "the size of your dataset.")
        names = "the rows to train on", "the rows drawn for validation"
        return [(x[part], targets[part],
                 None if weights is None else _weighty(weights[part], name))
                for part, name in zip(parts, names, strict=True)]

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        """Return by what validation data is drawn evenly."""
        return None

    def _initialize(self, sizes: list[int], real: Any) -> None:
        """Draw parameters (Glorot and Bengio, 2010), in scikit-learn's order."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        coefs, intercepts, draw = [], [], self._random_state.uniform
        for n_in, out in itertools.pairwise(sizes):
            bound = math.sqrt((2 if self.activation in ("logistic", "sigmoid") else 6)
                              / (n_in + out))
            coefs.append(draw(-bound, bound, (n_in, out)).astype(real, copy=False))
            intercepts.append(draw(-bound, bound, out).astype(real, copy=False))
        self._make(coefs, intercepts)
        for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_"):
            self.__dict__.pop(name, None)

    def _look_out(self, partial: bool) -> None:
        """
        Begin to look for improvement.

        `warm_start` goes on with the curves, but its data is new: it compares with no older score.
        """
        if partial and getattr(self, "best_loss_", None) is not None:
            return
        early = self.early_stopping
        self._no_improvement_count = 0
        self.loss_curve_: list[float] = getattr(self, "loss_curve_", [])
        scores = getattr(self, "validation_scores_", None)
        self.validation_scores_: Any = (scores or []) if early else None
        self.best_validation_score_ = -math.inf if early else None
        self.best_loss_ = None if early else math.inf
        self._best = None

    def _examples(
        self, network: Network, x: Any, targets: NDArray[Any], weights: NDArray[Any] | None
    ) -> InArrays:
        """Hand examples to the core."""
        build = network._build
        if targets.ndim == 2:
            targets = np.ascontiguousarray(targets, network.dtype)
        if weights is not None:
            weights = np.ascontiguousarray(weights, network.dtype)
        rows = listed(build, x, "X") if issparse(x) else build.Rows(
            np.require(x, requirements=("C", "A")), skip_zeros=True)
        return InArrays(rows, build.Targets(targets, weights))

    @property
    def _outputs_of_a_loss(self) -> int:
        """Over how many outputs scikit-learn takes the mean of a loss; of its gradient, never."""
        return self.n_outputs_ if self.loss == "squared_error" else 1

    def _rules(self) -> optimizers.TrainingOptions:
        optimizer: optimizers.Optimizer
        if self.solver == "adam":
            optimizer = optimizers.Adam(self.beta_1, self.beta_2, 0.0, self.epsilon)
        else:
            kind = optimizers.Nesterov if self.nesterovs_momentum else optimizers.Momentum
            optimizer = kind(min(self.momentum, math.nextafter(1, 0)))
        return optimizers.training_options(self.n_layers_ - 1, optimizer, lmbda=self.alpha,
                                dropout=self.dropout)

    def _mini_batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            _warn("Got `batch_size` less than 1 or larger than sample size. It is going to be "
                  "clipped")
        return min(self.batch_size, n)

    def _run_epochs(
        self, network: Network, partial: bool, training: Any, validation: Any
    ) -> None:
        """Train by "sgd" or "adam"."""
        asked = self.solver, self.learning_rate_init
        if not (partial and network._memory):
            network._memory = None
            self._rate = float(self.learning_rate_init)
        elif asked != self.__dict__.get("_asked", asked):
            self._change_rate(self._first_rate())
        self._asked = asked
        self._look_out(partial)
        self.n_iter_ = 0
        epochs = _Epochs(self, network, self._examples(network, *training), validation)
        if any(epochs.rules.dropout):
            network._random = np.random.default_rng(self._random_state.randint(2**31))
        try:
            epochs.run(1 if partial else self.max_iter)
        except KeyboardInterrupt:
            _warn("Training interrupted by user.")
        except DivergenceError as error:
            if validation is None:
                raise ValueError(NOT_FINITE) from None
            _warn(str(error), ConvergenceWarning)
            self.n_iter_, self.loss_ = self.n_iter_ + 1, math.nan
            self.loss_curve_.append(math.nan)
            self.validation_scores_.append(math.nan)
        if not partial and self.n_iter_ == self.max_iter and not epochs.converged:
            _warn(f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                  f"optimization hasn't converged yet.", ConvergenceWarning)
        if self._best is not None:
            for view, best in zip(self._views, self._best, strict=True):
                view[...] = best
            self._best = None
        elif validation is not None and self.n_iter_ and not math.isnan(self.loss_):
            _warn(f"no validation score was finite, of {len(validation[1])} row(s): the "
                  f"parameters are those of the last epoch", UndefinedMetricWarning)

    def _change_rate(self, eta: float) -> None:
        """Go on with another rate; scikit-learn's velocities have the rates of their time."""
        memory = self._net._memory
        if memory is not None and memory.optimizer != optimizers.Adam.NAME:
            memory.in_core.slots[0][...] *= self._rate / eta
        self._rate = eta

    def _first_rate(self) -> float:
        """Return the rate, as long as nothing but time has lowered it."""
        if self.solver == "sgd" and self.learning_rate == "invscaling":
            return float(self.learning_rate_init / (self.t_ + 1) ** self.power_t)
        return float(self.learning_rate_init)

    def _run_lbfgs(
        self, network: Network, x: Any, targets: NDArray[Any], weights: NDArray[Any] | None
    ) -> None:
        """Train by "lbfgs"."""
        if self.callbacks or np.any(self.dropout):
            raise ValueError("callbacks and dropout need solver 'sgd' or 'adam', got 'lbfgs'")
        total = n = x.shape[0]
        if weights is not None:
            total = weights.sum()
            weights = weights * (n / total)
        examples = self._examples(network, x, targets, weights)
        found = lbfgs.minimize(
            network._core, examples.rows, examples.targets, self.alpha / total,
            scale=1 / self._outputs_of_a_loss, maxfun=self.max_fun, maxiter=self.max_iter,
            gtol=self.tol)
        self.n_iter_, self.loss_ = min(found.nit, self.max_iter), found.fun
        if not network._core.all_finite():
            raise ValueError(NOT_FINITE)
        if found.status:
            _warn(f"lbfgs failed to converge after {self.n_iter_} iteration(s) (status="
                  f"{found.status}): {found.message}; increase max_iter ({self.max_iter}) or "
                  f"max_fun ({self.max_fun}), or scale the data", ConvergenceWarning)

    def _checked_outputs(self, X: Any) -> NDArray[Any]:
        """Return the outputs for X as callers bring it."""
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)
        # For few rows, scikit-learn's checks cost ten times what the outputs do. The core makes
        # these itself; what does not pass them, scikit-learn finds a message for.
        plain = type(X) is np.ndarray or (
            issparse(X) and X.format in ("csr", "csc") and X.dtype.char in "fd")
        if (plain and X.ndim == 2 and X.shape[0] and X.shape[1] == self.n_features_in_
                and not hasattr(self, "feature_names_in_")):
            out = self._outputs_if_finite(X)
            if out is not None:
                return out
        return self._outputs(
            validate_data(self, X, accept_sparse=["csr", "csc"], reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ---- what skl2onnx asks for ----

    def onnx_parser(self) -> None:
        """Become known to skl2onnx; it finds the outputs by itself."""
        skl2onnx.register()

    def onnx_shape_calculator(self) -> Any:
        """Return what sets the shapes of the outputs in ONNX."""
        return skl2onnx.shapes

    def onnx_converter(self) -> Any:
        """Return what writes the nodes of ONNX."""
        return skl2onnx.convert


class MLPClassifier(ClassifierMixin, _Perceptron):
    """
    `sklearn.neural_network.MLPClassifier`, trained by the core.

    Parameters
    ----------
    hidden_layer_sizes, ..., max_fun
        As scikit-learn's. `activation` is also any of `Network`, or a list of one for each hidden
        layer.
    loss : str, (str, float), or Cost
        "log_loss", or a cost of `Network`, on the same outputs; hinges are on plain sums, and have
        `decision_function` instead of `predict_proba`.
    dropout : float or sequence of float
        The probability that a neuron is left out, as for `Network.SGD`.
    class_weight : "balanced", or dict {class: weight}, optional
        What the weights of a class's examples are multiplied by: 1 for a class that the dict has
        not. "balanced": so that all classes in y weigh the same, with `sample_weight` counted. With
        several labels a list of dicts, one for each label, and the weights are multiplied.
    callbacks : sequence of Callback or callable (network, history)
        See `cbackprop.callbacks`.

    Attributes
    ----------
    classes_, coefs_, intercepts_, loss_curve_, n_iter_, ...
        As scikit-learn's. Parameters are live: predictions follow what is written to them.

    Raises
    ------
    TypeError, ValueError
        By `fit`, if a parameter is of the wrong kind, or outside its range.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> x, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier(max_iter=50, early_stopping=True, dropout=0.1, random_state=0)
    >>> net.fit(x / 16, y).score(x / 16, y) > 0.9
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        dropout: Any = 0.0,
        class_weight: Any = None,
        callbacks: Any = (),
    ) -> None:
        self._keep(locals())

    _LOSSES = ("log_loss",)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_Perceptron._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None]}

    def _learn_classes(self, y: NDArray[Any], anew: bool, partial: bool) -> None:
        if not hasattr(self, "classes_") or not (self.warm_start or partial):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        elif not partial and set(unique_labels(y)) != set(self.classes_):
            raise ValueError(f"warm_start can only be used where `y` has the same classes as in "
                             f"the previous call to fit. Previously got {self.classes_}, `y` has "
                             f"{unique_labels(y)}")

    @property
    def _has_rows(self) -> bool:
        return bool(self._label_binarizer.y_type_ == "multilabel-indicator")

    def _encoded(self, y: Any, real: Any) -> NDArray[Any]:
        if (y.ndim == 2) != self._has_rows:
            raise ValueError(f"y must have shape (n{f', {self.n_outputs_}' * self._has_rows}), as "
                             f"the y that the classes are from, got {y.shape}")
        classes = unique_labels(y)
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(f"`y` has classes not in `self.classes_`: must be some of "
                             f"{self.classes_}, got {classes}")
        if self._label_binarizer.y_type_ == "multiclass":
            return np.searchsorted(self.classes_, y).astype(np.intc)
        return self._label_binarizer.transform(y).astype(real)

    def _weights(self, sample_weight: NDArray[Any] | None, y: Any) -> NDArray[Any] | None:
        if self.class_weight is None:
            return sample_weight
        y = y.toarray() if issparse(y) else y
        columns, each = [y] if y.ndim == 1 else list(y.T), self.class_weight
        rule = "a dict {class: weight}" if y.ndim == 1 else f"a list of {len(columns)} dicts"
        if not isinstance(each, list) and (y.ndim == 1 or each == "balanced"):
            each = [each] * len(columns)
        elif y.ndim == 1 or not isinstance(each, list) or len(each) != len(columns):
            raise ValueError(f"class_weight must be 'balanced' or {rule}, for y has shape "
                             f"{y.shape}, got {data.shown(each)}")
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        known = self.classes_.tolist() if y.ndim == 1 else [0, 1]
        for class_weight, column in zip(each, columns, strict=True):
            weights = weights * _weights_of_classes(class_weight, column, sample_weight, known)
        return weights

    def _ends(self, real: Any) -> tuple[str, Any]:
        if self.loss in ("hinge", "squared_hinge"):
            return "identity", self.loss
        multiclass = self._label_binarizer.y_type_ == "multiclass"
        if self.loss != "log_loss":
            return PROBABILITIES[multiclass], self.loss
        # scikit-learn takes logarithms of no less
        floor = float(np.finfo(real).eps)
        return PROBABILITIES[multiclass], (
            "log_likelihood" if multiclass else "cross_entropy", floor)

    def _score(self, outputs: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """Return the accuracy: of several labels, all must be right; one class always is."""
        right = (outputs.argmax(axis=1) == y if y.ndim == 1 else
                 ((outputs > self._threshold) == (y > 0.5)).all(axis=1))
        return float(np.average(right | (len(self.classes_) == 1), weights=weights))

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        return targets > 0.5 if self.n_outputs_ == 1 else None

    @property
    def _threshold(self) -> float:
        return 0.5 if self.out_activation_ in PROBABILITIES else 0.0

    @available_if(_fits_in_parts)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Any:
        """
        Train for one epoch on X and y.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array of shape (classes,), optional
            All there will be: needed in the first call.

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise ValueError("class_weight 'balanced' needs all of y: give partial_fit a dict")
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        return self._fit(X, y, sample_weight, True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row of X, or its row of labels."""
        outputs = self._checked_outputs(X)
        return self._label_binarizer.inverse_transform(
            outputs.ravel() if self.n_outputs_ == 1 else outputs, threshold=self._threshold)

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class in `classes_`, or of each label."""
        outputs = self._checked_outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_gives_sums)
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the sums that a hinge is taken of: of two classes, the second's."""
        outputs = self._checked_outputs(X)
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _Perceptron):
    """
    `sklearn.neural_network.MLPRegressor`, trained by the core.

    Parameters
    ----------
    loss : str, (str, float), or Cost
        "squared_error", "poisson" (half the deviance, on exponential outputs), or another cost of
        `Network`.
    hidden_layer_sizes, ..., max_fun
        As scikit-learn's. `activation` is also any of `Network`, or a list of one for each hidden
        layer, and perhaps one for the outputs.
    dropout, callbacks
        As `MLPClassifier`.

    Attributes
    ----------
    coefs_, intercepts_, loss_curve_, n_iter_, ...
        As scikit-learn's. Parameters are live: predictions follow what is written to them.

    Raises
    ------
    TypeError, ValueError
        By `fit`, if a parameter is of the wrong kind, or outside its range.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> x, y = make_regression(200, 20, random_state=1)
    >>> net = MLPRegressor("huber", max_iter=500, random_state=1)
    >>> net.fit(x, y / y.std()).score(x, y / y.std()) > 0.9
    True
    """

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        callbacks: Any = (),
    ) -> None:
        self._keep(locals())

    _LOSSES = ("squared_error",)

    @property
    def _has_rows(self) -> bool:
        return self.n_outputs_ > 1

    def _encoded(self, y: NDArray[Any], real: Any) -> NDArray[Any]:
        if self._is_poisson and y.min() < 0:
            raise ValueError(f"y must not be negative for loss 'poisson', got {y.min():g}")
        return (y if y.ndim == 2 else y.reshape(-1, 1)).astype(real)

    def _ends(self, real: Any) -> tuple[str, Any]:
        if self._is_poisson:
            return "exp", ("poisson", 1.0) if self.loss == "poisson" else self.loss
        return "identity", "quadratic" if self.loss == "squared_error" else self.loss

    @property
    def _is_poisson(self) -> bool:
        return (self.loss[:1] if isinstance(self.loss, tuple) else (self.loss,)) == ("poisson",)

    def _score(self, outputs: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """Return R^2; of one row it is no number."""
        if len(y) < 2 or not np.isfinite(outputs).all():
            return math.nan
        return r2_score(y, outputs, sample_weight=weights)

    @available_if(_fits_in_parts)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """
        Train for one epoch on X and y.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the outputs for each row of X, of shape (n,) or (n, outputs)."""
        outputs = self._checked_outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self._is_poisson
        return tags


__all__ = ["MLPClassifier", "MLPRegressor"]
