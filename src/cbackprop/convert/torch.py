"""PyTorch: `torch.nn.Sequential` of `Linear` and activations."""

from __future__ import annotations

from typing import Any

from cbackprop.convert import layers
from cbackprop.data import shown
from cbackprop.extras import library
from cbackprop.network import Network

MODULES: layers.Table = {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": layers.ALPHA}),
    "elu": ("ELU", {"alpha": layers.ALPHA}),
    "selu": ("SELU", {}),
    "gelu": ("GELU", {"approximate": ("none",)}),
    "gelu_tanh": ("GELU", {"approximate": ("tanh",)}),
    "silu": ("SiLU", {}),
    "softplus": ("Softplus", {"beta": (1,), "threshold": (40, 20)}),  # 20: to 2e-9, its default
    "softsign": ("Softsign", {}),
    "hard_sigmoid": ("Hardsigmoid", {}),
    "identity": ("Identity", {}),
    "softmax": ("Softmax", {"dim": (-1, 1)}),
}
NOTHING = ("Dropout", "AlphaDropout", "FeatureAlphaDropout")  # at inference


def to_torch(net: Network) -> Any:
    """
    Return a copy of the network as a PyTorch module (extra ``torch``).

    Parameters
    ----------
    net : Network or estimator
        `input_scale` is multiplied into the first weights.

    Returns
    -------
    torch.nn.Sequential
        Of `Linear` and activations, in the network's dtype, on the CPU.

    Raises
    ------
    TypeError
        If it is no network.
    ValueError
        If PyTorch has no module for an activation: "gaussian", "sine", the user's own, or several
        in one layer.
    ModuleNotFoundError
        Without PyTorch.

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
    modules = []
    for w, b, runs in layers.of(net, "to_torch"):
        activation = layers.made(layers.only(runs, "to_torch"), MODULES, torch.nn, "to_torch")
        linear = torch.nn.Linear(w.shape[1], w.shape[0], device="meta")  # draws no numbers
        linear.weight = torch.nn.Parameter(torch.from_numpy(w))
        linear.bias = torch.nn.Parameter(torch.from_numpy(b))
        modules += [linear] if type(activation) is torch.nn.Identity else [linear, activation]
    return torch.nn.Sequential(*modules)


def from_torch(module: Any, *, cost: Any = None, seed: Any = None) -> Network:
    """
    Return a network that computes what a PyTorch module does (extra ``torch``).

    Parameters
    ----------
    module : torch.nn.Sequential or Linear
        Of `Linear`, activations, `Flatten`, `Identity` and `Dropout`, which is left out; perhaps
        Sequentials in Sequentials. Narrower types than float32 become that.
    cost, seed
        Of the network; the cost by default is what goes with the output activation:
        "log_likelihood" with softmax, "cross_entropy" with sigmoid, else "quadratic".

    Raises
    ------
    TypeError
        If it is no module.
    ValueError
        If it holds a module that has no equal here; the error names it.
    ModuleNotFoundError
        Without PyTorch.

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
    chain = layers.Chain("from_torch")
    _collect(chain, module, torch)
    return chain.network(cost, seed)


def _collect(chain: layers.Chain, module: Any, torch: Any) -> None:
    nn = torch.nn
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        for inner in module:
            _collect(chain, inner, torch)
    elif type(module) is nn.Linear:
        chain.dense(*(p if p is None else _numbers(chain, module, p, torch)
                      for p in (module.weight, module.bias)))
    elif type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
        if chain.weights:
            raise chain.refuse(module, "must be the first layer")
    elif type(module) not in [getattr(nn, name) for name in NOTHING]:
        chain.activate(layers.known(module, MODULES, nn), module)


def _numbers(chain: layers.Chain, module: Any, parameter: Any, torch: Any) -> Any:
    if parameter.is_meta:
        raise chain.refuse(module, "has no values, for it is on the device 'meta'")
    real = torch.float64 if parameter.dtype == torch.float64 else torch.float32
    return parameter.detach().to("cpu", real).numpy()
