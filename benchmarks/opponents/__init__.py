"""Those who race in `peers.py` and `learning.py`, one in each module."""

import importlib
import importlib.metadata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

OURS = "cbackprop"


@dataclass(frozen=True)
class Opponent:
    """
    One of them.

    Attributes
    ----------
    name : str
        As in what is reported.
    module : str
        In this folder: its `contestants` train, its `feedforwards` infer. Importing it fails where
        the opponent is not installed.
    packages : tuple of str
        Whose versions count.
    compiles : float
        Seconds for one form, about.
    """

    name: str
    module: str
    packages: tuple[str, ...] = ()
    compiles: float = 0.0


OPPONENTS = {  # by their names on the command line
    "cbackprop": Opponent(OURS, "ours"),
    "loops": Opponent("plain loops", "plain_loops"),
    "numpy": Opponent("NumPy", "matrix"),
    "book": Opponent("the book's loop", "book"),
    "sklearn": Opponent("scikit-learn", "sklearn_mlp", ("scikit-learn", "scipy")),
    "torch": Opponent("PyTorch eager", "torch_eager", ("torch",)),
    "torch-compile": Opponent("PyTorch compiled", "torch_compiled", ("torch",), 8.0),
    "jax": Opponent("JAX", "jax_loop", ("jax", "jaxlib"), 0.8),
    "numba": Opponent("Numba", "numba_loops", ("numba", "llvmlite"), 3.0),
    "onnxruntime": Opponent("ONNX Runtime", "onnx_runtime", ("onnxruntime", "onnx")),
}


def load(names: Iterable[str], threads: int) -> tuple[dict[str, ModuleType], dict[str, str]]:
    """Return the modules of those that are installed, and why the others are not there, by name."""
    modules, absent = {}, {}
    for opponent in map(OPPONENTS.__getitem__, names):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what they deprecate is not ours to repair
                module = importlib.import_module(f"opponents.{opponent.module}")
        except (ImportError, OSError) as error:  # OSError: a shared library that does not load
            absent[opponent.name] = f"{type(error).__name__}: {error}".splitlines()[0]
            continue
        if hasattr(module, "set_threads"):
            module.set_threads(threads)
        modules[opponent.name] = module
    return modules, absent


def versions(modules: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages of these opponents, by package."""
    packages = {package for opponent in OPPONENTS.values() if opponent.name in modules
                for package in opponent.packages}
    return {package: importlib.metadata.version(package) for package in sorted(packages)}
