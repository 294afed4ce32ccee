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
from cbackprop.sklearn._compat import (
    ClassifierMixin,
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
from cbackprop.sklearn._estimator import Perceptron, fits_in_parts

PROBABILITIES = ("logistic", "softmax")


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


def _gives_probabilities(estimator: Any) -> bool:
    return estimator.loss_in_our_words not in ("hinge", "squared_hinge")


def _gives_sums(estimator: Any) -> bool:
    return not _gives_probabilities(estimator)


@_words.suggesting("__init__")
class MLPClassifier(ClassifierMixin, Perceptron):
    """
    `sklearn.neural_network.MLPClassifier`, trained by the core.

    Parameters
    ----------
    hidden_layer_sizes, ..., max_fun
        As in scikit-learn. `activation` may also be any activation of `Network`, or a list with one
        for each hidden layer.
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

    def _learn_classes(self, y: NDArray[Any], anew: bool, partial: bool) -> None:
        if not hasattr(self, "classes_") or not (self.warm_start or partial):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        elif not partial and set(unique_labels(y)) != set(self.classes_):
            raise ValueError(f"warm_start can only be used where `y` has the same classes as in "
                             f"the previous call to fit. Previously got {self.classes_}, `y` has "
                             f"{unique_labels(y)}")

    @property
    def has_rows_(self) -> bool:
        """Whether y has a row of labels for each example."""
        return bool(self._label_binarizer.y_type_ == "multilabel-indicator")

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

    @property
    def threshold_(self) -> float:
        """The output above which a label, or the second of two classes, is predicted."""
        return 0.5 if self.out_activation_ in PROBABILITIES else 0.0

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

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row of X, or its row of labels."""
        outputs = self._checked_outputs(X)
        return self._label_binarizer.inverse_transform(
            outputs.ravel() if self.n_outputs_ == 1 else outputs, threshold=self.threshold_)

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
        """Return the outputs that go into a hinge; for two classes, that of the second."""
        outputs = self._checked_outputs(X)
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


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
        for each hidden layer, and perhaps one for the outputs.
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
        outputs = self._checked_outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self._is_poisson
        return tags


__all__ = ["MLPClassifier", "MLPRegressor"]

_renamed.install(__name__)
