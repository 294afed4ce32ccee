# The examples of a slice: rows of x, in place or converted, with their targets and weights.


cdef enum:
    L2_TARGET_BYTES = 262_144   # targets up to this size stay in the L2 cache


cdef inline void convert_row(
    real* out,              # OUT (K)
    const char* row,        # IN  (K)
    const real* scale,      # IN  (K), or NULL
    Py_ssize_t K, RowType row_type,
) noexcept nogil:
    cdef Py_ssize_t v, k
    for v in range(K // LANES):
        store(out + v * LANES, load_row(row, v * LANES, row_type))
    for k in range(K // LANES * LANES, K):
        out[k] = one_of_row(row, k, row_type)
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
        out[k] = rows.values[at] if scale == NULL or rows.scaled else rows.values[at] * scale[k]


cdef void gather(
    const real** x,             # OUT (m) pointers to rows: the caller's own, or those of `buffer`
    real* buffer, Py_ssize_t ld,    # OUT (m, ld) where rows must be converted or scaled
    const RowArray* rows,
    const Py_ssize_t* order,    # IN  row numbers, or NULL for 0, 1, 2, ...
    Py_ssize_t first, Py_ssize_t m,
    const real* scale,          # IN  (K), or NULL
    bint copies,                # whether the rows will be changed, and so must be copied
) noexcept nogil:
    cdef Py_ssize_t i
    cdef Py_ssize_t row_bytes = rows.K * rows.itemsize
    cdef bint in_place = rows.type == real_rows() and scale == NULL and not copies
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
        if rows.type == UINT8:
            convert_row(x_i, row, scale, rows.K, UINT8)
        elif rows.type == FLOAT32:
            convert_row(x_i, row, scale, rows.K, FLOAT32)
        else:
            convert_row(x_i, row, scale, rows.K, FLOAT64)


cdef void gather_targets(
    real* y, Py_ssize_t example_stride, Py_ssize_t neuron_stride,   # OUT (m, J)
    const TargetArray* targets,
    const Py_ssize_t* order,
    Py_ssize_t first, Py_ssize_t m, Py_ssize_t J,
) noexcept nogil:
    cdef Py_ssize_t i, j, which
    cdef bint narrow = neuron_stride > 1    # narrow outputs: examples are the columns
    if targets.rows == NULL:
        for i in range(J if narrow else m):
            memset(y + i * max(example_stride, neuron_stride), 0,
                   (m if narrow else J) * sizeof(real))
    else:
        for j in range(J if narrow else 0):
            for i in range(m):
                which = order[first + i] if order != NULL else first + i
                y[i + j * neuron_stride] = targets.rows[which * J + j]
        if narrow:
            return
    for i in range(m):
        which = order[first + i] if order != NULL else first + i
        if targets.rows == NULL:
            y[i * example_stride + targets.labels[which] * neuron_stride] = 1
        else:
            memcpy(y + i * example_stride, targets.rows + which * J, J * sizeof(real))


cdef bint gather_weights(
    real* weights,              # OUT (m)
    const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t m,
) noexcept nogil:
    # Returns whether the examples have weights.
    cdef Py_ssize_t i
    if targets.weights != NULL:
        for i in range(m):
            weights[i] = targets.weights[order[first + i] if order != NULL else first + i]
    return targets.weights != NULL


cdef double total_weight(const MiniBatch* batch) noexcept nogil:
    cdef Py_ssize_t i
    cdef double total = 0
    if batch.targets.weights == NULL:
        return batch.m
    for i in range(batch.first, batch.first + batch.m):
        total += batch.targets.weights[batch.order[i]]
    return total


cdef void gather_examples(
    Pass* p,                    # OUT x, y and weights of this thread's examples
    const MiniBatch* batch,
    Py_ssize_t first,           # the slice's first row in the order
) noexcept nogil:
    gather_rows(p, batch.rows, batch.order, first + p.first_own, batch.n)
    if p.noise != NULL:
        p.noise.first = p.noise.before + first - batch.first + p.first_own
        corrupt_inputs(p)
    gather_own_targets(p, batch.targets, batch.order, first)


cdef void gather_rows(
    Pass* p, const RowArray* rows,
    const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t n,    # this thread's first, of n
) noexcept nogil:
    cdef const real* scales = p.net.scales
    p.sparse = ((p.noise == NULL or rows.columns != NULL and not corrupts_inputs(p.noise))
                and (scales == NULL or rows.scaled)
                and worth_skipping(rows, p.m, p.net.layers[0].J))
    if p.sparse:                # the whole slice, because threads share the neurons
        p.values = rows.values
        first -= p.first_own
        p.following = min(<Py_ssize_t>PREFETCH_DISTANCE, n - first - p.m)
        gather_nonzeros(p.nonzeros, rows, order, first, p.m + p.following)
    if p.marks_touched:
        mark_touched(p)
    if not p.sparse:
        gather(p.own[0].a_prev, p.x + p.first_own * p.ld_x, p.ld_x, rows, order, first, p.m_own,
               scales, p.noise != NULL)


cdef void mark_touched(Pass* p) noexcept nogil:
    # Dense rows touch all columns.
    if p.sparse and p.nonzeros.columns != NULL:
        mark_columns(p.touched, p.nonzeros, p.m)
    else:
        memset(p.touched, 0xFF, words_of(p.net.layers[0].K) * sizeof(uint64_t))


cdef void gather_own_targets(
    Pass* p, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t first,
) noexcept nogil:
    cdef LayerState* output = &p.own[p.net.n_layers - 1]
    gather_targets(p.y + p.first_own * output.example_stride, output.example_stride,
                   output.neuron_stride, targets, order, first + p.first_own, p.m_own,
                   p.net.layers[p.net.n_layers - 1].J)
    smooth_targets(&p.net.cost, p.y + p.first_own * output.example_stride, output.example_stride,
                   output.neuron_stride, p.m_own, p.net.layers[p.net.n_layers - 1].J)
    p.weighted = gather_weights(p.weights + p.first_own, targets, order, first + p.first_own,
                                p.m_own)


cdef void corrupt_inputs(Pass* p) noexcept nogil:
    # Add noise and dropout to x, before it is scaled: the product applies a single scale.
    cdef Noise* noise = p.noise
    cdef real* x = p.x + p.first_own * p.ld_x
    cdef Py_ssize_t K = p.net.layers[0].K
    if noise.deviation > 0:
        add_noise(x, noise, noise.deviation / p.net.scale, p.m_own, K, p.ld_x)
    if noise.rates[0] > 0:
        apply_dropout(x, x, noise, 0, p.m_own, K, p.ld_x)


cdef void plan_prefetch(Prefetcher* prefetcher, const MiniBatch* batch, Py_ssize_t first,
                        Py_ssize_t last) noexcept nogil:
    # The CPU prefetches consecutive rows by itself, and small targets stay in its caches.
    cdef Py_ssize_t i
    cdef const RowArray* rows = batch.rows
    cdef const TargetArray* targets = batch.targets
    cdef bint targets_too = targets.rows != NULL and (
        rows.n * targets.J * <Py_ssize_t>sizeof(real) > L2_TARGET_BYTES)
    prefetcher.bytes = rows.K * rows.itemsize
    prefetcher.n = last - first if batch.order != NULL and rows.data != NULL else 0
    prefetcher.row = prefetcher.at = 0
    for i in range(prefetcher.n):
        prefetcher.rows[i] = rows.data + batch.order[first + i] * prefetcher.bytes
        if targets_too:                 # only their first cache line
            prefetch(targets.rows + batch.order[first + i] * targets.J)
