# sigma'' and C'': what Hessian times vector needs beyond chapter 2.
#
# R{f} is the derivative of f along a direction of the parameters (Pearlmutter, Neural Computation
# 6, 1994). A new activation or cost has its second derivative here, and a line below it; where that
# is zero but for kinks, nothing.

from libc.math cimport fabs


cdef inline vec sigma_second(Activation kind, vec a, vec z, vec p) noexcept nogil:
    cdef vec s, w, bell
    if kind == SIGMOID:
        return a * (1 - a) * (1 - 2 * a)
    if kind == TANH:
        return -(a + a) * (1 - a * a)
    if kind == ELU:
        return select_lanes(less(splat(0), a), splat(0), a + p)
    if kind == SELU:
        return select_lanes(less(splat(0), a), splat(0), a + splat(<real>1.7580993408473769))
    if kind == SOFTPLUS:            # s (1 - s) for s = 1 - e^-a
        return -expm1(-a) * exp(-a)
    if kind == SOFTSIGN:
        s = 1 - absolute(a)
        s = (s + s) * s * s
        return select_lanes(less(splat(0), a), -s, select_lanes(less(a, splat(0)), s, splat(0)))
    if kind == SINE:
        return -a
    if kind == EXPONENTIAL:
        return a
    z = at_most(at_least(z, splat(-99)), splat(99))     # beyond, what it is multiplied by is zero
    if kind == GELU:                # density(z) (2 - z^2)
        s = normal_cdf(z, &bell)
        return bell * splat(<real>0.39894228040143268) * (2 - z * z)
    if kind == GELU_TANH:           # of z sigmoid(u): s (1 - s) (2 u' + z u'' + z (1 - 2 s) u'^2)
        s = gelu_tanh_argument(z, &w)
        s = 1 / (1 + exp_of_sum(s, w))
        w = splat(<real>1.5957691216057308) + splat(<real>0.21406444881780075) * z * z
        return s * (1 - s) * (2 * w + splat(<real>0.4281288976356015) * z * z
                              + z * (1 - 2 * s) * w * w)
    if kind == SILU:
        s = logistic(z)
        return s * (1 - s) * (2 + z * (1 - 2 * s))
    return (4 * z * z - 2) * a      # GAUSSIAN


cdef inline void curve_rows(
    Activation kind, const Sigma* run, bint part, real* r_delta, const real* error,
    const real* r_z, const real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at, v0 = run.first // LANES if part else 0
    cdef vec x
    if part:
        columns = run.last
    for i in range(rows):
        for v in range(v0, vectors(columns)):
            at = i * ld + v * LANES
            x = load(error + at) * load(r_z + at) * sigma_second(
                kind, load(a + at), load(z + at), splat(run.p))
            x = keep_run(x, v, run, splat(0)) if part else keep_columns(x, v, columns, splat(0))
            store(r_delta + at, load(r_delta + at) + x)


cdef inline int add_curvature_of_run(
    const Sigma* run, bint part, real* r_delta, const real* error, const real* r_z,
    const real* r_a, const real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    cdef Activation kind = run.kind
    if kind == SIGMOID:
        curve_rows(SIGMOID, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == TANH:
        curve_rows(TANH, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == ELU:
        curve_rows(ELU, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == SELU:
        curve_rows(SELU, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == GELU:
        curve_rows(GELU, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == GELU_TANH:
        curve_rows(GELU_TANH, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == SILU:
        curve_rows(SILU, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == SOFTPLUS:
        curve_rows(SOFTPLUS, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == SOFTSIGN:
        curve_rows(SOFTSIGN, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == EXPONENTIAL:
        curve_rows(EXPONENTIAL, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == GAUSSIAN:
        curve_rows(GAUSSIAN, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == SINE:
        curve_rows(SINE, run, part, r_delta, error, r_z, a, z, rows, columns, ld)
    elif kind == SOFTMAX:
        softmax_curve_rows(r_delta, error, r_a, a, rows, columns, ld)
    elif kind == COMPILED_SIGMA:
        compiled_curve_rows(run, part, r_delta, error, r_z, z, rows, columns, ld)
    elif kind == NUMPY_SIGMA:
        numpy_curvature(run, r_delta, error, r_z, z, rows, ld)
    return 0


cdef int add_curvature(
    const Sigma* runs, int n_runs, bint narrow,
    real* r_delta,          # IN, OUT (rows, columns)  + error R{sigma'(z)} = error sigma''(z) R{z}
    const real* error,      # IN  (rows, columns)  dC/da
    const real* r_z,        # IN  (rows, columns)
    const real* r_a,        # IN  (rows, columns)
    const real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    cdef int k
    cdef Py_ssize_t at
    if n_runs == 1:
        return add_curvature_of_run(runs, False, r_delta, error, r_z, r_a, a, z, rows, columns, ld)
    for k in range(n_runs):
        if narrow:
            at = runs[k].first * ld
            add_curvature(&runs[k], 1, True, r_delta + at, error + at, r_z + at, r_a + at, a + at,
                          z + at, runs[k].last - runs[k].first, columns, ld)
        else:
            add_curvature_of_run(&runs[k], True, r_delta, error, r_z, r_a, a, z, rows, columns, ld)
    return 0


cdef void softmax_curve_rows(
    real* r_delta, const real* error, const real* r_a, const real* a,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # R of delta_j = a_j (error_j - sum_k error_k a_k), as far as it comes from a
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


# ---- costs ----

cdef inline vec grad_a_prime(Cost kind, vec a, vec y, vec p) noexcept nogil:
    # C'' of one output; 0 where a is outside a logarithm's range, as the slope there
    cdef vec d
    if kind == CROSS_ENTROPY:
        d = quotient(splat(1), 1 - a)
        return bounded((1 - y) * d * d + y * quotient(splat(1), a) * quotient(splat(1), a))
    if kind == HUBER:
        return select_lanes(less(absolute(a - y), p), splat(1), splat(0))
    if kind == LOG_COSH:
        d = tanh(a - y)
        return 1 - d * d
    if kind == SQUARED_HINGE:
        return by_sign(1 - side_of(y) * a, splat(2), splat(0))
    if kind == QUADRATIC:
        return splat(1)
    if kind == ABSOLUTE or kind == HINGE:
        return splat(0)
    # LOG_LIKELIHOOD, KL_DIVERGENCE, POISSON
    return bounded(y * quotient(splat(1), a) * quotient(splat(1), a))


cdef inline void curved_rows(
    Cost kind, real p, real* r_delta, const real* a, const real* r_a, const real* y, real step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    for i in range(rows):
        for v in range(vectors(columns)):
            at = i * ld + v * LANES
            store(r_delta + at, keep_columns(
                splat(step) * load(r_a + at) * grad_a_prime(
                    kind, load(a + at), load(y + at), splat(p)), v, columns, splat(0)))


cdef int cost_curvature(
    const CostFunction* cost,
    real* r_delta,          # OUT (rows, columns)  step R{dC/da}
    const real* a,          # IN  (rows, columns)
    const real* r_a,        # IN  (rows, columns)
    const real* y,          # IN  (rows, columns)
    real step, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) except -1 nogil:
    cdef real p = cost.p
    if cost.kind == QUADRATIC:
        curved_rows(QUADRATIC, p, r_delta, a, r_a, y, step, rows, columns, ld)
    elif cost.kind == CROSS_ENTROPY:
        curved_rows(CROSS_ENTROPY, p, r_delta, a, r_a, y, step, rows, columns, ld)
    elif cost.kind == HUBER:
        curved_rows(HUBER, p, r_delta, a, r_a, y, step, rows, columns, ld)
    elif cost.kind == LOG_COSH:
        curved_rows(LOG_COSH, p, r_delta, a, r_a, y, step, rows, columns, ld)
    elif cost.kind == SQUARED_HINGE:
        curved_rows(SQUARED_HINGE, p, r_delta, a, r_a, y, step, rows, columns, ld)
    elif cost.kind == ABSOLUTE or cost.kind == HINGE:
        curved_rows(ABSOLUTE, p, r_delta, a, r_a, y, step, rows, columns, ld)
    elif cost.kind == COSINE:
        cosine_curve_rows(r_delta, a, r_a, y, step, rows, columns, ld)
    elif cost.kind == COMPILED_COST:
        compiled_cost_curve(cost, r_delta, a, r_a, y, step, rows, columns, ld)
    elif cost.kind == NUMPY_COST:
        numpy_cost_curve(cost, r_delta, a, r_a, y, step, rows, columns, ld)
    else:
        curved_rows(LOG_LIKELIHOOD, p, r_delta, a, r_a, y, step, rows, columns, ld)
    return 0


cdef void cosine_curve_rows(
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
        if length <= 1e-8:          # dC/da is then constant
            continue
        c, s = a_y / length / y_y, a_r / length
        r_c = (y_r / y_y - c * s) / length
        for j in range(J):
            u, v = a[i * ld + j] / length, y[i * ld + j] / y_y
            r_u = (r_a[i * ld + j] - u * s) / length
            r_delta[i * ld + j] = <real>(
                step * (r_u * c + u * r_c - (u * c - v) / length * s) / length)


cdef void times_sums_of_targets(
    real* r_delta,          # OUT (m, J)  step R{a_j} sum_k y_k: R of softmax_minus_rows
    const real* r_a, const real* y, real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    cdef vec total
    for i in range(m):
        total = splat(0)
        for v in range(vectors(J)):
            total = total + of_columns(y + i * ld, v, J, splat(0))
        total = splat(step * sum_lanes(total))
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(r_delta + at, keep_columns(total * load(r_a + at), v, J, splat(0)))


# ---- the user's own: differences of f_prime, (46), central ----

DIFFERENCE = np.cbrt(np.finfo(REAL).eps)     # of arguments of size 1: it rounds and truncates alike


cdef void compiled_curve_rows(
    const Sigma* run, bint part, real* r_delta, const real* error, const real* r_z, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j, at
    cdef double h
    for i in range(rows):
        for j in range(run.first if part else 0, run.last if part else columns):
            at = i * ld + j
            h = 6e-6 * max(1.0, fabs(z[at]))
            r_delta[at] += <real>(error[at] * r_z[at] * (
                run.f_prime(z[at] + h) - run.f_prime(z[at] - h)) / (2 * h))


cdef void compiled_cost_curve(
    const CostFunction* cost, real* r_delta, const real* a, const real* r_a, const real* y,
    real step, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j, at
    cdef double h
    for i in range(rows):
        for j in range(vectors(columns) * LANES):
            at = i * ld + j
            if j >= columns:
                r_delta[at] = 0
                continue
            h = 6e-6 * max(1.0, fabs(a[at]))
            r_delta[at] = <real>(step * r_a[at] * (
                cost.f_prime(a[at] + h, y[at]) - cost.f_prime(a[at] - h, y[at])) / (2 * h))


cdef int numpy_curvature(
    const Sigma* run, real* r_delta, const real* error, const real* r_z, const real* z,
    Py_ssize_t rows, Py_ssize_t ld,
) except -1 with gil:
    cdef Py_ssize_t i, j, at, count = run.last - run.first
    cdef object own = <object>run.own
    here = batch_of(z + run.first, rows, count, ld)
    h = (DIFFERENCE * np.maximum(1, np.abs(here))).astype(REAL)
    ahead, behind = here + h, here - h
    cdef const real[:, ::1] second = (
        checked(own.f_prime(ahead.copy()), "f_prime", own, (rows, count))
        - checked(own.f_prime(behind.copy()), "f_prime", own, (rows, count))) / (ahead - behind)
    for i in range(rows):
        for j in range(count):
            at = i * ld + run.first + j
            r_delta[at] += error[at] * r_z[at] * second[i, j]
    return 0


cdef int numpy_cost_curve(
    const CostFunction* cost, real* r_delta, const real* a, const real* r_a, const real* y,
    real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) except -1 with gil:
    # Along R{a}: dC/da_j may depend on every output.
    cdef Py_ssize_t i, j
    cdef object own = <object>cost.own
    here, along, wanted = (batch_of(a, m, J, ld), batch_of(r_a, m, J, ld), batch_of(y, m, J, ld))
    length = np.maximum(np.abs(along).max(axis=1, keepdims=True), np.finfo(REAL).tiny)
    h = DIFFERENCE * np.maximum(1, np.abs(here).max(axis=1, keepdims=True))
    by = (h / length * along).astype(REAL)
    cdef const real[:, ::1] second = np.ascontiguousarray((
        checked(own.f_prime(here + by, wanted.copy()), "f_prime", own, (m, J))
        - checked(own.f_prime(here - by, wanted), "f_prime", own, (m, J))) * (length / (2 * h)),
        dtype=REAL)
    for i in range(m):
        for j in range(vectors(J) * LANES):
            r_delta[i * ld + j] = step * second[i, j] if j < J else 0
    return 0
