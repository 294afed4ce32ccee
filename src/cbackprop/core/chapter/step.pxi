# The steps of an epoch: plain gradient descent, or the steps of an optimizer.
#
# If a mini-batch fits in one slice, BP3 and BP4 subtract directly from the parameters, and nabla_w
# is never stored. A mini-batch is applied completely or not at all: signals are checked between its
# products, but not after the parameters have begun to change.


cdef int take_step(
    Pass* p, const MiniBatch* batch, OptimizerOptions* options, double eta,
) except -1 nogil:
    # Plain descent if options are NULL or `plain`, else an optimizer's step.
    if is_weightless(batch):                # its gradient is 0
        if options != NULL:
            options.skipped_rows += batch.m
        return 0
    if p.noise != NULL:
        p.noise.step = options.steps + 1
    if options != NULL and not options.plain:
        optimize_mini_batch(p, batch, options, eta)
    elif batch.m <= SLICE:
        update_mini_batch(p, batch, eta)
    else:
        add_sums(p, batch, <real>(-eta / batch.m))
    if options != NULL:
        options.steps += 1          # only now, because a signal may have prevented the step
    return 0


cdef int sum_into_arena(
    Pass* p, const MiniBatch* batch, const OptimizerOptions* options, real step,
) except -1 nogil:
    # The complete gradient times `step`, in its own arena; 0 for frozen layers. The arena is 0
    # before, and again once the step has been taken. Where only rows of the first w that CSR rows
    # touch can move, only those are read and cleared.
    cdef Sink arena
    write_gradient(&arena, p.sums, step)
    if options != NULL:
        leave_frozen_out(&arena, options, p.net.n_layers)
    p.marks_touched = batch.rows.columns != NULL and (options == NULL or options.lazy)
    if p.marks_touched:
        memset(p.touched, 0, words_of(p.net.layers[0].K) * sizeof(uint64_t))
    if not barrier(p):          # another thread may still clear the previous gradient
        return 0
    return sum_gradients(p, batch, &arena)


cdef int add_sums(Pass* p, const MiniBatch* batch, real step) except -1 nogil:
    # As update_mini_batch, for more rows than a slice has.
    cdef int l
    sum_into_arena(p, batch, NULL, step)
    for l in range(0 if is_set(&p.team.barrier.stopped) else p.net.n_layers):
        update_layer(p, l, NULL, NULL)
    return 0


cdef int optimize_mini_batch(
    Pass* p, const MiniBatch* batch, OptimizerOptions* options, double eta,
) except -1 nogil:
    # One step of an optimizer from the average gradient. It is applied tile by tile during BP4's
    # product, or, if the gradient must be complete first, from an arena.
    cdef Sink step
    cdef Step w_step, b_step
    cdef double weight = batch.m, before = p.cost
    if options.by_weight:
        weight = total_weight(batch)
        p.cost = 0
        if options.penalty:
            if not barrier(p):          # another thread may still be in the previous step
                return 0
            if p.thread == 0:
                p.cost = options.penalty * sum_of_squared_weights(p.net)
    next_step(options, eta, weight, options.steps + 1, &w_step, &b_step)
    if batch.m <= SLICE and options.clip_norm == INFINITY:
        take_steps(&step, options, &w_step, &b_step, eta, weight, p.net.n_layers)
        sum_gradients(p, batch, &step)
    else:
        sum_into_arena(p, batch, options, <real>(1 / weight))
        step_from_arena(p, options, eta, weight, &w_step, &b_step)
    if options.max_norm < INFINITY and barrier(p):
        limit_norms(p, options)
    if options.by_weight:
        p.cost = before + batch.m / weight * p.cost
    return 0


cdef int step_from_arena(
    Pass* p, const OptimizerOptions* options, double eta, double weight,
    Step* w_step, Step* b_step,     # IN, OUT of the mini-batch; then of the last layer
) except -1 nogil:
    # An optimizer's step from the complete average gradient.
    cdef int l
    if options.clip_norm < INFINITY:
        clip_to_norm(p, options.clip_norm)
    if is_set(&p.team.barrier.stopped):
        return 0
    for l in range(p.net.n_layers):
        if has_rules(options):
            if is_frozen(options, l):
                continue
            next_step_of_layer(options, l, eta, weight, w_step, b_step)
        update_layer(p, l, w_step, b_step)
    return 0


cdef void update_layer(Pass* p, int l, const Step* w_step, const Step* b_step) noexcept nogil:
    # Take the steps from the sums, or add the sums if the steps are NULL.
    cdef const Layer* layer = &p.net.layers[l]
    if l == 0 and p.marks_touched:
        update_touched_rows(p, w_step)
    else:
        update_part(w_step, p.net.parameters + layer.w, p.sums + layer.w,
                    part(size_of_w(layer), LINE_BYTES // sizeof(real), p))
    if layer.biased:
        update_part(b_step, p.net.parameters + layer.b, p.sums + layer.b,
                    part(layer.J, LINE_BYTES // sizeof(real), p))


cdef void update_touched_rows(Pass* p, const Step* w_step) noexcept nogil:
    cdef const Layer* layer = &p.net.layers[0]
    cdef Range own = part(layer.K, 1, p), row
    cdef Py_ssize_t k
    for k in range(own.first, own.last):
        if p.touched[k // WORD] >> (k % WORD) & 1:
            row.first, row.last = k * layer.ld, (k + 1) * layer.ld
            update_part(w_step, p.net.parameters + layer.w, p.sums + layer.w, row)


cdef inline void update_part(
    const Step* step, real* w, real* g, Range own,
) noexcept nogil:
    if step == NULL:
        add_arena(w + own.first, g + own.first, own.last - own.first)
    else:
        update(step, w + own.first, 0, g + own.first, 0, 1, own.last - own.first)
    # The padding, too: after a divergence it may be NaN.
    memset(g + own.first, 0, vectors(own.last - own.first) * LANES * sizeof(real))


cdef bint is_weightless(const MiniBatch* batch) noexcept nogil:
    return batch.targets.weights != NULL and total_weight(batch) == 0


cdef int sgd(
    Pass* p, MiniBatch* batch,      # IN, OUT batch.first, batch.m
    OptimizerOptions* options, Py_ssize_t mini_batch_size,
    const double* eta,              # IN  one for each mini-batch
    Py_ssize_t last,
) except -1 nogil:
    # The mini-batches that begin in rows batch.first to last of the order. The last one of an epoch
    # may be shorter; the step then divides by its length.
    while batch.first < last and not p.team.oversubscribed:
        batch.m = min(mini_batch_size, batch.n - batch.first)
        take_step(p, batch, options, eta[0])
        if is_set(&p.team.barrier.stopped):
            break
        batch.first += batch.m
        eta += 1
    return 0
