# Rows of x, in one of three types or in CSR format, and their targets.


cdef enum RowType:
    UINT8, FLOAT32, FLOAT64


cdef struct RowArray:           # rows of x: C-contiguous, or a CSR matrix
    RowType type
    const char* data            # (n, K); NULL for a CSR matrix
    const int* columns          # CSR column indices, increasing in each row; else NULL
    Py_ssize_t n, K, itemsize   # rows, columns, bytes of a number
    const uint64_t* nonzeros    # (n, words_of(K)) bitmaps of the nonzeros; NULL if not searched for
    const Py_ssize_t* starts    # (n + 1) the first nonzero of each row in `values`
    const real* values          # the nonzeros, row by row
    bint scaled                 # whether they are multiplied by the network's scales already
    bint very_sparse            # whether skipping zeros pays for mini-batches of any size


cdef struct TargetArray:        # the targets of the examples
    Py_ssize_t J                # columns; for labels, the largest label + 1
    const real* rows            # (n, J); or NULL for labels
    const int* labels           # (n), or NULL
    const real* weights         # (n), or NULL if every example counts once
    Py_ssize_t n                # the length of the shortest of these arrays


cdef inline RowType real_rows() noexcept nogil:
    return FLOAT64 if REAL_BYTES == 8 else FLOAT32


cdef inline vec load_row(const char* row, Py_ssize_t k, RowType row_type) noexcept nogil:
    # LANES numbers of a row, from the k-th on, as reals. Each call passes a constant type.
    if row_type == UINT8:
        return load_uint8(<const uint8_t*>row + k)
    if row_type == FLOAT32:
        return load_float32(<const float*>row + k)
    return load_float64(<const double*>row + k)


cdef inline real one_of_row(const char* row, Py_ssize_t k, RowType row_type) noexcept nogil:
    if row_type == UINT8:
        return (<const uint8_t*>row)[k]
    if row_type == FLOAT32:
        return (<const float*>row)[k]
    return (<const double*>row)[k]


cdef inline bint all_finite(
    const char* x, Py_ssize_t count, RowType row_type,
) noexcept nogil:
    # 0 * x is 0 if x is finite, else NaN. Four sums run in parallel, to hide their latency.
    cdef vec total[4]
    cdef Py_ssize_t block, i
    cdef int k
    for k in range(4):
        total[k] = splat(0)
    for block in range(count // (4 * LANES)):
        for k in range(4):
            total[k] = total[k] + load_row(x, (4 * block + k) * LANES, row_type) * 0
    for k in range(1, 4):
        total[0] = total[0] + total[k]
    for i in range(count // (4 * LANES) * 4 * LANES, count):
        total[0] = total[0] + splat(one_of_row(x, i, row_type)) * 0
    return sum_lanes(total[0]) == 0


cdef bint rows_finite(const RowArray* rows, Py_ssize_t first, Py_ssize_t m) noexcept nogil:
    cdef const char* at = rows.data + first * rows.K * rows.itemsize
    if rows.columns != NULL:
        return all_finite(<const char*>(rows.values + rows.starts[first]),
                          rows.starts[first + m] - rows.starts[first], real_rows())
    if rows.type == FLOAT32:
        return all_finite(at, m * rows.K, FLOAT32)
    if rows.type == FLOAT64:
        return all_finite(at, m * rows.K, FLOAT64)
    return True
