# The one dense product:  c = initial + alpha * sum_p a[p, r] b[p, :]
#
# Design (the terms are those of BLIS)
# ------------------------------------
# (a) Lanes.   Columns of c are SIMD lanes. A *panel* of b is one or two vectors of columns wide.
# (b) Tile.    Up to MR rows of c, from a *micro-panel* of a, are summed in registers: per p, one or
#              two loads of b, and for each row one multiplier, which a load broadcasts.
# (c) Multipliers are read where they lie, through pointers to rows:
#              A_ROWS        a[p, r] = rows[r][p]   a row of c belongs to a row of a
#              A_TRANSPOSED  a[p, r] = rows[p][r]   rows of a are what is summed over
#              A_PACKED      as A_ROWS, after a transposed copy that many panels share
#              A_PREFETCHED  as A_ROWS, from memory: each micro-panel fetches the next, a line of
#                            each row at a time
# (d) Depth.   p runs in equal blocks of at most KC, so that a packed panel of b stays in the L1
#              cache while all micro-panels pass it by; later blocks add to c. The order of each
#              sum depends on the shapes alone.
# (e) Epilogue. `initial` is a row (ld_initial = 0), zeros, or c itself, which is then added to in
#              place. Where `relu_mask` is not positive, nothing is added. Or a function takes each
#              tile of the sums while it is in the L1 cache.

cdef enum:
    PACK_ROWS = 24      # fewer rows do not repay packing b
    PACK_PANELS = 9     # fewer panels do not repay packing a


cdef void multiply(const Product* of) noexcept nogil:
    all_panels(of, False)


cdef void multiply_with_epilogue(const Product* of) noexcept nogil:
    all_panels(of, True)


cdef inline void all_panels(const Product* of, const bint with_epilogue) noexcept nogil:
    cdef Py_ssize_t width = NR_VECTORS * LANES
    cdef Py_ssize_t n_panels = (of.columns + width - 1) // width
    cdef bint packs_b = of.b_transposed or (of.rows_in_all >= PACK_ROWS and of.ldb > width)
    cdef Py_ssize_t n_blocks = 1
    cdef Multipliers kind = A_ROWS
    cdef Panel g
    cdef Py_ssize_t block, k, j
    cdef int V
    if of.n_rows == 0 or of.columns == 0:
        return
    if packs_b and not with_epilogue:
        n_blocks = (of.depth + KC - 1) // KC
    if of.across:
        kind = A_TRANSPOSED
    elif of.n_rows >= PACK_ROWS and n_panels >= PACK_PANELS:
        kind = A_PACKED
    elif of.streams and of.n_rows > MR:
        kind = A_PREFETCHED
    g.rows, g.alpha, g.ldc = of.rows, of.alpha, of.ldc
    g.ahead, g.first = of.ahead, 0
    if g.ahead != NULL:
        g.lines_ahead = 1 + g.ahead.n * (g.ahead.bytes // LINE + 1) // (
            n_blocks * n_panels * ((of.n_rows + MR - 1) // MR))
    for block in range(n_blocks):
        g.p = of.depth * block // n_blocks
        g.depth = of.depth * (block + 1) // n_blocks - g.p
        if kind == A_PACKED:
            pack_micropanels(of.packed_a, of.rows, of.n_rows, g.p, g.depth)
        for k in range(n_panels):
            j = k * width
            V = 2 if of.columns - j > LANES else 1
            g.c = of.c + j
            g.initial, g.ld_initial = g.c, g.ldc
            g.relu_mask = of.relu_mask + j if of.relu_mask != NULL else NULL
            if block == 0:
                g.initial, g.ld_initial = of.initial + j, of.ld_initial
            if of.b_transposed:
                pack_transposed(
                    of.panel, of.b + j * of.ldb + g.p, of.ldb, g.depth, of.columns - j, V)
            elif packs_b:
                pack(of.panel, of.b + g.p * of.ldb + j, of.ldb, g.depth, V)
            g.b_rows_ahead, g.ld_ahead = 0, of.ldb
            if of.b_transposed and k + 1 < n_panels:
                g.b_ahead = of.b + (j + width) * of.ldb + g.p
                g.b_rows_ahead = min(width, of.columns - j - width)
                g.b_lines_ahead = g.depth * sizeof(real) // LINE + 1
            elif packs_b and k + 1 < n_panels:
                g.b_ahead = of.b + g.p * of.ldb + j + width
                g.b_rows_ahead, g.b_lines_ahead = g.depth, width * sizeof(real) // LINE
            if packs_b:
                g.b, g.ldb = of.panel, V * LANES
            else:
                g.b, g.ldb = of.b + g.p * of.ldb + j, of.ldb
            if with_epilogue:
                micropanels_with_epilogue(&g, of, micropanels_of[<int>kind][V - 1], j, V)
            else:
                micropanels_of[<int>kind][V - 1](&g, of.n_rows, of.packed_a)
