# The chapter for networks that are lanes: feedforward, BP1 to BP4, as in chapter/backprop.pxi. A
# bias is a weight from a neuron that is always 1, so BP3 is the last column of BP4.


cdef inline const real* inputs_of_layer(const LanePass* p, int l) noexcept nogil:
    cdef const LaneLayer* below = &p.layers[l - 1]
    if l == 0:
        return p.x
    return below.a if below.masked == NULL else below.masked


cdef inline Py_ssize_t stride_of_inputs(const LanePass* p, int l) noexcept nogil:
    return p.ld_x if l == 0 else p.layers[l - 1].ld_a


cdef inline void multiply_either_way(LaneProduct* g) noexcept nogil:
    # The product of lanes is symmetrical: what is shorter becomes the columns.
    if g.rows < g.columns:
        g.rows, g.columns = g.columns, g.rows
        g.c_row, g.c_column = g.c_column, g.c_row
        g.a, g.b = g.b, g.a
        g.a_row, g.b_row = g.b_row, g.a_row
        g.a_step, g.b_step = g.b_step, g.a_step
    multiply_lanes(g)


cdef int feedforward_in_lanes(
    LanePass* p, const LaneOptimizer* optimizer, Py_ssize_t first, Py_ssize_t m,
) except -1 nogil:
    # a^l = sigma(w^l a^(l-1) + b^l), then dropout; `optimizer` is NULL without noise
    cdef int l
    cdef LaneLayer* layer
    for l in range(p.n_layers):
        layer = &p.layers[l]
        weighted_inputs_in_lanes(p, l, m)
        if layer.runs.kind == SOFTMAX:
            softmax_of_lanes(layer.a, layer.z, m, layer.J, layer.ld_a)
        else:
            activate(layer.runs, layer.n_runs, False, layer.a, layer.z, m, layer.J * LANES,
                     layer.ld_a)
        if layer.masked != NULL:
            drop_in_lanes(layer.masked, layer.a, optimizer, l + 1, first, m, layer.J, layer.ld_a)
    return 0


cdef void weighted_inputs_in_lanes(const LanePass* p, int l, Py_ssize_t m) noexcept nogil:
    # z^l = w^l a^(l-1) + b^l
    cdef LaneProduct g
    cdef const LaneLayer* layer = &p.layers[l]
    g.c, g.c_row, g.c_column = layer.z, layer.ld_a, LANES
    g.a, g.a_row, g.a_step = inputs_of_layer(p, l), stride_of_inputs(p, l), LANES
    g.b, g.b_row, g.b_step = p.w + layer.w, layer.ld, LANES
    g.rows, g.columns, g.depth, g.adds = m, layer.J, layer.K + layer.biased, False
    multiply_either_way(&g)


cdef int backpropagate_in_lanes(
    LanePass* p, const LaneOptimizer* optimizer, int l, Py_ssize_t first, Py_ssize_t m,
) except -1 nogil:
    # delta^l = ((w^(l+1))^T delta^(l+1)) * sigma'(z^l)
    cdef LaneProduct g
    cdef const LaneLayer* layer = &p.layers[l]
    cdef const LaneLayer* above = &p.layers[l + 1]
    g.c, g.c_row, g.c_column = layer.delta, layer.ld_a, LANES
    g.a, g.a_row, g.a_step = above.delta, above.ld_a, LANES
    g.b, g.b_row, g.b_step = p.w + above.w, LANES, above.ld
    g.rows, g.columns, g.depth, g.adds = m, layer.J, above.J, False
    multiply_either_way(&g)
    if layer.masked != NULL:
        drop_in_lanes(layer.delta, layer.delta, optimizer, l + 1, first, m, layer.J, layer.ld_a)
    if layer.runs.kind == SOFTMAX:
        softmax_jacobian_of_lanes(layer.delta, layer.a, m, layer.J, layer.ld_a)
        return 0
    return times_sigma_prime(layer.runs, layer.n_runs, False, layer.delta, layer.a, layer.z, m,
                             layer.J * LANES, layer.ld_a)


cdef void weight_gradient_in_lanes(
    const LanePass* p, int l, real* into, bint adds, Py_ssize_t m,
) noexcept nogil:
    # sum_x delta^l_j a^(l-1)_k, and the gradient of the biases as its last column
    cdef LaneProduct g
    cdef const LaneLayer* layer = &p.layers[l]
    g.c, g.c_row, g.c_column = into + layer.w, layer.ld, LANES
    g.a, g.a_row, g.a_step = layer.delta, LANES, layer.ld_a
    g.b, g.b_row, g.b_step = inputs_of_layer(p, l), LANES, stride_of_inputs(p, l)
    g.rows, g.columns, g.depth, g.adds = layer.J, layer.K + layer.biased, m, adds
    multiply_either_way(&g)


cdef int backprop_in_lanes(
    LanePass* p, const LaneOptimizer* optimizer,
    real* into, bint adds,      # the arena, and whether the gradients are added to it
    vec step, Py_ssize_t first, Py_ssize_t m, bint weighted,
) except -1 nogil:
    # The errors of a layer are needed before its BP4 changes the weights.
    cdef int l
    feedforward_in_lanes(p, optimizer, first, m)
    output_error_of_lanes(p, m)
    add_costs(p, weighted, m)
    scale_errors(p, step, weighted, m)
    for l in range(p.n_layers - 1, -1, -1):
        if l > 0:
            backpropagate_in_lanes(p, optimizer, l - 1, first, m)
        weight_gradient_in_lanes(p, l, into, adds, m)
    return 0


# ---- dropout and noise: each network draws what it would draw alone ----

cdef inline void lane_keys(
    vec_uint32* low, vec_uint32* high, const LaneOptimizer* optimizer, int layer,
) noexcept nogil:
    cdef int k
    cdef uint64_t key
    for k in range(LANES):
        key = key_of(optimizer.noise[k], optimizer.steps[k] + 1, layer)
        (<uint32_t*>low)[k], (<uint32_t*>high)[k] = <uint32_t>key, <uint32_t>(key >> 32)


cdef void drop_in_lanes(
    real* out, const real* a, const LaneOptimizer* optimizer, int layer,
    Py_ssize_t first, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # As `apply_dropout`.
    cdef vec_uint32 low, high
    cdef vec scale, limit
    cdef Py_ssize_t i, j, at
    cdef real rate
    cdef int k
    lane_keys(&low, &high, optimizer, layer)
    for k in range(LANES):
        rate = optimizer.noise[k].rates[layer]
        (<real*>&scale)[k], (<real*>&limit)[k] = 1 / (1 - rate), rate * 16777216
    for i in range(m):
        for j in range(J):
            at = i * ld + j * LANES
            store(out + at, load(a + at) * select_lanes(
                less(uniform_of_keys(low, high, <uint64_t>((first + i) * J + j)), limit),
                splat(0), scale))


cdef void corrupt_inputs_in_lanes(
    LanePass* p, const LaneOptimizer* optimizer, Py_ssize_t first, Py_ssize_t m,
) noexcept nogil:
    # As `corrupt_inputs`.
    cdef vec_uint32 low, high
    cdef vec deviation, u
    cdef Py_ssize_t i, j, at, K = p.layers[0].K
    cdef int k
    if optimizer.adds_noise:
        lane_keys(&low, &high, optimizer, -1)
        for k in range(LANES):
            (<real*>&deviation)[k] = optimizer.noise[k].deviation * <real>1.4142135623730951
        for i in range(m):
            for j in range(K):
                at = i * p.ld_x + j * LANES
                u = normal_of(uniform_of_keys(low, high, <uint64_t>((first + i) * K + j)))
                store(p.x + at, load(p.x + at) + deviation * u)
    if optimizer.drops_inputs:
        drop_in_lanes(p.x, p.x, optimizer, 0, first, m, K, p.ld_x)
