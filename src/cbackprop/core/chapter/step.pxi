# The update of a mini-batch, and all mini-batches of an epoch.


cdef int sum_gradients(
    real* to, real step,
    const Network* net, Batch* batch,
    const RowArray* rows, const TargetArray* targets,
    const Py_ssize_t* order, Py_ssize_t n,      # IN  (n) which rows, or NULL: as they lie
    Py_ssize_t first, Py_ssize_t m,             # the mini-batch: m of them
) except -1 nogil:
    # Slice by slice. What follows in the order is fetched meanwhile: the next slice or mini-batch.
    cdef Py_ssize_t end = first + m, most = SLICE
    if m > SLICE:
        most = slice_of(net, rows)
    while first < end:
        share_examples(net, batch, min(most, end - first))
        gather_examples(net, batch, rows, targets, order, first, first - (end - m), n)
        first += batch.m
        plan_ahead(&batch.ahead, rows, targets, order, first, min(n, first + batch.m))
        if not meet(batch):
            return 0
        add_gradient(to, step, net, batch)
    return 0


cdef int update_mini_batch(
    const Network* net, Batch* batch, Optimization* how,     # plain descent if NULL
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t m, double eta,
) except -1 nogil:
    # w -> w - (eta/m) sum_x delta a^T,  b -> b - (eta/m) sum_x delta
    # Examples that weigh nothing at all are no reason for a step.
    cdef real step = <real>(-eta / m)
    cdef Range own
    if targets.weights != NULL and total_weight(targets, order, first, m) == 0:
        if how != NULL:
            how.passed_over += m
        return 0
    if batch.noise != NULL:
        batch.noise.step = how.steps + 1
    if how != NULL and not how.plain:
        optimize_mini_batch(net, batch, how, rows, targets, order, n, first, m, eta)
    elif m <= SLICE:
        sum_gradients(net.parameters, step, net, batch, rows, targets, order, n, first, m)
    else:
        own = part_of_arena(net, batch)
        sum_into_step(step, net, batch, rows, targets, order, n, first, m)
        if not is_set(&batch.team.meeting.stopped):
            add_arena(net.parameters + own.first, batch.step + own.first, own.last - own.first)
    if how != NULL:
        how.steps += 1          # only now: a signal may have kept it from being taken
    return 0


cdef int sum_into_step(
    real step, const Network* net, Batch* batch,
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t m,
) except -1 nogil:
    cdef Range own = part_of_arena(net, batch)
    if not meet(batch):         # another may still read the last one
        return 0
    memset(batch.step + own.first, 0, (own.last - own.first) * sizeof(real))
    return sum_gradients(batch.step, step, net, batch, rows, targets, order, n, first, m)


cdef int optimize_mini_batch(
    const Network* net, Batch* batch, Optimization* how,
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t m, double eta,
) except -1 nogil:
    # What an optimizer makes of the average gradient.
    cdef Update of_w, of_b
    cdef Layer* layer
    cdef Range columns
    cdef int l
    cdef double weight = m, before = batch.cost
    if how.by_weight:
        weight = total_weight(targets, order, first, m)
        batch.cost = 0
        if how.penalty:
            if not meet(batch):         # another may still be at the last step
                return 0
            if batch.thread == 0:
                batch.cost = how.penalty * sum_of_squares(net)
    next_step(how, eta, weight, &of_w, &of_b)
    if m <= SLICE and how.clip_norm == INFINITY:
        batch.update, batch.update_b = &of_w, &of_b
        try:
            sum_gradients(net.parameters, <real>(1 / weight), net, batch, rows, targets, order, n,
                          first, m)
        finally:
            batch.update = NULL
    else:
        sum_into_step(<real>(1 / weight), net, batch, rows, targets, order, n, first, m)
        if how.clip_norm < INFINITY:
            clip_to_norm(net, batch, how.clip_norm)
        if is_set(&batch.team.meeting.stopped):
            return 0
        for l in range(net.n_layers):
            update_layer(net, batch, l, &of_w, &of_b)
    if how.max_norm < INFINITY and meet(batch):
        for l in range(net.n_layers):
            layer = &net.layers[l]
            columns = neurons_of(net, batch, l)
            if not layer.narrow or columns.first == 0 < columns.last:
                hold_norms(net.parameters + layer.w, layer, columns, how.max_norm)
    if how.by_weight:
        batch.cost = before + m / weight * batch.cost
    return 0


cdef void update_layer(
    const Network* net, Batch* batch, int l, const Update* of_w, const Update* of_b,
) noexcept nogil:
    # from a complete gradient
    cdef Layer* layer = &net.layers[l]
    cdef Py_ssize_t w = layer.w, b = layer.b
    cdef Range own = part(layer.b - layer.w, LINE // sizeof(real), batch)
    update(of_w, net.parameters + w + own.first, 0, batch.step + w + own.first, 0, 1,
           own.last - own.first)
    own = part(layer.J, LINE // sizeof(real), batch)
    update(of_b, net.parameters + b + own.first, 0, batch.step + b + own.first, 0, 1,
           own.last - own.first)


cdef Py_ssize_t sgd(
    const Network* net, Batch* batch, Optimization* how,
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t mini_batch_size,
    const double* eta,          # IN  one for each mini-batch
    Py_ssize_t first, Py_ssize_t last,
) except -1 nogil:
    # The mini-batches that begin in rows first to last of the order. The last of an epoch may be
    # shorter: the step divides by its own length.
    cdef Py_ssize_t m
    while first < last and not batch.team.leaves:
        m = min(mini_batch_size, n - first)
        update_mini_batch(net, batch, how, rows, targets, order, n, first, m, eta[0])
        if is_set(&batch.team.meeting.stopped):
            break
        first += m
        eta += 1
    return first
