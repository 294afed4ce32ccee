"""Initial parameters: how they are distributed, and that a seed draws them again."""

import math

import numpy as np
import pytest

from cbackprop import Network, initializers

REALS = ["float32", "float64"]
SIZES = [400, 300, 100]
VARIANCE = {  # of a layer, by its inputs and outputs
    "default": lambda n_in, out: 1 / n_in,
    "large": lambda n_in, out: 1,
    "glorot": lambda n_in, out: 2 / (n_in + out),
    "he": lambda n_in, out: 2 / n_in,
    "lecun": lambda n_in, out: 1 / n_in,
}


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("name", sorted(initializers.KNOWN.keys() - {"zeros", "orthogonal"}))
def test_distribution(name, dtype):
    net = Network(SIZES, initializer=name, seed=0, dtype=dtype)
    for w in net.weights:
        w = np.asarray(w, np.float64)
        deviation = math.sqrt(VARIANCE[name.split("_")[0]](w.shape[1], w.shape[0]))
        assert abs(w.mean()) < 0.02 * deviation
        assert w.std() == pytest.approx(deviation, rel=0.01)
        if name.endswith("uniform"):
            assert 0.999 < abs(w).max() / (deviation * math.sqrt(3)) < 1 + 1e-6
            assert (abs(w) < deviation).mean() == pytest.approx(1 / math.sqrt(3), abs=0.01)
        else:
            assert (abs(w) < deviation).mean() == pytest.approx(0.6827, abs=0.01)
            assert abs(w).max() > 3 * deviation
        assert abs(np.corrcoef(w[0], w[1])[0, 1]) < 0.3


@pytest.mark.parametrize("name", initializers.KNOWN)
def test_biases(name):
    biases = np.concatenate([*Network(SIZES, initializer=name, seed=0).biases])
    if name in ("default", "large"):  # the book's
        assert biases.std() == pytest.approx(1, abs=0.1)
    else:
        assert not biases.any()


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("sizes", [[50, 20], [20, 50], [30, 30], [1, 5], [5, 1], [1, 1]])
def test_orthogonal(sizes, dtype):
    w = np.asarray(Network(sizes, initializer="orthogonal", seed=0, dtype=dtype).weights[0])
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, np.eye(min(sizes)), atol=1e-6 if dtype == "float32" else
                               1e-14)


def test_orthogonal_has_no_preferred_sign():
    signs = [np.sign(np.trace(Network([3, 3], initializer="orthogonal", seed=seed).weights[0]))
             for seed in range(200)]
    assert abs(np.mean(signs)) < 0.3


def test_zeros():
    net = Network(SIZES, initializer="zeros")
    assert not any(p.any() for p in (*net.weights, *net.biases))


@pytest.mark.parametrize("name", initializers.KNOWN)
def test_a_seed_draws_the_same_again(name):
    nets = [Network(SIZES, initializer=name, seed=seed) for seed in (1, 1, 2)]
    assert all(map(np.array_equal, nets[0].weights, nets[1].weights))
    assert all(map(np.array_equal, nets[0].biases, nets[1].biases))
    assert name == "zeros" or not np.array_equal(nets[0].weights[0], nets[2].weights[0])


@pytest.mark.parametrize("dtype", REALS)
def test_arrays(dtype):
    other = Network([4, 3, 2], seed=0)
    for given in ((other.weights, other.biases), [[w.tolist() for w in other.weights],
                                                  [b.tolist() for b in other.biases]]):
        net = Network([4, 3, 2], initializer=given, dtype=dtype)
        assert all(map(np.array_equal, net.weights, other.weights))
        assert all(map(np.array_equal, net.biases, other.biases))
        net.weights[0][...] = 7
        assert not (other.weights[0] == 7).any()


W, B = [np.ones((3, 4)), np.ones((2, 3))], [np.ones((3, 1)), np.ones((2, 1))]


@pytest.mark.parametrize(("initializer", "error", "rule"), [
    ("xavier", ValueError, r"^initializer must be one of \[.*\], or \(weights, biases\), got 'xav"),
    (None, ValueError, r"^initializer must be one of \[.*\], or \(weights, biases\), got None$"),
    ((W,), ValueError, r"^initializer must be one of \[.*\], or \(weights, biases\), got "),
    ((W, B, B), ValueError, r"^initializer must be one of \[.*\], or \(weights, biases\), got "),
    ((W[:1], B), ValueError, "^weights must be 2 arrays, got 1$"),
    ((W, [*B, B[0]]), ValueError, "^biases must be 2 arrays, got 3$"),
    ((W, [B[0], np.ones(2)]), ValueError, r"^biases\[1\] must have shape \(2, 1\), got \(2,\)$"),
    ((W[::-1], B), ValueError, r"^weights\[0\] must have shape \(3, 4\), got \(2, 3\)$"),
    (([W[0], "w"], B), TypeError, r"^weights\[1\] must hold real numbers, got dtype <U1$"),
])
def test_bad_initializers(initializer, error, rule):
    with pytest.raises(error, match=rule) as raised:
        Network([4, 3, 2], initializer=initializer)
    assert "\n" not in str(raised.value)
