# The steps of several processes that train one network, each with rows of its own.
#
# Each process sums the gradient over its rows of a mini-batch, and divides by the weight of the
# whole mini-batch. The sum over the processes is the average gradient, with which all of them take
# the same step. BP4 follows each layer's BP2 here, from the last layer to the first: no parameter
# changes before the step, and the sums of a layer are exchanged while those below it are computed.


cdef struct Share:              # this process's part of some mini-batches
    const Py_ssize_t* rows      # (steps + 1) where its rows of each begin in the order
    const Py_ssize_t* before    # (steps) how many rows of each other processes have before them
    const double* weights       # (steps) what the sums of each are divided by; 0: it takes no step
    Py_ssize_t steps
    Py_ssize_t done             # OUT how many were taken
    void* exchange              # a Python callable (l), or NULL: each process steps by itself
    real* sums                  # the arena that it exchanges


cdef enum:
    WHOLE_GRADIENT = -1         # to exchange: wait until the sums of all layers are there


cdef int exchange_layer(Pass* p, const Share* share, int l) except -1 nogil:
    # The sums of layer l are complete when all threads are here.
    if barrier(p) and p.thread == 0:
        call_exchange(p, share, l)
    return 0


cdef int call_exchange(Pass* p, const Share* share, int l) except -1 with gil:
    try:
        (<object>share.exchange)(l)
    except BaseException:
        set_flag(&p.team.barrier.stopped)
        raise
    return 0


cdef int backprop_by_layer(Pass* p, const Sink* into, const Share* share) except -1 nogil:
    # BP1 to BP4 for the last slice of the rows; the sums of each layer are then complete.
    cdef int l, last = p.net.n_layers - 1
    feedforward(p)
    output_error(p, into.step)                              # BP1
    for l in range(last, -1, -1):
        if not barrier(p):
            return 0
        if p.thread == 0 and l == last:
            p.cost += cost_of_slice(p)
        add_bias_gradient(p, l, into)                       # BP3
        add_weight_gradient(p, l, into)                     # BP4
        exchange_layer(p, share, l)
        if l > into.lowest:
            backpropagate_error(p, l - 1)                   # BP2
    return 0


cdef int sum_own_rows(
    Pass* p, const MiniBatch* batch, const Sink* into, const Share* share,
) except -1 nogil:
    cdef Py_ssize_t first = batch.first, end = batch.first + batch.m
    cdef Py_ssize_t max_rows = most_rows(p, batch)
    cdef int l
    while first < end:
        if not gather_slice(p, batch, first, min(max_rows, end - first)):
            return 0
        first += p.m
        if first < end:
            backprop(p, into)
        else:
            backprop_by_layer(p, into, share)
    if batch.m == 0:                    # the other processes wait for its zeros
        for l in range(p.net.n_layers - 1, -1, -1):
            exchange_layer(p, share, l)
    return 0


cdef int take_step_together(
    Pass* p, const MiniBatch* batch, OptimizerOptions* options, const Share* share,
    double eta, double weight,
) except -1 nogil:
    cdef Sink arena
    cdef Step w_step, b_step
    cdef Range own = part_of_arena(p)
    write_gradient(&arena, p.sums, <real>(1 / weight))
    leave_frozen_out(&arena, options, p.net.n_layers)
    if not barrier(p):          # another thread may still read the previous gradient
        return 0
    memset(p.sums + own.first, 0, (own.last - own.first) * sizeof(real))
    sum_own_rows(p, batch, &arena, share)
    exchange_layer(p, share, WHOLE_GRADIENT)
    if not barrier(p):
        return 0
    next_step(options, eta, weight, options.steps + 1, &w_step, &b_step)
    step_from_arena(p, options, eta, weight, &w_step, &b_step)
    if options.max_norm < INFINITY and barrier(p):
        limit_norms(p, options)
    return 0


cdef int sgd_together(
    Pass* p, MiniBatch* batch,  # OUT batch.first, batch.m
    OptimizerOptions* options, Share* share, const double* eta,
) except -1 nogil:
    cdef Py_ssize_t k
    for k in range(share.steps):
        if p.team.oversubscribed or is_set(&p.team.barrier.stopped):
            break
        batch.first, batch.m = share.rows[k], share.rows[k + 1] - share.rows[k]
        if p.noise != NULL:
            p.noise.step, p.noise.before = options.steps + 1, share.before[k]
        if share.weights[k] == 0:
            options.skipped_rows += batch.m
        elif share.exchange != NULL:
            take_step_together(p, batch, options, share, eta[k], share.weights[k])
            options.steps += 1
        elif batch.m > 0:
            take_step(p, batch, options, eta[k])
        if p.thread == 0:
            share.done = k + 1
    return 0
