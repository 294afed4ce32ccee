# The one product of the library:  c = start + alpha * sum_p a[p, r] b[p, :]
#
# Design
# ------
# (a) Lanes.   Columns of c are SIMD lanes. A *panel* is one or two vectors of columns.
# (b) Tile.    Up to TILE_ROWS rows of a panel, a *strip*, are summed in registers: per p, one or
#              two loads of b, and for each row one multiplier, which a load broadcasts.
# (c) Multipliers are read where they lie, through pointers to rows:
#              ROWS    a[p, r] = rows[r][p]   feedforward and BP2: a row of c is an example
#              ACROSS  a[p, r] = rows[p][r]   BP4: examples are what is summed over
#              PACKED  as ROWS, after a transposed copy of each strip that many panels share
#              STREAM  as ROWS, which come from memory: each strip fetches the one behind it, a
#                      line of each row at a time
# (d) Depth.   p runs in equal blocks of at most DEPTH, so that a packed panel of b stays in the
#              L1 cache while all strips pass it by; later blocks add to c. The order of each sum
#              depends on the shapes alone.
# (e) Epilogue. start is a bias (ld_start = 0), zeros, or c itself: with c = w, BP4's product *is*
#              the step of gradient descent. Where `gate` is not positive, nothing is added. Or a
#              function takes each tile of the sums while it is in the L1 cache.
#
# This file knows nothing of neurons.

cdef enum:
    LINE = 64           # bytes of a cache line
    MAX_VECTORS = 2     # of a panel
    DEPTH = 256         # of a block of p: a panel of b is at most 32 KB
    PACK_ROWS = 24      # fewer rows do not repay packing b
    PACK_PANELS = 9     # fewer panels do not repay packing a
    FAR = 64            # deep enough a tile to fetch its part of c ahead, ...
    MORE = 2            # ... and of so many arrays that an epilogue reads besides

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
    const real* more[MORE]   # laid out as c: what else it reads, to be fetched ahead; or NULL


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
    cdef const real* used[1 + MORE]
    cdef int k
    used[0] = of.c
    for k in range(MORE):
        used[1 + k] = of.more[k]
    g.c, g.ldc = of.tile, V * LANES
    for s in range(n_strips):
        R = height + (s < taller)
        at = first * of.ldc + column
        if g.depth >= FAR:
            for k in range(1 + MORE):
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


cdef inline void transpose(vec* x) noexcept nogil:
    # LANES x LANES, by log2(LANES) perfect shuffles
    cdef vec y[LANES]
    cdef int stage, i
    for stage in range(4):
        if 1 << stage < LANES:
            for i in range(LANES // 2):
                y[2 * i] = lower_lanes(x[i], x[i + LANES // 2])
                y[2 * i + 1] = upper_lanes(x[i], x[i + LANES // 2])
            for i in range(LANES):
                x[i] = y[i]


cdef void pack(
    real* panel,                        # OUT (depth, V * LANES)
    const real* b, Py_ssize_t ldb,      # IN  (depth, V * LANES)
    Py_ssize_t depth, int V,
) noexcept nogil:
    cdef Py_ssize_t p
    cdef int v
    for p in range(depth):
        for v in range(V):
            store(panel + (p * V + v) * LANES, load(b + p * ldb + v * LANES))


cdef void pack_transposed(
    real* panel,                        # OUT (depth, V * LANES)
    const real* b, Py_ssize_t ldb,      # IN  (n, depth), each row padded to whole vectors
    Py_ssize_t depth, Py_ssize_t n, int V,
) noexcept nogil:
    # Columns of the panel beyond n are zero. A block may read past a row, not past an arena.
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


cdef void pack_strip(
    real* packed,               # OUT (depth, R) and what is left of a vector
    const real* const* rows,    # IN  (R) pointers to (depth) and no more: they may be the caller's;
                                #     and (R) of the strip behind
    Py_ssize_t p0, Py_ssize_t depth, Py_ssize_t R,
) noexcept nogil:
    # Groups of LANES rows, the last first: its stores spill into lanes that are written later.
    cdef vec x[LANES]
    cdef Py_ssize_t n_groups = (R + LANES - 1) // LANES
    cdef Py_ssize_t block, group, p, r
    cdef int i
    for block in range(depth // LANES):
        p = block * LANES
        for r in range(R):              # of the next strip
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


cdef void pack_strips(
    real* packed,               # OUT strips as all_strips takes them
    const real* const* rows, Py_ssize_t n_rows, Py_ssize_t p0, Py_ssize_t depth,
) noexcept nogil:
    cdef Py_ssize_t n_strips = (n_rows + TILE_ROWS - 1) // TILE_ROWS
    cdef Py_ssize_t height = n_rows // n_strips
    cdef Py_ssize_t taller = n_rows - height * n_strips
    cdef Py_ssize_t s, R
    for s in range(n_strips):
        R = height + (s < taller)
        pack_strip(packed, rows, p0, depth, R)
        packed += R * depth
        rows += R


cdef void multiply(const Product* of) noexcept nogil:
    all_panels(of, False)

cdef void multiply_with_epilogue(const Product* of) noexcept nogil:
    all_panels(of, True)


cdef inline void all_panels(const Product* of, const bint with_epilogue) noexcept nogil:
    cdef Py_ssize_t width = MAX_VECTORS * LANES
    cdef Py_ssize_t n_panels = (of.columns + width - 1) // width
    cdef bint packs_b = of.b_transposed or (of.rows_in_all >= PACK_ROWS and of.ldb > width)
    cdef Py_ssize_t n_blocks = 1
    cdef Multipliers kind = ROWS
    cdef Panel g
    cdef Py_ssize_t block, k, j
    cdef int V
    if of.n_rows == 0 or of.columns == 0:
        return
    if packs_b and not with_epilogue:
        n_blocks = (of.depth + DEPTH - 1) // DEPTH
    if of.across:
        kind = ACROSS
    elif of.n_rows >= PACK_ROWS and n_panels >= PACK_PANELS:
        kind = PACKED
    elif of.streams and of.n_rows > TILE_ROWS:
        kind = STREAM
    g.rows, g.alpha, g.ldc = of.rows, of.alpha, of.ldc
    g.ahead, g.first = of.ahead, 0
    if g.ahead != NULL:
        g.lines_ahead = 1 + g.ahead.n * (g.ahead.bytes // LINE + 1) // (
            n_blocks * n_panels * ((of.n_rows + TILE_ROWS - 1) // TILE_ROWS))
    for block in range(n_blocks):
        g.p = of.depth * block // n_blocks
        g.depth = of.depth * (block + 1) // n_blocks - g.p
        if kind == PACKED:
            pack_strips(of.strips, of.rows, of.n_rows, g.p, g.depth)
        for k in range(n_panels):
            j = k * width
            V = 2 if of.columns - j > LANES else 1
            g.c = of.c + j
            g.start, g.ld_start = g.c, g.ldc
            g.gate = of.gate + j if of.gate != NULL else NULL
            if block == 0:
                g.start, g.ld_start = of.start + j, of.ld_start
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
                strips_with_epilogue(&g, of, strips_of[<int>kind][V - 1], j, V)
            else:
                strips_of[<int>kind][V - 1](&g, of.n_rows, of.strips)


# ---- few rows ----

cdef void add_dot_products(
    real* c, Py_ssize_t ldc,            # IN, OUT (n_rows, columns) and what is left of a vector
    const real* a, Py_ssize_t lda,      # IN  (n_rows, depth), in whole vectors
    const real* b, Py_ssize_t ldb,      # IN  (columns, depth), in whole vectors
    Py_ssize_t n_rows, Py_ssize_t columns, Py_ssize_t depth,
) noexcept nogil:
    # c += a b^T, for as few rows of a as would not repay packing b: LANES of b at a time.
    cdef const real* rows[LANES]
    cdef Py_ssize_t block, r
    cdef int i
    for block in range(vectors(columns)):
        for i in range(LANES):          # behind the last stands the last again
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
    if depth > full * LANES:            # what pads them need not be finite
        a_v = of_columns(a, full, depth, splat(0))
        for i in range(LANES):
            total[i] = total[i] + a_v * of_columns(rows[i], full, depth, splat(0))
    for stage in range(1, 5):           # perfect shuffles, as in `transpose`, of sums
        for i in range(LANES >> stage):
            total[i] = (lower_lanes(total[i], total[i + (LANES >> stage)])
                        + upper_lanes(total[i], total[i + (LANES >> stage)]))
    store(c, load(c) + total[0])
