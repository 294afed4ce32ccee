# Chapter 2: feedforward (25) and the four equations. `cbackprop.chapter2` is the same chapter in
# plain loops, under the same names.
#
# `p` is a slice of a mini-batch on its way through the network, as one thread sees it. `at` is what
# the slice leaves in a layer: z, a and delta of its examples. A product is shared among threads by
# neurons, and finds its operands in engine/products.pxi.


cdef int feedforward(Pass* p) except -1 nogil:
    # (25)  a^l = sigma(w^l a^(l-1) + b^l)
    cdef int l
    for l in range(p.net.n_layers):
        if not share_by_neurons(p, l, l, weighted_input):
            return 0                    # another thread has stopped
        activate_layer(p, l)            # a^l = sigma(z^l)
    return 0


cdef inline void weighted_input(Pass* p, LayerState* at, int l, Range neurons) noexcept nogil:
    # z^l = w^l a^(l-1) + b^l
    cdef LayerProduct product
    weighted_input_operands(&product, p, at, l, neurons)
    compute(&product)


cdef int output_error(Pass* p, real step) except -1 nogil:
    # BP1   delta^L = grad_a C * sigma'(z^L)
    # (37)  delta^L_j = sum_k dC/da_k da_k/dz_j, where every a_k depends on z_j: softmax, for which
    #       da_k/dz_j = a_k (1[j = k] - a_j), so that delta_j = a_j (dC/da_j - sum_k dC/da_k a_k)
    # Every equation after BP1 is linear in delta, so delta takes the step here: -eta/m makes BP4
    # the update, 1/m the average gradient, 1 the book's. Cost and activation are one formula where
    # two would cancel or overflow.
    cdef const Layer* layer = &p.net.layers[p.net.n_layers - 1]
    cdef LayerState* at = &p.own[p.net.n_layers - 1]
    output_error_of(&p.net.cost, layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                    p.y + p.first_own * at.example_stride, step, at.rows, at.columns, at.ld)
    if p.weighted:                      # each example's delta, by its weight
        apply_weights(at.delta, p.weights + p.first_own, layer.narrow, at.rows, at.columns, at.ld)
    return 0


cdef int backpropagate_error(Pass* p, int l) except -1 nogil:
    # BP2   delta^l = ((w^(l+1))^T delta^(l+1)) * sigma'(z^l)
    if not share_by_neurons(p, l, l + 1, weighted_error):
        return 0
    return times_sigma_prime_of_layer(p, l)


cdef inline void weighted_error(Pass* p, LayerState* at, int l, Range neurons) noexcept nogil:
    # (w^(l+1))^T delta^(l+1)
    cdef LayerProduct product
    weighted_error_operands(&product, p, at, l, neurons, is_relu(&p.net.layers[l]))
    compute(&product)


cdef void add_bias_gradient(Pass* p, int l, const Sink* into) noexcept nogil:
    # BP3   dC/db^l_j = delta^l_j, summed over the examples
    add_to_biases(p, l, into, biases_of(p, l))


cdef void add_weight_gradient(Pass* p, int l, const Sink* into) noexcept nogil:
    # BP4   dC/dw^l_jk = a^(l-1)_k delta^l_j, summed over the examples
    cdef LayerProduct product
    cdef Range columns = neurons_of(p, l)
    if columns.first < columns.last:
        weight_gradient_operands(&product, p, &p.layers[l], l, columns, into)
        compute(&product)


cdef int backprop(Pass* p, const Sink* into) except -1 nogil:
    # BP1 to BP4 for one slice. No parameter changes before every delta is known.
    cdef int l
    feedforward(p)
    output_error(p, into.step)                              # BP1
    for l in range(p.net.n_layers - 2, -1, -1):
        backpropagate_error(p, l)                           # BP2
    if not barrier(p):
        return 0
    if p.thread == 0:           # in one order, however many threads there are
        p.cost += cost_of_slice(p)
    for l in range(p.net.n_layers):
        add_bias_gradient(p, l, into)                       # BP3
        add_weight_gradient(p, l, into)                     # BP4
    barrier(p)
    return 0


cdef double cost_of_slice(const Pass* p) except? -1 nogil:
    # (26)  C = sum_x C_x, each with its weight
    cdef const LayerState* at = &p.layers[p.net.n_layers - 1]
    cdef const Layer* layer = &p.net.layers[p.net.n_layers - 1]
    cdef Py_ssize_t i, stride = at.example_stride
    cdef double total = 0
    if not p.weighted:
        return sum_of_costs(&p.net.cost, layer.runs, layer.n_runs, layer.narrow, at.a, at.z, p.y,
                            at.rows, at.columns, at.ld)
    for i in range(p.m):
        if p.weights[i] > 0:    # 0 times an infinite cost is no number
            total += p.weights[i] * sum_of_costs(
                &p.net.cost, layer.runs, layer.n_runs, layer.narrow,
                at.a + i * stride, at.z + i * stride, p.y + i * stride,
                1 if at.neuron_stride == 1 else layer.J, layer.J if at.neuron_stride == 1 else 1,
                at.ld)
    return total
