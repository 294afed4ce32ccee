# Products with too few rows to repay packing b.


cdef void add_dot_products(
    real* c, Py_ssize_t ldc,            # IN, OUT (n_rows, columns), padded to whole vectors
    const real* a, Py_ssize_t lda,      # IN  (n_rows, depth), in whole vectors
    const real* b, Py_ssize_t ldb,      # IN  (columns, depth), in whole vectors
    Py_ssize_t n_rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    # c += a b^T, for LANES rows of b at a time.
    cdef const real* rows[LANES]
    cdef Py_ssize_t block, r
    cdef int i
    for block in range(vectors(columns)):
        for i in range(LANES):          # rows past the end repeat the last
            rows[i] = b + min(block * LANES + i, columns - 1) * ldb
        for r in range(n_rows):
            add_dots(c + r * ldc + block * LANES, a + r * lda, rows, depth)


cdef inline void add_dots(
    real* c, const real* a, const real* const* rows, Py_ssize_t depth,
) noexcept nogil:
    cdef vec total[LANES]
    cdef vec a_v
    cdef Py_ssize_t v, full = depth // LANES
    cdef int stage, i
    for i in range(LANES):
        total[i] = splat(0)
    for v in range(full):
        a_v = load(a + v * LANES)
        for i in range(LANES):
            total[i] = total[i] + a_v * load(rows[i] + v * LANES)
    if depth > full * LANES:            # their padding may not be finite
        a_v = load_columns(a, full, depth, splat(0))
        for i in range(LANES):
            total[i] = total[i] + a_v * load_columns(rows[i], full, depth, splat(0))
    for stage in range(1, 5):           # perfect shuffles as in `transpose`, with additions
        for i in range(LANES >> stage):
            total[i] = (lower_lanes(total[i], total[i + (LANES >> stage)])
                        + upper_lanes(total[i], total[i + (LANES >> stage)]))
    store(c, load(c) + total[0])
