# The intermediate values of a pass, for cbackprop.inspect.


cdef int forward_slice(
    Pass* p, const RowArray* rows, Py_ssize_t first, Py_ssize_t m,
) except -1 nogil:
    share_examples(p, m)
    gather_rows(p, rows, NULL, first, rows.n)
    return feedforward(p)


cdef int find_errors(
    Pass* p, const RowArray* rows, const TargetArray* targets, Py_ssize_t first, Py_ssize_t m,
) except -1 nogil:
    # (25), BP1 and BP2 for a slice, each example counted once
    cdef int l
    forward_slice(p, rows, first, m)
    gather_own_targets(p, targets, NULL, first)
    p.weighted = False
    output_error(p, 1)
    for l in range(p.net.n_layers - 2, -1, -1):
        backpropagate_error(p, l)
    return 0


cdef int fill_sigma_prime(LayerState* at, const Layer* layer) except -1 nogil:
    # delta = sigma'(z). For softmax, a_j (1 - a_j), the diagonal of its Jacobian.
    cdef Py_ssize_t i
    for i in range(at.rows * at.ld):
        at.delta[i] = 1
    if layer.runs[0].kind == SOFTMAX:
        sigma_prime_rows(SIGMOID, layer.runs, False, at.delta, at.a, at.z, at.rows, at.columns,
                         at.ld)
        return 0
    return times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                             at.rows, at.columns, at.ld)


cdef examples_of(const real* a, const LayerState* at, Py_ssize_t m, Py_ssize_t J):
    out = np.empty((m, J), dtype=REAL)
    cdef real[:, ::1] to = out
    copy_examples(&to[0, 0], a, at, m, J)
    return out


cdef Workspace own_workspace(Core core, Py_ssize_t rows, bint traces):
    # Not from the pool, because a workspace for one thread has own = layers.
    cdef Needs needs
    memset(&needs, 0, sizeof(needs))
    needs.rows, needs.threads = rows, 1
    needs.training = needs.expands = True
    needs.traces = traces
    cdef Workspace workspace = new_workspace(&core.net, &needs)
    workspace.passes.training = True
    return workspace


def trace(Core core not None, Rows rows not None, Targets targets=None):
    """
    Return the intermediate values of a pass over at most SLICE rows, each example counted once.

    Parameters
    ----------
    core : Core
    rows : Rows
    targets : Targets, optional
        Without targets there is no backward pass: `delta` is empty, nabla and cost are 0.

    Returns
    -------
    signals : dict of lists of arrays (n, sizes[l]), one for each layer except the inputs
        z, a, sigma_prime, delta. For softmax, sigma_prime is the diagonal of the Jacobian.
    nabla : arena
        The sum of the examples' gradients.
    cost : float
        The sum of their costs.
    """
    cdef Py_ssize_t n = rows.array.n
    if n > SLICE:
        raise ValueError(f"trace takes at most {SLICE} rows, got {n}")
    core.check_examples(rows, targets)
    cdef Workspace workspace = own_workspace(core, n, True)
    cdef const Network* net = &core.net
    cdef Pass* p = workspace.passes
    cdef Layer* layer
    cdef LayerState* at
    cdef int l
    cdef double cost = 0
    nabla = aligned(net.size)
    cdef real[::1] to = nabla
    cdef Sink into
    write_gradient(&into, &to[0], 1)
    with nogil:
        if targets is None:
            forward_slice(p, &rows.array, 0, n)
        else:
            find_errors(p, &rows.array, &targets.array, 0, n)
            cost = cost_of_slice(p)
    signals = {"z": [], "a": [], "sigma_prime": [], "delta": []}
    for l in range(net.n_layers):
        layer, at = &net.layers[l], &p.own[l]
        signals["z"].append(examples_of(at.z, at, n, layer.J))
        signals["a"].append(examples_of(at.a, at, n, layer.J))
        if targets is not None:
            signals["delta"].append(examples_of(at.delta, at, n, layer.J))
            add_bias_gradient(p, l, &into)
            add_weight_gradient(p, l, &into)
        fill_sigma_prime(at, layer)
        signals["sigma_prime"].append(examples_of(at.delta, at, n, layer.J))
    return signals, nabla, cost
