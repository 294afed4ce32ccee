"""
Exercise: a single modified neuron
==================================

Run it from the root of the repository::

    python examples/chapter2/modified_neuron.py

One neuron of a network has the output f(z) instead of sigma(z). What changes in the algorithm? Only
that neuron's factor in BP2: f'(z) takes the place of sigma'(z). Here f is the sine.
"""

import cbackprop
from cbackprop.inspect import demon, trace

x, y, dz = [0.5, -1.0], [1.0, 0.0], 1e-6
print("neuron  activation  delta_j / (w^T delta)_j    delta_j  dC/dz_j, by the demon")
for third in ("sigmoid", "sine"):
    net = cbackprop.Network([2, 3, 2], activation=[["sigmoid", "sigmoid", third], "sigmoid"],
                            dtype="float64", seed=0)
    seen = trace(net, x, y)
    bracket = (seen.w[1].T @ seen.delta[1].T)[:, 0]
    for j, name in enumerate(("sigmoid", "sigmoid", third)):
        delta = seen.delta[0][0, j]
        measured = demon(net, x, y, layer=0, neuron=j, dz=dz).measured / dz
        print(f"{j:6}  {name:10}  {delta / bracket[j]:23.5f}  {delta:9.5f}  {measured:21.5f}")
    z = seen.z[0][0, 2]
    print(f"z of neuron 2 is {z:.5f}, and {third}'(z) is {seen.sigma_prime[0][0, 2]:.5f}\n")
print("The factor of neuron 2 is its own derivative, and nothing else in BP1 to BP4 has changed.")
print("The other neurons have new numbers, since the output is new, but the same factors.")
