"""The caller's data, made into rows and targets for the core, or refused in one line."""

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, frames, objects, target_values

ROW_TYPES = (np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64))
SMALL = 16  # numbers, up to which a list is faster than NumPy
BLOCK = 2**15  # numbers that stay in the cache between two passes

# See that targets (n, out), with their least and their largest number and their name, are allowed.
Admit: TypeAlias = Callable[[NDArray[Any], float, float, str], None]


def numbers(values: ArrayLike, name: str) -> NDArray[Any]:
    """
    Return an array of real numbers of native byte order, not copied if it is one.

    Of arrays, nested lists, DataFrames and Series of pandas and polars, and whatever offers
    ``__array__`` or DLPack, as the tensors of PyTorch and JAX do. Python's objects become integers
    if all are, else float64.

    Raises
    ------
    TypeError
        If the values are not numbers, are complex or sparse, or lie where NumPy cannot read them.
    ValueError
        If lists are ragged, or values masked or missing.
    """
    array = values if isinstance(values, np.ndarray) else _array(values, name)
    if type(array) is not np.ndarray:
        if _is_masked(array):
            raise ValueError(f"{name} must not have masked values")
        array = np.asarray(array)
    if array.dtype == object:
        odd = objects.odd(array)
        if odd:
            raise TypeError(f"{name} must hold real numbers, got dtype object, holding "
                            f"{_check.shown(odd[0])}{objects.remedy(odd[0], name)}")
        return objects.converted(array)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}"
                        f"{objects.remedy(next(array.flat, None), name)}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _array(values: Any, name: str) -> NDArray[Any]:
    if frames.is_frame(values):
        return frames.array(values, name)
    if is_sparse(values):  # NumPy would make a single object of it
        raise TypeError(f"{name} must be dense, got a sparse {type(values).__name__}: give its "
                        f".toarray()")
    if hasattr(type(values), "bounds") and hasattr(type(values), "reader"):  # of a Stream
        raise TypeError(f"{name} must be rows in an array, got {_check.shown(values)}, whose "
                        f"read(block) returns x and y of a block")
    try:
        if hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
            return np.from_dlpack(values)
        array = np.asanyarray(values)
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(values, (list, tuple)) and isinstance(error, ValueError):
            raise ValueError(f"{name} must be rows of equal length: {error}") from None
        # A tensor with a gradient, on another device, or of a type that NumPy lacks.
        line = str(error).partition("\n")[0]
        raise TypeError(f"{name} must be readable by NumPy, got a {type(values).__name__}: "
                        f"{line}") from None
    if _is_masked(values):  # NumPy overlooks masks in a list
        raise ValueError(f"{name} must not have masked values")
    return array


def _is_masked(values: Any) -> bool:
    if isinstance(values, (list, tuple)):
        if all(issubclass(kind, (float, int, np.number)) for kind in set(map(type, values))):
            return False
        return any(map(_is_masked, values))
    return isinstance(values, np.ma.MaskedArray) and bool(np.ma.is_masked(values))


def finite(array: NDArray[Any], real: str, name: str) -> NDArray[Any]:
    """
    Return the array in the core's real type, C-contiguous, copied only if it must be.

    Raises
    ------
    ValueError
        If a number in it is NaN, infinite, or beyond that type.
    """
    return _finite(array, real, name)[0]


def _finite(array: NDArray[Any], real: str, name: str) -> tuple[NDArray[Any], float, float]:
    """Return the array of `finite`, with its least and its largest number."""
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(array, dtype=real).reshape(array.shape)
    lowest, highest = extremes(converted)
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        where = np.argwhere(~np.isfinite(converted))[0].tolist()
        raise _not_finite(array[tuple(where)], where, real, name)
    return converted, lowest, highest


def extremes(array: NDArray[Any]) -> tuple[float, float]:
    """
    Return the least and the largest number of a C-contiguous array; NaN if there is one.

    Examples
    --------
    >>> extremes(np.array([[3.0, -1.0], [2.0, 0.5]]))
    (-1.0, 3.0)
    """
    flat = array.reshape(-1)
    if flat.size <= SMALL:  # in a third of NumPy's time
        listed = flat.tolist()
        if math.isfinite(sum(listed)):  # a NaN would be ignored by min
            return min(listed, default=0.0), max(listed, default=0.0)
    if flat.size <= BLOCK:
        return float(flat.min()), float(flat.max())
    ends = [extremes(flat[at:at + BLOCK]) for at in range(0, flat.size, BLOCK)]
    return float(np.min(ends)), float(np.max(ends))


def stored_finite(matrix: Any, real: str, name: str) -> None:
    """
    Check that the numbers of a sparse matrix are finite in the core's real type.

    Raises
    ------
    ValueError
        If one is not.
    """
    stored = matrix.tocoo()
    with np.errstate(over="ignore"):
        wrong = np.flatnonzero(~np.isfinite(stored.data.astype(real)))
    if wrong.size:
        at = wrong[0]
        raise _not_finite(stored.data[at], [int(stored.row[at]), int(stored.col[at])], real, name)


def _not_finite(value: Any, where: list[int], real: str, name: str) -> ValueError:
    beyond = f", beyond {real}" if np.isfinite(value) else ""
    return ValueError(f"{name} must be finite, got {value} at {where}{beyond}")


def rows(x: ArrayLike, width: int, name: str = "x") -> NDArray[Any]:
    """
    Return x as C-contiguous rows `(n, width)` of uint8, float32 or float64.

    One example may come as `(width,)`, or as the book's column `(width, 1)`. What is C-contiguous,
    aligned and of one of these types is not copied.

    Raises
    ------
    TypeError, ValueError
        If x is not numeric, or has another shape.
    """
    array = in_rows(numbers(x, name), width, name)
    return np.require(array, row_type(array.dtype), ("C", "A"))


def row_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which the core takes rows of this one."""
    dtype = dtype.newbyteorder("=")
    if dtype in ROW_TYPES:
        return dtype
    return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)


def in_rows(x: Any, width: int, name: str) -> Any:
    """
    Return x in rows of this width.

    Raises
    ------
    ValueError
        If it has another shape.
    """
    if x.shape in {(width,), (width, 1)} and not (width == 1 and x.ndim == 2):
        x = x.reshape(1, width)
    if x.ndim != 2 or x.shape[1] != width:
        raise ValueError(f"{name} must have sizes[0] = {width} columns, got shape {x.shape}"
                         f"{_remedy(x.shape, width, name)}")
    return x


def _remedy(shape: tuple[int, ...], width: int, name: str) -> str:
    """Return the remedy for an error: what gives an array of this shape so many columns."""
    of = name.partition(" ")[0]  # x of "x of training_data"
    if len(shape) > 2 and math.prod(shape[1:]) == width:
        return f"; {of}.reshape(len({of}), -1) has an example in each row"
    if len(shape) == 1 and width == 1:
        return f"; {of}.reshape(-1, 1) has an example in each row"
    if len(shape) == 2 and shape[0] == width:
        return f"; {of}.T has an example in each row"
    return ""


def is_sparse(values: object) -> TypeGuard[Any]:
    """Return whether this is a matrix of scipy.sparse, by its methods: SciPy is not imported."""
    return hasattr(type(values), "tocsr")


def rows_or_sparse(x: Any, width: int, name: str = "x") -> Any:
    """
    Return x as `rows` does; sparse x as a CSR matrix `(n, width)`, not copied if it is one.

    Raises
    ------
    TypeError, ValueError
        As `rows`.
    """
    if not is_sparse(x):
        return rows(x, width, name)
    if x.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    return in_rows(x, width, name).tocsr()


def targets(
    y: ArrayLike, n: int, width: int, real: str, name: str = "y", admit: Admit | None = None
) -> NDArray[Any]:
    """
    Return y as labels `(n,)` of C int, or as rows `(n, width)` of the core's real type.

    One example may come as a label, as `(width,)`, or as the book's column `(width, 1)`. A network
    with one output takes `(n,)` numbers. Labels may be the one column of a DataFrame. What is
    sparse is made dense, if its shape is right.

    Raises
    ------
    TypeError, ValueError
        If y is not numbers, of another shape, not finite, or a label is outside 0..width-1; what
        `admit` raises.
    """
    if is_sparse(y):
        if y.shape != (n, width):
            raise ValueError(f"{name} must have shape ({n}, {width}) where it is sparse, "
                             f"for x has {n} rows, got shape {y.shape}")
        y = y.toarray()
    array = numbers(y, name)
    if n == 1 and array.shape in {(width,), (width, 1)}:
        array = array.reshape(1, width)
    elif n == 1 and array.ndim == 0:
        array = array.reshape(1)
    if width == 1 and array.shape == (n,):
        array = array.reshape(n, 1)
    elif width > 1 and array.shape == (n, 1):
        array = array.reshape(n)
    if array.shape == (n, width):
        rows, lowest, highest = _finite(array, real, name)
        if admit is not None:
            admit(rows, lowest, highest, name)
        return rows
    if array.shape != (n,):
        raise ValueError(f"{name} must be {n} labels or have shape ({n}, {width}), "
                         f"for x has {n} rows, got shape {array.shape}"
                         f"{_remedy_of_targets(array.shape, n, width)}")
    if array.dtype.kind not in "ui":
        array = _whole(array, name)
    if n and not 0 <= array.min() <= array.max() < width:
        wrong = array.min() if array.min() < 0 else array.max()
        remedy = target_values.remedy(array, width)
        raise ValueError(f"{name} must hold labels in 0..{width - 1}, got {wrong}"
                         f"{': ' if remedy else ''}{remedy}")
    return array.astype(np.intc)


def _remedy_of_targets(shape: tuple[int, ...], n: int, width: int) -> str:
    """Return the remedy for an error: what gives targets the right shape."""
    if shape == (width, n):
        return "; its .T has an example in each row"
    if math.prod(shape) == n:
        return "; its .ravel() is a vector"
    if len(shape) == 2 and shape[0] == n:
        return f"; {shape[1]} columns need sizes[-1] = {shape[1]}"
    return ""


def _whole(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """Return labels such as 2.0 or True as integers."""
    with np.errstate(invalid="ignore"):  # values that are no integers
        whole = labels.astype(np.int64)
    odd = labels[whole != labels]
    if odd.size:
        raise TypeError(f"{name} must hold integers where it holds labels, got {odd[0]}; numbers "
                        f"to come close to need a network with one output, or a column for each")
    return whole


def examples(
    data: Any, sizes: tuple[int, ...], real: str, name: str, admit: Admit | None = None
) -> tuple[Any, NDArray[Any]]:
    """
    Return a data set as rows, perhaps sparse, and targets.

    Parameters
    ----------
    data : (x, y), an iterable of pairs (x, y), or a DataLoader
        Arrays, or the book's list of pairs of columns; y of a pair may be a label. Or pairs of many
        examples each, as a DataLoader of PyTorch gives them; they are read to their end.
    admit : callable, optional
        Raises if y has values that are not allowed.

    Raises
    ------
    TypeError, ValueError
        If it is no data set, is empty, or has bad rows or targets.
    """
    x, y = x_and_y(data, name, sizes[0])
    x = rows_or_sparse(x, sizes[0], part("x", name))
    if x.shape[0] == 0:
        raise ValueError(f"{name or 'x'} must hold at least one example, got none")
    return x, targets(y, x.shape[0], sizes[-1], real, part("y", name), admit)


def x_and_y(data: Any, name: str, width: int) -> tuple[Any, Any]:
    """
    Return x and y of a data set, which `examples` describes, and read nothing of (x, y) itself.

    Raises
    ------
    TypeError, ValueError
        As `columns` and `batches`.
    """
    if isinstance(data, tuple) and len(data) == 2 and not all(map(_is_pair, data)):
        return data
    return batches(data, name) if is_loader(data) else columns(data, name, width)


def part(of: str, name: str) -> str:
    """Return the name of x or y of a data set, for errors."""
    return f"{of} of {name}" if name else of


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple) and len(item) == 2


def columns(data: Any, name: str, width: int | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """
    Return the book's list of pairs, or pairs of batches if a width is given, as two arrays of rows.

    Raises
    ------
    TypeError, ValueError
        If it is empty, or has anything but pairs (x, y) of equal shapes.
    """
    rule = f"{name} must be (x, y) arrays or a list of (x, y) pairs"
    if not isinstance(data, Iterable) and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        data = map(data.__getitem__, range(len(data)))  # a Dataset of PyTorch
    if (isinstance(data, (str, bytes, memoryview, np.ndarray))
            or not isinstance(data, Iterable)):
        both = "; x and y make one argument, (x, y)" * hasattr(data, "shape")
        raise TypeError(f"{rule}, got {type(data).__name__}{both}")
    left = iter(data)
    first = list(itertools.islice(left, 1))
    if width is not None and first and _is_batch(first[0], width):
        return _joined(itertools.chain(first, left), name, f"{name} must give (x, y) batches")
    pairs = [*first, *left]
    if any(not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in pairs):
        wrong = next(p for p in pairs if not isinstance(p, (tuple, list)) or len(p) != 2)
        raise TypeError(f"{rule}, got a {type(wrong).__name__} in a {type(data).__name__}")
    if not pairs:
        raise ValueError(f"{name} must hold at least one example, got none")
    x, y = zip(*pairs, strict=True)
    return _stack(x, part("x", name)), _stack(y, part("y", name))


def _is_batch(pair: Any, width: int) -> bool:
    """Return whether x holds many examples, and not one with as many numbers as inputs."""
    if not isinstance(pair, (tuple, list)) or len(pair) == 0:
        return False
    shape = tuple(getattr(pair[0], "shape", ()))
    return math.prod(shape) != width and len(shape) > 1 and math.prod(shape[1:]) == width


def is_loader(data: object) -> bool:
    """Return whether this is a DataLoader of PyTorch, by name: PyTorch is not imported."""
    return any(base.__name__ == "DataLoader" and base.__module__.startswith("torch.utils.data")
               for base in type(data).__mro__)


def batches(loader: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """
    Read a DataLoader to its end, once, into two arrays.

    Raises
    ------
    TypeError, ValueError
        If it has no length, and so perhaps no end, or yields anything but pairs (x, y).
    """
    rule = f"{name} must be a DataLoader of (x, y) batches"
    try:
        len(loader)
    except TypeError as error:
        raise TypeError(f"{rule} that has a length, for it is read to its end, got: "
                        f"{error}") from None
    if loader.batch_size is None and loader.batch_sampler is None:  # it yields single examples
        return columns(iter(loader), name)
    return _joined(loader, name, rule)


def _joined(given: Iterable[Any], name: str, rule: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Copy batches into two arrays."""
    parts: tuple[list[Any], list[Any]] = [], []
    for batch in given:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            came = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
            raise TypeError(f"{rule}, got a {type(batch).__name__}{came}")
        for values, of, kept in zip(batch, "xy", parts, strict=True):
            array = _numbers_or_names(values, part(of, name))
            if array.ndim == 0:
                raise ValueError(f"{part(of, name)} must have one value or row for each example "
                                 "of a batch, got a single number")
            # A copy, since a loader may reuse its memory, and that of its workers is scarce.
            kept.append(np.array(array if of == "y" and array.ndim == 1 else array.reshape(
                len(array), math.prod(array.shape[1:]))))
    if not parts[0]:
        raise ValueError(f"{name} must hold at least one example, got none")
    for arrays, of in zip(parts, "xy", strict=True):
        shapes = {array.shape[1:] for array in arrays}
        if len(shapes) > 1:
            raise ValueError(f"{part(of, name)} must have one shape in every batch, "
                             f"got {sorted(shapes)[:3]}")
    return np.concatenate(parts[0]), np.concatenate(parts[1])


def _numbers_or_names(values: Any, name: str) -> NDArray[Any]:
    """Return an array; names of classes are left to whoever knows the classes."""
    if isinstance(values, (list, tuple)) and values and isinstance(values[0], str):
        return np.array(values)
    if isinstance(values, np.ndarray) and values.dtype.kind == "U":
        return values
    return numbers(values, name)


def _stack(items: tuple[Any, ...], name: str) -> NDArray[Any]:
    """Stack the values of single examples into rows, and labels into a vector."""
    types = set(map(type, items))
    if types == {np.ndarray} and len({item.shape for item in items}) == 1 and items[0].size > 1:
        # At once: ten times as fast as one by one.
        return numbers(np.concatenate(items), name).reshape(len(items), -1)
    if all(issubclass(kind, (int, np.integer)) for kind in types):
        return numbers(items, name)
    if any(issubclass(kind, str) for kind in types):  # names of classes
        return np.array(items, dtype=None if len(types) == 1 else object)
    arrays = [numbers(item, name) for item in items]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(f"{name} must have one shape in every pair, got {sorted(shapes)[:3]}")
    stacked = np.stack(arrays)
    return stacked if stacked.ndim == 1 else stacked.reshape(len(arrays), -1)
