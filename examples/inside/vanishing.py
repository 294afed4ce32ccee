"""
The first layers of a deep network learn slowly
===============================================

Run it from the root of the repository::

    python examples/inside/vanishing.py

The speed of a layer is the length of delta, averaged over 1,000 images, before training: of the
gradient by its biases. By BP2 every layer further back multiplies by w^T and sigma' <= 1/4.
"""

import cbackprop
from cbackprop.inspect import saturation

(x, y), _ = cbackprop.datasets.load_mnist()
x, y = x[:1000], y[:1000]


def speeds(hidden: int, activation: str, initializer: str) -> list[float]:
    """Return the speed of every layer of a network with so many hidden layers of 30."""
    net = cbackprop.Network([784, *[30] * hidden, 10], activation=activation,
                            output_activation="sigmoid", initializer=initializer,
                            input_scale=1 / 255, dtype="float64", seed=0)
    return saturation(net, x, y).speed


for activation, initializer in (("sigmoid", "default"), ("relu", "he_normal")):
    print(f"{activation}: the speed of each layer, first to last")
    for hidden in range(2, 7):
        found = speeds(hidden, activation, initializer)
        print(f"{hidden} hidden  " + " ".join(f"{speed:8.2g}" for speed in found)
              + f"   first : last hidden = {found[0] / found[-2]:.2g}")
    print()

print("Sigmoid: each layer learns four to seven times as slowly as the next one.")
print("Relu (sigma' is 1 or 0), with initial weights to match: all layers learn about as fast.")
