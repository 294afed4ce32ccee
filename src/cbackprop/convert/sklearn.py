"""scikit-learn: fitted `MLPClassifier` and `MLPRegressor`, scikit-learn's or ours."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cbackprop import _check
from cbackprop._extras import library
from cbackprop.convert import chains
from cbackprop.core import table
from cbackprop.inspect import _arguments
from cbackprop.network import Network

HIDDEN = {row.name: row.sklearn[0] for row in table.ACTIVATIONS if row.sklearn[0]}
OUTPUTS = {row.name: row.sklearn[1] for row in table.ACTIVATIONS if row.sklearn[1]}
NUMBERS = ("identity", "exponential")  # outputs of regressors


def from_sklearn(mlp: Any, *, cost: Any = None, seed: Any = None) -> Network:
    """
    Return a network that computes the same as a fitted estimator of scikit-learn.

    Parameters
    ----------
    mlp : sklearn.neural_network.MLPClassifier or MLPRegressor; or one of `cbackprop.sklearn`
        Output j stands for the class ``mlp.classes_[j]``; with two classes, the single output
        stands for the second. For an estimator of ours, the result is a copy of its ``network_``.
    cost, seed
        Arguments of the network. By default, the cost is the estimator's.

    Raises
    ------
    TypeError
        If it is not such an estimator.
    ValueError
        If it is not fitted.
    ModuleNotFoundError
        If scikit-learn (extra ``sklearn``) is missing.

    Examples
    --------
    >>> from sklearn.neural_network import MLPRegressor
    >>> from cbackprop.convert import from_sklearn
    >>> mlp = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs").fit([[0.0], [1.0]], [1.0, 3.0])
    >>> from_sklearn(mlp).feedforward([[1.0]]).round(2)
    array([[3.]])
    """
    neural = library("sklearn.neural_network", "from_sklearn", "sklearn")
    if not isinstance(mlp, Network) and hasattr(type(mlp), "network_"):
        net = _arguments.network(mlp)
        settings = net.settings() if cost is None else net.settings() | {"cost": cost}
        copy = Network(**settings, initializer=(list(net.weights), list(net.biases)), seed=seed)
        copy.trained_on = net.trained_on
        return copy
    if not isinstance(mlp, (neural.MLPClassifier, neural.MLPRegressor)):
        raise TypeError(f"from_sklearn takes an MLPClassifier or MLPRegressor, "
                        f"got {_check.shown(mlp)}")
    chain = chains.Chain("from_sklearn")
    if not hasattr(mlp, "coefs_"):
        raise chain.refuse(mlp, "must be fitted")
    hidden, output = mlp.activation, mlp.out_activation_
    for at, (coef, intercept) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
        chain.dense(coef.T, intercept)
        last = at == len(mlp.coefs_) - 1
        theirs, table = (output, OUTPUTS) if last else (hidden, HIDDEN)
        ours = [name for name, other in table.items() if other == theirs]
        chain.activate(ours[0] if ours else None, f"activation {theirs!r}")
    if cost is None and output == "exp":
        cost = ("poisson", 1.0)  # the deviance
    return chain.network(cost, seed)


def to_sklearn(net: Network, classes: ArrayLike | None = None) -> Any:
    """
    Return a copy of the network as a fitted estimator of scikit-learn, which can be fitted further.

    Parameters
    ----------
    net : Network or estimator
        Its hidden layers must all have the same activation: sigmoid, tanh, relu or identity.
        `input_scale` is multiplied into the first weights.
    classes : sequence, optional
        The labels of the outputs, in rising order; two for a single sigmoid. By default those of
        the estimator, or 0, 1, 2, ...

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor
        A regressor if the outputs are the identity, or the exponentials of the loss "poisson"
        (scikit-learn 1.7). A classifier if they are softmax or sigmoid: its `predict` returns the
        class of the largest output, or compares a single output with 1/2, as `Network.evaluate`
        does; its `predict_proba` returns the outputs.

    Raises
    ------
    TypeError, ValueError
        If net is not a network, these estimators cannot represent it, or classes do not fit it.
    ModuleNotFoundError
        If scikit-learn (extra ``sklearn``) is missing.

    Examples
    --------
    >>> from cbackprop.convert import to_sklearn
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x, y), 1, 10, eta=3.0)
    >>> to_sklearn(net).score(*test_data) == net.accuracy(test_data)
    True
    """
    neural = library("sklearn.neural_network", "to_sklearn", "sklearn")
    binarizer = getattr(net, "_label_binarizer", None) if classes is None else None
    net = _arguments.network(net, "to_sklearn")
    layers = chains.of(net, "to_sklearn")
    layers[0].w[...] *= net.input_scale
    activations = [chains.only(layer.runs, "to_sklearn").activation for layer in layers]
    *hidden, output = activations
    if len(set(hidden)) > 1 or not set(hidden) <= set(HIDDEN):
        raise ValueError(f"to_sklearn needs one of {sorted(HIDDEN)} in all hidden layers, "
                         f"got {hidden}")
    if output not in OUTPUTS:
        raise ValueError(f"to_sklearn needs one of {sorted(OUTPUTS)} at the output, "
                         f"got {output!r}")
    kind = neural.MLPRegressor if output in NUMBERS else neural.MLPClassifier
    mlp = kind(hidden_layer_sizes=net.sizes[1:-1],
               activation=HIDDEN[hidden[0]] if hidden else "relu",
               **({"loss": "poisson"} if output == "exponential" else {}))
    mlp.coefs_ = [np.ascontiguousarray(layer.w.T) for layer in layers]
    mlp.intercepts_ = [np.zeros(len(layer.w), net.dtype) if layer.b is None else layer.b
                       for layer in layers]
    mlp.n_features_in_, mlp.n_outputs_ = net.sizes[0], net.sizes[-1]
    mlp.n_layers_, mlp.out_activation_ = net.num_layers, OUTPUTS[output]
    # The values that its own first fit has before the first step.
    mlp.n_iter_ = mlp.t_ = mlp._no_improvement_count = 0
    mlp.loss_curve_, mlp.best_loss_ = [], np.inf
    mlp.validation_scores_ = mlp.best_validation_score_ = None
    if output in NUMBERS:
        if classes is not None:
            raise ValueError("to_sklearn: classes must be None where outputs are numbers, "
                             f"got {_check.shown(classes)}")
        return mlp
    if binarizer is not None:  # an estimator's; it also knows rows of several labels
        mlp._label_binarizer, mlp.classes_ = copy.deepcopy(binarizer), binarizer.classes_.copy()
        return mlp
    preprocessing = library("sklearn.preprocessing", "to_sklearn", "sklearn")
    count = max(2, net.sizes[-1])
    mlp.classes_ = np.arange(count) if classes is None else np.asarray(classes)
    if mlp.classes_.shape != (count,) or not np.array_equal(np.unique(mlp.classes_), mlp.classes_):
        raise ValueError(f"to_sklearn: classes must be {count} labels in rising order, "
                         f"got {_check.shown(classes)}")
    mlp._label_binarizer = preprocessing.LabelBinarizer().fit(mlp.classes_)
    return mlp
