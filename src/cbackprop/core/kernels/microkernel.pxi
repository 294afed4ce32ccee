# The microkernel, which sums a tile in registers, and the loop over the micro-panels of A for one
# panel of B. gemm.pxi describes the design.

cdef enum:
    NR_VECTORS = 2          # the most vectors in a row of a panel of b
    KC = 256                # the most p in a block, so that a panel of b has at most 32 KB
    KC_BFLOAT16 = 1024      # the same for bfloat16, where fewer blocks are worth more than the L1
    PREFETCH_C_FROM = 64    # the smallest depth that leaves time to prefetch a tile's part of c
    EPILOGUE_OPERANDS = 2   # the most further arrays that an epilogue reads


cdef inline Py_ssize_t most_depth() noexcept nogil:
    return KC if STORED_DEPTH == 1 else KC_BFLOAT16


cdef enum Multipliers:
    A_ROWS, A_TRANSPOSED, A_PACKED, A_PREFETCHED


ctypedef void (*Epilogue)(
    const void* context, real* c, Py_ssize_t ldc, const real* tile, Py_ssize_t ld_tile,
    Py_ssize_t rows, Py_ssize_t columns) noexcept nogil


cdef struct Prefetcher:      # rows to fetch from memory while a product is computed
    const char** rows        # (n)
    Py_ssize_t n, bytes      # number of rows, bytes of a row
    Py_ssize_t row, at       # the next row and byte to fetch


cdef struct StoredRows:      # (rows) pointers, MR more, and what they point to
    const stored** rows
    stored* numbers


cdef struct Product:
    real* c                  # OUT (n_rows, columns)
    const real* initial      # IN  (n_rows, columns)
    # IN  (n_rows) pointers to (depth); a_transposed: (depth) pointers to (n_rows). MR more pointers
    #     follow; they are only prefetched.
    const real* const* rows
    const real* b            # IN  (depth, columns); b_transposed: (columns, depth)
    stored* panel            # workspace to pack b: (KC, NR_VECTORS * LANES); epilogue: (depth, ...)
    stored* packed_a         # workspace to pack a: (n_rows, KC), and one vector more
    StoredRows stored_a      # workspace to store a, if a `stored` is not a real
    Py_ssize_t n_rows, columns, depth
    Py_ssize_t n_rows_total  # n_rows of all threads together, which sets the order of sums
    Py_ssize_t ldc, ld_initial, ldb
    real alpha               # 1 if a_transposed
    const real* relu_mask    # (n_rows, columns), laid out as c; or NULL, always if `streams`
    bint a_transposed, b_transposed
    bint streams             # rows are in memory, not in a cache: prefetch them
    Prefetcher* prefetcher   # or NULL
    Epilogue epilogue        # for multiply_with_epilogue only; `initial` is then zeros
    const void* context      # its first argument
    real* tile               # workspace (MR, NR_VECTORS * LANES) for its tile
    const real* epilogue_operands[EPILOGUE_OPERANDS]    # arrays it reads, laid out as c; or NULL


# One p is one `stored` from here on: with bfloat16, two terms of the sum.

cdef struct Panel:           # a panel of b in one block of p, for all micro-panels of a
    real* c
    const real* initial
    const stored* const* rows
    const stored* b
    Py_ssize_t p, depth
    Py_ssize_t ldc, ld_initial, ldb
    real alpha
    const real* relu_mask
    const real* b_ahead      # the next panel, which is prefetched while this one is computed
    Py_ssize_t ld_ahead, b_rows_ahead, b_lines_ahead    # its row stride, rows, lines of a row
    Prefetcher* prefetcher   # or NULL
    Py_ssize_t lines_ahead   # cache lines that it fetches during each micro-panel
    Py_ssize_t first         # A_TRANSPOSED: the first column of the micro-panels in a row of a


cdef inline void microkernel(
    const Panel* g, Py_ssize_t first, const stored* packed, Multipliers kind,
    const int R, const int V,
) noexcept nogil:
    # Copy fields to locals: for all the C compiler knows, a store could change *g.
    cdef vec acc[12][NR_VECTORS]
    cdef vec b_p[NR_VECTORS]
    cdef vec a_pr, alpha = splat(g.alpha)
    cdef const stored* row[12]
    cdef const stored* a_p = packed
    cdef const stored* const* rows = g.rows
    cdef const stored* b = g.b
    cdef Py_ssize_t p, q, depth = g.depth, ldb = g.ldb, ldc = g.ldc, ld_initial = g.ld_initial
    cdef const real* initial = g.initial + first * ld_initial
    cdef real* c = g.c + first * ldc
    cdef const real* mask = g.relu_mask
    # With one or two rows, additions would wait for each other: keep U sums, each of every U-th p.
    cdef bint in_rows = kind == A_ROWS or kind == A_PREFETCHED
    cdef int U = 4 if R <= 2 and kind == A_ROWS else 1
    cdef int STEP = LINE_BYTES // REAL_BYTES if kind == A_PREFETCHED else U
    cdef int r, v, u
    for r in range(R):
        if in_rows:
            row[r] = rows[first + r] + g.p
    for r in range(U * R):
        for v in range(V):
            acc[r][v] = splat(0)
    for q in range(depth // STEP):
        if kind == A_PREFETCHED:
            for r in range(R):
                prefetch(rows[first + R + r] + g.p + q * STEP)
        for u in range(STEP):
            p = q * STEP + u
            for v in range(V):
                b_p[v] = load(b + v * LANES)
            if kind == A_TRANSPOSED:
                a_p = rows[g.p + p] + g.first + first
            for r in range(R):
                a_pr = splat_stored(row[r][p] if in_rows else a_p[r])
                for v in range(V):
                    acc[u % U * R + r][v] = multiply_add(acc[u % U * R + r][v], a_pr, b_p[v])
            b += ldb
            if kind == A_PACKED:
                a_p += R
    for p in range(depth // STEP * STEP, depth):
        for r in range(R):
            for v in range(V):
                acc[r][v] = multiply_add(acc[r][v], splat_stored(row[r][p]), load(b + v * LANES))
        b += ldb
    for u in range(1, U):
        for r in range(R):
            for v in range(V):
                acc[r][v] = acc[r][v] + acc[u * R + r][v]
    # The loops are small, because GCC unrolls a large one too late to keep 24 sums in registers.
    # Sums on the stack took a fifth of the time of a tile of depth 20.
    if kind != A_TRANSPOSED and g.alpha != 1:
        for r in range(R):
            for v in range(V):
                acc[r][v] = alpha * acc[r][v]
    if kind != A_PREFETCHED and mask != NULL:
        mask += first * ldc
        for r in range(R):
            for v in range(V):
                acc[r][v] = select_lanes(less(splat(0), load(mask + v * LANES)), acc[r][v],
                                         splat(0))
            mask += ldc
    for r in range(R):
        for v in range(V):
            store(c + v * LANES, load(initial + v * LANES) + acc[r][v])
        c += ldc
        initial += ld_initial


cdef inline void fetch(Prefetcher* prefetcher, Py_ssize_t lines) noexcept nogil:
    while lines > 0 and prefetcher.row < prefetcher.n:
        prefetch(prefetcher.rows[prefetcher.row] + prefetcher.at)
        prefetcher.at += LINE_BYTES
        if prefetcher.at >= prefetcher.bytes:
            prefetcher.row, prefetcher.at = prefetcher.row + 1, 0
        lines -= 1


cdef inline void all_micropanels(
    const Panel* g, Py_ssize_t n_rows, const stored* packed, Multipliers kind, const int V,
) noexcept nogil:
    # Micro-panels have about equal height: 32 rows are 11 + 11 + 10, not 12 + 12 + 8. Constant
    # sizes keep each tile's sums in registers. GCC unrolls a tile's loops early enough only if they
    # are inside another loop, this one; otherwise GCC 12 spills 1,400 vectors.
    cdef Py_ssize_t n_micropanels = (n_rows + MR - 1) // MR
    cdef Py_ssize_t height = n_rows // n_micropanels
    cdef Py_ssize_t taller = n_rows - height * n_micropanels
    cdef Py_ssize_t s, r, p, R, first = 0
    cdef const real* c_row
    for s in range(n_micropanels):
        R = height + (s < taller)
        if g.depth >= PREFETCH_C_FROM:
            c_row = g.initial + first * g.ld_initial
            for r in range(R):
                prefetch(c_row)
                prefetch(c_row + (V - 1) * LANES)
                c_row += g.ld_initial
        if g.prefetcher != NULL:
            fetch(g.prefetcher, g.lines_ahead)
        if g.b_rows_ahead > 0:
            for p in range(g.b_rows_ahead * s // n_micropanels,
                           g.b_rows_ahead * (s + 1) // n_micropanels):
                for r in range(g.b_lines_ahead):
                    prefetch(<const char*>(g.b_ahead + p * g.ld_ahead) + r * LINE_BYTES)
        if R == 12 <= MR:           # the compiler drops heights above this build's MR
            microkernel(g, first, packed, kind, 12, V)
        elif R == 11 <= MR:
            microkernel(g, first, packed, kind, 11, V)
        elif R == 10 <= MR:
            microkernel(g, first, packed, kind, 10, V)
        elif R == 9 <= MR:
            microkernel(g, first, packed, kind, 9, V)
        elif R == 8 <= MR:
            microkernel(g, first, packed, kind, 8, V)
        elif R == 7 <= MR:
            microkernel(g, first, packed, kind, 7, V)
        elif R == 6 <= MR:
            microkernel(g, first, packed, kind, 6, V)
        elif R == 5:
            microkernel(g, first, packed, kind, 5, V)
        elif R == 4:
            microkernel(g, first, packed, kind, 4, V)
        elif R == 3:
            microkernel(g, first, packed, kind, 3, V)
        elif R == 2:
            microkernel(g, first, packed, A_ROWS if kind == A_PREFETCHED else kind, 2, V)
        else:                       # A_PREFETCHED has two or more micro-panels, none as low as 1
            microkernel(g, first, packed, A_ROWS if kind == A_PREFETCHED else kind, 1, V)
        if kind == A_PACKED:
            packed += R * g.depth
        first += R


cdef void a_rows_1(
    const Panel* g, Py_ssize_t n_rows, const stored* packed,
) noexcept nogil:
    all_micropanels(g, n_rows, packed, A_ROWS, 1)


cdef void a_rows_2(
    const Panel* g, Py_ssize_t n_rows, const stored* packed,
) noexcept nogil:
    all_micropanels(g, n_rows, packed, A_ROWS, 2)


cdef void a_transposed_1(
    const Panel* g, Py_ssize_t n_rows, const stored* packed,
) noexcept nogil:
    all_micropanels(g, n_rows, packed, A_TRANSPOSED, 1)


cdef void a_transposed_2(
    const Panel* g, Py_ssize_t n_rows, const stored* packed,
) noexcept nogil:
    all_micropanels(g, n_rows, packed, A_TRANSPOSED, 2)


cdef void a_packed_1(
    const Panel* g, Py_ssize_t n_rows, const stored* packed,
) noexcept nogil:
    all_micropanels(g, n_rows, packed, A_PACKED, 1)


cdef void a_packed_2(
    const Panel* g, Py_ssize_t n_rows, const stored* packed,
) noexcept nogil:
    all_micropanels(g, n_rows, packed, A_PACKED, 2)


cdef void a_prefetched_1(
    const Panel* g, Py_ssize_t n_rows, const stored* packed,
) noexcept nogil:
    all_micropanels(g, n_rows, packed, A_PREFETCHED, 1)


cdef void a_prefetched_2(
    const Panel* g, Py_ssize_t n_rows, const stored* packed,
) noexcept nogil:
    all_micropanels(g, n_rows, packed, A_PREFETCHED, 2)


ctypedef void (*Micropanels)(const Panel*, Py_ssize_t, const stored*) noexcept nogil


cdef Micropanels[4][2] micropanels_of = [
    [a_rows_1, a_rows_2], [a_transposed_1, a_transposed_2], [a_packed_1, a_packed_2],
    [a_prefetched_1, a_prefetched_2]]


cdef void micropanels_with_epilogue(
    Panel* g, const Product* product, const stored* const* rows, Micropanels micropanels,
    Py_ssize_t column, int V,
) noexcept nogil:
    # Call `micropanels` for one micro-panel at a time, so that its loop contains no call of the
    # epilogue. A call there made every product slower, [8, 16, 16, 1] by 3 %.
    cdef Py_ssize_t n_micropanels = (product.n_rows + MR - 1) // MR
    cdef Py_ssize_t height = product.n_rows // n_micropanels
    cdef Py_ssize_t taller = product.n_rows - height * n_micropanels
    cdef Py_ssize_t b_rows = g.b_rows_ahead, s, r, R, at, first = 0
    cdef const real* used[1 + EPILOGUE_OPERANDS]
    cdef int k
    used[0] = product.c
    for k in range(EPILOGUE_OPERANDS):
        used[1 + k] = product.epilogue_operands[k]
    g.c, g.ldc = product.tile, V * LANES
    for s in range(n_micropanels):
        R = height + (s < taller)
        at = first * product.ldc + column
        if g.depth >= PREFETCH_C_FROM:
            for k in range(1 + EPILOGUE_OPERANDS):
                for r in range(R if used[k] != NULL else 0):
                    prefetch(used[k] + at + r * product.ldc)
                    prefetch(used[k] + at + r * product.ldc + (V - 1) * LANES)
        g.b_rows_ahead = b_rows * (s + 1) // n_micropanels - b_rows * s // n_micropanels
        g.first, g.rows = first, rows
        if not product.a_transposed:
            g.rows += first
        micropanels(g, R, NULL)
        product.epilogue(product.context, product.c + at, product.ldc, product.tile, g.ldc, R,
                         g.ldc)
        g.b_ahead += g.b_rows_ahead * g.ld_ahead
        first += R
