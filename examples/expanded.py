"""
Five times the data, a wider net and dropout: 98.5 % or better.

    python examples/expanded.py [epochs]

A part of the training images is kept for validation; early stopping looks at that, and the test
images are looked at once, at the end.
"""

import sys

import cbackprop
from cbackprop.callbacks import EarlyStopping
from cbackprop.schedules import Cosine

try:
    (x, y), test_data = cbackprop.datasets.load_mnist(full=True)
except FileNotFoundError:
    print("no full MNIST here: the digits that come with the package, about 95 %")
    (x, y), test_data = cbackprop.datasets.load_mnist()

epochs, mini_batch_size = int(sys.argv[1]) if len(sys.argv) > 1 else 12, 50
kept = len(x) // 12
training_data = cbackprop.datasets.expand(x[kept:], y[kept:])  # made while they are trained on
steps = epochs * -(-len(training_data) // mini_batch_size)

net = cbackprop.Network([784, 800, 10], activation="relu", cost="log_likelihood",
                        initializer="he_normal", input_scale=1 / 255, seed=0)
history = net.SGD(
    training_data, epochs, mini_batch_size, Cosine(0.2, steps, warmup=steps // 20), dropout=0.5,
    evaluation_data=(x[:kept], y[:kept]),
    callbacks=[EarlyStopping("evaluation_accuracy", patience=10), lambda net, history: print(
        f"epoch {len(history):2}  cost {history.cost[-1]:.4f}  "
        f"validation {history.evaluation_accuracy[-1]:.2%}")])

print(f"{len(training_data)} images: {net.accuracy(test_data):.2%} after {len(history)} epochs, "
      f"in {sum(history.seconds):.1f} s of training")
