"""Activations and costs as callers write them, the user's own too, checked for the core."""

from __future__ import annotations

import abc
import ctypes
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, data

# Irregular: a kink of the user's is at none of them. Whole numbers and halves are where kinks are.
POINTS = np.array([-3.37, -2.13, -1.31, -0.87, -0.41, -0.13, 0.11, 0.37, 0.83, 1.29, 2.19, 3.41])
STEP = 1e-3
RTOL, ATOL = 1e-4, 1e-6


class Function(abc.ABC):
    """A function of the user's with its derivative; see `Activation` and `Cost`."""

    _kind, _where = "function", "z"
    _arguments = 1
    _points: tuple[NDArray[Any], ...] = ()  # to compare f_prime at when it is made

    def __init__(
        self, f: Any, f_prime: Any, *, name: str | None = None
    ) -> None:
        name = name or getattr(f, "__name__", None) or type(f).__name__
        self.name = f"{self._kind} {name!r}"
        self.f, self.f_prime = f, f_prime
        found = [_address(f, self._arguments, "f", self.name),
                 _address(f_prime, self._arguments, "f_prime", self.name)]
        if (found[0] is None) != (found[1] is None):
            raise TypeError(f"{self.name}: f and f_prime must both be compiled, or both take "
                            f"arrays")
        self.addresses = None if None in found else cast("tuple[int, int]", tuple(found))
        mistake = self.mistake(*self._points)
        if mistake is not None:
            raise ValueError(mistake)

    def __repr__(self) -> str:
        return f"<cbackprop {self.name}>"

    def __copy__(self) -> Function:
        return self

    def __deepcopy__(self, memo: Any) -> Function:
        return self

    def _values(
        self, which: str, *arrays: NDArray[Any], shape: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        """Call f or f_prime, compiled or not, and look at the shape of what comes."""
        if self.addresses is not None:
            of = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * len(arrays))(
                self.addresses[which == "f_prime"])
            numbers = [of(*one) for one in zip(*(a.ravel() for a in arrays), strict=True)]
            values = np.array(numbers).reshape(arrays[0].shape)
            return values if shape in (None, values.shape) else values.sum(axis=1)
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(getattr(self, which)(*(a.copy() for a in arrays)))
        except TypeError as error:
            raise TypeError(f"{self.name}: {which} must take {len(arrays)} "
                            f"array{'s' * (len(arrays) > 1)}, got: {error}") from None
        wanted = arrays[0].shape if shape is None else shape
        if values.shape != wanted:
            raise ValueError(f"{self.name}: {which} must return an array of shape {wanted} for "
                             f"arguments of shape {arrays[0].shape}, got {values.shape}")
        return values

    def mistake(self, *points: NDArray[Any]) -> str | None:
        """
        Compare f_prime with differences of f, (46), where that tells.

        Parameters
        ----------
        points : arrays of shape (examples, neurons)
            The arguments.

        Returns
        -------
        str or None
            Where f_prime is not the derivative of f, in a sentence; None if it is.
        """
        given = self._values("f_prime", *points)
        measured, finer = (self._differences(step, *points) for step in (STEP, STEP / 8))
        smooth = np.isfinite(measured) & np.isclose(measured, finer, rtol=RTOL, atol=ATOL)
        wrong = smooth & ~np.isclose(given, measured, rtol=RTOL, atol=ATOL)
        if not wrong.any():
            return None
        at = tuple(np.argwhere(wrong)[0])
        return (f"{self.name}: f_prime is not the derivative of f: at {self._where} = "
                f"{points[0][at]:g} it gives {given[at]:g}, differences of f {measured[at]:g}")

    @abc.abstractmethod
    def _differences(self, step: float, *points: NDArray[Any]) -> NDArray[Any]:
        """Return the difference quotients of f by its first argument."""


class Activation(Function):
    """
    An activation function of the user's own.

    Parameters
    ----------
    f, f_prime : callable
        sigma(z) and sigma'(z): NumPy functions of arrays (examples, neurons) of the network's
        dtype, at most 512 examples at a time, for which the GIL is taken; or compiled functions
        ``double (double)``, called for each number without it: a `scipy.LowLevelCallable`, a
        Numba ``cfunc``, a `ctypes` function, or a capsule, as Cython exports them.
    name : str, optional
        For messages.

    Raises
    ------
    TypeError, ValueError
        If a function takes other arguments or returns another shape, or if f_prime is not the
        derivative of f, which is looked at on some points between -3.5 and 3.5.

    Examples
    --------
    >>> import numpy as np
    >>> cube = cbackprop.Activation(lambda z: z**3, lambda z: 3 * z**2, name="cube")
    >>> net = cbackprop.Network([2, 3, 1], activation=cube, output_activation="identity", seed=0)
    >>> cbackprop.Activation(np.sin, np.sin)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: activation 'sin': f_prime is not the derivative of f: at z = -3.37 it gives 0.226...
    """

    _kind, _where = "activation", "z"
    _points: tuple[NDArray[Any], ...] = (POINTS[:, None],)

    def _differences(self, step: float, *points: NDArray[Any]) -> NDArray[Any]:
        (z,) = points
        return _quotient([self._values("f", z + k * step) for k in (-2, -1, 1, 2)], step)


class Cost(Function):
    """
    A cost of the user's own.

    Parameters
    ----------
    f, f_prime : callable
        C(a, y) and dC/da. NumPy functions of two arrays (examples, outputs): f returns the cost of
        each example, of shape (examples,), f_prime an array as a. Or compiled functions ``double
        (double, double)`` of one output and its target, whose costs are summed over the outputs;
        in the forms that `Activation` takes.
    name : str, optional

    Raises
    ------
    TypeError, ValueError
        As `Activation`; outputs between 0.1 and 0.9 are looked at, for targets 0, 0.3 and 1.

    Examples
    --------
    >>> fourth = cbackprop.Cost(lambda a, y: ((a - y)**4).sum(axis=1), lambda a, y: 4 * (a - y)**3)
    >>> net = cbackprop.Network([2, 3, 1], cost=fourth, seed=0)
    """

    _kind, _where = "cost", "a"
    _arguments = 2
    _points = (np.linspace(0.113, 0.887, 12).reshape(6, 2),
               np.array([0, 1, 0.3, 0, 1, 0.3, 1, 0, 0.3, 1, 0.3, 0]).reshape(6, 2))

    def _differences(self, step: float, *points: NDArray[Any]) -> NDArray[Any]:
        a, y = points
        found = np.empty_like(a)
        for j, one in enumerate(step / 10 * np.eye(a.shape[1])):
            f = [self._values("f", a + k * one, y, shape=(len(a),)) for k in (-2, -1, 1, 2)]
            found[:, j] = _quotient(f, step / 10)
        return found


def _quotient(f: list[NDArray[Any]], step: float) -> Any:
    """Four points: the error is of order step^4."""
    with np.errstate(all="ignore"):
        return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)


def _address(function: Any, arguments: int, which: str, name: str) -> int | None:
    """Return where a compiled function begins; None if it is Python's."""
    signature = f"double ({', '.join(['double'] * arguments)})"
    rule = f"{name}: {which} must be compiled as {signature}"
    if type(function).__name__ == "LowLevelCallable" and isinstance(function, tuple):
        function = tuple.__getitem__(function, 0)
    if isinstance(getattr(function, "address", None), int) and hasattr(function, "ctypes"):
        function = function.ctypes  # Numba's
    if type(function).__name__ == "PyCapsule":
        capsule = ctypes.pythonapi
        capsule.PyCapsule_GetName.restype = ctypes.c_char_p
        capsule.PyCapsule_GetName.argtypes = [ctypes.py_object]
        capsule.PyCapsule_GetPointer.restype = ctypes.c_void_p
        capsule.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        came = capsule.PyCapsule_GetName(function)
        kind = (came or b"").decode().replace("noexcept nogil", "").strip()
        if kind != signature and kind != signature.replace(", ", ",").replace(" (", "("):
            raise TypeError(f"{rule}, got {kind!r}")
        return int(capsule.PyCapsule_GetPointer(function, came))
    if hasattr(function, "restype") and hasattr(function, "argtypes"):  # of ctypes
        double = ctypes.c_double
        if function.restype is not double or (
                function.argtypes is not None
                and tuple(function.argtypes) != (double,) * arguments):
            raise TypeError(f"{rule}, got restype {function.restype} and argtypes "
                            f"{function.argtypes}")
        return ctypes.cast(function, ctypes.c_void_p).value
    if not callable(function):
        raise TypeError(f"{name}: {which} must be callable or a compiled function, "
                        f"got {_check.shown(function)}")
    return None


# ---- names and parameters ----


def one(argument: str, value: Any, known: Mapping[str, int], build: Any, own: type) -> Any:
    """
    Return a function as the core takes it: a name, (name, parameter), or an object.

    Raises
    ------
    TypeError, ValueError
        If it is unknown, or its parameter is not what it takes.
    """
    if isinstance(value, own):
        return value
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        name = value[0]
        if name in known and name in build.PARAMETERS:
            parameter, _, may_be_0 = build.PARAMETERS[name]
            rule = (f"{argument}: {parameter} of {name!r} must be finite and "
                    f"{'not negative' if may_be_0 else 'positive'}")
            try:
                number = float(value[1])
            except (TypeError, ValueError):
                raise TypeError(f"{rule}, got {_check.shown(value[1])}") from None
            except OverflowError:
                number = math.inf
            if not (math.isfinite(number) and (number > 0 or (may_be_0 and number == 0))):
                raise ValueError(f"{rule}, got {_check.shown(value[1])}")
            return name, number
        if name in known:
            takes = sorted(name for name in known if name in build.PARAMETERS)
            raise ValueError(f"{argument}: only {takes} take a parameter, "
                             f"got {_check.shown(value)}")
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{argument} must be one of {sorted(known)}, got {_check.shown(value)}")
    return str(value)


def layer(argument: str, value: Any, size: int, build: Any) -> Any:
    """
    Return a layer's activation: a function, or a list of (function, how many neurons).

    Parameters
    ----------
    value : function, dict of functions and how many neurons, or sequence of one for each neuron

    Raises
    ------
    TypeError, ValueError
        If a function is unknown, or neurons are too few or too many.
    """
    known = build.ACTIVATIONS
    if isinstance(value, dict):
        runs = [(one(argument, function, known, build, Activation), count)
                for function, count in value.items()]
        counts = [count for _, count in runs]
        if not all(isinstance(count, (int, np.integer)) and count > 0 for count in counts):
            raise ValueError(f"{argument}: numbers of neurons must be positive integers, "
                             f"got {_check.shown(value)}")
        if sum(counts) != size:
            raise ValueError(f"{argument} must have {size} neurons, as the layer has, got "
                             f"{_check.shown(sum(counts))} in {_check.shown(value)}")
    elif isinstance(value, (list, np.ndarray)):
        neurons = [one(argument, function, known, build, Activation)
                   for function in (value.tolist() if isinstance(value, np.ndarray) else value)]
        if len(neurons) != size:
            raise ValueError(f"{argument} must have {size} neurons, as the layer has, got "
                             f"{len(neurons)} in {_check.shown(value)}")
        runs = []
        for function in neurons:
            if runs and runs[-1][0] == function:
                runs[-1] = (function, runs[-1][1] + 1)
            else:
                runs.append((function, 1))
    else:
        runs = [(one(argument, value, known, build, Activation), size)]
    whole = [function for function, _ in runs if function in build.WHOLE_LAYER]
    if whole and len(runs) > 1:
        raise ValueError(f"{argument}: {whole[0]!r} must have the whole layer, "
                         f"got {_check.shown(value)}")
    if whole and size == 1:
        raise ValueError(f"{argument} {whole[0]!r} needs two neurons or more, got a layer of 1")
    return runs[0][0] if len(runs) == 1 else [(function, int(count)) for function, count in runs]


def layers(
    activation: Any, output_activation: Any, cost: Any, sizes: Sequence[int], build: Any
) -> tuple[list[Any], Any]:
    """
    Return the activation of each layer of weights, and what was asked for the last.

    Raises
    ------
    TypeError, ValueError
        As `layer`; or if a list has another length than the network, or contradicts.
    """
    n = len(sizes) - 1
    if isinstance(activation, (list, np.ndarray)):
        if len(activation) != n:
            raise ValueError(f"activation must have {n} entries, one for each layer of weights, "
                             f"the output included, got {len(activation)}: "
                             f"{_check.shown(activation)}")
        last = activation[-1]
        if output_activation is not None and not _same(output_activation, last):
            raise ValueError(f"output_activation must be None where activation is a list, "
                             f"got {_check.shown(output_activation)}")
        return [layer(f"activation[{at}]", value, sizes[at + 1], build)
                for at, value in enumerate(activation)], last
    hidden = [layer("activation", activation, size, build) for size in sizes[1:-1]]
    if output_activation is None:
        name = cost[0] if isinstance(cost, tuple) else cost
        output_activation = build.GOES_WITH.get(name, activation)
    if not hidden:
        layer("activation", activation, max(sizes[-1], 2), build)
    return [*hidden, layer("output_activation", output_activation, sizes[-1], build)], \
        output_activation


def threshold(cost: Any, build: Any) -> float:
    """Return what a single output, and its target, is a class against: 0 for hinges, else 1/2."""
    name = cost[0] if isinstance(cost, tuple) else cost
    return float(build.THRESHOLDS.get(name, 0.5)) if isinstance(name, str) else 0.5


def plain(value: Any) -> Any:
    """Return a copy of how activations were asked for, without arrays."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return dict(value) if isinstance(value, dict) else value


def described(function: Any) -> str:
    """Return an activation of a layer, or a cost, as text."""
    if isinstance(function, list):
        return ", ".join(f"{count} {described(one)}" for one, count in function)
    if isinstance(function, tuple):
        return f"{function[0]}({function[1]:g})"
    return str(function)


def _same(one_: Any, other: Any) -> bool:
    try:
        return bool(np.all(one_ == other))
    except ValueError:
        return False


# ---- weights of examples ----


def weights(
    sample_weight: Any, class_weight: Any, y: NDArray[Any], classes: int, real: str
) -> NDArray[Any] | None:
    """
    Return one weight for each example, or None.

    Raises
    ------
    TypeError, ValueError
        If weights are negative or not finite, or of another number; or for classes that the
        network has not.
    """
    result = None
    if sample_weight is not None:
        array = data.numbers(sample_weight, "sample_weight")
        if array.shape != y.shape[:1]:
            raise ValueError(f"sample_weight must have shape ({y.shape[0]},), one for each "
                             f"example, got {array.shape}")
        result = data.finite(array, real, "sample_weight")
        if result.min() < 0:
            raise ValueError(f"sample_weight must not be negative, got {result.min():g}")
    if class_weight is not None:
        by_example = _by_class(class_weight, y, classes)[_labels(y)].astype(real)
        result = by_example if result is None else result * by_example
    return result


def _labels(y: NDArray[Any]) -> NDArray[Any]:
    """Return each example's class: the largest of its targets, or a single one against 1/2."""
    if y.ndim == 1:
        return y
    if y.shape[1] > 1:
        return np.asarray(y.argmax(axis=1)).ravel()  # of a sparse matrix it is a column
    one = y.toarray() if data.is_sparse(y) else y
    return (one[:, 0] > 0.5).astype(int)


def _by_class(class_weight: Any, y: NDArray[Any], outputs: int) -> NDArray[Any]:
    counts = np.bincount(_labels(y), minlength=max(outputs, 2))
    if isinstance(class_weight, str) and class_weight == "balanced":
        return y.shape[0] / (np.maximum(counts, 1) * np.count_nonzero(counts))
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight must be 'balanced' or a dict of labels and weights, "
                        f"got {_check.shown(class_weight)}")
    by_class = np.ones(len(counts))
    for label, weight in class_weight.items():
        real = isinstance(label, (*_check.REAL, np.bool_))
        if not (real and 0 <= label < len(counts) and label == int(label)):
            raise ValueError(f"class_weight must be for classes in 0..{len(counts) - 1}, "
                             f"got {_check.shown(label)}")
        known = int(label)
        try:
            by_class[known] = float(weight)
        except (TypeError, ValueError, OverflowError):
            by_class[known] = math.nan
        if not (math.isfinite(by_class[known]) and by_class[known] >= 0):
            raise ValueError(f"class_weight must be finite and not negative, "
                             f"got {_check.shown(weight)} for class {known}")
    return by_class
