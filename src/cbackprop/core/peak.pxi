# The most that this build's multiply-add units can do: what benchmarks measure against.

def peak_chain(Py_ssize_t n):
    """
    Do n times 1,000 times TILE_ROWS times 2 independent vector multiply-adds.

    Returns
    -------
    int
        Floating-point operations done.
    """
    cdef vec acc[12][2]
    # Chains that begin alike, or stay where they begin, would cost the compiler nothing.
    cdef vec x = splat(<real>(1 - 1.0 / (n + 9))), y = splat(<real>(0.5 / (n + 9)))
    cdef real total = 0
    cdef Py_ssize_t i
    cdef int j, k, v
    for k in range(TILE_ROWS):
        acc[k][0], acc[k][1] = splat(2 * k + 2), splat(2 * k + 3)
    with nogil:
        for i in range(n):          # nested, for the reason in gemm.pxi's all_strips
            for j in range(1000):
                for k in range(TILE_ROWS):
                    for v in range(2):
                        acc[k][v] = acc[k][v] * x + y
    for k in range(TILE_ROWS):
        total += sum_lanes(acc[k][0] + acc[k][1])
    return n * 1000 * TILE_ROWS * 2 * LANES * 2 if total == total else 0
