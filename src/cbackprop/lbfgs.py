"""
L-BFGS on all examples at once: SciPy's, with costs and gradients from the core.

Zhu, Byrd, Lu, Nocedal, *ACM Transactions on Mathematical Software* 23, 1997.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, metrics
from cbackprop._check import number
from cbackprop.example_weights import not_all_zero
from cbackprop.history import History
from cbackprop.model import Model

BLOCK = 2**14  # weights at a time: they stay in the cache, and their float32 sum is exact enough


def fit(
    network: Model, training_data: Any, iterations: int, lmbda: float, tolerance: float,
    sample_weight: Any, class_weight: Any,
) -> History:
    """
    Train a network as `Network.LBFGS` says, and record each iteration.

    Raises
    ------
    TypeError, ValueError, ModuleNotFoundError, DivergenceError, RuntimeError
        As `Network.LBFGS`. The parameters are then as before.
    """
    engine = network.engine
    rows, targets = engine.arrays(
        training_data, "training_data", True, engine.target_values.trained, sample_weight,
        class_weight)
    not_all_zero(targets.weights, "training_data")
    kind = metrics.kind_of(engine, targets.y)
    metrics.check_class_weight(class_weight, kind)
    n, iterations = len(rows), _check.integer("iterations", iterations, 1)
    lmbda, tolerance = number("lmbda", lmbda, 0), number("tolerance", tolerance, 0)
    history = History(recorded=("cost", "seconds", "rows_per_second"), epochs=iterations, rows=n,
                      mini_batch_size=n)
    began = time.perf_counter()

    def record(intermediate_result: Any) -> None:
        nonlocal began
        now = time.perf_counter()
        history.add(cost=[float(intermediate_result.fun)], seconds=[now - began],
                    rows_per_second=[n / (now - began)])
        began = now

    saved = engine.snapshot()
    with engine.exclusive():
        try:
            minimize(engine.core, rows, targets, lmbda / n, record,
                     gradient_into=engine.gradient, maxiter=iterations, gtol=tolerance, ftol=0.0,
                     maxfun=20 * iterations)
            if not (all(map(math.isfinite, history.cost)) and engine.core.all_finite()):
                raise engine.diverged("L-BFGS diverged", None, rows)
        except BaseException:
            engine.restore(saved)
            raise
        network.history, network.trained_on = history, kind
    return history


def minimize(
    core: Any, rows: Any, targets: Any, l2: float,
    callback: Callable[[Any], None] | None = None, scale: float = 1.0,
    gradient_into: Callable[[Any, Any, NDArray[Any]], float] | None = None, **options: Any,
) -> Any:
    """
    Bring the core's parameters to a minimum of the mean cost plus l2 / 2 times the sum of all w^2.

    Parameters
    ----------
    scale : float
        A factor of the mean cost that SciPy gets, though not of its gradient.
    gradient_into : callable (rows, targets, nabla), optional
        It computes the gradient; by default `core.backprop`, in one thread.
    **options
        Options of SciPy's minimizer.

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    ModuleNotFoundError
        If SciPy is missing.
    """
    try:
        from scipy import optimize
    except ModuleNotFoundError:
        raise ModuleNotFoundError("LBFGS needs SciPy: pip install 'cbackprop[scipy]'") from None
    gradient_into = gradient_into or core.backprop
    parameters, n_weights = _inputs_first(core, core.parameters)
    nabla = np.zeros_like(core.parameters)
    derivatives, _ = _inputs_first(core, nabla)

    def put(vector: NDArray[Any]) -> None:
        for view, part in _parts(parameters, vector):
            view[...] = part

    # In the core's type: then SciPy's many copies of float32 are half as large.
    begin = np.empty(sum(view.size for view in parameters), core.parameters.dtype)
    for view, part in _parts(parameters, begin):
        part[...] = view
    at = flat = np.empty(0)  # where the gradient is, and it: made once, SciPy copies what it keeps

    # Not one function of both, with jac=True: SciPy would keep one more copy of everything.
    def cost(vector: NDArray[Any]) -> float:
        nonlocal at, flat
        at = vector
        if flat.dtype != vector.dtype or flat.size != vector.size:
            flat = np.empty_like(vector)  # SciPy before 1.12 gives float64, and must get it
        put(vector)
        nabla[...] = 0
        mean = gradient_into(rows, targets, nabla)
        for view, part in _parts(derivatives, flat):
            part[...] = view
        squares = 0.0
        for first in range(0, n_weights, BLOCK):
            block = slice(first, min(first + BLOCK, n_weights))
            w = vector[block]
            flat[block] += l2 * w
            squares += float(w @ w)
        return scale * mean + l2 / 2 * squares

    def gradient(vector: NDArray[Any]) -> NDArray[Any]:
        if not np.array_equal(vector, at):
            cost(vector)
        return flat

    found = optimize.minimize(cost, begin, jac=gradient, method="L-BFGS-B", callback=callback,
                              options=options)
    put(found.x)
    return found


def _inputs_first(core: Any, arena: NDArray[Any]) -> tuple[list[NDArray[Any]], int]:
    """Return all w, as they lie in memory, followed by all b, and the number of weights."""
    weights, biases = core.views(arena)
    return [*(w.T for w in weights), *biases], sum(w.size for w in weights)


def _parts(
    views: list[NDArray[Any]], vector: NDArray[Any]
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield each view, with its part of the vector in the same shape."""
    at = 0
    for view in views:
        yield view, vector[at:at + view.size].reshape(view.shape)
        at += view.size
