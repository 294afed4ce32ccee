"""MNIST: the subset that comes with the package, and the full set found or downloaded."""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cbackprop import storage

from .readers import Pair, StrPath, read_idx_pair, read_npz

# The four files, with the SHA-256 of each as its authors packed it (.gz).
FILES = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 20.0  # seconds without a byte
MAX_FILE_BYTES = 2**24  # the largest file has 10 million
SUBSET = Path(__file__).with_name("mnist_subset.npz")


def load_mnist(path: StrPath | None = None, *, full: bool = False) -> tuple[Pair, Pair]:
    """Load MNIST's images of handwritten digits.

    By default the subset that comes with the package: 5,000 training and 1,000
    test images, the same number of each digit. The full set (60,000 and 10,000)
    is looked for in `path`; or, if that is None, in ``$CBACKPROP_DATA``, in its
    subfolder ``mnist``, and in the user's cache, into which it is downloaded if
    it is nowhere: 11 MB, from the first of two mirrors that gives what it should.

    Parameters
    ----------
    path : str or path-like, optional
        A folder that holds the four IDX files of the full set, packed by gzip or
        not. No other place is searched then.
    full : bool, default False
        Whether to load the full set. A `path` implies it.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuple of tuples of ndarrays
        x is uint8, C-contiguous, of shape (n, 784): one image per row, 0 for
        paper and 255 for ink. y is int64 of shape (n,): the digits.

    Raises
    ------
    FileNotFoundError
        If the full set is neither found nor downloaded. The error says which files to put where.
    ValueError
        If a file is found but is not what its name says.

    Examples
    --------
    >>> (x_train, y_train), (x_test, y_test) = load_mnist()
    >>> x_train.shape, y_train.shape, x_test.shape, y_test.shape
    ((5000, 784), (5000,), (1000, 784), (1000,))
    """
    if path is not None:
        return _read_folder(Path(path))
    if not full:
        training, test = read_npz(SUBSET)
        assert test is not None
        return training, test
    for folder in _folders():
        if not _missing(folder):
            return _read_folder(folder)
    try:
        _download(_cache())
    except OSError as error:
        raise FileNotFoundError(_how_to_get_it(error)) from error
    return _read_folder(_cache())


def find_idx(folder: Path, name: str) -> Path | None:
    """Find an IDX file under the spellings of its name that are in use.

    Parameters
    ----------
    folder : Path
        Where to look.
    name : str
        The usual name, such as ``train-images-idx3-ubyte``.

    Returns
    -------
    Path or None
        The file with that name or with ``.idx3-ubyte``, bare or followed by ``.gz``.
    """
    for spelling in (name, name.replace("-idx", ".idx")):
        for ending in ("", ".gz"):
            file = folder / (spelling + ending)
            if file.is_file():
                return file
    return None


def _missing(folder: Path) -> list[str]:
    return [name for name in FILES if find_idx(folder, name) is None]


def _read_folder(folder: Path) -> tuple[Pair, Pair]:
    files = [file for name in FILES if (file := find_idx(folder, name))]
    if len(files) < len(FILES):
        raise FileNotFoundError(
            f"{folder}: must hold MNIST's four files (.gz or not), "
            f"missing {', '.join(_missing(folder))}"
        )
    return _read_set(files[0], files[1]), _read_set(files[2], files[3])


def _read_set(images: Path, labels: Path) -> Pair:
    x, y = read_idx_pair(images, labels)
    if x.dtype != np.uint8 or x.shape[1] != 784 or y.dtype != np.int64:
        raise ValueError(
            f"{images}: images and labels must be uint8 of 28 x 28 pixels and integers, "
            f"got {x.dtype} of {x.shape[1]} pixels and {y.dtype}"
        )
    return x, y


def _folders() -> Iterator[Path]:
    data = os.environ.get("CBACKPROP_DATA")
    if data:
        yield Path(data)
        yield Path(data, "mnist")
    yield _cache()


def _cache() -> Path:
    """Return the folder in which this system keeps caches."""
    if sys.platform == "win32":
        default, chosen = Path.home() / "AppData" / "Local", os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        default, chosen = Path.home() / "Library" / "Caches", None
    else:
        default, chosen = Path.home() / ".cache", os.environ.get("XDG_CACHE_HOME")
    return Path(chosen or default, "cbackprop", "mnist")


def _download(folder: Path) -> None:
    """Fetch each file that is not there from the first mirror that gives it whole."""
    missing = _missing(folder)
    print(f"downloading MNIST (11 MB) into {folder}", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in missing:
        file, failures = f"{name}.gz", []
        for mirror in MIRRORS:
            try:
                packed = _fetched(mirror + file, FILES[name])
            except (OSError, ValueError) as error:  # unreachable; not the bytes we know
                failures.append(f"{mirror}{file}: {error}")
                continue
            with storage.replacing(folder / file) as whole:
                whole.write(packed)
            break
        else:
            raise OSError("; ".join(failures))


def _fetched(address: str, sha256: str) -> bytes:
    """
    Return the content of an address.

    Raises
    ------
    OSError
        If it cannot be reached, or answers nothing for `TIMEOUT` seconds.
    ValueError
        If it is not the bytes of this SHA-256.
    """
    import http.client  # here, for most who import this package have MNIST, or need none
    import urllib.request

    content = bytearray()
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
            while len(content) <= MAX_FILE_BYTES and (piece := answer.read(storage.PIECE)):
                content += piece
    except http.client.HTTPException as error:  # it broke off, or speaks no HTTP
        raise OSError(f"{type(error).__name__} {error}".rstrip()) from None
    came = hashlib.sha256(content).hexdigest()
    if came != sha256:
        raise ValueError(f"its SHA-256 must be {sha256}, got {came} of {len(content):,} bytes")
    return bytes(content)


def _how_to_get_it(reason: Exception) -> str:
    files = "\n".join(f"  {name}.gz" for name in FILES)
    return (
        "MNIST was not found, and could not be downloaded. Get the four files\n"
        f"{files}\n"
        f"from {' or '.join(MIRRORS)}\n"
        "and put them into the folder that the environment variable CBACKPROP_DATA names,\n"
        f"into its subfolder mnist, or into {_cache()}\n"
        f"The download failed with: {reason}"
    )
