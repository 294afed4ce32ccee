"""Keras 3: chains of `Dense` and activations, Sequential or Functional."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbackprop._check import shown
from cbackprop._extras import library
from cbackprop.convert import chains
from cbackprop.core import table
from cbackprop.inspect import _arguments
from cbackprop.network import Network

# Functions of keras.activations, with their parameters there.
FUNCTIONS: dict[str, Any] = {
    **{each.function: row.name if each.parameter is None else (row.name, each.parameter)
       for row in table.ACTIVATIONS for each in row.keras if each.function},
    "log_softmax": "log_softmax",
}
# Classes of keras.layers: the one that is written for each activation, and all that are read.
WRITTEN: dict[str, chains.Class] = {
    row.name: (row.keras[0].layer, row.keras[0].attributes)
    for row in table.ACTIVATIONS if row.keras and row.keras[0].layer}
READ: list[tuple[str, chains.Class]] = [
    (row.name, (each.layer, each.attributes))
    for row in table.ACTIVATIONS for each in row.keras if each.layer]
NOTHING = ("InputLayer", "Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout",
           "SpatialDropout1D", "ActivityRegularization")  # these do nothing at inference


def from_keras(model: Any, *, cost: Any = None, seed: Any = None) -> Network:
    """
    Return a network that computes what a Keras model does (Keras 3, extra ``keras``).

    Parameters
    ----------
    model : keras.Sequential, or Functional keras.Model
        A chain of `Dense`, activations as arguments or layers, `PReLU`, `BatchNormalization`,
        `Rescaling`, and layers that do nothing to rows at inference: `Flatten`, `Dropout`. Layers
        that scale are merged into the layer before them; after an activation, into the one that
        follows. Before all layers, they and `Normalization` become `input_scale`, and their offset
        is merged into the first biases. Types narrower than float32 become float32.
    cost, seed
        Arguments of the network. By default, the cost goes with the output activation:
        "log_likelihood" with softmax, "cross_entropy" with sigmoid, otherwise "quadratic".

    Raises
    ------
    TypeError
        If it is not such a model.
    ValueError
        If it is not built or not a chain, if layers share weights, or if a layer or activation has
        no equal here; the error names it.
    ModuleNotFoundError
        If Keras or its backend is missing.

    Notes
    -----
    "log_softmax" at the output becomes "softmax": the network returns probabilities where the model
    returned their logarithms. The slopes of `PReLU` become those of "leaky_relu", which are not
    trained.

    Examples
    --------
    >>> import keras
    >>> from cbackprop.convert import from_keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "relu")])
    >>> from_keras(model).sizes
    (2, 3)
    """
    keras = _keras_3("from_keras")
    chain = chains.Chain("from_keras")
    _collect(chain, model, keras)
    return chain.network(cost, seed)


def to_keras(net: Network) -> Any:
    """
    Return a copy of the network as a Keras model (Keras 3, extra ``keras``).

    Parameters
    ----------
    net : Network or estimator
        `input_scale` becomes `Rescaling`.

    Returns
    -------
    keras.Sequential
        It contains `Dense` and activations, in the network's dtype. It is built, not compiled.

    Raises
    ------
    TypeError
        If net is not a network.
    ValueError
        If Keras has no name for an activation: "gelu_tanh", "gaussian", "sine", a function of your
        own, or several in one layer. If the network is float64 and Keras' backend does not have
        that type, as JAX before it is enabled.
    ModuleNotFoundError
        If Keras or its backend is missing.

    Notes
    -----
    Keras' backends PyTorch and NumPy keep float64 weights but compute in float32. `predict` rounds
    inputs to `keras.config.floatx()`.

    Examples
    --------
    >>> from cbackprop.convert import to_keras
    >>> model = to_keras(cbackprop.Network([2, 3, 1], activation=["tanh", "identity"], seed=0))
    >>> [layer.activation.__name__ for layer in model.layers]
    ['tanh', 'linear']
    """
    keras = _keras_3("to_keras")
    net = _arguments.network(net, "to_keras")
    named = {ours: theirs for theirs, ours in FUNCTIONS.items() if isinstance(ours, str)}
    kinds, net_layers = keras.layers, chains.of(net, "to_keras")
    model = keras.Sequential([keras.Input((net.sizes[0],), dtype=net.dtype)])
    scale = chains.scale_of(net)
    if scale is not None:
        model.add(kinds.Rescaling(scale.tolist(), dtype=net.dtype))
    for w, b, runs in net_layers:
        run = chains.only(runs, "to_keras")
        dense = kinds.Dense(len(w), named.get(run.activation), use_bias=b is not None,
                            dtype=net.dtype, kernel_initializer="zeros")  # draws no numbers
        model.add(dense)
        dense.set_weights([w.T] if b is None else [w.T, b])
        if _numbers(dense.kernel, keras).dtype != net.dtype:
            raise ValueError(f"to_keras needs {net.dtype}, which Keras' backend "
                             f"{keras.config.backend()!r} does not have; JAX has it after "
                             "jax.config.update('jax_enable_x64', True)")
        if run.activation not in named:
            model.add(chains.made(run, WRITTEN.get(run.activation), kinds, "to_keras",
                                  dtype=net.dtype))
    return model


def _keras_3(by: str) -> Any:
    keras = library("keras", by, "keras")
    if int(keras.__version__.partition(".")[0]) < 3:
        raise ValueError(f"{by} needs Keras 3, got {keras.__version__}")
    return keras


def _collect(chain: chains.Chain, model: Any, keras: Any) -> None:
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
            chain.owns(layer, map(id, layer.weights))  # its activation's too
            _add(chain, layer, keras)


def _add(chain: chains.Chain, layer: Any, keras: Any) -> None:
    kinds = keras.layers
    if type(layer) is kinds.Dense:
        chain.takes_rows(layer, len(layer.input.shape))
        if getattr(layer, "quantization_mode", None):
            raise chain.refuse(layer, "has quantized weights")
        chain.dense(_numbers(layer.kernel, keras).T, _numbers(layer.bias, keras), layer)
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
    elif type(layer) is kinds.BatchNormalization:
        if layer.axis not in (-1, len(layer.input.shape) - 1):
            raise chain.refuse(layer, "must normalize its last axis")
        chain.normalize(layer, *(
            _of_inputs(layer, _numbers(value, keras)) for value in (
                layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)),
            epsilon=layer.epsilon)
    elif type(layer) is kinds.PReLU:
        chain.leaky(_numbers(layer.alpha, keras), layer)
    elif type(layer) is kinds.Reshape and len(layer.target_shape) == 1:
        pass
    elif type(layer) is not kinds.Flatten and type(layer) not in [
            getattr(kinds, name) for name in NOTHING]:
        chain.activate(chains.known(layer, READ, kinds), layer)


def _activate(chain: chains.Chain, activation: Any, layer: Any, keras: Any) -> None:
    if isinstance(activation, keras.layers.Layer):
        _add(chain, activation, keras)
        return
    ours = [name for theirs, name in FUNCTIONS.items()
            if activation is getattr(keras.activations, theirs, None)]
    named = getattr(activation, "__name__", activation)
    chain.activate(ours[0] if ours else None, f"activation {named} of {layer}")


def _numbers(variable: Any, keras: Any) -> Any:
    if variable is None:
        return None
    return np.asarray(keras.ops.convert_to_numpy(getattr(variable, "value", variable)))


def _of_inputs(layer: Any, values: Any) -> Any:
    """Return one number, or one for each input, in the order of Flatten."""
    if values is None:
        return None
    values = np.asarray(values, np.float64)
    if values.size == 1:
        return values.item()
    return np.broadcast_to(values, (1, *layer.input.shape[1:])).ravel()
