# Costs: each is one block here and one row of table.py. The row lists the block's functions.
#
#     cost_X(o, y, log_a, log_below, p)       C of an output; logarithms are set if the row has them
#     grad_a_X(o, y, p)                       dC/da
#     grad_a_prime_X(a, y, p)                 C''; 0 where a logarithm does not exist
#
# p is the first parameter. BP1 is dC/da sigma'(z). For some pairs of a cost and an output this
# cancels, overflows or is 0 / 0; they have further forms:
#
#     delta_X(kind, sigma_p, o, z, y, p)      dC/da sigma'(z) for any activation, if C has a
#                                             logarithm: its quotient and sigma' are one formula
#     delta_X_of_Y(o)                         dC/da sigma'(z) for the activation Y. These frequent
#                                             pairs, and their sums of costs, have their own loops
#     a_grad_a_X(a, below, y, p)              a dC/da for softmax
#     a_grad_a_below_X(a, below, y, p)        (1 - a) a dC/da for softmax, if a is near 1
#     equal_share_X(J)                        the value towards which label smoothing moves the
#                                             targets of J outputs
#
# A cost of the whole row, such as cosine, has X_rows and X_curvature_rows instead.

from libc.math cimport sqrt


cdef inline vec bounded(vec gradient) noexcept nogil:
    # Leave room for the factor of the step, so that their product is not infinite.
    cdef real limit = LARGEST / 1048576
    return at_most(at_least(gradient, splat(-limit)), splat(limit))


# ---- quadratic:  (a - y)^2 / 2

cdef inline vec cost_quadratic(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return splat(<real>0.5) * o.minus_y * o.minus_y

cdef inline vec grad_a_quadratic(const Output* o, vec y, vec p) noexcept nogil:
    return o.minus_y

cdef inline vec grad_a_prime_quadratic(vec a, vec y, vec p) noexcept nogil:
    return splat(1)

cdef inline vec delta_quadratic_of_sigmoid(const Output* o) noexcept nogil:
    return o.minus_y * (o.a * o.below)

cdef inline vec delta_quadratic_of_tanh(const Output* o) noexcept nogil:
    return o.minus_y * (o.below * o.above)


# ---- cross_entropy:  -y ln a - (1 - y) ln(1 - a)

cdef inline vec cost_cross_entropy(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return -(y * log_a + (1 - y) * log_below)

cdef inline vec grad_a_cross_entropy(const Output* o, vec y, vec p) noexcept nogil:
    return bounded((1 - y) * quotient(splat(1), o.below) - y * quotient(splat(1), o.a))

cdef inline vec grad_a_prime_cross_entropy(vec a, vec y, vec p) noexcept nogil:
    cdef vec d = quotient(splat(1), 1 - a)
    return bounded((1 - y) * d * d + y * quotient(splat(1), a) * quotient(splat(1), a))

cdef inline vec delta_cross_entropy(
    ActivationKind kind, vec sigma_p, const Output* o, vec z, vec y, vec p,
) noexcept nogil:
    # (a - y) / (a (1 - a)) sigma', if both logarithms exist
    cdef vec of_a = slope_of_log(kind, o, z, sigma_p)
    cdef vec of_below = slope_of_log_below(kind, o, z, sigma_p)
    return bounded(select_lanes(
        less(splat(0), absolute(of_a * of_below)), o.minus_y * (of_a + of_below),
        (1 - y) * of_below - y * of_a))

cdef inline vec delta_cross_entropy_of_sigmoid(const Output* o) noexcept nogil:
    return o.minus_y

cdef inline vec a_grad_a_cross_entropy(vec a, vec below, vec y, vec p) noexcept nogil:
    return (a - y) / below

cdef inline vec a_grad_a_below_cross_entropy(vec a, vec below, vec y, vec p) noexcept nogil:
    return (1 - y) - below


cdef inline real equal_share_cross_entropy(Py_ssize_t J) noexcept nogil:
    # Each output has two classes.
    return 0.5


# ---- focal:  -y (1 - a)^gamma ln a - (1 - y) a^gamma ln(1 - a).  Lin and others, 2017

cdef inline vec power(vec x, vec log_x, vec p) noexcept nogil:
    # x^p, or 0 if x <= 0. The integer part of p is done by products, because e^(p ln x) magnifies
    # the rounding of p ln x, which may be 100. Bounded, so that 0 times it is 0.
    cdef int whole = <int>min(8.0, lane(p, 0) + 0.5)
    cdef vec result = by_sign(x, exp_everywhere((p - splat(whole)) * log_x), splat(0))
    for _ in range(whole):
        result = result * x
    return bounded(result)

cdef inline vec log_inside(vec x, vec log_x) noexcept nogil:
    # ln x, or 0 if x < 0
    return select_lanes(less(x, splat(0)), splat(0), log_x)

cdef inline vec cost_focal(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return -(y * power(o.below, log_below, p) * log_a + (1 - y) * power(o.a, log_a, p) * log_below)

cdef inline vec grad_a_focal(const Output* o, vec y, vec p) noexcept nogil:
    cdef vec log_a = log_with_complement(o.a, o.below)
    cdef vec log_below = log_with_complement(o.below, o.a)
    return focal_slope(o, y, p, log_a, log_below, quotient(splat(1), o.a),
                       quotient(splat(1), o.below))

cdef inline vec delta_focal(
    ActivationKind kind, vec sigma_p, const Output* o, vec z, vec y, vec p,
) noexcept nogil:
    return focal_slope(o, y, p, log_of_output(kind, o, z), log_below_output(kind, o, z),
                       slope_of_log(kind, o, z, sigma_p), slope_of_log_below(kind, o, z, sigma_p))

cdef inline vec focal_slope(
    const Output* o, vec y, vec p, vec log_a, vec log_below,
    vec of_a, vec of_below,             # the slopes of ln a and -ln(1 - a), in a or in z
) noexcept nogil:
    return bounded(
        y * power(o.below, log_below, p) * (p * log_inside(o.a, log_a) * of_below - of_a)
        + (1 - y) * power(o.a, log_a, p) * (of_below - p * log_inside(o.below, log_below) * of_a))

cdef inline vec grad_a_prime_focal(vec a, vec y, vec p) noexcept nogil:
    cdef vec below = 1 - a
    return bounded(focal_second(a, below, y, p) + focal_second(below, a, 1 - y, p))

cdef inline vec focal_second(vec a, vec below, vec y, vec p) noexcept nogil:
    # The second derivative of -y (1 - a)^gamma ln a.
    cdef vec of_a = quotient(splat(1), a)
    cdef vec of_below = quotient(splat(1), below)
    cdef vec log_a = log_inside(a, log_with_complement(a, below))
    return y * power(below, log_with_complement(below, a), p) * (
        p * of_below * (2 * of_a - (p - 1) * of_below * log_a) + of_a * of_a)

cdef inline vec a_grad_a_focal(vec a, vec below, vec y, vec p) noexcept nogil:
    cdef vec log_a = log_with_complement(a, below)
    cdef vec log_below = log_with_complement(below, a)
    return (y * power(below, log_below, p) * (p * (a / below) * log_a - 1)
            + (1 - y) * power(a, log_a, p) * (a / below - p * log_below))

cdef inline vec a_grad_a_below_focal(vec a, vec below, vec y, vec p) noexcept nogil:
    cdef vec log_a = log_with_complement(a, below)
    cdef vec log_below = log_with_complement(below, a)
    return (y * power(below, log_below, p) * (p * a * log_a - below)
            + (1 - y) * power(a, log_a, p) * (a - p * below * log_below))


# ---- log_likelihood:  -y ln a

cdef inline vec cost_log_likelihood(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return -y * log_a

cdef inline vec grad_a_log_likelihood(const Output* o, vec y, vec p) noexcept nogil:
    return bounded(-y * quotient(splat(1), o.a))

cdef inline vec grad_a_prime_log_likelihood(vec a, vec y, vec p) noexcept nogil:
    return bounded(y * quotient(splat(1), a) * quotient(splat(1), a))

cdef inline vec delta_log_likelihood(
    ActivationKind kind, vec sigma_p, const Output* o, vec z, vec y, vec p,
) noexcept nogil:
    return bounded(-y * slope_of_log(kind, o, z, sigma_p))

cdef inline real equal_share_log_likelihood(Py_ssize_t J) noexcept nogil:
    return <real>(1.0 / J)

cdef inline double cost_of_class_log_likelihood(double log_a, real y) noexcept nogil:
    return -y * log_a


# ---- absolute:  |a - y|

cdef inline vec cost_absolute(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return absolute(o.minus_y)

cdef inline vec grad_a_absolute(const Output* o, vec y, vec p) noexcept nogil:
    return by_sign(absolute(o.minus_y), sign_of(splat(1), o.minus_y), splat(0))

cdef inline vec grad_a_prime_absolute(vec a, vec y, vec p) noexcept nogil:
    return splat(0)


# ---- huber:  d^2 / 2 for d = |a - y| < delta, else delta (d - delta / 2).  Huber, 1964

cdef inline vec cost_huber(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    cdef vec d = absolute(o.minus_y)
    return select_lanes(less(p, d), p * (d - splat(<real>0.5) * p), splat(<real>0.5) * d * d)

cdef inline vec grad_a_huber(const Output* o, vec y, vec p) noexcept nogil:
    return at_most(at_least(o.minus_y, -p), p)

cdef inline vec grad_a_prime_huber(vec a, vec y, vec p) noexcept nogil:
    return select_lanes(less(absolute(a - y), p), splat(1), splat(0))


# ---- quantile:  tau (y - a) for a < y, else (1 - tau) (a - y).  Koenker and Bassett, 1978

cdef inline vec cost_quantile(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return at_least(-p * o.minus_y, (1 - p) * o.minus_y)

cdef inline vec grad_a_quantile(const Output* o, vec y, vec p) noexcept nogil:
    return by_sign(absolute(o.minus_y), select_lanes(less(o.minus_y, splat(0)), -p, 1 - p),
                   splat(0))

cdef inline vec grad_a_prime_quantile(vec a, vec y, vec p) noexcept nogil:
    return splat(0)


# ---- log_cosh:  ln cosh(a - y)

cdef inline vec cost_log_cosh(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return log_cosh(o.minus_y)

cdef inline vec grad_a_log_cosh(const Output* o, vec y, vec p) noexcept nogil:
    return tanh(o.minus_y)

cdef inline vec grad_a_prime_log_cosh(vec a, vec y, vec p) noexcept nogil:
    cdef vec d = tanh(a - y)
    return 1 - d * d


# ---- hinge:  max(1 - s a, 0), with s = 1 if y > 0, else -1: y may be 0 and 1, or -1 and 1

cdef inline vec side_of(vec y) noexcept nogil:
    return by_sign(y, splat(1), splat(-1))

cdef inline vec margin(const Output* o, vec y) noexcept nogil:
    # 1 - s a
    return by_sign(y, o.below, o.above)

cdef inline vec cost_hinge(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return at_least(margin(o, y), splat(0))

cdef inline vec grad_a_hinge(const Output* o, vec y, vec p) noexcept nogil:
    return by_sign(margin(o, y), -side_of(y), splat(0))

cdef inline vec grad_a_prime_hinge(vec a, vec y, vec p) noexcept nogil:
    return splat(0)


# ---- squared_hinge:  max(1 - s a, 0)^2

cdef inline vec cost_squared_hinge(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    cdef vec d = at_least(margin(o, y), splat(0))
    return d * d

cdef inline vec grad_a_squared_hinge(const Output* o, vec y, vec p) noexcept nogil:
    return splat(-2) * side_of(y) * at_least(margin(o, y), splat(0))

cdef inline vec grad_a_prime_squared_hinge(vec a, vec y, vec p) noexcept nogil:
    return by_sign(1 - side_of(y) * a, splat(2), splat(0))


# ---- poisson:  a - y ln a + constant (y ln y - y)

cdef inline vec cost_poisson(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return o.a - y * log_a + p * (y * log(y) - y)

cdef inline vec grad_a_poisson(const Output* o, vec y, vec p) noexcept nogil:
    return bounded(1 - y * quotient(splat(1), o.a))

cdef inline vec grad_a_prime_poisson(vec a, vec y, vec p) noexcept nogil:
    return bounded(y * quotient(splat(1), a) * quotient(splat(1), a))

cdef inline vec delta_poisson(
    ActivationKind kind, vec sigma_p, const Output* o, vec z, vec y, vec p,
) noexcept nogil:
    # (1 - y / a) sigma'
    cdef vec of_a = slope_of_log(kind, o, z, sigma_p)
    return bounded(by_sign(absolute(of_a), o.minus_y * of_a, slope(kind, o, z, sigma_p)))


# ---- kl_divergence:  y ln(y / a).  Kullback and Leibler, 1951

cdef inline vec cost_kl_divergence(
    const Output* o, vec y, vec log_a, vec log_below, vec p,
) noexcept nogil:
    return y * (log(y) - log_a)

cdef inline vec grad_a_kl_divergence(const Output* o, vec y, vec p) noexcept nogil:
    return bounded(-y * quotient(splat(1), o.a))

cdef inline vec grad_a_prime_kl_divergence(vec a, vec y, vec p) noexcept nogil:
    return bounded(y * quotient(splat(1), a) * quotient(splat(1), a))

cdef inline vec delta_kl_divergence(
    ActivationKind kind, vec sigma_p, const Output* o, vec z, vec y, vec p,
) noexcept nogil:
    return bounded(-y * slope_of_log(kind, o, z, sigma_p))

cdef inline double cost_of_class_kl_divergence(double log_a, real y) noexcept nogil:
    return y * (libm_log(max(y, SMALLEST)) - log_a)


# ---- cosine:  1 - a.y / (|a| |y|), of the whole row

cdef double cosine_rows(
    real* delta,            # OUT (m, J)  step dC/da, or NULL
    const real* a, const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # C = 1 - u.v with u = a / |a|, v = y / |y|;  dC/da_j = (u_j u.v - v_j) / |a|
    # Lengths are clamped to at least 1e-8; the derivative then treats |a| as a constant. Both
    # formulas cancel if a is close to a target along one axis b. Then 1 - u.v = |u - v|^2 / 2, with
    # u_b - v_b from the squares of the other axes, and dC/da_b from |a|^2 - a_b^2, their sum.
    cdef Py_ssize_t i, v, at
    cdef vec ay, aa, yy, a_v, y_v, other_ay, other_aa, other_yy, distance
    cdef double total = 0, cosine, a_length, y_length, b, difference, of_a, of_y
    cdef mask high
    for i in range(m):
        ay = aa = yy = splat(0)
        for v in range(vectors(J)):
            a_v = load_columns(a + i * ld, v, J, splat(0))
            y_v = load_columns(y + i * ld, v, J, splat(0))
            ay, aa, yy = ay + a_v * y_v, aa + a_v * a_v, yy + y_v * y_v
        a_length = max(sqrt(<double>sum_lanes(aa)), 1e-8)
        y_length = max(sqrt(<double>sum_lanes(yy)), 1e-8)
        cosine = sum_lanes(ay) / a_length / y_length
        other_ay = other_aa = other_yy = distance = splat(0)
        for v in range(vectors(J)):
            a_v = load_columns(a + i * ld, v, J, splat(0))
            y_v = load_columns(y + i * ld, v, J, splat(0))
            high = less(splat(<real>(0.75 * a_length)), absolute(a_v))
            other_ay = other_ay + select_lanes(high, splat(0), a_v * y_v)
            other_aa = other_aa + select_lanes(high, splat(0), a_v * a_v)
            other_yy = other_yy + select_lanes(high, splat(0), y_v * y_v)
            y_v = splat(<real>(1 / a_length)) * a_v - splat(<real>(1 / y_length)) * y_v
            distance = distance + select_lanes(high, splat(0), y_v * y_v)
        of_a, of_y = sum_lanes(other_aa), sum_lanes(other_yy)
        if cosine > 0.9 and of_y < 0.25 * y_length * y_length:
            difference = ((of_y / y_length / y_length - of_a / a_length / a_length)
                          / (sqrt(max(0.0, 1 - of_y / y_length / y_length))
                             + sqrt(max(0.0, 1 - of_a / a_length / a_length))))
            total += 0.5 * (difference * difference + sum_lanes(distance))
        else:
            total += 1 - cosine
        if delta == NULL:
            continue
        if a_length == 1e-8:
            cosine = of_a = 0
        b = sum_lanes(other_ay)
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            a_v, y_v = load(a + at), load(y + at)
            high = less(splat(<real>(0.75 * a_length)), absolute(a_v))
            store(delta + at, keep_columns(select_lanes(
                high,
                splat(<real>(step * b / a_length / a_length / a_length / y_length)) * a_v
                - splat(<real>(step * of_a / a_length / a_length / a_length / y_length)) * y_v,
                splat(<real>(step * cosine / a_length / a_length)) * a_v
                - splat(<real>(step / a_length / y_length)) * y_v), v, J, splat(0)))
    return total


cdef void cosine_curvature_rows(
    real* r_delta, const real* a, const real* r_a, const real* y, real step,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # dC/da_j = (u_j c - v_j) / |a|, u = a / |a|, v = y / |y|, c = u.v; R{|a|} = u.R{a} = s,
    # R{u} = (R{a} - u s) / |a|, R{c} = R{u}.v, and so
    # R{dC/da_j} = (R{u}_j c + u_j R{c} - dC/da_j s) / |a|
    cdef Py_ssize_t i, j
    cdef double a_a, a_y, y_y, a_r, y_r, length, c, s, r_c, u, v, r_u
    for i in range(m):
        a_a = a_y = y_y = a_r = y_r = 0
        for j in range(J):
            a_a += a[i * ld + j] * a[i * ld + j]
            a_y += a[i * ld + j] * y[i * ld + j]
            y_y += y[i * ld + j] * y[i * ld + j]
            a_r += a[i * ld + j] * r_a[i * ld + j]
            y_r += y[i * ld + j] * r_a[i * ld + j]
        for j in range(vectors(J) * LANES):
            r_delta[i * ld + j] = 0
        length, y_y = sqrt(a_a), max(sqrt(y_y), 1e-8)
        if length <= 1e-8:          # dC/da is constant here
            continue
        c, s = a_y / length / y_y, a_r / length
        r_c = (y_r / y_y - c * s) / length
        for j in range(J):
            u, v = a[i * ld + j] / length, y[i * ld + j] / y_y
            r_u = (r_a[i * ld + j] - u * s) / length
            r_delta[i * ld + j] = <real>(
                step * (r_u * c + u * r_c - (u * c - v) / length * s) / length)
