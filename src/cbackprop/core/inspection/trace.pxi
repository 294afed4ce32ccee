# What the passes leave behind, for cbackprop.inspect.


cdef int forward_slice(
    const Network* net, Batch* batch, const RowArray* rows, Py_ssize_t first, Py_ssize_t m,
) except -1 nogil:
    share_examples(net, batch, m)
    gather_rows(net, batch, rows, NULL, first, rows.n)
    feedforward(net, batch)
    return look_for_signals(net, batch)


cdef void gather_slice_targets(
    const Network* net, Batch* batch, const TargetArray* targets, Py_ssize_t first,
) noexcept nogil:
    cdef Signals* at = output_of(net, batch)
    gather_targets(batch.y, at.by_example, at.by_neuron, targets, NULL, first, batch.m,
                   net.layers[net.n_layers - 1].J)
    batch.weighted = False


cdef inline Signals* output_of(const Network* net, Batch* batch) noexcept nogil:
    return &batch.mine[net.n_layers - 1]


cdef int find_errors(
    const Network* net, Batch* batch, const RowArray* rows, const TargetArray* targets,
    Py_ssize_t first, Py_ssize_t m,
) except -1 nogil:
    # (25), BP1 and BP2 for a slice, every example's for itself
    cdef int l, last = net.n_layers - 1
    forward_slice(net, batch, rows, first, m)
    gather_slice_targets(net, batch, targets, first)
    output_error(&batch.mine[last], &net.layers[last], net, batch, 1)
    for l in range(last - 1, -1, -1):
        backpropagate_error(&batch.mine[l], &net.layers[l], &net.layers[l + 1], net, batch)
    return look_for_signals(net, batch)


cdef int slopes(Signals* at, const Layer* layer) except -1 nogil:
    # delta = sigma'(z); of softmax a_j (1 - a_j), what its own z does to a neuron
    cdef Py_ssize_t i
    for i in range(at.rows * at.ld):
        at.delta[i] = 1
    if layer.runs[0].kind == SOFTMAX:
        sigma_prime_rows(SIGMOID, layer.runs, False, at.delta, at.a, at.z, at.rows, at.columns,
                         at.ld)
        return 0
    return times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                             at.rows, at.columns, at.ld)


cdef examples_of(const real* a, const Signals* at, Py_ssize_t m, Py_ssize_t J):
    out = np.empty((m, J), dtype=REAL)
    cdef real[:, ::1] to = out
    copy_examples(&to[0, 0], a, at, m, J)
    return out


def trace(Core core not None, Rows rows not None, Targets targets=None):
    """
    What one pass over at most SLICE rows leaves behind, each example counted once.

    Parameters
    ----------
    core : Core
    rows : Rows
    targets : Targets, optional
        Without, there is no way back: no delta, and nothing in nabla and cost.

    Returns
    -------
    signals : dict of lists of arrays (n, sizes[l]), for each layer but the inputs
        z, a, sigma_prime, delta. sigma_prime of softmax is the diagonal of its Jacobian.
    nabla : arena
        The sum of the examples' gradients.
    cost : float
        The sum of their costs.
    """
    cdef Py_ssize_t n = rows.array.n
    if n > SLICE:
        raise ValueError(f"trace takes at most {SLICE} rows, got {n}")
    core.admit(rows, targets)
    cdef Scratch scratch = Scratch(core, n, True, False, False, 1, traces=True)
    cdef const Network* net = &core.net
    cdef Batch* batch = scratch.batch
    cdef Layer* layer
    cdef Signals* at
    cdef int l
    cdef double cost = 0
    nabla = aligned(net.size)
    cdef real[::1] to = nabla
    batch.training = True
    with nogil:
        if targets is None:
            forward_slice(net, batch, &rows.array, 0, n)
        else:
            find_errors(net, batch, &rows.array, &targets.array, 0, n)
            cost = weighted_costs(output_of(net, batch), &net.cost,
                                  &net.layers[net.n_layers - 1], batch)
    signals = {"z": [], "a": [], "sigma_prime": [], "delta": []}
    for l in range(net.n_layers):
        layer, at = &net.layers[l], &batch.mine[l]
        signals["z"].append(examples_of(at.z, at, n, layer.J))
        signals["a"].append(examples_of(at.a, at, n, layer.J))
        if targets is not None:
            signals["delta"].append(examples_of(at.delta, at, n, layer.J))
            add_nabla_b(&to[layer.b], at, layer, all_neurons(layer))
            if l == 0 and net.scale != 1:
                scale_rows(at.delta, net.scale, at.rows, at.columns, at.ld)
            add_nabla_w(&to[layer.w], at, layer, batch, neurons_of(net, batch, l))
        slopes(at, layer)
        signals["sigma_prime"].append(examples_of(at.delta, at, n, layer.J))
    return signals, nabla, cost
