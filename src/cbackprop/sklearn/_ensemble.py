"""The base of both ensembles: networks that differ in their seeds, and perhaps in their rows."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _joblib, _words, callbacks
from cbackprop.sklearn._compat import (
    Interval,
    Parallel,
    RealNotInt,
    check_is_fitted,
    check_random_state,
    check_sample_weight,
    delayed,
    fit_context,
    validate_data,
)
from cbackprop.sklearn._estimator import Estimator, Perceptron


def single(outputs: NDArray[Any]) -> NDArray[Any]:
    """Return the outputs of a regression, in one dimension if there is one output."""
    return outputs.ravel() if outputs.shape[1] == 1 else outputs


@_words.suggesting("fit")
class Ensemble(Estimator):
    """The base of both ensembles. A row that a network does not draw weighs 0 in its fit."""

    _member: ClassVar[type[Perceptron]]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "max_samples": [Interval(RealNotInt, 0, 1, closed="right"),
                        Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }
    n_estimators: int
    bootstrap: bool
    max_samples: float
    n_jobs: int | None
    early_stopping: bool
    solver: str
    warm_start: bool
    callbacks: Any
    random_state: Any

    # ---- the networks ----

    def _new(self) -> Any:
        """Return an estimator of the parameters that it has in common with this one."""
        given = self.get_params(deep=False)
        one = self._member(**{name: given[name] for name in self._member().get_params(deep=False)})
        return one.set_params(callbacks=callbacks.copies(self.callbacks))

    def _members(self, anew: bool) -> list[Any]:
        """Return the networks to fit: new ones, after those that are there."""
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=self.n_estimators)
        if self.n_estimators > 1 and (files := callbacks.written(self.callbacks)):
            raise ValueError("callbacks must write no file, which all networks would share, got "
                             f"{min(files)!r}")
        there = [] if anew else self.estimators_
        if len(there) > self.n_estimators:
            raise ValueError(f"n_estimators must be at least the {len(there)} networks that are "
                             f"there, got {self.n_estimators}")
        for member in there:
            member.set_params(**self._new().get_params() | {"random_state": member.random_state})
        return [*there, *(self._new().set_params(random_state=int(seed))
                          for seed in seeds[len(there):])]

    @property
    def loss_in_our_words(self) -> Any:
        """Return `loss`, in which another library's name for one of ours is ours."""
        return self._new().loss_in_our_words

    @property
    def n_outputs_(self) -> int:
        """The number of outputs."""
        return self.estimators_[0].n_outputs_

    @property
    def out_activation_(self) -> Any:
        """The activation of the outputs."""
        return self.estimators_[0].out_activation_

    @property
    def n_iter_(self) -> NDArray[Any]:
        """The number of epochs of each network."""
        return np.array([member.n_iter_ for member in self.estimators_])

    # ---- fit ----

    def _learn_classes(self, y: NDArray[Any], anew: bool, partial: bool) -> None:
        """Learn the classes, or check that they are the same."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, *, X_val: Any = None,
        y_val: Any = None, sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """
        Fit all networks on X and y.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, features)
            float32 is trained on in float32, all other types in float64.
        y : array of shape (n,) or (n, outputs)
        sample_weight : array of shape (n,), optional
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            The data for early stopping. By default, each network holds out a part of X and y by its
            own seed, or takes the rows that it has not drawn.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data is bad, or training diverges.
        KeyboardInterrupt
            On Ctrl-C: there may be networks that have not been trained.
        """
        anew = not (self.warm_start and hasattr(self, "estimators_"))
        X, y = self._arrays(X, y, anew)
        self._learn_classes(y, anew, False)
        if X_val is not None and y_val is not None:
            X_val, y_val = self._arrays(X_val, y_val, False)
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        self.estimators_ = self._fitted(
            _fit, anew, (X, y, self._weights(sample_weight, X), self._drawn(X.shape[0]),
                         validation))
        return self

    def _partial_fit(self, x: Any, y: Any, sample_weight: Any, **classes: Any) -> Any:
        anew = not hasattr(self, "estimators_")
        x, y = self._arrays(x, y, anew)
        self.estimators_ = self._fitted(
            _partial_fit, anew, (x, y, self._weights(sample_weight, x), self.bootstrap, classes))
        return self

    def _fitted(self, work: Any, anew: bool, data: tuple[Any, ...]) -> list[Any]:
        """Return the networks after `work`, by joblib."""
        sent = _joblib.sent(data)
        found: list[Any] = Parallel(self.n_jobs, prefer="threads")(
            delayed(_worked)(work, member, *sent) for member in self._members(anew))
        return found

    def _weights(self, sample_weight: Any, x: Any) -> NDArray[Any] | None:
        return None if sample_weight is None else check_sample_weight(sample_weight, x)

    def _drawn(self, n: int) -> tuple[bool, float] | None:
        """Return how rows are drawn, or None if every network has all of them."""
        if self.max_samples == 1.0 and isinstance(self.max_samples, float) and not self.bootstrap:
            return None
        if isinstance(self.max_samples, Integral) and self.max_samples > n:
            raise ValueError(f"max_samples must be at most the {n} rows, got {self.max_samples}")
        return self.bootstrap, self.max_samples

    # ---- outputs ----

    def _each(self, X: Any) -> NDArray[Any]:
        """Return the outputs of all networks, of shape (networks, n, outputs)."""
        check_is_fitted(self)
        x = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return np.stack([member._outputs(x) for member in self.estimators_])

    def _checked_outputs(self, X: Any) -> NDArray[Any]:
        """Return the mean outputs for X as the caller passes it."""
        return self._mean_and_std(X)[0]

    def _mean_and_std(self, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        each = self._each(X)
        mean, std = (of(axis=0, dtype=np.float64) for of in (each.mean, each.std))
        return mean.astype(each.dtype), std.astype(each.dtype)

    def __sklearn_tags__(self) -> Any:
        return self._new().__sklearn_tags__()


def _worked(work: Any, member: Any, *sent: Any) -> Any:
    """Do the work for one network; Ctrl-C ends that for all."""
    member._may_end_early = False
    try:
        return work(member, *sent)
    finally:
        del member._may_end_early


def _fit(member: Any, *sent: Any) -> Any:
    """Fit one network, perhaps on the rows that it draws."""
    x, y, weights, drawn, validation = _joblib.received(*sent)
    if drawn is None:
        return member.fit(x, y, weights, **validation)
    counts = _counts(member.random_state, x.shape[0], weights, *drawn)
    if member.early_stopping and member.solver != "lbfgs" and validation["X_val"] is None:
        left = np.flatnonzero((counts == 0) if weights is None else (counts == 0) & (weights > 0))
        if not len(left):
            raise ValueError("early_stopping needs rows that a network does not draw, got "
                             f"{x.shape[0]} rows that are all drawn: give X_val and y_val")
        validation = {"X_val": x[left], "y_val": y[left],
                      "sample_weight_val": None if weights is None else weights[left]}
    return member.fit(x, y, counts if weights is None else counts * weights, **validation)


def _counts(
    seed: int, n: int, weights: NDArray[Any] | None, bootstrap: bool, max_samples: float
) -> NDArray[Any]:
    """Return how often each of n rows is drawn. Rows that weigh nothing are not."""
    rows = np.arange(n) if weights is None else np.flatnonzero(weights)
    count = max_samples if isinstance(max_samples, Integral) else max(
        1, round(max_samples * len(rows)))
    if count > len(rows) and not bootstrap:
        raise ValueError(f"max_samples must be at most the {len(rows)} rows of weight above 0, got "
                         f"{max_samples}")
    # It is no RandomState, from which the network draws its first weights.
    drawn = np.random.default_rng(seed).choice(rows, int(count), replace=bootstrap)
    return np.bincount(drawn, minlength=n).astype(np.float64)


def _partial_fit(member: Any, *sent: Any) -> Any:
    """Train one network for an epoch; with bagging, on rows counted by a Poisson distribution."""
    x, y, weights, bootstrap, classes = _joblib.received(*sent)
    if bootstrap:
        generator = np.random.default_rng([member.random_state, getattr(member, "t_", 0)])
        counts = np.zeros(x.shape[0])
        while not counts.any():  # a part of a row or two may have none
            counts = generator.poisson(1.0, x.shape[0]).astype(np.float64)
        weights = counts if weights is None else counts * weights
    return member.partial_fit(x, y, weights, **classes)
