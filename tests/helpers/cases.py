"""A network in a build of the core and in the reference, for tests that compare them."""

import numpy as np
from reference import Reference

MIXED = [("relu", 2), ("tanh", 1), (("leaky_relu", 0.2), 1), ("gelu", 1)]  # a layer of 5


class Case:
    """One network in a build of the core and in the reference, with data."""

    def __init__(self, build, sizes, *, hidden="sigmoid", output="sigmoid", cost="quadratic",
                 n=10, scales=1.0, seed=0):
        rng = np.random.default_rng(seed)
        activations = [hidden] * (len(sizes) - 2) + [output]
        self.build, self.sizes, self.real = build, sizes, build.REAL
        self.core = build.Core(sizes, activations, cost, scales)
        self.weights, self.biases = self.core.views(self.core.parameters)
        for w, b in zip(self.weights, self.biases, strict=True):
            w[...] = rng.standard_normal(w.shape) / np.sqrt(w.shape[1])
            b[...] = rng.standard_normal(b.shape)
        self.reference = Reference(self.weights, self.biases, activations, cost)
        self.x = rng.standard_normal((n, sizes[0])).astype(self.real)
        self.y = rng.random((n, sizes[-1])).astype(self.real)
        self.widest = max(sizes)

    @property
    def rows(self):
        return self.build.Rows(self.x)

    @property
    def targets(self):
        return self.build.Targets(self.y)

    def close(self, actual, expected, terms=None):
        """Compare: float64 to 1e-12, float32 to 1e-5 sqrt(K) of the largest entry's size."""
        bound = 1e-12 if self.real == "float64" else 1e-5 * np.sqrt(terms or self.widest)
        size = max(1.0, np.abs(expected).max(initial=0))
        np.testing.assert_allclose(actual, expected, rtol=bound, atol=bound * size)

    def trace(self, targets=None):
        return self.build.trace(self.core, self.rows, targets or self.targets)

    def padding(self):
        """Where in an arena no parameter lies."""
        free = np.ones_like(self.core.parameters)
        for views in self.core.views(free):
            for view in views:
                view[...] = 0
        return free == 1


def lanes(build):
    """Neurons in a vector of this build."""
    width = {"baseline": 16, "v3": 32, "v4": 64}[build.__name__.split("_")[1]]
    return width // np.dtype(build.REAL).itemsize
