"""
Chapter 1: 30 hidden neurons, quadratic cost, eta = 3.0. The book's `network.py` gets about 95 %.

    python examples/chapter1.py [epochs]
"""

import sys

import cbackprop

try:
    (x, y), test_data = cbackprop.datasets.load_mnist(full=True)
except FileNotFoundError:
    print("no full MNIST here: the digits that come with the package, about 92 %")
    (x, y), test_data = cbackprop.datasets.load_mnist()

net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
history = net.SGD(
    (x, y), epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 30, mini_batch_size=10, eta=3.0,
    test_data=test_data,
    callbacks=[lambda net, history: print(
        f"epoch {len(history):2}  cost {history.cost[-1]:.4f}  {history.accuracy[-1]:.2%}")])

print(f"{len(x)} images: {history.accuracy[-1]:.2%} after {len(history)} epochs, the best "
      f"{max(history.accuracy):.2%}, in {sum(history.seconds):.1f} s of training")
