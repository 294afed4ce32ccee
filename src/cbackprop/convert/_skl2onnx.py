"""Functions that skl2onnx calls for estimators of `cbackprop.sklearn`: types, shapes, nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop._extras import library
from cbackprop.convert import chains
from cbackprop.convert.onnx import OPSET, Graph, Value, feedforward

ALIAS = "Cbackprop"


def register(kind: type) -> None:
    """
    Make a class of estimators known to skl2onnx.

    Raises
    ------
    ModuleNotFoundError
        If skl2onnx is missing.
    """
    skl2onnx = library("skl2onnx", "register", "skl2onnx")
    options = {"zipmap": [True, False]} if hasattr(kind, "predict_proba") else None
    skl2onnx.update_registered_converter(
        kind, ALIAS + kind.__name__, shapes, convert, parser=parse, options=options)


def parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """
    Return the outputs; for a classifier, labels and probabilities.

    The probabilities are always one tensor, as with ``zipmap=False``, and not a list of dicts.
    """
    simple = library("skl2onnx._parse", "parse", "skl2onnx")._parse_sklearn_simple_model
    return simple(scope, model, inputs, custom_parsers=custom_parsers)


def shapes(operator: Any) -> None:
    """Set the types and shapes of an operator's outputs."""
    types = library("skl2onnx.common.data_types", "shapes", "skl2onnx")
    net, n = operator.raw_operator, operator.inputs[0].get_first_dimension()
    real = types.guess_tensor_type(operator.inputs[0].type).__class__
    if not hasattr(net, "classes_"):
        operator.outputs[0].type = real([n, net.n_outputs_])
        return
    labels = types.StringTensorType if _labels(net).dtype.kind in "OU" else types.Int64TensorType
    operator.outputs[0].type = labels([n, net.n_outputs_] if net.has_rows_ else [n])
    operator.outputs[1].type = real([n, net.n_outputs_ + (net.n_outputs_ == 1)])


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Write an operator's nodes."""
    net = operator.raw_operator
    real = "float64" if "Double" in type(operator.inputs[0].type).__name__ else "float32"
    graph = _InContainer(scope, container, real)
    x = graph.value(operator.inputs[0].full_name).to("Cast", to=graph.kind(real))
    a = feedforward(x, [chains.Layer(w.astype(real), b if b is None else b.astype(real), runs)
                        for w, b, runs in chains.of(net, "skl2onnx")])
    if not hasattr(net, "classes_"):
        graph.end(a, operator.outputs[0])
        return
    if net.n_outputs_ == 1:  # the second of two classes
        a = (graph.number(2 * net.threshold_) - a).to("Concat", a, axis=1)
    if net.has_rows_:
        labels = a.to("Greater", net.threshold_).to("Cast", to=graph.kind("int64"))
    else:
        labels = graph.constant(_labels(net), "classes").to(
            "Gather", a.to("ArgMax", axis=1, keepdims=0), axis=0)
    graph.end(labels, operator.outputs[0])
    graph.end(a, operator.outputs[1])


def _labels(net: Any) -> NDArray[Any]:
    """Return the classes as strings or as whole numbers, the only types of ONNX."""
    classes = np.resize(net.classes_, max(2, len(net.classes_)))  # one class: both of two
    return classes if classes.dtype.kind in "OU" else classes.astype(np.int64)


class _InContainer(Graph):
    """A graph in a container of skl2onnx, with names from its scope."""

    def __init__(self, scope: Any, container: Any, real: str) -> None:
        super().__init__(library("onnx", "skl2onnx", "onnx"), real)
        self.scope, self.container = scope, container

    def kind(self, real: str) -> int:
        """Return ONNX's number for a type of numbers."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(real)))

    def constant(self, array: NDArray[Any], name: str) -> Value:
        """Add an array."""
        strings = array.dtype.kind in "OU"
        content = [label.encode() for label in array] if strings else array.ravel()
        name = self.scope.get_unique_variable_name(name)
        self.container.add_initializer(
            name, self.onnx.TensorProto.STRING if strings else self.kind(array.dtype.name),
            array.shape, content)
        return self.value(name)

    def add(self, operator: str, inputs: list[Value | float], outputs: int,
            attributes: dict[str, Any]) -> list[Value]:
        """Add a node."""
        values = [value if isinstance(value, Value) else self.number(value) for value in inputs]
        names = [self.scope.get_unique_variable_name(operator.lower()) for _ in range(outputs)]
        self.container.add_node(
            operator, [value.name for value in values], names, op_version=OPSET,
            name=self.scope.get_unique_operator_name(operator), **attributes)
        return [self.value(name) for name in names]

    def end(self, value: Value, variable: Any) -> None:
        """Make a value an output."""
        self.container.add_node("Identity", [value.name], [variable.full_name], op_version=OPSET,
                                name=self.scope.get_unique_operator_name("Identity"))
