"""Shared by the estimators: a network behind scikit-learn's attributes, and its fit."""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, _words, arrays, functions, layers, lbfgs, metrics, optimizers
from cbackprop._endings import DivergenceError
from cbackprop.callbacks import collected
from cbackprop.convert import _skl2onnx
from cbackprop.core import table
from cbackprop.example_weights import not_all_zero
from cbackprop.network import Network
from cbackprop.sklearn._compat import (
    BaseEstimator,
    ClassifierMixin,
    ConvergenceWarning,
    RegressorMixin,
    StrOptions,
    UndefinedMetricWarning,
    check_is_fitted,
    check_random_state,
    check_sample_weight,
    column_or_1d,
    fit_context,
    issparse,
    neural_network,
    train_test_split,
    validate_data,
    warn,
)
from cbackprop.sklearn._stochastic_fit import Epochs, Order
from cbackprop.sources import ArrayExamples, listed
from cbackprop.training import Training

OURS = {theirs: row.name for row in table.ACTIVATIONS  # if scikit-learn has another name
        for theirs in row.sklearn if theirs not in (None, row.name)}
ADAMS = {each.name: each for each in (optimizers.Adam(), optimizers.Adam(lazy=True))}
TIMES = ("seconds", "rows_per_second")  # columns of a history
NOT_FINITE = ("Solver produced non-finite parameter weights. The input data may contain large "
              "values and need to be preprocessed.")


def fits_in_parts(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver 'sgd' or 'adam', got 'lbfgs'")
    return True


def _real(array: NDArray[Any]) -> Any:
    return np.float32 if array.dtype == np.float32 else np.float64


class Estimator(BaseEstimator):
    """The base of all estimators: it keeps parameters, and checks data as scikit-learn does."""

    def _keep(self, given: dict[str, Any]) -> None:
        """Set the constructor's arguments as attributes."""
        self.__dict__.update((name, value) for name, value in given.items() if name != "self")

    def _arrays(self, x: Any, y: Any, anew: bool) -> tuple[Any, NDArray[Any]]:
        """Check X and y as scikit-learn does."""
        x, y = validate_data(
            self, x, y, accept_sparse=["csr", "csc"], multi_output=True,
            dtype=(np.float64, np.float32), y_numeric=isinstance(self, RegressorMixin), reset=anew)
        return x, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


@_words.suggesting("fit")
class Perceptron(Estimator, ABC):
    """
    The base of the estimators that are one network.

    `coefs_` and `intercepts_` are live views of a network's parameters. An array that replaces one
    of them is copied into the network at the next use, or into a new network if its shape or type
    differs.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {  # ours are checked elsewhere
        **neural_network.MLPClassifier._parameter_constraints, "activation": "no_validation",
        "solver": [StrOptions({"lbfgs", "sgd", *ADAMS})]}
    _LOSSES: ClassVar[tuple[str, ...]]  # besides the network's costs
    _best: list[NDArray[Any]] | None = None
    _may_end_early = True  # on Ctrl-C; not if it is one of many
    loss: Any
    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    _net: Network

    # ---- what differs ----

    def _learn_classes(self, y: NDArray[Any], anew: bool, partial: bool) -> None:
        """Learn the classes, or check that they are the same."""

    @property
    @abstractmethod
    def has_rows_(self) -> bool:
        """Whether y has a row of several numbers for each example."""

    @abstractmethod
    def _encoded(self, y: NDArray[Any], real: Any) -> NDArray[Any]:
        """Return targets as the core takes them."""

    def _weights(self, sample_weight: NDArray[Any] | None, y: Any) -> NDArray[Any] | None:
        """Return the weight of each example."""
        return sample_weight

    @abstractmethod
    def _ends(self, real: Any) -> tuple[str, Any]:
        """Return the output's activation by scikit-learn's name, and the cost for `Network`."""

    @abstractmethod
    def _score(self, outputs: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """Score outputs against encoded targets."""

    # ---- the network ----

    @property
    def network_(self) -> Network:
        """
        The trained `Network`, whose parameters `coefs_` and `intercepts_` show.

        It offers what a `Network` offers: activations of hidden layers, gradients, files.
        `cbackprop.inspect`, `plot` and `convert` also take the estimator itself. If you write to
        its parameters, predictions change.

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
        """Make a network of these parameters, if possible from the last one and its optimizer."""
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
        self._net = self._net.with_parameters(
            [w.T for w in now[:n]], [b[:, None] for b in now[n:]])
        self._show()

    def _make(self, coefs: Sequence[NDArray[Any]], intercepts: Sequence[NDArray[Any]]) -> None:
        """Make a network of these parameters."""
        sizes = [len(coefs[0]), *(len(b) for b in intercepts)]
        real = _real(coefs[0])
        first = self.loss[:1] if isinstance(self.loss, (list, tuple)) else [self.loss]
        if all(isinstance(size, (int, np.integer)) for size in first):
            raise ValueError(f"loss must be a name, (name, number) or a Cost, got "
                             f"{_check.shown(self.loss)}; layers are hidden_layer_sizes="
                             f"{_check.shown(self.loss)}")
        layers.resolve_function("loss", self.loss, table.COSTS, functions.Cost, self._LOSSES)
        out, cost = self._ends(real)
        activation = self.activation
        if isinstance(activation, (str, tuple)):
            layers.resolve_function(
                "activation", activation, table.ACTIVATIONS, functions.Activation, OURS)
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
            activation=list(map(layers.in_our_words, activation)),
            initializer=([w.T for w in coefs], [b.reshape(-1, 1) for b in intercepts]), seed=0)
        kind = metrics.kind_of(self._net.engine)
        if isinstance(self, ClassifierMixin):
            kind = metrics.Kind(metrics.LABELS if self.has_rows_ else metrics.CLASSES, *kind[1:])
        elif kind.name != metrics.COUNTS:
            kind = metrics.Kind(metrics.NUMBERS)
        self._net.trained_on = kind
        self._show()

    @property
    def loss_in_our_words(self) -> Any:
        """Return `loss`, in which another library's name for one of ours is ours."""
        known = {*(row.name for row in table.COSTS), *self._LOSSES}
        if isinstance(self.loss, tuple) and self.loss:
            return layers.our_name(self.loss[0], known), *self.loss[1:]
        return layers.our_name(self.loss, known)

    @property
    def _functions(self) -> tuple[Any, Any]:
        """Return the functions that the network was made of."""
        several = isinstance(self.activation, list)
        return tuple(self.activation) if several else self.activation, self.loss

    def encode(self, y: Any) -> NDArray[Any]:
        """Return y, also of a single example, as the network takes it."""
        y = y.toarray() if issparse(y) else np.asarray(y)
        one = y.shape == (self.n_outputs_,) * self.has_rows_
        return self._encoded(y[None] if one else y, self._net.dtype)

    def _make_again(self) -> None:
        """Make the network again with another activation or cost; the optimizer stays."""
        state = self._network().engine.state()
        self._make(self.coefs_, self.intercepts_)
        self._net.engine.set_state(state | {"random": None})

    def _show(self) -> None:
        """Make coefs_ and intercepts_ views of the network's parameters."""
        self.coefs_ = [w.T for w in self._net.weights[:]]
        self.intercepts_ = [b[:, 0] for b in self._net.biases[:]]
        self._views = [*self.coefs_, *self.intercepts_]

    def _copies(self) -> list[NDArray[Any]]:
        return [np.array(view) for view in self._views]

    def _outputs(self, x: Any) -> NDArray[Any]:
        """Return the network's outputs for checked rows."""
        out = self._outputs_if_finite(x)
        if out is not None:
            return out
        if issparse(x):  # finite, but not in the network's type
            arrays.finite(x.data, self._net.dtype, "X.data")
        return self._net.feedforward(arrays.finite(x, self._net.dtype, "X"))

    def _outputs_if_finite(self, x: Any) -> NDArray[Any] | None:
        """Return the network's outputs, or None if the core cannot take the rows."""
        engine = self._network().engine
        return engine.core.feedforward(engine.rows(x, "X") if issparse(x) else x)

    def __getstate__(self) -> dict[str, Any]:
        if hasattr(self, "coefs_"):
            self._network()
        state = super().__getstate__().copy()
        for name in ("coefs_", "intercepts_", "_views"):  # they are the network's
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, *, X_val: Any = None,
        y_val: Any = None, sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """
        Train on X and y.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, features)
            float32 is trained on in float32, all other types in float64. A sparse matrix is never
            made dense.
        y : array of shape (n,) or (n, outputs)
        sample_weight : array of shape (n,), optional
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            The data for early stopping; by default a part of X and y.

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
        weights = None if sample_weight is None else check_sample_weight(sample_weight, x)
        weights = not_all_zero(self._weights(weights, y), "X")
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
        if targets.ndim == 2:
            network.engine.target_values.trained(
                targets, float(targets.min()), float(targets.max()), "y")
        if self.solver == "lbfgs":
            self._run_lbfgs(network, x, targets, weights)
        elif stops_early:
            self._run_epochs(network, partial, *self._split(x, targets, weights, validation))
        else:
            self._run_epochs(network, partial, (x, targets, weights), None)
        return self

    def _split(
        self, x: Any, targets: NDArray[Any], weights: NDArray[Any] | None, given: Any
    ) -> Any:
        """Return the data for training and for early stopping, as (X, targets, weights) each."""
        if given[0] is not None:
            x_val, y_val = self._arrays(given[0], given[1], False)
            w_val = None if given[2] is None else check_sample_weight(given[2], x_val)
            w_val = not_all_zero(self._weights(w_val, y_val), "X_val")
            return (x, targets, weights), (x_val, self._encoded(y_val, x.dtype), w_val)
        parts = train_test_split(
            np.arange(x.shape[0]), random_state=self._random_state,
            test_size=self.validation_fraction, stratify=self._strata(targets))
        if len(parts[1]) < 2:
            raise ValueError("The validation set is too small. Increase 'validation_fraction' or "
                             "the size of your dataset.")
        names = "the rows to train on", "the rows drawn for validation"
        return [(x[part], targets[part],
                 None if weights is None else not_all_zero(weights[part], name))
                for part, name in zip(parts, names, strict=True)]

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        """Return the strata from which validation data is drawn in proportion."""
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

    def _reset_best(self, partial: bool) -> None:
        """
        Forget the best score or loss.

        `warm_start` continues the curves, but its data is new: older scores are not compared.
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
    ) -> ArrayExamples:
        """Hand examples to the core."""
        build = network.engine.build
        if targets.ndim == 2:
            targets = np.ascontiguousarray(targets, network.dtype)
        if weights is not None:
            weights = np.ascontiguousarray(weights, network.dtype)
        rows = listed(build, x, "X") if issparse(x) else build.Rows(
            np.require(x, requirements=("C", "A")), skip_zeros=True)
        return ArrayExamples(rows, build.Targets(targets, weights))

    @property
    def _outputs_of_a_loss(self) -> int:
        """The number of outputs over which scikit-learn averages a loss, but not a gradient."""
        return self.n_outputs_ if self.loss == "squared_error" else 1

    def _rules(self) -> optimizers.TrainingOptions:
        optimizer: optimizers.Optimizer
        if self.solver in ADAMS:
            optimizer = dataclasses.replace(
                ADAMS[self.solver], beta1=self.beta_1, beta2=self.beta_2, epsilon=0.0,
                epsilon_hat=self.epsilon)
        else:
            kind = optimizers.Nesterov if self.nesterovs_momentum else optimizers.Momentum
            optimizer = kind(min(self.momentum, math.nextafter(1, 0)))
        return optimizers.training_options(self.n_layers_ - 1, optimizer, lmbda=self.alpha,
                                dropout=self.dropout)

    def _mini_batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warn("Got `batch_size` less than 1 or larger than sample size. It is going to be "
                  "clipped")
        return min(self.batch_size, n)

    def _run_epochs(
        self, network: Network, partial: bool, training: Any, validation: Any
    ) -> None:
        """Train by "sgd" or "adam"."""
        asked, engine = (self.solver, self.learning_rate_init), network.engine
        if not (partial and engine.optimizer_state):
            engine.optimizer_state = None
            self._rate = float(self.learning_rate_init)
        elif asked != self.__dict__.get("_asked", asked):
            self._change_rate(self._first_rate())
        self._asked = asked
        self._reset_best(partial)
        self.n_iter_ = 0
        examples, options = self._examples(network, *training), self._rules()
        n = len(examples)
        epochs = Epochs(self, n, validation)
        sgd = Training(
            network, examples, 1 if partial else self.max_iter, self._mini_batch_size(n),
            epochs.rate, options, callbacks=[epochs, *collected(self.callbacks, None, None)],
            order=Order(n, self._random_state if self.shuffle else None),
            by_weight=0.5 * options.lmbda * self._outputs_of_a_loss)
        if any(options.dropout):
            engine.random = np.random.default_rng(self._random_state.randint(2**31))
        try:
            sgd.run()
        except KeyboardInterrupt:
            if not self._may_end_early:
                raise
            warn("Training interrupted by user.")
        except DivergenceError as error:
            if validation is None:
                raise ValueError(NOT_FINITE) from None
            warn(str(error), ConvergenceWarning)
            self.n_iter_, self.loss_ = self.n_iter_ + 1, math.nan
            self.loss_curve_.append(math.nan)
            self.validation_scores_.append(math.nan)
        if not partial and self.n_iter_ == self.max_iter and not epochs.converged:
            warn(f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                  f"optimization hasn't converged yet.", ConvergenceWarning)
        if self._best is not None:
            for view, best in zip(self._views, self._best, strict=True):
                view[...] = best
            self._best = None
        elif validation is not None and self.n_iter_ and not math.isnan(self.loss_):
            warn(f"no validation score was finite, of {len(validation[1])} row(s): the "
                  f"parameters are those of the last epoch", UndefinedMetricWarning)

    def _change_rate(self, eta: float) -> None:
        """Set another rate; scikit-learn's velocities contain the rates of earlier steps."""
        state = self._net.engine.optimizer_state
        if state is not None and state.optimizer != optimizers.Adam.NAME:
            state.in_core.slots[0][...] *= self._rate / eta
        self._rate = eta

    def _first_rate(self) -> float:
        """Return the rate that only time has lowered."""
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
            network.engine.core, examples.rows, examples.targets, self.alpha / total,
            scale=1 / self._outputs_of_a_loss, maxfun=self.max_fun, maxiter=self.max_iter,
            gtol=self.tol)
        self.n_iter_, self.loss_ = min(found.nit, self.max_iter), found.fun
        if not network.engine.core.all_finite():
            raise ValueError(NOT_FINITE)
        if found.status:
            warn(f"lbfgs failed to converge after {self.n_iter_} iteration(s) (status="
                  f"{found.status}): {found.message}; increase max_iter ({self.max_iter}) or "
                  f"max_fun ({self.max_fun}), or scale the data", ConvergenceWarning)

    def _checked_outputs(self, X: Any) -> NDArray[Any]:
        """Return the outputs for X as the caller passes it."""
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)
        # For few rows, scikit-learn's checks take ten times as long as the outputs. The core makes
        # the same checks; if X does not pass them, scikit-learn raises its error.
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

    # ---- called by skl2onnx ----

    def onnx_parser(self) -> None:
        """Register with skl2onnx, which then finds the outputs by itself."""
        _skl2onnx.register(type(self))

    def onnx_shape_calculator(self) -> Any:
        """Return the function that sets the shapes of the outputs in ONNX."""
        return _skl2onnx.shapes

    def onnx_converter(self) -> Any:
        """Return the function that writes the nodes of ONNX."""
        return _skl2onnx.convert
