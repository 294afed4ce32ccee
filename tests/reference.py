"""The oracle: chapter 2 in NumPy and float64, as the book writes it. No speed, no tricks."""

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


ACTIVATIONS = {  # sigma(z), and sigma'(z) where a neuron depends on its own z alone
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)),
                lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "identity": (lambda z: z, np.ones_like),
    "softmax": (softmax, None),
}

COSTS = {  # C(a, y) of each example, and dC/da
    "quadratic": (lambda a, y: 0.5 * ((a - y) ** 2).sum(axis=1),
                  lambda a, y: a - y),
    "cross_entropy": (lambda a, y: -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(axis=1),
                      lambda a, y: (a - y) / (a * (1 - a))),
    "log_likelihood": (lambda a, y: -(y * np.log(a)).sum(axis=1),
                       lambda a, y: -y / a),
}


def jacobian(activation, z):
    """da_k/dz_j for each example: (n, k, j)."""
    sigma, sigma_prime = ACTIVATIONS[activation]
    if activation == "softmax":
        a = sigma(z)
        return a[:, :, None] * (np.eye(a.shape[1]) - a[:, None, :])
    return sigma_prime(z)[:, :, None] * np.eye(z.shape[1])


def output_error(cost, activation, z, y):
    """BP1, as the whole sum (37): delta_j = sum_k dC/da_k da_k/dz_j."""
    sigma = ACTIVATIONS[activation][0]
    return np.einsum("nk,nkj->nj", COSTS[cost][1](sigma(z), y), jacobian(activation, z))


class Reference:
    """A network: weights (out, in), biases (out, 1), one activation for each layer of weights."""

    def __init__(self, weights, biases, activations, cost):
        self.weights = [np.array(w, dtype=float) for w in weights]
        self.biases = [np.array(b, dtype=float) for b in biases]
        self.activations, self.cost = activations, cost

    def forward(self, x, masks=None):
        """(25): every z, and every a, the inputs first; times the masks of inputs and hidden."""
        masks = masks or [1] * len(self.weights)
        zs, activations = [], [np.asarray(x, dtype=float) * masks[0]]
        for layer, activation in enumerate(self.activations):
            zs.append(activations[-1] @ self.weights[layer].T + self.biases[layer].T)
            activations.append(ACTIVATIONS[activation][0](zs[-1]))
            if layer + 1 < len(masks):
                activations[-1] = activations[-1] * masks[layer + 1]
        return zs, activations

    def total_cost(self, x, y):
        return COSTS[self.cost][0](self.forward(x)[1][-1], y).mean()

    def backprop(self, x, y, masks=None):
        """BP1 to BP4: nabla_b, nabla_w, averaged over the examples."""
        zs, activations = self.forward(x, masks)
        delta = output_error(self.cost, self.activations[-1], zs[-1], y)  # BP1
        nabla_b, nabla_w = [], []
        for layer in reversed(range(len(self.weights))):
            nabla_b.insert(0, delta.mean(axis=0)[:, None])  # BP3
            nabla_w.insert(0, delta.T @ activations[layer] / len(delta))  # BP4
            if layer:
                sigma_prime = ACTIVATIONS[self.activations[layer - 1]][1]
                delta = (delta @ self.weights[layer]) * sigma_prime(zs[layer - 1])  # BP2
                delta = delta * masks[layer] if masks else delta
        return nabla_b, nabla_w

    def update_mini_batch(self, x, y, eta):
        """w -> w - (eta/m) sum_x delta a^T, and b likewise."""
        nabla_b, nabla_w = self.backprop(x, y)
        self.weights = [w - eta * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - eta * nb for b, nb in zip(self.biases, nabla_b, strict=True)]

    def epoch(self, x, y, order, mini_batch_size, eta):
        for first in range(0, len(order), mini_batch_size):
            batch = order[first:first + mini_batch_size]
            self.update_mini_batch(x[batch], y[batch], eta)

    def finite_differences(self, x, y, eps=1e-3):
        """(46), with four points: the error is of order eps^4."""
        nabla_b, nabla_w = [], []
        for parameters, nabla in ((self.biases, nabla_b), (self.weights, nabla_w)):
            for p in parameters:
                g = np.zeros_like(p)
                for index in np.ndindex(p.shape):
                    kept = p[index]
                    for step, factor in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
                        p[index] = kept + step * eps
                        g[index] += factor * self.total_cost(x, y) / (12 * eps)
                    p[index] = kept
                nabla.append(g)
        return nabla_b, nabla_w


def random_order(n, seed):
    """Fisher and Yates' shuffle, inside out, with SplitMix64."""
    order = []
    for i in range(n):
        seed = (seed + 0x9E3779B97F4A7C15) % 2**64
        j = splitmix64(seed) * (i + 1) >> 64
        order.append(i)
        order[i], order[j] = order[j], i
    return order


def drawn_order(rng, n):
    """Return the order of an epoch, as a network draws it from its generator."""
    return np.array(random_order(n, int(rng.integers(2**64, dtype=np.uint64))))


def splitmix64(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def hashed(x):
    """C. Wellons' lowbias32."""
    x = x ^ x >> 16
    x = x * 0x7FEB352D % 2**32
    x = x ^ x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def mask(rate, seed, step, layer, shape):
    """Dropout's factors for one mini-batch: 0 with probability rate, else 1 / (1 - rate)."""
    key = splitmix64((splitmix64((seed + 0x9E3779B97F4A7C15 * step) % 2**64) + layer) % 2**64)
    counter = np.arange(np.prod(shape), dtype=np.uint64).reshape(shape)
    random = hashed(hashed(counter ^ np.uint64(key % 2**32)) ^ np.uint64(key >> 32)) >> 8
    return np.where(random < rate * 2**24, 0, 1 / (1 - rate))


def sgd(w, g, memory, step, eta, decay, square_decay, epsilon, largest):
    return w - eta * g


def momentum(w, g, memory, step, eta, decay, square_decay, epsilon, largest):
    memory["v"] = decay * memory.get("v", 0) + g
    return w - eta * memory["v"]


def nesterov(w, g, memory, step, eta, decay, square_decay, epsilon, largest):
    memory["v"] = decay * memory.get("v", 0) + g
    return w - eta * (g + decay * memory["v"])


def adagrad(w, g, memory, step, eta, decay, square_decay, epsilon, largest):
    memory["s"] = memory.get("s", 0) + g**2
    return w - eta * g / (np.sqrt(memory["s"]) + epsilon)


def rmsprop(w, g, memory, step, eta, decay, square_decay, epsilon, largest):
    memory["s"] = square_decay * memory.get("s", 0) + (1 - square_decay) * g**2
    return w - eta * g / (np.sqrt(memory["s"]) + epsilon)


def adam(w, g, memory, step, eta, decay, square_decay, epsilon, largest):
    memory["m"] = decay * memory.get("m", 0) + (1 - decay) * g
    memory["v"] = square_decay * memory.get("v", 0) + (1 - square_decay) * g**2
    m, v = memory["m"] / (1 - decay**step), memory["v"] / (1 - square_decay**step)
    return w - eta * m / (np.sqrt(v) + epsilon)


def rprop(w, g, memory, step, eta, decay, square_decay, epsilon, largest):
    agree = np.sign(g * memory.get("g", np.zeros_like(g)))
    factor = np.where(agree > 0, square_decay, np.where(agree < 0, decay, 1))
    memory["step"] = np.clip(memory.get("step", np.full_like(g, eta)) * factor, epsilon, largest)
    memory["g"] = np.where(agree < 0, 0, g)
    return w - np.sign(memory["g"]) * memory["step"]


OPTIMIZERS = {f.__name__: f for f in (sgd, momentum, nesterov, adagrad, rmsprop, adam, rprop)}


def optimized(reference, memory, x, y, step, eta, optimizer, decays, *, l2=0.0, l1=0.0,
              weight_decay=0.0, clip_value=np.inf, clip_norm=np.inf, max_norm=np.inf, masks=None):
    """One mini-batch as an optimizer sees it; memory is a list of one dictionary per array."""
    nabla_b, nabla_w = reference.backprop(x, y, masks)
    norm = np.sqrt(sum((g**2).sum() for g in nabla_b + nabla_w))
    scale = min(1, clip_norm / norm)
    for layer, (g_b, g_w) in enumerate(zip(nabla_b, nabla_w, strict=True)):
        w, b = reference.weights[layer], reference.biases[layer]
        g_w, g_b = (np.clip(scale * g, -clip_value, clip_value) for g in (g_w, g_b))
        g_w = g_w + l2 * w + l1 * np.sign(w)
        w = OPTIMIZERS[optimizer](w * (1 - eta * weight_decay), g_w, memory[2 * layer], step, eta,
                                  *decays)
        norms = np.sqrt((w**2).sum(axis=1, keepdims=True))
        reference.weights[layer] = w * np.minimum(1, max_norm / norms)
        reference.biases[layer] = OPTIMIZERS[optimizer](
            b, g_b, memory[2 * layer + 1], step, eta, *decays)
