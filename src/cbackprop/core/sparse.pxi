# Rows of mostly zeros, such as images on white paper: the first layer's two products without them.
#
# Design
# ------
# (a) What is not zero is kept a second time, row after row, and bit by bit, where it stands.
# (b) Rows meet w in pairs, at every column that one of them needs. The other may have a zero there:
#     it is taken from one place. A load of w serves two rows; more rows need more columns: of 784,
#     an image of a digit needs 150, two need 220, ten 380.
# (c) A word of bits is a block: 64 rows of w stay in the L1 cache while all examples add to them.

cdef enum:
    WORD = 64           # bits
    PAIR = 2
    GROUP = 4           # vectors of columns of w at a time
    RARE = 3            # at most one number in so many may differ from zero, or it would not pay
    SOON = 8            # rows from now on, one is fetched


cdef struct Nonzeros:       # of a row
    const uint64_t* bits    # (words_of(K))
    Py_ssize_t first, last  # among all numbers that are not zero


cdef inline Py_ssize_t words_of(Py_ssize_t K) noexcept nogil:
    return (K + WORD - 1) // WORD


cdef Py_ssize_t find_nonzeros(uint64_t* bits, const RowArray* rows) noexcept nogil:
    # bits is (n, words_of(K)); return how many there are
    cdef Py_ssize_t i, word, k, count = 0
    cdef const char* row = rows.data
    for i in range(rows.n):
        for word in range(words_of(rows.K)):
            k = min(rows.K - word * WORD, <Py_ssize_t>WORD)
            if rows.itemsize == 1:
                bits[0] = nonzeros_in(row + word * WORD, k, 1)
            elif rows.itemsize == 4:
                bits[0] = nonzeros_in(row + word * WORD * 4, k, 4)
            else:
                bits[0] = nonzeros_in(row + word * WORD * 8, k, 8)
            count += count_bits(bits[0])
            bits += 1
        row += rows.K * rows.itemsize
    return count


cdef inline uint64_t nonzeros_in(
    const char* x, Py_ssize_t count, Py_ssize_t itemsize,
) noexcept nogil:
    cdef Py_ssize_t k
    cdef uint64_t bits = 0
    for k in range(count):
        bits |= <uint64_t>(one_of_row(x, k, itemsize) != 0) << k
    return bits


cdef void copy_nonzeros(
    Py_ssize_t* starts,     # OUT (n + 1) where those of each row begin
    real* values,           # OUT (how many there are, and one more) behind a zero
    const uint64_t* bits,   # IN  (n, words_of(K))
    const RowArray* rows,
) noexcept nogil:
    cdef Py_ssize_t i, word, k, at = 1
    cdef uint64_t left
    cdef const char* row = rows.data
    values[0] = 0
    for i in range(rows.n):
        starts[i] = at
        for word in range(words_of(rows.K)):
            left = bits[0]
            while left:
                k = word * WORD + lowest_bit(left)
                left &= left - 1
                if rows.itemsize == 1:
                    values[at] = one_of_row(row, k, 1)
                elif rows.itemsize == 4:
                    values[at] = one_of_row(row, k, 4)
                else:
                    values[at] = one_of_row(row, k, 8)
                at += 1
            bits += 1
        row += rows.K * rows.itemsize
    starts[rows.n] = at


cdef void gather_nonzeros(
    Nonzeros* x, const RowArray* rows, const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t m,
) noexcept nogil:
    cdef Py_ssize_t i, which
    for i in range(m):
        which = order[first + i] if order != NULL else first + i
        x[i].bits = rows.nonzeros + which * words_of(rows.K)
        x[i].first, x[i].last = rows.starts[which], rows.starts[which + 1]


cdef inline void fetch_nonzeros(
    const Nonzeros* x, const real* values, Py_ssize_t K,
) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(words_of(K) * WORD // (8 * LINE) + 1):
        prefetch(<const char*>x.bits + at * LINE)
    for at in range((x.last - x.first) * REAL_BYTES // LINE + 1):
        prefetch(<const char*>(values + x.first) + at * LINE)


cdef inline uint64_t any_of(const Nonzeros* x, Py_ssize_t word, const int R) noexcept nogil:
    cdef uint64_t bits = x[0].bits[word]
    cdef int r
    for r in range(1, R):
        bits |= x[r].bits[word]
    return bits


cdef inline void sparse_sum(
    real* z, Py_ssize_t ld_z, const real* b, const real* w, Py_ssize_t ld, real alpha,
    const Nonzeros* x, const real* values, Py_ssize_t n_words, const int R, const int V,
) noexcept nogil:
    cdef vec acc[PAIR][GROUP]
    cdef vec w_k[GROUP]
    cdef vec x_k
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
            for v in range(V):
                w_k[v] = load(<const real*>(<const char*>w + k * bytes_) + v * LANES)
            for r in range(R):
                has = x[r].bits[word] >> k & 1
                x_k = splat(values[at[r] & -has])
                at[r] += has
                for v in range(V):
                    acc[r][v] = acc[r][v] + x_k * w_k[v]
        w += WORD * ld
    for r in range(R):
        for v in range(V):
            store(z + r * ld_z + v * LANES, load(b + v * LANES) + splat(alpha) * acc[r][v])


cdef void sparse_weighted_input(
    real* z, Py_ssize_t ld_z,                       # OUT (m, J)
    const real* b, const real* w, Py_ssize_t ld,    # IN  (J), (K, J)
    const Nonzeros* x, const real* values,          # IN  (m) and what follows them
    real alpha, Py_ssize_t m, Py_ssize_t J, Py_ssize_t K, Py_ssize_t following,
) noexcept nogil:
    # z = b + alpha w x
    cdef Py_ssize_t i, j, group, V, words = words_of(K), n_vectors = vectors(J)
    for i in range(0, m, 2):
        for j in range(i + SOON, min(i + SOON + PAIR, m + following)):
            fetch_nonzeros(x + j, values, K)
        for group in range((n_vectors + GROUP - 1) // GROUP):
            j = group * GROUP * LANES
            V = min(n_vectors - group * GROUP, <Py_ssize_t>GROUP)
            if i + 1 < m and V == 4:
                sparse_sum(z + j, ld_z, b + j, w + j, ld, alpha, x + i, values, words, 2, 4)
            elif i + 1 < m and V == 3:
                sparse_sum(z + j, ld_z, b + j, w + j, ld, alpha, x + i, values, words, 2, 3)
            elif i + 1 < m and V == 2:
                sparse_sum(z + j, ld_z, b + j, w + j, ld, alpha, x + i, values, words, 2, 2)
            elif i + 1 < m:
                sparse_sum(z + j, ld_z, b + j, w + j, ld, alpha, x + i, values, words, 2, 1)
            elif V == 4:
                sparse_sum(z + j, ld_z, b + j, w + j, ld, alpha, x + i, values, words, 1, 4)
            elif V == 3:
                sparse_sum(z + j, ld_z, b + j, w + j, ld, alpha, x + i, values, words, 1, 3)
            elif V == 2:
                sparse_sum(z + j, ld_z, b + j, w + j, ld, alpha, x + i, values, words, 1, 2)
            else:
                sparse_sum(z + j, ld_z, b + j, w + j, ld, alpha, x + i, values, words, 1, 1)
        z += PAIR * ld_z


cdef inline void add_sparse(
    real* w, Py_ssize_t ld, const real* delta, Py_ssize_t ld_delta,
    const Nonzeros* x, const real* values, Py_ssize_t word, Py_ssize_t* done,
    const int R, const int V,
) noexcept nogil:
    cdef vec d[PAIR][GROUP]
    cdef vec x_k[PAIR]
    cdef vec w_k
    cdef real* w_at
    cdef Py_ssize_t at[PAIR]
    cdef Py_ssize_t k, has, bytes_ = ld * sizeof(real)
    cdef uint64_t bits = any_of(x, word, R)
    cdef int r, v
    for r in range(R):
        at[r] = done[r]
        for v in range(V):
            d[r][v] = load(delta + r * ld_delta + v * LANES)
    while bits:
        k = lowest_bit(bits)
        bits &= bits - 1
        for r in range(R):
            has = x[r].bits[word] >> k & 1
            x_k[r] = splat(values[at[r] & -has])
            at[r] += has
        w_at = <real*>(<char*>w + k * bytes_)
        for v in range(V):
            w_k = load(w_at + v * LANES)
            for r in range(R):
                w_k = w_k + x_k[r] * d[r][v]
            store(w_at + v * LANES, w_k)
    for r in range(R):
        done[r] = at[r]


cdef void add_sparse_nabla_w(
    real* w, Py_ssize_t ld,                         # IN, OUT (K, J)
    const real* delta, Py_ssize_t ld_delta,         # IN  (m, J)
    const Nonzeros* x, const real* values,          # IN  (m)
    Py_ssize_t* done,                               # (m) how far a row's numbers are
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t K,
) noexcept nogil:
    # w_k += sum_i x_ik delta_i
    cdef Py_ssize_t i, group, word, V, n_vectors = vectors(J)
    cdef real* w_j
    cdef const real* d
    for group in range((n_vectors + GROUP - 1) // GROUP):
        V = min(n_vectors - group * GROUP, <Py_ssize_t>GROUP)
        for i in range(m):
            done[i] = x[i].first
        for word in range(words_of(K)):
            w_j = w + word * WORD * ld + group * GROUP * LANES
            d = delta + group * GROUP * LANES
            for i in range(0, m, 2):
                if i + 1 < m and V == 4:
                    add_sparse(w_j, ld, d, ld_delta, x + i, values, word, done + i, 2, 4)
                elif i + 1 < m and V == 3:
                    add_sparse(w_j, ld, d, ld_delta, x + i, values, word, done + i, 2, 3)
                elif i + 1 < m and V == 2:
                    add_sparse(w_j, ld, d, ld_delta, x + i, values, word, done + i, 2, 2)
                elif i + 1 < m:
                    add_sparse(w_j, ld, d, ld_delta, x + i, values, word, done + i, 2, 1)
                elif V == 4:
                    add_sparse(w_j, ld, d, ld_delta, x + i, values, word, done + i, 1, 4)
                elif V == 3:
                    add_sparse(w_j, ld, d, ld_delta, x + i, values, word, done + i, 1, 3)
                elif V == 2:
                    add_sparse(w_j, ld, d, ld_delta, x + i, values, word, done + i, 1, 2)
                else:
                    add_sparse(w_j, ld, d, ld_delta, x + i, values, word, done + i, 1, 1)
                d += PAIR * ld_delta
