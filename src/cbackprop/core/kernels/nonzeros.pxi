# The nonzero values of rows, copied row by row as in CSR, with one bitmap per row for their
# columns.


cdef enum:
    WORD = 64               # bits in a word
    MAX_DENSITY = 33        # percent of nonzeros up to which skipping zeros pays for any mini-batch
    MAX_DENSITY_LARGE = 55  # the same for WORD examples and MIN_VECTORS_LARGE vectors of columns
    MIN_VECTORS_LARGE = 4


cdef struct Nonzeros:       # the nonzeros of a row
    const uint64_t* bits    # (words_of(K)) bitmap of their columns; or NULL for a CSR matrix
    const int* columns      # the columns of all nonzeros of a CSR matrix, else NULL
    Py_ssize_t first, last  # the row's range in the values, and in `columns`


cdef inline Py_ssize_t words_of(Py_ssize_t K) noexcept nogil:
    return (K + WORD - 1) // WORD


cdef inline bint worth_skipping(const RowArray* rows, Py_ssize_t m, Py_ssize_t J) noexcept nogil:
    return rows.columns != NULL or rows.nonzeros != NULL and (
        rows.very_sparse or m >= WORD and vectors(J) >= MIN_VECTORS_LARGE)


cdef Py_ssize_t find_nonzeros(uint64_t* bits, const RowArray* rows) except -1 nogil:
    # Set bits (n, words_of(K)); return the number of nonzeros.
    cdef Py_ssize_t i, word, k, count = 0, since_signal_check = 0
    cdef const char* row = rows.data
    for i in range(rows.n):
        for word in range(words_of(rows.K)):
            k = min(rows.K - word * WORD, <Py_ssize_t>WORD)
            if rows.type == UINT8:
                bits[0] = nonzeros_in(row + word * WORD, k, UINT8)
            elif rows.type == FLOAT32:
                bits[0] = nonzeros_in(row + word * WORD * 4, k, FLOAT32)
            else:
                bits[0] = nonzeros_in(row + word * WORD * 8, k, FLOAT64)
            count += count_bits(bits[0])
            bits += 1
        row += rows.K * rows.itemsize
        since_signal_check += rows.K
        if since_signal_check > NUMBERS_PER_SIGNAL_CHECK:
            since_signal_check = check_signals()
    return count


cdef inline uint64_t nonzeros_in(
    const char* x, Py_ssize_t count, RowType row_type,
) noexcept nogil:
    cdef Py_ssize_t v, k
    cdef uint64_t bits = 0
    for v in range(count // LANES):
        bits |= nonzero_bits(load_row(x, v * LANES, row_type)) << (v * LANES)
    for k in range(count // LANES * LANES, count):
        bits |= <uint64_t>(one_of_row(x, k, row_type) != 0) << k
    return bits


cdef int copy_nonzeros(
    Py_ssize_t* starts,     # OUT (n + 1) the first nonzero of each row
    real* values,           # OUT (1 + number of nonzeros) a zero, then the nonzeros
    const uint64_t* bits,   # IN  (n, words_of(K))
    const RowArray* rows,
) except -1 nogil:
    cdef Py_ssize_t i, word, k, at = 1, since_signal_check = 0
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
                if rows.type == UINT8:
                    values[at] = one_of_row(row, k, UINT8)
                elif rows.type == FLOAT32:
                    values[at] = one_of_row(row, k, FLOAT32)
                else:
                    values[at] = one_of_row(row, k, FLOAT64)
                at += 1
            bits += 1
        row += rows.K * rows.itemsize
        since_signal_check += rows.K
        if since_signal_check > NUMBERS_PER_SIGNAL_CHECK:
            since_signal_check = check_signals()
    starts[rows.n] = at
    return 0


cdef void mark_columns(
    uint64_t* touched,          # IN, OUT (words_of(K)) bitmap of columns
    const Nonzeros* x, Py_ssize_t m,    # IN  of a CSR matrix
) noexcept nogil:
    cdef Py_ssize_t i, at
    for i in range(m):
        for at in range(x[i].first, x[i].last):
            touched[x[i].columns[at] // WORD] |= <uint64_t>1 << (x[i].columns[at] % WORD)


cdef void gather_nonzeros(
    Nonzeros* x, const RowArray* rows, const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t m,
) noexcept nogil:
    cdef Py_ssize_t i, which
    for i in range(m):
        which = order[first + i] if order != NULL else first + i
        x[i].bits = NULL
        if rows.columns == NULL:
            x[i].bits = rows.nonzeros + which * words_of(rows.K)
        x[i].columns = rows.columns
        x[i].first, x[i].last = rows.starts[which], rows.starts[which + 1]
