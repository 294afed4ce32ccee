# The most that this build's multiply-add units can do: what benchmarks measure against.

def peak_chain(Py_ssize_t n):
    """
    Do n times 1,000 times 24 independent vector multiply-adds.

    Returns
    -------
    int
        Floating-point operations done.
    """
    cdef vec acc[24]
    cdef vec x = splat(<real>0.999), y = splat(<real>0.001)
    cdef real total = 0
    cdef Py_ssize_t i
    cdef int j, k
    for k in range(24):
        acc[k] = splat(k)
    with nogil:
        for i in range(n):          # nested, for the reason in gemm.pxi's all_strips
            for j in range(1000):
                for k in range(24):
                    acc[k] = acc[k] * x + y
    for k in range(24):
        total += sum_lanes(acc[k])
    return n * 1000 * 24 * LANES * 2 if total == total else 0
