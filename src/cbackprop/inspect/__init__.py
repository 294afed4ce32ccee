"""
What backpropagation does inside a network: chapter 2, looked at.

Layers are counted as in `Network.weights`: layer 0 is the first layer of weights and the neurons
behind it, the inputs are none. So z, a and delta of layer l are the book's of layer l + 2.

Whatever takes a network takes a fitted estimator of `cbackprop.sklearn`; y is then as its `fit`
takes it.
"""

from cbackprop.inspect.checks import Demon, GradientCheck, Place, demon, gradient_check
from cbackprop.inspect.derivatives import hessian_vector, input_gradient, jacobian
from cbackprop.inspect.finding import FoundEta, find_eta
from cbackprop.inspect.rates import Paths, paths
from cbackprop.inspect.slopes import Saturated, Saturation, saturation
from cbackprop.inspect.tracing import Trace, trace
from cbackprop.summary import Summary

__all__ = ["Demon", "FoundEta", "GradientCheck", "Paths", "Place", "Saturated", "Saturation",
           "Summary", "Trace", "demon", "find_eta", "gradient_check", "hessian_vector",
           "input_gradient", "jacobian", "paths", "saturation", "trace"]
