# The peak of this build's arithmetic and of its loads, with which benchmarks are compared.


cdef enum:
    CHAINS = 12     # multiply-adds in parallel: enough to hide latency, few enough for 16 registers


def peak_chain(Py_ssize_t n):
    """
    Do n times 1,000 times CHAINS times 2 independent vector multiply-adds.

    Returns
    -------
    int
        The number of floating-point operations done.
    """
    cdef vec acc[CHAINS]
    # The compiler would remove chains with equal or constant values.
    cdef vec x = splat(<real>(1 - 1.0 / (n + 9))), y = splat(<real>(0.5 / (n + 9)))
    cdef real total = 0
    cdef Py_ssize_t i
    cdef int j, k
    for k in range(CHAINS):
        acc[k] = splat(2 * k + 2)
    with nogil:
        for i in range(n):          # nested for the reason given in all_micropanels
            for j in range(2000):
                for k in range(CHAINS):
                    acc[k] = acc[k] * x + y
    for k in range(CHAINS):
        total += sum_lanes(acc[k])
    return n * 2000 * CHAINS * LANES * 2 if total == total else 0


def read_over(array, Py_ssize_t times):
    """
    Read an array in whole vectors, as many times as `times` says.

    Returns
    -------
    int
        The number of bytes read.
    """
    cdef vec acc[8]
    cdef real total = 0
    cdef const real[::1] numbers = numeric_array(array)
    cdef Py_ssize_t n = numbers.shape[0] // (8 * LANES), i, j
    cdef const real* p
    cdef int k
    for k in range(8):
        acc[k] = splat(0)
    with nogil:
        for i in range(times):
            p = &numbers[0] if n else NULL
            for j in range(n):
                for k in range(8):
                    acc[k] = acc[k] + load(p + k * LANES)
                p += 8 * LANES
    for k in range(8):
        total += sum_lanes(acc[k])
    return times * n * 8 * LANES * sizeof(real) if total == total else 0
