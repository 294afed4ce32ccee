"""Activations, costs and their derivatives in mpmath, with digits enough for a saturated 1 - a."""

import mpmath as mp

with mp.workdps(40):
    ALPHA, SCALE = mp.mpf("1.6732632423543772848"), mp.mpf("1.0507009873554804935")
ONE_PERCENT = mp.mpf(0.01)


def digits(z):
    """Return how many it takes to lose nothing of 1 - tanh(z), nor of a square next to 1."""
    return 700 + int(0.9 * abs(float(z)))


def sigmoid(z):
    return 1 / (1 + mp.exp(-z))


def normal_cdf(z):
    return mp.erfc(-z / mp.sqrt(2)) / 2


def density(z):
    return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def gelu_tanh_argument(z):
    return mp.sqrt(8 / mp.pi) * (z + mp.mpf("0.044715") * z**3)


def gelu_tanh_prime(z):
    s = sigmoid(gelu_tanh_argument(z))
    rest = sigmoid(-gelu_tanh_argument(z))
    return s + z * s * rest * mp.sqrt(8 / mp.pi) * (1 + 3 * mp.mpf("0.044715") * z * z)


def one(z):
    return mp.mpf(1)


def softplus(z):
    return mp.log1p(mp.exp(z)) if z < 0 else z + mp.log1p(mp.exp(-z))


ACTIVATIONS = {  # sigma and sigma', of z
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (mp.tanh, lambda z: mp.sech(z) ** 2),
    "relu": (lambda z: max(z, mp.mpf(0)), lambda z: mp.mpf(z > 0)),
    "relu6": (lambda z: min(max(z, mp.mpf(0)), mp.mpf(6)), lambda z: mp.mpf(0 < z < 6)),
    "leaky_relu": (lambda z: z if z > 0 else ONE_PERCENT * z,
                   lambda z: mp.mpf(1) if z > 0 else ONE_PERCENT),
    "elu": (lambda z: z if z > 0 else mp.expm1(z), lambda z: one(z) if z > 0 else mp.exp(z)),
    "selu": (lambda z: SCALE * (z if z > 0 else ALPHA * mp.expm1(z)),
             lambda z: SCALE * (1 if z > 0 else ALPHA * mp.exp(z))),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * density(z)),
    "gelu_tanh": (lambda z: z * sigmoid(gelu_tanh_argument(z)), gelu_tanh_prime),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
    "mish": (lambda z: z * mp.tanh(softplus(z)),
             lambda z: mp.tanh(softplus(z)) + z * sigmoid(z) * mp.sech(softplus(z)) ** 2),
    "softplus": (softplus, sigmoid),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "hard_sigmoid": (lambda z: min(max(z + 3, mp.mpf(0)), mp.mpf(6)) / 6,
                     lambda z: mp.mpf(abs(z) < 3) / 6),
    "hard_tanh": (lambda z: min(max(z, mp.mpf(-1)), mp.mpf(1)), lambda z: mp.mpf(abs(z) < 1)),
    "exponential": (mp.exp, mp.exp),
    "gaussian": (lambda z: mp.exp(-z * z), lambda z: -2 * z * mp.exp(-z * z)),
    "sine": (mp.sin, mp.cos),
    "identity": (lambda z: z, one),
}


def log(x):
    """Return ln x as costs take it: of what is not positive, that of a smallest real, of no use."""
    return mp.log(x) if x > 0 else mp.mpf("nan")


def slope(x):
    return 1 / x if x > 0 else mp.mpf(0)


def side(y):
    return 1 if y > 0 else -1


def log_times(y, x):
    return y * log(x) if y else mp.mpf(0)


def focal_slope(a):
    """Return the slope of -(1 - a)^2 ln a, 0 outside its range."""
    return 2 * (1 - a) * mp.log(a) - (1 - a) ** 2 / a if 0 < a < 1 else mp.mpf(0)


COSTS = {  # C and dC/da, of a and y
    "quadratic": (lambda a, y: (a - y) ** 2 / 2, lambda a, y: a - y),
    "cross_entropy": (lambda a, y: -log_times(y, a) - log_times(1 - y, 1 - a),
                      lambda a, y: (1 - y) * slope(1 - a) - y * slope(a)),
    "focal": (lambda a, y: (-max(1 - a, mp.mpf(0)) ** 2 * log_times(y, a)
                            - max(a, mp.mpf(0)) ** 2 * log_times(1 - y, 1 - a)),
              lambda a, y: y * focal_slope(a) - (1 - y) * focal_slope(1 - a)),
    "log_likelihood": (lambda a, y: -log_times(y, a), lambda a, y: -y * slope(a)),
    "absolute": (lambda a, y: abs(a - y), lambda a, y: mp.sign(a - y)),
    "huber": (lambda a, y: (a - y) ** 2 / 2 if abs(a - y) < 1 else abs(a - y) - mp.mpf(1) / 2,
              lambda a, y: min(max(a - y, mp.mpf(-1)), mp.mpf(1))),
    "quantile": (lambda a, y: abs(a - y) / 2, lambda a, y: mp.sign(a - y) / 2),
    "log_cosh": (lambda a, y: abs(a - y) + mp.log1p(mp.exp(-2 * abs(a - y))) - mp.log(2),
                 lambda a, y: mp.tanh(a - y)),
    "hinge": (lambda a, y: max(1 - side(y) * a, mp.mpf(0)),
              lambda a, y: mp.mpf(-side(y) * (side(y) * a < 1))),
    "squared_hinge": (lambda a, y: max(1 - side(y) * a, mp.mpf(0)) ** 2,
                      lambda a, y: -2 * side(y) * max(1 - side(y) * a, mp.mpf(0))),
    "poisson": (lambda a, y: a - log_times(y, a), lambda a, y: 1 - y * slope(a)),
    "kl_divergence": (lambda a, y: log_times(y, mp.mpf(y)) - log_times(y, a),
                      lambda a, y: -y * slope(a)),
}


def output(activation, z):
    """Return a and sigma'(z)."""
    z = mp.mpf(float(z))
    with mp.workdps(digits(z)):
        f, f_prime = ACTIVATIONS[activation]
        return f(z), f_prime(z)


def softmax(z):
    """Return a, for a list of z."""
    with mp.workdps(digits(max(z) - min(z))):
        e = [mp.exp(mp.mpf(float(x)) - mp.mpf(float(max(z)))) for x in z]
        return [x / mp.fsum(e) for x in e]


def softmax_delta(cost, z, y):
    """Return (37) for softmax: delta_j = a_j (g_j - sum_k g_k a_k), g = dC/da."""
    with mp.workdps(digits(max(z) - min(z))):
        a = softmax(z)
        g = [COSTS[cost][1](x, mp.mpf(float(t))) for x, t in zip(a, y, strict=True)]
        total = mp.fsum(x * of for x, of in zip(a, g, strict=True))
        return [x * (of - total) for x, of in zip(a, g, strict=True)]
