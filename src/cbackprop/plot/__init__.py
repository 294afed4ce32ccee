"""
Pictures of networks and of their training, by matplotlib (extra ``plot``).

Each function returns the Axes that it drew on, or an array of them. What differs in colour differs
in lightness, mark or dash as well. docs/pictures.md shows them all.
"""

from cbackprop.plot.epochs import learning_curves, saturation
from cbackprop.plot.finding import find_eta
from cbackprop.plot.gradients import gradient_check
from cbackprop.plot.inside import flow, weights
from cbackprop.plot.mistakes import confusion

__all__ = ["confusion", "find_eta", "flow", "gradient_check", "learning_curves", "saturation",
           "weights"]
