"""The names of scikit-learn that are used, also private ones and those of some versions."""

from __future__ import annotations

import sys
import warnings
from typing import Any

try:
    from scipy.sparse import issparse
    from sklearn import neural_network
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.base import _fit_context as fit_context
    from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
    from sklearn.metrics import r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelBinarizer
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import (
        _check_partial_fit_first_call as check_partial_fit_first_call,
    )
    from sklearn.utils.multiclass import type_of_target, unique_labels
    from sklearn.utils.parallel import Parallel, delayed
    from sklearn.utils.validation import _check_sample_weight as check_sample_weight
    from sklearn.utils.validation import check_is_fitted
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"cbackprop.sklearn needs scikit-learn: pip install "
                              f"'cbackprop[sklearn]' ({error})") from None
try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before 1.6 it is a method
    def validate_data(estimator: Any, *arrays: Any, **rules: Any) -> Any:
        """Check arrays by the estimator's method."""
        return estimator._validate_data(*arrays, **rules)

NAME = neural_network.MLPClassifier.__module__


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the caller's line, with the name of scikit-learn's module, which filters know."""
    frame, inside = sys._getframe(1), ("cbackprop.", "joblib.", "sklearn.")
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(inside):
        frame = frame.f_back
    warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, NAME,
                           frame.f_globals.setdefault("__warningregistry__", {}))


__all__ = [
    "NAME", "BaseEstimator", "ClassifierMixin", "ConvergenceWarning", "Interval",
    "LabelBinarizer", "Parallel", "RealNotInt", "RegressorMixin", "StrOptions",
    "UndefinedMetricWarning", "available_if", "check_is_fitted", "check_partial_fit_first_call",
    "check_random_state", "check_sample_weight", "column_or_1d", "delayed", "fit_context",
    "issparse", "neural_network", "r2_score", "train_test_split", "type_of_target",
    "unique_labels", "validate_data", "warn",
]
