"""
A neuron that is badly wrong learns slowly
==========================================

Run it from the root of the repository::

    python examples/inside/saturated.py

One neuron, w = b = 2, is to turn 1 into 0. BP1 has sigma'(z) as a factor, which is small where the
neuron is saturated; cross-entropy's dC/da = (a - y) / (a (1 - a)) cancels it.
"""

import cbackprop
from cbackprop.inspect import trace

x, y = [[1.0]], [[0.0]]

for cost in ("quadratic", "cross_entropy"):
    neuron = cbackprop.Network([1, 1], cost=cost, dtype="float64",
                               initializer=([[[2.0]]], [[[2.0]]]))
    print(f"{cost}\nepoch       a  sigma'(z)  dC/da = delta / sigma'    delta")
    epochs = 0
    for more in (0, 50, 50, 50, 150):
        neuron.SGD((x, y), more, mini_batch_size=1, eta=0.15)
        epochs += more
        seen = trace(neuron, x, y)
        a, slope, delta = seen.a[0][0, 0], seen.sigma_prime[0][0, 0], seen.delta[0][0, 0]
        print(f"{epochs:5}  {a:.4f}  {slope:9.4f}  {delta / slope:22.4f}  {delta:7.4f}")
    print()

print("Quadratic: delta begins at 0.0173 and grows only as sigma' does: the larger the mistake,")
print("the more slowly it is corrected. Cross-entropy: delta is a - y, largest at the beginning.")
