# Helpers of the book's modules for one column, where calling NumPy costs more than the arithmetic.

from libc.math cimport exp as exp_of_double


cdef enum:
    SHORT = 1024        # the most numbers; for more, NumPy's loops are worth the call


def sigmoid_of_short(z):
    """Return 1 / (1 + e^-z) for a short array of the core's real type; None for anything else."""
    cdef Py_ssize_t i, n
    cdef const real* from_
    cdef real* to
    if not cnp.PyArray_CheckExact(z) or cnp.PyArray_TYPE(z) != REAL_TYPE or (
            not cnp.PyArray_ISCARRAY_RO(z) or cnp.PyArray_SIZE(z) > SHORT
            or cnp.PyArray_NDIM(z) == 0):     # for which NumPy returns a scalar
        return None
    n = cnp.PyArray_SIZE(z)
    out = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(z), cnp.PyArray_DIMS(z), REAL_TYPE)
    from_, to = <const real*>cnp.PyArray_DATA(z), <real*>cnp.PyArray_DATA(out)
    for i in range(n):
        to[i] = <real>(1 / (1 + exp_of_double(-<double>from_[i])))
    return out


def arrays_match(list weights, list biases, sizes):
    """Return whether these are finite arrays of the core's real type that match the sizes."""
    cdef Py_ssize_t l, n = len(weights)
    if len(sizes) != n + 1 or len(biases) != n:
        return False
    for l in range(n):
        for x, columns in ((weights[l], sizes[l]), (biases[l], 1)):
            if not is_finite_matrix(x, sizes[l + 1], columns) or cnp.PyArray_TYPE(x) != REAL_TYPE:
                return False
    return True


def pairs_match(list pairs, Py_ssize_t inputs, Py_ssize_t outputs):
    """Return whether all are tuples (x, y) of finite columns; y may also be a label."""
    for pair in pairs:
        if type(pair) is not tuple or len(<tuple>pair) != 2:
            return False
        x, y = pair
        if not is_finite_matrix(x, inputs, 1):
            return False
        if type(y) is int or isinstance(y, np.integer):
            if outputs > 1 and not 0 <= y < outputs:
                return False
        elif not is_finite_matrix(y, outputs, 1):
            return False
    return True


cdef bint is_finite_matrix(x, Py_ssize_t rows, Py_ssize_t columns):
    # Whether x is a finite matrix of float32 or float64 with that shape.
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISCARRAY_RO(x) or (
            cnp.PyArray_NDIM(x) != 2 or cnp.PyArray_DIM(x, 0) != rows
            or cnp.PyArray_DIM(x, 1) != columns):
        return False
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        return all_finite(<const char*>cnp.PyArray_DATA(x), rows * columns, FLOAT32)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64:
        return all_finite(<const char*>cnp.PyArray_DATA(x), rows * columns, FLOAT64)
    return False
