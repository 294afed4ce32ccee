"""The solvers "sgd" and "adam": scikit-learn's order of rows, and its work after each epoch."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import schedules
from cbackprop.callbacks import Callback
from cbackprop.core import _runtime
from cbackprop.history import History
from cbackprop.network import Network

SMALLEST_RATE = 1e-6  # "adaptive" stops at it


def _shuffle(random_state: np.random.RandomState, order: NDArray[np.intp]) -> None:
    """Do the same as random_state.shuffle, compiled if possible."""
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


class Order:
    """Draws orders of n rows as `sklearn.utils.shuffle` does, ten times as fast."""

    def __init__(self, n: int, random_state: np.random.RandomState | None) -> None:
        self.rows, self.random_state = np.arange(n), random_state

    def __call__(self) -> NDArray[Any]:
        if self.random_state is not None:
            _shuffle(self.random_state, self.rows)
        return self.rows


class Rate(schedules.Schedule):
    """A rate that the estimator changes between epochs."""

    def rate(self, step: Any) -> Any:
        """Return the current rate."""
        return self.eta

    def change(self, eta: float) -> None:
        """Set another rate."""
        object.__setattr__(self, "eta", eta)


class Epochs(Callback):
    """
    An estimator's work after each epoch of "sgd" and "adam": curves, learning rate, stopping.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    n : int
        The number of examples.
    validation : tuple of (X, y, weights), or None
    """

    def __init__(self, estimator: Any, n: int, validation: Any) -> None:
        self.estimator, self.n, self.validation = estimator, n, validation
        self.converged, self.rate, self.skipped = False, Rate(estimator._rate), 0
        if validation is not None and validation[2] is not None and not np.any(validation[2]):
            raise ValueError(f"early stopping must have validation data that weigh something, got "
                             f"{validation[0].shape[0]} rows that all weigh 0")

    def on_train_begin(self, network: Network, history: History) -> None:
        """Start to count the rows that are skipped because their mini-batch weighs 0."""
        self.state = network.engine.optimizer_state
        self.skipped = self.state.in_core.skipped_rows if self.state else 0

    def on_epoch_end(self, network: Network, history: History) -> bool:
        """Record the epoch, change the rate, and return whether training is over."""
        own = self.estimator
        own.n_iter_ += 1
        own.t_ += self.n
        state = network.engine.optimizer_state
        assert state is not None
        before = self.skipped if state is self.state else 0  # a new optimizer
        self.state, self.skipped = state, state.in_core.skipped_rows
        counted = self.n - (self.skipped - before)
        own.loss_ = history.cost[-1] / own._outputs_of_a_loss * self.n / max(1, counted)
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
        """Score the validation data, keep the best parameters, and return whether it improved."""
        own = self.estimator
        x, y, weights = self.validation
        score = own._score(own._outputs(x), y, weights)
        own.validation_scores_.append(score)
        if own.verbose:
            print(f"Validation score: {score:f}")
        # NaN is no improvement, but it is no reason to stop before the first finite score.
        best = own.best_validation_score_
        better = best == -math.inf or score >= best + own.tol
        if score > best:
            own.best_validation_score_ = score
            own._best = own._copies()
        return better

    def change_rate(self, eta: float) -> None:
        """Set another rate."""
        self.estimator._change_rate(eta)
        self.rate.change(eta)
