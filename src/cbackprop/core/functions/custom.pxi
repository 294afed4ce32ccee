# The user's own functions. Compiled ones are called for each number, functions in NumPy with copies
# of whole batches. Second derivatives are central differences of f_prime, (46).

from libc.math cimport fabs
from libc.string cimport memcpy

DIFFERENCE = np.cbrt(np.finfo(REAL).eps)     # balances rounding and truncation errors at |x| = 1


# ---- activations, compiled ----

cdef void compiled_sigma_rows(
    const ActivationRun* run, bint part, real* a, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(run.first if part else 0, run.last if part else columns):
            a[i * ld + j] = <real>run.f(z[i * ld + j])


cdef void compiled_sigma_prime_rows(
    const ActivationRun* run, bint part, real* delta, const real* z,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(run.first if part else 0, run.last if part else columns):
            delta[i * ld + j] *= <real>run.f_prime(z[i * ld + j])


cdef void compiled_sigma_second_rows(
    const ActivationRun* run, bint part, real* r_delta, const real* error, const real* r_z,
    const real* z, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j, at
    cdef double h
    for i in range(rows):
        for j in range(run.first if part else 0, run.last if part else columns):
            at = i * ld + j
            h = 6e-6 * max(1.0, fabs(z[at]))
            r_delta[at] += <real>(error[at] * r_z[at] * (
                run.f_prime(z[at] + h) - run.f_prime(z[at] - h)) / (2 * h))


# ---- activations, in NumPy ----

cdef object batch_of(const real* x, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld):
    cdef Py_ssize_t i
    out = np.empty((rows, columns), dtype=REAL)
    cdef real[:, ::1] to = out
    for i in range(rows):
        memcpy(&to[i, 0], x + i * ld, columns * sizeof(real))
    return out


cdef object checked(object value, str which, object custom, tuple shape):
    # The return value of the user's function.
    value = np.asarray(value)
    if value.shape != shape:
        raise ValueError(f"{custom.name}: {which} must return an array of shape {shape}, "
                         f"got {value.shape}")
    return np.ascontiguousarray(value, dtype=REAL)


cdef int numpy_sigma(
    const ActivationRun* run, real* a, const real* z, Py_ssize_t rows, Py_ssize_t ld,
) except -1 with gil:
    cdef Py_ssize_t i, count = run.last - run.first
    cdef object custom = <object>run.custom
    cdef const real[:, ::1] values = checked(
        custom.f(batch_of(z + run.first, rows, count, ld)), "f", custom, (rows, count))
    for i in range(rows):
        memcpy(a + i * ld + run.first, &values[i, 0], count * sizeof(real))
    return 0


cdef int numpy_sigma_prime(
    const ActivationRun* run, real* delta, const real* z, Py_ssize_t rows, Py_ssize_t ld,
) except -1 with gil:
    cdef Py_ssize_t i, j, count = run.last - run.first
    cdef object custom = <object>run.custom
    cdef const real[:, ::1] values = checked(
        custom.f_prime(batch_of(z + run.first, rows, count, ld)), "f_prime", custom, (rows, count))
    for i in range(rows):
        for j in range(count):
            delta[i * ld + run.first + j] *= values[i, j]
    return 0


cdef int numpy_sigma_second(
    const ActivationRun* run, real* r_delta, const real* error, const real* r_z, const real* z,
    Py_ssize_t rows, Py_ssize_t ld,
) except -1 with gil:
    cdef Py_ssize_t i, j, at, count = run.last - run.first
    cdef object custom = <object>run.custom
    here = batch_of(z + run.first, rows, count, ld)
    h = (DIFFERENCE * np.maximum(1, np.abs(here))).astype(REAL)
    upper, lower = here + h, here - h
    shape = rows, count
    cdef const real[:, ::1] second = (
        checked(custom.f_prime(upper.copy()), "f_prime", custom, shape)
        - checked(custom.f_prime(lower.copy()), "f_prime", custom, shape)) / (upper - lower)
    for i in range(rows):
        for j in range(count):
            at = i * ld + run.first + j
            r_delta[at] += error[at] * r_z[at] * second[i, j]
    return 0


# ---- costs, compiled ----

cdef double compiled_cost(
    const Cost* cost, const real* a, const real* y,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double total = 0
    for i in range(rows):
        for j in range(columns):
            total += cost.f(a[i * ld + j], y[i * ld + j])
    return total


cdef void compiled_gradient(
    const Cost* cost, real* delta, const real* a, const real* y, real step,
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(columns):
            delta[i * ld + j] = step * <real>cost.f_prime(a[i * ld + j], y[i * ld + j])
        for j in range(columns, vectors(columns) * LANES):
            delta[i * ld + j] = 0


cdef void compiled_curvature(
    const Cost* cost, real* r_delta, const real* a, const real* r_a, const real* y,
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


# ---- costs, in NumPy ----

cdef double numpy_cost(
    const Cost* cost, const real* a, const real* y,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) except? -1 with gil:
    cdef object custom = <object>cost.custom
    return checked(custom.f(batch_of(a, m, J, ld), batch_of(y, m, J, ld)), "f", custom, (m,)).sum(
        dtype=np.float64)


cdef int numpy_gradient(
    const Cost* cost, real* delta, const real* a, const real* y, real step,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) except -1 with gil:
    cdef Py_ssize_t i, j
    cdef object custom = <object>cost.custom
    cdef const real[:, ::1] values = checked(
        custom.f_prime(batch_of(a, m, J, ld), batch_of(y, m, J, ld)), "f_prime", custom, (m, J))
    for i in range(m):
        for j in range(vectors(J) * LANES):
            delta[i * ld + j] = step * values[i, j] if j < J else 0
    return 0


cdef int numpy_curvature(
    const Cost* cost, real* r_delta, const real* a, const real* r_a, const real* y,
    real step, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) except -1 with gil:
    # A difference along R{a}, because dC/da_j may depend on every output.
    cdef Py_ssize_t i, j
    cdef object custom = <object>cost.custom
    here, along, wanted = (batch_of(a, m, J, ld), batch_of(r_a, m, J, ld), batch_of(y, m, J, ld))
    length = np.maximum(np.abs(along).max(axis=1, keepdims=True), np.finfo(REAL).tiny)
    h = DIFFERENCE * np.maximum(1, np.abs(here).max(axis=1, keepdims=True))
    shift = (h / length * along).astype(REAL)
    cdef const real[:, ::1] second = np.ascontiguousarray((
        checked(custom.f_prime(here + shift, wanted.copy()), "f_prime", custom, (m, J))
        - checked(custom.f_prime(here - shift, wanted), "f_prime", custom, (m, J))
    ) * (length / (2 * h)), dtype=REAL)
    for i in range(m):
        for j in range(vectors(J) * LANES):
            r_delta[i * ld + j] = step * second[i, j] if j < J else 0
    return 0
