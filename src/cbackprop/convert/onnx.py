"""ONNX: networks as graphs of standard operators, written and read."""

from __future__ import annotations

import io
import itertools
import math
import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, storage
from cbackprop._extras import library
from cbackprop.convert import chains
from cbackprop.core import table
from cbackprop.inspect import _arguments
from cbackprop.network import Network

OPSET, IR_VERSION = 13, 7  # of 2020: the first whose softmax is of one axis
MOST_BYTES = 2**31 - 2**20  # a message of protocol buffers holds 2 GB; 1 MB is left free

# Standard operators. ONNX Runtime has some of them in float32 only, and ONNX rounds their
# attributes to float32. In float64, and for activations without an operator, `formula` is used.
OPERATORS = {row.name: row.onnx for row in table.ACTIVATIONS
             if row.onnx is not None and row.onnx.since <= OPSET}


def export_onnx(net: Network, path: storage.Target) -> None:
    """
    Write the network as an ONNX model (extra ``onnx``), whole or not at all.

    The model takes ``x`` of shape (n, in) and returns ``a`` of shape (n, out), both in the
    network's dtype; its opset is 13. All activations except your own are exported, by layer and by
    neuron.

    Parameters
    ----------
    net : Network or estimator
        `input_scale` becomes a `Mul` before the first layer.
    path : str, path-like or binary file object

    Raises
    ------
    TypeError
        If net is not a network.
    ValueError
        If an activation is a function of your own, or the parameters exceed 2 GB, the limit of a
        file.
    OSError
        If the file cannot be written; an existing one is kept.
    ModuleNotFoundError
        If onnx is missing.

    Examples
    --------
    >>> import os, tempfile
    >>> from cbackprop.convert import export_onnx
    >>> path = os.path.join(tempfile.mkdtemp(), "net.onnx")
    >>> export_onnx(cbackprop.Network([2, 3, 1], seed=0), path)
    """
    onnx = library("onnx", "export_onnx", "onnx")
    net = _arguments.network(net, "export_onnx")
    layers, scale = chains.of(net, "export_onnx"), chains.scale_of(net)
    arrays = [each for layer in layers for each in layer[:2] if each is not None]
    if sum(each.nbytes for each in arrays) > MOST_BYTES:
        raise ValueError("export_onnx needs parameters of less than 2 GB, which a file holds")
    graph = Graph(onnx, net.dtype)
    x = graph.value("x")
    feedforward(x if scale is None else x * graph.constant(scale, "input_scale"), layers)
    content = graph.model(net.sizes[0], net.sizes[-1]).SerializeToString()
    with storage.replacing(path) as file:
        file.write(content)


def feedforward(a: Value, layers: list[chains.Layer]) -> Value:
    """Return the output for the input a, equation (25)."""
    graph = a.graph
    for at, (w, b, runs) in enumerate(layers):
        operands = [graph.constant(w, f"weights_{at}")]
        if b is not None:
            operands.append(graph.constant(b, f"biases_{at}"))
        z = a.to("Gemm", *operands, transB=1)
        if len(runs) == 1:
            a = activated(z, runs[0])
        else:
            counts = graph.integers([run.neurons for run in runs])
            parts = z.parts("Split", counts, outputs=len(runs), axis=1)
            first, *others = map(activated, parts, runs)
            a = first.to("Concat", *others, axis=1)
    return a


def activated(z: Value, run: chains.Run) -> Value:
    """Return sigma(z)."""
    if run.activation == "identity":
        return z
    theirs = OPERATORS.get(run.activation)
    if theirs is not None and (theirs.float64 or z.graph.real == "float32"):
        return operator(z, run, theirs)
    return formula(z, run)


def operator(z: Value, run: chains.Run, theirs: table.Onnx) -> Value:
    """Return sigma(z) by one operator."""
    return z.to(theirs.operator, **{name: run.alpha if values is table.PARAMETER else values[0]
                                    for name, values in theirs.attributes.items()})


def formula(z: Value, run: chains.Run) -> Value:
    """Return sigma(z) by operators that ONNX Runtime has in both real types."""
    name, alpha = run.activation, run.alpha or 0.0
    if name == "relu6":
        return z.to("Clip", 0.0, alpha)
    if name == "hard_tanh":
        return z.to("Clip", -1.0, 1.0)
    if name == "leaky_relu":
        return z.to("Relu") + z.to("Min", 0.0) * alpha
    if name == "elu":
        return z.to("Relu") + expm1_below_0(z) * alpha
    if name == "selu":
        return z.to("Relu") * 1.0507009873554805 + expm1_below_0(z) * 1.7580993408473769
    if name == "softplus":
        return softplus(z)
    if name == "mish":
        return z * softplus(z).to("Tanh")
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


def softplus(z: Value) -> Value:
    """Return ln(1 + e^z)."""
    return z.to("Relu") + (z.to("Abs").to("Neg").to("Exp") + 1.0).to("Log")


def expm1_below_0(z: Value) -> Value:
    """Return e^z - 1 for z < 0, else 0."""
    return z.to("Min", 0.0).to("Exp") - 1.0


def half_erfc(x: Value) -> Value:
    """
    Return erfc(x) / 2 for x >= 0 in float64, since ONNX Runtime has Erf in float32 only.

    The value is e^(-x^2) times a polynomial in 4 / (4 + x), within 1e-15.
    """
    low = 4 / (4 + 10)  # beyond x = 10, e^(-x^2) is too small to change a sum
    *others, last = coefficients(low)
    u = (x.graph.number(4.0) / (x + 4.0)) * (2 / (1 - low)) - (1 + low) / (1 - low)
    polynomial = u * last + others.pop()
    while others:
        polynomial = polynomial * u + others.pop()
    return (x * x).to("Neg").to("Exp") * polynomial


@cache
def coefficients(low: float) -> list[float]:
    """Return the coefficients of the polynomial in `half_erfc`."""
    def scaled(t: NDArray[Any]) -> NDArray[Any]:
        return np.array([math.exp(x * x) * math.erfc(x) / 2 for x in 4 / t - 4])

    t = np.polynomial.Chebyshev.interpolate(scaled, 20, domain=[low, 1])
    return t.convert(kind=np.polynomial.Polynomial, window=[-1, 1],
                     domain=[low, 1]).coef.tolist()


class Value:
    """A value in a graph; arithmetic on it adds nodes."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def parts(self, operator: str, *others: Value | float, outputs: int = 1,
              **attributes: Any) -> list[Value]:
        """Add a node, and return its outputs."""
        return self.graph.add(operator, [self, *others], outputs, attributes)

    def to(self, operator: str, *others: Value | float, **attributes: Any) -> Value:
        """Add a node with one output, and return it."""
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
    A graph under construction.

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
        """Return the value of this name."""
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
        """Return a model from x to a, the output of the last node."""
        helper = self.onnx.helper
        real = helper.np_dtype_to_tensor_dtype(np.dtype(self.real))
        x, a = (helper.make_tensor_value_info(name, real, ["n", size])
                for name, size in (("x", inputs), ("a", outputs)))
        self.nodes[-1].output[0] = a.name
        graph = helper.make_graph(self.nodes, "cbackprop", [x], [a], self.constants)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
            producer_name="cbackprop")


# ---- a graph, read ----

OLDEST = 7  # opset: before it, broadcasting was different
NUMBERS = (1, 10, 11, 16)  # of TensorProto.DataType: float32, float16, float64, bfloat16
MOST_LAYERS = 1000
MOST_TERMS, MOST_BASES, MOST_NUMBERS = 200, 8, 32  # in one layer; our longest formula has 60 terms
MOST_INPUTS = 2**24  # if the channels of images are scaled
FOLDED = {"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Concat", "Gather",
          "Add", "Sub", "Mul", "Div", "Sqrt", "Neg"}  # of constants: none makes much of little
SIGNS = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}
LEAVES = ("input", "dense")


def tanh_of_cubic(z: Value, cube: Value) -> Value:
    """Return tanh(sqrt(2/pi) (z + 0.044715 z^3)), as others write it for `gelu_tanh`."""
    return ((z + cube * 0.044715) * math.sqrt(2 / math.pi)).to("Tanh")


# Other exporters' forms of activations, besides those of `activated`, `operator` and `formula`.
SPELLINGS: list[tuple[str, Callable[[Value], Value]]] = [
    ("relu", lambda z: z.to("Max", 0.0)),
    ("relu", lambda z: z.to("Clip", 0.0)),
    ("gelu", lambda z: z.to("Gelu", approximate="none")),
    ("gelu", lambda z: z * ((z / math.sqrt(2)).to("Erf") + 1.0) * 0.5),
    ("gelu", lambda z: z * 0.5 * ((z / math.sqrt(2)).to("Erf") + 1.0)),
    ("gelu", lambda z: z * 0.5 * ((z * math.sqrt(0.5)).to("Erf") + 1.0)),
    ("gelu_tanh", lambda z: z.to("Gelu", approximate="tanh")),
    ("gelu_tanh", lambda z: z * (tanh_of_cubic(z, z * (z * z)) + 1.0) * 0.5),
    ("gelu_tanh", lambda z: z * 0.5 * (tanh_of_cubic(z, z.to("Pow", 3.0)) + 1.0)),
    ("silu", lambda z: z.to("Swish", alpha=1.0)),
    ("mish", lambda z: z * z.to("Softplus").to("Tanh")),
    ("softplus", lambda z: (z.to("Exp") + 1.0).to("Log")),
    ("elu", lambda z: z.to("Celu", alpha=1.0)),
    ("hard_sigmoid", lambda z: (z + 3.0).to("Clip", 0.0, 6.0) / 6.0),
    ("hard_sigmoid", lambda z: (z + 3.0).to("Clip", 0.0, 6.0) * (1 / 6)),
    ("hard_tanh", lambda z: z.to("Max", -1.0).to("Min", 1.0)),
    ("log_softmax", lambda z: z.to("LogSoftmax", axis=1)),
    ("log_softmax", lambda z: z.to("Softmax", axis=1).to("Log")),
]
SPELLINGS_OF_PARAMETER: list[tuple[str, Callable[[Value, float], Value]]] = [
    ("relu6", lambda z, ceiling: z.to("Max", 0.0).to("Min", ceiling)),
    ("relu6", lambda z, ceiling: z.to("Min", ceiling).to("Max", 0.0)),
    ("relu6", lambda z, ceiling: z.to("Relu").to("Min", ceiling)),
    ("leaky_relu", lambda z, alpha: z.to("Max", z * alpha)),
]


def from_onnx(model: Any, *, cost: Any = None, seed: Any = None) -> Network:
    """
    Return a network that computes the same as an ONNX model (extra ``onnx``).

    Parameters
    ----------
    model : str, path-like, binary file object or onnx.ModelProto
        A chain of `Gemm`, or `MatMul` and `Add`, and activations, of opset 7 or later. It may
        contain `BatchNormalization` and arithmetic with constants, which are merged into a
        neighbouring layer, and operators that do nothing to rows: `Flatten`, `Reshape`, `Cast`,
        `Dropout`, `Identity`. `export_onnx`, PyTorch and scikit-learn's converter write such chains
        for perceptrons.
    cost, seed
        Arguments of the network. By default, the cost goes with the output activation:
        "log_likelihood" with softmax, "cross_entropy" with sigmoid, otherwise "quadratic".

    Raises
    ------
    TypeError
        If it is not a path, a file object for bytes, or a model.
    ValueError
        If the file is damaged, the model is not a chain, layers share weights, or a part has no
        equal here; the error names it.
    OSError
        If the file cannot be read.
    ModuleNotFoundError
        If onnx is missing.

    Notes
    -----
    From a classifier, the output with the numbers is read, not the one with the labels. For two
    classes, scikit-learn's model returns 1 - p and p; this becomes one output p. `Squeeze` of a
    single output is left out: the network returns shape (n, 1). `LogSoftmax` becomes "softmax": the
    network returns probabilities where the model returned their logarithms.

    Examples
    --------
    >>> import os, tempfile
    >>> from cbackprop.convert import export_onnx, from_onnx
    >>> path = os.path.join(tempfile.mkdtemp(), "net.onnx")
    >>> export_onnx(cbackprop.Network([2, 3, 1], activation="tanh", seed=0), path)
    >>> from_onnx(path).activation
    ['tanh', 'tanh']
    """
    onnx = library("onnx", "from_onnx", "onnx")
    chain = chains.Chain("from_onnx")
    if isinstance(model, (bytes, io.TextIOBase)) or not (
            isinstance(model, (str, os.PathLike, onnx.ModelProto)) or hasattr(model, "read")):
        raise TypeError("from_onnx takes a path, a binary file object or an onnx.ModelProto, "
                        f"got {_check.shown(model)}")
    thing = "model" if isinstance(model, onnx.ModelProto) else storage.named(model)
    try:
        if not isinstance(model, onnx.ModelProto):
            with storage.opened(model, storage.MAX_BYTES) as file:
                model = onnx.load_model(file, format="protobuf")
        with np.errstate(all="ignore"):  # numbers are checked when they become a layer's
            steps = Reader(onnx, model, chain).steps()
    except (chains.RefusedError, OSError):
        raise
    except Exception as error:  # the file may contain anything
        why = f"{type(error).__name__}: {chains.reason(error)}"
        raise chain.refuse(thing, f"is damaged, or no ONNX model: {why}") from error
    for step in steps:
        step()
    return chain.network(cost, seed)


class Terms(Graph):
    """
    The terms that nodes compute. Equal terms are stored once, under the same name.

    A graph contains an activation if its nodes make the same term as `activated` makes here.
    """

    def __init__(self, onnx: Any, real: str, opset: int) -> None:
        super().__init__(onnx, real)
        self.opset = opset
        self.of: dict[str, tuple[Any, ...]] = {}  # operator, attributes, names of inputs
        self.name_of: dict[tuple[Any, ...], str] = {}

    def term(self, *parts: Any) -> Value:
        """Return a term: the existing one, or a new one."""
        name = self.name_of.setdefault(parts, f"{len(self.name_of)}")
        self.of[name] = parts
        return self.value(name)

    def number(self, number: float) -> Value:
        """Return a number, of the real type."""
        return self.term("number", float(np.array(number, self.real)))

    def add(self, operator: str, inputs: list[Value | float], outputs: int,
            attributes: dict[str, Any]) -> list[Value]:
        """Return the term that an operator makes."""
        names = [(each if isinstance(each, Value) else self.number(each)).name for each in inputs]
        if operator in ("Add", "Mul", "Max", "Min"):
            names.sort(key=int)
        given = {name: plain(value) for name, value in attributes.items()}
        if given.get("axis") == -1:
            given["axis"] = 1  # of rows
        return [self.term(operator, tuple(sorted((self.defaults(operator) | given).items())),
                          *names)]

    def defaults(self, operator: str) -> dict[str, Any]:
        """Return the default attributes of an operator."""
        try:
            schema = self.onnx.defs.get_schema(operator, self.opset)
        except self.onnx.defs.SchemaError:
            return {}
        found = {name: plain(self.onnx.helper.get_attribute_value(attribute.default_value))
                 for name, attribute in schema.attributes.items() if attribute.default_value.type}
        if found.get("axis") == -1:
            found["axis"] = 1
        return found


def plain(value: Any) -> Any:
    """Return an attribute in a form that can be compared, since ONNX rounds floats to float32."""
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    if isinstance(value, float):
        return float(np.float32(value))
    return value.decode("latin1") if isinstance(value, bytes) else value


def spellings(z: Value, numbers: list[float]) -> Iterator[tuple[Any, Value]]:
    """Yield our activations and their forms in ONNX, with each of the numbers as parameter."""
    for row in table.ACTIVATIONS:
        for alpha in numbers if row.parameters else [None]:
            run = chains.Run(row.name, alpha, 0)
            ours = row.name if alpha is None else (row.name, shortest(alpha, z.graph.real))
            yield ours, activated(z, run)
            if row.onnx is not None:
                yield ours, operator(z, run, row.onnx)
            if row.onnx is None or not row.onnx.float64:
                yield ours, formula(z, run)
    for name, spelled in SPELLINGS:
        yield name, spelled(z)
    for name, with_parameter in SPELLINGS_OF_PARAMETER:
        for number in numbers:
            yield (name, shortest(number, z.graph.real)), with_parameter(z, number)


def shortest(number: float, real: str) -> float:
    """Return the shortest decimal number that is equal in the real type."""
    return float(str(np.dtype(real).type(number)))


class Reader:
    """
    Reads a graph into a chain.

    Parameters
    ----------
    onnx : module
    model : onnx.ModelProto
    chain : Chain
    """

    def __init__(self, onnx: Any, model: Any, chain: chains.Chain) -> None:
        self.onnx, self.graph, self.chain = onnx, model.graph, chain
        self.opsets = {opset.domain or "": opset.version for opset in model.opset_import}
        opset = self.opsets.get("", self.opsets.get("ai.onnx", 0))
        if opset < OLDEST:
            raise chain.refuse("model", f"must be of opset {OLDEST} or later, got {opset}")
        self.values: dict[str, Any] = {}  # constants are arrays; values that depend on x are Values
        for tensor in self.graph.initializer:
            self.values[tensor.name] = onnx.numpy_helper.to_array(tensor)
        is_double = any(tensor.data_type == 11 for tensor in self.graph.initializer)
        self.terms = Terms(onnx, "float64" if is_double else "float32", opset)
        self.made_of: dict[int, set[int]] = {}  # by id of a constant: the ids of its matrices
        self.arrays: list[NDArray[Any]] = []
        self.dense: list[tuple[Value, Any, Any, str]] = []  # input, w, b, name for errors
        self.things: dict[str, str] = {}  # by term: the node that made it, for errors
        self.rank: dict[str, int] = {}
        self.spelled: dict[str, dict[str, Any]] = {}  # by base, then by term

    def steps(self) -> list[Callable[[], None]]:
        """Return the calls that add all layers to the chain, in order."""
        output = self.output()
        nodes = self.needed(output)
        read = {output}.union(*(node.input for node in nodes))
        inputs = [each for each in self.graph.input
                  if each.name in read and each.name not in self.values]
        if len(inputs) != 1:
            raise self.chain.refuse("model", "must have one input, got "
                                             f"{_check.shown([each.name for each in inputs])}")
        self.dims = [dim.dim_value or -1 for dim in inputs[0].type.tensor_type.shape.dim]
        self.values[inputs[0].name] = self.new(
            self.terms.term("input", ()), len(self.dims) or 2, f"input {inputs[0].name!r}")
        for node in nodes:
            self.node(node)
        top = self.value_of(output, f"output {output!r}")
        if not isinstance(top, Value):
            raise self.chain.refuse(f"output {output!r}", "does not depend on the input")
        steps: list[Callable[[], None]] = []
        top = self.without_tail(top, steps)
        while True:
            leaf, found = self.layer(top)
            steps += reversed(found)
            if self.terms.of[leaf.name][0] == "input":
                break
            top, w, b, thing = self.dense[self.terms.of[leaf.name][1]]
            steps.append(partial(self.chain.dense, w, b, thing))
        if self.dims[1:] and min(self.dims[1:]) > 0:
            steps.append(partial(self.chain.fits, self.things[leaf.name],
                                 math.prod(self.dims[1:])))
        return steps[::-1]

    # ---- nodes ----

    def output(self) -> str:
        """Return the output with numbers; others hold the labels of classes."""
        outputs = [each for each in self.graph.output
                   if each.type.WhichOneof("value") != "tensor_type"
                   or each.type.tensor_type.elem_type in (0, *NUMBERS)]
        if len(outputs) != 1:
            names = [each.name for each in outputs]
            raise self.chain.refuse("model", "must have one output that is of floats, "
                                             f"got {_check.shown(names)}")
        return outputs[0].name

    def needed(self, output: str) -> list[Any]:
        """Return the nodes that lead to an output, in order."""
        wanted, found = {output}, []
        for node in reversed(self.graph.node):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                found.append(node)
        return found[::-1]

    def value_of(self, name: str, thing: str) -> Any:
        """Return the value of a name."""
        if name and name not in self.values:
            raise self.chain.refuse(thing, f"reads {name!r}, which nothing gives")
        return self.values[name] if name else None

    def node(self, node: Any) -> None:
        """Compute the outputs of a node."""
        thing = f"{node.op_type} {(node.name or node.output[0])!r}"
        inputs = [self.value_of(name, thing) for name in node.input]
        attributes = {each.name: self.onnx.helper.get_attribute_value(each)
                      for each in node.attribute}
        if node.domain not in ("", "ai.onnx") and node.op_type not in ("ZipMap", "Scaler"):
            raise self.chain.refuse(thing)
        if not any(isinstance(each, Value) for each in inputs):
            value = self.constant(node, inputs, thing)
        elif node.op_type == "Shape":
            value = self.shape(inputs[0], thing)
        else:
            value = self.value(node.op_type, inputs, attributes, thing)
        self.values.update(zip(node.output, value if isinstance(value, list) else [value],
                               strict=False))

    def constant(self, node: Any, inputs: list[Any], thing: str) -> NDArray[Any]:
        """Return the output of a node whose inputs are constants."""
        sizes = sorted(each.size for each in inputs if each is not None)
        if node.op_type != "Constant" and (
                node.op_type not in FOLDED or (sizes[1:] and sizes[-2] > 64)):
            raise self.chain.refuse(thing, "of constants has no equal in cbackprop")
        reference = library("onnx.reference", "from_onnx", "onnx")
        evaluator = reference.ReferenceEvaluator(node, opsets=self.opsets)
        made = np.asarray(evaluator.run(None, dict(zip(node.input, inputs, strict=True)))[0])
        self.made_of[id(made)] = {matrix for each in inputs if np.ndim(each) == 2
                                  for matrix in self.matrices(each)} or {id(made)}
        return made

    def matrices(self, constant: Any) -> set[int]:
        """Return the ids of the matrices from which a constant was made."""
        return self.made_of.get(id(constant), {id(constant)})

    def shape(self, x: Value, thing: str) -> NDArray[Any]:
        """Return the shape of the input, or of rows; unknown dimensions are -1."""
        if self.terms.of[x.name][0] == "input":
            return np.array(self.dims or [-1, -1], np.int64)
        return np.array([-1] * self.rank[x.name], np.int64)

    def value(self, kind: str, inputs: list[Any], attributes: dict[str, Any], thing: str) -> Any:
        """Return the term that a node makes, or a list of them for `Split`."""
        x = inputs[0]
        if kind in ("MatMul", "Gemm") and isinstance(x, Value) and not any(
                isinstance(each, Value) for each in inputs[1:]):
            return self.layer_of_weights(kind, inputs, attributes, thing)
        if kind in ("Identity", "ZipMap") or (
                kind == "Cast" and attributes.get("to") in NUMBERS):
            return x
        if kind == "Dropout":
            if len(inputs) > 2 and np.any(inputs[2]):
                raise self.chain.drops(thing)
            return x
        if kind in ("Flatten", "Reshape") and isinstance(x, Value):
            columns = self.columns_of_rows(kind, inputs, attributes, thing)
            return self.new(self.terms.term("flat", (), x.name, columns), 2, thing)
        if kind == "Split":
            return self.parts(x, inputs, attributes, thing)
        if kind == "Clip":  # older opsets have its limits as attributes
            inputs += [attributes.pop(name) for name in ("min", "max") if name in attributes]
        if kind == "BatchNormalization":
            if attributes.get("training_mode"):
                raise self.chain.refuse(thing, "must not be in training mode")
            attributes = {"epsilon": attributes.get("epsilon", 1e-5)}
        terms = [self.as_term(each) for each in inputs if each is not None]
        if any(hasattr(each, "DESCRIPTOR") for each in attributes.values()):  # a graph, a tensor
            raise self.chain.refuse(thing)
        term = self.terms.add(kind, list(terms), 1, attributes)[0]
        return self.new(term, max(self.rank.get(each.name, 0) for each in terms), thing)

    def new(self, term: Value, rank: int, thing: str) -> Value:
        """Register which node made a term, and return the term."""
        self.rank.setdefault(term.name, rank)
        self.things.setdefault(term.name, thing)
        return term

    def as_term(self, value: Any) -> Value:
        """Return a constant as a term; arrays are never equal to each other."""
        if isinstance(value, Value):
            return value
        array = np.asarray(value)
        if array.size == 1:
            return self.terms.term("number", float(array.ravel()[0]))
        self.arrays.append(array)
        return self.terms.term("array", len(self.arrays) - 1)

    def columns_of_rows(
        self, kind: str, inputs: list[Any], attributes: dict[str, Any], thing: str
    ) -> int:
        """Return the number of columns of rows after `Flatten` or `Reshape`; -1 for all."""
        shape = [0, -1] if kind == "Flatten" and attributes.get("axis", 1) == 1 else (
            inputs[1] if kind == "Reshape" and len(inputs) == 2 else None)
        if isinstance(shape, (list, np.ndarray)) and np.shape(shape) == (2,) \
                and shape[0] in (-1, 0, *self.dims[:1]):
            if shape[1] > 0 or shape[1] == -1:
                return int(shape[1])
            if shape[1] == 0 and self.rank[inputs[0].name] == 2:
                return -1
        raise self.chain.refuse(thing, "must make rows, as (-1, columns)")

    def layer_of_weights(
        self, kind: str, inputs: list[Any], attributes: dict[str, Any], thing: str
    ) -> Value:
        """Return a new term for w x + b."""
        x, w, b = inputs[0], np.asarray(inputs[1]), None
        if w.ndim != 2:
            raise self.chain.refuse(thing, "must have a matrix of weights")
        self.chain.takes_rows(thing, self.rank[x.name])
        if attributes.get("transA", 0):
            raise self.chain.refuse(thing, "transposes the examples")
        w = w if attributes.get("transB", 0) else w.T
        w = times(w, attributes.get("alpha", 1.0))
        if len(inputs) > 2 and inputs[2] is not None:
            b = np.asarray(inputs[2])
            if b.ndim > 2 or b.size not in (1, len(w)) or (b.size > 1 and b.shape[-1] != len(w)):
                raise self.chain.refuse(thing, f"must have one bias for each neuron, or one, "
                                               f"got shape {b.shape}")
            b = times(np.broadcast_to(b.ravel(), len(w)), attributes.get("beta", 1.0))
        # Only matrices: exporters merge equal biases and norms, such as zeros.
        self.chain.owns(thing, self.matrices(inputs[1]))
        self.dense.append((x, w, b, thing))
        if len(self.dense) > MOST_LAYERS:
            raise self.chain.refuse("model", f"has more than {MOST_LAYERS} layers of weights")
        return self.new(self.terms.term("dense", len(self.dense) - 1), 2, thing)

    def parts(
        self, x: Any, inputs: list[Any], attributes: dict[str, Any], thing: str
    ) -> list[Value]:
        """Return the parts of a layer, split by columns."""
        counts = attributes.get("split") if len(inputs) == 1 else inputs[1]
        if not isinstance(x, Value) or not isinstance(counts, (list, np.ndarray)) \
                or attributes.get("axis", 0) not in (1, -1) or min(counts) < 1 \
                or sum(map(int, counts)) > max((len(w) for _, w, _, _ in self.dense), default=0):
            raise self.chain.refuse(thing, "must split columns, by numbers of them")
        ends = np.cumsum(counts).tolist()
        return [self.new(self.terms.term("part", (), x.name, first, last), 2, thing)
                for first, last in zip([0, *ends], ends, strict=False)]

    # ---- layers ----

    def without_tail(self, top: Value, steps: list[Callable[[], None]]) -> Value:
        """Return what a `Squeeze` at the end reads, or p of scikit-learn's pair 1 - p and p."""
        of = self.terms.of
        if of[top.name][0] == "Squeeze":
            axes = list(dict(of[top.name][1]).get("axes", ()))
            axes += [self.terms.of[each][1] for each in of[top.name][3:]]
            if axes in ([], [1], [-1]):
                steps.append(partial(self.chain.squeeze, self.things[top.name]))
                return self.terms.value(of[top.name][2])
        if of[top.name][0] == "Concat" and len(of[top.name]) == 4:
            p = of[top.name][3]
            if of[of[top.name][2]] == ("Sub", (), self.terms.number(1.0).name, p):
                return self.terms.value(p)
        return top

    def layer(self, top: Value) -> tuple[Value, list[Callable[[], None]]]:
        """Return the layer of weights, or the input, below a term, and the steps from there."""
        of, thing = self.terms.of, self.things.get(top.name, "model")
        after: list[Callable[[], None]] = []
        if of[top.name][0] == "Concat":
            top, step = self.joined(top, thing)
            after.append(step)
        below = self.below(top, thing)
        leaves = [name for name in below if of[name][0] in LEAVES]
        if len(leaves) != 1:
            raise self.chain.refuse(thing, "joins branches, and must be one of a chain")
        numbers = self.numbers(below)
        bases: list[tuple[str, list[Callable[[], None]]]] = [(leaves[0], [])]
        scaled = [(name, *found) for name in below if (found := self.affine(name))]
        for base, before in bases:
            bases += [(name, [*before, step]) for name, child, step in scaled if child == base]
        wrong = False
        while True:
            for base, before in bases[:MOST_BASES]:
                last = self.activation(top.name, base, numbers)
                if last is not None:
                    return self.terms.value(leaves[0]), [*before, last, *reversed(after)]
            found = self.affine(top.name)
            if found is None and not wrong:  # the chain then says why
                found, wrong = self.above(top.name, numbers), True
            if found is None:
                raise self.chain.refuse(self.things.get(top.name, thing))
            top = self.terms.value(found[0])
            after.append(found[1])

    def below(self, top: Value, thing: str) -> list[str]:
        """Return the terms in a term, down to a layer of weights or the input."""
        found, waiting = {top.name: None}, [top.name]
        while waiting:
            parts = self.terms.of[waiting.pop()]
            if parts[0] in (*LEAVES, "part", "number", "array"):
                continue
            names = [name for name in parts[2:] if isinstance(name, str) and name not in found]
            found.update(dict.fromkeys(names))
            waiting += names
            if len(found) > MOST_TERMS:
                raise self.chain.refuse(thing, "has no equal in cbackprop: it is made of more than "
                                               f"{MOST_TERMS} operators")
        return list(found)

    def numbers(self, below: list[str]) -> list[float]:
        """Return the numbers in terms and their attributes, one of which may be a parameter."""
        found: set[Any] = set()
        for name in below:
            kind, value, *_ = self.terms.of[name]
            if kind == "number":
                found.add(value)
            elif isinstance(value, tuple):
                found.update(each for _, each in value if isinstance(each, float))
        return sorted(filter(math.isfinite, found))[:MOST_NUMBERS]

    def joined(self, top: Value, thing: str) -> tuple[Value, Callable[[], None]]:
        """Return z if `Split` and `Concat` give its neurons different activations, and the step."""
        of, end, runs, sources = self.terms.of, 0, [], set()
        for each in of[top.name][2:]:
            below = self.below(self.terms.value(each), thing)
            parts = [name for name in below if of[name][0] == "part"]
            run = self.among(each, parts[0], self.numbers(below)) if len(parts) == 1 else None
            if run is None or of[parts[0]][3] != end:
                raise self.chain.refuse(thing)
            source, first, end = of[parts[0]][2:]
            sources.add(source)
            runs += [run] * (end - first)
        if len(sources) != 1 or dict(of[top.name][1]).get("axis") != 1:
            raise self.chain.refuse(thing)
        return self.terms.value(*sources), partial(self.chain.activate, runs, thing)

    def activation(
        self, top: str, base: str, numbers: list[float]
    ) -> Callable[[], None] | None:
        """Return the step from base to top if it is a single activation, or None."""
        of = self.terms.of
        thing = self.things.get(top, "model")
        if of[top][0] == "PRelu" and of[top][2] == base:
            return partial(self.chain.leaky, self.columns(of[top][3], base, thing), thing)
        ours = self.among(top, base, numbers)
        return None if ours is None else partial(self.chain.activate, ours, thing)

    def among(self, top: str, base: str, numbers: list[float]) -> Any:
        """Return our activation of base that is equal to top, or None."""
        if top == base:
            return "identity"
        if base not in self.spelled:
            found = list(spellings(self.terms.value(base), numbers))
            self.spelled[base] = {term.name: ours for ours, term in reversed(found)}
        return self.spelled[base].get(top)

    def above(self, top: str, numbers: list[float]) -> tuple[str, Callable[[], None]] | None:
        """Return the term below an activation, and the step from there, or None."""
        for child in self.terms.of[top][2:]:
            if isinstance(child, str) and not self.is_constant(child):
                step = self.activation(top, child, numbers)
                if step is not None:
                    return child, step
        return None

    def affine(self, name: str) -> tuple[str, Callable[[], None]] | None:
        """Return the term that is scaled and shifted, and the step from there, or None."""
        kind, *rest = self.terms.of[name]
        if kind in (*LEAVES, "number", "array", "part") or not rest[1:]:
            return None
        attributes, *inputs = rest
        constant = [self.is_constant(each) for each in inputs if isinstance(each, str)]
        thing, child = self.things.get(name, "model"), inputs[0]
        scale: Any = 1.0
        offset: Any = 0.0
        if kind == "BatchNormalization" and constant == [False, True, True, True, True]:
            values = [self.columns(each, child, thing, channels=True) for each in inputs[1:]]
            return child, partial(self.chain.normalize, thing, *values,
                                  epsilon=float(dict(attributes)["epsilon"]))
        if kind == "Scaler" and set(dict(attributes)) == {"offset", "scale"}:
            scale = np.array(dict(attributes)["scale"])
            offset = -np.array(dict(attributes)["offset"]) * scale
        elif kind == "Neg":
            scale = -1.0
        elif kind in SIGNS and sum(constant) == 1:
            turned = constant[0]
            child = inputs[turned]
            c = self.columns(inputs[not turned], child, thing)
            found = chains.arithmetic(SIGNS[kind], c, turned)
            if found is None:
                return None
            scale, offset = found
        elif kind == "flat":
            if inputs[1] > 0:
                return child, partial(self.chain.fits, thing, inputs[1])
        else:
            return None
        return child, partial(self.chain.rescale, thing, scale, offset)

    def is_constant(self, name: str) -> bool:
        """Return whether a term is a number or an array."""
        return self.terms.of[name][0] in ("number", "array")

    def columns(self, constant: str, of: str, thing: str, channels: bool = False) -> Any:
        """Return a constant as one number, or as one for each column of a term."""
        kind, value = self.terms.of[constant]
        if kind == "number":
            return value
        array, rank = self.arrays[value].astype(np.float64), self.rank[of]
        if rank > 2 and min(self.dims[1:], default=0) > 0 \
                and math.prod(self.dims[1:]) <= MOST_INPUTS:
            return np.broadcast_to(array.reshape(-1, *[1] * (rank - 2)) if channels else array,
                                   (1, *self.dims[1:])).ravel()
        if rank > 2 or array.ndim > 2 or array.size != array.shape[-1]:
            raise self.chain.refuse(thing, f"has a constant of shape {array.shape}, and must have "
                                           f"one number, or one for each column")
        return array.ravel()


def times(array: NDArray[Any], factor: float) -> NDArray[Any]:
    """Return the product, computed in float64, in the array's type."""
    return array if factor == 1 else (array.astype(np.float64) * factor).astype(array.dtype)
