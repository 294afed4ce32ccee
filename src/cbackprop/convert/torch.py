"""PyTorch: chains of `Linear` and activations, in a `Sequential` or called by a `forward`."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from cbackprop._check import shown
from cbackprop._extras import library
from cbackprop.convert import chains
from cbackprop.core import table
from cbackprop.network import Network

# Our activations as classes of torch.nn: the one that is written, and all that are read.
WRITTEN: dict[str, chains.Class] = {
    row.name: (row.torch[0].kind, row.torch[0].attributes)
    for row in table.ACTIVATIONS if row.torch and row.torch[0].kind}
READ: list[tuple[str, chains.Class]] = [
    *((row.name, (each.kind, each.attributes))
      for row in table.ACTIVATIONS for each in row.torch if each.kind),
    ("log_softmax", ("LogSoftmax", {"dim": (-1, 1, None)})),
]
NOTHING = ("Dropout", "AlphaDropout", "FeatureAlphaDropout")  # these do nothing at inference

# Functions and methods: the module's class that does the same, and the names of the arguments after
# the first, in their order.
FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{each.function: (each.kind, each.arguments) for row in table.ACTIVATIONS
       for each in row.torch if each.function and each.kind},
    "log_softmax": ("LogSoftmax", ("dim", "_stacklevel", "dtype")),
    "flatten": ("Flatten", ("start_dim", "end_dim")),
    "dropout": ("Dropout", ("p", "training", "inplace")),
    "alpha_dropout": ("AlphaDropout", ("p", "training", "inplace")),
    "feature_alpha_dropout": ("FeatureAlphaDropout", ("p", "training", "inplace")),
}
BARE = {each.function: row.name for row in table.ACTIVATIONS  # functions without a module
        for each in row.torch if each.function and each.kind is None}
ARITHMETIC = {operator.add: "+", operator.iadd: "+", operator.sub: "-", operator.isub: "-",
              operator.mul: "*", operator.imul: "*", operator.truediv: "/", operator.itruediv: "/"}


def to_torch(net: Network) -> Any:
    """
    Return a copy of the network as a PyTorch module (extra ``torch``).

    Parameters
    ----------
    net : Network or estimator
        `input_scale` becomes an `InputScale` of this package: a module that multiplies by a buffer,
        which is not trained.

    Returns
    -------
    torch.nn.Sequential
        It contains `Linear` and activations, in the network's dtype, on the CPU.

    Raises
    ------
    TypeError
        If net is not a network.
    ValueError
        If PyTorch has no module for an activation: "exponential", "gaussian", "sine", a function of
        your own, or several in one layer.
    ModuleNotFoundError
        If PyTorch is missing.

    Examples
    --------
    >>> from cbackprop.convert import to_torch
    >>> to_torch(cbackprop.Network([2, 3, 1], activation=["tanh", "identity"], seed=0))
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    """
    torch = library("torch", "to_torch", "torch")
    layers, scale = chains.of(net, "to_torch"), chains.scale_of(net)
    modules = [] if scale is None else [_input_scale()(scale)]
    for w, b, runs in layers:
        run = chains.only(runs, "to_torch")
        activation = chains.made(run, WRITTEN.get(run.activation), torch.nn, "to_torch")
        linear = torch.nn.Linear(  # on "meta", it draws no numbers
            w.shape[1], w.shape[0], bias=b is not None, device="meta")
        linear.weight = torch.nn.Parameter(torch.from_numpy(w))
        if b is not None:
            linear.bias = torch.nn.Parameter(torch.from_numpy(b))
        modules += [linear] if type(activation) is torch.nn.Identity else [linear, activation]
    return torch.nn.Sequential(*modules)


@cache
def _input_scale() -> Any:
    torch = library("torch", "InputScale", "torch")

    class InputScale(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Multiplies x by a number, or by one for each column."""

        def __init__(self, scale: Any) -> None:
            super().__init__()
            self.register_buffer("scale", torch.tensor(scale))

        def forward(self, x: Any) -> Any:
            return x * self.scale

    InputScale.__qualname__ = "InputScale"  # pickles find it by this name
    return InputScale


def __getattr__(name: str) -> Any:
    if name == "InputScale":  # made on first use, since it imports PyTorch
        return _input_scale()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def from_torch(module: Any, *, cost: Any = None, seed: Any = None) -> Network:
    """
    Return a network that computes what a PyTorch module does at inference (extra ``torch``).

    Parameters
    ----------
    module : torch.nn.Module
        A chain of `Linear`, `BatchNorm1d` in evaluation mode, activations, `PReLU`, and modules
        that do nothing to rows at inference: `Flatten`, `Identity`, `Dropout`. It may be a
        `Sequential`, also of Sequentials, or a class of your own, whose `forward` is read by
        `torch.fx`. That `forward` must call its modules and such functions one after another:
        `F.relu(self.fc1(x.flatten(1)))`. It may also shift and scale its inputs. Types narrower
        than float32 become float32. For a compiled module (`torch.compile`), the original is read.
    cost, seed
        Arguments of the network. By default, the cost goes with the output activation:
        "log_likelihood" with softmax, "cross_entropy" with sigmoid, otherwise "quadratic".

    Raises
    ------
    TypeError
        If it is not a module.
    ValueError
        If a part has no equal here; the error names it. Branches and their sums, layers that share
        weights, and weights that are NaN or infinite have none.
    ModuleNotFoundError
        If PyTorch is missing.

    Notes
    -----
    `LogSoftmax` at the output, as `NLLLoss` takes it, becomes "softmax": the network returns
    probabilities where the module returned their logarithms. `BatchNorm1d` is merged into the layer
    of weights before it; after an activation or at the inputs, into the one that follows. `squeeze`
    of a single output is left out: the network returns shape (n, 1). The slopes of `PReLU` become
    those of "leaky_relu", which are not trained. `CELU` with alpha = 1 becomes "elu"; any other
    alpha is refused.

    Examples
    --------
    >>> import torch
    >>> from cbackprop.convert import from_torch
    >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    >>> net = from_torch(module)
    >>> net.sizes, net.activation
    ((2, 3, 1), ['relu', 'identity'])
    """
    torch = library("torch", "from_torch", "torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch takes a torch.nn.Module, got {shown(module)}")
    reader = Reader(torch)
    reader.module(module)
    return reader.chain.network(cost, seed)


class Reader:
    """
    Reads modules into a chain.

    Parameters
    ----------
    torch : module
    """

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.chain = chains.Chain("from_torch")

    def module(self, module: Any) -> None:
        """Add the effect of a module on rows."""
        nn, chain = self.torch.nn, self.chain
        if isinstance(module, nn.modules.lazy.LazyModuleMixin):
            raise chain.refuse(module, "has no weights yet: call it once")
        if module._forward_pre_hooks or module._forward_hooks:  # pruning's, for one
            raise chain.refuse(module, "has hooks, which may change what it gives: remove them")
        if hasattr(module, "_orig_mod"):  # torch.compile's
            self.module(module._orig_mod)
            return
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            for inner in module:
                self.module(inner)
            return
        if not type(module).__module__.startswith("torch."):
            self.forward(module)
            return
        chain.owns(module, map(id, module.parameters(recurse=False)))
        if type(module) is nn.Linear:
            chain.dense(self.numbers(module.weight, module), self.numbers(module.bias, module),
                        module)
        elif type(module) is nn.BatchNorm1d:
            if module.running_mean is None:
                raise chain.refuse(module, "has no running statistics, and without them its "
                                           "outputs depend on the mini-batch")
            if module.training:
                raise chain.refuse(module, "must be in evaluation mode: call eval() first")
            chain.normalize(
                module, *(self.numbers(values, module) for values in (
                    module.weight, module.bias, module.running_mean, module.running_var)),
                epsilon=module.eps)
        elif type(module) is nn.PReLU:
            chain.leaky(self.numbers(module.weight, module), module)
        elif type(module) is nn.Flatten and module.start_dim == 1 and module.end_dim in (-1, 1):
            self.flatten(module)
        elif type(module) not in [getattr(nn, name) for name in NOTHING]:
            chain.activate(chains.known(module, READ, nn), module)

    def numbers(self, values: Any, module: Any) -> Any:
        """Return a tensor as an array; None stays None."""
        if values is None:
            return None
        if values.is_meta:
            raise self.chain.refuse(module, "has no values, for it is on the device 'meta'")
        if values.dtype in (self.torch.float16, self.torch.bfloat16):
            values = values.float()
        return values.detach().cpu().numpy()

    def flatten(self, thing: Any) -> None:
        """Check that inputs are not scaled by columns before they are made rows."""
        if not self.chain.weights and np.ndim(self.chain.scale):
            raise self.chain.refuse(thing, "must be the first layer")

    # ---- a class with a forward of its own ----

    def forward(self, module: Any) -> None:
        """Add the steps of a forward, which must be a chain that begins at its first argument."""
        fx = library("torch.fx", "from_torch", "torch")
        name = f"{type(module).__name__}.forward"
        try:
            with inference(module):
                graph = fx.Tracer().trace(module)
        except Exception as error:  # of the user's code, which gets no numbers
            raise self.chain.refuse(
                name, f"cannot be read by torch.fx: {chains.reason(error)}") from error
        known: dict[Any, Any] = {}  # parameters, sizes, and numbers made of them, by node
        last: Any = None  # the node that returns the output of the chain so far
        steps = set()  # this node and those before it
        for node in graph.nodes:
            called = f"{node.target if isinstance(node.target, str) else node.target.__name__}"
            thing = f"{called} in {name}"
            if node.op == "placeholder":
                if last is not None and node.users:
                    raise self.chain.refuse(name, "must take one argument")
                last = node if last is None else last
                steps.add(node)
            elif node.op == "get_attr":
                known[node] = self.numbers(operator.attrgetter(node.target)(module), thing)
            elif node.op == "output":
                if node.args[0] is not last:
                    raise self.chain.refuse(name, "must return what its last layer gives, alone")
            elif (size := size_of(node, known, steps)) is not None:
                known[node] = size
            elif [each for each in node.all_input_nodes if each not in known] != [last]:
                raise self.chain.refuse(thing, "must take what the step before it gives, alone: "
                                               "branches have no equal in cbackprop")
            else:
                if node.op == "call_module":
                    self.module(module.get_submodule(node.target))
                else:
                    read = [operator.attrgetter(each.target)(module)
                            for each in node.all_input_nodes if each.op == "get_attr"]
                    self.chain.owns(thing, [id(each) for each in read if isinstance(
                        each, self.torch.nn.Parameter)])
                    self.function(node, called, last, known, thing)
                last = node
                steps.add(node)

    def function(
        self, node: Any, called: str, last: Any, known: dict[Any, Any], thing: str
    ) -> None:
        """Add the effect of a function, a method or an operator on the node `last`."""
        torch, chain = self.torch, self.chain
        args = [known.get(each, each) if isinstance(each, type(node)) else each
                for each in node.args]
        kwargs = {name: known.get(value, value) if isinstance(value, type(node)) else value
                  for name, value in node.kwargs.items()}
        if node.op == "call_function" and node.target in ARITHMETIC and len(args) == 2:
            self.arithmetic(ARITHMETIC[node.target], args, last, thing)
            return
        first = args.pop(0) if args else kwargs.pop("input", None)
        called = called.rstrip("_")  # in-place methods
        if first is not last or (node.op == "call_function" and node.target not in {
                getattr(space, node.target.__name__, None)
                for space in (torch, torch.nn.functional)}):
            raise chain.refuse(thing)
        if called in ("view", "reshape"):
            self.view(args, kwargs, thing)
        elif called in BARE and not args and not kwargs:
            chain.activate(BARE[called], thing)
        elif called == "prelu" and len(args) == 1:
            chain.leaky(args[0], thing)
        elif called == "linear":
            given = dict(zip(("weight", "bias"), args, strict=False)) | kwargs
            chain.dense(given["weight"], given.get("bias"), thing)
        elif called in FUNCTIONS:
            kind, names = FUNCTIONS[called]
            if node.target is not getattr(torch.nn.functional, called, None):
                names = tuple(each for each in names if each != "_stacklevel")
            self.like_module(kind, dict(zip(names, args, strict=False)) | kwargs, thing)
        elif called == "squeeze" and [*args, *kwargs.values()] in ([], [1], [-1]):
            chain.squeeze(thing)
        elif called == "contiguous" or (called in ("float", "double") and not chain.weights):
            pass
        else:
            raise chain.refuse(thing)

    def like_module(self, kind: str, settings: dict[str, Any], thing: str) -> None:
        """Add the effect of a function, by a module of this kind with the same settings."""
        settings.pop("_stacklevel", None)
        if settings.pop("dtype", None) is not None:
            raise self.chain.refuse(thing, "must not change the type of number")
        if kind in NOTHING:
            training = settings.get("training", settings.get("train", kind == "Dropout"))
            if training:
                raise self.chain.drops(thing, ": give it training=self.training")
            return
        if kind == "Flatten":
            settings.setdefault("start_dim", 0)  # unlike the module's
        self.module(getattr(self.torch.nn, kind)(**settings))

    def view(self, args: list[Any], kwargs: dict[str, Any], thing: str) -> None:
        """Check that rows stay rows: (-1, columns) or (x.size(0), -1)."""
        shape = [*args, *kwargs.get("shape", ())]
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = list(shape[0])
        if len(shape) != 2 or not (shape[0] is ROWS or shape[0] == -1) or (
                shape[1] is REST and self.chain.weights):
            raise self.chain.refuse(thing, "must make rows: (-1, columns) or (x.size(0), -1)")
        self.flatten(thing)
        if shape[1] is not REST and shape[1] != -1:
            self.chain.fits(thing, shape[1])

    def arithmetic(self, sign: str, args: list[Any], last: Any, thing: str) -> None:
        """Add x + c, x - c, c - x, x * c or x / c, for a number c or one for each column."""
        turned = args[1] is last
        c = np.asarray(args[0] if turned else args[1])
        if c.dtype.kind not in "fiu" or c.ndim > 2 or c.size not in (1, *c.shape[-1:]):
            raise self.chain.refuse(thing)
        c = c.astype(np.float64).ravel() if c.size > 1 else c.item()
        found = chains.arithmetic(sign, c, turned)
        if found is None:
            raise self.chain.refuse(thing)
        self.chain.rescale(thing, *found)


ROWS = object()  # x.size(0)
SHAPE = object()  # x.shape
REST = object()  # any other size, and products of them: for inputs, the same as -1


def size_of(node: Any, known: dict[Any, Any], steps: set[Any]) -> Any:
    """Return which size a node stands for, or None."""
    args = node.args
    if (node.op == "call_method" and node.target == "size") or (
            node.op == "call_function" and node.target is getattr and args[1] == "shape"):
        which = args[1] if node.target == "size" and len(args) > 1 else node.kwargs.get("dim")
        if args[0] in steps:
            return SHAPE if which is None else ROWS if which == 0 else REST
    if node.op == "call_function" and node.target is operator.getitem \
            and known.get(args[0]) is SHAPE and isinstance(args[1], int):
        return ROWS if args[1] == 0 else REST
    if node.op == "call_function" and node.target is operator.mul and all(
            known.get(each) is REST for each in args):
        return REST
    return None


@contextmanager
def inference(module: Any) -> Iterator[None]:
    """Put modules into evaluation mode, for a forward that reads `self.training`."""
    training = [each for each in module.modules() if each.training]
    try:
        for each in training:
            each.training = False
        yield
    finally:
        for each in training:
            each.training = True
