# The sums of a tile, in registers, and all strips of a panel. The design: gemm.pxi.


cdef enum:
    MAX_VECTORS = 2     # of a panel
    DEPTH = 256         # of a block of p: a panel of b is at most 32 KB
    FAR = 64            # deep enough a tile to fetch its part of c ahead


cdef enum Multipliers:
    ROWS, ACROSS, PACKED, STREAM


ctypedef void (*Epilogue)(
    const void* context, real* c, Py_ssize_t ldc, const real* tile, Py_ssize_t ld_tile,
    Py_ssize_t rows, Py_ssize_t columns) noexcept nogil


cdef struct Ahead:           # rows to be fetched from memory while a product is computed
    const char** rows       # (n)
    Py_ssize_t n, bytes     # of a row
    Py_ssize_t row, at      # where it has got to


cdef struct Product:
    real* c                  # OUT (n_rows, columns)
    const real* start        # IN  (n_rows, columns)
    # IN  (n_rows) pointers to (depth); ACROSS: (depth) to (n_rows). TILE_ROWS more follow: what
    #     they point to is fetched, not read.
    const real* const* rows
    const real* b            # IN  (depth, columns), or, b_transposed: (columns, depth)
    real* panel              # (DEPTH, or with an epilogue depth; MAX_VECTORS * LANES) to pack b in
    real* strips             # (n_rows, DEPTH) and a vector more, to pack a in
    Py_ssize_t n_rows, columns, depth
    Py_ssize_t rows_in_all   # of a product that threads share: they decide the order of the sums
    Py_ssize_t ldc, ld_start, ldb
    real alpha               # of ROWS and PACKED; for ACROSS it is 1: BP4 finds it in delta
    const real* gate         # (n_rows, columns), laid out as c, but for STREAM; or NULL: all open
    bint across, b_transposed
    bint streams             # rows come from memory
    Ahead* ahead             # or NULL
    Epilogue epilogue        # only for multiply_with_epilogue; then start is zeros
    const void* context
    real* tile               # (TILE_ROWS, MAX_VECTORS * LANES) for it
    const real* more[2]      # laid out as c: what else it reads, to be fetched ahead; or NULL


cdef struct Panel:           # what the strips of a panel share, for one block of p
    real* c
    const real* start
    const real* const* rows
    const real* b
    Py_ssize_t p, depth
    Py_ssize_t ldc, ld_start, ldb
    real alpha
    const real* gate
    const real* b_ahead      # of the next panel, which is fetched while this one is computed
    Py_ssize_t ld_ahead, b_rows_ahead, b_lines_ahead    # rows apart, how many, lines of each
    Ahead* ahead             # or NULL
    Py_ssize_t lines_ahead   # for each strip
    Py_ssize_t first         # ACROSS: where the strips begin in a row


cdef inline void tile(
    const Panel* g, Py_ssize_t first, const real* packed, Multipliers kind,
    const int R, const int V,
) noexcept nogil:
    # In locals first: for all that C knows, a store could change what g points to.
    cdef vec acc[12][MAX_VECTORS]
    cdef vec b_p[MAX_VECTORS]
    cdef vec a_pr, alpha = splat(g.alpha)
    cdef const real* row[12]
    cdef const real* a_p = packed
    cdef const real* const* rows = g.rows
    cdef const real* b = g.b
    cdef Py_ssize_t p, q, depth = g.depth, ldb = g.ldb, ldc = g.ldc, ld_start = g.ld_start
    cdef const real* start = g.start + first * ld_start
    cdef real* c = g.c + first * ldc
    cdef const real* gate = g.gate
    # One or two rows alone would wait for each sum: they keep several, of every U-th p.
    cdef bint in_rows = kind == ROWS or kind == STREAM
    cdef int U = 4 if R <= 2 and kind == ROWS else 1
    cdef int STEP = LINE // REAL_BYTES if kind == STREAM else U
    cdef int r, v, u
    for r in range(R):
        if in_rows:
            row[r] = rows[first + r] + g.p
    for r in range(U * R):
        for v in range(V):
            acc[r][v] = splat(0)
    for q in range(depth // STEP):
        if kind == STREAM:
            for r in range(R):
                prefetch(rows[first + R + r] + g.p + q * STEP)
        for u in range(STEP):
            p = q * STEP + u
            for v in range(V):
                b_p[v] = load(b + v * LANES)
            if kind == ACROSS:
                a_p = rows[g.p + p] + g.first + first
            for r in range(R):
                a_pr = splat(row[r][p] if in_rows else a_p[r])
                for v in range(V):
                    acc[u % U * R + r][v] = acc[u % U * R + r][v] + a_pr * b_p[v]
            b += ldb
            if kind == PACKED:
                a_p += R
    for p in range(depth // STEP * STEP, depth):
        for r in range(R):
            for v in range(V):
                acc[r][v] = acc[r][v] + splat(row[r][p]) * load(b + v * LANES)
        b += ldb
    for u in range(1, U):
        for r in range(R):
            for v in range(V):
                acc[r][v] = acc[r][v] + acc[u * R + r][v]
    # Small loops: one large one GCC unrolls too late to keep 24 sums in registers, and their way
    # through the stack took a fifth of a tile of depth 20.
    if kind != ACROSS and g.alpha != 1:
        for r in range(R):
            for v in range(V):
                acc[r][v] = alpha * acc[r][v]
    if kind != STREAM and gate != NULL:
        gate += first * ldc
        for r in range(R):
            for v in range(V):
                acc[r][v] = select_lanes(less(splat(0), load(gate + v * LANES)), acc[r][v],
                                         splat(0))
            gate += ldc
    for r in range(R):
        for v in range(V):
            store(c + v * LANES, load(start + v * LANES) + acc[r][v])
        c += ldc
        start += ld_start


cdef inline void fetch(Ahead* ahead, Py_ssize_t lines) noexcept nogil:
    while lines > 0 and ahead.row < ahead.n:
        prefetch(ahead.rows[ahead.row] + ahead.at)
        ahead.at += LINE
        if ahead.at >= ahead.bytes:
            ahead.row, ahead.at = ahead.row + 1, 0
        lines -= 1


cdef inline void all_strips(
    const Panel* g, Py_ssize_t n_rows, const real* packed, Multipliers kind, const int V,
) noexcept nogil:
    # Strips of equal height: 32 rows are 11 + 11 + 10, not 12 + 12 + 8. Constant sizes keep each
    # tile's accumulators in registers; and GCC unrolls a tile's loops early enough for that only
    # if they stand in another loop, this one (1,400 spilled vectors otherwise, GCC 12).
    cdef Py_ssize_t n_strips = (n_rows + TILE_ROWS - 1) // TILE_ROWS
    cdef Py_ssize_t height = n_rows // n_strips
    cdef Py_ssize_t taller = n_rows - height * n_strips
    cdef Py_ssize_t s, r, p, R, first = 0
    cdef const real* ahead
    for s in range(n_strips):
        R = height + (s < taller)
        if g.depth >= FAR:
            ahead = g.start + first * g.ld_start
            for r in range(R):
                prefetch(ahead)
                prefetch(ahead + (V - 1) * LANES)
                ahead += g.ld_start
        if g.ahead != NULL:
            fetch(g.ahead, g.lines_ahead)
        if g.b_rows_ahead > 0:
            for p in range(g.b_rows_ahead * s // n_strips, g.b_rows_ahead * (s + 1) // n_strips):
                for r in range(g.b_lines_ahead):
                    prefetch(<const char*>(g.b_ahead + p * g.ld_ahead) + r * LINE)
        if R == 12 <= TILE_ROWS:        # what no build's strips need is not compiled
            tile(g, first, packed, kind, 12, V)
        elif R == 11 <= TILE_ROWS:
            tile(g, first, packed, kind, 11, V)
        elif R == 10 <= TILE_ROWS:
            tile(g, first, packed, kind, 10, V)
        elif R == 9 <= TILE_ROWS:
            tile(g, first, packed, kind, 9, V)
        elif R == 8 <= TILE_ROWS:
            tile(g, first, packed, kind, 8, V)
        elif R == 7 <= TILE_ROWS:
            tile(g, first, packed, kind, 7, V)
        elif R == 6 <= TILE_ROWS:
            tile(g, first, packed, kind, 6, V)
        elif R == 5:
            tile(g, first, packed, kind, 5, V)
        elif R == 4:
            tile(g, first, packed, kind, 4, V)
        elif R == 3:
            tile(g, first, packed, kind, 3, V)
        elif R == 2:
            tile(g, first, packed, ROWS if kind == STREAM else kind, 2, V)
        else:                           # STREAM has more than one strip, and so none of these two
            tile(g, first, packed, ROWS if kind == STREAM else kind, 1, V)
        if kind == PACKED:
            packed += R * g.depth
        first += R


cdef void rows_1(
    const Panel* g, Py_ssize_t n_rows, const real* packed,
) noexcept nogil:
    all_strips(g, n_rows, packed, ROWS, 1)


cdef void rows_2(
    const Panel* g, Py_ssize_t n_rows, const real* packed,
) noexcept nogil:
    all_strips(g, n_rows, packed, ROWS, 2)


cdef void across_1(
    const Panel* g, Py_ssize_t n_rows, const real* packed,
) noexcept nogil:
    all_strips(g, n_rows, packed, ACROSS, 1)


cdef void across_2(
    const Panel* g, Py_ssize_t n_rows, const real* packed,
) noexcept nogil:
    all_strips(g, n_rows, packed, ACROSS, 2)


cdef void packed_1(
    const Panel* g, Py_ssize_t n_rows, const real* packed,
) noexcept nogil:
    all_strips(g, n_rows, packed, PACKED, 1)


cdef void packed_2(
    const Panel* g, Py_ssize_t n_rows, const real* packed,
) noexcept nogil:
    all_strips(g, n_rows, packed, PACKED, 2)


cdef void stream_1(
    const Panel* g, Py_ssize_t n_rows, const real* packed,
) noexcept nogil:
    all_strips(g, n_rows, packed, STREAM, 1)


cdef void stream_2(
    const Panel* g, Py_ssize_t n_rows, const real* packed,
) noexcept nogil:
    all_strips(g, n_rows, packed, STREAM, 2)


ctypedef void (*Strips)(const Panel*, Py_ssize_t, const real*) noexcept nogil


cdef Strips[4][2] strips_of = [
    [rows_1, rows_2], [across_1, across_2], [packed_1, packed_2], [stream_1, stream_2]]


cdef void strips_with_epilogue(
    Panel* g, const Product* of, Strips strips, Py_ssize_t column, int V,
) noexcept nogil:
    # One at a time, so that the loop over strips knows nothing of it: a call in there made every
    # product slower, [8, 16, 16, 1] by 3 %.
    cdef Py_ssize_t n_strips = (of.n_rows + TILE_ROWS - 1) // TILE_ROWS
    cdef Py_ssize_t height = of.n_rows // n_strips
    cdef Py_ssize_t taller = of.n_rows - height * n_strips
    cdef Py_ssize_t b_rows = g.b_rows_ahead, s, r, R, at, first = 0
    cdef const real* used[3]
    cdef int k
    used[0], used[1], used[2] = of.c, of.more[0], of.more[1]
    g.c, g.ldc = of.tile, V * LANES
    for s in range(n_strips):
        R = height + (s < taller)
        at = first * of.ldc + column
        if g.depth >= FAR:
            for k in range(3):
                for r in range(R if used[k] != NULL else 0):
                    prefetch(used[k] + at + r * of.ldc)
                    prefetch(used[k] + at + r * of.ldc + (V - 1) * LANES)
        g.b_rows_ahead = b_rows * (s + 1) // n_strips - b_rows * s // n_strips
        g.first, g.rows = first, of.rows
        if not of.across:
            g.rows += first
        strips(g, R, NULL)
        of.epilogue(of.context, of.c + at, of.ldc, of.tile, g.ldc, R, g.ldc)
        g.b_ahead += g.b_rows_ahead * g.ld_ahead
        first += R
