"""
What backpropagation does inside a network: chapter 2, looked at.

Layers are counted as in `Network.weights`: layer 0 is the first layer of weights and the neurons
behind it, the inputs are none. So z, a and delta of layer l are the book's of layer l + 2.

Whatever takes a network takes a fitted estimator of `cbackprop.sklearn`; y is then as its `fit`
takes it.
"""

from cbackprop import _renamed
from cbackprop.inspect.demon import Demon, demon
from cbackprop.inspect.derivatives import hessian_vector, input_gradient, jacobian
from cbackprop.inspect.gradient_check import GradientCheck, Place, gradient_check
from cbackprop.inspect.paths import Paths, paths
from cbackprop.inspect.saturation import Saturated, Saturation, saturation
from cbackprop.inspect.trace import Trace, trace
from cbackprop.summary import Summary

__all__ = ["Demon", "GradientCheck", "Paths", "Place", "Saturated", "Saturation", "Summary",
           "Trace", "demon", "gradient_check", "hessian_vector", "input_gradient", "jacobian",
           "paths", "saturation", "trace"]

_renamed.install(__name__)
