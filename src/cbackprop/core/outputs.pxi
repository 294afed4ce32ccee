# The last layer's neurons as BP1 and the costs see them: exact where activations saturate.
#
# sigmoid(17) rounds to 1 in float32, and then nothing is left of 1 - a, by which costs divide and
# whose logarithm they take. What they need has forms in z that neither cancel nor overflow, and
# they are here: 1 - a, 1 + a, a - y, ln a, ln(1 - a), sigma', and the slopes of the two logarithms.
# Where an activation is not named below, a and sigma_prime say everything. So they do for a user's
# own function.
#
# What a logarithm is of must be positive: where a <= 0, or 1 - a <= 0, its slope counts as 0 and
# its value as that of the smallest normal real, as long as a target asks for it.

cdef extern from *:
    """
    #define NEAR_1 ((real)0.9)      /* above, 1 - a is not taken from a */
    """
    const real NEAR_1


cdef struct Output:         # of a vector of neurons, next to their targets
    vec a, minus_y          # a, a - y
    vec below, above        # 1 - a, 1 + a


cdef inline bint asks_z(Activation kind) noexcept nogil:
    # where a is not enough to tell what BP1 and the costs want of an output
    return not (kind == IDENTITY or kind == RELU or kind == LEAKY_RELU
                or kind == COMPILED_SIGMA or kind == NUMPY_SIGMA)


cdef inline void compare(Output* o, vec a, vec y) noexcept nogil:
    # as a says
    o.a, o.minus_y = a, a - y
    o.below, o.above = 1 - a, 1 + a


cdef inline void compare_from_z(
    Output* o, Activation kind, vec a, vec z, vec y,
    vec p,                  # the activation's parameter; of softmax: see `sum_of_others`
) noexcept nogil:
    # What most networks end in is apart: the others are one function, called.
    cdef vec s
    if kind != SIGMOID and kind != SOFTMAX and kind != TANH:
        compare_others(o, kind, a, z, y, p)
        return
    compare(o, a, y)
    if kind == TANH:
        if any_lane(less(splat(NEAR_1), absolute(a))):
            s = 2 * logistic(splat(-2) * absolute(z))
            o.below = select_lanes(less(splat(NEAR_1), a), s, o.below)
            o.above = select_lanes(less(splat(NEAR_1), -a), s, o.above)
            o.minus_y = select_lanes(
                less(splat(NEAR_1), a), (1 - y) - o.below,
                select_lanes(less(splat(NEAR_1), -a), o.above - (1 + y), o.minus_y))
        return
    if any_lane(less(splat(NEAR_1), a)):
        o.below = select_lanes(less(splat(NEAR_1), a), logistic(-z) if kind == SIGMOID else p,
                               o.below)
        o.minus_y = select_lanes(less(splat(NEAR_1), a), (1 - y) - o.below, o.minus_y)


cdef void compare_others(
    Output* o, Activation kind, vec a, vec z, vec y, vec p,
) noexcept nogil:
    cdef vec s
    compare(o, a, y)
    if kind == ELU:               # 1 + a = (1 - alpha) + alpha e^z
        o.above = select_lanes(less(z, splat(0)), (1 - p) + p * exp(z), o.above)
    elif kind == SOFTSIGN:
        s = 1 / (1 + absolute(z))
        o.below = select_lanes(less(splat(0), z), s, o.below)
        o.above = select_lanes(less(z, splat(0)), s, o.above)
    elif kind == HARD_SIGMOID:
        o.below = at_most(at_least(3 - z, splat(0)), splat(6)) / 6
    elif kind == EXPONENTIAL:
        o.below = -expm1(z)
    elif kind == GAUSSIAN:
        o.below = -expm1(-z * z)
    elif kind == SINE:              # (1 - a) (1 + a) = cos^2
        s = cos(z)
        o.below = select_lanes(less(splat(<real>0.5), a), s * s / (1 + a), o.below)
        o.above = select_lanes(less(a, splat(<real>-0.5)), s * s / (1 - a), o.above)
    o.minus_y = select_lanes(less(absolute(o.below), splat(<real>0.5)), (1 - y) - o.below,
                             select_lanes(less(absolute(o.above), splat(<real>0.5)),
                                          o.above - (1 + y), o.minus_y))


cdef vec slope(Activation kind, const Output* o, vec z, vec p) noexcept nogil:
    # sigma'(z)
    if kind == SIGMOID:
        return o.a * o.below
    if kind == TANH:
        return o.below * o.above
    if kind == SOFTSIGN:
        return 1 / ((1 + absolute(z)) * (1 + absolute(z)))
    if kind == ELU:
        return select_lanes(less(splat(0), z), splat(1), p * exp_everywhere(z))
    if kind == SELU:
        return select_lanes(less(splat(0), z), splat(<real>1.0507009873554805),
                            splat(<real>1.7580993408473769) * exp_everywhere(z))
    if kind == EXPONENTIAL:         # finite: a hinge has 0 of it
        return at_most(o.a, splat(LARGEST))
    return sigma_prime(kind, o.a, z, p)


cdef vec slope_of_log(Activation kind, const Output* o, vec z, vec p) noexcept nogil:
    # (ln a)' = sigma'(z) / a
    cdef vec quotient_of_a = quotient(slope(kind, o, z, p), o.a)
    if kind == SIGMOID:
        return o.below
    if kind == EXPONENTIAL:         # of a NaN it is none
        return 1 + 0 * at_most(at_least(z, splat(-1)), splat(1))
    if kind == GAUSSIAN:
        return -(z + z)
    if kind == SOFTPLUS:            # 1 - e^z / 2 + ...
        return select_lanes(less(z, splat(-20 if REAL_BYTES == 4 else -40)), splat(1),
                            quotient_of_a)
    return quotient_of_a


cdef vec slope_of_log_below(Activation kind, const Output* o, vec z, vec p) noexcept nogil:
    # -(ln(1 - a))' = sigma'(z) / (1 - a)
    cdef vec quotient_of_below = quotient(slope(kind, o, z, p), o.below)
    if kind == SIGMOID:
        return o.a
    if kind == TANH:
        return o.above
    if kind == GAUSSIAN:            # near 0, where 1 - a = z^2 leaves the reals, -2 / z
        quotient_of_below = select_lanes(
            less(absolute(z), splat(<real>1e-4 if REAL_BYTES == 4 else <real>1e-7)),
            splat(-2) / z, quotient_of_below)
        return select_lanes(less(splat(0), absolute(z)), quotient_of_below, splat(0))
    if kind == SINE:                # cos / (1 - sin) = (1 + sin) / cos
        return select_lanes(less(splat(0), o.a), o.above / cos(z), quotient_of_below)
    return quotient_of_below


cdef inline vec log_of_output(Activation kind, const Output* o, vec z) noexcept nogil:
    # ln a
    if kind == SIGMOID:             # -softplus(-z)
        return at_most(z, splat(0)) - log1p(exp(-absolute(z)))
    if kind == EXPONENTIAL:
        return z
    if kind == GAUSSIAN:
        return -z * z
    if kind == SOFTPLUS:            # z - e^z / 2 + ...
        return select_lanes(less(z, splat(-20 if REAL_BYTES == 4 else -40)), z,
                            log_beside(o.a, o.below))
    return log_beside(o.a, o.below)


cdef inline vec log_below_output(Activation kind, const Output* o, vec z) noexcept nogil:
    # ln(1 - a)
    if kind == SIGMOID:             # -softplus(z)
        return -at_least(z, splat(0)) - log1p(exp(-absolute(z)))
    if kind == TANH:                # ln(2 sigmoid(-2z))
        return select_lanes(less(splat(1), z), splat(<real>0.69314718055994531) - softplus(z + z),
                            log_beside(o.below, o.a))
    if kind == GAUSSIAN:
        return select_lanes(
            less(absolute(z), splat(<real>1e-4 if REAL_BYTES == 4 else <real>1e-7)),
            2 * log(absolute(z)), log_beside(o.below, o.a))
    return log_beside(o.below, o.a)


cdef inline vec quotient(vec x, vec y) noexcept nogil:
    # 0 where y, of which a logarithm is taken, is not positive
    return by_sign(y, x / y, splat(0))


cdef inline bint any_lane(mask m) noexcept nogil:
    return nonzero_bits(select_lanes(m, splat(1), splat(0))) != 0


# ---- softmax: a_j near 1 is 1 minus the others ----

cdef inline vec sum_of_others(const real* a, Py_ssize_t J) noexcept nogil:
    # What a row leaves to all but the one above 0.9: its 1 - a.
    cdef Py_ssize_t v
    cdef vec a_v, total = splat(0)
    for v in range(vectors(J)):
        a_v = of_columns(a, v, J, splat(0))
        total = total + select_lanes(less(splat(NEAR_1), a_v), splat(0), a_v)
    return splat(sum_lanes(total))


cdef struct LogSoftmax:     # of one row, in float64: where probabilities leave the reals
    Py_ssize_t best
    double highest          # z of the best, ...
    double log_total        # ... ln sum_k e^(z_k - highest), ...
    double log_others       # ... and ln sum_k e^(z_k - highest) for all k but the best


cdef LogSoftmax log_softmax(const real* z, Py_ssize_t J) noexcept nogil:
    cdef LogSoftmax row
    cdef Py_ssize_t j
    cdef double second = -INFINITY, others = 0
    row.best = 0
    for j in range(1, J):
        if z[j] > z[row.best]:
            row.best = j
    for j in range(J):
        if j != row.best:
            second = max(second, <double>z[j])
    row.highest = z[row.best]
    for j in range(J):
        if j != row.best:
            others += libm_exp(z[j] - second)
    row.log_others = second - row.highest + libm_log(others) if J > 1 else -INFINITY
    row.log_total = libm_log1p(libm_exp(row.log_others))
    return row


cdef inline double log_of_class(const LogSoftmax* row, const real* z, Py_ssize_t j) noexcept nogil:
    # ln a_j
    return z[j] - row.highest - row.log_total


cdef inline double log_of_others(const LogSoftmax* row, const real* z, Py_ssize_t j) noexcept nogil:
    # ln(1 - a_j)
    if j == row.best:
        return row.log_others - row.log_total
    return libm_log1p(-libm_exp(log_of_class(row, z, j)))
