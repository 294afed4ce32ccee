"""Drive the cart; first by feedback alone, then with a network that learns on the way."""

import time

from control import follow

import cbackprop

SECONDS = 20

net = cbackprop.Network([2, 32, 1], activation="tanh", output_activation="identity", seed=0)
net.weights[1][...] = net.biases[1][...] = 0  # it knows nothing, and says so
before = follow(net, SECONDS, eta=0.0)[-1]
start = time.perf_counter()
distances = follow(net, SECONDS, eta=0.02)
took = time.perf_counter() - start
print(f"away from the aim: {before:.5f} by feedback alone, {distances[0]:.5f} in the first second, "
      f"{distances[-1]:.5f} in the last")
print(f"a step of the loop: {1e6 * took / (1000 * SECONDS):.2f} us")
assert distances[-1] < before / 4, "the network has learned little"
