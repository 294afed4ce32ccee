# Rows of mostly zeros, such as images on white paper: the first layer's two products without them.
#
# What is not zero is kept a second time, row by row. Each number meets one row of w, whose columns
# are the lanes. No tile shares that row's loads, so that a number costs twice what it costs in the
# dense product; but four fifths of MNIST's are zeros. [784, 30, 10] at batches of 10, float64: an
# epoch takes 0.53 of the time.

cdef enum:
    BLOCK = 64          # rows of w that stay in the L1 cache while all examples add to them
    GROUP = 4           # vectors of columns of w at a time
    RARE = 3            # at most one number in so many may differ from zero, or it would not pay


cdef struct Nonzeros:           # of rows
    # (m) for each row, where the numbers of each block of columns begin in the following, and where
    #     those of the last end; and (m) for the rows behind these
    const Py_ssize_t** starts
    const real* values
    const uint16_t* columns     # they rise in a row


cdef inline Py_ssize_t blocks_of(Py_ssize_t K) noexcept nogil:
    return (K + BLOCK - 1) // BLOCK


cdef Py_ssize_t count_nonzeros(const RowArray* rows) noexcept nogil:
    if rows.itemsize == 1:
        return count_in(rows.data, rows.n * rows.K, 1)
    if rows.itemsize == 4:
        return count_in(rows.data, rows.n * rows.K, 4)
    return count_in(rows.data, rows.n * rows.K, 8)


cdef inline Py_ssize_t count_in(
    const char* x, Py_ssize_t size, Py_ssize_t itemsize,
) noexcept nogil:
    cdef Py_ssize_t k, count = 0
    for k in range(size):
        count += one_of_row(x, k, itemsize) != 0
    return count


cdef void copy_nonzeros(
    Py_ssize_t* starts,                 # OUT (n * blocks_of(K) + 1)
    real* values, uint16_t* columns,    # OUT (how many there are, and one more)
    const RowArray* rows,
) noexcept nogil:
    cdef Py_ssize_t i, block, first, last, count = 0
    cdef const char* row = rows.data
    for i in range(rows.n):
        for block in range(blocks_of(rows.K)):
            starts[0] = count
            starts += 1
            first, last = block * BLOCK, min(rows.K, (block + 1) * BLOCK)
            if rows.itemsize == 1:
                count = copy_block(values, columns, count, row, first, last, 1)
            elif rows.itemsize == 4:
                count = copy_block(values, columns, count, row, first, last, 4)
            else:
                count = copy_block(values, columns, count, row, first, last, 8)
        row += rows.K * rows.itemsize
    starts[0] = count


cdef inline Py_ssize_t copy_block(
    real* values, uint16_t* columns, Py_ssize_t at, const char* row, Py_ssize_t first,
    Py_ssize_t last, Py_ssize_t itemsize,
) noexcept nogil:
    # All are written, and a zero is written over: a branch would be guessed wrong too often.
    cdef Py_ssize_t k
    cdef real x
    for k in range(first, last):
        x = one_of_row(row, k, itemsize)
        values[at], columns[at] = x, <uint16_t>k
        at += x != 0
    return at


cdef void gather_nonzeros(
    Nonzeros* x, const RowArray* rows, const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t m,
) noexcept nogil:
    cdef Py_ssize_t i
    x.values, x.columns = rows.values, rows.columns
    for i in range(m):
        x.starts[i] = rows.starts + (
            order[first + i] if order != NULL else first + i) * blocks_of(rows.K)


cdef inline void fetch_nonzeros(
    const Nonzeros* x, Py_ssize_t i, Py_ssize_t n_blocks,
) noexcept nogil:
    cdef Py_ssize_t first = x.starts[i][0], last = x.starts[i][n_blocks]
    while first < last:
        prefetch(x.values + first)
        prefetch(x.columns + first)
        first += LINE // REAL_BYTES


cdef inline void sparse_sum(
    real* z, const real* start, const real* w, Py_ssize_t ld, real alpha, const Nonzeros* x,
    Py_ssize_t first, Py_ssize_t last, const int V,
) noexcept nogil:
    cdef vec acc[GROUP]
    cdef vec x_k
    cdef const real* values = x.values
    cdef const uint16_t* columns = x.columns
    cdef const real* w_k
    cdef Py_ssize_t at, bytes_ = ld * sizeof(real)
    cdef int v
    for v in range(V):
        acc[v] = splat(0)
    for at in range(first, last):
        x_k = splat(values[at])
        w_k = <real*>(<char*>w + columns[at] * bytes_)
        for v in range(V):
            acc[v] = acc[v] + x_k * load(w_k + v * LANES)
    for v in range(V):
        store(z + v * LANES, load(start + v * LANES) + splat(alpha) * acc[v])


cdef void sparse_weighted_input(
    real* z, Py_ssize_t ld_z,                       # OUT (m, J)
    const real* b, const real* w, Py_ssize_t ld,    # IN  (J), (K, J)
    const Nonzeros* x, real alpha,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t K, Py_ssize_t ahead,
) noexcept nogil:
    # z = b + alpha w x; meanwhile, the `ahead` rows behind these are fetched
    cdef Py_ssize_t i, j, group, first, last, n_vectors = vectors(J)
    for i in range(m):
        if i < ahead:
            fetch_nonzeros(x, m + i, blocks_of(K))
        first, last = x.starts[i][0], x.starts[i][blocks_of(K)]
        for group in range((n_vectors + GROUP - 1) // GROUP):
            j = group * GROUP * LANES
            if n_vectors - group * GROUP >= 4:
                sparse_sum(z + j, b + j, w + j, ld, alpha, x, first, last, 4)
            elif n_vectors - group * GROUP == 3:
                sparse_sum(z + j, b + j, w + j, ld, alpha, x, first, last, 3)
            elif n_vectors - group * GROUP == 2:
                sparse_sum(z + j, b + j, w + j, ld, alpha, x, first, last, 2)
            else:
                sparse_sum(z + j, b + j, w + j, ld, alpha, x, first, last, 1)
        z += ld_z


cdef inline void add_sparse(
    real* w, Py_ssize_t ld, const real* delta, const Nonzeros* x, Py_ssize_t first,
    Py_ssize_t last, const int V,
) noexcept nogil:
    cdef vec d[GROUP]
    cdef vec x_k
    cdef const real* values = x.values
    cdef const uint16_t* columns = x.columns
    cdef real* w_k
    cdef Py_ssize_t at, bytes_ = ld * sizeof(real)
    cdef int v
    for v in range(V):
        d[v] = load(delta + v * LANES)
    for at in range(first, last):
        x_k = splat(values[at])
        w_k = <real*>(<char*>w + columns[at] * bytes_)
        for v in range(V):
            store(w_k + v * LANES, load(w_k + v * LANES) + x_k * d[v])


cdef void add_sparse_nabla_w(
    real* w, Py_ssize_t ld,                     # IN, OUT (K, J)
    const real* delta, Py_ssize_t ld_delta,     # IN  (m, J)
    const Nonzeros* x, Py_ssize_t m, Py_ssize_t J, Py_ssize_t K,
) noexcept nogil:
    # w_k += sum_i x_ik delta_i
    cdef Py_ssize_t i, j, group, block, first, last, n_vectors = vectors(J)
    for group in range((n_vectors + GROUP - 1) // GROUP):
        j = group * GROUP * LANES
        for block in range(blocks_of(K)):
            for i in range(m):
                first, last = x.starts[i][block], x.starts[i][block + 1]
                if n_vectors - group * GROUP >= 4:
                    add_sparse(w + j, ld, delta + i * ld_delta + j, x, first, last, 4)
                elif n_vectors - group * GROUP == 3:
                    add_sparse(w + j, ld, delta + i * ld_delta + j, x, first, last, 3)
                elif n_vectors - group * GROUP == 2:
                    add_sparse(w + j, ld, delta + i * ld_delta + j, x, first, last, 2)
                else:
                    add_sparse(w + j, ld, delta + i * ld_delta + j, x, first, last, 1)
