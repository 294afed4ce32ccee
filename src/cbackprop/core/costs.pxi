# Costs: C(a, y) of examples, dC/da, and BP1 for each pair of a cost and an output activation.
#
# A new cost is its name in elementwise.pxi's table, its formulas in `cost_of` and `grad_a`, and a
# line in `costs_as_a_says` and `cost_gradient`; one with a logarithm has its product with sigma' in
# `output_delta` too. Its C'' is in curvature.pxi.
#
# Sums over examples are of a few vectors in the real type, and of these in float64.

from libc.math cimport exp as libm_exp, log as libm_log, log1p as libm_log1p


# ---- C(a, y) by neuron, and dC/da ----

cdef inline vec cost_of(
    Cost kind, const Output* o, vec y,
    vec log_a, vec log_below,       # ln a, ln(1 - a), where the cost has them
    vec p,                          # its parameter
) noexcept nogil:
    cdef vec d
    if kind == QUADRATIC:
        return splat(<real>0.5) * o.minus_y * o.minus_y
    if kind == CROSS_ENTROPY:
        return -(y * log_a + (1 - y) * log_below)
    if kind == ABSOLUTE:
        return absolute(o.minus_y)
    if kind == HUBER:
        d = absolute(o.minus_y)
        return select_lanes(less(p, d), p * (d - splat(<real>0.5) * p), splat(<real>0.5) * d * d)
    if kind == LOG_COSH:
        return log_cosh(o.minus_y)
    if kind == HINGE:
        return at_least(margin(o, y), splat(0))
    if kind == SQUARED_HINGE:
        d = at_least(margin(o, y), splat(0))
        return d * d
    if kind == POISSON:
        return o.a - y * log_a + p * (y * log(y) - y)
    if kind == KL_DIVERGENCE:
        return y * (log(y) - log_a)
    return -y * log_a                   # LOG_LIKELIHOOD


cdef inline vec grad_a(Cost kind, const Output* o, vec y, vec p) noexcept nogil:
    if kind == QUADRATIC:
        return o.minus_y
    if kind == CROSS_ENTROPY:
        return bounded((1 - y) * quotient(splat(1), o.below) - y * quotient(splat(1), o.a))
    if kind == ABSOLUTE:
        return by_sign(absolute(o.minus_y), sign_of(splat(1), o.minus_y), splat(0))
    if kind == HUBER:
        return at_most(at_least(o.minus_y, -p), p)
    if kind == LOG_COSH:
        return tanh(o.minus_y)
    if kind == HINGE:
        return by_sign(margin(o, y), -side_of(y), splat(0))
    if kind == SQUARED_HINGE:
        return splat(-2) * side_of(y) * at_least(margin(o, y), splat(0))
    if kind == POISSON:
        return bounded(1 - y * quotient(splat(1), o.a))
    return bounded(-y * quotient(splat(1), o.a))    # LOG_LIKELIHOOD, KL_DIVERGENCE


cdef inline vec output_delta(
    Cost cost, vec cost_p, Activation kind, vec sigma_p, const Output* o, vec z, vec y,
) noexcept nogil:
    # dC/da sigma'(z), of the most frequent pairs at once
    if kind == SIGMOID and cost == CROSS_ENTROPY:
        return o.minus_y
    if kind == SIGMOID and cost == QUADRATIC:
        return o.minus_y * (o.a * o.below)
    if kind == TANH and cost == QUADRATIC:
        return o.minus_y * (o.below * o.above)
    return other_delta(cost, cost_p, kind, sigma_p, o, z, y)


cdef vec other_delta(
    Cost cost, vec cost_p, Activation kind, vec sigma_p, const Output* o, vec z, vec y,
) noexcept nogil:
    # A logarithm's quotient and sigma' are one, where 0 / 0 would be two.
    cdef vec of_a, of_below
    if not has_log(cost):
        return grad_a(cost, o, y, cost_p) * slope(kind, o, z, sigma_p)
    if cost == CROSS_ENTROPY:
        of_a = slope_of_log(kind, o, z, sigma_p)
        of_below = slope_of_log_below(kind, o, z, sigma_p)
        return bounded(select_lanes(      # (a - y) / (a (1 - a)) sigma', where both have logarithms
            less(splat(0), absolute(of_a * of_below)), o.minus_y * (of_a + of_below),
            (1 - y) * of_below - y * of_a))
    of_a = slope_of_log(kind, o, z, sigma_p)
    if cost == POISSON:                 # (1 - y / a) sigma'
        return bounded(by_sign(absolute(of_a), o.minus_y * of_a, slope(kind, o, z, sigma_p)))
    return bounded(-y * of_a)           # LOG_LIKELIHOOD, KL_DIVERGENCE


cdef inline bint has_log(Cost kind) noexcept nogil:
    return (kind == CROSS_ENTROPY or kind == LOG_LIKELIHOOD or kind == POISSON
            or kind == KL_DIVERGENCE)


cdef inline bint by_neuron(Cost kind) noexcept nogil:
    # Whether a cost is a sum over neurons, each with its own a and y, that is written here.
    return not (kind == COSINE or kind == COMPILED_COST or kind == NUMPY_COST)


cdef inline vec side_of(vec y) noexcept nogil:
    # of a hinge: 1 for the class, -1 for the others, whether y says 1 and 0 or 1 and -1
    return by_sign(y, splat(1), splat(-1))


cdef inline vec margin(const Output* o, vec y) noexcept nogil:
    # 1 - side a
    return by_sign(y, o.below, o.above)


cdef inline vec bounded(vec gradient) noexcept nogil:
    # so that the step's factor does not make it infinite
    cdef real most = LARGEST / 1048576
    return at_most(at_least(gradient, splat(-most)), splat(most))


# ---- sums of costs ----

cdef double sum_of_costs(
    const CostFunction* cost, const Layer* layer,
    const real* a, const real* z,       # IN  (rows, columns)
    const real* y,                      # IN  (rows, columns)
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except? -1 nogil:
    cdef const Sigma* run
    cdef double total = 0
    cdef Py_ssize_t at
    cdef int k
    if layer.n_runs == 1 and layer.runs.kind == SIGMOID and cost.kind == QUADRATIC:
        return costs_from_z(QUADRATIC, cost, SIGMOID, layer.runs, False, a, z, y, rows, columns, ld)
    if layer.n_runs == 1 and layer.runs.kind == SIGMOID and cost.kind == CROSS_ENTROPY:
        return costs_from_z(CROSS_ENTROPY, cost, SIGMOID, layer.runs, False, a, z, y, rows,
                            columns, ld)
    if layer.n_runs == 1 and layer.runs.kind == TANH and cost.kind == QUADRATIC:
        return costs_from_z(QUADRATIC, cost, TANH, layer.runs, False, a, z, y, rows, columns, ld)
    if not by_neuron(cost.kind):
        return cost_of_examples(cost, a, y, rows, columns, ld)
    if layer.runs.kind == SOFTMAX:
        if cost.kind == LOG_LIKELIHOOD or cost.kind == KL_DIVERGENCE:
            return cost_of_classes(cost, a, z, y, rows, columns, ld)
        return costs_of_softmax(cost, layer.runs, a, z, y, rows, columns, ld)
    if layer.n_runs == 1:
        return costs_of_run(cost, layer.runs, False, a, z, y, rows, columns, ld)
    for k in range(layer.n_runs):
        run = &layer.runs[k]
        if layer.narrow:                # its rows are the run's neurons
            at = run.first * ld
            total += costs_of_run(cost, run, False, a + at, z + at, y + at, run.last - run.first,
                                  columns, ld)
        else:
            total += costs_of_run(cost, run, True, a, z, y, rows, columns, ld)
    return total


cdef double costs_of_run(
    const CostFunction* cost, const Sigma* run, bint part,
    const real* a, const real* z, const real* y,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    if asks_z(run.kind):
        return costs_from_z(cost.kind, cost, run.kind, run, part, a, z, y, rows, columns, ld)
    if cost.kind == QUADRATIC:
        return costs_as_a_says(QUADRATIC, cost, run, part, a, y, rows, columns, ld)
    if cost.kind == CROSS_ENTROPY:
        return costs_as_a_says(CROSS_ENTROPY, cost, run, part, a, y, rows, columns, ld)
    if cost.kind == ABSOLUTE:
        return costs_as_a_says(ABSOLUTE, cost, run, part, a, y, rows, columns, ld)
    if cost.kind == HUBER:
        return costs_as_a_says(HUBER, cost, run, part, a, y, rows, columns, ld)
    if cost.kind == LOG_COSH:
        return costs_as_a_says(LOG_COSH, cost, run, part, a, y, rows, columns, ld)
    if cost.kind == HINGE:
        return costs_as_a_says(HINGE, cost, run, part, a, y, rows, columns, ld)
    if cost.kind == SQUARED_HINGE:
        return costs_as_a_says(SQUARED_HINGE, cost, run, part, a, y, rows, columns, ld)
    if cost.kind == POISSON:
        return costs_as_a_says(POISSON, cost, run, part, a, y, rows, columns, ld)
    if cost.kind == KL_DIVERGENCE:
        return costs_as_a_says(KL_DIVERGENCE, cost, run, part, a, y, rows, columns, ld)
    return costs_as_a_says(LOG_LIKELIHOOD, cost, run, part, a, y, rows, columns, ld)


cdef inline double costs_as_a_says(
    Cost kind, const CostFunction* cost, const Sigma* run, bint part,
    const real* a, const real* y, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    # of an activation that does not saturate
    cdef Py_ssize_t i, v, at, v0 = run.first // LANES if part else 0
    cdef int n = 0
    cdef double total = 0
    cdef vec x, log_a = splat(0), log_below = splat(0), some = splat(0)
    cdef vec p = splat(cost.p), floor = log_of_floor(cost)
    cdef Output o
    if part:
        columns = run.last
    for i in range(rows):
        for v in range(v0, vectors(columns)):
            at = i * ld + v * LANES
            compare(&o, load(a + at), load(y + at))
            if has_log(kind):
                log_a = at_least(log_beside(o.a, o.below), floor)
            if kind == CROSS_ENTROPY:
                log_below = at_least(log_beside(o.below, o.a), floor)
            x = cost_of(kind, &o, load(y + at), log_a, log_below, p)
            some = some + (keep_run(x, v, run, splat(0)) if part
                           else keep_columns(x, v, columns, splat(0)))
            n += 1
            if n == 16:
                total += sum_lanes(some)
                some, n = splat(0), 0
    return total + sum_lanes(some)


cdef inline double costs_from_z(
    Cost cost_kind, const CostFunction* cost, Activation kind, const Sigma* run, bint part,
    const real* a, const real* z, const real* y,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at, v0 = run.first // LANES if part else 0
    cdef int n = 0
    cdef double total = 0
    cdef vec x, log_a = splat(0), log_below = splat(0), some = splat(0)
    cdef vec p = splat(cost.p), floor = log_of_floor(cost)
    cdef Output o
    if part:
        columns = run.last
    for i in range(rows):
        for v in range(v0, vectors(columns)):
            at = i * ld + v * LANES
            if cost_kind != CROSS_ENTROPY or kind != SIGMOID:   # whose logarithms are all it needs
                compare_from_z(&o, kind, load(a + at), load(z + at), load(y + at), splat(run.p))
            if has_log(cost_kind):
                log_a = at_least(log_of_output(kind, &o, load(z + at)), floor)
            if cost_kind == CROSS_ENTROPY:
                log_below = at_least(log_below_output(kind, &o, load(z + at)), floor)
            x = cost_of(cost_kind, &o, load(y + at), log_a, log_below, p)
            some = some + (keep_run(x, v, run, splat(0)) if part
                           else keep_columns(x, v, columns, splat(0)))
            n += 1
            if n == 16:
                total += sum_lanes(some)
                some, n = splat(0), 0
    return total + sum_lanes(some)


cdef inline vec log_of_floor(const CostFunction* cost) noexcept nogil:
    if (cost.kind == CROSS_ENTROPY or cost.kind == LOG_LIKELIHOOD) and cost.p > 0:
        return splat(<real>libm_log(cost.p))
    return splat(<real>-INFINITY)


cdef double costs_of_softmax(
    const CostFunction* cost, const Sigma* run, const real* a, const real* z, const real* y,
    Py_ssize_t rows, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at, k
    cdef double total = 0
    cdef vec x, others, some, log_a = splat(0), log_below = splat(0)
    cdef vec floor = log_of_floor(cost)
    cdef real of_a[LANES]
    cdef real of_below[LANES]
    cdef LogSoftmax row
    cdef bint extreme
    cdef Output o
    memset(&row, 0, sizeof(row))        # else GCC warns
    for i in range(rows):
        others, some = sum_of_others(a + i * ld, J), splat(0)
        extreme = has_log(cost.kind) and leaves_reals(a + i * ld, J)
        if extreme:
            row = log_softmax(z + i * ld, J)
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            compare_from_z(&o, SOFTMAX, load(a + at), load(z + at), load(y + at), others)
            if extreme:
                for k in range(LANES):
                    of_a[k] = of_below[k] = 0
                    if v * LANES + k < J:
                        of_a[k] = <real>log_of_class(&row, z + i * ld, v * LANES + k)
                        of_below[k] = <real>log_of_others(&row, z + i * ld, v * LANES + k)
                log_a, log_below = load(of_a), load(of_below)
            elif has_log(cost.kind):
                log_a, log_below = log_beside(o.a, o.below), log_beside(o.below, o.a)
            x = cost_of(cost.kind, &o, load(y + at), at_least(log_a, floor),
                        at_least(log_below, floor), splat(cost.p))
            some = some + keep_columns(x, v, J, splat(0))
        total += sum_lanes(some)
    return total


cdef bint leaves_reals(const real* a, Py_ssize_t J) noexcept nogil:
    # Whether a probability is so small that exp(z - highest) may have been held at its bound.
    cdef Py_ssize_t v
    for v in range(vectors(J)):
        if any_lane(less(of_columns(a, v, J, splat(1)), splat(4 * SMALLEST))):
            return True
    return False


cdef double cost_of_classes(
    const CostFunction* cost, const real* a, const real* z, const real* y,
    Py_ssize_t rows, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # -y ln a of softmax: a neuron costs nothing if its y is 0: of a class, all but one. The others
    # of several rows make a vector; so no logarithm is taken in vain.
    cdef real some_a[LANES]
    cdef real some_below[LANES]
    cdef real some_y[LANES]
    cdef Py_ssize_t i, v, at, k
    cdef int n = 0
    cdef uint64_t bits
    cdef double total = 0
    cdef LogSoftmax row
    cdef Py_ssize_t of_row = -1
    memset(&row, 0, sizeof(row))        # else GCC warns
    for i in range(rows):
        total += 0 * a[i * ld]          # NaN, as all of its row then is
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            bits = nonzero_bits(of_columns(y + at, 0, J - v * LANES, splat(0)))
            while bits:
                k = lowest_bit(bits)
                bits &= bits - 1
                if a[at + k] < 4 * SMALLEST:
                    if of_row != i:
                        row, of_row = log_softmax(z + i * ld, J), i
                    total += cost_of_rare_class(
                        cost, log_of_class(&row, z + i * ld, v * LANES + k), y[at + k])
                    continue
                some_a[n], some_below[n], some_y[n] = a[at + k], 1 - a[at + k], y[at + k]
                if a[at + k] > NEAR_1:
                    some_below[n] = lane(sum_of_others(a + i * ld, J), 0)
                n += 1
                if n == LANES:
                    n = 0
                    total += cost_of_some(cost, some_a, some_below, some_y)
    for k in range(n, LANES):
        some_a[k], some_below[k], some_y[k] = 1, 0, 0
    return total + cost_of_some(cost, some_a, some_below, some_y)


cdef inline double cost_of_some(
    const CostFunction* cost, const real* a, const real* below, const real* y,
) noexcept nogil:
    cdef Output o
    cdef vec log_a = at_least(log_beside(load(a), load(below)), log_of_floor(cost))
    compare(&o, load(a), load(y))
    if cost.kind == KL_DIVERGENCE:
        return sum_lanes(cost_of(KL_DIVERGENCE, &o, load(y), log_a, log_a, splat(0)))
    return sum_lanes(cost_of(LOG_LIKELIHOOD, &o, load(y), log_a, log_a, splat(0)))


cdef double cost_of_rare_class(const CostFunction* cost, double log_a, real y) noexcept nogil:
    log_a = max(log_a, <double>lane(log_of_floor(cost), 0))
    if cost.kind == KL_DIVERGENCE:
        return y * (libm_log(max(y, SMALLEST)) - log_a)
    return -y * log_a


cdef double cost_of_examples(
    const CostFunction* cost, const real* a, const real* y,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except? -1 nogil:
    if cost.kind == COSINE:
        return cosine_rows(NULL, a, y, 0, rows, columns, ld)
    if cost.kind == COMPILED_COST:
        return compiled_cost(cost, a, y, rows, columns, ld)
    return numpy_cost(cost, a, y, rows, columns, ld)


# ---- BP1: delta = step * ..., zero in what lies beyond the last column ----

cdef int output_error_of(
    const CostFunction* cost, const Layer* layer,
    real* delta,            # OUT (rows, columns)
    const real* a, const real* z,       # IN  (rows, columns)
    const real* y,                      # IN  (rows, columns)
    real step, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    cdef const Sigma* run
    cdef Py_ssize_t at
    cdef int k
    if layer.n_runs == 1 and layer.runs.kind == SIGMOID and cost.kind == QUADRATIC:
        delta_from_z(QUADRATIC, cost, SIGMOID, layer.runs, False, delta, a, z, y, step, rows,
                     columns, ld)
    elif layer.n_runs == 1 and layer.runs.kind == SIGMOID and cost.kind == CROSS_ENTROPY:
        delta_from_z(CROSS_ENTROPY, cost, SIGMOID, layer.runs, False, delta, a, z, y, step, rows,
                     columns, ld)
    elif layer.n_runs == 1 and layer.runs.kind == TANH and cost.kind == QUADRATIC:
        delta_from_z(QUADRATIC, cost, TANH, layer.runs, False, delta, a, z, y, step, rows,
                     columns, ld)
    elif layer.runs.kind == SOFTMAX:
        return error_of_softmax(cost, layer.runs, delta, a, z, y, step, rows, columns, ld)
    elif as_a_says(cost.kind, layer):
        cost_gradient(cost, delta, a, y, step, rows, columns, ld)
        return times_output_slopes(layer, delta, a, z, rows, columns, ld)
    else:
        for k in range(layer.n_runs):
            run = &layer.runs[k]
            if layer.n_runs > 1 and layer.narrow:       # its rows are the run's neurons
                at = run.first * ld
                delta_from_z(cost.kind, cost, run.kind, run, False, delta + at, a + at, z + at,
                             y + at, step, run.last - run.first, columns, ld)
            else:
                delta_from_z(cost.kind, cost, run.kind, run, layer.n_runs > 1, delta, a, z, y,
                             step, rows, columns, ld)
    return 0


cdef bint as_a_says(Cost cost, const Layer* layer) noexcept nogil:
    # Whether dC/da and sigma' are taken one after the other: they must for the user's functions,
    # and may where nothing saturates.
    cdef int k
    for k in range(layer.n_runs):
        if layer.runs[k].kind == COMPILED_SIGMA or layer.runs[k].kind == NUMPY_SIGMA:
            return True
    return not by_neuron(cost) or (
        layer.n_runs == 1 and not asks_z(layer.runs.kind) and not has_log(cost))


cdef inline void delta_from_z(
    Cost cost_kind, const CostFunction* cost, Activation kind, const Sigma* run, bint part,
    real* delta, const real* a, const real* z, const real* y, real step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at, v0 = run.first // LANES if part else 0
    cdef vec x, p = splat(cost.p), sigma_p = splat(run.p)
    cdef Output o
    if part:
        columns = run.last
    for i in range(rows):
        for v in range(v0, vectors(columns)):
            at = i * ld + v * LANES
            compare_from_z(&o, kind, load(a + at), load(z + at), load(y + at), sigma_p)
            x = splat(step) * output_delta(cost_kind, p, kind, sigma_p, &o, load(z + at),
                                           load(y + at))
            if not part:
                store(delta + at, keep_columns(x, v, columns, splat(0)))
            elif v * LANES < run.first:         # what is before it is another run's
                store(delta + at, keep_run(x, v, run, load(delta + at)))
            else:
                store(delta + at, keep_run(x, v, run, splat(0)))


cdef int times_output_slopes(
    const Layer* layer, real* delta, const real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    # delta * sigma'(z), as exact as it is for a single neuron
    cdef const Sigma* run
    cdef bint part
    cdef Py_ssize_t i, v, v0, at, n_rows, last, base
    cdef vec x
    cdef Output o
    cdef int k
    for k in range(layer.n_runs):
        run = &layer.runs[k]
        part = layer.n_runs > 1 and not layer.narrow
        n_rows, base = rows, 0
        if layer.n_runs > 1 and layer.narrow:
            n_rows, base = run.last - run.first, run.first * ld
        if not asks_z(run.kind):
            times_sigma_prime_of_run(run, part, delta + base, a + base, z + base, n_rows, columns,
                                     ld)
            continue
        v0, last = run.first // LANES if part else 0, run.last if part else columns
        for i in range(n_rows):
            for v in range(v0, vectors(last)):
                at = base + i * ld + v * LANES
                compare_from_z(&o, run.kind, load(a + at), load(z + at), splat(0), splat(run.p))
                x = load(delta + at) * slope(run.kind, &o, load(z + at), splat(run.p))
                store(delta + at, keep_run(x, v, run, load(delta + at)) if part
                      else keep_columns(x, v, columns, splat(0)))
    return 0


# ---- dC/da of the whole layer ----

cdef int cost_gradient(
    const CostFunction* cost,
    real* delta,            # OUT (rows, columns)  step dC/da
    const real* a,          # IN  (rows, columns)
    const real* y,          # IN  (rows, columns)
    real step, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    if cost.kind == QUADRATIC:
        grad_rows(QUADRATIC, cost.p, delta, a, y, step, rows, columns, ld)
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


cdef inline void grad_rows(
    Cost kind, real p, real* delta, const real* a, const real* y, real step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    cdef Output o
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            compare(&o, load(a + at), load(y + at))
            store(delta + at, keep_columns(
                splat(step) * grad_a(kind, &o, load(y + at), splat(p)), v, columns, splat(0)))


# ---- BP1 of softmax, (37) ----

cdef int error_of_softmax(
    const CostFunction* cost, const Sigma* run, real* delta, const real* a, const real* z,
    const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) except -1 nogil:
    cdef Py_ssize_t i, v, at
    cdef vec others
    cdef Output o
    if cost.kind == LOG_LIKELIHOOD or cost.kind == KL_DIVERGENCE or cost.kind == POISSON:
        softmax_minus_rows(delta, a, y, step, m, J, ld)
        return 0
    if cost.kind == CROSS_ENTROPY:
        softmax_cross_entropy_rows(delta, a, z, y, step, m, J, ld)
        return 0
    if by_neuron(cost.kind):
        for i in range(m):
            others = sum_of_others(a + i * ld, J)
            for v in range(vectors(J)):
                at = i * ld + v * LANES
                compare_from_z(&o, SOFTMAX, load(a + at), splat(0), load(y + at), others)
                store(delta + at, splat(step) * grad_a(cost.kind, &o, load(y + at), splat(cost.p)))
    else:
        cost_gradient(cost, delta, a, y, step, m, J, ld)
    softmax_jacobian_rows(delta, a, m, J, ld)
    return 0


cdef void softmax_jacobian_rows(
    real* delta,            # IN, OUT (m, J)  dC/da; then a_j (dC/da_j - sum_k dC/da_k a_k)
    const real* a,          # IN  (m, J)
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # Of dC/da, only differences count: those from dC/da_b of the largest a_b, which are 0 where all
    # are equal, leave nothing to cancel.
    cdef Py_ssize_t i, v, at
    cdef uint64_t bits
    cdef vec highest, best = splat(0), total
    for i in range(m):
        highest, total = splat(0), splat(0)
        for v in range(vectors(J)):
            highest = at_least(of_columns(a + i * ld, v, J, splat(0)), highest)
        highest = splat(max_lanes(highest))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            bits = nonzero_bits(select_lanes(
                less(of_columns(a + i * ld, v, J, splat(-1)), highest), splat(0), splat(1)))
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


cdef void softmax_minus_rows(
    real* delta,            # OUT (m, J)  a_j sum_k y_k - y_j: what is left of softmax and -y ln a
    const real* a, const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # Of one a_j near 1: a_j times the other y, minus y_j times the other a.
    cdef Py_ssize_t i, v, at
    cdef vec y_v, total, other_y, other_a
    cdef mask high
    cdef bint any_high
    for i in range(m):
        total = splat(0)
        any_high = False
        for v in range(vectors(J)):
            total = total + of_columns(y + i * ld, v, J, splat(0))
            any_high |= any_lane(less(splat(NEAR_1), of_columns(a + i * ld, v, J, splat(0))))
        total = splat(sum_lanes(total))
        if not any_high:
            for v in range(vectors(J)):
                at = i * ld + v * LANES
                store(delta + at, keep_columns(
                    splat(step) * (load(a + at) * total - load(y + at)), v, J, splat(0)))
            continue
        other_y = splat(0)
        for v in range(vectors(J)):
            high = less(splat(NEAR_1), of_columns(a + i * ld, v, J, splat(0)))
            other_y = other_y + select_lanes(high, splat(0), of_columns(y + i * ld, v, J, splat(0)))
        other_y, other_a = splat(sum_lanes(other_y)), sum_of_others(a + i * ld, J)
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            y_v, high = load(y + at), less(splat(NEAR_1), load(a + at))
            store(delta + at, keep_columns(splat(step) * select_lanes(
                high, load(a + at) * other_y - y_v * other_a, load(a + at) * total - y_v),
                v, J, splat(0)))


cdef void softmax_cross_entropy_rows(
    real* delta, const real* a, const real* z, const real* y, real step,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # With h = (a - y) / (1 - a) = a dC/da: delta_j = h_j - a_j sum_k h_k. Of one a_b near 1, h_b is
    # left out of the sum: a_j h_b = q_j (a_b - y_b), where q_j = a_j / (1 - a_b) is the softmax of
    # the others alone; and h_b (1 - a_b) = a_b - y_b.
    cdef Py_ssize_t i, v, at
    cdef vec a_v, y_v, h, sum_h, others, best, second, total, of_best
    cdef mask high
    cdef bint any_high
    for i in range(m):
        sum_h = of_best = splat(0)
        second = splat(-LARGEST)
        others = sum_of_others(a + i * ld, J)
        any_high = False
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            a_v = of_columns(a + i * ld, v, J, splat(0))
            y_v = of_columns(y + i * ld, v, J, splat(0))
            high = less(splat(NEAR_1), a_v)
            any_high |= any_lane(high)
            sum_h = sum_h + select_lanes(high, splat(0), (a_v - y_v) / (1 - a_v))
            of_best = of_best + select_lanes(high, (1 - y_v) - others, splat(0))
            second = at_least(select_lanes(high, splat(-LARGEST),
                                           of_columns(z + i * ld, v, J, splat(-LARGEST))), second)
        sum_h, of_best = splat(sum_lanes(sum_h)), splat(sum_lanes(of_best))
        second, total = splat(max_lanes(second)), splat(0)
        if any_high:
            for v in range(vectors(J)):
                at = i * ld + v * LANES
                high = less(splat(NEAR_1), load(a + at))
                total = total + keep_columns(select_lanes(
                    high, splat(0), exp(load(z + at) - second)), v, J, splat(0))
            total = splat(1 / sum_lanes(total))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            a_v, y_v = load(a + at), load(y + at)
            high = less(splat(NEAR_1), a_v)
            h = (a_v - y_v) / (1 - a_v) - a_v * sum_h
            if any_high:
                h = select_lanes(high, of_best - a_v * sum_h,
                                 h - exp(load(z + at) - second) * total * of_best)
            store(delta + at, keep_columns(splat(step) * h, v, J, splat(0)))


# ---- cosine ----

cdef double cosine_rows(
    real* delta,            # OUT (m, J)  step dC/da, or NULL
    const real* a, const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # C = 1 - u.v, u = a / |a|, v = y / |y|;  dC/da_j = (u_j u.v - v_j) / |a|. Lengths below 1e-8
    # count as that, and |a| is then no variable.
    # Next to a target along one axis b, both cancel: there 1 - u.v = |u - v|^2 / 2, with
    # u_b - v_b from the squares of the others; and dC/da_b from a_b^2 = |a|^2 - the others'.
    cdef Py_ssize_t i, v, at
    cdef vec ay, aa, yy, a_v, y_v, other_ay, other_aa, other_yy, distance
    cdef double total = 0, cosine, a_length, y_length, b, difference, of_a, of_y
    cdef mask high
    for i in range(m):
        ay = aa = yy = splat(0)
        for v in range(vectors(J)):
            a_v = of_columns(a + i * ld, v, J, splat(0))
            y_v = of_columns(y + i * ld, v, J, splat(0))
            ay, aa, yy = ay + a_v * y_v, aa + a_v * a_v, yy + y_v * y_v
        a_length = max(sqrt(<double>sum_lanes(aa)), 1e-8)
        y_length = max(sqrt(<double>sum_lanes(yy)), 1e-8)
        cosine = sum_lanes(ay) / a_length / y_length
        other_ay = other_aa = other_yy = distance = splat(0)
        for v in range(vectors(J)):
            a_v = of_columns(a + i * ld, v, J, splat(0))
            y_v = of_columns(y + i * ld, v, J, splat(0))
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


cdef void weigh(
    real* delta,            # IN, OUT (rows, columns): every example's times its weight
    const real* weights,    # IN  (examples)
    bint across,            # examples are the columns
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    # A weight of 0 leaves an example out, even one whose delta is infinite or NaN.
    cdef Py_ssize_t i, v, at
    cdef vec weight
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            weight = load(weights + v * LANES) if across else splat(weights[i])
            store(delta + at, select_lanes(less(splat(0), weight), load(delta + at) * weight,
                                           splat(0)))


# ---- the user's own, compiled: called for each number ----

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
