"""Conversions between networks of other libraries and of this one."""

from cbackprop import _renamed
from cbackprop.convert.keras import from_keras, to_keras
from cbackprop.convert.onnx import export_onnx, from_onnx
from cbackprop.convert.sklearn import from_sklearn, to_sklearn
from cbackprop.convert.torch import from_torch, to_torch

__all__ = ["export_onnx", "from_keras", "from_onnx", "from_sklearn", "from_torch", "to_keras",
           "to_sklearn", "to_torch"]

_renamed.install(__name__)
