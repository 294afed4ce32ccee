"""skl2onnx: estimators of `cbackprop.sklearn` in ONNX, alone and as parts of pipelines."""

from cbackprop._extras import library
from cbackprop.convert import _skl2onnx


def register() -> None:
    """
    Make `cbackprop.sklearn` known to skl2onnx (extra ``skl2onnx``).

    ``skl2onnx.to_onnx`` of such an estimator, or of a pipeline or a search with one, does so by
    itself. What looks its parts up by their class, as scikit-learn's `VotingClassifier` does, needs
    this call before.

    Raises
    ------
    ModuleNotFoundError
        Without skl2onnx, or scikit-learn.

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
