# The examples of a group: the order of each network, and the rows of a mini-batch.

cdef enum:
    QUAD = 4                # numbers of a row that are transposed at a time
    DRAWN_ROWS = 16         # rows whose places in the order are drawn at a time


cdef void random_orders(
    int32_t* order,             # OUT (n, LANES); (n) if they are common
    const uint64_t* seeds,      # IN  (LANES)
    Py_ssize_t n, bint common,
) noexcept nogil:
    # Each is `random_order` of its seed, so a network sees the rows that it would see alone. Draws
    # come before swaps, so that the compiler makes vectors of them: 14 % less time with AVX2.
    cdef uint64_t drawn[DRAWN_ROWS][LANES]
    cdef Py_ssize_t first = 0, last, i, j
    cdef int k
    cdef uint64_t added = 0
    while first < n:
        last = min(n, first + DRAWN_ROWS)
        for i in range(first, last):
            added += <uint64_t>0x9E3779B97F4A7C15
            for k in range(1 if common else LANES):
                drawn[i - first][k] = upper_product_32(splitmix64(seeds[k] + added), i + 1)
        for i in range(first, last):
            for k in range(1 if common else LANES):
                j = drawn[i - first][k]
                if common:
                    order[i] = order[j]
                    order[j] = <int32_t>i
                else:
                    order[i * LANES + k] = order[j * LANES + k]
                    order[j * LANES + k] = <int32_t>i
        first = last


cdef inline void gather_in_lanes(LanePass* p, Py_ssize_t first, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t i, q
    cdef int k
    cdef const real* row[LANES]
    cdef vec four[QUAD]
    cdef real* x = p.x
    cdef const int32_t* order = p.order + (first if p.common else first * LANES)
    for i in range(m):
        if p.common:
            row[0] = p.examples + order[i] * p.ld_examples
            for q in range(p.ld_examples):
                store(x + q * LANES, splat(row[0][q]))
        else:
            for k in range(LANES):
                row[k] = p.examples + order[i * LANES + k] * p.ld_examples
            for q in range(p.ld_examples // QUAD):
                four_of_each(four, row)
                for k in range(QUAD):
                    store(x + (q * QUAD + k) * LANES, four[k])
                for k in range(LANES):
                    row[k] += QUAD
        x += p.ld_x


cdef inline bint gather_lane_weights(LanePass* p, Py_ssize_t first, Py_ssize_t m) noexcept nogil:
    # Returns whether the examples have weights.
    cdef Py_ssize_t i
    cdef int k
    if p.given_weights[0] == NULL:
        return False
    for i in range(m):
        for k in range(LANES):
            p.weights[i * LANES + k] = p.given_weights[k][
                p.order[first + i if p.common else (first + i) * LANES + k]]
    return True
