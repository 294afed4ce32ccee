"""
scikit-learn's multilayer perceptrons, trained by the core.

`MLPClassifier` and `MLPRegressor` take the arguments of those in `sklearn.neural_network`, draw the
same random numbers, and end at the same weights. They have some more arguments.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, _renamed, _words
from cbackprop.sklearn._classification import PROBABILITIES, Classification, gives_probabilities
from cbackprop.sklearn._compat import (
    LabelBinarizer,
    RegressorMixin,
    StrOptions,
    available_if,
    check_partial_fit_first_call,
    fit_context,
    issparse,
    r2_score,
    type_of_target,
    unique_labels,
)
from cbackprop.sklearn._ensemble import Ensemble, single
from cbackprop.sklearn._estimator import Perceptron, fits_in_parts


def _weights_of_classes(
    class_weight: Any, y: NDArray[Any], sample_weight: NDArray[Any] | None, known: list[Any]
) -> NDArray[Any]:
    """
    Return the weight of each example's class.

    Raises
    ------
    TypeError, ValueError
        If a weight is not a number or is negative, or no class in the dict is known.
    """
    classes, at = np.unique(y, return_inverse=True)
    if isinstance(class_weight, dict) and class_weight and class_weight.keys().isdisjoint(known):
        raise ValueError(f"class_weight must be for some of the classes {_check.shown(known)}, got "
                         f"{_check.shown(class_weight)}")
    if isinstance(class_weight, dict):  # classes that are not in it have weight 1
        return np.array([_check.number(f"class_weight[{c!r}]", class_weight.get(c, 1.0), 0)
                         for c in classes.tolist()])[at]
    counts = np.bincount(at, sample_weight)  # a row of weight 2 counts as two
    there = counts > 0
    return np.divide(counts.sum() / there.sum(), counts, np.zeros(len(counts)), where=there)[at]


@_words.suggesting("__init__")
class MLPClassifier(Classification, Perceptron):
    """
    `sklearn.neural_network.MLPClassifier`, trained by the core.

    Parameters
    ----------
    hidden_layer_sizes, ..., max_fun
        As in scikit-learn. `activation` may also be any activation of `Network`, or a list with one
        for each hidden layer; `solver` may also be "lazy_adam", for sparse X: docs/sparse.md.
    loss : str, (str, float), or Cost
        "log_loss", or a cost of `Network`, on the same outputs. Hinges take the weighted inputs as
        outputs, and have `decision_function` instead of `predict_proba`.
    dropout : float or sequence of float
        The probability that a neuron is left out, as for `Network.SGD`.
    class_weight : "balanced", or dict {class: weight}, optional
        Factors of the weights of each class's examples; 1 for a class that is not in the dict.
        "balanced" gives all classes in y the same total weight, with `sample_weight` counted. For
        several labels it is a list of dicts, one for each label, and the weights are multiplied.
    callbacks : sequence of Callback or callable (network, history)
        See `cbackprop.callbacks`.

    Attributes
    ----------
    classes_, coefs_, intercepts_, loss_curve_, n_iter_, ...
        As in scikit-learn. Parameters are live: if you write to them, predictions change.

    Raises
    ------
    TypeError, ValueError
        By `fit`, if a parameter is of the wrong kind or out of range.

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
        **Perceptron._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None]}

    def _encoded(self, y: Any, real: Any) -> NDArray[Any]:
        if (y.ndim == 2) != self.has_rows_:
            raise ValueError(f"y must have shape (n{f', {self.n_outputs_}' * self.has_rows_}), as "
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
                             f"{y.shape}, got {_check.shown(each)}")
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        known = self.classes_.tolist() if y.ndim == 1 else [0, 1]
        for class_weight, column in zip(each, columns, strict=True):
            weights = weights * _weights_of_classes(class_weight, column, sample_weight, known)
        return weights

    def _ends(self, real: Any) -> tuple[str, Any]:
        loss = self.loss_in_our_words
        if loss in ("hinge", "squared_hinge"):
            return "identity", loss
        multiclass = self._label_binarizer.y_type_ == "multiclass"
        if loss != "log_loss":
            return PROBABILITIES[multiclass], loss
        # scikit-learn's floor for the argument of a logarithm
        floor = float(np.finfo(real).eps)
        return PROBABILITIES[multiclass], (
            "log_likelihood" if multiclass else "cross_entropy", floor)

    def _score(self, outputs: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """Return the accuracy. Of several labels, all must be right; a single class always is."""
        right = (outputs.argmax(axis=1) == y if y.ndim == 1 else
                 ((outputs > self.threshold_) == (y > 0.5)).all(axis=1))
        return float(np.average(right | (len(self.classes_) == 1), weights=weights))

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        return targets > 0.5 if self.n_outputs_ == 1 else None

    @available_if(fits_in_parts)
    @fit_context(prefer_skip_nested_validation=True)
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
            All classes that will occur. The first call needs them.

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise ValueError("class_weight 'balanced' needs all of y: give partial_fit a dict")
        if check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        return self._fit(X, y, sample_weight, True)

@_words.suggesting("__init__")
class MLPRegressor(RegressorMixin, Perceptron):
    """
    `sklearn.neural_network.MLPRegressor`, trained by the core.

    Parameters
    ----------
    loss : str, (str, float), or Cost
        "squared_error", "poisson" (half the deviance, on exponential outputs), or another cost of
        `Network`.
    hidden_layer_sizes, ..., max_fun
        As in scikit-learn. `activation` may also be any activation of `Network`, or a list with one
        for each hidden layer, and perhaps one for the outputs; `solver` may also be "lazy_adam".
    dropout, callbacks
        As for `MLPClassifier`.

    Attributes
    ----------
    coefs_, intercepts_, loss_curve_, n_iter_, ...
        As in scikit-learn. Parameters are live: if you write to them, predictions change.

    Raises
    ------
    TypeError, ValueError
        By `fit`, if a parameter is of the wrong kind or out of range.

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
    def has_rows_(self) -> bool:
        """Whether y has a row of several numbers for each example."""
        return self.n_outputs_ > 1

    def _encoded(self, y: NDArray[Any], real: Any) -> NDArray[Any]:
        if self._is_poisson and y.min() < 0:
            raise ValueError(f"y must not be negative for loss 'poisson', got {y.min():g}")
        return (y if y.ndim == 2 else y.reshape(-1, 1)).astype(real)

    def _ends(self, real: Any) -> tuple[str, Any]:
        loss = self.loss_in_our_words
        if self._is_poisson:
            return "exp", ("poisson", 1.0) if loss == "poisson" else loss
        return "identity", "quadratic" if loss == "squared_error" else loss

    @property
    def _is_poisson(self) -> bool:
        loss = self.loss_in_our_words
        return (loss[:1] if isinstance(loss, tuple) else (loss,)) == ("poisson",)

    def _score(self, outputs: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """Return R^2, which is NaN for a single row."""
        if len(y) < 2 or not np.isfinite(outputs).all():
            return math.nan
        return r2_score(y, outputs, sample_weight=weights)

    @available_if(fits_in_parts)
    @fit_context(prefer_skip_nested_validation=True)
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
        return single(self._checked_outputs(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self._is_poisson
        return tags


@_words.suggesting("__init__")
class MLPEnsembleClassifier(Classification, Ensemble):
    """
    An ensemble of `MLPClassifier` that differ in their seeds, and perhaps in their rows.

    Its probabilities are the means of theirs.

    Parameters
    ----------
    hidden_layer_sizes, ..., callbacks
        As for `MLPClassifier`. `random_state` draws the seed of each network, and each has a copy
        of the callbacks.
    n_estimators : int
        The number of networks.
    bootstrap : bool
        Whether each network draws its rows with replacement (bagging). All other rows weigh 0 in
        its fit; with early stopping they are its validation data, and `validation_fraction` has no
        meaning.
    max_samples : float or int
        How many rows each network draws: a share of those that weigh something, or a number.
        Without `bootstrap`, no row twice; then 1.0 gives every network all rows.
    n_jobs : int, optional
        The number of networks that are fitted at a time, in threads; -1 is as many as cores. None
        is 1, or what `joblib.parallel_config` says, also of its processes and clusters.

    Attributes
    ----------
    estimators_ : list of MLPClassifier
        The fitted networks.
    classes_, n_features_in_, feature_names_in_, n_outputs_, out_activation_
        As for `MLPClassifier`.
    n_iter_ : array of int, shape (n_estimators,)
        The number of epochs of each network.

    Raises
    ------
    TypeError, ValueError
        By `fit`, if a parameter is of the wrong kind or out of range.

    See Also
    --------
    cbackprop.mean_output : The mean output of networks that `train_many` has trained.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> x, y = load_digits(return_X_y=True)
    >>> ensemble = MLPEnsembleClassifier((30,), tol=0.01, n_estimators=5, random_state=0)
    >>> mean, std = ensemble.fit(x / 16, y).predict_proba(x / 16, return_std=True)
    >>> mean.shape, std.shape
    ((1797, 10), (1797, 10))
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
        n_estimators: int = 10,
        bootstrap: bool = False,
        max_samples: float = 1.0,
        n_jobs: int | None = None,
    ) -> None:
        self._keep(locals())

    _member = MLPClassifier
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLPClassifier._parameter_constraints, **Ensemble._parameter_constraints}

    @available_if(gives_probabilities)
    def predict_proba(
        self, X: Any, return_std: bool = False
    ) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
        """
        Return the mean probability of each class in `classes_`, or of each label.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, features)
        return_std : bool
            Whether to return their standard deviation over the networks as well.

        Returns
        -------
        array of shape (n, classes), or two of them
        """
        if not return_std:
            return super().predict_proba(X)
        mean, std = self._mean_and_std(X)
        return self._of_classes(mean), np.hstack([std, std]) if self.n_outputs_ == 1 else std

    @available_if(fits_in_parts)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Any:
        """
        Train every network for one epoch on X and y.

        With `bootstrap`, each network counts a row as often as a Poisson distribution of mean 1
        says, which is bagging for rows that arrive in parts (Oza and Russell, 2001).

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array of shape (classes,), optional
            All classes that will occur. The first call needs them.

        Returns
        -------
        self
        """
        self._partial_fit(X, y, sample_weight, classes=classes)
        self._label_binarizer = self.estimators_[0]._label_binarizer
        self.classes_ = self.estimators_[0].classes_
        return self


@_words.suggesting("__init__")
class MLPEnsembleRegressor(RegressorMixin, Ensemble):
    """
    An ensemble of `MLPRegressor` that differ in their seeds, and perhaps in their rows.

    Parameters
    ----------
    loss, ..., callbacks
        As for `MLPRegressor`. `random_state` draws the seed of each network, and each has a copy of
        the callbacks.
    n_estimators, bootstrap, max_samples, n_jobs
        As for `MLPEnsembleClassifier`.

    Attributes
    ----------
    estimators_ : list of MLPRegressor
        The fitted networks.
    n_features_in_, feature_names_in_, n_outputs_, out_activation_
        As for `MLPRegressor`.
    n_iter_ : array of int, shape (n_estimators,)
        The number of epochs of each network.

    Raises
    ------
    TypeError, ValueError
        By `fit`, if a parameter is of the wrong kind or out of range.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> x, y = make_regression(200, 20, random_state=1)
    >>> ensemble = MLPEnsembleRegressor(tol=0.01, n_estimators=5, bootstrap=True, random_state=1)
    >>> mean, std = ensemble.fit(x, y / y.std()).predict(x, return_std=True)
    >>> mean.shape, std.shape
    ((200,), (200,))
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
        n_estimators: int = 10,
        bootstrap: bool = False,
        max_samples: float = 1.0,
        n_jobs: int | None = None,
    ) -> None:
        self._keep(locals())

    _member = MLPRegressor
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLPRegressor._parameter_constraints, **Ensemble._parameter_constraints}

    def predict(
        self, X: Any, return_std: bool = False
    ) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
        """
        Return the mean output for each row of X.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, features)
        return_std : bool
            Whether to return the standard deviation over the networks as well. It tells where they
            disagree; the noise of y is not in it.

        Returns
        -------
        array of shape (n,) or (n, outputs), or two of them
        """
        mean, std = self._mean_and_std(X)
        return (single(mean), single(std)) if return_std else single(mean)

    @available_if(fits_in_parts)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """
        Train every network for one epoch on X and y; as `MLPEnsembleClassifier.partial_fit`.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, sample_weight)


__all__ = ["MLPClassifier", "MLPEnsembleClassifier", "MLPEnsembleRegressor", "MLPRegressor"]

_renamed.install(__name__)
