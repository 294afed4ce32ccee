"""skl2onnx: estimators of `cbackprop.sklearn` as ONNX, alone or in pipelines."""

from cbackprop._extras import library
from cbackprop.convert import _skl2onnx


def register() -> None:
    """
    Make `cbackprop.sklearn` known to skl2onnx (extra ``skl2onnx``).

    For such an estimator, or a pipeline or a search with one, ``skl2onnx.to_onnx`` does so by
    itself. Call this first for estimators that look up their parts by class, such as
    scikit-learn's `VotingClassifier`.

    Raises
    ------
    ModuleNotFoundError
        If skl2onnx or scikit-learn is missing.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from cbackprop.convert.skl2onnx import register
    >>> from cbackprop.sklearn import MLPRegressor
    >>> register()
    >>> net = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs").fit([[0.0], [1.0]], [1.0, 3.0])
    >>> onnx = skl2onnx.to_onnx(net, np.zeros((1, 1), np.float32))
    >>> [output.name for output in onnx.graph.output]
    ['variable']
    """
    estimators = library("cbackprop.sklearn", "register", "sklearn")
    for kind in (estimators.MLPClassifier, estimators.MLPRegressor):
        _skl2onnx.register(kind)
