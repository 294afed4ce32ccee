"""
What backpropagation does inside a network, number by number: chapter 2.

Layers are numbered as in `Network.weights`: layer 0 is the first layer of weights and the neurons
after it; the inputs are not a layer. So z, a and delta of layer l are those of the book's layer
l + 2. `explain` alone writes for a reader of the book: its layers and neurons have the book's
numbers.

A fitted estimator of `cbackprop.sklearn` can take the place of a network; y is then what its `fit`
takes.
"""

from cbackprop import _renamed
from cbackprop.inspect.demon import Demon, demon
from cbackprop.inspect.derivatives import hessian_vector, input_gradient, jacobian
from cbackprop.inspect.explain import Explanation, explain
from cbackprop.inspect.find_eta import FoundEta, find_eta
from cbackprop.inspect.gradient_check import GradientCheck, Place, gradient_check
from cbackprop.inspect.page import page
from cbackprop.inspect.paths import Paths, paths
from cbackprop.inspect.saturation import Saturated, Saturation, saturation
from cbackprop.inspect.trace import Trace, trace
from cbackprop.summary import Summary

__all__ = ["Demon", "Explanation", "FoundEta", "GradientCheck", "Paths", "Place", "Saturated",
           "Saturation", "Summary", "Trace", "demon", "explain", "find_eta", "gradient_check",
           "hessian_vector", "input_gradient", "jacobian", "page", "paths", "saturation", "trace"]

_renamed.install(__name__)
