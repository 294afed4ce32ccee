"""Keras 3: a Sequential or Functional chain of Dense layers and activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop.convert import layers
from cbackprop.data import shown
from cbackprop.extras import library
from cbackprop.network import Network

FUNCTIONS = {  # of keras.activations, with the parameters that they have there
    "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "leaky_relu": ("leaky_relu", 0.2),
    "elu": "elu", "selu": "selu", "gelu": "gelu", "silu": "silu", "softplus": "softplus",
    "softsign": "softsign", "hard_sigmoid": "hard_sigmoid", "linear": "identity",
    "exponential": "exponential", "softmax": "softmax",
}
LAYERS: layers.Table = {
    "relu": ("ReLU", {"max_value": (None,), "negative_slope": (0,), "threshold": (0,)}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": layers.ALPHA}),
    "elu": ("ELU", {"alpha": layers.ALPHA}),
    "softmax": ("Softmax", {"axis": (-1, 1)}),
    "identity": ("Identity", {}),
}
NOTHING = ("InputLayer", "Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout",
           "SpatialDropout1D", "ActivityRegularization")  # at inference


def from_keras(model: Any, *, cost: Any = None, seed: Any = None) -> Network:
    """
    Return a network that computes what a Keras model does (Keras 3, extra ``keras``).

    Parameters
    ----------
    model : keras.Sequential, or Functional keras.Model
        A chain of `Dense`, activations as arguments or layers, and what does nothing at inference,
        as `Dropout`. Before them `Flatten`, and `Rescaling` and `Normalization`, which become
        `input_scale`, and their offset a part of the first biases. Narrower types than float32
        become that.
    cost, seed
        Of the network; the cost by default is what goes with the output activation:
        "log_likelihood" with softmax, "cross_entropy" with sigmoid, else "quadratic".

    Raises
    ------
    TypeError
        If it is no such model.
    ValueError
        If it is not built, no chain, or has a layer or activation that has no equal here; the
        error names it.
    ModuleNotFoundError
        Without Keras.

    Examples
    --------
    >>> import keras
    >>> from cbackprop.convert import from_keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "relu")])
    >>> from_keras(model).sizes
    (2, 3)
    """
    keras = library("keras", "from_keras", "keras")
    if int(keras.__version__.partition(".")[0]) < 3:
        raise ValueError(f"from_keras takes models of Keras 3, got {keras.__version__}")
    chain = layers.Chain("from_keras")
    _collect(chain, model, keras)
    return chain.network(cost, seed)


def _collect(chain: layers.Chain, model: Any, keras: Any) -> None:
    functional = type(model).__name__ == "Functional" and isinstance(model, keras.Model)
    if not functional and type(model) is not keras.Sequential:
        raise TypeError(f"from_keras takes a Sequential or Functional model, got {shown(model)}")
    if keras.config.image_data_format() != "channels_last":
        raise chain.refuse(model, "must have its channels last, by keras.config")
    if not model.built:
        raise chain.refuse(model, "must be built: give it an Input, or call it")
    if functional and (len(model.inputs) > 1 or len(model.outputs) > 1 or any(
            len(layer["inbound_nodes"]) > 1 for layer in model.get_config()["layers"])):
        raise chain.refuse(model, "must be a chain of layers, each used once")
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _collect(chain, layer, keras)
        else:
            _add(chain, layer, keras)


def _add(chain: layers.Chain, layer: Any, keras: Any) -> None:
    kinds = keras.layers
    if type(layer) is kinds.Dense:
        if len(layer.input.shape) > 2:
            raise chain.refuse(layer, "must follow Flatten, for its inputs are not rows")
        chain.dense(_numbers(layer.kernel, keras).T,
                    None if layer.bias is None else _numbers(layer.bias, keras))
        _activate(chain, layer.activation, layer, keras)
    elif type(layer) is kinds.Activation:
        _activate(chain, layer.activation, layer, keras)
    elif type(layer) is kinds.Rescaling:
        chain.rescale(layer, *(_of_inputs(layer, value) for value in (layer.scale, layer.offset)))
    elif type(layer) is kinds.Normalization and not layer.invert:
        mean, variance = (_of_inputs(layer, _numbers(value, keras))
                          for value in (layer.mean, layer.variance))
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        chain.rescale(layer, scale, -mean * scale)
    elif type(layer) is not kinds.Flatten and type(layer) not in [
            getattr(kinds, name) for name in NOTHING]:
        chain.activate(layers.known(layer, LAYERS, kinds), layer)


def _activate(chain: layers.Chain, activation: Any, layer: Any, keras: Any) -> None:
    if isinstance(activation, keras.layers.Layer):
        _add(chain, activation, keras)
        return
    ours = [name for theirs, name in FUNCTIONS.items()
            if activation is getattr(keras.activations, theirs)]
    named = getattr(activation, "__name__", activation)
    chain.activate(ours[0] if ours else None, f"activation {named} of {layer}")


def _numbers(variable: Any, keras: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(getattr(variable, "value", variable)))


def _of_inputs(layer: Any, values: Any) -> Any:
    """Return one number, or one for each input, in the order in which Flatten leaves them."""
    values = np.asarray(values, np.float64)
    if values.size == 1:
        return values.item()
    return np.broadcast_to(values, (1, *layer.input.shape[1:])).ravel()
