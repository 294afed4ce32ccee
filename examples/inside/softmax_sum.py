"""
Softmax, and why (37) has a sum over k
======================================

Run it from the root of the repository::

    python examples/inside/softmax_sum.py

Every output of softmax depends on every z. delta_j = dC/da_j sigma'(z_j), with one factor for each
neuron, leaves out what z_j does to the other outputs. The demon, who adds dz to z_j and looks at
the cost, decides.
"""

import numpy as np

import cbackprop
from cbackprop.inspect import demon, trace

x, y = [0.2, 0.9, 0.4], [0.0, 1.0, 0.0, 0.0]
net = cbackprop.Network([3, 5, 4], cost="log_likelihood", dtype="float64", seed=0)

seen = trace(net, x, y)
a = seen.a[-1][0]
grad_a = net.cost_derivative(a, y) + 0.0  # no -0
jacobian = np.diag(a) - np.outer(a, a)  # da_k/dz_j
alone = grad_a * seen.sigma_prime[-1][0]  # of softmax, the Jacobian's diagonal
whole = grad_a @ jacobian
dz = 1e-6
measured = [demon(net, x, y, layer=1, neuron=j, dz=dz).measured / dz for j in range(4)]

print("j       a     y    dC/da  only k = j  sum over k  the core   the demon")
for j in range(4):
    print(f"{j}  {a[j]:.4f}  {y[j]:.1f}  {grad_a[j]:7.4f}  {alone[j]:10.4f}  {whole[j]:10.4f}  "
          f"{seen.delta[-1][0, j]:8.4f}  {measured[j]:10.4f}")
print()
print("Only output 1 is in the cost, -ln a_1, so that with k = j alone the other neurons would not")
print("learn. But raising z_0 lowers a_1: the sum says so, the core says so, the demon sees it.")
