# Products that skip the zeros of rows which are mostly zero, such as images of digits.
#
# Design
# ------
# What is multiplied is rounded as in the dense product, so that results do not depend on whether
# zeros are skipped.
# (a) Rows are processed in pairs over the union of their columns, so that each row of w is loaded
#     once for two examples. Where only one of the two is nonzero, the other reads values[0], which
#     is 0. Larger groups would need more columns: of 784, one image of a digit has 150, two have
#     230, ten have 380.
# (b) A word of the bitmap is a block. Its 64 rows of w, or of a gradient for an epilogue, stay in
#     the L1 cache while all rows of x add to them.
# (c) From COLUMNWISE_FROM rows on, a gradient is summed over columns of x instead. Its row stays in
#     registers while the rows of x with a nonzero in that column are added; the transposed bits of
#     a word tell which. Nothing is multiplied by zero, and each row is stored once per block of 64
#     examples, whose errors stay in the L1 cache.

cdef enum:
    PAIR = 2
    VECTORS_PER_PASS = 7    # the most vectors of columns of w at a time
    PREFETCH_DISTANCE = 8   # rows of x between a prefetch and its use
    COLUMNWISE_FROM = 32    # the fewest rows for (c); else mispredicted column ends cost too much


cdef inline Py_ssize_t groups_of(Py_ssize_t J) noexcept nogil:
    # The number of groups of at most VECTORS_PER_PASS vectors, of about equal size.
    return (vectors(J) + VECTORS_PER_PASS - 1) // VECTORS_PER_PASS


cdef inline void fetch_nonzeros(
    const Nonzeros* x, const real* values, Py_ssize_t K,
) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(words_of(K) * WORD // (8 * LINE_BYTES) + 1):
        prefetch(<const char*>x.bits + at * LINE_BYTES)
    for at in range((x.last - x.first) * REAL_BYTES // LINE_BYTES + 1):
        prefetch(<const char*>(values + x.first) + at * LINE_BYTES)


cdef inline uint64_t any_of(const Nonzeros* x, Py_ssize_t word, const int R) noexcept nogil:
    cdef uint64_t bits = x[0].bits[word]
    cdef int r
    for r in range(1, R):
        bits |= x[r].bits[word]
    return bits


cdef inline void sparse_sum(
    real* z, Py_ssize_t ld_z, const real* b, const real* w, Py_ssize_t ld, real alpha,
    real lower_bound,
    const Nonzeros* x, const real* values, Py_ssize_t n_words, const int R, const int V,
) noexcept nogil:
    cdef vec acc[PAIR][VECTORS_PER_PASS]
    cdef vec x_k[PAIR]
    cdef vec w_k
    cdef Py_ssize_t at[PAIR]
    cdef Py_ssize_t word, k, has, bytes_ = ld * sizeof(real)
    cdef uint64_t bits
    cdef int r, v
    for r in range(R):
        at[r] = x[r].first
        for v in range(V):
            acc[r][v] = splat(0)
    for word in range(n_words):
        bits = any_of(x, word, R)
        while bits:
            k = lowest_bit(bits)
            bits &= bits - 1
            for r in range(R):
                has = x[r].bits[word] >> k & 1
                x_k[r] = rounded(splat(values[at[r] & -has]))
                at[r] += has
            for v in range(V):
                w_k = rounded(load(<const real*>(<const char*>w + k * bytes_) + v * LANES))
                for r in range(R):
                    acc[r][v] = acc[r][v] + x_k[r] * w_k
        w += WORD * ld
    for r in range(R):
        for v in range(V):
            store(z + r * ld_z + v * LANES, at_least(
                load(b + v * LANES) + splat(alpha) * acc[r][v], splat(lower_bound)))


cdef void multiply_nonzeros(
    const Product* product,                 # as for A_ROWS
    const Nonzeros* x, const real* values,  # IN  (n_rows + following) instead of its rows
    Py_ssize_t following,
    real lower_bound,                       # smaller sums are raised to it
) noexcept nogil:
    cdef Py_ssize_t i, j, group, V, words = words_of(product.depth)
    cdef Py_ssize_t n_vectors = vectors(product.columns), n_groups = groups_of(product.columns)
    cdef Py_ssize_t ldc = product.ldc, ldb = product.ldb
    cdef real alpha = product.alpha
    cdef real* c
    cdef const real* initial
    cdef const real* b
    for i in range(0, product.n_rows, 2):
        for j in range(i + PREFETCH_DISTANCE,
                       min(i + PREFETCH_DISTANCE + PAIR, product.n_rows + following)):
            fetch_nonzeros(x + j, values, product.depth)
        for group in range(n_groups):
            V = n_vectors * group // n_groups
            j, V = V * LANES, n_vectors * (group + 1) // n_groups - V
            c, start, b = product.c + i * ldc + j, product.initial + j, product.b + j
            if i + 1 < product.n_rows:
                sparse_sums(c, ldc, start, b, ldb, alpha, lower_bound, x + i, values, words, 2, V)
            else:
                sparse_sums(c, ldc, start, b, ldb, alpha, lower_bound, x + i, values, words, 1, V)


cdef inline void sparse_sums(
    real* z, Py_ssize_t ld_z, const real* b, const real* w, Py_ssize_t ld, real alpha,
    real lower_bound,
    const Nonzeros* x, const real* values, Py_ssize_t n_words, const int R, Py_ssize_t V,
) noexcept nogil:
    if V == 7:
        sparse_sum(z, ld_z, b, w, ld, alpha, lower_bound, x, values, n_words, R, 7)
    elif V == 6:
        sparse_sum(z, ld_z, b, w, ld, alpha, lower_bound, x, values, n_words, R, 6)
    elif V == 5:
        sparse_sum(z, ld_z, b, w, ld, alpha, lower_bound, x, values, n_words, R, 5)
    elif V == 4:
        sparse_sum(z, ld_z, b, w, ld, alpha, lower_bound, x, values, n_words, R, 4)
    elif V == 3:
        sparse_sum(z, ld_z, b, w, ld, alpha, lower_bound, x, values, n_words, R, 3)
    elif V == 2:
        sparse_sum(z, ld_z, b, w, ld, alpha, lower_bound, x, values, n_words, R, 2)
    else:
        sparse_sum(z, ld_z, b, w, ld, alpha, lower_bound, x, values, n_words, R, 1)


cdef inline void add_sparse(
    real* w, Py_ssize_t ld, const real* delta, Py_ssize_t ld_delta,
    const Nonzeros* x, const real* values, Py_ssize_t word, Py_ssize_t* cursor,
    const int R, const int V,
) noexcept nogil:
    cdef vec d[PAIR][VECTORS_PER_PASS]
    cdef vec x_k[PAIR]
    cdef vec w_k
    cdef real* w_at
    cdef Py_ssize_t at[PAIR]
    cdef Py_ssize_t k, has, bytes_ = ld * sizeof(real)
    cdef uint64_t bits = any_of(x, word, R)
    cdef int r, v
    for r in range(R):
        at[r] = cursor[r]
        for v in range(V):
            d[r][v] = rounded(load(delta + r * ld_delta + v * LANES))
    while bits:
        k = lowest_bit(bits)
        bits &= bits - 1
        for r in range(R):
            has = x[r].bits[word] >> k & 1
            x_k[r] = rounded(splat(values[at[r] & -has]))
            at[r] += has
        w_at = <real*>(<char*>w + k * bytes_)
        for v in range(V):
            w_k = load(w_at + v * LANES)
            for r in range(R):
                w_k = w_k + x_k[r] * d[r][v]
            store(w_at + v * LANES, w_k)
    for r in range(R):
        cursor[r] = at[r]


cdef inline void add_sparses(
    real* w, Py_ssize_t ld, const real* delta, Py_ssize_t ld_delta,
    const Nonzeros* x, const real* values, Py_ssize_t word, Py_ssize_t* cursor,
    const int R, Py_ssize_t V,
) noexcept nogil:
    if V == 7:
        add_sparse(w, ld, delta, ld_delta, x, values, word, cursor, R, 7)
    elif V == 6:
        add_sparse(w, ld, delta, ld_delta, x, values, word, cursor, R, 6)
    elif V == 5:
        add_sparse(w, ld, delta, ld_delta, x, values, word, cursor, R, 5)
    elif V == 4:
        add_sparse(w, ld, delta, ld_delta, x, values, word, cursor, R, 4)
    elif V == 3:
        add_sparse(w, ld, delta, ld_delta, x, values, word, cursor, R, 3)
    elif V == 2:
        add_sparse(w, ld, delta, ld_delta, x, values, word, cursor, R, 2)
    else:
        add_sparse(w, ld, delta, ld_delta, x, values, word, cursor, R, 1)


cdef void add_by_pairs(
    real* w, Py_ssize_t ld, const real* delta, Py_ssize_t ld_delta,
    const Nonzeros* x, const real* values, Py_ssize_t word, Py_ssize_t* cursor, Py_ssize_t m,
    Py_ssize_t V,
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(0, m, 2):
        if i + 1 < m:
            add_sparses(w, ld, delta, ld_delta, x + i, values, word, cursor + i, 2, V)
        else:
            add_sparses(w, ld, delta, ld_delta, x + i, values, word, cursor + i, 1, V)
        delta += PAIR * ld_delta


cdef void transpose_bits(uint64_t* bits) noexcept nogil:
    # Transpose WORD words: swap bit j of word i with bit i of word j, first in blocks of half the
    # size, then of a quarter, and so on (Warren, Hacker's Delight, 7-3).
    cdef int size = WORD // 2, pair, i
    cdef uint64_t lower = <uint64_t>0xFFFFFFFF, changed
    while size > 0:
        for pair in range(WORD // 2):
            i = pair + (pair & -size)
            changed = ((bits[i] >> size) ^ bits[i + size]) & lower
            bits[i] ^= changed << size
            bits[i + size] ^= changed
        size >>= 1
        lower ^= lower << size


cdef inline void add_columns(
    real* w, Py_ssize_t ld, const real* delta, Py_ssize_t ld_delta,
    const uint64_t* examples,   # IN  (WORD) for each row of w, the bitmap of its examples
    const real* values, Py_ssize_t* cursor, const int V,
) noexcept nogil:
    cdef vec acc[VECTORS_PER_PASS]
    cdef vec x_k
    cdef Py_ssize_t i, k
    cdef uint64_t left
    cdef int v
    for k in range(WORD):
        left = examples[k]
        if left == 0:           # rows past the end are all 0
            continue
        for v in range(V):
            acc[v] = load(w + k * ld + v * LANES)
        while left:
            i = lowest_bit(left)
            left &= left - 1
            x_k = rounded(splat(values[cursor[i]]))
            cursor[i] += 1
            for v in range(V):
                acc[v] = acc[v] + x_k * rounded(load(delta + i * ld_delta + v * LANES))
        for v in range(V):
            store(w + k * ld + v * LANES, acc[v])


cdef void add_by_columns(
    real* w, Py_ssize_t ld, const real* delta, Py_ssize_t ld_delta,
    const Nonzeros* x, const real* values, Py_ssize_t word, Py_ssize_t* cursor, Py_ssize_t m,
    Py_ssize_t V,
) noexcept nogil:
    cdef uint64_t bits[WORD]
    cdef Py_ssize_t block, i
    for block in range(words_of(m)):
        for i in range(WORD):
            bits[i] = x[i].bits[word] if block * WORD + i < m else 0
        transpose_bits(bits)
        if V == 7:
            add_columns(w, ld, delta, ld_delta, bits, values, cursor, 7)
        elif V == 6:
            add_columns(w, ld, delta, ld_delta, bits, values, cursor, 6)
        elif V == 5:
            add_columns(w, ld, delta, ld_delta, bits, values, cursor, 5)
        elif V == 4:
            add_columns(w, ld, delta, ld_delta, bits, values, cursor, 4)
        elif V == 3:
            add_columns(w, ld, delta, ld_delta, bits, values, cursor, 3)
        elif V == 2:
            add_columns(w, ld, delta, ld_delta, bits, values, cursor, 2)
        else:
            add_columns(w, ld, delta, ld_delta, bits, values, cursor, 1)
        x, delta, cursor = x + WORD, delta + WORD * ld_delta, cursor + WORD


cdef void multiply_nonzeros_transposed(
    const Product* product,                 # as for A_TRANSPOSED; `initial` is c, or zeros
    const Nonzeros* x, const real* values,  # IN  (depth) instead of its rows
    Py_ssize_t* cursor,                     # (depth) the next nonzero of each row
) noexcept nogil:
    cdef Py_ssize_t i, j, group, V, k_first, k_last, ld, ldb = product.ldb, m = product.depth
    cdef Py_ssize_t n_vectors = vectors(product.columns), n_groups = groups_of(product.columns)
    cdef const real* b
    cdef real* c
    cdef real* to
    for group in range(n_groups):
        V = n_vectors * group // n_groups
        j, V = V * LANES, n_vectors * (group + 1) // n_groups - V
        b = product.b + j
        for i in range(m):
            cursor[i] = x[i].first
        k_first = 0
        while k_first < product.n_rows:
            k_last = min(k_first + WORD, product.n_rows)
            c = product.c + k_first * product.ldc + j
            to, ld = c, product.ldc
            if product.epilogue != NULL:
                to, ld = product.tile, V * LANES
                memset(to, 0, WORD * ld * sizeof(real))
            if m < COLUMNWISE_FROM:
                add_by_pairs(to, ld, b, ldb, x, values, k_first // WORD, cursor, m, V)
            else:
                add_by_columns(to, ld, b, ldb, x, values, k_first // WORD, cursor, m, V)
            if product.epilogue != NULL:
                product.epilogue(product.context, c, product.ldc, to, ld, k_last - k_first, ld)
            k_first = k_last
