"""
In what sense is backpropagation fast? Equation (46)
====================================================

Run it from the root of the repository::

    python examples/chapter2/finite_differences.py

dC/dw_j is about (C(w + eps e_j) - C(w)) / eps. This is simple, and takes one forward pass for each
weight. Backpropagation finds all derivatives in one pass forward and one back. Here each pass is
one of ten images.
"""

import time

import numpy as np

import cbackprop
from cbackprop.inspect import gradient_check


def seconds(function, *arguments):
    """Return the shortest of several times."""
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - begun)
    return min(times)


(x, y), _ = cbackprop.datasets.load_mnist()
x, y = x[:10], y[:10]
net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, dtype="float64", seed=0)
exact = net.backprop(x, y)[1][1][3, 7]

print("   eps  error of (46), one-sided  error, two-sided")
w = net.weights[1]
for eps in (1e-1, 1e-2, 1e-3):
    kept, costs = w[3, 7], []
    for step in (0, eps, -eps):
        w[3, 7] = kept + step
        costs.append(net.total_cost((x, y)))
    w[3, 7] = kept
    one, two = (costs[1] - costs[0]) / eps, (costs[1] - costs[2]) / (2 * eps)
    print(f"{eps:6g}  {abs(one / exact - 1):24.0e}  {abs(two / exact - 1):16.0e}")
print(f"all three agree on 200 of the derivatives: {gradient_check(net, x, y, sample=200).passed}")

for sizes in ([784, 30, 10], [784, 1000, 200, 10]):
    net = cbackprop.Network(sizes, input_scale=1 / 255, seed=0, threads=1)
    n = sum(map(np.size, (*net.weights, *net.biases)))
    forward, both = seconds(net.feedforward, x), seconds(net.backprop, x, y)
    print(f"{'-'.join(map(str, sizes))}: {n:,} derivatives take {n + 1:,} forward passes by (46), "
          f"{n * forward:.3g} s,")
    print(f"  and one pass forward and one back by BP1 to BP4, {1e6 * both:.0f} us: "
          f"{n * forward / both:,.0f} times as fast")
