# Vectors of a row, and loops over rows of whole vectors.

from libc.string cimport memcpy, memset


cdef inline Py_ssize_t vectors(Py_ssize_t J) noexcept nogil:
    return (J + LANES - 1) // LANES


cdef inline vec keep_columns(vec x, Py_ssize_t v, Py_ssize_t J, vec rest) noexcept nogil:
    return select_lanes(first_lanes(J - v * LANES), x, rest)


cdef inline vec load_columns(const real* row, Py_ssize_t v, Py_ssize_t J, vec rest) noexcept nogil:
    return keep_columns(load(row + v * LANES), v, J, rest)


cdef inline real sum_lanes(vec x) noexcept nogil:
    # Sum halves of lanes, in log2(LANES) stages: 16 dependent additions would take 60 cycles.
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


cdef inline void transpose(vec* x) noexcept nogil:
    # A LANES x LANES matrix, by log2(LANES) perfect shuffles.
    cdef vec y[LANES]
    cdef int stage, i
    for stage in range(4):
        if 1 << stage < LANES:
            for i in range(LANES // 2):
                y[2 * i] = lower_lanes(x[i], x[i + LANES // 2])
                y[2 * i + 1] = upper_lanes(x[i], x[i + LANES // 2])
            for i in range(LANES):
                x[i] = y[i]


cdef void scale_rows(
    real* delta, real scale, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v
    for i in range(rows):
        for v in range(vectors(columns)):
            store(delta + i * ld + v * LANES, splat(scale) * load(delta + i * ld + v * LANES))


cdef void fill_rows(
    real* z, const real* b, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v
    for i in range(rows):
        for v in range(vectors(columns)):
            store(z + i * ld + v * LANES, splat(b[i]))


cdef void clear_padding(
    real* w, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    # Clear the padding of the last vector in each row.
    cdef Py_ssize_t i, v = vectors(columns) - 1
    for i in range(rows):
        store(w + i * ld + v * LANES, load_columns(w + i * ld, v, columns, splat(0)))


cdef void add_arena(real* to, const real* step, Py_ssize_t size) noexcept nogil:
    # Arenas are whole cache lines, and so is what they consist of.
    cdef Py_ssize_t v
    for v in range(vectors(size)):
        store(to + v * LANES, load(to + v * LANES) + load(step + v * LANES))


cdef double squared_norm(const real* x, Py_ssize_t size) noexcept nogil:
    # x fills whole cache lines. Four sums run in parallel, to hide the latency of additions.
    cdef Py_ssize_t v, n = size // LANES
    cdef int k
    cdef vec total[4]
    for k in range(4):
        total[k] = splat(0)
    for v in range(n // 4):
        for k in range(4):
            total[k] = total[k] + load(x + (4 * v + k) * LANES) * load(x + (4 * v + k) * LANES)
    for v in range(n // 4 * 4, n):
        total[0] = total[0] + load(x + v * LANES) * load(x + v * LANES)
    return sum_lanes((total[0] + total[1]) + (total[2] + total[3]))


cdef void add_column_sums(
    real* to,                   # IN, OUT (columns)
    const real* x,              # IN  (rows, columns)
    Py_ssize_t rows, Py_ssize_t first, Py_ssize_t last, Py_ssize_t ld,
) noexcept nogil:
    # Four sums run in parallel, because each addition has a latency of four cycles.
    cdef Py_ssize_t i, v
    cdef int k
    cdef vec total[4]
    for v in range(first // LANES, vectors(last)):
        for k in range(4):
            total[k] = splat(0)
        for i in range(rows // 4):
            for k in range(4):
                total[k] = total[k] + load(x + (4 * i + k) * ld + v * LANES)
        for i in range(rows // 4 * 4, rows):
            total[0] = total[0] + load(x + i * ld + v * LANES)
        store(to + v * LANES,
              load(to + v * LANES) + ((total[0] + total[1]) + (total[2] + total[3])))


cdef void add_row_sums(
    real* to,                   # IN, OUT (rows)
    const real* x,              # IN  (rows, columns), with zeros as padding
    Py_ssize_t first, Py_ssize_t last, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t j, v
    cdef vec total
    for j in range(first, last):
        total = splat(0)
        for v in range(vectors(columns)):
            total = total + load(x + j * ld + v * LANES)
        to[j] += sum_lanes(total)
