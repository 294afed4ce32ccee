"""One network in one file, ``.npz`` or safetensors: no pickles, written whole or not at all."""

from __future__ import annotations  # naming numpy.random would import it, for 8 ms

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, storage
from cbackprop._extras import library
from cbackprop.arrays import numbers
from cbackprop.history import History
from cbackprop.metrics import Kind

FORMAT = "cbackprop network"
VERSION = 4  # 2: what an optimizer remembers; functions with parameters, by layer and neuron
#              3: the random state, the history
#              4: its steps, seed and metrics; the kind of the targets; preprocessing, classes

FUNCTIONS = ("activation", "output_activation", "cost")
ARRAY = "array of the file"  # stands in a checkpoint's JSON for the array of that name
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
# Limits of a state's numbers. NumPy does not check them, and would read beyond its memory.
MAX_STATE = {"pos": 624, "buffer_pos": 4, "has_uint32": 1}


class Format(NamedTuple):
    """
    A format of files. A new one needs its two functions and a line in FORMATS.

    Attributes
    ----------
    write : callable (file, header, arrays)
    read : callable (file, max_bytes)
        Returns the header and the arrays, which may be read on access.
    need : callable (by)
        Raises ModuleNotFoundError, which names this method, if the library is missing.
    """

    write: Callable[[BinaryIO, str, dict[str, NDArray[Any]]], None]
    read: Callable[[BinaryIO, int], tuple[str, Mapping[str, NDArray[Any]]]]
    need: Callable[[str], object] = lambda by: None


def _write_npz(file: BinaryIO, header: str, arrays: dict[str, NDArray[Any]]) -> None:
    np.savez(file, allow_pickle=False, header=np.array(header), **arrays)


def _read_npz(file: BinaryIO, max_bytes: int) -> tuple[str, Mapping[str, NDArray[Any]]]:
    arrays = storage.Archive(file, max_bytes)
    if "header" not in arrays:
        raise ValueError("it holds several networks: Ensemble.load reads it"
                         if arrays.parts[:1] == ["0.npz"] else
                         f"it has no header, but {_check.shown(arrays.parts)}")
    return str(arrays["header"]), arrays


def _safetensors(by: str) -> Any:
    return library("safetensors.numpy", by, "safetensors")


def _write_safetensors(file: BinaryIO, header: str, arrays: dict[str, NDArray[Any]]) -> None:
    file.write(_safetensors("save").save(
        {name: np.asarray(array, order="C") for name, array in arrays.items()},
        metadata={"header": header}))


def _read_safetensors(file: BinaryIO, _: int) -> tuple[str, Mapping[str, NDArray[Any]]]:
    content = file.read()
    arrays = _safetensors("load").load(content)  # it checks that the file is whole
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8:8 + length]).get("__metadata__", {})
    if "header" not in metadata:
        raise ValueError("it has no header in its metadata")
    return metadata["header"], arrays


FORMATS = {  # by the ending of a file's name; "" stands for all others
    ".safetensors": Format(_write_safetensors, _read_safetensors, _safetensors),
    "": Format(_write_npz, _read_npz),
}


def _format(target: storage.Target) -> Format:
    return FORMATS.get(Path(storage.named(target)).suffix.lower(), FORMATS[""])


def save(target: storage.Target, state: dict[str, Any]) -> None:
    """
    Write a network's state; if that fails, a file that was there stays.

    Parameters
    ----------
    target : str, path-like or binary file object
        A name that ends in ``.safetensors`` makes such a file, any other an ``.npz``.
    state : dict
        As `Network` is pickled; what the user added to it is left out. A checkpoint has an entry
        more, "training": numbers, strings, arrays, lists and dicts.
    """
    _check_format(target, state["settings"])
    arrays = {f"weights_{layer}": w for layer, w in enumerate(state["weights"])}
    arrays |= {f"biases_{layer}": b for layer, b in enumerate(state["biases"])}
    memory, history, settings = state["memory"], state["history"], dict(state["settings"])
    if memory:
        arrays |= {f"memory_{at}": array for at, array in enumerate(memory["memory"])}
        memory = {key: value for key, value in memory.items() if key != "memory"}
    preprocessing = state["preprocessing"]
    if preprocessing:
        arrays["preprocessing"] = preprocessing["numbers"]
        preprocessing = {key: value for key, value in preprocessing.items() if key != "numbers"}
    arrays["input_scale"] = np.asarray(settings.pop("input_scale"))
    settings.pop("compute_dtype", None)  # nothing here is of that type
    for name in FUNCTIONS:
        settings[name] = _written(settings[name], name)
    training = _without_arrays(state.get("training"), arrays)
    header = json.dumps({
        "format": FORMAT, "version": VERSION, "settings": settings, "optimizer": memory,
        "random": _plain(state["random"].bit_generator.state),
        "history": None if history is None else dataclasses.asdict(history),
        "trained_on": state["trained_on"],
        "preprocessing": preprocessing, "classes": state["classes"], "training": training,
    })
    with storage.replacing(target) as file:
        _format(target).write(file, header, arrays)


def check(target: storage.Target, settings: dict[str, Any]) -> None:
    """
    Check quickly that a network of these settings can be saved there.

    Raises
    ------
    OSError, TypeError, ModuleNotFoundError
        If it cannot be saved.
    """
    _check_format(target, settings)
    if storage.is_path(target, "write"):
        storage.check(target)


def _check_format(target: storage.Target, settings: dict[str, Any]) -> None:
    for name in FUNCTIONS:
        _written(settings[name], name)
    _format(target).need("save")


def load(source: storage.Target, max_bytes: int = storage.MAX_BYTES) -> dict[str, Any]:
    """
    Read what `save` wrote.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no such file, damaged, of a later version, or unpacks to more than `max_bytes`.
    ModuleNotFoundError
        Without the library of its format.
    """
    max_bytes = _check.integer("max_bytes", max_bytes, 0)
    with (storage.opened(source, max_bytes) as file,
          storage.damaged(f"{storage.named(source)} is not a whole {FORMAT} file: ")):
        text, arrays = _format(source).read(file, max_bytes)
        header = json.loads(text)
        if header["format"] != FORMAT:
            raise ValueError(f"format {_check.shown(header['format'])}")
        version = _check.integer("version", header["version"], 1)
        if version > VERSION:
            raise ValueError(f"version {version}, this cbackprop reads up to {VERSION}")
        return _state(header, arrays)


def _state(header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    settings, memory = header["settings"], header.get("optimizer")
    scale = arrays["input_scale"]
    settings["input_scale"] = float(scale) if scale.ndim == 0 else scale
    for function in FUNCTIONS:
        settings[function] = _read(settings[function])
    if memory:
        memory["steps"] = _check.integer("steps of the optimizer", memory["steps"], 0)
        names = [name for name in arrays if name.startswith("memory_")]
        memory["memory"] = [arrays[f"memory_{at}"] for at in range(len(names))]
    preprocessing = header.get("preprocessing")
    if preprocessing is not None:
        preprocessing["numbers"] = arrays["preprocessing"]
    history, random = header.get("history"), header.get("random")
    kind = header.get("trained_on")
    layers = list(itertools.pairwise(settings["sizes"]))
    weights = [numbers(arrays[f"weights_{layer}"], f"weights_{layer}")
               for layer in range(len(layers))]
    shapes = [w.shape for w in weights]
    if shapes != [(j, k) for k, j in layers]:  # before the sizes ask for any memory
        raise ValueError(f"weights of shapes {_check.shown(shapes)} "
                         f"for sizes {_check.shown(settings['sizes'])}")
    return {
        "settings": settings,
        "weights": weights,
        "biases": [arrays[f"biases_{layer}"] for layer in range(len(layers))],
        "memory": memory,
        "random": random and _generator(random),
        "history": None if history is None else History.read(history),
        "trained_on": None if kind is None else Kind.read(kind),
        "preprocessing": preprocessing,
        "classes": header.get("classes"),
        "training": _with_arrays(header.get("training"), arrays),
    }


def _without_arrays(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Make JSON of lists and dicts: arrays go to `arrays`, and their names stay."""
    if isinstance(value, np.ndarray):
        name = f"training_{sum(name.startswith('training_') for name in arrays)}"
        arrays[name] = value
        return {ARRAY: name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _without_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, arrays) for item in value]
    if not isinstance(value, (bool, int, float, str, type(None))):
        raise TypeError(f"to_checkpoint must return numbers, strings, arrays, lists and dicts, "
                        f"got {_check.shown(value)}")
    return value


def _with_arrays(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, dict) and value.keys() == {ARRAY}:
        return arrays[value[ARRAY]]
    if isinstance(value, dict):
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    return [_with_arrays(item, arrays) for item in value] if isinstance(value, list) else value


def _plain(state: Any) -> Any:
    """Make JSON of a bit generator's state; of one that is not NumPy's, None."""
    if isinstance(state, dict) and state.get("bit_generator", "PCG64") not in BIT_GENERATORS:
        return None
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _generator(state: dict[str, Any]) -> np.random.Generator:
    if state["bit_generator"] not in BIT_GENERATORS:
        raise ValueError(f"unknown bit generator {_check.shown(state['bit_generator'])}")
    bits = getattr(np.random, state["bit_generator"])(0)
    bits.state = state
    # It keeps what it was given, unless that had no place in it.
    numbers = dict(_numbers(state))
    if numbers != dict(_numbers(_plain(bits.state))):
        raise ValueError(f"no state of {state['bit_generator']}")
    for name, value in numbers.items():
        if name in MAX_STATE and not 0 <= value <= MAX_STATE[name]:
            raise ValueError(f"{name} of {state['bit_generator']} must be in 0..{MAX_STATE[name]}, "
                             f"got {_check.shown(value)}")
    first, *others = numbers["key"] if "pos" in numbers else [1, 1]
    if numbers.get("inc", 1) % 2 == 0 or not (any(others) or first >= 2**31):
        raise ValueError(f"a state of {state['bit_generator']} that repeats itself")
    return np.random.Generator(bits)


def _numbers(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Go through all that is in a state and in the state in it."""
    for name, value in state.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        else:
            yield name, value


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
