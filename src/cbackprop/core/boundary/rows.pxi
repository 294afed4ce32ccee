# The caller's examples as Python objects. They are checked and kept alive, but not copied.

from libc.limits cimport INT_MAX
from libc.math cimport INFINITY


cdef RowType row_type_of(x):
    # Any other type is treated as uint8; its memoryview then raises the error.
    cdef int numpys = cnp.PyArray_TYPE(x)
    if numpys == cnp.NPY_FLOAT32:
        return FLOAT32
    return FLOAT64 if numpys == cnp.NPY_FLOAT64 else UINT8


cdef class Rows:
    """
    Rows of x: a C-contiguous array of uint8, float32 or float64, kept alive and not copied.

    With `skip_zeros`, zeros are skipped if there are enough of them; the nonzero values are then
    copied. x may also be a matrix in SciPy's CSR format, which is never made dense. Its values and
    indices are not copied if they have the core's real type and are C ints, unless the values are
    multiplied by `scales`, those of the network. Use it only if `is_sound` returns True.
    """

    cdef const uint8_t[:, ::1] uint8_rows
    cdef const float[:, ::1] float32_rows
    cdef const double[:, ::1] float64_rows
    cdef RowArray array
    cdef readonly object x, scales
    cdef object nonzeros, starts, values, columns

    def __init__(self, x, bint skip_zeros=False, scales=None):
        cdef RowArray* array = &self.array
        array.nonzeros, array.columns, array.scaled = NULL, NULL, False
        self.scales = scales
        if hasattr(x, "indptr"):
            self.x, (array.n, array.K) = x, x.shape
            self.list_nonzeros()
            return
        self.x = numeric_array(x)
        array.type, array.itemsize = row_type_of(x), cnp.PyArray_ITEMSIZE(x)
        # Sizes come from the buffer, because a subclass may report a wrong shape.
        if array.type == UINT8:
            self.uint8_rows = x
            array.n, array.K = self.uint8_rows.shape[0], self.uint8_rows.shape[1]
            array.data = <const char*>&self.uint8_rows[0, 0] if array.n else NULL
        elif array.type == FLOAT32:
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
        if 100 * count > MAX_DENSITY_LARGE * array.n * array.K:
            return
        self.starts, self.values = np.empty(array.n + 1, np.intp), np.empty(count + 1, REAL)
        starts = <Py_ssize_t*>cnp.PyArray_DATA(self.starts)
        values = <real*>cnp.PyArray_DATA(self.values)
        with nogil:
            copy_nonzeros(starts, values, bits, array)
        array.nonzeros, array.starts, array.values = bits, starts, values
        array.very_sparse = 100 * count <= MAX_DENSITY * array.n * array.K

    cdef void list_nonzeros(self):
        cdef RowArray* array = &self.array
        self.starts = np.array(self.x.indptr, np.intp, order="C")   # a copy, which nobody changes
        indices = self.x.indices
        if indices.dtype.itemsize > sizeof(int):    # the cast would wrap; these are not sound
            indices = np.clip(indices, -1, INT_MAX, np.empty(len(indices), np.intc),
                              casting="unsafe")
        self.columns = np.ascontiguousarray(indices, np.intc)
        self.values = np.ascontiguousarray(self.x.data, REAL)
        if self.scales is not None and len(self.columns) == len(self.values):
            with np.errstate(over="ignore"):
                scaled = self.values * np.take(self.scales, self.columns, mode="clip")
            if np.isfinite(scaled).all():       # else the sums may be finite all the same
                self.values, array.scaled = scaled, True
        array.data, array.type, array.itemsize = NULL, real_rows(), REAL_BYTES
        array.starts = <Py_ssize_t*>cnp.PyArray_DATA(self.starts)
        array.columns = <int*>cnp.PyArray_DATA(self.columns)
        array.values = <real*>cnp.PyArray_DATA(self.values)

    def __len__(self):
        return self.array.n

    @property
    def skips_zeros(self):
        """Whether the nonzero values are listed, so that products skip zeros."""
        return self.array.nonzeros != NULL or self.array.columns != NULL

    def is_sound(self):
        """Return whether the indices of a CSR matrix are in range and increase within each row."""
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
        """Return whether all numbers in the rows are finite in the core's real type."""
        cdef Py_ssize_t first = 0, m, n = self.array.n
        cdef Py_ssize_t max_rows = max(<Py_ssize_t>1, NUMBERS_PER_SIGNAL_CHECK // max(
            <Py_ssize_t>1, self.array.K))
        cdef bint finite = True
        with nogil:
            while finite and first < n:
                m = min(max_rows, n - first)
                finite = rows_finite(&self.array, first, m)
                first += m
                if first < n:
                    check_signals()
        return finite


cdef class Targets:
    """
    The targets: one row of real numbers, or one label, for each example; and its weight.

    Attributes
    ----------
    y, weights : arrays
        As given; weights may be None.
    """

    cdef const real[:, ::1] rows
    cdef const int[::1] labels
    cdef const real[::1] weights_view
    cdef readonly object y, weights
    cdef TargetArray array

    def __init__(self, y, weights=None):
        cdef TargetArray* array = &self.array
        cdef Py_ssize_t i
        cdef int smallest = 0, largest = 0
        self.y, self.weights = y, weights
        if cnp.PyArray_NDIM(numeric_array(y)) == 1:
            self.labels = y
            array.n = self.labels.shape[0]
            array.labels = &self.labels[0] if array.n else NULL
            with nogil:
                for i in range(array.n):
                    smallest = min(smallest, array.labels[i])
                    largest = max(largest, array.labels[i])
            if smallest < 0:
                raise ValueError(f"labels must not be negative, got {smallest}")
            array.J = <Py_ssize_t>largest + 1
        else:
            self.rows = y
            array.n, array.J = self.rows.shape[0], self.rows.shape[1]
            array.rows = &self.rows[0, 0] if array.n and array.J else NULL
        if weights is not None:
            self.weights_view = numeric_array(weights)
            array.n = min(array.n, self.weights_view.shape[0])
            array.weights = &self.weights_view[0] if self.weights_view.shape[0] else NULL

    def extremes(self):
        """Return the least and the largest number of finite rows; of no numbers, infinities."""
        return extremes_of(self.array.rows, self.array.n * self.array.J)


cdef (double, double) extremes_of(const real* y, Py_ssize_t size) noexcept:
    cdef Py_ssize_t i, whole = 0 if y == NULL else size // LANES
    cdef vec low = splat(INFINITY), high = splat(-INFINITY)
    cdef real lowest = INFINITY, highest = -INFINITY
    for i in range(whole):
        low = at_most(load(y + i * LANES), low)
        high = at_least(load(y + i * LANES), high)
    for i in range(LANES if whole else 0):
        lowest, highest = min(lowest, lane(low, i)), max(highest, lane(high, i))
    for i in range(whole * LANES, 0 if y == NULL else size):
        lowest, highest = min(lowest, y[i]), max(highest, y[i])
    return lowest, highest


def values_of(y):
    """
    Return what rows of targets (n, J) of the real type consist of.

    Returns
    -------
    lowest, highest : float
    two_valued : bool
        Whether every number is one of these two.
    one_high : bool
        Whether every row has the highest once; False unless they are two-valued.
    """
    cdef const real[:, ::1] rows = numeric_array(y)
    cdef Py_ssize_t n = rows.shape[0], J = rows.shape[1], i, j
    cdef const real* y_i = &rows[0, 0] if n and J else NULL
    cdef double lowest, highest
    cdef real low, high
    cdef Py_ssize_t count
    cdef bint two_valued = True, one_high = True
    lowest, highest = extremes_of(y_i, n * J)
    low, high = <real>lowest, <real>highest
    for i in range(n if y_i != NULL else 0):
        count = 0
        for j in range(J):
            count += y_i[j] == high
            two_valued &= (y_i[j] == low) | (y_i[j] == high)
        one_high &= count == 1
        if not two_valued:
            break
        y_i += J
    return lowest, highest, two_valued, one_high and two_valued


cdef targets_in_place(y, Py_ssize_t n, Py_ssize_t J):
    # Targets of rows (n, J) of the real type, or of labels (n,); None for anything else.
    cdef int numpys
    cdef bint in_range
    cdef int* to
    if not cnp.PyArray_CheckExact(y) or not cnp.PyArray_ISCARRAY_RO(y):
        return None
    numpys = cnp.PyArray_TYPE(y)
    if cnp.PyArray_NDIM(y) == 2:
        if (numpys != REAL_TYPE or cnp.PyArray_DIM(y, 0) != n or cnp.PyArray_DIM(y, 1) != J
                or not all_finite(<const char*>cnp.PyArray_DATA(y), n * J, real_rows())):
            return None
        return Targets(y)
    if cnp.PyArray_NDIM(y) != 1 or cnp.PyArray_DIM(y, 0) != n or J == 1:
        return None
    labels = np.empty(n, np.intc)
    to = <int*>cnp.PyArray_DATA(labels)
    if numpys == cnp.NPY_INT64:
        in_range = copy_labels(to, <const int64_t*>cnp.PyArray_DATA(y), n, J)
    elif numpys == cnp.NPY_INT32:
        in_range = copy_labels(to, <const int32_t*>cnp.PyArray_DATA(y), n, J)
    elif numpys == cnp.NPY_UINT8:
        in_range = copy_labels(to, <const uint8_t*>cnp.PyArray_DATA(y), n, J)
    else:
        return None
    return Targets(labels) if in_range else None


cdef fused label_type:
    int64_t
    int32_t
    uint8_t


cdef bint copy_labels(
    int* to,                    # OUT (n)
    const label_type* labels,   # IN  (n)
    Py_ssize_t n, Py_ssize_t J,
) noexcept:
    # Whether all labels are in 0..J-1. A negative one is large when read as unsigned.
    cdef Py_ssize_t i
    cdef bint in_range = True
    for i in range(n):
        in_range &= <uint64_t><int64_t>labels[i] < <uint64_t>J
        to[i] = <int>labels[i]
    return in_range


cdef bint needs_no_conversion(RowArray* rows, object x, Py_ssize_t K):
    # Whether x is an array that needs no conversion: (n, K), or one example as (K,) or (K, 1).
    # This uses NumPy's macros: for one row, a memoryview would cost as much as the arithmetic.
    cdef cnp.npy_intp* shape
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISCARRAY_RO(x):
        return False
    if cnp.PyArray_TYPE(x) not in (cnp.NPY_UINT8, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        return False
    cdef int dimensions = cnp.PyArray_NDIM(x)
    shape = cnp.PyArray_DIMS(x)         # NULL for a 0-d array
    if dimensions == 2 and shape[1] == K:
        rows.n = shape[0]
    elif dimensions == 1 and shape[0] == K or (
            dimensions == 2 and shape[0] == K and shape[1] == 1):
        rows.n = 1
    else:
        return False
    rows.data = <const char*>cnp.PyArray_DATA(x)
    rows.type, rows.itemsize = row_type_of(x), cnp.PyArray_ITEMSIZE(x)
    rows.K, rows.nonzeros = K, NULL
    rows.columns, rows.scaled = NULL, False
    return True


cdef bint indices_rise(const RowArray* rows) noexcept nogil:
    cdef Py_ssize_t i, at, before
    for i in range(rows.n):
        if rows.starts[i] < 0 or rows.starts[i] > rows.starts[i + 1]:
            return False
    for i in range(rows.n):     # safe only now: all starts are at most the last
        before = -1
        for at in range(rows.starts[i], rows.starts[i + 1]):
            if rows.columns[at] <= before:
                return False
            before = rows.columns[at]
        if before >= rows.K:
            return False
    return True
