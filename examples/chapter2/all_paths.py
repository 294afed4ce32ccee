"""
A derivative as a sum over all paths, equation (53)
===================================================

Run it from the root of the repository::

    python examples/chapter2/all_paths.py

A change of one weight travels to the cost along every path of activations. Each path multiplies the
rates along it, and dC/dw is the sum over all paths. BP2 adds them up without listing them.
"""

import itertools
import math

import cbackprop
from cbackprop.inspect import paths

x, y = [0.5, -1.0], [1.0, 0.0]
net = cbackprop.Network([2, 3, 3, 2], dtype="float64", seed=0)
found = paths(net, x, y, layer=0, j=1, k=0)
print(found)
print(f"sum over paths and BP4 agree to 1e-12: {abs(found.total - found.bp4) < 1e-12}\n")

print("The book's digits, with hidden layers of 30 neurons; a weight of the first layer:")
for hidden in range(1, 6):
    sizes = [784, *[30] * hidden, 10]
    net = cbackprop.Network(sizes, seed=0)
    products = sum(a * b for a, b in itertools.pairwise(sizes[1:]))
    print(f"{hidden} hidden layers: {math.prod(sizes[2:]):10,} paths; "
          f"{products:5,} products for all of them by BP2")
