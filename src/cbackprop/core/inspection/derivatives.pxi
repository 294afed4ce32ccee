# Derivatives of the cost and of the outputs with respect to the inputs.


cdef void input_error(Pass* p) noexcept nogil:
    # (w^1)^T delta^1: BP2 for a layer 0 without sigma'. It overwrites p.x, which is no longer
    # needed.
    cdef LayerState[2] pair
    cdef LayerProduct product
    cdef Range inputs
    pair[0].delta, pair[0].ld = p.x, p.ld_x
    pair[0].rows, pair[0].columns = p.m, p.net.layers[0].K
    pair[1] = p.own[0]
    inputs.first, inputs.last = 0, p.net.layers[0].K
    weighted_error_operands(&product, p, pair, -1, inputs, False)
    compute(&product)


def input_gradient(Core core not None, Rows rows not None, Targets targets not None):
    """Return dC_x/dx (n, sizes[0]) of each example, without the factor of the inputs' scale."""
    core.check_examples(rows, targets)
    cdef Py_ssize_t n = rows.array.n, K = core.net.layers[0].K, first = 0, i
    cdef Workspace workspace = core.workspace(n, True)
    cdef Pass* p = workspace.passes
    out = np.empty((n, K), dtype=REAL)
    cdef real[:, ::1] to = out
    with nogil:
        while first < n:
            find_errors(p, &rows.array, &targets.array, first,
                        min(<Py_ssize_t>SLICE, n - first))
            input_error(p)
            for i in range(p.m):
                memcpy(&to[first + i, 0], p.x + i * p.ld_x, K * sizeof(real))
            first += p.m
    core.release(workspace)
    return out


cdef int backpropagate_units(Pass* p, Py_ssize_t copies, Py_ssize_t k) except -1 nogil:
    # Compute delta for the "cost" a_k. If an example has several rows: a_k, a_k+1, ...
    cdef int l, last = p.net.n_layers - 1
    cdef Layer* layer = &p.net.layers[last]
    cdef LayerState* at = &p.own[last]
    cdef Py_ssize_t i
    memset(at.delta, 0, at.rows * at.ld * sizeof(real))
    for i in range(p.m):
        if k + i % copies < layer.J:
            at.delta[i * at.example_stride + (k + i % copies) * at.neuron_stride] = 1
    times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z, at.rows,
                      at.columns, at.ld)
    for l in range(last - 1, -1, -1):
        backpropagate_error(p, l)
    input_error(p)
    return 0


def jacobian(Core core not None, Rows rows not None):
    """
    Return da^L_k/dx_i (n, sizes[-1], sizes[0]), without the factor of the inputs' scale.

    Each output takes one backward pass. If there are few examples, each has several rows, one for
    each of several outputs, because a product of few rows is slow.
    """
    core.check_examples(rows)
    cdef const Network* net = &core.net
    cdef Py_ssize_t n = rows.array.n, K = net.layers[0].K, J = net.layers[net.n_layers - 1].J
    cdef Py_ssize_t max_rows = max(<Py_ssize_t>1, min(n, <Py_ssize_t>SLICE))
    cdef Py_ssize_t copies = min(J, max(<Py_ssize_t>1, PACK_ROWS // max_rows))
    cdef Workspace workspace = core.workspace(max_rows * copies, True)
    cdef Pass* p = workspace.passes
    cdef const Py_ssize_t[::1] order = np.repeat(np.arange(n), copies)
    cdef Py_ssize_t first = 0, i, k
    out = np.empty((n, J, K), dtype=REAL)
    cdef real[:, :, ::1] to = out
    with nogil:
        while first < n:
            share_examples(p, min(max_rows, n - first) * copies)
            p.sparse = False
            gather(p.own[0].a_prev, p.x, p.ld_x, &rows.array, &order[0],
                   first * copies, p.m, net.scales, False)
            feedforward(p)
            for k in range((J + copies - 1) // copies):
                k *= copies
                backpropagate_units(p, copies, k)
                for i in range(p.m):
                    if k + i % copies < J:
                        memcpy(&to[first + i // copies, k + i % copies, 0],
                               p.x + i * p.ld_x, K * sizeof(real))
            first += p.m // copies
    core.release(workspace)
    return out
