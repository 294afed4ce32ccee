# Derivatives by the inputs, of the cost and of the outputs.


cdef void input_error(const Network* net, Batch* batch) noexcept nogil:
    # (w^1)^T delta^1, into batch.x, whose rows have done their part
    cdef Signals[2] pair
    cdef Range inputs
    pair[0].delta, pair[0].ld = batch.x, batch.ld_x
    pair[0].rows, pair[0].columns = batch.m, net.layers[0].K
    pair[1] = batch.mine[0]
    inputs.first, inputs.last = 0, net.layers[0].K
    weighted_error(&pair[0], &net.layers[0], net, batch, inputs, False)


def input_gradient(Core core not None, Rows rows not None, Targets targets not None):
    """dC_x/dx, (n, sizes[0]), each example's own, but for the scale of the inputs."""
    core.admit(rows, targets)
    cdef Py_ssize_t n = rows.array.n, K = core.net.layers[0].K, first = 0, i
    cdef Scratch scratch = core.scratch(n, True)
    cdef Batch* batch = scratch.batch
    out = np.empty((n, K), dtype=REAL)
    cdef real[:, ::1] to = out
    with nogil:
        while first < n:
            find_errors(&core.net, batch, &rows.array, &targets.array, first,
                        min(<Py_ssize_t>SLICE, n - first))
            input_error(&core.net, batch)
            for i in range(batch.m):
                memcpy(&to[first + i, 0], batch.x + i * batch.ld_x, K * sizeof(real))
            first += batch.m
    core.give_back(scratch)
    return out


cdef int backpropagate_units(
    const Network* net, Batch* batch, Py_ssize_t copies, Py_ssize_t k,
) except -1 nogil:
    # As delta for the "cost" a_k; where an example has several rows, a_k, a_k+1, ...
    cdef int l, last = net.n_layers - 1
    cdef Layer* layer = &net.layers[last]
    cdef Signals* at = &batch.mine[last]
    cdef Py_ssize_t i
    memset(at.delta, 0, at.rows * at.ld * sizeof(real))
    for i in range(batch.m):
        if k + i % copies < layer.J:
            at.delta[i * at.by_example + (k + i % copies) * at.by_neuron] = 1
    times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z, at.rows,
                      at.columns, at.ld)
    for l in range(last - 1, -1, -1):
        backpropagate_error(&batch.mine[l], &net.layers[l], &net.layers[l + 1], net, batch)
    input_error(net, batch)
    return look_for_signals(net, batch)


def jacobian(Core core not None, Rows rows not None):
    """
    da^L_k/dx_i, (n, sizes[-1], sizes[0]), but for the scale of the inputs.

    One way back for each output. Few examples take several rows each, with an output in each, for a
    product of few rows is slow.
    """
    core.admit(rows)
    cdef const Network* net = &core.net
    cdef Py_ssize_t n = rows.array.n, K = net.layers[0].K, J = net.layers[net.n_layers - 1].J
    cdef Py_ssize_t most = max(<Py_ssize_t>1, min(n, <Py_ssize_t>SLICE))
    cdef Py_ssize_t copies = min(J, max(<Py_ssize_t>1, PACK_ROWS // most))
    cdef Scratch scratch = core.scratch(most * copies, True)
    cdef Batch* batch = scratch.batch
    cdef const Py_ssize_t[::1] order = np.repeat(np.arange(n), copies)
    cdef Py_ssize_t first = 0, i, k
    out = np.empty((n, J, K), dtype=REAL)
    cdef real[:, :, ::1] to = out
    with nogil:
        while first < n:
            share_examples(net, batch, min(most, n - first) * copies)
            batch.sparse = False
            gather(batch.mine[0].a_prev, batch.x, batch.ld_x, &rows.array, &order[0],
                   first * copies, batch.m, net.scales, False)
            feedforward(net, batch)
            for k in range((J + copies - 1) // copies):
                k *= copies
                backpropagate_units(net, batch, copies, k)
                for i in range(batch.m):
                    if k + i % copies < J:
                        memcpy(&to[first + i // copies, k + i % copies, 0],
                               batch.x + i * batch.ld_x, K * sizeof(real))
            first += batch.m // copies
    core.give_back(scratch)
    return out
