"""The oracle: chapter 2 in NumPy and float64, as the book writes it. No speed, no tricks."""

import math

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


erfc = np.vectorize(math.erfc, otypes=[float])
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
ROOT_8_PI = np.sqrt(8 / np.pi)


def sigmoid(z):
    return np.where(z < 0, np.exp(np.minimum(z, 0)), 1) / (1 + np.exp(-np.abs(z)))


def sigmoid_prime(z):
    return sigmoid(z) * sigmoid(-z)


def gelu_tanh_argument(z):
    return ROOT_8_PI * (z + 0.044715 * z**3)


ACTIVATIONS = {  # sigma(z), and sigma'(z) where a neuron depends on its own z alone
    "sigmoid": (sigmoid, sigmoid_prime),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "relu6": (lambda z, ceiling=6.0: np.clip(z, 0, ceiling),
              lambda z, ceiling=6.0: np.where((z > 0) & (z < ceiling), 1, 0)),
    "leaky_relu": (lambda z, alpha=0.01: np.where(z > 0, z, alpha * z),
                   lambda z, alpha=0.01: np.where(z > 0, 1, alpha)),
    "elu": (lambda z, alpha=1.0: np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))),
            lambda z, alpha=1.0: np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0)))),
    "selu": (lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0))),
             lambda z: SELU_SCALE * np.where(z > 0, 1, SELU_ALPHA * np.exp(np.minimum(z, 0)))),
    "gelu": (lambda z: z * erfc(-z / np.sqrt(2)) / 2,
             lambda z: erfc(-z / np.sqrt(2)) / 2 + z * np.exp(-z**2 / 2) / np.sqrt(2 * np.pi)),
    "gelu_tanh": (lambda z: z * sigmoid(gelu_tanh_argument(z)),
                  lambda z: sigmoid(gelu_tanh_argument(z)) + z * sigmoid_prime(
                      gelu_tanh_argument(z)) * ROOT_8_PI * (1 + 0.134145 * z**2)),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) + z * sigmoid_prime(z)),
    "mish": (lambda z: z * np.tanh(np.logaddexp(0, z)),
             lambda z: np.tanh(np.logaddexp(0, z)) + z * sigmoid(z) / np.cosh(
                 np.minimum(np.logaddexp(0, z), 300)) ** 2),
    "softplus": (lambda z: np.logaddexp(0, z), sigmoid),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    "hard_sigmoid": (lambda z: np.clip(z + 3, 0, 6) / 6,
                     lambda z: np.where(np.abs(z) < 3, 1 / 6, 0)),
    "hard_tanh": (lambda z: np.clip(z, -1, 1), lambda z: np.where(np.abs(z) < 1, 1, 0)),
    "exponential": (np.exp, np.exp),
    "gaussian": (lambda z: np.exp(-z**2), lambda z: -2 * z * np.exp(-z**2)),
    "sine": (np.sin, np.cos),
    "identity": (lambda z: z, np.ones_like),
    "softmax": (softmax, None),
}
DEEP = [name for name in ACTIVATIONS if name != "exponential"]  # e^(e^z) soon is beyond numbers


def each(f):
    """Make a cost of one output that of an example: the sum over its outputs."""
    return lambda *arguments: f(*arguments).sum(axis=1)


def unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-8)


def side(y):
    return np.where(y > 0, 1, -1)


def cosine(a, y):
    return (unit(a) * unit(y)).sum(axis=1, keepdims=True)


def log_cosh(d):
    return np.logaddexp(d, -d) - np.log(2)


COSTS = {  # C(a, y) of each example, and dC/da
    "quadratic": (each(lambda a, y: 0.5 * (a - y) ** 2),
                  lambda a, y: a - y),
    "cross_entropy": (each(lambda a, y, floor=0.0: -(
                          y * np.log(np.maximum(a, floor))
                          + (1 - y) * np.log(np.maximum(1 - a, floor)))),
                      lambda a, y, floor=0.0: (a - y) / (a * (1 - a))),
    "focal": (each(lambda a, y, gamma=2.0: -y * (1 - a) ** gamma * np.log(a)
                   - (1 - y) * a**gamma * np.log(1 - a)),
              lambda a, y, gamma=2.0:
              y * (gamma * (1 - a) ** (gamma - 1) * np.log(a) - (1 - a) ** gamma / a)
              + (1 - y) * (a**gamma / (1 - a) - gamma * a ** (gamma - 1) * np.log(1 - a))),
    "log_likelihood": (each(lambda a, y, floor=0.0: -y * np.log(np.maximum(a, floor))),
                       lambda a, y, floor=0.0: -y / a),
    "absolute": (each(lambda a, y: np.abs(a - y)),
                 lambda a, y: np.sign(a - y)),
    "huber": (each(lambda a, y, delta=1.0: np.where(
                  np.abs(a - y) < delta, 0.5 * (a - y) ** 2,
                  delta * (np.abs(a - y) - delta / 2))),
              lambda a, y, delta=1.0: np.clip(a - y, -delta, delta)),
    "quantile": (each(lambda a, y, tau=0.5: np.where(a < y, tau * (y - a), (1 - tau) * (a - y))),
                 lambda a, y, tau=0.5: np.where(a < y, -tau, np.where(a > y, 1 - tau, 0))),
    "log_cosh": (each(lambda a, y: log_cosh(a - y)),
                 lambda a, y: np.tanh(a - y)),
    "hinge": (each(lambda a, y: np.maximum(1 - side(y) * a, 0)),
              lambda a, y: np.where(side(y) * a < 1, -side(y), 0)),
    "squared_hinge": (each(lambda a, y: np.maximum(1 - side(y) * a, 0) ** 2),
                      lambda a, y: -2 * side(y) * np.maximum(1 - side(y) * a, 0)),
    "poisson": (each(lambda a, y, constant=0.0: a - y * np.log(a)
                     + constant * (y * np.log(np.where(y > 0, y, 1)) - y)),
                lambda a, y, constant=0.0: 1 - y / a),
    "kl_divergence": (each(lambda a, y: y * np.log(y / a)),
                      lambda a, y: -y / a),
    "cosine": (lambda a, y: 1 - cosine(a, y)[:, 0],
               lambda a, y: (unit(a) * cosine(a, y) - unit(y))
               / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-8)),
}


SMOOTHED = {"cross_entropy": lambda J: 1 / 2, "log_likelihood": lambda J: 1 / J}


def smoothed(cost):
    """A cost of (a, y, floor, label_smoothing), of targets moved towards equal ones."""
    share = SMOOTHED[cost]
    f, f_prime = COSTS[cost]

    def moved(y, s):
        return y * (1 - s) + s * share(y.shape[1])

    return (lambda a, y, floor=0.0, s=0.0: f(a, moved(y, s), floor),
            lambda a, y, floor=0.0, s=0.0: f_prime(a, moved(y, s), floor))


COSTS |= {cost: smoothed(cost) for cost in SMOOTHED}


def of_name(table, function, which):
    """Return a function of a table, by its name or by (name, parameter)."""
    if isinstance(function, tuple):
        return lambda *arguments: table[function[0]][which](*arguments, *function[1:])
    return table[function][which]


def sigma(activation, z):
    """sigma(z) for a layer: one function, or a list of (function, how many neurons)."""
    if isinstance(activation, list):
        return np.concatenate([of_name(ACTIVATIONS, f, 0)(z_f) for f, z_f in runs(activation, z)],
                              axis=1)
    return of_name(ACTIVATIONS, activation, 0)(z)


def runs(activation, z):
    ends = np.cumsum([count for _, count in activation])
    return zip([f for f, _ in activation], np.split(z, ends[:-1], axis=1), strict=True)


def jacobian(activation, z):
    """da_k/dz_j for each example: (n, k, j)."""
    if activation == "softmax":
        a = softmax(z)
        return a[:, :, None] * (np.eye(a.shape[1]) - a[:, None, :])
    if isinstance(activation, list):
        slopes = np.concatenate(
            [of_name(ACTIVATIONS, f, 1)(z_f) for f, z_f in runs(activation, z)], axis=1)
    else:
        slopes = of_name(ACTIVATIONS, activation, 1)(z)
    return slopes[:, :, None] * np.eye(z.shape[1])


def times_sigma_prime(error, activation, z):
    return np.einsum("nk,nkj->nj", error, jacobian(activation, z))


def output_error(cost, activation, z, y):
    """BP1, as the whole sum (37): delta_j = sum_k dC/da_k da_k/dz_j."""
    return times_sigma_prime(of_name(COSTS, cost, 1)(sigma(activation, z), y), activation, z)


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
            activations.append(sigma(activation, zs[-1]))
            if layer + 1 < len(masks):
                activations[-1] = activations[-1] * masks[layer + 1]
        return zs, activations

    def total_cost(self, x, y, weights=None):
        costs = of_name(COSTS, self.cost, 0)(self.forward(x)[1][-1], y)
        return (costs if weights is None else weights * costs).mean()

    def backprop(self, x, y, weights=None, masks=None):
        """BP1 to BP4: nabla_b, nabla_w, averaged over the examples."""
        zs, activations = self.forward(x, masks)
        delta = output_error(self.cost, self.activations[-1], zs[-1], y)  # BP1
        if weights is not None:
            delta = delta * weights[:, None]
        nabla_b, nabla_w = [], []
        for layer in reversed(range(len(self.weights))):
            nabla_b.insert(0, delta.mean(axis=0)[:, None])  # BP3
            nabla_w.insert(0, delta.T @ activations[layer] / len(delta))  # BP4
            if layer:
                delta = times_sigma_prime(  # BP2
                    delta @ self.weights[layer], self.activations[layer - 1], zs[layer - 1])
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

    def finite_differences(self, x, y, weights=None, eps=1e-3):
        """(46), with four points: the error is of order eps^4."""
        nabla_b, nabla_w = [], []
        for parameters, nabla in ((self.biases, nabla_b), (self.weights, nabla_w)):
            for p in parameters:
                g = np.zeros_like(p)
                for index in np.ndindex(p.shape):
                    kept = p[index]
                    for step, factor in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
                        p[index] = kept + step * eps
                        g[index] += factor * self.total_cost(x, y, weights) / (12 * eps)
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


def sgd(w, g, state, step, eta):
    return w - eta * g


def momentum(w, g, state, step, eta, momentum):
    state["v"] = momentum * state.get("v", 0) + g
    return w - eta * state["v"]


def nesterov(w, g, state, step, eta, momentum):
    state["v"] = momentum * state.get("v", 0) + g
    return w - eta * (g + momentum * state["v"])


def adagrad(w, g, state, step, eta, epsilon):
    state["s"] = state.get("s", 0) + g**2
    return w - eta * g / (np.sqrt(state["s"]) + epsilon)


def rmsprop(w, g, state, step, eta, rho, epsilon):
    state["s"] = rho * state.get("s", 0) + (1 - rho) * g**2
    return w - eta * g / (np.sqrt(state["s"]) + epsilon)


def adam(w, g, state, step, eta, beta1, beta2, epsilon, epsilon_hat):
    state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
    m, v = state["m"] / (1 - beta1**step), state["v"] / (1 - beta2**step)
    return w - eta * m / (np.sqrt(v) + epsilon + epsilon_hat / np.sqrt(1 - beta2**step))


def rprop(w, g, state, step, eta, shrink, grow, smallest, largest):
    agree = np.sign(g * state.get("g", np.zeros_like(g)))
    factor = np.where(agree > 0, grow, np.where(agree < 0, shrink, 1))
    state["length"] = np.clip(state.get("length", np.full_like(g, eta)) * factor, smallest, largest)
    state["g"] = np.where(agree < 0, 0, g)
    return w - np.sign(state["g"]) * state["length"]


def lion(w, g, state, step, eta, beta1, beta2):
    m = state.get("m", 0)
    state["m"] = beta2 * m + (1 - beta2) * g
    return w - eta * np.sign(beta1 * m + (1 - beta1) * g)


def nadam(w, g, state, step, eta, beta1, beta2, epsilon, momentum_decay):
    mu = beta1 * (1 - 0.5 * 0.96**(momentum_decay * np.arange(1, step + 2)))  # mu_1 to mu_step+1
    state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
    m = mu[-1] * state["m"] / (1 - mu.prod()) + (1 - mu[-2]) * g / (1 - mu[:-1].prod())
    return w - eta * m / (np.sqrt(state["v"] / (1 - beta2**step)) + epsilon)


OPTIMIZERS = {f.__name__: f for f in (
    sgd, momentum, nesterov, adagrad, rmsprop, adam, rprop, lion, nadam)}


def optimized(reference, states, x, y, step, eta, optimizer, numbers, *, l2=0.0, l1=0.0,
              weight_decay=0.0, clip_value=np.inf, clip_norm=np.inf, max_norm=np.inf, masks=None):
    """One mini-batch as an optimizer sees it; states is a list of one dictionary per array."""
    nabla_b, nabla_w = reference.backprop(x, y, masks=masks)
    norm = np.sqrt(sum((g**2).sum() for g in nabla_b + nabla_w))
    scale = min(1, clip_norm / norm)
    for layer, (g_b, g_w) in enumerate(zip(nabla_b, nabla_w, strict=True)):
        w, b = reference.weights[layer], reference.biases[layer]
        g_w, g_b = (np.clip(scale * g, -clip_value, clip_value) for g in (g_w, g_b))
        g_w = g_w + l2 * w + l1 * np.sign(w)
        w = OPTIMIZERS[optimizer](w * (1 - eta * weight_decay), g_w, states[2 * layer], step, eta,
                                  **numbers)
        norms = np.sqrt((w**2).sum(axis=1, keepdims=True))
        reference.weights[layer] = w * np.minimum(1, max_norm / norms)
        reference.biases[layer] = OPTIMIZERS[optimizer](
            b, g_b, states[2 * layer + 1], step, eta, **numbers)
