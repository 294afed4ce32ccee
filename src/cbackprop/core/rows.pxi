# The caller's examples, where they lie: rows of x in one of three types, and what y says of them.

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals

cnp.import_array()


cdef enum:
    UNHEARD = 1 << 24           # numbers that are read between two looks for Ctrl-C


cdef struct RowArray:           # rows of x, C-contiguous: uint8, float32 or float64
    const char* data            # NULL if they came without their zeros: ...
    const int* columns          # ... where their numbers are then, rising in each row; else NULL
    Py_ssize_t n, K, itemsize
    const uint64_t* nonzeros    # (n, words_of(K)) bits of what is not zero; NULL if not known
    const Py_ssize_t* starts    # (n + 1) where those of each row begin
    const real* values          # those numbers
    bint rare                   # whether there are so few that any mini-batch gains


cdef int check_signals() except -1 nogil:
    with gil:
        return PyErr_CheckSignals()


cdef object of_numbers(x):
    # Cython 3.3 crashes where it says what is wrong with the fields of others.
    if not cnp.PyArray_Check(x) or cnp.PyArray_TYPE(x) == cnp.NPY_VOID:
        raise TypeError(f"the core takes arrays of numbers, got {type(x).__name__} of "
                        f"{getattr(x, 'dtype', 'others')}")
    return x


cdef class Rows:
    """
    Rows of x: a C-contiguous array of uint8, float32 or float64, kept alive and not copied.

    If asked, zeros are skipped where there are enough of them: what is not zero is copied. Or x is
    a matrix in SciPy's CSR format, which is never made dense; its numbers and indices are not
    copied if they are of the core's real type and C ints. It may be used if it `is_sound`.
    """

    cdef const uint8_t[:, ::1] uint8_rows
    cdef const float[:, ::1] float32_rows
    cdef const double[:, ::1] float64_rows
    cdef RowArray array
    cdef readonly object x
    cdef object nonzeros, starts, values, columns

    def __init__(self, x, bint skip_zeros=False):
        cdef RowArray* array = &self.array
        array.nonzeros, array.columns = NULL, NULL
        if hasattr(x, "indptr"):
            self.x, (array.n, array.K) = x, x.shape
            self.list_nonzeros()
            return
        self.x = of_numbers(x)
        array.itemsize = cnp.PyArray_ITEMSIZE(x)
        # Sizes are the buffers': what a subclass says of itself may be wrong.
        if array.itemsize == 1:
            self.uint8_rows = x
            array.n, array.K = self.uint8_rows.shape[0], self.uint8_rows.shape[1]
            array.data = <const char*>&self.uint8_rows[0, 0] if array.n else NULL
        elif array.itemsize == 4:
            self.float32_rows = x
            array.n, array.K = self.float32_rows.shape[0], self.float32_rows.shape[1]
            array.data = <const char*>&self.float32_rows[0, 0] if array.n else NULL
        else:
            self.float64_rows = x
            array.n, array.K = self.float64_rows.shape[0], self.float64_rows.shape[1]
            array.data = <const char*>&self.float64_rows[0, 0] if array.n else NULL
        if skip_zeros:
            self.find_nonzeros()

    cdef void find_nonzeros(self):
        cdef RowArray* array = &self.array
        cdef Py_ssize_t count
        cdef uint64_t* bits
        cdef Py_ssize_t* starts
        cdef real* values
        self.nonzeros = np.empty(array.n * words_of(array.K), np.uint64)
        bits = <uint64_t*>cnp.PyArray_DATA(self.nonzeros)
        with nogil:
            count = find_nonzeros(bits, array)
        if 100 * count > SOME * array.n * array.K:
            return
        self.starts, self.values = np.empty(array.n + 1, np.intp), np.empty(count + 1, REAL)
        starts = <Py_ssize_t*>cnp.PyArray_DATA(self.starts)
        values = <real*>cnp.PyArray_DATA(self.values)
        with nogil:
            copy_nonzeros(starts, values, bits, array)
        array.nonzeros, array.starts, array.values = bits, starts, values
        array.rare = 100 * count <= RARE * array.n * array.K

    cdef void list_nonzeros(self):
        cdef RowArray* array = &self.array
        self.starts = np.ascontiguousarray(self.x.indptr, np.intp)
        self.columns = np.ascontiguousarray(self.x.indices, np.intc)
        self.values = np.ascontiguousarray(self.x.data, REAL)
        array.data, array.itemsize = NULL, REAL_BYTES
        array.starts = <Py_ssize_t*>cnp.PyArray_DATA(self.starts)
        array.columns = <int*>cnp.PyArray_DATA(self.columns)
        array.values = <real*>cnp.PyArray_DATA(self.values)

    def __len__(self):
        return self.array.n

    @property
    def skips_zeros(self):
        """Whether it is known what is not zero."""
        return self.array.nonzeros != NULL or self.array.columns != NULL

    def is_sound(self):
        """Whether every index of a CSR matrix is where it should be, and rises in its row."""
        cdef const RowArray* array = &self.array
        if array.columns == NULL:
            return True
        if (len(self.starts) != array.n + 1 or self.starts[0] != 0
                or self.starts[array.n] > min(len(self.columns), len(self.values))):
            return False
        cdef bint sound
        with nogil:
            sound = indices_rise(array)
        return sound

    def all_finite(self):
        """Whether no number in the rows is NaN or infinite, or beyond the core's real type."""
        cdef Py_ssize_t first = 0, m, n = self.array.n
        cdef Py_ssize_t most = max(<Py_ssize_t>1, UNHEARD // max(<Py_ssize_t>1, self.array.K))
        cdef bint finite = True
        with nogil:
            while finite and first < n:
                m = min(most, n - first)
                finite = rows_finite(&self.array, first, m)
                first += m
                if first < n:
                    check_signals()
        return finite


cdef bint as_it_lies(RowArray* rows, object x, Py_ssize_t K):
    # Whether x is an array that needs no conversion: (n, K), or one example as (K,) or (K, 1).
    # NumPy's own macros, because for one row a memoryview would cost as much as the arithmetic.
    cdef cnp.npy_intp* shape
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISCARRAY_RO(x):
        return False
    if cnp.PyArray_TYPE(x) not in (cnp.NPY_UINT8, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        return False
    cdef int dimensions = cnp.PyArray_NDIM(x)
    shape = cnp.PyArray_DIMS(x)         # NULL of a number
    if dimensions == 2 and shape[1] == K:
        rows.n = shape[0]
    elif dimensions == 1 and shape[0] == K or (
            dimensions == 2 and shape[0] == K and shape[1] == 1):
        rows.n = 1
    else:
        return False
    rows.data = <const char*>cnp.PyArray_DATA(x)
    rows.K, rows.itemsize, rows.nonzeros = K, cnp.PyArray_ITEMSIZE(x), NULL
    rows.columns = NULL
    return True


cdef bint indices_rise(const RowArray* rows) noexcept nogil:
    cdef Py_ssize_t i, at, before
    for i in range(rows.n):
        if rows.starts[i] < 0 or rows.starts[i] > rows.starts[i + 1]:
            return False
    for i in range(rows.n):     # only now: all starts are below the last
        before = -1
        for at in range(rows.starts[i], rows.starts[i + 1]):
            if rows.columns[at] <= before:
                return False
            before = rows.columns[at]
        if before >= rows.K:
            return False
    return True


cdef bint rows_finite(const RowArray* rows, Py_ssize_t first, Py_ssize_t m) noexcept nogil:
    cdef const char* at = rows.data + first * rows.K * rows.itemsize
    if rows.columns != NULL:
        return all_finite(<const char*>(rows.values + rows.starts[first]),
                          rows.starts[first + m] - rows.starts[first], REAL_BYTES)
    if rows.itemsize == 4:
        return all_finite(at, m * rows.K, 4)
    if rows.itemsize == 8:
        return all_finite(at, m * rows.K, 8)
    return True


cdef inline vec load_row(const char* row, Py_ssize_t k, Py_ssize_t itemsize) noexcept nogil:
    # LANES numbers of a row, from the k-th on, as reals; itemsize is constant where this stands
    if itemsize == 1:
        return load_uint8(<const uint8_t*>row + k)
    if itemsize == 4:
        return load_float32(<const float*>row + k)
    return load_float64(<const double*>row + k)


cdef inline real one_of_row(const char* row, Py_ssize_t k, Py_ssize_t itemsize) noexcept nogil:
    if itemsize == 1:
        return (<const uint8_t*>row)[k]
    if itemsize == 4:
        return (<const float*>row)[k]
    return (<const double*>row)[k]


cdef inline bint all_finite(
    const char* x, Py_ssize_t count, Py_ssize_t itemsize,
) noexcept nogil:
    # 0 x is 0, or NaN where x is not finite. Four sums, that none waits for the last.
    cdef vec total[4]
    cdef Py_ssize_t block, i
    cdef int k
    for k in range(4):
        total[k] = splat(0)
    for block in range(count // (4 * LANES)):
        for k in range(4):
            total[k] = total[k] + load_row(x, (4 * block + k) * LANES, itemsize) * 0
    for k in range(1, 4):
        total[0] = total[0] + total[k]
    for i in range(count // (4 * LANES) * 4 * LANES, count):
        total[0] = total[0] + splat(one_of_row(x, i, itemsize)) * 0
    return sum_lanes(total[0]) == 0


cdef struct TargetArray:        # of each example
    Py_ssize_t J                # of labels: beyond the largest
    const real* rows            # (n, J); or NULL:
    const int* labels           # (n)
    const real* weights         # (n), or NULL
    Py_ssize_t n                # that all of them have at least


cdef class Targets:
    """What y says: one row of real numbers for each example, or its label; and its weight."""

    cdef const real[:, ::1] rows
    cdef const int[::1] labels
    cdef const real[::1] weights
    cdef TargetArray array

    def __init__(self, y, weights=None):
        cdef TargetArray* array = &self.array
        cdef Py_ssize_t i
        cdef int least = 0, largest = 0
        if cnp.PyArray_NDIM(of_numbers(y)) == 1:
            self.labels = y
            array.n = self.labels.shape[0]
            array.labels = &self.labels[0] if array.n else NULL
            with nogil:
                for i in range(array.n):
                    least, largest = min(least, array.labels[i]), max(largest, array.labels[i])
            if least < 0:
                raise ValueError(f"labels must not be negative, got {least}")
            array.J = <Py_ssize_t>largest + 1
        else:
            self.rows = y
            array.n, array.J = self.rows.shape[0], self.rows.shape[1]
            array.rows = &self.rows[0, 0] if array.n and array.J else NULL
        if weights is not None:
            self.weights = of_numbers(weights)
            array.n = min(array.n, self.weights.shape[0])
            array.weights = &self.weights[0] if self.weights.shape[0] else NULL


cdef inline void convert_row(
    real* out,              # OUT (K)
    const char* row,        # IN  (K)
    const real* scale,      # IN  (K), or NULL
    Py_ssize_t K, Py_ssize_t itemsize,
) noexcept nogil:
    cdef Py_ssize_t v, k
    for v in range(K // LANES):
        store(out + v * LANES, load_row(row, v * LANES, itemsize))
    for k in range(K // LANES * LANES, K):
        out[k] = one_of_row(row, k, itemsize)
    if scale != NULL:
        for k in range(K):
            out[k] *= scale[k]


cdef void expand_row(
    real* out,              # OUT (K)
    const RowArray* rows, Py_ssize_t which,
    const real* scale,      # IN  (K), or NULL
) noexcept nogil:
    cdef Py_ssize_t at, k
    memset(out, 0, rows.K * sizeof(real))
    for at in range(rows.starts[which], rows.starts[which + 1]):
        k = rows.columns[at]
        out[k] = rows.values[at] if scale == NULL else rows.values[at] * scale[k]


cdef void gather(
    const real** x,             # OUT (m) pointers to rows: the caller's own, or those of `buffer`
    real* buffer, Py_ssize_t ld,    # OUT (m, ld) where rows must be converted or scaled
    const RowArray* rows,
    const Py_ssize_t* order,    # IN  (m) which rows, or NULL: first, first + 1, ...
    Py_ssize_t first, Py_ssize_t m,
    const real* scale,          # IN  (K), or NULL
    bint copies,                # to be changed
) noexcept nogil:
    cdef Py_ssize_t i
    cdef Py_ssize_t row_bytes = rows.K * rows.itemsize
    cdef bint in_place = rows.itemsize == REAL_BYTES and scale == NULL and not copies
    cdef const char* row
    cdef real* x_i
    cdef Py_ssize_t which
    for i in range(m):
        which = order[first + i] if order != NULL else first + i
        row = rows.data + which * row_bytes
        if rows.columns != NULL:
            x[i] = buffer + i * ld
            expand_row(buffer + i * ld, rows, which, scale)
            continue
        if in_place:
            x[i] = <const real*>row
            continue
        x_i = buffer + i * ld
        x[i] = x_i
        if rows.itemsize == 1:
            convert_row(x_i, row, scale, rows.K, 1)
        elif rows.itemsize == 4:
            convert_row(x_i, row, scale, rows.K, 4)
        else:
            convert_row(x_i, row, scale, rows.K, 8)


cdef void gather_targets(
    real* y, Py_ssize_t by_example, Py_ssize_t by_neuron,   # OUT (m, J)
    const TargetArray* targets,
    const Py_ssize_t* order,
    Py_ssize_t first, Py_ssize_t m, Py_ssize_t J,
) noexcept nogil:
    cdef Py_ssize_t i, j, which
    cdef bint across = by_neuron > 1        # narrow outputs: examples are the columns
    if targets.rows == NULL:
        for i in range(J if across else m):
            memset(y + i * max(by_example, by_neuron), 0, (m if across else J) * sizeof(real))
    else:
        for j in range(J if across else 0):
            for i in range(m):
                which = order[first + i] if order != NULL else first + i
                y[i + j * by_neuron] = targets.rows[which * J + j]
        if across:
            return
    for i in range(m):
        which = order[first + i] if order != NULL else first + i
        if targets.rows == NULL:
            y[i * by_example + targets.labels[which] * by_neuron] = 1
        else:
            memcpy(y + i * by_example, targets.rows + which * J, J * sizeof(real))


cdef bint gather_weights(
    real* weights,              # OUT (m)
    const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t m,
) noexcept nogil:
    # Whether there are any.
    cdef Py_ssize_t i
    if targets.weights != NULL:
        for i in range(m):
            weights[i] = targets.weights[order[first + i] if order != NULL else first + i]
    return targets.weights != NULL


cdef double total_weight(
    const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t m,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef double total = 0
    if targets.weights == NULL:
        return m
    for i in range(first, first + m):
        total += targets.weights[order[i]]
    return total


def random_order(Py_ssize_t n, uint64_t seed):
    """
    The numbers below n, in any of their orders with the same probability.

    Fisher and Yates' shuffle, inside out, with the generator SplitMix64 (Steele, Lea, Flood,
    OOPSLA 2014): five times as fast as NumPy's, which takes a tenth of an epoch of small networks.

    Returns
    -------
    array (n,) of intp
    """
    cdef cnp.npy_intp[1] shape = [n]
    out = cnp.PyArray_SimpleNew(1, shape, cnp.NPY_INTP)
    cdef Py_ssize_t* order = <Py_ssize_t*>cnp.PyArray_DATA(out)
    cdef Py_ssize_t first = 0, last, i, j
    with nogil:
        while first < n:
            last = min(n, first + UNHEARD // 16)    # each may miss every cache
            for i in range(first, last):
                seed += <uint64_t>0x9E3779B97F4A7C15
                j = upper_product(mixed(seed), i + 1)
                order[i] = order[j]
                order[j] = i
            first = last
            if first < n:
                check_signals()
    return out
