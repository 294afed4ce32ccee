"""
Pictures of networks and of their training, by matplotlib (extra ``plot``).

Each function returns the Axes that it drew on, or an array of them. Whatever differs in colour also
differs in lightness, marker or dash. docs/pictures.md shows all pictures.
"""

from cbackprop import _renamed
from cbackprop.plot.animate import animate
from cbackprop.plot.confusion import confusion
from cbackprop.plot.decision_boundary import decision_boundary
from cbackprop.plot.find_eta import find_eta
from cbackprop.plot.flow import flow
from cbackprop.plot.gradient_check import gradient_check
from cbackprop.plot.learning_curves import learning_curves
from cbackprop.plot.network import network
from cbackprop.plot.saturation import saturation
from cbackprop.plot.weights import weights

__all__ = ["animate", "confusion", "decision_boundary", "find_eta", "flow", "gradient_check",
           "learning_curves", "network", "saturation", "weights"]

_renamed.install(__name__)
