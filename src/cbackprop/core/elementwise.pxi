# Activations with their derivatives, on whole rows; and the table of these and of costs.
#
# A new activation is its name in the table, its formulas in `sigma` and `sigma_prime`, and a line
# in `activate_run` and `times_sigma_prime_of_run`; if it saturates at 1 or -1, its formulas in
# outputs.pxi too. A new cost is its name in the table, and what costs.pxi says.
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
THRESHOLDS = {                  # what a single output is a class against; else 1/2
    "hinge": 0.0,
    "squared_hinge": 0.0,
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
    real threshold              # what a single output is a class against
    OfTwo f, f_prime            # COMPILED_COST: of a and y
    void* own                   # NUMPY_COST

# ---- activations: sigma(z), and sigma'(z) from a = sigma(z) where that is enough ----


cdef inline vec sigma(Activation kind, vec z, vec p) noexcept nogil:
    cdef vec bell, s, w, low
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
        w = gelu_tanh_argument(z, &low)
        s = z / (1 + exp_of_sum(w, low))
        if any_lane(less(z, splat(GELU_FAR))):      # e^-w is beyond the reals sooner than z e^w
            s = select_lanes(less(z, splat(GELU_FAR)), times_exp(z, -w, -low), s)
        return s
    if kind == SILU:
        s = z / (1 + exp(-z))
        if any_lane(less(z, splat(SILU_FAR))):
            s = select_lanes(less(z, splat(SILU_FAR)), times_exp(z, z, splat(0)), s)
        return s
    if kind == SOFTPLUS:
        return softplus(z)
    if kind == SOFTSIGN:
        return z / (1 + absolute(z))
    if kind == HARD_SIGMOID:        # relu6(z + 3) / 6
        return at_most(at_least(z + 3, splat(0)), splat(6)) / 6
    if kind == EXPONENTIAL:
        return exp_everywhere(z)
    if kind == GAUSSIAN:
        return exp_minus_square(z, 1)
    if kind == SINE:
        return sin(z)
    return z                        # IDENTITY, and SOFTMAX until its row is complete


cdef inline vec sigma_prime(Activation kind, vec a, vec z, vec p) noexcept nogil:
    cdef vec s, x, bell, w, low
    if kind == SIGMOID:
        return a * (1 - a)
    if kind == TANH:
        return 1 - a * a
    if kind == RELU:
        return by_sign(a, splat(1), splat(0))
    if kind == RELU6:
        return by_sign(a, by_sign(p - a, splat(1), splat(0)), splat(0))
    if kind == LEAKY_RELU:
        return by_sign(a, splat(1), p)
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
        x = at_most(at_least(z, splat(-99)), splat(99))
        w = gelu_tanh_argument(x, &low)
        s = 1 / (1 + exp_of_sum(w, low))
        bell = splat(<real>1.5957691216057308) + splat(<real>0.21406444881780075) * x * x
        s = s + x * s * (1 - s) * bell
        if any_lane(less(z, splat(GELU_FAR))):      # where 1 - s is 1
            s = select_lanes(less(z, splat(GELU_FAR)), times_exp(1 + x * bell, -w, -low), s)
        return s
    if kind == SILU:
        s = logistic(z)
        s = s + a * (1 - s)
        if any_lane(less(z, splat(SILU_FAR))):
            s = select_lanes(less(z, splat(SILU_FAR)), times_exp(1 + z, z, splat(0)), s)
        return s
    if kind == SOFTPLUS:            # 1 - e^-a
        return -expm1(-a)
    if kind == SOFTSIGN:
        return (1 - absolute(a)) * (1 - absolute(a))
    if kind == HARD_SIGMOID:
        return by_sign(a * (1 - a), splat(<real>(1.0 / 6)), splat(0))
    if kind == EXPONENTIAL:
        return a
    if kind == GAUSSIAN:
        return -(z + z) * a
    if kind == SINE:
        return cos(z)
    return splat(1)                 # IDENTITY


cdef inline vec by_sign(vec x, vec positive, vec other) noexcept nogil:
    # A NaN is neither, and stays one.
    return select_lanes(less(splat(0), x), positive,
                        select_lanes(less(x, splat(SMALLEST)), other, x))


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

# ---- vectors of a row ----


cdef inline vec keep_run(vec x, Py_ssize_t v, const Sigma* run, vec rest) noexcept nogil:
    return select_lanes(first_lanes(run.first - v * LANES), rest,
                        keep_columns(x, v, run.last, rest))
