"""One network in one file, ``.npz`` or safetensors: no pickles, written whole or not at all."""

from __future__ import annotations  # naming numpy.random would import it, for 8 ms

import dataclasses
import json
import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cbackprop.extras import library
from cbackprop.history import History

FORMAT = "cbackprop network"
VERSION = 3  # 2: what an optimizer remembers; functions with parameters, by layer and neuron
#              3: the random state, the history

FUNCTIONS = ("activation", "output_activation", "cost")
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")

Path_ = str | os.PathLike[str]


def save(path: Path_, state: dict[str, Any]) -> None:
    """
    Write a network's state; if that fails, a file that was there stays.

    Parameters
    ----------
    path : str or path-like
        One that ends in ``.safetensors`` becomes such a file, any other an ``.npz``.
    state : dict
        As `Network` is pickled; what the user added to it is left out.
    """
    arrays = {f"weights_{layer}": w for layer, w in enumerate(state["weights"])}
    arrays |= {f"biases_{layer}": b for layer, b in enumerate(state["biases"])}
    memory, history, settings = state["memory"], state["history"], dict(state["settings"])
    if memory:
        arrays |= {f"memory_{at}": array for at, array in enumerate(memory["memory"])}
        memory = {key: value for key, value in memory.items() if key != "memory"}
    arrays["input_scale"] = np.asarray(settings.pop("input_scale"))
    for name in FUNCTIONS:
        settings[name] = _written(settings[name], name)
    header = json.dumps({
        "format": FORMAT, "version": VERSION, "settings": settings, "optimizer": memory,
        "random": _plain(state["random"].bit_generator.state),
        "history": history and dataclasses.asdict(history),
    })
    if _is_safetensors(path):
        content = library("safetensors.numpy", "save", "safetensors").save(
            {name: np.asarray(array, order="C") for name, array in arrays.items()},
            metadata={"header": header})
        with replacing(path) as file:
            file.write(content)
    else:
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, header=np.array(header), **arrays)


@contextmanager
def replacing(path: Path_) -> Iterator[BinaryIO]:
    """Open a file that takes its name, and the place of one that was there, once it is whole."""
    path = Path(os.path.realpath(path))  # a link stays one
    unfinished = path.with_name(f".{uuid.uuid4().hex[:12]}.tmp")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def load(path: Path_) -> dict[str, Any]:
    """
    Read what `save` wrote.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is foreign, damaged, or of a later version.
    ModuleNotFoundError
        Without the library of its format.
    """
    read = _in_safetensors if _is_safetensors(path) else _in_npz
    with open(path, "rb") as file:
        try:
            with read(file) as (text, arrays):
                header = json.loads(text)
                if header["format"] != FORMAT:
                    raise ValueError(f"format {header['format']!r}")
                if header["version"] > VERSION:
                    raise ValueError(f"version {header['version']}, this cbackprop "
                                     f"reads up to {VERSION}")
                return _state(header, arrays)
        except ModuleNotFoundError:
            raise
        except Exception as error:  # whatever damage makes zipfile, zlib, NumPy and json raise
            raise ValueError(
                f"{os.fspath(path)} is not a whole {FORMAT} file: {error}") from None


def _state(header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    settings, memory = header["settings"], header.get("optimizer")
    scale = arrays["input_scale"]
    settings["input_scale"] = float(scale) if scale.ndim == 0 else scale
    for function in FUNCTIONS:
        settings[function] = _read(settings[function])
    if memory:
        names = [name for name in arrays if name.startswith("memory_")]
        memory["memory"] = [arrays[f"memory_{at}"] for at in range(len(names))]
    history, random = header.get("history"), header.get("random")
    if history:
        history = History(**history | {"recorded": tuple(history["recorded"])})
    layers = range(len(settings["sizes"]) - 1)
    return {
        "settings": settings,
        "weights": [arrays[f"weights_{layer}"] for layer in layers],
        "biases": [arrays[f"biases_{layer}"] for layer in layers],
        "memory": memory,
        "random": random and _generator(random),
        "history": history,
    }


def _is_safetensors(path: Path_) -> bool:
    return Path(os.fspath(path)).suffix.lower() == ".safetensors"


@contextmanager
def _in_npz(file: BinaryIO) -> Iterator[tuple[str, Mapping[str, NDArray[Any]]]]:
    if not zipfile.is_zipfile(file):
        raise ValueError("not a zip archive, or cut off")
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        yield str(arrays["header"]), arrays


@contextmanager
def _in_safetensors(file: BinaryIO) -> Iterator[tuple[str, Mapping[str, NDArray[Any]]]]:
    safetensors = library("safetensors", "load", "safetensors")
    with safetensors.safe_open(os.fspath(file.name), framework="np") as tensors:
        metadata = tensors.metadata() or {}
        if "header" not in metadata:
            raise ValueError("it has no header in its metadata")
        names = tensors.keys()
        yield metadata["header"], {name: tensors.get_tensor(name) for name in names}


def _plain(state: Any) -> Any:
    """Make JSON of a bit generator's state; of one that is not NumPy's, None."""
    if isinstance(state, dict) and state.get("bit_generator", "PCG64") not in BIT_GENERATORS:
        return None
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _generator(state: dict[str, Any]) -> np.random.Generator:
    if state["bit_generator"] not in BIT_GENERATORS:
        raise ValueError(f"unknown bit generator {state['bit_generator']!r}")
    bits = getattr(np.random, state["bit_generator"])(0)
    bits.state = state
    return np.random.Generator(bits)


def _written(value: Any, name: str) -> Any:
    """Make JSON of an activation or a cost: tuples and dicts become objects that hold lists."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return {"parameter": list(value)}
    if isinstance(value, list):
        return [_written(item, name) for item in value]
    if isinstance(value, dict):
        return {"neurons": [[_written(key, name), int(n)] for key, n in value.items()]}
    raise TypeError(f"{name} must be known by name to be saved, got {value!r}")


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if isinstance(value, dict) and "parameter" in value:
        return tuple(value["parameter"])
    if isinstance(value, dict):
        return {_read(key): n for key, n in value["neurons"]}
    return value
