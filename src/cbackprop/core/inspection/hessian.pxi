# ---- Hessian times vector: Pearlmutter's R-operator ----
#
# R{f} is the derivative of f in the direction v of the parameters. R{f} has the layout of f: the
# pass s holds z, a and delta; a second pass, r, holds R{z}, R{a} and R{delta}. R is 0 for inputs.


cdef void add_weighted(
    Pass* r, LayerState* to, int l,     # IN, OUT to.z  + w^l R{a^(l-1)}
) noexcept nogil:
    cdef LayerProduct product
    cdef const Layer* layer = &r.net.layers[l]
    cdef Product* dense = &product.dense
    cdef real* w = r.net.parameters + layer.w
    if layer.narrow:
        add_dot_products(to.z, to.ld, w, layer.ld, (to - 1).handed_on, (to - 1).ld, to.rows,
                         to.columns, layer.K)
        return
    begin_product(&product, r)
    dense.c = dense.initial = to.z
    dense.ldc = dense.ld_initial = to.ld
    dense.depth, dense.n_rows, dense.columns = layer.K, to.rows, to.columns
    dense.n_rows_total = to.rows
    dense.rows, dense.b, dense.ldb = to.a_prev, w, layer.ld
    compute(&product)


cdef int r_feedforward(
    Pass* r,                    # OUT R{z}, R{a}
    Pass* s,                    # IN  z, a
    Pass* s_v,                  # IN  s, with v in place of the parameters
) except -1 nogil:
    # R{z^l} = v_w a^(l-1) + v_b + w R{a^(l-1)}
    # R{a^l} = sigma'(z^l) R{z^l}; for softmax, the Jacobian, which is symmetric, times R{z}
    cdef int l
    cdef const Layer* layer
    cdef LayerState* at
    cdef LayerState* to
    cdef LayerState[2] into
    for l in range(s.net.n_layers):
        layer, at, to = &s.net.layers[l], &s.own[l], &r.own[l]
        to.rows, to.columns = at.rows, at.columns
        into[0], into[1] = s.own[max(l - 1, 0)], at[0]      # the first layer reads only its own
        into[1].z = to.z
        weighted_input(s_v, &into[1], l, all_neurons(layer))
        if l > 0:
            add_weighted(r, to, l)
        memcpy(to.a, to.z, at.rows * at.ld * sizeof(real))
        times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, to.a, at.a, at.z, at.rows,
                          at.columns, at.ld)
    return 0


cdef int r_output_error(
    Pass* r,                    # OUT R{delta}
    Pass* s,                    # OUT delta; IN a, z
    real step,
) except -1 nogil:
    # R of BP1 and (37), including the two pairs that have one formula
    cdef const Network* net = s.net
    cdef const Layer* layer = &net.layers[net.n_layers - 1]
    cdef LayerState* at = &s.own[net.n_layers - 1]
    cdef LayerState* to = &r.own[net.n_layers - 1]
    cdef CostKind cost = net.cost.kind
    cdef ActivationKind kind = layer.runs[0].kind
    cdef Cost quadratic
    if layer.n_runs == 1 and kind == SIGMOID and cost == CROSS_ENTROPY:
        output_error(s, step)
        quadratic.kind, quadratic.parameters[0] = QUADRATIC, 0
        return cost_curvature(&quadratic, to.delta, at.a, to.a, s.y, step, at.rows, at.columns,
                              at.ld)
    if kind == SOFTMAX and (cost == LOG_LIKELIHOOD or cost == KL_DIVERGENCE):
        output_error(s, step)
        times_sums_of_targets(to.delta, to.a, s.y, step, at.rows, at.columns, at.ld)
        return 0
    cost_gradient(&net.cost, at.delta, at.a, s.y, step, at.rows, at.columns, at.ld)
    cost_curvature(&net.cost, to.delta, at.a, to.a, s.y, step, at.rows, at.columns, at.ld)
    return r_sigma_prime(to, at, layer)


cdef int r_sigma_prime(
    LayerState* to,             # IN, OUT R{dC/da}; then R{delta}: R{dC/da} sigma' + dC/da R{sigma'}
    LayerState* at,             # IN, OUT dC/da; then delta
    const Layer* layer,
) except -1 nogil:
    times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, to.delta, at.a, at.z, at.rows,
                      at.columns, at.ld)
    add_curvature(layer.runs, layer.n_runs, layer.narrow, to.delta, at.delta, to.z, to.a, at.a,
                  at.z, at.rows, at.columns, at.ld)
    return times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z, at.rows,
                             at.columns, at.ld)


cdef void weighted_error_alone(Pass* p, LayerState* at, int l) noexcept nogil:
    # As weighted_error, but never multiplied by relu'(z).
    cdef LayerProduct product
    weighted_error_operands(&product, p, at, l, all_neurons(&p.net.layers[l]), False)
    compute(&product)


cdef int r_backpropagate_error(Pass* r, Pass* s, Pass* s_v, int l) except -1 nogil:
    # R of BP2, before sigma': v_w^T delta^(l+1) + w^T R{delta^(l+1)}
    cdef LayerState* at = &s.own[l]
    cdef LayerState* to = &r.own[l]
    cdef Py_ssize_t i
    weighted_error_alone(s_v, at, l)
    weighted_error_alone(r, to, l)
    for i in range(at.rows * at.ld // LANES):
        store(to.delta + i * LANES, load(to.delta + i * LANES) + load(at.delta + i * LANES))
    weighted_error_alone(s, at, l)
    return r_sigma_prime(to, at, &s.net.layers[l])


cdef void r_gradient(
    real* nabla,                # IN, OUT an arena
    Pass* r, Pass* s,
) noexcept nogil:
    # R of BP3 and BP4: R{delta}, and R{delta} a^T + delta R{a}^T
    cdef int l
    cdef LayerState* at
    cdef LayerState* to
    cdef Sink into
    write_gradient(&into, nabla, 1)
    for l in range(s.net.n_layers):
        at, to = &s.own[l], &r.own[l]
        at.delta, to.delta = to.delta, at.delta
        at.delta_rows, to.delta_rows = to.delta_rows, at.delta_rows
        add_bias_gradient(s, l, &into)
        add_weight_gradient(s, l, &into)
        if l > 0:
            add_weight_gradient(r, l, &into)
        at.delta, to.delta = to.delta, at.delta
        at.delta_rows, to.delta_rows = to.delta_rows, at.delta_rows


def hessian_vector(
    Core core not None, Rows rows not None, Targets targets not None, direction, nabla,
):
    """Add the Hessian of the mean cost, times the arena `direction`, to an arena of zeros."""
    core.check_examples(rows, targets)
    cdef const real[::1] along = numeric_array(direction)
    cdef real[::1] to_arena = numeric_array(nabla)
    core.check_arena(along)
    core.check_arena(to_arena)
    cdef Py_ssize_t n = rows.array.n, first = 0
    cdef Workspace at = own_workspace(core, min(n, <Py_ssize_t>SLICE), False)
    cdef Workspace to = own_workspace(core, min(n, <Py_ssize_t>SLICE), True)
    cdef Pass* s = at.passes
    cdef Pass* r = to.passes
    cdef Pass s_v
    cdef Network v = core.net
    cdef int l
    cdef real step = <real>(1.0 / n)
    v.parameters = <real*>&along[0]
    with nogil:
        while first < n:
            forward_slice(s, &rows.array, first, min(<Py_ssize_t>SLICE, n - first))
            gather_own_targets(s, &targets.array, NULL, first)
            s.weighted = False
            share_examples(r, s.m)
            r.sparse = False
            s_v = s[0]
            s_v.net = &v
            r_feedforward(r, s, &s_v)
            r_output_error(r, s, step)
            for l in range(core.net.n_layers - 2, -1, -1):
                r_backpropagate_error(r, s, &s_v, l)
                poll_signals(s, core.net.size)
            r_gradient(&to_arena[0], r, s)
            first += s.m
