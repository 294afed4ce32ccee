"""
The demon, and what delta means, equation (29)
==============================================

Run it from the root of the repository::

    python examples/chapter2/the_demon.py

A demon sits at a neuron and adds dz to its z. The cost changes by about delta dz. The smaller dz,
the better this holds: halving dz quarters the error. Where delta is large, the demon can help.
"""

import cbackprop
from cbackprop.inspect import demon, trace

x, y = [0.5, -1.0, 2.0], [1.0, 0.0]
net = cbackprop.Network([3, 4, 2], dtype="float64", seed=0)
seen = trace(net, x, y)

print("   dz  change of C   delta dz       error")
for dz in (0.4, 0.2, 0.1, 0.05):
    measured, predicted = demon(net, x, y, layer=1, neuron=0, dz=dz)
    print(f"{dz:5}  {measured:11.7f}  {predicted:9.6f}  {measured - predicted:10.2e}")

print(f"\nThe cost is {seen.cost:.5f}. The demon chooses dz, -0.5 or 0.5, against delta's sign:")
for layer, name in ((1, "output"), (0, "hidden")):
    for j, delta in enumerate(seen.delta[layer][0]):
        dz = -0.5 if delta > 0 else 0.5
        cost = seen.cost + demon(net, x, y, layer, j, dz).measured
        print(f"{name} neuron {j}: delta {delta:9.5f}, the cost becomes {cost:.5f}")
print("Where abs(delta) is large, the cost falls by much. Where it is near 0, the neuron is about")
print("as good as it can be, and there is little that a demon can do.")
