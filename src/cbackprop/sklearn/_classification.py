"""The base of classifiers: it learns the classes of y, and finds them in outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop.sklearn._compat import (
    ClassifierMixin,
    LabelBinarizer,
    available_if,
    unique_labels,
)

PROBABILITIES = ("logistic", "softmax")


def gives_probabilities(estimator: Any) -> bool:
    return estimator.loss_in_our_words not in ("hinge", "squared_hinge")


def _gives_sums(estimator: Any) -> bool:
    return not gives_probabilities(estimator)


class Classification(ClassifierMixin):
    """
    The base of classifiers.

    They have `_checked_outputs` and `loss_in_our_words`.
    """

    warm_start: bool
    n_outputs_: int
    out_activation_: Any
    _checked_outputs: Callable[[Any], NDArray[Any]]

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

    @property
    def threshold_(self) -> float:
        """The output above which a label, or the second of two classes, is predicted."""
        return 0.5 if self.out_activation_ in PROBABILITIES else 0.0

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row of X, or its row of labels."""
        outputs = self._checked_outputs(X)
        return self._label_binarizer.inverse_transform(
            outputs.ravel() if self.n_outputs_ == 1 else outputs, threshold=self.threshold_)

    @available_if(gives_probabilities)
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class in `classes_`, or of each label."""
        return self._of_classes(self._checked_outputs(X))

    def _of_classes(self, outputs: NDArray[Any]) -> NDArray[Any]:
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    @available_if(gives_probabilities)
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
