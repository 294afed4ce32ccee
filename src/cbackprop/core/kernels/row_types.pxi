# Rows of x in one of three types, or as lists of what is not zero; and what y says of them.


cdef enum RowType:
    UINT8, FLOAT32, FLOAT64


cdef struct RowArray:           # rows of x, C-contiguous
    RowType type
    const char* data            # NULL if they came without their zeros: ...
    const int* columns          # ... where their numbers are then, rising in each row; else NULL
    Py_ssize_t n, K, itemsize   # bytes of a number
    const uint64_t* nonzeros    # (n, words_of(K)) bits of what is not zero; NULL if not known
    const Py_ssize_t* starts    # (n + 1) where those of each row begin
    const real* values          # those numbers
    bint very_sparse            # whether there are so few that any mini-batch gains


cdef struct TargetArray:        # of each example
    Py_ssize_t J                # of labels: beyond the largest
    const real* rows            # (n, J); or NULL:
    const int* labels           # (n)
    const real* weights         # (n), or NULL
    Py_ssize_t n                # that all of them have at least


cdef inline RowType real_rows() noexcept nogil:
    return FLOAT64 if REAL_BYTES == 8 else FLOAT32


cdef inline vec load_row(const char* row, Py_ssize_t k, RowType row_type) noexcept nogil:
    # LANES numbers of a row, from the k-th on, as reals. The type is constant at each call.
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
    # 0 x is 0, or NaN where x is not finite. Four sums, that none waits for the last.
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
