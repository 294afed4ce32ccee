from typing import Any

from numpy.typing import NDArray

def feedforward(
    w: list[NDArray[Any]], b: list[NDArray[Any]], x: NDArray[Any]
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]: ...
def backprop(
    w: list[NDArray[Any]], b: list[NDArray[Any]], x: NDArray[Any], y: NDArray[Any]
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]: ...
def update_mini_batch(
    w: list[NDArray[Any]], b: list[NDArray[Any]], x: NDArray[Any], y: NDArray[Any], eta: float
) -> None: ...
def sgd(
    w: list[NDArray[Any]], b: list[NDArray[Any]], x: NDArray[Any], y: NDArray[Any],
    order: NDArray[Any], mini_batch_size: int, eta: float
) -> None: ...
