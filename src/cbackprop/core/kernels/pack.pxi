# Copies of b and of a in the order in which the microkernel reads them.


cdef void pack(
    stored* panel,                      # OUT (depth, V * LANES)
    const real* b, Py_ssize_t ldb,      # IN  (depth, V * LANES)
    Py_ssize_t depth, int V,
) noexcept nogil:
    cdef Py_ssize_t p
    cdef int v
    for p in range(depth):
        for v in range(V):
            store(panel + (p * V + v) * LANES, load(b + p * ldb + v * LANES))


cdef void pack_transposed(
    stored* panel,                      # OUT (depth, V * LANES)
    const real* b, Py_ssize_t ldb,      # IN  (n, depth), each row padded to whole vectors
    Py_ssize_t depth, Py_ssize_t n, int V,
) noexcept nogil:
    # Columns of the panel past n are zero. A block may read past a row, but not past an arena.
    cdef vec x[LANES]
    cdef Py_ssize_t block, p, q, last
    cdef int v, i
    for v in range(V):
        for block in range((depth + LANES - 1) // LANES):
            p = block * LANES
            for i in range(LANES):
                x[i] = load(b + (v * LANES + i) * ldb + p) if v * LANES + i < n else splat(0)
            transpose(x)
            last = min(<Py_ssize_t>LANES, depth - p)
            for q in range(last):
                store(panel + ((p + q) * V + v) * LANES, x[q])


cdef void pack_micropanel(
    stored* packed,             # OUT (depth, R), padded to whole vectors
    const real* const* rows,    # IN  (R) pointers to (depth), without padding, as they may be the
                                #     caller's; then (R) pointers of the next micro-panel
    Py_ssize_t p0, Py_ssize_t depth, Py_ssize_t R,
) noexcept nogil:
    # Groups of LANES rows, the last group first: its stores overrun into lanes written later.
    cdef vec x[LANES]
    cdef Py_ssize_t n_groups = (R + LANES - 1) // LANES
    cdef Py_ssize_t block, group, p, r
    cdef int i
    for block in range(depth // LANES):
        p = block * LANES
        for r in range(R):              # the next micro-panel
            prefetch(rows[R + r] + p0 + p)
        for group in range(n_groups - 1, -1, -1):
            for i in range(LANES):
                r = group * LANES + i
                x[i] = load(rows[r] + p0 + p) if r < R else splat(0)
            transpose(x)
            for i in range(LANES):
                store(packed + (p + i) * R + group * LANES, x[i])
    for p in range(depth // LANES * LANES, depth):
        for r in range(R):
            packed[p * R + r] = rows[r][p0 + p]


cdef void pack_micropanels(
    stored* packed,             # OUT micro-panels, with the heights of all_micropanels
    const real* const* rows, Py_ssize_t n_rows, Py_ssize_t p0, Py_ssize_t depth,
) noexcept nogil:
    cdef Py_ssize_t n_micropanels = (n_rows + MR - 1) // MR
    cdef Py_ssize_t height = n_rows // n_micropanels
    cdef Py_ssize_t taller = n_rows - height * n_micropanels
    cdef Py_ssize_t s, R
    for s in range(n_micropanels):
        R = height + (s < taller)
        pack_micropanel(packed, rows, p0, depth, R)
        packed += R * depth
        rows += R
