"""The main job on real digits."""

import cbackprop


def test_bundled_digits():
    (x, y), test_data = cbackprop.datasets.load_mnist()
    net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    history = net.SGD((x, y), 10, 10, 3.0, test_data)
    assert history.accuracy[-1] > 0.9
    assert net.evaluate(test_data) == round(history.accuracy[-1] * 1000)


def test_the_books_network_on_the_full_set(mnist_folder):
    """At least 94.5 % of the 10,000 test images after 10 epochs, batch 10, eta 3, float32."""
    (x, y), test_data = cbackprop.datasets.load_mnist(mnist_folder)
    net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    net.SGD((x, y), 10, 10, 3.0)
    assert net.evaluate(test_data) >= 9450
