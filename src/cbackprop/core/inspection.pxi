# What the passes leave behind, and what else follows from them: for cbackprop.inspect.

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


# ---- derivatives by the inputs ----

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


# ---- Hessian times vector: Pearlmutter's R-operator ----
#
# R{f} is the derivative of f in the direction v of the parameters. Every R has the layout of what
# it is of: a scratch of its own, r, holds R{z}, R{a}, R{delta} beside z, a, delta in s. R of the
# inputs is 0.

cdef void add_weighted(
    real* z,                    # IN, OUT (m, J)  + w a^(l-1)
    const Signals* at, const Layer* layer, const Network* net, Batch* batch,
) noexcept nogil:
    cdef Product product
    cdef real* w = net.parameters + layer.w
    if layer.narrow:
        add_dot_products(z, at.ld, w, layer.ld, (at - 1).out, (at - 1).ld, at.rows, at.columns,
                         layer.K)
        return
    begin_product(&product, batch)
    product.c = product.start = z
    product.ldc = product.ld_start = at.ld
    product.depth, product.n_rows, product.columns = layer.K, at.rows, at.columns
    product.rows_in_all = at.rows
    product.rows, product.b, product.ldb = at.a_prev, w, layer.ld
    multiply(&product)


cdef int r_feedforward(
    Batch* r,                   # OUT R{z}, R{a}
    Batch* s,                   # IN  z, a
    const Network* net, const Network* v,
) except -1 nogil:
    # R{z^l} = v_w a^(l-1) + v_b + w R{a^(l-1)}
    # R{a^l} = sigma'(z^l) R{z^l}; of softmax its Jacobian, which is symmetric, times R{z}
    cdef int l
    cdef Layer* layer
    cdef Signals* at
    cdef Signals* to
    cdef Signals[2] into
    for l in range(net.n_layers):
        layer, at, to = &v.layers[l], &s.mine[l], &r.mine[l]
        to.rows, to.columns = at.rows, at.columns
        if l > 0:
            into[0] = (at - 1)[0]
        into[1] = at[0]
        into[1].z = to.z
        weighted_input(&into[1], layer, v, s, all_neurons(layer))
        if l > 0:
            add_weighted(to.z, to, layer, net, r)
        memcpy(to.a, to.z, at.rows * at.ld * sizeof(real))
        times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, to.a, at.a, at.z, at.rows,
                          at.columns, at.ld)
    return 0


cdef int r_output_error(
    Signals* to,                # OUT R{delta}
    Signals* at,                # OUT delta; IN a, z
    const Layer* layer, const Network* net, Batch* batch, real step,
) except -1 nogil:
    # R of BP1 (37); of its two pairs that cancel, too
    cdef Cost cost = net.cost.kind
    cdef Activation kind = layer.runs[0].kind
    cdef CostFunction quadratic
    if layer.n_runs == 1 and kind == SIGMOID and cost == CROSS_ENTROPY:
        output_error(at, layer, net, batch, step)
        quadratic.kind, quadratic.p = QUADRATIC, 0
        return cost_curvature(&quadratic, to.delta, at.a, to.a, batch.y, step, at.rows, at.columns,
                              at.ld)
    if kind == SOFTMAX and (cost == LOG_LIKELIHOOD or cost == KL_DIVERGENCE):
        output_error(at, layer, net, batch, step)
        times_sums_of_targets(to.delta, to.a, batch.y, step, at.rows, at.columns, at.ld)
        return 0
    cost_gradient(&net.cost, at.delta, at.a, batch.y, step, at.rows, at.columns, at.ld)
    cost_curvature(&net.cost, to.delta, at.a, to.a, batch.y, step, at.rows, at.columns, at.ld)
    return r_sigma_prime(to, at, layer)


cdef int r_sigma_prime(
    Signals* to,                # IN, OUT R{dC/da}; then R{delta}: R{dC/da} sigma' + dC/da R{sigma'}
    Signals* at,                # IN, OUT dC/da; then delta
    const Layer* layer,
) except -1 nogil:
    times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, to.delta, at.a, at.z, at.rows,
                      at.columns, at.ld)
    add_curvature(layer.runs, layer.n_runs, layer.narrow, to.delta, at.delta, to.z, to.a, at.a,
                  at.z, at.rows, at.columns, at.ld)
    return times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z, at.rows,
                             at.columns, at.ld)


cdef int r_backpropagate_error(
    Batch* r, Batch* s, int l, const Network* net, const Network* v,
) except -1 nogil:
    # R of BP2, before sigma': v_w^T delta^(l+1) + w^T R{delta^(l+1)}
    cdef Signals* at = &s.mine[l]
    cdef Signals* to = &r.mine[l]
    cdef Range neurons = all_neurons(&net.layers[l])
    cdef Layer* next_layer = &net.layers[l + 1]
    cdef Py_ssize_t i
    weighted_error(at, next_layer, v, s, neurons, False)
    weighted_error(to, next_layer, net, r, neurons, False)
    for i in range(at.rows * at.ld // LANES):
        store(to.delta + i * LANES, load(to.delta + i * LANES) + load(at.delta + i * LANES))
    weighted_error(at, next_layer, net, s, neurons, False)
    return r_sigma_prime(to, at, &net.layers[l])


cdef void r_gradient(
    real* nabla,                # IN, OUT an arena
    Batch* r, Batch* s, const Network* net,
) noexcept nogil:
    # R of BP3 and BP4: R{delta}, and R{delta} a^T + delta R{a}^T
    cdef int l
    cdef Layer* layer
    cdef Signals* at
    cdef Signals* to
    for l in range(net.n_layers):
        layer, at, to = &net.layers[l], &s.mine[l], &r.mine[l]
        at.delta, to.delta = to.delta, at.delta
        at.delta_rows, to.delta_rows = to.delta_rows, at.delta_rows
        add_nabla_b(nabla + layer.b, at, layer, all_neurons(layer))
        if l == 0 and net.scale != 1:
            scale_rows(at.delta, net.scale, at.rows, at.columns, at.ld)
        add_nabla_w(nabla + layer.w, at, layer, s, neurons_of(net, s, l))
        if l > 0:
            add_nabla_w(nabla + layer.w, to, layer, r, neurons_of(net, r, l))
        at.delta, to.delta = to.delta, at.delta
        at.delta_rows, to.delta_rows = to.delta_rows, at.delta_rows


def hessian_vector(
    Core core not None, Rows rows not None, Targets targets not None, direction, nabla,
):
    """Add the Hessian of the mean cost times an arena, `direction`, to an arena of zeros."""
    core.admit(rows, targets)
    cdef const real[::1] along = of_numbers(direction)
    cdef real[::1] to_arena = of_numbers(nabla)
    core.admit_arena(along)
    core.admit_arena(to_arena)
    cdef Py_ssize_t n = rows.array.n, first = 0, i
    cdef Scratch at = Scratch(core, min(n, <Py_ssize_t>SLICE), True, False, False, 1)
    cdef Scratch to = Scratch(core, min(n, <Py_ssize_t>SLICE), True, False, False, 1, traces=True)
    cdef Batch* s = at.batch
    cdef Batch* r = to.batch
    cdef Signals* output = output_of(&core.net, s)
    cdef const Network* net = &core.net
    cdef Network v = core.net
    cdef int l, last = net.n_layers - 1
    cdef Layer* layer = &net.layers[last]
    cdef real step = <real>(1.0 / n)
    v.parameters = <real*>&along[0]
    s.training = r.training = True
    with nogil:
        while first < n:
            forward_slice(net, s, &rows.array, first, min(<Py_ssize_t>SLICE, n - first))
            gather_slice_targets(net, s, &targets.array, first)
            share_examples(net, r, s.m)
            r_feedforward(r, s, net, &v)
            r_output_error(output_of(net, r), output, layer, net, s, step)
            for l in range(last - 1, -1, -1):
                r_backpropagate_error(r, s, l, net, &v)
                look_for_signals(net, s)
            r_gradient(&to_arena[0], r, s, net)
            first += s.m
