# Products with the rows of a CSR matrix: far sparser than images, with a list of the columns of
# each row instead of a bitmap.
#
# Design
# ------
# (a) Rows are processed one by one. The rows of w are prefetched, because the CPU cannot predict
#     the next.
# (b) Without an epilogue, a gradient is added in place, row by row of x.
# (c) With an epilogue, the product goes through w once, WORD rows at a time: their sums stay in the
#     L2 cache, and the epilogue reads and writes w, and whatever is laid out as w, in the order of
#     memory. A calendar has the rows of x with a nonzero in these columns.
# (d) `touched_only` leaves out the rows of w whose column has no nonzero. They are not even read,
#     and neither are those of x: in a text, a mini-batch has a tenth of all words.

cdef enum:
    PREFETCH_NUMBERS = 6    # numbers of a list between the prefetch of a row of w and its use
    TILE_VECTORS = 28       # the most vectors of a row of sums: WORD rows stay in the L2 cache
    ROWS_AHEAD = 4          # rows of w between the prefetch for the epilogue and the epilogue


cdef struct Run:                # nonzeros of one row that follow each other
    Py_ssize_t row, first, last


cdef struct Calendar:           # for WORD columns each, the rows that have their next nonzero there
    int* first_of               # (words_of(K)) the first of these rows; counted from 1, 0 for none
    int* next_of                # (m) the one after each row, likewise
    Py_ssize_t* cursor          # (m) the next nonzero of each row
    Run* runs                   # (m) the nonzeros in the columns at hand


cdef inline void fetch_list(const Nonzeros* x, const real* values) noexcept nogil:
    cdef Py_ssize_t at
    for at in range((x.last - x.first) * <Py_ssize_t>sizeof(int) // LINE_BYTES + 1):
        prefetch(<const char*>(x.columns + x.first) + at * LINE_BYTES)
    for at in range((x.last - x.first) * REAL_BYTES // LINE_BYTES + 1):
        prefetch(<const char*>(values + x.first) + at * LINE_BYTES)


cdef inline void fetch_row_of_w(const real* w, Py_ssize_t V) noexcept nogil:
    cdef Py_ssize_t at
    for at in range((V * LANES * REAL_BYTES + LINE_BYTES - 1) // LINE_BYTES):
        prefetch(<const char*>w + at * LINE_BYTES)


cdef inline void listed_sum(
    real* z, const real* b, const real* w, Py_ssize_t ld, real alpha, real lower_bound,
    const Nonzeros* x, const real* values, const int V,
) noexcept nogil:
    cdef vec acc[VECTORS_PER_PASS]
    cdef vec x_k
    cdef const real* w_k
    cdef const int* columns = x.columns
    cdef Py_ssize_t at, last = x.last
    cdef int v
    for v in range(V):
        acc[v] = splat(0)
    for at in range(x.first, last):
        fetch_row_of_w(w + columns[min(at + PREFETCH_NUMBERS, last - 1)] * ld, V)
        x_k, w_k = rounded(splat(values[at])), w + columns[at] * ld
        for v in range(V):
            acc[v] = acc[v] + x_k * rounded(load(w_k + v * LANES))
    for v in range(V):
        store(z + v * LANES, at_least(
            load(b + v * LANES) + splat(alpha) * acc[v], splat(lower_bound)))


cdef inline void listed_sums(
    real* z, const real* b, const real* w, Py_ssize_t ld, real alpha, real lower_bound,
    const Nonzeros* x, const real* values, Py_ssize_t V,
) noexcept nogil:
    if V == 7:
        listed_sum(z, b, w, ld, alpha, lower_bound, x, values, 7)
    elif V == 6:
        listed_sum(z, b, w, ld, alpha, lower_bound, x, values, 6)
    elif V == 5:
        listed_sum(z, b, w, ld, alpha, lower_bound, x, values, 5)
    elif V == 4:
        listed_sum(z, b, w, ld, alpha, lower_bound, x, values, 4)
    elif V == 3:
        listed_sum(z, b, w, ld, alpha, lower_bound, x, values, 3)
    elif V == 2:
        listed_sum(z, b, w, ld, alpha, lower_bound, x, values, 2)
    else:
        listed_sum(z, b, w, ld, alpha, lower_bound, x, values, 1)


cdef void multiply_listed(
    const Product* product,                 # as for A_ROWS
    const Nonzeros* x, const real* values,  # IN  (n_rows + following) instead of its rows
    Py_ssize_t following,
    real lower_bound,                       # smaller sums are raised to it
) noexcept nogil:
    cdef Py_ssize_t i, j, group, V
    cdef Py_ssize_t n_vectors = vectors(product.columns), n_groups = groups_of(product.columns)
    for i in range(product.n_rows):
        if i + PREFETCH_DISTANCE < product.n_rows + following:
            fetch_list(x + i + PREFETCH_DISTANCE, values)
        for group in range(n_groups):
            V = n_vectors * group // n_groups
            j, V = V * LANES, n_vectors * (group + 1) // n_groups - V
            listed_sums(product.c + i * product.ldc + j, product.initial + j, product.b + j,
                        product.ldb, product.alpha, lower_bound, x + i, values, V)


cdef inline void add_listed(
    real* w, Py_ssize_t ld, const real* delta, const int* columns, const real* values,
    Py_ssize_t first, Py_ssize_t last, const int V,
) noexcept nogil:
    cdef vec d[VECTORS_PER_PASS]
    cdef vec x_k
    cdef real* w_k
    cdef Py_ssize_t at
    cdef int v
    for v in range(V):
        d[v] = rounded(load(delta + v * LANES))
    for at in range(first, last):
        fetch_row_of_w(w + columns[min(at + PREFETCH_NUMBERS, last - 1)] * ld, V)
        x_k, w_k = rounded(splat(values[at])), w + columns[at] * ld
        for v in range(V):
            store(w_k + v * LANES, load(w_k + v * LANES) + x_k * d[v])


cdef inline void add_listeds(
    real* w, Py_ssize_t ld, const real* delta, const int* columns, const real* values,
    Py_ssize_t first, Py_ssize_t last, Py_ssize_t V,
) noexcept nogil:
    if V == 7:
        add_listed(w, ld, delta, columns, values, first, last, 7)
    elif V == 6:
        add_listed(w, ld, delta, columns, values, first, last, 6)
    elif V == 5:
        add_listed(w, ld, delta, columns, values, first, last, 5)
    elif V == 4:
        add_listed(w, ld, delta, columns, values, first, last, 4)
    elif V == 3:
        add_listed(w, ld, delta, columns, values, first, last, 3)
    elif V == 2:
        add_listed(w, ld, delta, columns, values, first, last, 2)
    else:
        add_listed(w, ld, delta, columns, values, first, last, 1)


cdef inline void enter(const Calendar* calendar, const Nonzeros* x, int i) noexcept nogil:
    cdef Py_ssize_t word
    if calendar.cursor[i] < x[i].last:
        word = x[i].columns[calendar.cursor[i]] // WORD
        calendar.next_of[i], calendar.first_of[word] = calendar.first_of[word], i + 1


cdef Py_ssize_t take_runs(
    const Calendar* calendar,   # OUT runs; returns their number
    const Nonzeros* x, Py_ssize_t word,
    uint64_t* touched,          # OUT the columns that have a nonzero
) noexcept nogil:
    cdef int i = calendar.first_of[word], following
    cdef Py_ssize_t n = 0, at, last
    cdef const int* columns
    touched[0], calendar.first_of[word] = 0, 0
    while i > 0:
        i, following = i - 1, calendar.next_of[i - 1]
        at, last, columns = calendar.cursor[i], x[i].last, x[i].columns
        calendar.runs[n].row, calendar.runs[n].first = i, at
        while at < last and columns[at] // WORD == word:
            touched[0] |= <uint64_t>1 << (columns[at] % WORD)
            at += 1
        calendar.runs[n].last = calendar.cursor[i] = at
        enter(calendar, x, i)
        i, n = following, n + 1
    return n


cdef inline Py_ssize_t next_rows(uint64_t* touched, Py_ssize_t* first) noexcept nogil:
    # The next touched rows that follow each other: returns their number, and forgets them.
    cdef uint64_t left = touched[0] >> lowest_bit(touched[0])
    cdef Py_ssize_t count = WORD if ~left == 0 else lowest_bit(~left)
    first[0] = lowest_bit(touched[0])
    touched[0] &= touched[0] + (<uint64_t>1 << first[0])    # the carry clears them
    return count


cdef inline void clear_rows(real* tile, Py_ssize_t ld, uint64_t touched) noexcept nogil:
    cdef Py_ssize_t k = 0, count
    while touched:
        count = next_rows(&touched, &k)
        memset(tile + k * ld, 0, count * ld * sizeof(real))


cdef inline void fetch_touched(
    const Product* product, Py_ssize_t at, Py_ssize_t V,
    uint64_t* ahead,            # IN, OUT the rows to come; those fetched are taken out
    Py_ssize_t count,
) noexcept nogil:
    # What the epilogue is about to read.
    cdef Py_ssize_t k, operand
    while ahead[0] and count:
        k = at + lowest_bit(ahead[0]) * product.ldc
        ahead[0] &= ahead[0] - 1
        count -= 1
        fetch_row_of_w(product.c + k, V)
        for operand in range(EPILOGUE_OPERANDS):
            if product.epilogue_operands[operand] != NULL:
                fetch_row_of_w(product.epilogue_operands[operand] + k, V)


cdef void add_lists(const Product* product, const Nonzeros* x, const real* values) noexcept nogil:
    cdef Py_ssize_t i, j, group, V
    cdef Py_ssize_t n_vectors = vectors(product.columns), n_groups = groups_of(product.columns)
    for group in range(n_groups):
        V = n_vectors * group // n_groups
        j, V = V * LANES, n_vectors * (group + 1) // n_groups - V
        for i in range(product.depth):
            add_listeds(product.c + j, product.ldc, product.b + i * product.ldb + j, x[i].columns,
                        values, x[i].first, x[i].last, V)


cdef void add_runs(
    const Product* product, const Calendar* calendar, Py_ssize_t n,
    const int* columns, const real* values, Py_ssize_t first_row, Py_ssize_t first_column,
    Py_ssize_t n_columns,
) noexcept nogil:
    # To the tile, whose rows begin at row first_row of w.
    cdef Py_ssize_t i, j, group, V, ld = vectors(n_columns) * LANES
    cdef Py_ssize_t n_vectors = vectors(n_columns), n_groups = groups_of(n_columns)
    cdef const Run* run
    for group in range(n_groups):
        V = n_vectors * group // n_groups
        j, V = V * LANES, n_vectors * (group + 1) // n_groups - V
        for i in range(n):
            run = calendar.runs + i
            add_listeds(product.tile - first_row * ld + j, ld,
                        product.b + run.row * product.ldb + first_column + j,
                        columns, values, run.first, run.last, V)


cdef void multiply_listed_transposed(
    const Product* product,                 # as for A_TRANSPOSED; `initial` is c, or zeros
    const Nonzeros* x, const real* values,  # IN  (depth) instead of its rows
    const Calendar* calendar, bint touched_only,
) noexcept nogil:
    cdef Py_ssize_t i, j, k = 0, word, n, count, at, width, ld, panel
    cdef Py_ssize_t n_panels = (vectors(product.columns) + TILE_VECTORS - 1) // TILE_VECTORS
    cdef uint64_t touched, left, ahead
    if product.epilogue == NULL:
        add_lists(product, x, values)
        return
    for i in range(product.depth):
        calendar.cursor[i] = x[i].first
        enter(calendar, x, <int>i)
    for word in range(words_of(product.n_rows)):
        n = take_runs(calendar, x, word, &touched)
        if not touched_only:
            touched = ~<uint64_t>0 >> (WORD - min(product.n_rows - word * WORD, <Py_ssize_t>WORD))
        for panel in range(n_panels if touched else 0):
            j = panel * TILE_VECTORS * LANES
            at = word * WORD * product.ldc + j
            width = min(product.columns - j, <Py_ssize_t>TILE_VECTORS * LANES)
            ld = vectors(width) * LANES
            left = ahead = touched
            fetch_touched(product, at, vectors(width), &ahead, ROWS_AHEAD)
            clear_rows(product.tile, ld, touched)
            add_runs(product, calendar, n, x.columns, values, word * WORD, j, width)
            while left:
                count = next_rows(&left, &k)
                fetch_touched(product, at, vectors(width), &ahead, count)
                product.epilogue(product.context, product.c + at + k * product.ldc, product.ldc,
                                 product.tile + k * ld, ld, count, ld)
