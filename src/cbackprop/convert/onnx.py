"""ONNX: a network as a graph of standard operators."""

from __future__ import annotations

import itertools
import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import files
from cbackprop.convert import layers
from cbackprop.extras import library
from cbackprop.network import Network

OPSET, IR_VERSION = 13, 7  # of 2020: the first whose softmax is of one axis
MOST_BYTES = 2**31 - 2**20  # what one message of protocol buffers holds, less some room

# Standard operators. ONNX Runtime has the second kind in float32 alone, and ONNX rounds their
# attributes to it: in float64, and where there is none, `formula` stands for them.
OPERATORS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "sine": "Sin",
             "exponential": "Exp"}
FLOAT32: dict[str, tuple[str, dict[str, Any]]] = {
    "leaky_relu": ("LeakyRelu", {"alpha": layers.ALPHA}),
    "elu": ("Elu", {"alpha": layers.ALPHA}),
    "selu": ("Selu", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
}


def export_onnx(net: Network, path: str | os.PathLike[str]) -> None:
    """
    Write the network as an ONNX model (extra ``onnx``), whole or not at all.

    It takes ``x`` of shape (n, in) and gives ``a`` of shape (n, out), both of the network's dtype;
    opset 13. Every activation but the user's own is exported, for layers and for neurons.

    Parameters
    ----------
    net : Network
        `input_scale` is multiplied into the first weights.
    path : str or path-like

    Raises
    ------
    TypeError
        If it is no network.
    ValueError
        If an activation is the user's own, or the parameters exceed the 2 GB that a file holds.
    OSError
        If the file cannot be written; one that was there is kept.
    ModuleNotFoundError
        Without onnx.

    Examples
    --------
    >>> import os, tempfile
    >>> from cbackprop.convert import export_onnx
    >>> path = os.path.join(tempfile.mkdtemp(), "net.onnx")
    >>> export_onnx(cbackprop.Network([2, 3, 1], seed=0), path)
    """
    onnx = library("onnx", "export_onnx", "onnx")
    collected = layers.of(net, "export_onnx")
    if sum(w.nbytes + b.nbytes for w, b, _ in collected) > MOST_BYTES:
        raise ValueError("export_onnx needs parameters of less than 2 GB, which a file holds")
    graph = Graph(onnx, net.dtype)
    a = graph.value("x")
    for at, (w, b, runs) in enumerate(collected):
        w_, b_ = graph.constant(w, f"weights_{at}"), graph.constant(b, f"biases_{at}")
        z = a.to("Gemm", w_, b_, transB=1)
        if len(runs) == 1:
            a = activated(z, runs[0])
        else:
            counts = graph.integers([run.neurons for run in runs])
            parts = z.parts("Split", counts, outputs=len(runs), axis=1)
            first, *others = map(activated, parts, runs)
            a = first.to("Concat", *others, axis=1)
    content = graph.model(net.sizes[0], net.sizes[-1]).SerializeToString()
    with files.replacing(path) as file:
        file.write(content)


def activated(z: Value, run: layers.Run) -> Value:
    """Return sigma(z)."""
    if run.activation == "identity":
        return z
    if run.activation == "softmax":
        return z.to("Softmax", axis=1)
    if run.activation == "relu6":
        return z.to("Clip", 0.0, run.alpha or 0.0)
    if run.activation in OPERATORS:
        return z.to(OPERATORS[run.activation])
    if run.activation in FLOAT32 and z.graph.real == "float32":
        operator, attributes = FLOAT32[run.activation]
        return z.to(operator, **{name: run.alpha if value is layers.ALPHA else value
                                 for name, value in attributes.items()})
    return formula(z, run)


def formula(z: Value, run: layers.Run) -> Value:
    """Return sigma(z) from what ONNX Runtime has in both real types."""
    name, alpha = run.activation, run.alpha or 0.0
    if name == "leaky_relu":
        return z.to("Relu") + z.to("Min", 0.0) * alpha
    if name == "elu":
        return z.to("Relu") + expm1_below_0(z) * alpha
    if name == "selu":
        return z.to("Relu") * 1.0507009873554805 + expm1_below_0(z) * 1.7580993408473769
    if name == "softplus":
        return z.to("Relu") + (z.to("Abs").to("Neg").to("Exp") + 1.0).to("Log")
    if name == "softsign":
        return z / (z.to("Abs") + 1.0)
    if name == "hard_sigmoid":
        return (z + 3.0).to("Max", 0.0).to("Min", 6.0) / 6.0
    if name == "silu":
        return z * z.to("Sigmoid")
    if name == "gaussian":
        return (z * z).to("Neg").to("Exp")
    if name == "gelu_tanh":  # (1 + tanh u) / 2 = sigmoid(2 u)
        return z * ((z * z * z * 0.044715 + z) * (2 * math.sqrt(2 / math.pi))).to("Sigmoid")
    if name == "gelu" and z.graph.real == "float32":
        return z * ((z / math.sqrt(2)).to("Erf") + 1.0) * 0.5
    if name == "gelu":
        return z.to("Relu") - z.to("Abs") * half_erfc(z.to("Abs") / math.sqrt(2))
    raise ValueError(f"export_onnx: activation {name!r} has no formula in ONNX")


def expm1_below_0(z: Value) -> Value:
    """Return e^z - 1 for z < 0, else 0."""
    return z.to("Min", 0.0).to("Exp") - 1.0


def half_erfc(x: Value) -> Value:
    """
    Return erfc(x) / 2 for x >= 0 in float64, in which ONNX Runtime has no Erf.

    It is e^(-x^2) times a polynomial of 4 / (4 + x), within 1e-15.
    """
    low = 4 / (4 + 10)  # beyond x = 10, e^(-x^2) is 0 to any sum
    def scaled(t: NDArray[Any]) -> NDArray[Any]:
        return np.array([math.exp(x * x) * math.erfc(x) / 2 for x in 4 / t - 4])

    t = np.polynomial.Chebyshev.interpolate(scaled, 20, domain=[low, 1])
    *others, last = t.convert(kind=np.polynomial.Polynomial, window=[-1, 1],
                              domain=[low, 1]).coef.tolist()
    u = (x.graph.number(4.0) / (x + 4.0)) * (2 / (1 - low)) - (1 + low) / (1 - low)
    polynomial = u * last + others.pop()
    while others:
        polynomial = polynomial * u + others.pop()
    return (x * x).to("Neg").to("Exp") * polynomial


class Value:
    """A value in a graph, to calculate with."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def parts(self, operator: str, *others: Value | float, outputs: int = 1,
              **attributes: Any) -> list[Value]:
        """Add a node, and return what it gives."""
        return self.graph.add(operator, [self, *others], outputs, attributes)

    def to(self, operator: str, *others: Value | float, **attributes: Any) -> Value:
        """Add a node that gives one value, and return it."""
        return self.parts(operator, *others, **attributes)[0]

    def __add__(self, other: Value | float) -> Value:
        return self.to("Add", other)

    def __sub__(self, other: Value | float) -> Value:
        return self.to("Sub", other)

    def __mul__(self, other: Value | float) -> Value:
        return self.to("Mul", other)

    def __truediv__(self, other: Value | float) -> Value:
        return self.to("Div", other)


class Graph:
    """
    Nodes in the making.

    Parameters
    ----------
    onnx : module
    real : {"float32", "float64"}
    """

    def __init__(self, onnx: Any, real: str) -> None:
        self.onnx, self.real = onnx, real
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.names = itertools.count()

    def value(self, name: str) -> Value:
        """Return what goes by this name."""
        return Value(self, name)

    def constant(self, array: NDArray[Any], name: str) -> Value:
        """Add an array."""
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return self.value(name)

    def number(self, number: float) -> Value:
        """Add a number of the real type."""
        return self.constant(np.array(number, self.real), f"number_{next(self.names)}")

    def integers(self, numbers: list[int]) -> Value:
        """Add whole numbers."""
        return self.constant(np.array(numbers, np.int64), f"numbers_{next(self.names)}")

    def add(self, operator: str, inputs: list[Value | float], outputs: int,
            attributes: dict[str, Any]) -> list[Value]:
        """Add a node."""
        values = [value if isinstance(value, Value) else self.number(value) for value in inputs]
        names = [f"{operator.lower()}_{next(self.names)}" for _ in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(
            operator, [value.name for value in values], names, **attributes))
        return [self.value(name) for name in names]

    def model(self, inputs: int, outputs: int) -> Any:
        """Return a model from x to a, which the last node gives."""
        helper = self.onnx.helper
        real = helper.np_dtype_to_tensor_dtype(np.dtype(self.real))
        x, a = (helper.make_tensor_value_info(name, real, ["n", size])
                for name, size in (("x", inputs), ("a", outputs)))
        self.nodes[-1].output[0] = a.name
        graph = helper.make_graph(self.nodes, "cbackprop", [x], [a], self.constants)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
            producer_name="cbackprop")
