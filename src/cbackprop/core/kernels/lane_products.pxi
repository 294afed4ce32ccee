# The one product of networks that are lanes:  c[i, j] = sum_p a[i, p] b[j, p], perhaps added to c.
# Every number is a vector, with a network in each lane, so nothing is broadcast and nothing padded.
#
# (a) Tile.     Registers sum R x C vectors of c. Each p takes R + C loads for R C multiply-adds:
#               what is fewer is held in registers, or 16 would not suffice for 3 x 4. GCC would
#               read it again for every multiply-add (`in_register`), for 20 % of the time.
# (b) Columns.  c has panels of at most 4 columns of about equal width. Few columns have tall tiles,
#               because a small one would wait for its own additions. The caller chooses as columns
#               what is shorter.
# (c) Operands. Rows and steps of p lie any distance apart, so that forward products, BP2 and BP4
#               differ in strides alone.

cdef enum:
    PANEL_COLUMNS = 4       # the most columns of a tile
    TALLEST = 12            # the most rows of a tile
    TALLEST_COLUMN = 8      # the most rows of a single column: enough to hide latency


cdef struct LaneProduct:
    real* c                 # IN, OUT (rows, columns)
    const real* a           # IN  (rows, depth)
    const real* b           # IN  (columns, depth)
    Py_ssize_t c_row, c_column, a_row, a_step, b_row, b_step    # numbers from one to the next
    Py_ssize_t rows, columns, depth
    bint adds               # whether the sums are added to c


cdef inline void lane_tile(
    const LaneProduct* g, real* c, const real* a, const real* b, const int R, const int C,
) noexcept nogil:
    # As in `microkernel`, loops are small, and fields are copied to locals.
    cdef vec acc[TALLEST][PANEL_COLUMNS]
    cdef vec held[TALLEST]
    cdef vec x
    cdef Py_ssize_t a_row = g.a_row, b_row = g.b_row, a_step = g.a_step, b_step = g.b_step
    cdef Py_ssize_t c_row = g.c_row, c_column = g.c_column, p
    cdef int r, v
    for r in range(R):
        for v in range(C):
            acc[r][v] = splat(0)
    for p in range(g.depth):
        if C <= R:
            for v in range(C):
                held[v] = in_register(load(b + v * b_row))
            for r in range(R):
                x = load(a + r * a_row)
                if C > 1:
                    x = in_register(x)
                for v in range(C):
                    acc[r][v] = acc[r][v] + x * held[v]
        else:
            for r in range(R):
                held[r] = in_register(load(a + r * a_row))
            for v in range(C):
                x = load(b + v * b_row)
                if R > 1:
                    x = in_register(x)
                for r in range(R):
                    acc[r][v] = acc[r][v] + held[r] * x
        a += a_step
        b += b_step
    if g.adds:
        for r in range(R):
            for v in range(C):
                acc[r][v] = acc[r][v] + load(c + r * c_row + v * c_column)
    for r in range(R):
        for v in range(C):
            store(c + r * c_row + v * c_column, acc[r][v])


cdef inline void lane_tiles(
    const LaneProduct* g, Py_ssize_t column, const int C, const int HIGHEST,
) noexcept nogil:
    # Tiles have about equal height, as in `all_micropanels`.
    cdef Py_ssize_t n_tiles = (g.rows + HIGHEST - 1) // HIGHEST
    cdef Py_ssize_t height = g.rows // n_tiles, taller = g.rows - height * n_tiles, s, R
    cdef real* c = g.c + column * g.c_column
    cdef const real* a = g.a
    cdef const real* b = g.b + column * g.b_row
    for s in range(n_tiles):
        R = height + (s < taller)
        if R == 12 <= HIGHEST:      # the compiler drops what is above HIGHEST
            lane_tile(g, c, a, b, 12, C)
        elif R == 11 <= HIGHEST:
            lane_tile(g, c, a, b, 11, C)
        elif R == 10 <= HIGHEST:
            lane_tile(g, c, a, b, 10, C)
        elif R == 9 <= HIGHEST:
            lane_tile(g, c, a, b, 9, C)
        elif R == 8 <= HIGHEST:
            lane_tile(g, c, a, b, 8, C)
        elif R == 7 <= HIGHEST:
            lane_tile(g, c, a, b, 7, C)
        elif R == 6 <= HIGHEST:
            lane_tile(g, c, a, b, 6, C)
        elif R == 5 <= HIGHEST:
            lane_tile(g, c, a, b, 5, C)
        elif R == 4 <= HIGHEST:
            lane_tile(g, c, a, b, 4, C)
        elif R == 3 <= HIGHEST:
            lane_tile(g, c, a, b, 3, C)
        elif R == 2:
            lane_tile(g, c, a, b, 2, C)
        else:
            lane_tile(g, c, a, b, 1, C)
        a += R * g.a_row
        c += R * g.c_row


cdef void lane_tiles_1(const LaneProduct* g, Py_ssize_t column) noexcept nogil:
    lane_tiles(g, column, 1, TALLEST_COLUMN)


cdef void lane_tiles_2(const LaneProduct* g, Py_ssize_t column) noexcept nogil:
    lane_tiles(g, column, 2, MR)


cdef void lane_tiles_3(const LaneProduct* g, Py_ssize_t column) noexcept nogil:
    lane_tiles(g, column, 3, 2 * MR // 3)


cdef void lane_tiles_4(const LaneProduct* g, Py_ssize_t column) noexcept nogil:
    lane_tiles(g, column, 4, MR // 2)


cdef void multiply_lanes(const LaneProduct* g) noexcept nogil:
    cdef Py_ssize_t n_panels = (g.columns + PANEL_COLUMNS - 1) // PANEL_COLUMNS
    cdef Py_ssize_t width, wider, s, C, column = 0
    if g.rows == 0 or g.columns == 0:
        return
    width, wider = g.columns // n_panels, g.columns % n_panels
    for s in range(n_panels):
        C = width + (s < wider)
        if C == 4:
            lane_tiles_4(g, column)
        elif C == 3:
            lane_tiles_3(g, column)
        elif C == 2:
            lane_tiles_2(g, column)
        else:
            lane_tiles_1(g, column)
        column += C
