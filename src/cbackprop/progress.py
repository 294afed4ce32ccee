"""How far training is: a bar, the caller's own report, or nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int, int], object]


@contextmanager
def bar(epochs: int, rows: int, progress: bool | Report | None) -> Iterator[Report | None]:
    """
    Give what training reports to: a callable (epoch, rows done, rows), or None.

    Raises
    ------
    ModuleNotFoundError
        If a bar is asked for and tqdm is missing.
    """
    if progress is None or progress is False:
        yield None
    elif callable(progress):
        yield progress
    elif progress is True:
        try:
            from tqdm.auto import tqdm
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "progress=True needs tqdm: pip install 'cbackprop[progress]'") from None
        with tqdm(total=epochs * rows, unit=" rows", unit_scale=True) as shown:
            yield lambda epoch, done, n: shown.update(epoch * n + done - shown.n)
    else:
        raise TypeError(f"progress must be True, a callable or None, got {progress!r}")
