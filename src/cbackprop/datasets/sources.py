"""Data sets by name, folder or file, which the command line calls a source."""

from collections.abc import Callable
from pathlib import Path

from .mnist import find_idx, load_mnist
from .readers import (
    MAX_BYTES,
    Sets,
    StrPath,
    read_csv,
    read_idx_pair,
    read_mnist_pickle,
    read_npz,
)


def load(source: StrPath, *, max_bytes: int = MAX_BYTES) -> Sets:
    """Load a data set by its name, its folder or its file.

    ====================================  ==========================================
    `source`                              what is loaded
    ====================================  ==========================================
    ``"mnist"``                           the subset that comes with the package
    ``"mnist-full"``                      the full set, see `load_mnist`
    a folder                              the four files of MNIST in it
    ``.npz``                              see `read_npz`
    ``.csv``, ``.csv.gz``                 see `read_csv`; no test set
    ``.pkl``, ``.pkl.gz``                 the book's pickle: its training and test
                                          parts; the validation part is left out
    ``idx3-ubyte``, ``idx3-ubyte.gz``     images, with the labels beside them
                                          (``...-labels-idx1-ubyte``); no test set
    ====================================  ==========================================

    Parameters
    ----------
    source : str or path-like
        One of the above. A string that is a name is not searched as a file.
    max_bytes : int
        The size to which a compressed file may unpack, unless it is larger itself.

    Returns
    -------
    training : tuple of two ndarrays
        ``(x, y)``: x of shape (n, k), y of shape (n,).
    test : tuple of two ndarrays or None
        The same of the test set; None if the file has none.

    Raises
    ------
    ValueError
        If nothing of this name or ending is known, or a reader refuses the file.
    FileNotFoundError
        If the file, or one that belongs to it, is not there.

    Examples
    --------
    >>> (x, y), test = load("mnist")
    >>> x.shape, y[:5].tolist()
    ((5000, 784), [2, 1, 7, 0, 7])
    """
    if isinstance(source, str) and source in _NAMES:
        return load_mnist(full=_NAMES[source])
    path = Path(source)
    if path.is_dir():
        return load_mnist(path)
    for ending, reader in _READERS.items():
        if path.name.lower().endswith(ending):
            return reader(path, max_bytes=max_bytes)
    raise ValueError(
        f"{source}: a data set must be one of {', '.join(_NAMES)}, a folder, "
        f"or a file ending in one of {', '.join(_READERS)}"
    )


def _load_book(path: Path, max_bytes: int) -> Sets:
    training, _, test = read_mnist_pickle(path, max_bytes=max_bytes)
    return training, test


def _load_csv(path: Path, max_bytes: int) -> Sets:
    return read_csv(path, max_bytes=max_bytes), None


def _load_images(path: Path, max_bytes: int) -> Sets:
    name = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    labels = find_idx(path.parent, name)
    if labels is None:
        raise FileNotFoundError(f"{path}: must have its labels beside it, missing {name} (or .gz)")
    return read_idx_pair(path, labels, max_bytes=max_bytes), None


_NAMES = {"mnist": False, "mnist-full": True}
_READERS: dict[str, Callable[..., Sets]] = {
    ".npz": read_npz,
    ".csv": _load_csv,
    ".csv.gz": _load_csv,
    ".pkl": _load_book,
    ".pkl.gz": _load_book,
    "idx3-ubyte": _load_images,
    "idx3-ubyte.gz": _load_images,
}
