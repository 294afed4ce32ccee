# The examples of a slice: rows of x where they lie, or converted; y and weights beside them.


cdef enum:
    FEW = 262_144           # bytes of targets that the L2 keeps


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


cdef void gather_examples(
    const Network* net, Batch* batch,           # OUT x, y and weights of this thread's
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order,
    Py_ssize_t first,                           # of the slice in the order, ...
    Py_ssize_t first_in_batch,                  # ... and in the mini-batch
    Py_ssize_t n,                               # of the order
) noexcept nogil:
    cdef Signals* output = &batch.mine[net.n_layers - 1]
    cdef Py_ssize_t own = batch.first_mine
    first += own
    gather_rows(net, batch, rows, order, first, n)
    if batch.noise != NULL:
        batch.noise.first = first_in_batch + own
        disturb(batch.x + own * batch.ld_x, net, batch)
    gather_targets(batch.y + own * output.by_example, output.by_example, output.by_neuron, targets,
                   order, first, batch.m_mine, net.layers[net.n_layers - 1].J)
    batch.weighted = gather_weights(batch.weights + own, targets, order, first, batch.m_mine)


cdef void gather_rows(
    const Network* net, Batch* batch, const RowArray* rows,
    const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t n,        # its own, out of so many
) noexcept nogil:
    batch.sparse = ((batch.noise == NULL or rows.columns != NULL and not disturbs(batch.noise))
                    and net.scales == NULL and worth_skipping(rows, batch.m, net.layers[0].J))
    if batch.sparse:            # all of the slice: threads share neurons
        batch.values = rows.values
        first -= batch.first_mine
        batch.following = min(<Py_ssize_t>SOON, n - first - batch.m)
        gather_nonzeros(batch.nonzeros, rows, order, first, batch.m + batch.following)
    else:
        gather(batch.mine[0].a_prev, batch.x + batch.first_mine * batch.ld_x, batch.ld_x, rows,
               order, first, batch.m_mine, net.scales, batch.noise != NULL)


cdef void disturb(real* x, const Network* net, Batch* batch) noexcept nogil:
    # x as it is kept for this slice; its scale, if it is one number, is applied later
    cdef Noise* noise = batch.noise
    cdef Py_ssize_t m = batch.m_mine, K = net.layers[0].K
    if noise.deviation > 0:
        add_noise(x, noise, noise.deviation / net.scale, m, K, batch.ld_x)
    if noise.rates[0] > 0:
        drop(x, x, noise, 0, m, K, batch.ld_x)


cdef void plan_ahead(
    Ahead* ahead, const RowArray* rows, const TargetArray* targets,
    const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    # Rows in order the CPU foresees by itself; small targets are in its caches.
    cdef Py_ssize_t i
    cdef bint targets_too = targets.rows != NULL and (
        rows.n * targets.J * <Py_ssize_t>sizeof(real) > FEW)
    ahead.bytes = rows.K * rows.itemsize
    ahead.n = last - first if order != NULL and rows.data != NULL else 0
    ahead.row = ahead.at = 0
    for i in range(ahead.n):
        ahead.rows[i] = rows.data + order[first + i] * ahead.bytes
        if targets_too:                 # at least where they begin
            prefetch(targets.rows + order[first + i] * targets.J)
