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
