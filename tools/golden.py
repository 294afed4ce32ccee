"""
Hash what trainings leave, so that a change of structure can show that it changed no bit.

    python tools/golden.py record golden.json     # before
    python tools/golden.py check golden.json      # after: names what differs, exit status 1

Every activation, cost and optimizer, dropout and noise, narrow and wide outputs, sliced
mini-batches, all kinds of rows and targets, 1, 2 and 5 threads, both real types, each build that
this CPU runs.
The bits depend on the compiler, so a recording is compared on the machine where it was made.
"""

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import cbackprop
from cbackprop import inspect
from cbackprop.core import _dispatch

REALS = ("float32", "float64")


def cases(dtype: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name each training, with the arguments of its network and of `SGD` beyond the common."""
    core = _dispatch.load(dtype)
    for name in core.ACTIVATIONS:
        if name != "softmax":
            yield f"activation {name}", {"activation": name}, {}
        yield f"output {name}", {"output_activation": name}, {}
    several = [["sigmoid"] * 8 + ["relu"] * 5 + [("leaky_relu", 0.2)] * 6, "gelu", "identity"]
    yield "activation several", {"activation": several}, {}
    for name in core.COSTS:
        yield f"cost {name}", {"cost": name}, {}
        if name not in ("kl_divergence", "log_likelihood"):  # softmax is not for one neuron
            yield f"cost {name}, narrow", {"cost": name, "sizes": [13, 19, 1]}, {}
    for name in cbackprop.optimizers.KNOWN:
        yield f"optimizer {name}", {}, {"optimizer": name}
        yield f"optimizer {name}, decays", {}, {
            "optimizer": name, "lmbda": 0.1, "l1": 0.01, "weight_decay": 0.01}
        yield f"optimizer {name}, clips", {}, {
            "optimizer": name, "clip_norm": 0.1, "clip_value": 0.05, "max_norm": 0.9}
        yield f"optimizer {name}, weights", {}, {"optimizer": name, "weights": True}
    yield "dropout", {"activation": "relu"}, {"dropout": [0.1, 0.3, 0.2], "noise": 0.05}
    yield "sliced", {}, {"mini_batch_size": 700}
    yield "sliced, adam", {}, {"mini_batch_size": 700, "optimizer": "adam"}
    yield "zeros skipped", {"activation": "relu"}, {"skip_zeros": True, "zeros": True}
    yield "uint8", {"input_scale": 1 / 255}, {"rows": "uint8"}
    yield "scales", {"input_scale": np.linspace(0.5, 2, 13)}, {}
    yield "labels", {"cost": "log_likelihood", "output_activation": "softmax"}, {"labels": True}
    yield "wide", {"sizes": [150, 270, 140, 10]}, {"mini_batch_size": 40}
    yield "few examples", {}, {"mini_batch_size": 1}
    yield "row", {"sizes": [8, 16, 16, 1]}, {"mini_batch_size": 32}


def digest(*arrays: Any) -> str:
    """Return a short hash of the bytes of arrays."""
    all_of_them = hashlib.sha256()
    for array in arrays:
        all_of_them.update(np.ascontiguousarray(array).tobytes())
    return all_of_them.hexdigest()[:16]


def with_threads(count: int) -> None:
    """Have networks train in so many threads, whatever their size and this machine."""
    setattr(cbackprop.thread_choice.ThreadTuner, "threads", lambda tuner, asked: count)  # noqa: B010
    setattr(cbackprop.thread_choice, "for_reading", lambda asked, multiplications: count)  # noqa: B010


def with_any_targets() -> None:
    """Have networks train on targets beyond their outputs: bits are what counts here."""
    setattr(cbackprop.target_values.Rule, "trained", lambda *_: None)  # noqa: B010


def train(dtype: str, of: dict[str, Any], how: dict[str, Any], threads: int) -> str:
    """Train for two epochs; hash the parameters, the costs, an evaluation and a gradient."""
    of, how = dict(of), dict(how)
    sizes = of.pop("sizes", [13, 19, 17, 6])
    generator = np.random.default_rng(1)
    x = generator.random((731 if how.get("mini_batch_size") == 700 else 90, sizes[0]))
    if how.pop("zeros", False):
        x *= x > 0.8
    x = x.astype(how.pop("rows", dtype)) if how.get("rows") != "uint8" else (
        255 * x).astype(how.pop("rows"))
    y = generator.random((len(x), sizes[-1])).astype(dtype)
    if of.get("cost") in ("hinge", "squared_hinge"):
        y = np.where(y > 0.5, 1, -1).astype(dtype)
    if of.get("cost") == "huber":  # beyond its parabola too
        y = 4 * y
    if how.pop("labels", False):
        y = y.argmax(axis=1)
    if how.pop("weights", False):
        how["sample_weight"] = generator.random(len(x))
    with_threads(threads)
    with_any_targets()
    net = cbackprop.Network(sizes, dtype=dtype, seed=2, **of)
    how.setdefault("mini_batch_size", 16)
    costs: list[float] = []
    with contextlib.suppress(cbackprop.DivergenceError):  # a cost that is not for such outputs
        costs += net.SGD((x, y), 2, eta=0.05, monitor=["training_cost"], **how).training_cost
    nabla_b, nabla_w = net.backprop(x[0], y[0])
    second = inspect.hessian_vector(net, x[:20], y[:20], (nabla_b, nabla_w))
    return digest(*net.weights, *net.biases, costs, net.feedforward(x), *nabla_b, *nabla_w,
                  *second[0], *second[1], inspect.input_gradient(net, x[:20], y[:20]))


def recorded() -> dict[str, str]:
    """Hash every case in the build that is loaded."""
    return {
        f"{_dispatch.ISA}, {dtype}, {threads} threads, {name}": train(dtype, of, how, threads)
        for dtype in REALS for threads in (1, 2, 5) for name, of, how in cases(dtype)
    }


def all_builds() -> dict[str, str]:
    """Hash every case in each build that this CPU runs: a process of its own for each."""
    hashes = {}
    for isa in (level for level in _dispatch.BUILT if level in _dispatch.SUPPORTED):
        print(isa, file=sys.stderr)
        run = subprocess.run(
            [sys.executable, __file__, "one", "-"], stdout=subprocess.PIPE, check=True,
            env={**os.environ, "CBACKPROP_ISA": isa})
        hashes |= json.loads(run.stdout)
    return hashes


def main() -> int:
    """Record, or compare with a recording."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("action", choices=["record", "check", "one"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    if arguments.action == "one":
        json.dump(recorded(), sys.stdout)
        return 0
    hashes = all_builds()
    if arguments.action == "record":
        arguments.file.write_text(json.dumps(hashes, indent=0) + "\n")
        print(len(hashes), "hashes recorded")
        return 0
    before = json.loads(arguments.file.read_text())
    compared = before.keys() & hashes.keys()
    differing = sorted(name for name in compared if before[name] != hashes[name])
    print(*differing, f"{len(differing)} of {len(compared)} differ", sep="\n")
    for name in sorted(before.keys() - hashes.keys()):
        print("no longer there:", name)
    return bool(differing or before.keys() - hashes.keys())


if __name__ == "__main__":
    sys.exit(main())
