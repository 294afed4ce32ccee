"""One network in one ``.npz`` file: no pickled objects, written whole or not at all."""

import json
import os
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "cbackprop network"
VERSION = 2  # 2: what an optimizer remembers; functions with parameters, by layer and neuron

FUNCTIONS = ("activation", "output_activation", "cost")

Path_ = str | os.PathLike[str]


def save(
    path: Path_, settings: dict[str, Any], weights: list[NDArray[Any]], biases: list[NDArray[Any]],
    memory: dict[str, Any] | None = None,
) -> None:
    """Write a network's settings and parameters; if that fails, a file that was there stays."""
    arrays = {f"weights_{layer}": w for layer, w in enumerate(weights)}
    arrays |= {f"biases_{layer}": b for layer, b in enumerate(biases)}
    optimizer = None
    if memory:
        arrays |= {f"memory_{at}": array for at, array in enumerate(memory["memory"])}
        optimizer = {key: value for key, value in memory.items() if key != "memory"}
    settings = dict(settings)
    arrays["input_scale"] = np.asarray(settings.pop("input_scale"))
    for name in FUNCTIONS:
        settings[name] = _written(settings[name], name)
    header = {"format": FORMAT, "version": VERSION, "settings": settings, "optimizer": optimizer}
    path = Path(os.path.realpath(path))  # a link stays one
    unfinished = path.with_name(f".{uuid.uuid4().hex[:12]}.tmp")
    try:
        with open(unfinished, "xb") as file:
            np.savez(file, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def load(
    path: Path_
) -> tuple[dict[str, Any], list[NDArray[Any]], list[NDArray[Any]], dict[str, Any] | None]:
    """
    Read what `save` wrote.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is foreign, damaged, or of a later version.
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        try:
            if not zipfile.is_zipfile(file):
                raise ValueError("not a zip archive, or cut off")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                header = json.loads(str(arrays["header"]))
                if header["format"] != FORMAT:
                    raise ValueError(f"format {header['format']!r}")
                if header["version"] > VERSION:
                    raise ValueError(f"version {header['version']}, this cbackprop "
                                     f"reads up to {VERSION}")
                settings = header["settings"]
                scale = arrays["input_scale"]
                for function in FUNCTIONS:
                    settings[function] = _read(settings[function])
                settings["input_scale"] = float(scale) if scale.ndim == 0 else scale
                layers = range(len(settings["sizes"]) - 1)
                weights = [arrays[f"weights_{layer}"] for layer in layers]
                biases = [arrays[f"biases_{layer}"] for layer in layers]
                memory = header.get("optimizer")
                if memory:
                    names = sorted((n for n in arrays.files if n.startswith("memory_")),
                                   key=lambda n: int(n[7:]))
                    memory["memory"] = [arrays[n] for n in names]
        except Exception as error:  # whatever damage makes zipfile, zlib, NumPy and json raise
            raise ValueError(f"{name} is not a whole {FORMAT} file: {error}") from None
    return settings, weights, biases, memory


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
