"""Activations and costs as callers write them, the user's own too, checked for the core."""

from __future__ import annotations

import abc
import ctypes
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check

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
