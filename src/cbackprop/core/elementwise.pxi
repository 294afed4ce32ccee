# Activations and costs with their derivatives, on whole rows.
#
# A new activation is its name in the table, its formulas in `sigma` and `sigma_prime`, and a line
# in `activate_run` and `times_sigma_prime_of_run`; a new cost its name, its formulas in `cost_of`
# and `grad_a`, and a line in `sum_of_costs` and `cost_gradient`. Only BP1's two cancelling pairs
# know them elsewhere.
#
# Each formula is written once, on a vector of neurons. `kind` is a constant wherever a loop over
# neurons is compiled, so that no neuron pays for the choice.
#
# A layer's neurons may differ: a Sigma is a run of equal ones. Softmax takes the whole layer. The
# user's own functions are compiled, called for each number, or NumPy's, called for all examples.
#
# Matrices are (rows, columns), rows ld apart: examples by neurons, or, for narrow outputs (see
# backprop.pxi), neurons by examples. What lies beyond the last column is whatever comes out, except
# where a sum or a later product would see it.

cdef enum Activation:
    SIGMOID, TANH, RELU, RELU6, LEAKY_RELU, ELU, SELU, GELU, GELU_TANH, SILU, SOFTPLUS, SOFTSIGN
    HARD_SIGMOID, EXPONENTIAL, GAUSSIAN, SINE, IDENTITY, SOFTMAX, COMPILED_SIGMA, NUMPY_SIGMA

cdef enum Cost:
    QUADRATIC, CROSS_ENTROPY, LOG_LIKELIHOOD, ABSOLUTE, HUBER, LOG_COSH, HINGE, SQUARED_HINGE
    POISSON, KL_DIVERGENCE, COSINE, COMPILED_COST, NUMPY_COST

ACTIVATIONS = {
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "relu6": RELU6,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "gelu_tanh": GELU_TANH,
    "silu": SILU,
    "softplus": SOFTPLUS,
    "softsign": SOFTSIGN,
    "hard_sigmoid": HARD_SIGMOID,
    "exponential": EXPONENTIAL,
    "gaussian": GAUSSIAN,
    "sine": SINE,
    "identity": IDENTITY,
    "softmax": SOFTMAX,
}
COSTS = {
    "quadratic": QUADRATIC,
    "cross_entropy": CROSS_ENTROPY,
    "log_likelihood": LOG_LIKELIHOOD,
    "absolute": ABSOLUTE,
    "huber": HUBER,
    "log_cosh": LOG_COSH,
    "hinge": HINGE,
    "squared_hinge": SQUARED_HINGE,
    "poisson": POISSON,
    "kl_divergence": KL_DIVERGENCE,
    "cosine": COSINE,
}
PARAMETERS = {                  # name, default, and whether it may be 0; none may be negative
    "relu6": ("ceiling", 6.0, False),
    "leaky_relu": ("alpha", 0.01, True),
    "elu": ("alpha", 1.0, True),
    "huber": ("delta", 1.0, False),
    "cross_entropy": ("floor", 0.0, True),
    "log_likelihood": ("floor", 0.0, True),
    "poisson": ("constant", 0.0, True),
}
GOES_WITH = {                   # a cost's output activation; else the hidden layers'
    "cross_entropy": "sigmoid",
    "log_likelihood": "softmax",
    "hinge": "identity",
    "squared_hinge": "identity",
    "poisson": "softplus",
    "kl_divergence": "softmax",
}
WHOLE_LAYER = {"softmax"}       # activations that depend on every z of their layer

cdef enum:
    TURNED = 4                  # vectors of a row of softmax whose examples may be lanes

ctypedef double (*OfOne)(double) noexcept nogil
ctypedef double (*OfTwo)(double, double) noexcept nogil


cdef struct Sigma:              # the activation of neurons first to last of a layer
    Activation kind
    Py_ssize_t first, last
    real p                      # its parameter
    OfOne f, f_prime            # COMPILED_SIGMA
    void* own                   # NUMPY_SIGMA: a Python object with f and f_prime


cdef struct CostFunction:
    Cost kind
    real p
    OfTwo f, f_prime            # COMPILED_COST: of a and y
    void* own                   # NUMPY_COST


# ---- activations: sigma(z), and sigma'(z) from a = sigma(z) where that is enough ----

cdef inline vec sigma(Activation kind, vec z, vec p) noexcept nogil:
    cdef vec bell
    if kind == SIGMOID:
        return logistic(z)
    if kind == TANH:
        return tanh(z)
    if kind == RELU:
        return at_least(z, splat(0))
    if kind == RELU6:
        return at_most(at_least(z, splat(0)), p)
    if kind == LEAKY_RELU:
        return select_lanes(less(z, splat(0)), p * z, z)
    if kind == ELU:
        return select_lanes(less(splat(0), z), z, p * expm1(z))
    if kind == SELU:                # Klambauer and others, 2017
        return select_lanes(less(splat(0), z), splat(<real>1.0507009873554805) * z,
                            splat(<real>1.7580993408473769) * expm1(z))
    if kind == GELU:
        return z * normal_cdf(z, &bell)
    if kind == GELU_TANH:
        return z / (1 + gelu_tanh_exp(z))
    if kind == SILU:
        return z / (1 + exp(-z))
    if kind == SOFTPLUS:
        return softplus(z)
    if kind == SOFTSIGN:
        return z / (1 + absolute(z))
    if kind == HARD_SIGMOID:        # relu6(z + 3) / 6
        return at_most(at_least(z + 3, splat(0)), splat(6)) / 6
    if kind == EXPONENTIAL:
        return exp(z)
    if kind == GAUSSIAN:
        return exp_minus_square(z, 1)
    if kind == SINE:
        return sin(z)
    return z                        # IDENTITY, and SOFTMAX until its row is complete


cdef inline vec sigma_prime(Activation kind, vec a, vec z, vec p) noexcept nogil:
    cdef vec s, x, bell
    if kind == SIGMOID:
        return a * (1 - a)
    if kind == TANH:
        return 1 - a * a
    if kind == RELU:
        return select_lanes(less(splat(0), a), splat(1), splat(0))
    if kind == RELU6:
        return select_lanes(less(a, p), select_lanes(less(splat(0), a), splat(1), splat(0)),
                            splat(0))
    if kind == LEAKY_RELU:
        return select_lanes(less(splat(0), a), splat(1), p)
    if kind == ELU:
        return select_lanes(less(splat(0), a), splat(1), a + p)
    if kind == SELU:
        return select_lanes(less(splat(0), a), splat(<real>1.0507009873554805),
                            a + splat(<real>1.7580993408473769))
    if kind == GELU:                # density(z) = e^(-z^2/2) / sqrt(2 pi)
        s = normal_cdf(z, &bell)
        return s + at_most(at_least(z, splat(-99)), splat(99)) * (
            bell * splat(<real>0.39894228040143268))
    if kind == GELU_TANH:           # with s = sigmoid(w): (z s)' = s + z s (1 - s) w'
        s = 1 / (1 + gelu_tanh_exp(z))
        x = at_most(at_least(z, splat(-99)), splat(99))
        return s + x * s * (1 - s) * (splat(<real>1.5957691216057308)
                                      + splat(<real>0.21406444881780075) * x * x)
    if kind == SILU:
        s = logistic(z)
        return s + a * (1 - s)
    if kind == SOFTPLUS:            # 1 - e^-a
        return -expm1(-a)
    if kind == SOFTSIGN:
        return (1 - absolute(a)) * (1 - absolute(a))
    if kind == HARD_SIGMOID:
        return select_lanes(less(splat(0), a * (1 - a)), splat(<real>(1.0 / 6)), splat(0))
    if kind == EXPONENTIAL:
        return a
    if kind == GAUSSIAN:
        return -(z + z) * a
    if kind == SINE:
        return cos(z)
    return splat(1)                 # IDENTITY


cdef inline bint needs_z(Activation kind) noexcept nogil:
    # of sigma', where a is not enough
    return (kind == GELU or kind == GELU_TANH or kind == SILU or kind == GAUSSIAN or kind == SINE
            or kind == COMPILED_SIGMA or kind == NUMPY_SIGMA)


cdef inline void sigma_rows(
    Activation kind, const Sigma* run, bint part, real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at, v0 = run.first // LANES if part else 0
    cdef vec x, p = splat(run.p)
    if part:
        columns = run.last
    elif vectors(columns) * LANES == ld:    # rows without a gap are one
        rows, columns = 1, rows * ld
    for i in range(rows):
        for v in range(v0, vectors(columns)):
            at = i * ld + v * LANES
            x = sigma(kind, load(z + at), p)
            if part:
                x = keep_run(x, v, run, load(a + at))
            store(a + at, x)


cdef inline void sigma_prime_rows(
    Activation kind, const Sigma* run, bint part, real* delta, const real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at, v0 = run.first // LANES if part else 0
    cdef vec x, p = splat(run.p)
    if part:
        columns = run.last
    elif vectors(columns) * LANES == ld:
        rows, columns = 1, rows * ld
    for i in range(rows):
        for v in range(v0, vectors(columns)):
            at = i * ld + v * LANES
            x = load(delta + at) * sigma_prime(
                kind, load(a + at), load(z + at) if needs_z(kind) else splat(0), p)
            if part:
                x = keep_run(x, v, run, load(delta + at))
            store(delta + at, x)


cdef int activate_run(
    const Sigma* run, bint part, real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    cdef Activation kind = run.kind
    if kind == SIGMOID:
        sigma_rows(SIGMOID, run, part, a, z, rows, columns, ld)
    elif kind == TANH:
        sigma_rows(TANH, run, part, a, z, rows, columns, ld)
    elif kind == RELU:
        sigma_rows(RELU, run, part, a, z, rows, columns, ld)
    elif kind == RELU6:
        sigma_rows(RELU6, run, part, a, z, rows, columns, ld)
    elif kind == LEAKY_RELU:
        sigma_rows(LEAKY_RELU, run, part, a, z, rows, columns, ld)
    elif kind == ELU:
        sigma_rows(ELU, run, part, a, z, rows, columns, ld)
    elif kind == SELU:
        sigma_rows(SELU, run, part, a, z, rows, columns, ld)
    elif kind == GELU:
        sigma_rows(GELU, run, part, a, z, rows, columns, ld)
    elif kind == GELU_TANH:
        sigma_rows(GELU_TANH, run, part, a, z, rows, columns, ld)
    elif kind == SILU:
        sigma_rows(SILU, run, part, a, z, rows, columns, ld)
    elif kind == SOFTPLUS:
        sigma_rows(SOFTPLUS, run, part, a, z, rows, columns, ld)
    elif kind == SOFTSIGN:
        sigma_rows(SOFTSIGN, run, part, a, z, rows, columns, ld)
    elif kind == HARD_SIGMOID:
        sigma_rows(HARD_SIGMOID, run, part, a, z, rows, columns, ld)
    elif kind == EXPONENTIAL:
        sigma_rows(EXPONENTIAL, run, part, a, z, rows, columns, ld)
    elif kind == GAUSSIAN:
        sigma_rows(GAUSSIAN, run, part, a, z, rows, columns, ld)
    elif kind == SINE:
        sigma_rows(SINE, run, part, a, z, rows, columns, ld)
    elif kind == SOFTMAX:
        softmax_rows(a, z, rows, columns, ld)
    elif kind == COMPILED_SIGMA:
        compiled_sigma_rows(run, part, a, z, rows, columns, ld)
    elif kind == NUMPY_SIGMA:
        numpy_sigma(run, a, z, rows, ld)
    elif a != z:
        sigma_rows(IDENTITY, run, part, a, z, rows, columns, ld)
    return 0


cdef int times_sigma_prime_of_run(
    const Sigma* run, bint part, real* delta, const real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    cdef Activation kind = run.kind
    if kind == SIGMOID:
        sigma_prime_rows(SIGMOID, run, part, delta, a, z, rows, columns, ld)
    elif kind == TANH:
        sigma_prime_rows(TANH, run, part, delta, a, z, rows, columns, ld)
    elif kind == RELU:
        sigma_prime_rows(RELU, run, part, delta, a, z, rows, columns, ld)
    elif kind == RELU6:
        sigma_prime_rows(RELU6, run, part, delta, a, z, rows, columns, ld)
    elif kind == LEAKY_RELU:
        sigma_prime_rows(LEAKY_RELU, run, part, delta, a, z, rows, columns, ld)
    elif kind == ELU:
        sigma_prime_rows(ELU, run, part, delta, a, z, rows, columns, ld)
    elif kind == SELU:
        sigma_prime_rows(SELU, run, part, delta, a, z, rows, columns, ld)
    elif kind == GELU:
        sigma_prime_rows(GELU, run, part, delta, a, z, rows, columns, ld)
    elif kind == GELU_TANH:
        sigma_prime_rows(GELU_TANH, run, part, delta, a, z, rows, columns, ld)
    elif kind == SILU:
        sigma_prime_rows(SILU, run, part, delta, a, z, rows, columns, ld)
    elif kind == SOFTPLUS:
        sigma_prime_rows(SOFTPLUS, run, part, delta, a, z, rows, columns, ld)
    elif kind == SOFTSIGN:
        sigma_prime_rows(SOFTSIGN, run, part, delta, a, z, rows, columns, ld)
    elif kind == HARD_SIGMOID:
        sigma_prime_rows(HARD_SIGMOID, run, part, delta, a, z, rows, columns, ld)
    elif kind == EXPONENTIAL:
        sigma_prime_rows(EXPONENTIAL, run, part, delta, a, z, rows, columns, ld)
    elif kind == GAUSSIAN:
        sigma_prime_rows(GAUSSIAN, run, part, delta, a, z, rows, columns, ld)
    elif kind == SINE:
        sigma_prime_rows(SINE, run, part, delta, a, z, rows, columns, ld)
    elif kind == SOFTMAX:
        softmax_jacobian_rows(delta, a, rows, columns, ld)
    elif kind == COMPILED_SIGMA:
        compiled_sigma_prime_rows(run, part, delta, z, rows, columns, ld)
    elif kind == NUMPY_SIGMA:
        numpy_sigma_prime(run, delta, z, rows, ld)
    return 0


cdef int activate(
    const Sigma* runs, int n_runs, bint narrow,
    real* a,                # OUT (rows, columns)  sigma(z); may be z itself
    const real* z,          # IN  (rows, columns)
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    # Sigmoid is apart from the others, whose spilled vectors would cost it 4 ns a call; so below.
    cdef int k
    cdef Py_ssize_t first
    if n_runs == 1:
        if runs.kind == SIGMOID:
            sigma_rows(SIGMOID, runs, False, a, z, rows, columns, ld)
            return 0
        return activate_run(runs, False, a, z, rows, columns, ld)
    for k in range(n_runs):
        if narrow:              # its rows are the run's neurons
            first = runs[k].first
            activate(&runs[k], 1, True, a + first * ld, z + first * ld, runs[k].last - first,
                     columns, ld)
        else:
            activate_run(&runs[k], True, a, z, rows, columns, ld)
    return 0


cdef int times_sigma_prime(
    const Sigma* runs, int n_runs, bint narrow,
    real* delta,            # IN, OUT (rows, columns)  delta * sigma'(z)
    const real* a,          # IN  (rows, columns)
    const real* z,          # IN  (rows, columns) where a is not enough
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    cdef int k
    cdef Py_ssize_t at
    if n_runs == 1:
        if runs.kind == SIGMOID:
            sigma_prime_rows(SIGMOID, runs, False, delta, a, z, rows, columns, ld)
            return 0
        return times_sigma_prime_of_run(runs, False, delta, a, z, rows, columns, ld)
    for k in range(n_runs):
        if narrow:
            at = runs[k].first * ld
            times_sigma_prime(&runs[k], 1, True, delta + at, a + at, z + at,
                              runs[k].last - runs[k].first, columns, ld)
        else:
            times_sigma_prime_of_run(&runs[k], True, delta, a, z, rows, columns, ld)
    return 0


cdef void softmax_rows(
    real* a, const real* z, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # a_j = e^(z_j - max z) / sum_k e^(z_k - max z)
    # Few neurons would leave lanes idle, and their sums wait for lanes: there examples are the
    # lanes, if there are enough of them; bit by bit the same.
    cdef Py_ssize_t i, v, at, n, first = 0
    cdef vec highest, total
    while vectors(J) <= TURNED and m - first >= LANES // 2:
        n = min(<Py_ssize_t>LANES, m - first)
        softmax_of_columns(a + first * ld, z + first * ld, n, J, ld)
        first += n
    for i in range(first, m):
        highest = splat(-LARGEST)
        for v in range(vectors(J)):
            highest = at_least(of_columns(z + i * ld, v, J, splat(-LARGEST)), highest)
        highest = splat(max_lanes(highest))
        total = splat(0)
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(a + at, exp(load(z + at) - highest))
            total = total + of_columns(a + i * ld, v, J, splat(0))
        total = splat(1 / sum_lanes(total))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(a + at, total * load(a + at))


cdef void softmax_of_columns(
    real* a, const real* z, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,      # m <= LANES
) noexcept nogil:
    cdef vec x[TURNED * LANES]          # by neuron
    cdef vec total[LANES]
    cdef vec highest = splat(-LARGEST)
    cdef Py_ssize_t i, j, v
    cdef Py_ssize_t n_vectors = max(<Py_ssize_t>1, vectors(J))  # else GCC warns that x may be unset
    cdef int stage, k
    for v in range(n_vectors):
        for i in range(LANES):          # behind the last stands the last again
            x[v * LANES + i] = load(z + min(i, m - 1) * ld + v * LANES)
        transpose(x + v * LANES)
    for j in range(J):
        highest = at_least(x[j], highest)
    for j in range(J):
        x[j] = exp(x[j] - highest)
    for j in range(J, n_vectors * LANES):
        x[j] = splat(0)
    for k in range(LANES):              # in the order of one example alone
        total[k] = splat(0)
        for v in range(n_vectors):
            total[k] = total[k] + x[v * LANES + k]
    for stage in range(1, 5):
        for k in range(LANES >> stage):
            total[k] = total[k] + total[k + (LANES >> stage)]
    total[0] = 1 / total[0]
    for j in range(J):
        x[j] = total[0] * x[j]
    for v in range(n_vectors):
        transpose(x + v * LANES)
        for i in range(m):
            store(a + i * ld + v * LANES, x[v * LANES + i])


# ---- costs: C(a, y) of one example, by neuron, and dC/da ----

cdef inline vec cost_of(Cost kind, vec a, vec y, vec p) noexcept nogil:
    # Logarithms are of the smallest normal real where a is below it: costs stay finite.
    cdef vec d
    if kind == QUADRATIC:
        return splat(<real>0.5) * (a - y) * (a - y)
    if kind == CROSS_ENTROPY:
        return -(y * log(at_least(a, p)) + (1 - y) * log(at_least(1 - a, p)))
    if kind == ABSOLUTE:
        return absolute(a - y)
    if kind == HUBER:
        d = absolute(a - y)
        return select_lanes(less(p, d), p * (d - splat(<real>0.5) * p), splat(<real>0.5) * d * d)
    if kind == LOG_COSH:
        return log_cosh(a - y)
    if kind == HINGE:
        return at_least(1 - side_of(y) * a, splat(0))
    if kind == SQUARED_HINGE:
        d = at_least(1 - side_of(y) * a, splat(0))
        return d * d
    if kind == POISSON:
        return a - y * log(a) + p * (y * log(y) - y)
    if kind == KL_DIVERGENCE:
        return y * (log(y) - log(a))
    return -y * log(at_least(a, p))     # LOG_LIKELIHOOD


cdef inline vec grad_a(Cost kind, vec a, vec y, vec p) noexcept nogil:
    cdef vec side
    if kind == QUADRATIC:
        return a - y
    if kind == CROSS_ENTROPY:
        return bounded((1 - y) * slope_of_log(1 - a) - y * slope_of_log(a))
    if kind == ABSOLUTE:
        return select_lanes(less(a, y), splat(-1), select_lanes(less(y, a), splat(1), splat(0)))
    if kind == HUBER:
        return at_most(at_least(a - y, -p), p)
    if kind == LOG_COSH:
        return tanh(a - y)
    if kind == HINGE:
        side = side_of(y)
        return select_lanes(less(side * a, splat(1)), -side, splat(0))
    if kind == SQUARED_HINGE:
        side = side_of(y)
        return -(side + side) * at_least(1 - side * a, splat(0))
    if kind == POISSON:
        return bounded(1 - y * slope_of_log(a))
    return bounded(-y * slope_of_log(a))    # LOG_LIKELIHOOD, KL_DIVERGENCE


cdef inline vec side_of(vec y) noexcept nogil:
    # of a hinge: 1 for the class, -1 for the others, whether y says 1 and 0 or 1 and -1
    return select_lanes(less(splat(0), y), splat(1), splat(-1))


cdef inline vec slope_of_log(vec a) noexcept nogil:
    # 1 / a; 0 where a is outside the logarithm's range
    return select_lanes(less(splat(0), a), 1 / at_least(a, splat(SMALLEST)), splat(0))


cdef inline vec bounded(vec gradient) noexcept nogil:
    # so that the step's factor does not make it infinite
    cdef real most = LARGEST / 1048576
    return at_most(at_least(gradient, splat(-most)), splat(most))


cdef inline double cost_rows(
    Cost kind, real p, const real* a, const real* y,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    # A few rows at a time in float32: the sum of all is a double.
    cdef Py_ssize_t first, i, v, at
    cdef double total = 0
    cdef vec some
    for first in range(0, rows, 16):
        some = splat(0)
        for i in range(first, min(first + 16, rows)):
            for v in range(vectors(columns)):
                at = i * ld + v * LANES
                some = some + keep_columns(
                    cost_of(kind, load(a + at), load(y + at), splat(p)), v, columns, splat(0))
        total += sum_lanes(some)
    return total


cdef inline double cost_of_nonzeros(
    Cost kind, real p, const real* a, const real* y,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    # As cost_rows, where a neuron costs nothing if its y is 0: of a class, all but one. The others
    # of several rows make a vector; so no logarithm is taken in vain.
    cdef real some_a[LANES]
    cdef real some_y[LANES]
    cdef Py_ssize_t i, v, at
    cdef int n = 0, k
    cdef uint64_t bits
    cdef double total = 0
    if rows * vectors(columns) < LANES // 2:    # not worth it
        return cost_rows(kind, p, a, y, rows, columns, ld)
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            bits = nonzero_bits(of_columns(y + i * ld, v, columns, splat(0)))
            if count_bits(bits) > LANES // 4:
                total += sum_lanes(keep_columns(
                    cost_of(kind, load(a + at), load(y + at), splat(p)), v, columns, splat(0)))
                continue
            while bits:
                k = lowest_bit(bits)
                bits &= bits - 1
                some_a[n], some_y[n] = a[at + k], y[at + k]
                n += 1
                if n == LANES:
                    n = 0
                    total += sum_lanes(cost_of(kind, load(some_a), load(some_y), splat(p)))
    for k in range(n, LANES):
        some_a[k], some_y[k] = 1, 0
    return total + sum_lanes(cost_of(kind, load(some_a), load(some_y), splat(p)))


cdef double sum_of_costs(
    const CostFunction* cost,
    const real* a,          # IN  (rows, columns)
    const real* y,          # IN  (rows, columns)
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except? -1 nogil:
    if cost.kind == QUADRATIC:
        return cost_rows(QUADRATIC, 0, a, y, rows, columns, ld)
    return sum_of_other_costs(cost, a, y, rows, columns, ld)


cdef double sum_of_other_costs(
    const CostFunction* cost, const real* a, const real* y,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except? -1 nogil:
    cdef real p = cost.p
    if cost.kind == CROSS_ENTROPY:
        return cost_rows(CROSS_ENTROPY, p, a, y, rows, columns, ld)
    if cost.kind == ABSOLUTE:
        return cost_rows(ABSOLUTE, p, a, y, rows, columns, ld)
    if cost.kind == HUBER:
        return cost_rows(HUBER, p, a, y, rows, columns, ld)
    if cost.kind == LOG_COSH:
        return cost_rows(LOG_COSH, p, a, y, rows, columns, ld)
    if cost.kind == HINGE:
        return cost_rows(HINGE, p, a, y, rows, columns, ld)
    if cost.kind == SQUARED_HINGE:
        return cost_rows(SQUARED_HINGE, p, a, y, rows, columns, ld)
    if cost.kind == POISSON:
        return cost_rows(POISSON, p, a, y, rows, columns, ld)
    if cost.kind == KL_DIVERGENCE:
        return cost_of_nonzeros(KL_DIVERGENCE, p, a, y, rows, columns, ld)
    if cost.kind == COSINE:
        return cosine_rows(NULL, a, y, 0, rows, columns, ld)
    if cost.kind == COMPILED_COST:
        return compiled_cost(cost, a, y, rows, columns, ld)
    if cost.kind == NUMPY_COST:
        return numpy_cost(cost, a, y, rows, columns, ld)
    return cost_of_nonzeros(LOG_LIKELIHOOD, p, a, y, rows, columns, ld)


# ---- the pieces of BP1: delta = step * ..., zero in the beyond the last column ----

cdef inline void grad_rows(
    Cost kind, real p, real* delta, const real* a, const real* y, real step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            store(delta + at, keep_columns(
                splat(step) * grad_a(kind, load(a + at), load(y + at), splat(p)), v, columns,
                splat(0)))


cdef int cost_gradient(
    const CostFunction* cost,
    real* delta,            # OUT (rows, columns)  step dC/da
    const real* a,          # IN  (rows, columns)
    const real* y,          # IN  (rows, columns)
    real step, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    if cost.kind == QUADRATIC:
        grad_rows(QUADRATIC, 0, delta, a, y, step, rows, columns, ld)
        return 0
    return other_gradient(cost, delta, a, y, step, rows, columns, ld)


cdef int other_gradient(
    const CostFunction* cost, real* delta, const real* a, const real* y, real step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    cdef real p = cost.p
    if cost.kind == CROSS_ENTROPY:
        grad_rows(CROSS_ENTROPY, p, delta, a, y, step, rows, columns, ld)
    elif cost.kind == ABSOLUTE:
        grad_rows(ABSOLUTE, p, delta, a, y, step, rows, columns, ld)
    elif cost.kind == HUBER:
        grad_rows(HUBER, p, delta, a, y, step, rows, columns, ld)
    elif cost.kind == LOG_COSH:
        grad_rows(LOG_COSH, p, delta, a, y, step, rows, columns, ld)
    elif cost.kind == HINGE:
        grad_rows(HINGE, p, delta, a, y, step, rows, columns, ld)
    elif cost.kind == SQUARED_HINGE:
        grad_rows(SQUARED_HINGE, p, delta, a, y, step, rows, columns, ld)
    elif cost.kind == POISSON:
        grad_rows(POISSON, p, delta, a, y, step, rows, columns, ld)
    elif cost.kind == COSINE:
        cosine_rows(delta, a, y, step, rows, columns, ld)
    elif cost.kind == COMPILED_COST:
        compiled_gradient(cost, delta, a, y, step, rows, columns, ld)
    elif cost.kind == NUMPY_COST:
        numpy_gradient(cost, delta, a, y, step, rows, columns, ld)
    else:
        grad_rows(LOG_LIKELIHOOD, p, delta, a, y, step, rows, columns, ld)
    return 0


cdef double cosine_rows(
    real* delta,            # OUT (m, J)  step dC/da, or NULL
    const real* a, const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # C = 1 - u.v, u = a / |a|, v = y / |y|;  dC/da_j = (u_j u.v - v_j) / |a|. Lengths below 1e-8
    # count as that, and |a| is then no variable.
    cdef Py_ssize_t i, v, at
    cdef vec ay, aa, yy, a_v, y_v
    cdef double total = 0, cosine, a_length, y_length
    for i in range(m):
        ay = aa = yy = splat(0)
        for v in range(vectors(J)):
            a_v = of_columns(a + i * ld, v, J, splat(0))
            y_v = of_columns(y + i * ld, v, J, splat(0))
            ay, aa, yy = ay + a_v * y_v, aa + a_v * a_v, yy + y_v * y_v
        a_length = max(sqrt(<double>sum_lanes(aa)), 1e-8)
        y_length = max(sqrt(<double>sum_lanes(yy)), 1e-8)
        cosine = sum_lanes(ay) / a_length / y_length
        total += 1 - cosine
        if delta == NULL:
            continue
        if a_length == 1e-8:
            cosine = 0
        a_v = splat(<real>(step * cosine / a_length / a_length))
        y_v = splat(<real>(step / a_length / y_length))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(delta + at, keep_columns(
                a_v * load(a + at) - y_v * load(y + at), v, J, splat(0)))
    return total


cdef void softmax_jacobian_rows(
    real* delta,            # IN, OUT (m, J)  dC/da; then a_j (dC/da_j - sum_k dC/da_k a_k)
    const real* a,          # IN  (m, J)
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    cdef vec total
    for i in range(m):
        total = splat(0)
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            total = total + keep_columns(load(delta + at) * load(a + at), v, J, splat(0))
        total = splat(sum_lanes(total))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(delta + at, keep_columns(
                load(a + at) * (load(delta + at) - total), v, J, splat(0)))


cdef void softmax_minus_rows(
    real* delta,            # OUT (m, J)  a_j sum_k y_k - y_j: what is left of softmax and -y ln a
    const real* a, const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    cdef vec total
    for i in range(m):
        total = splat(0)
        for v in range(vectors(J)):
            total = total + of_columns(y + i * ld, v, J, splat(0))
        total = splat(sum_lanes(total))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(delta + at, keep_columns(
                splat(step) * (load(a + at) * total - load(y + at)), v, J, splat(0)))


cdef void weigh(
    real* delta,            # IN, OUT (rows, columns): every example's times its weight
    const real* weights,    # IN  (examples)
    bint across,            # examples are the columns
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            store(delta + at, load(delta + at) * (
                load(weights + v * LANES) if across else splat(weights[i])))


# ---- the user's own, compiled: called for each number ----

cdef void compiled_sigma_rows(
    const Sigma* run, bint part, real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(run.first if part else 0, run.last if part else columns):
            a[i * ld + j] = <real>run.f(z[i * ld + j])


cdef void compiled_sigma_prime_rows(
    const Sigma* run, bint part, real* delta, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(run.first if part else 0, run.last if part else columns):
            delta[i * ld + j] *= <real>run.f_prime(z[i * ld + j])


cdef double compiled_cost(
    const CostFunction* cost, const real* a, const real* y,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double total = 0
    for i in range(rows):
        for j in range(columns):
            total += cost.f(a[i * ld + j], y[i * ld + j])
    return total


cdef void compiled_gradient(
    const CostFunction* cost, real* delta, const real* a, const real* y, real step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(columns):
            delta[i * ld + j] = step * <real>cost.f_prime(a[i * ld + j], y[i * ld + j])
        for j in range(columns, vectors(columns) * LANES):
            delta[i * ld + j] = 0


# ---- the user's own, in NumPy: called with copies of whole batches ----

cdef object batch_of(const real* x, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld):
    cdef Py_ssize_t i
    out = np.empty((rows, columns), dtype=REAL)
    cdef real[:, ::1] to = out
    for i in range(rows):
        memcpy(&to[i, 0], x + i * ld, columns * sizeof(real))
    return out


cdef object checked(object value, str which, object own, tuple shape):
    # What the user's function gave back.
    value = np.asarray(value)
    if value.shape != shape:
        raise ValueError(f"{own.name}: {which} must return an array of shape {shape}, "
                         f"got {value.shape}")
    return np.ascontiguousarray(value, dtype=REAL)


cdef int numpy_sigma(
    const Sigma* run, real* a, const real* z, Py_ssize_t rows, Py_ssize_t ld,
) except -1 with gil:
    cdef Py_ssize_t i, count = run.last - run.first
    cdef object own = <object>run.own
    cdef const real[:, ::1] values = checked(
        own.f(batch_of(z + run.first, rows, count, ld)), "f", own, (rows, count))
    for i in range(rows):
        memcpy(a + i * ld + run.first, &values[i, 0], count * sizeof(real))
    return 0


cdef int numpy_sigma_prime(
    const Sigma* run, real* delta, const real* z, Py_ssize_t rows, Py_ssize_t ld,
) except -1 with gil:
    cdef Py_ssize_t i, j, count = run.last - run.first
    cdef object own = <object>run.own
    cdef const real[:, ::1] values = checked(
        own.f_prime(batch_of(z + run.first, rows, count, ld)), "f_prime", own, (rows, count))
    for i in range(rows):
        for j in range(count):
            delta[i * ld + run.first + j] *= values[i, j]
    return 0


cdef double numpy_cost(
    const CostFunction* cost, const real* a, const real* y,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) except? -1 with gil:
    cdef object own = <object>cost.own
    return checked(own.f(batch_of(a, m, J, ld), batch_of(y, m, J, ld)), "f", own, (m,)).sum(
        dtype=np.float64)


cdef int numpy_gradient(
    const CostFunction* cost, real* delta, const real* a, const real* y, real step,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) except -1 with gil:
    cdef Py_ssize_t i, j
    cdef object own = <object>cost.own
    cdef const real[:, ::1] values = checked(
        own.f_prime(batch_of(a, m, J, ld), batch_of(y, m, J, ld)), "f_prime", own, (m, J))
    for i in range(m):
        for j in range(vectors(J) * LANES):
            delta[i * ld + j] = step * values[i, j] if j < J else 0
    return 0


# ---- vectors of a row ----

cdef inline Py_ssize_t vectors(Py_ssize_t J) noexcept nogil:
    return (J + LANES - 1) // LANES


cdef inline vec keep_columns(vec x, Py_ssize_t v, Py_ssize_t J, vec rest) noexcept nogil:
    return select_lanes(first_lanes(J - v * LANES), x, rest)


cdef inline vec keep_run(vec x, Py_ssize_t v, const Sigma* run, vec rest) noexcept nogil:
    return select_lanes(first_lanes(run.first - v * LANES), rest,
                        keep_columns(x, v, run.last, rest))


cdef inline vec of_columns(const real* row, Py_ssize_t v, Py_ssize_t J, vec rest) noexcept nogil:
    return keep_columns(load(row + v * LANES), v, J, rest)


cdef inline real sum_lanes(vec x) noexcept nogil:
    # By halves: 16 additions one after another would wait for each other, 60 cycles.
    cdef real half[LANES]
    cdef int stage, i
    for i in range(LANES):
        half[i] = lane(x, i)
    for stage in range(1, 5):
        for i in range(LANES >> stage):
            half[i] = half[i] + half[i + (LANES >> stage)]
    return half[0]


cdef inline real max_lanes(vec x) noexcept nogil:
    cdef real half[LANES]
    cdef int stage, i
    for i in range(LANES):
        half[i] = lane(x, i)
    for stage in range(1, 5):
        for i in range(LANES >> stage):
            half[i] = max(half[i], half[i + (LANES >> stage)])
    return half[0]
