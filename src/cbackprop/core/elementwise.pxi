# Activations and costs with their derivatives, on whole rows.
#
# A new activation is its name in the table, its formulas in `sigma` and `sigma_prime`, and a line
# in `activate` and `times_sigma_prime`; a new cost its formulas in `cost_of` and `grad_a`, and a
# line in `sum_of_costs` and `cost_gradient`. Only BP1's two cancelling pairs know them elsewhere.
#
# Each formula is written once, on a vector of neurons. `kind` is a constant wherever a loop over
# neurons is compiled, so that no neuron pays for the choice.
#
# Matrices are (rows, columns), rows ld apart: examples by neurons, or, for narrow outputs (see
# backprop.pxi), neurons by examples. What lies beyond the last column is whatever comes out, except
# where a sum or a later product would see it.

cdef enum Activation:
    SIGMOID, TANH, RELU, IDENTITY, SOFTMAX

cdef enum Cost:
    QUADRATIC, CROSS_ENTROPY, LOG_LIKELIHOOD

ACTIVATIONS = {
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "identity": IDENTITY,
    "softmax": SOFTMAX,
}
COSTS = {
    "quadratic": QUADRATIC,
    "cross_entropy": CROSS_ENTROPY,
    "log_likelihood": LOG_LIKELIHOOD,
}
GOES_WITH = {"cross_entropy": "sigmoid", "log_likelihood": "softmax"}   # else the hidden layers'
OUTPUT_ONLY = {"softmax"}                           # activations that need the whole layer
UNIT_RANGE = {"sigmoid", "softmax"}                 # activations with values in (0, 1), ...
NEEDS_UNIT_RANGE = {"cross_entropy", "log_likelihood"}  # ... and costs that take logarithms of them


# ---- exp and log: minimax polynomials (relative error below half an ulp before rounding) ----

cdef inline vec exp_minus_1(vec x, vec* scale) noexcept nogil:
    # e^x = 2^n e^r with |r| <= ln(2) / 2: returns e^r - 1, and 2^n
    cdef real highest = 88 if REAL_BYTES == 4 else 709
    cdef vec t, n, r, q
    x = at_most(at_least(x, splat(-87 if REAL_BYTES == 4 else -708)), splat(highest))
    t = x * splat(<real>1.4426950408889634) + splat(ROUND_TO_INT)
    n = t - splat(ROUND_TO_INT)
    if REAL_BYTES == 4:
        r = x - n * splat(<real>0.693359375)
        r = r + n * splat(<real>2.12194440e-4)
        q = splat(<real>0.001395157814)
        q = q * r + splat(<real>0.008369530816)
        q = q * r + splat(<real>0.04166619023)
        q = q * r + splat(<real>0.1666651363)
        q = q * r + splat(<real>0.5000000099)
    else:
        r = x - n * splat(<real>6.93147180369123816490e-01)
        r = r - n * splat(<real>1.90821492927058770002e-10)
        q = splat(<real>2.511888810834870829e-8)
        q = q * r + splat(<real>2.763232852552374371e-7)
        q = q * r + splat(<real>2.755721317543483152e-6)
        q = q * r + splat(<real>0.00002480148737472499918)
        q = q * r + splat(<real>0.000198412699207087945)
        q = q * r + splat(<real>0.001388888894905212086)
        q = q * r + splat(<real>0.008333333333305778842)
        q = q * r + splat(<real>0.04166666666650986169)
        q = q * r + splat(<real>0.1666666666666670104)
        q = q * r + splat(<real>0.5000000000000013027)
    scale[0] = power_of_two(t)
    return r + r * r * q


cdef inline vec exp(vec x) noexcept nogil:
    # no overflow: x is held between the logarithms of the smallest and the largest real
    cdef vec scale
    cdef vec q = exp_minus_1(x, &scale)
    return scale + scale * q


cdef inline vec log(vec x) noexcept nogil:
    # x = 2^n (1 + f): n ln 2 + 2 artanh(f / (2 + f)); x from the smallest normal real on
    cdef vec n, f, s, z, q
    x = at_least(x, splat(SMALLEST))
    n = exponent_of(x)
    f = mantissa_of(x) - 1
    s = f / (f + 2)
    z = s * s
    if REAL_BYTES == 4:
        q = splat(<real>0.2359329004)
        q = q * z + splat(<real>0.2853678908)
        q = q * z + splat(<real>0.4000034203)
        q = q * z + splat(<real>0.6666666562)
    else:
        q = splat(<real>0.1480753007249915381)
        q = q * z + splat(<real>0.1531300319949760567)
        q = q * z + splat(<real>0.1818360046020373075)
        q = q * z + splat(<real>0.2222219798371684133)
        q = q * z + splat(<real>0.2857142874690571417)
        q = q * z + splat(<real>0.3999999999940134392)
        q = q * z + splat(<real>0.6666666666666734928)
    # 2 artanh(s) = f - s (f - z q)
    return n * splat(<real>0.69314718055994531) + (f - s * (f - z * q))


# ---- activations: sigma(z), and sigma'(z) from a = sigma(z) ----

cdef inline vec sigma(Activation kind, vec z) noexcept nogil:
    cdef vec scale, q
    if kind == SIGMOID:
        return reciprocal(1 + exp(-z))
    if kind == TANH:                # (e^2|z| - 1) / (e^2|z| + 1), odd; no cancellation near 0
        q = exp_minus_1(absolute(z + z), &scale)
        q = scale * q + (scale - 1)
        return sign_of(q / (q + 2), z)
    if kind == RELU:
        return at_least(z, splat(0))
    return z                        # IDENTITY, and SOFTMAX until its row is complete


cdef inline vec sigma_prime(Activation kind, vec a) noexcept nogil:
    if kind == SIGMOID:
        return a * (1 - a)
    if kind == TANH:
        return 1 - a * a
    if kind == RELU:
        return select_lanes(less(splat(0), a), splat(1), splat(0))
    return splat(1)                 # IDENTITY


cdef inline void sigma_rows(
    Activation kind, real* a, const real* z, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    if vectors(columns) * LANES == ld:      # rows without a gap are one
        rows, columns = 1, rows * ld
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            store(a + at, sigma(kind, load(z + at)))


cdef inline void sigma_prime_rows(
    Activation kind, real* delta, const real* a, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    if vectors(columns) * LANES == ld:
        rows, columns = 1, rows * ld
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            store(delta + at, load(delta + at) * sigma_prime(kind, load(a + at)))


cdef void activate(
    Activation kind,
    real* a,                # OUT (rows, columns)  sigma(z); may be z itself
    const real* z,          # IN  (rows, columns)
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    if kind == SIGMOID:
        sigma_rows(SIGMOID, a, z, rows, columns, ld)
    elif kind == TANH:
        sigma_rows(TANH, a, z, rows, columns, ld)
    elif kind == RELU:
        sigma_rows(RELU, a, z, rows, columns, ld)
    elif kind == SOFTMAX:
        softmax_rows(a, z, rows, columns, ld)
    elif a != z:
        sigma_rows(IDENTITY, a, z, rows, columns, ld)


cdef void times_sigma_prime(
    Activation kind,
    real* delta,            # IN, OUT (rows, columns)  delta * sigma'(z)
    const real* a,          # IN  (rows, columns)
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    if kind == SIGMOID:
        sigma_prime_rows(SIGMOID, delta, a, rows, columns, ld)
    elif kind == TANH:
        sigma_prime_rows(TANH, delta, a, rows, columns, ld)
    elif kind == RELU:
        sigma_prime_rows(RELU, delta, a, rows, columns, ld)


cdef void softmax_rows(
    real* a, const real* z, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # a_j = e^(z_j - max z) / sum_k e^(z_k - max z)
    cdef Py_ssize_t i, v, at
    cdef vec highest, total
    for i in range(m):
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


# ---- costs: C(a, y) of one example, by neuron, and dC/da ----

cdef inline vec cost_of(Cost kind, vec a, vec y) noexcept nogil:
    if kind == QUADRATIC:
        return splat(<real>0.5) * (a - y) * (a - y)
    if kind == CROSS_ENTROPY:
        return -(y * log(a) + (1 - y) * log(1 - a))
    return -y * log(a)              # LOG_LIKELIHOOD


cdef inline vec grad_a(Cost kind, vec a, vec y) noexcept nogil:
    if kind == QUADRATIC:
        return a - y
    if kind == CROSS_ENTROPY:
        return (a - y) / at_least(a * (1 - a), splat(SMALLEST))
    return -y / at_least(a, splat(SMALLEST))    # LOG_LIKELIHOOD


cdef inline double cost_rows(
    Cost kind, const real* a, const real* y, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
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
                    cost_of(kind, load(a + at), load(y + at)), v, columns, splat(0))
        total += sum_lanes(some)
    return total


cdef double sum_of_costs(
    Cost kind,
    const real* a,          # IN  (rows, columns)
    const real* y,          # IN  (rows, columns)
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    if kind == QUADRATIC:
        return cost_rows(QUADRATIC, a, y, rows, columns, ld)
    if kind == CROSS_ENTROPY:
        return cost_rows(CROSS_ENTROPY, a, y, rows, columns, ld)
    return cost_rows(LOG_LIKELIHOOD, a, y, rows, columns, ld)


# ---- the pieces of BP1: delta = step * ..., zero in the beyond the last column ----

cdef inline void grad_rows(
    Cost kind, real* delta, const real* a, const real* y, real step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            store(delta + at, keep_columns(
                splat(step) * grad_a(kind, load(a + at), load(y + at)), v, columns, splat(0)))


cdef void cost_gradient(
    Cost kind,
    real* delta,            # OUT (rows, columns)  step dC/da
    const real* a,          # IN  (rows, columns)
    const real* y,          # IN  (rows, columns)
    real step, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    if kind == QUADRATIC:
        grad_rows(QUADRATIC, delta, a, y, step, rows, columns, ld)
    elif kind == CROSS_ENTROPY:
        grad_rows(CROSS_ENTROPY, delta, a, y, step, rows, columns, ld)
    else:
        grad_rows(LOG_LIKELIHOOD, delta, a, y, step, rows, columns, ld)


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


# ---- vectors of a row ----

cdef inline Py_ssize_t vectors(Py_ssize_t J) noexcept nogil:
    return (J + LANES - 1) // LANES


cdef inline vec keep_columns(vec x, Py_ssize_t v, Py_ssize_t J, vec rest) noexcept nogil:
    return select_lanes(first_lanes(J - v * LANES), x, rest)


cdef inline vec of_columns(const real* row, Py_ssize_t v, Py_ssize_t J, vec rest) noexcept nogil:
    return keep_columns(load(row + v * LANES), v, J, rest)


cdef inline real sum_lanes(vec x) noexcept nogil:
    cdef real total = 0
    cdef int i
    for i in range(LANES):
        total += lane(x, i)
    return total


cdef inline real max_lanes(vec x) noexcept nogil:
    cdef real highest = lane(x, 0)
    cdef int i
    for i in range(1, LANES):
        if not lane(x, i) <= highest:       # a NaN stays one
            highest = lane(x, i)
    return highest
