"""
Exercise: BP1 and BP2 with matrices, (33) to (35)
=================================================

Run it from the root of the repository::

    python examples/chapter2/sigma_prime_matrix.py

Sigma'(z) is the square matrix with sigma'(z_j) on its diagonal. Then the elementwise products of
BP1 and BP2 are products of matrices, and delta of any layer is a single product.
"""

import numpy as np

import cbackprop
from cbackprop.inspect import trace

x, y = [0.5, -1.0, 2.0], [1.0, 0.0]
net = cbackprop.Network([3, 4, 3, 2], dtype="float64", seed=0)
seen = trace(net, x, y)
_, w3, w4 = net.weights
sigma2, sigma3, sigma4 = (np.diag(slope[0]) for slope in seen.sigma_prime)
grad_a = seen.nabla_a[-1][0]

delta4 = sigma4 @ grad_a  # (33)
delta3 = sigma3 @ w4.T @ delta4  # (34)
delta2 = sigma2 @ w3.T @ sigma3 @ w4.T @ sigma4 @ grad_a  # (35)
print("Sigma'(z^4):")
print(sigma4.round(5))
for layer, delta in ((4, delta4), (3, delta3), (2, delta2)):
    core = seen.delta[layer - 2][0]
    print(f"delta^{layer} = {delta.round(5)}, the core's: {np.abs(delta - core).max() < 1e-12}")
print("The products are for proofs. An elementwise product takes n multiplications, and a product")
print("with a diagonal matrix n^2, almost all of them by 0.")
