"""
Exercise: linear neurons
========================

Run it from the root of the repository::

    python examples/chapter2/linear_neurons.py

If sigma(z) = z throughout, sigma'(z) = 1 disappears from BP1 and BP2: delta^L = grad_a C, and
delta^l = (w^(l+1))^T delta^(l+1). So the network is one matrix, and so is the way back.
"""

import numpy as np

import cbackprop
from cbackprop.inspect import trace

x, y = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.0])
net = cbackprop.Network([3, 4, 4, 2], activation="identity", dtype="float64", seed=0)
w2, w3, w4 = net.weights
seen = trace(net, x, y)

delta4 = seen.a[-1][0] - y  # grad_a C of the quadratic cost
delta3 = w4.T @ delta4
delta2 = w3.T @ delta3
for name, ours, core in (("delta^4", delta4, seen.delta[2]), ("delta^3", delta3, seen.delta[1]),
                         ("delta^2", delta2, seen.delta[0]),
                         ("dC/dw^2", np.outer(delta2, x), seen.nabla_w[0])):
    print(f"{name}: the core's, to 1e-12: {np.abs(ours - core).max() < 1e-12}")

change = np.array([0.1, 0.2, -0.3])
moved = net.feedforward(x + change) - net.feedforward(x)
print(f"outputs, for another x: {moved.round(5)}")
print(f"w^4 w^3 w^2 dx:         {(w4 @ w3 @ w2 @ change).round(5)}")
print("Three layers of linear neurons can do no more than one.")
