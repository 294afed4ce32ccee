# The one dense product:  c = initial + alpha * sum_p a[p, r] b[p, :]
#
# Design (the terms are those of BLIS)
# ------------------------------------
# (a) Lanes.   Columns of c are SIMD lanes. A *panel* of b is one or two vectors of columns wide.
# (b) Tile.    Registers sum up to MR rows of c, from a *micro-panel* of a. Each p takes one or two
#              loads of b, and for each row one multiplier, which a load broadcasts.
# (c) Multipliers are read in place, through pointers to rows:
#              A_ROWS        a[p, r] = rows[r][p]   each row of c has a row of a
#              A_TRANSPOSED  a[p, r] = rows[p][r]   the sum runs over the rows of a
#              A_PACKED      as A_ROWS, from a transposed copy, if there are many panels
#              A_PREFETCHED  as A_ROWS, from memory: each micro-panel prefetches the next one, a
#                            cache line of each row at a time
# (d) Depth.   p runs in equal blocks of at most `most_depth`, so that a packed panel of b stays in
#              the L1 cache during all micro-panels. Later blocks add to c. The order of each sum
#              depends on the shapes only.
# (e) Epilogue. `initial` is a row (ld_initial = 0), zeros, or c itself for a sum in place. Where
#              `relu_mask` is not positive, nothing is added. Alternatively, a function processes
#              each tile of sums while it is in the L1 cache.
# (f) bfloat16. A `stored` holds two neighbours p of a sum. The product rounds a once (store_rows),
#              and b while it packs it. From there on it is the product of half as many p.

cdef enum:
    PACK_ROWS = 24      # the fewest rows that repay packing b
    PACK_PANELS = 9     # the fewest panels that repay packing a


cdef void multiply(const Product* product) noexcept nogil:
    all_panels(product, False)


cdef void multiply_with_epilogue(const Product* product) noexcept nogil:
    all_panels(product, True)


cdef inline void all_panels(const Product* product, const bint with_epilogue) noexcept nogil:
    cdef Py_ssize_t width = NR_VECTORS * LANES
    cdef Py_ssize_t n_panels = (product.columns + width - 1) // width
    cdef bint packs_b = product.b_transposed or STORED_DEPTH > 1 or (
        product.n_rows_total >= PACK_ROWS and product.ldb > width)
    cdef Py_ssize_t n_blocks = 1, depth = in_stored(product.depth), terms, p
    cdef Multipliers kind = A_ROWS
    cdef const stored* const* rows = <const stored* const*>product.rows
    cdef Panel g
    cdef Py_ssize_t block, k, j
    cdef int V
    cdef uint64_t before = 0
    if product.n_rows == 0 or product.columns == 0:
        return
    if STORED_DEPTH > 1:        # the instruction takes subnormals for 0; so do all builds
        before = flush_subnormals()
        store_rows(&product.stored_a, product.rows, product.n_rows, product.depth,
                   product.a_transposed)
        rows = product.stored_a.rows
    if packs_b and not with_epilogue:
        n_blocks = (depth + most_depth() - 1) // most_depth()
    if product.a_transposed:
        kind = A_TRANSPOSED
    elif product.n_rows >= PACK_ROWS and n_panels >= PACK_PANELS:
        kind = A_PACKED
    elif product.streams and product.n_rows > MR:
        kind = A_PREFETCHED
    g.rows, g.alpha, g.ldc = rows, product.alpha, product.ldc
    g.prefetcher, g.first = product.prefetcher, 0
    if g.prefetcher != NULL:
        g.lines_ahead = 1 + g.prefetcher.n * (g.prefetcher.bytes // LINE_BYTES + 1) // (
            n_blocks * n_panels * ((product.n_rows + MR - 1) // MR))
    for block in range(n_blocks):
        g.p = depth * block // n_blocks
        g.depth = depth * (block + 1) // n_blocks - g.p
        p = g.p * STORED_DEPTH
        terms = g.depth if STORED_DEPTH == 1 else min(g.depth * STORED_DEPTH, product.depth - p)
        if kind == A_PACKED:
            pack_micropanels(product.packed_a, rows, product.n_rows, g.p, g.depth)
        for k in range(n_panels):
            j = k * width
            V = 2 if product.columns - j > LANES else 1
            g.c = product.c + j
            g.initial, g.ld_initial = g.c, g.ldc
            g.relu_mask = product.relu_mask + j if product.relu_mask != NULL else NULL
            if block == 0:
                g.initial, g.ld_initial = product.initial + j, product.ld_initial
            if product.b_transposed:
                pack_transposed(product.panel, product.b + j * product.ldb + p, product.ldb,
                                g.depth, product.columns - j, V)
            elif packs_b:
                pack(product.panel, product.b + p * product.ldb + j, product.ldb, terms, V)
            g.b_rows_ahead, g.ld_ahead = 0, product.ldb
            if product.b_transposed and k + 1 < n_panels:
                g.b_ahead = product.b + (j + width) * product.ldb + p
                g.b_rows_ahead = min(width, product.columns - j - width)
                g.b_lines_ahead = terms * sizeof(real) // LINE_BYTES + 1
            elif packs_b and k + 1 < n_panels:
                g.b_ahead = product.b + p * product.ldb + j + width
                g.b_rows_ahead, g.b_lines_ahead = terms, width * sizeof(real) // LINE_BYTES
            if packs_b:
                g.b, g.ldb = product.panel, V * LANES
            else:
                g.b, g.ldb = <const stored*>product.b + g.p * product.ldb + j, product.ldb
            if with_epilogue:
                micropanels_with_epilogue(&g, product, rows, micropanels_of[<int>kind][V - 1], j,
                                          V)
            else:
                micropanels_of[<int>kind][V - 1](&g, product.n_rows, product.packed_a)
    if STORED_DEPTH > 1:
        restore_subnormals(before)
