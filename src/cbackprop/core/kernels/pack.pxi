# Copies of b and of a in the order in which the microkernel reads them. Here reals become `stored`:
# STORED_DEPTH neighbours in the sum each. An odd sum ends with a term of zero.


cdef inline Py_ssize_t in_stored(Py_ssize_t terms) noexcept nogil:
    return (terms + STORED_DEPTH - 1) // STORED_DEPTH


cdef inline bint has_second(Py_ssize_t p, Py_ssize_t terms) noexcept nogil:
    # Whether the p-th `stored` of a sum has two terms.
    return STORED_DEPTH == 2 and 2 * p + 1 < terms


cdef void pack(
    stored* panel,                      # OUT (in_stored(terms), V * LANES)
    const real* b, Py_ssize_t ldb,      # IN  (terms, V * LANES)
    Py_ssize_t terms, int V,
) noexcept nogil:
    cdef Py_ssize_t p
    cdef const real* row = b
    cdef int v
    for p in range(in_stored(terms)):
        for v in range(V):
            store(panel + (p * V + v) * LANES, across(
                load(row + v * LANES),
                load(row + ldb + v * LANES) if has_second(p, terms) else splat(0)))
        row += STORED_DEPTH * ldb


cdef void pack_transposed(
    stored* panel,                      # OUT (depth, V * LANES)
    const real* b, Py_ssize_t ldb,      # IN  (n, terms), each row padded with zeros
    Py_ssize_t depth, Py_ssize_t n, int V,
) noexcept nogil:
    # Columns of the panel past n are zero. A block may read past a row, but not past an arena, in
    # which biases follow.
    cdef const real* row
    cdef vec x[LANES]
    cdef Py_ssize_t block, p, q, last
    cdef int v, i
    for v in range(V):
        for block in range((depth + LANES - 1) // LANES):
            p = block * LANES
            for i in range(LANES):
                row = b + (v * LANES + i) * ldb + p * STORED_DEPTH
                x[i] = splat(0)
                if v * LANES + i < n:
                    x[i] = along(load(row), load(row + LANES) if STORED_DEPTH == 2 else splat(0))
            transpose(x)
            last = min(<Py_ssize_t>LANES, depth - p)
            for q in range(last):
                store(panel + ((p + q) * V + v) * LANES, x[q])


cdef void pack_micropanel(
    stored* packed,             # OUT (depth, R), padded to whole vectors
    const stored* const* rows,  # IN  (R) pointers to (depth), without padding, as they may be the
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
    const stored* const* rows, Py_ssize_t n_rows, Py_ssize_t p0, Py_ssize_t depth,
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


cdef void store_rows(
    const StoredRows* stored_a,     # OUT as the rows, but with a `stored` for each p
    const real* const* rows, Py_ssize_t n_rows, Py_ssize_t terms, bint a_transposed,
) noexcept nogil:
    # For a `stored` that is no real. An odd number of lines, as in stride_of (engine/layout.pxi).
    cdef Py_ssize_t n = in_stored(terms) if a_transposed else n_rows
    cdef Py_ssize_t per_line = LINE_BYTES // <Py_ssize_t>sizeof(stored), i
    cdef Py_ssize_t width = n_rows if a_transposed else in_stored(terms)
    cdef Py_ssize_t ld = ((width + per_line - 1) // per_line | 1) * per_line
    cdef stored* to = stored_a.numbers
    for i in range(n):
        if a_transposed:
            store_across(to, rows[2 * i], rows[2 * i + 1] if has_second(i, terms) else NULL, n_rows)
        else:
            store_along(to, rows[i], terms)
        stored_a.rows[i] = to
        to += ld
    for i in range(n, n + MR):
        stored_a.rows[i] = stored_a.rows[n - 1]


cdef inline vec load_part(const real* x, Py_ssize_t count) noexcept nogil:
    # The first numbers of a vector; the rest, which may be outside of the caller's memory, is 0.
    cdef real part[LANES]
    if count >= LANES:
        return load(x)
    memset(part, 0, sizeof(part))
    if count > 0:
        memcpy(part, x, count * sizeof(real))
    return load(part)


cdef inline void store_along(stored* to, const real* row, Py_ssize_t terms) noexcept nogil:
    cdef Py_ssize_t v, left = terms
    for v in range(terms // (2 * LANES)):
        store(to, along(load(row), load(row + LANES)))
        to, row, left = to + LANES, row + 2 * LANES, left - 2 * LANES
    if left > 0:
        store(to, along(load_part(row, left), load_part(row + LANES, left - LANES)))


cdef inline void store_across(
    stored* to, const real* first,
    const real* second,         # or NULL: zeros
    Py_ssize_t n,
) noexcept nogil:
    cdef Py_ssize_t v, k
    for v in range(vectors(n)):
        k = v * LANES
        store(to + k, across(load_part(first + k, n - k),
                             load_part(second + k, n - k) if second != NULL else splat(0)))
