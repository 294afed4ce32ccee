# Single elementary functions, for tools/accuracy.py.


ELEMENTARY = ("exp", "expm1", "log", "log1p", "log_cosh", "tanh", "normal_cdf", "sin", "cos")


def elementary(str name not None, x):
    """Apply one of ELEMENTARY to every number."""
    cdef int kind = ELEMENTARY.index(name)
    cdef const real[::1] numbers = numeric_array(x)
    cdef Py_ssize_t v, n = numbers.shape[0]
    cdef vec x_v, y_v = splat(0), bell
    padded = np.ones(vectors(n) * LANES + LANES, dtype=REAL)
    padded[:n] = x
    cdef real[::1] out = padded
    for v in range(vectors(n)):
        x_v = load(&out[v * LANES])
        if kind == 0:
            y_v = exp(x_v)
        elif kind == 1:
            y_v = expm1(x_v)
        elif kind == 2:
            y_v = log(x_v)
        elif kind == 3:
            y_v = log1p(x_v)
        elif kind == 4:
            y_v = log_cosh(x_v)
        elif kind == 5:
            y_v = tanh(x_v)
        elif kind == 6:
            y_v = normal_cdf(x_v, &bell)
        elif kind == 7:
            y_v = sin(x_v)
        else:
            y_v = cos(x_v)
        store(&out[v * LANES], y_v)
    return padded[:n]
