# Softmax: the activation of a whole layer, and the exact forms for its outputs.
#
#     softmax_rows, softmax_jacobian_rows, softmax_second_rows    sigma, sigma', sigma''
#     compare_softmax                                             a_j near 1 is 1 minus the others
#     LogSoftmax                                                  ln a_j where a_j underflows
#     softmax_minus_rows                                          BP1, (37), for -y ln a

from libc.math cimport exp as libm_exp, log as libm_log, log1p as libm_log1p

cdef enum:
    MAX_TRANSPOSED_VECTORS = 4  # the most vectors in a row for which examples may be lanes


cdef void softmax_rows(
    real* a, const real* z, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # a_j = e^(z_j - max z) / sum_k e^(z_k - max z)
    # With few neurons, lanes would be idle and sums over lanes slow. Then examples are the lanes,
    # if there are enough of them; the bits are the same.
    cdef Py_ssize_t i, v, at, n, first = 0
    cdef vec highest, total
    while vectors(J) <= MAX_TRANSPOSED_VECTORS and m - first >= LANES // 2:
        n = min(<Py_ssize_t>LANES, m - first)
        softmax_transposed(a + first * ld, z + first * ld, n, J, ld)
        first += n
    for i in range(first, m):
        highest = splat(-LARGEST)
        for v in range(vectors(J)):
            highest = at_least(load_columns(z + i * ld, v, J, splat(-LARGEST)), highest)
        highest = splat(max_lanes(highest))
        total = splat(0)
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(a + at, exp(load(z + at) - highest))
            total = total + load_columns(a + i * ld, v, J, splat(0))
        total = splat(1 / sum_lanes(total))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(a + at, total * load(a + at))


cdef void softmax_transposed(
    real* a, const real* z, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,      # m <= LANES
) noexcept nogil:
    cdef vec x[MAX_TRANSPOSED_VECTORS * LANES]  # x[j]: neuron j of each example
    cdef vec total[LANES]
    cdef vec highest = splat(-LARGEST)
    cdef Py_ssize_t i, j, v
    cdef Py_ssize_t n_vectors = max(<Py_ssize_t>1, vectors(J))  # avoids a warning: x unset
    cdef int stage, k
    for v in range(n_vectors):
        for i in range(LANES):          # rows past the end repeat the last
            x[v * LANES + i] = load(z + min(i, m - 1) * ld + v * LANES)
        transpose(x + v * LANES)
    for j in range(J):
        highest = at_least(x[j], highest)
    for j in range(J):
        x[j] = exp(x[j] - highest)
    for j in range(J, n_vectors * LANES):
        x[j] = splat(0)
    for k in range(LANES):              # sum in the same order as for a single example
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


cdef void softmax_jacobian_rows(
    real* delta,            # IN, OUT (m, J)  dC/da; then a_j (dC/da_j - sum_k dC/da_k a_k)
    const real* a,          # IN  (m, J)
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # Only differences of dC/da matter. Subtract dC/da_b of the largest a_b first, so that nothing
    # cancels if all are nearly equal.
    cdef Py_ssize_t i, v, at
    cdef uint64_t bits
    cdef vec highest, best = splat(0), total
    for i in range(m):
        highest, total = splat(0), splat(0)
        for v in range(vectors(J)):
            highest = at_least(load_columns(a + i * ld, v, J, splat(0)), highest)
        highest = splat(max_lanes(highest))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            bits = nonzero_bits(select_lanes(
                less(load_columns(a + i * ld, v, J, splat(-1)), highest), splat(0), splat(1)))
            if bits:
                best = splat(delta[at + lowest_bit(bits)])
                break
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            total = total + keep_columns(
                load(a + at) * (load(delta + at) - best), v, J, splat(0))
        total = splat(sum_lanes(total))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(delta + at, keep_columns(
                load(a + at) * ((load(delta + at) - best) - total), v, J, splat(0)))


cdef void softmax_second_rows(
    real* r_delta, const real* error, const real* r_a, const real* a,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # The part of R{a_j (error_j - sum_k error_k a_k)} that comes from R{a}.
    cdef Py_ssize_t i, v, at
    cdef vec of_a, of_r_a
    for i in range(m):
        of_a = of_r_a = splat(0)
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            of_a = of_a + keep_columns(load(error + at) * load(a + at), v, J, splat(0))
            of_r_a = of_r_a + keep_columns(load(error + at) * load(r_a + at), v, J, splat(0))
        of_a, of_r_a = splat(sum_lanes(of_a)), splat(sum_lanes(of_r_a))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(r_delta + at, keep_columns(
                load(r_delta + at) + load(r_a + at) * (load(error + at) - of_a)
                - load(a + at) * of_r_a, v, J, splat(0)))


# ---- outputs ----

cdef inline void compare_softmax(Output* o, vec a, vec z, vec y, vec others) noexcept nogil:
    compare(o, a, y)
    if any_lane(less(splat(NEAR_1), a)):
        o.below = select_lanes(less(splat(NEAR_1), a), others, o.below)
        o.minus_y = select_lanes(less(splat(NEAR_1), a), (1 - y) - o.below, o.minus_y)


cdef inline vec sum_of_others(const real* a, Py_ssize_t J) noexcept nogil:
    # The sum of all a_j of a row up to 0.9. For the one above 0.9, this is 1 - a.
    cdef Py_ssize_t v
    cdef vec a_v, total = splat(0)
    for v in range(vectors(J)):
        a_v = load_columns(a, v, J, splat(0))
        total = total + select_lanes(less(splat(NEAR_1), a_v), splat(0), a_v)
    return splat(sum_lanes(total))


cdef struct LogSoftmax:     # logarithms of one row in float64, for probabilities that underflow
    Py_ssize_t best         # the index of the largest z
    double highest          # that z
    double log_total        # ln sum_k e^(z_k - highest)
    double log_others       # the same sum without k = best


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


cdef bint may_underflow(const real* a, Py_ssize_t J) noexcept nogil:
    # Whether a probability is so small that exp(z - highest) may have been clamped.
    cdef Py_ssize_t v
    for v in range(vectors(J)):
        if any_lane(less(load_columns(a, v, J, splat(1)), splat(4 * SMALLEST))):
            return True
    return False


# ---- BP1, (37) ----

cdef void softmax_minus_rows(
    real* delta,            # OUT (m, J)  a_j sum_k y_k - y_j: BP1 for softmax and -y ln a
    const real* a, const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # For an a_j near 1, use a_j times the sum of the other y, minus y_j times that of the other a.
    cdef Py_ssize_t i, v, at
    cdef vec y_v, total, other_y, other_a
    cdef mask high
    cdef bint any_high
    for i in range(m):
        total = splat(0)
        any_high = False
        for v in range(vectors(J)):
            total = total + load_columns(y + i * ld, v, J, splat(0))
            any_high |= any_lane(less(splat(NEAR_1), load_columns(a + i * ld, v, J, splat(0))))
        total = splat(sum_lanes(total))
        if not any_high:
            for v in range(vectors(J)):
                at = i * ld + v * LANES
                store(delta + at, keep_columns(
                    splat(step) * (load(a + at) * total - load(y + at)), v, J, splat(0)))
            continue
        other_y = splat(0)
        for v in range(vectors(J)):
            high = less(splat(NEAR_1), load_columns(a + i * ld, v, J, splat(0)))
            y_v = load_columns(y + i * ld, v, J, splat(0))
            other_y = other_y + select_lanes(high, splat(0), y_v)
        other_y, other_a = splat(sum_lanes(other_y)), sum_of_others(a + i * ld, J)
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            y_v, high = load(y + at), less(splat(NEAR_1), load(a + at))
            store(delta + at, keep_columns(splat(step) * select_lanes(
                high, load(a + at) * other_y - y_v * other_a, load(a + at) * total - y_v),
                v, J, splat(0)))


cdef void times_sums_of_targets(
    real* r_delta,          # OUT (m, J)  step R{a_j} sum_k y_k: R of softmax_minus_rows
    const real* r_a, const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    cdef vec total
    for i in range(m):
        total = splat(0)
        for v in range(vectors(J)):
            total = total + load_columns(y + i * ld, v, J, splat(0))
        total = splat(step * sum_lanes(total))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(r_delta + at, keep_columns(total * load(r_a + at), v, J, splat(0)))
