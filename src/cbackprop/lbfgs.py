"""L-BFGS on all examples at once: SciPy's, with costs and gradients from the core."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop.history import History


def minimize(
    core: Any, rows: Any, targets: Any, iterations: int, lmbda: float, tolerance: float,
    threads: Callable[[], int],
) -> History:
    """
    Train the core's parameters in place.

    Raises
    ------
    ModuleNotFoundError
        Without SciPy.
    """
    try:
        from scipy.optimize import minimize
    except ModuleNotFoundError:
        raise ModuleNotFoundError("LBFGS needs SciPy: pip install 'cbackprop[scipy]'") from None
    n = len(rows)
    parameters = [view for views in core.views(core.parameters) for view in views]
    nabla = np.zeros_like(core.parameters)
    gradient = [view for views in core.views(nabla) for view in views]
    n_weights = sum(view.size for view in core.views(core.parameters)[0])
    history = History(recorded=("cost", "seconds", "rows_per_second"), epochs=iterations, rows=n,
                      mini_batch_size=n)
    began = time.perf_counter()

    def put(vector: NDArray[Any]) -> None:
        at = 0
        for view in parameters:
            view[...] = vector[at:at + view.size].reshape(view.shape)
            at += view.size

    def cost_and_gradient(vector: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        put(vector)
        nabla[...] = 0
        cost = core.backprop(rows, targets, nabla, threads())
        flat = np.concatenate([view.ravel() for view in gradient]).astype(float)
        w = vector[:n_weights]
        flat[:n_weights] += lmbda / n * w
        return cost + lmbda / (2 * n) * (w @ w), flat

    def record(intermediate_result: Any) -> None:
        nonlocal began
        now = time.perf_counter()
        history.add(cost=float(intermediate_result.fun), seconds=now - began,
                    rows_per_second=n / (now - began))
        began = now

    start = np.concatenate([view.ravel() for view in parameters]).astype(float)
    found = minimize(cost_and_gradient, start, jac=True, method="L-BFGS-B", callback=record,
                     options={"maxiter": iterations, "gtol": tolerance, "ftol": 0.0,
                              "maxfun": 20 * iterations})
    put(found.x)
    return history
