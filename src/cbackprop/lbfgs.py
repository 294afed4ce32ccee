"""L-BFGS on all examples at once: SciPy's, with costs and gradients from the core."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop.history import History
from cbackprop.rowsource import Examples


def train(
    core: Any, examples: Examples, iterations: int, lmbda: float, tolerance: float,
    gradient_into: Callable[[Any, Any, NDArray[Any]], float],
) -> History:
    """
    Train the core's parameters in place, and record each iteration.

    Raises
    ------
    ModuleNotFoundError
        Without SciPy.
    """
    n = len(examples)
    history = History(recorded=("cost", "seconds", "rows_per_second"), epochs=iterations, rows=n,
                      mini_batch_size=n)
    began = time.perf_counter()

    def record(intermediate_result: Any) -> None:
        nonlocal began
        now = time.perf_counter()
        history.add(cost=float(intermediate_result.fun), seconds=now - began,
                    rows_per_second=n / (now - began))
        began = now

    minimize(core, examples, lmbda / n, record, gradient_into=gradient_into,
             maxiter=iterations, gtol=tolerance, ftol=0.0, maxfun=20 * iterations)
    return history


def minimize(
    core: Any, examples: Examples, l2: float, callback: Callable[[Any], None] | None = None,
    scale: float = 1.0, gradient_into: Callable[[Any, Any, NDArray[Any]], float] | None = None,
    **options: Any,
) -> Any:
    """
    Bring the core's parameters to a minimum of the mean cost plus l2 / 2 times the sum of all w^2.

    Parameters
    ----------
    scale : float
        What SciPy is told of the mean cost, though not of its gradient, is multiplied by this.
    gradient_into : callable (rows, targets, nabla), optional
        By default `core.backprop`, in one thread.
    **options
        SciPy's.

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    ModuleNotFoundError
        Without SciPy.
    """
    try:
        from scipy import optimize
    except ModuleNotFoundError:
        raise ModuleNotFoundError("LBFGS needs SciPy: pip install 'cbackprop[scipy]'") from None
    gradient_into = gradient_into or core.backprop
    parameters, n_weights = _inputs_first(core, core.parameters)
    nabla, of_part = np.zeros_like(core.parameters), np.empty_like(core.parameters)
    gradient, _ = _inputs_first(core, nabla)

    def put(vector: NDArray[Any]) -> None:
        at = 0
        for view in parameters:
            view[...] = vector[at:at + view.size].reshape(view.shape)
            at += view.size

    def cost_and_gradient(vector: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        put(vector)
        nabla[...] = 0
        cost = 0.0
        for rows, targets in examples.all():
            share = len(rows) / len(examples)
            of_part[...] = 0
            cost += share * gradient_into(rows, targets, of_part)
            nabla[...] += share * of_part
        flat = _flat(gradient)
        w = vector[:n_weights]
        flat[:n_weights] += l2 * w
        return scale * cost + l2 / 2 * (w @ w), flat

    found = optimize.minimize(cost_and_gradient, _flat(parameters), jac=True, method="L-BFGS-B",
                              callback=callback, options=options)
    put(found.x)
    return found


def _inputs_first(core: Any, arena: NDArray[Any]) -> tuple[list[NDArray[Any]], int]:
    """Return all w, as they lie in memory, and then all b; and how many numbers the w are."""
    weights, biases = core.views(arena)
    return [*(w.T for w in weights), *biases], sum(w.size for w in weights)


def _flat(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([array.ravel() for array in arrays]).astype(float)
