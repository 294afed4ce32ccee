# Chapter 2: feedforward (25) and the four equations. `cbackprop.chapter2` is the same chapter in
# plain loops, under the same names.
#
# `p` is one thread's pass over a slice of a mini-batch. `at` is the state of a layer: z, a and
# delta. `p.layers[l]` is that of all examples of the slice, `p.own[l]` that of this thread's share
# of them. (25), BP1 and BP2 compute the thread's own examples. BP3 and BP4 sum over all examples,
# each thread for its own neurons; so do the products of large layers (`share_by_neurons`).
#
# engine/products.pxi selects the operands of a product, and writes them to a struct that the caller
# has on its stack (`&product`): returning a struct would copy it, for 20 ns a product.
#
# BP3 and BP4 write to a `Sink`: they add to its arena `to`. That is a gradient or, if delta was
# multiplied by -eta/m, the parameters themselves. If the Sink has an optimizer's step (`w_step` is
# not NULL), the sums go through the step instead of being added.


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
    # Every later equation is linear in delta, so delta is multiplied by the step here: with -eta/m
    # BP4 is the update, with 1/m the average gradient, with 1 the book's sum. Some pairs of a cost
    # and an activation share one formula, because two would cancel or overflow.
    cdef const Layer* layer = &p.net.layers[p.net.n_layers - 1]
    cdef LayerState* at = &p.own[p.net.n_layers - 1]
    output_error_of(&p.net.cost, layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                    p.y + p.first_own * at.example_stride, step, at.rows, at.columns, at.ld)
    if p.weighted:                      # multiply each example's delta by its weight
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
    # BP3   dC/db^l_j = delta^l_j; sum_x delta^l_j for the examples x of the slice
    add_sum_over_examples(p, l, into, biases_of(p, l))


cdef void add_weight_gradient(Pass* p, int l, const Sink* into) noexcept nogil:
    # BP4   dC/dw^l_jk = a^(l-1)_k delta^l_j; the product sums over the examples, too
    cdef LayerProduct product
    cdef Range neurons = neurons_of(p, l)
    if neurons.first < neurons.last and is_trained(into, l):
        weight_gradient_operands(&product, p, &p.layers[l], l, neurons, into)
        compute(&product)


cdef int backprop(Pass* p, const Sink* into) except -1 nogil:
    # BP1 to BP4 for one slice. No parameter changes before all deltas are known.
    cdef int l
    feedforward(p)
    output_error(p, into.step)                              # BP1
    for l in range(p.net.n_layers - 2, into.lowest - 1, -1):
        backpropagate_error(p, l)                           # BP2
    if not barrier(p):
        return 0
    if p.thread == 0:           # one thread, so that the order of the sum is fixed
        p.cost += cost_of_slice(p)
    for l in range(p.net.n_layers):
        add_bias_gradient(p, l, into)                       # BP3
        add_weight_gradient(p, l, into)                     # BP4
    barrier(p)
    return 0


cdef int update_mini_batch(Pass* p, const MiniBatch* batch, double eta) except -1 nogil:
    # w -> w - (eta/m) sum_x delta a^T,  b -> b - (eta/m) sum_x delta
    cdef Sink parameters
    write_gradient(&parameters, p.net.parameters, <real>(-eta / batch.m))   # minus: subtract
    return sum_gradients(p, batch, &parameters)


cdef int sum_gradients(Pass* p, const MiniBatch* batch, const Sink* into) except -1 nogil:
    # SLICE rows at a time, so that memory does not grow with the data.
    cdef Py_ssize_t first = batch.first, end = batch.first + batch.m
    cdef Py_ssize_t max_rows = most_rows(p, batch)
    while first < end:
        if not gather_slice(p, batch, first, min(max_rows, end - first)):
            return 0
        first += p.m
        backprop(p, into)
    return 0


cdef inline Py_ssize_t most_rows(const Pass* p, const MiniBatch* batch) noexcept nogil:
    # The most rows of a slice of this mini-batch.
    return rows_per_slice(p.net, batch.rows) if batch.m > SLICE else SLICE


cdef inline bint gather_slice(
    Pass* p, const MiniBatch* batch, Py_ssize_t first, Py_ssize_t m,
) noexcept nogil:
    # The slice of m rows from `first` on. Each slice prefetches the rows of the next slice or
    # mini-batch. False if another thread has stopped.
    share_examples(p, m)
    gather_examples(p, batch, first)
    first += m
    plan_prefetch(&p.prefetcher, batch, first, min(batch.n, first + m))
    return barrier(p)
