"""ONNX Runtime, which does inference only."""

from collections.abc import Iterator

import numpy as np
import onnxruntime
from common import Work
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from opponents.contestant import Contestant, Examples
from opponents.feedforward import Call, Trained

OPTIONS = onnxruntime.SessionOptions()


def set_threads(threads: int) -> None:
    OPTIONS.intra_op_num_threads, OPTIONS.inter_op_num_threads = threads, 1


def model(net: Trained, rows: int) -> bytes:
    """Return the network as ONNX has it: products with w (in, out) and sigmoids."""
    nodes, parameters, a = [], [], "a0"
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True), start=1):
        w_name, b_name, z, next_a = f"w{layer}", f"b{layer}", f"z{layer}", f"a{layer}"
        parameters += [numpy_helper.from_array(np.ascontiguousarray(w.T), w_name),
                       numpy_helper.from_array(b, b_name)]
        nodes += [helper.make_node("Gemm", [a, w_name, b_name], [z]),
                  helper.make_node("Sigmoid", [z], [next_a])]
        a = next_a
    inputs, outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, size])
        for name, size in (("a0", net.sizes[0]), (a, net.sizes[-1])))
    graph = helper.make_graph(nodes, "network", [inputs], [outputs], parameters)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)],
                             ir_version=8).SerializeToString()


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    """Yield none: it does not train."""
    yield from ()


def feedforwards(net: Trained, x: NDArray) -> Iterator[Call]:
    session = onnxruntime.InferenceSession(
        model(net, len(x)), OPTIONS, providers=["CPUExecutionProvider"])
    output = session.get_outputs()[0].name
    yield Call("ONNX Runtime", "run", lambda: session.run([output], {"a0": x})[0])
    out = np.empty((len(x), net.sizes[-1]), np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("a0", x)
    binding.bind_output(output, "cpu", 0, np.float32, out.shape, out.ctypes.data)

    def bound() -> NDArray:
        session.run_with_iobinding(binding)
        return out

    yield Call("ONNX Runtime", "arrays bound beforehand", bound)
