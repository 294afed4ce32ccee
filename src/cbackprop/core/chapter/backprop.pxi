# Chapter 2: feedforward (25), the four equations, gradient descent.
#
# Design
# ------
# (a) Examples are rows. Layer l has K neurons before its weights and J behind them; a, delta are
#     (m, J), rows `ld` apart; w is stored (K, J), input neuron first, so that output neurons are
#     lanes. ld rounds J up to whole cache lines; padding of w, b, delta is zero and stays zero.
# (b) Parameters lie in one arena. A gradient is an arena of the same layout, and `add_gradient`
#     adds to either: where the whole mini-batch fits one slice, BP3 and BP4 add to the parameters
#     themselves, and nabla_w is never stored.
# (c) The step. Every equation behind BP1 is linear in delta, so BP1 takes the factor: -eta/m makes
#     BP4 the update, 1/m the average gradient, 1 the book's.
#     Other optimizers than plain descent take the average gradient (optimizers.pxi): tile by tile
#     from BP4's product, or, where it must be complete first, from an arena.
# (d) Slices. A mini-batch goes through the network SLICE rows at a time: scratch memory does not
#     grow with the data, even where one mini-batch is all of it.
# (e) Narrow outputs. A last layer of at most half as many neurons as a vector has lanes would leave
#     the rest idle. There examples are the lanes: z, a, delta, y are (J, m), w is (J, K), and the
#     product takes other operands. Not for softmax and cosine, whose sums run over neurons, nor for
#     the user's functions in NumPy.
# (f) A mini-batch is done whole or not at all: signals are looked for between its products, but
#     not once the parameters have begun to change.
# (g) Threads (team.pxi). Each gathers some of the examples. Of the first layer's z, and of what
#     belongs to a large w, each gives some neurons for all examples; of all else, up to delta,
#     everything for its own examples; then BP3 and BP4 for some neurons of each layer. Between
#     these they meet. Each element is summed by one thread, in an order that the shapes alone
#     decide: the bits are the same for any number of threads.


cdef int feedforward(const Network* net, Batch* batch) except -1 nogil:
    # (25)  a^l = sigma(w^l a^(l-1) + b^l)
    cdef int l
    cdef Layer* layer
    cdef Signals* at
    for l in range(net.n_layers):
        layer, at = &net.layers[l], &batch.mine[l]
        if batch.threads > 1 and by_neurons(net, l):
            if l > 0 and not meet(batch):
                return 0
            weighted_input(&batch.signals[l], layer, net, batch, neurons_of(net, batch, l))
            if not meet(batch):
                return 0
        else:
            weighted_input(at, layer, net, batch, all_neurons(layer))
        if l == 0 and not batch.training:
            batch.finite = all_finite(<const char*>at.z, at.rows * at.ld, REAL_BYTES)
        if not rectified(at, layer, net, batch):
            activate(layer.runs, layer.n_runs, layer.narrow, at.a, at.z, at.rows, at.columns,
                     at.ld)
        if at.out != at.a:
            drop(at.out, at.a, batch.noise, l + 1, at.rows, at.columns, at.ld)
    return 0


cdef void weighted_input(
    Signals* at,                # OUT z (m, J); IN a_prev: (m) rows of (K)
    const Layer* layer, const Network* net, Batch* batch, Range neurons,
) noexcept nogil:
    # z^l = w^l a^(l-1) + b^l
    cdef Product product
    cdef real* w = net.parameters + layer.w
    cdef real* b = net.parameters + layer.b
    if layer.narrow:            # z^T = b + w (a^(l-1))^T
        fill_rows(at.z, b, at.rows, at.columns, at.ld)
        add_dot_products(at.z, at.ld, w, layer.ld, (at - 1).out, (at - 1).ld,
                         at.rows, at.columns, layer.K)
        return
    begin_product(&product, batch)
    if layer == net.layers:
        product.alpha, product.streams = net.scale, not batch.training
    product.c, product.ldc = at.z + neurons.first, at.ld
    product.columns = neurons.last - neurons.first
    product.start, product.ld_start = b + neurons.first, 0
    product.rows, product.n_rows, product.rows_in_all = at.a_prev, at.rows, batch.m
    product.b, product.ldb, product.depth = w + neurons.first, layer.ld, layer.K
    if batch.sparse and layer == net.layers:
        multiply_nonzeros(&product, batch.nonzeros, batch.values, batch.following,
                          0 if rectified(at, layer, net, batch) else -INFINITY)
    else:
        multiply(&product)


cdef int output_error(
    Signals* at,                # OUT delta; IN a, and z where sigma' needs it
    const Layer* layer,         # IN  the last
    const Network* net, const Batch* batch, real step,
) except -1 nogil:
    # BP1   delta^L = grad_a C * sigma'(z^L)
    # (37)  delta^L_j = sum_k dC/da_k da_k/dz_j, where every a_k depends on z_j: softmax, for which
    #       da_k/dz_j = a_k (1[j = k] - a_j), so that delta_j = a_j (dC/da_j - sum_k dC/da_k a_k)
    # Costs and activations are one formula where it would cancel or overflow (costs.pxi). A weight
    # is of an example.
    output_error_of(&net.cost, layer, at.delta, at.a, at.z,
                    batch.y + batch.first_mine * at.by_example, step, at.rows, at.columns, at.ld)
    if batch.weighted:
        weigh(at.delta, batch.weights + batch.first_mine, layer.narrow, at.rows, at.columns, at.ld)
    return 0


cdef double weighted_costs(const Signals* at, const CostFunction* cost, const Layer* layer,
                           const Batch* batch) except? -1 nogil:
    # of the slice's examples
    cdef Py_ssize_t i, J = layer.J, to = at.by_example
    cdef double total = 0
    if not batch.weighted:
        return sum_of_costs(cost, layer, at.a, at.z, batch.y, at.rows, at.columns, at.ld)
    for i in range(batch.m):
        if batch.weights[i] > 0:        # 0 times an infinite cost is no number
            total += batch.weights[i] * sum_of_costs(
                cost, layer, at.a + i * to, at.z + i * to, batch.y + i * to,
                1 if at.by_neuron == 1 else J, J if at.by_neuron == 1 else 1, at.ld)
    return total


cdef int backpropagate_error(
    Signals* at,                # OUT delta of layer l, (m, K); IN its activation
    const Layer* layer,         # IN  l: K neurons, their activation function
    const Layer* next_layer,    # IN  l+1: J neurons, and w from l to them
    const Network* net, Batch* batch,
) except -1 nogil:
    # BP2   delta^l = ((w^(l+1))^T delta^(l+1)) * sigma'(z^l)
    cdef int l = <int>(at - batch.mine)
    cdef bint gated = is_relu(layer)
    if batch.threads > 1 and by_neurons(net, l + 1):
        if not meet(batch):
            return 0
        weighted_error(&batch.signals[l], next_layer, net, batch, neurons_of(net, batch, l), gated)
        if not meet(batch):
            return 0
    else:
        weighted_error(at, next_layer, net, batch, all_neurons(layer), gated)
    if at.out != at.a:          # dropout is one more function behind sigma
        drop(at.delta, at.delta, batch.noise, l + 1, at.rows, at.columns, at.ld)
    if gated:
        return 0
    return times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                             at.rows, at.columns, at.ld)


cdef void weighted_error(
    Signals* at,                # OUT delta, (m, K); IN behind it, that of layer l+1
    const Layer* next_layer, const Network* net, Batch* batch, Range neurons,
    bint gated,                 # times relu'(z) as well
) noexcept nogil:
    # (w^(l+1))^T delta^(l+1)
    cdef Product product
    begin_product(&product, batch)
    product.c, product.ldc = at.delta + neurons.first, at.ld
    product.start, product.ld_start = batch.zeros, 0
    product.rows = (at + 1).delta_rows
    product.b, product.ldb = net.parameters + next_layer.w, next_layer.ld
    product.b += neurons.first * (1 if next_layer.narrow else next_layer.ld)
    product.across = next_layer.narrow
    product.b_transposed = not next_layer.narrow
    product.depth, product.n_rows = next_layer.J, at.rows
    product.columns = neurons.last - neurons.first
    product.rows_in_all = batch.m
    if gated:
        product.gate = at.a + neurons.first
    multiply(&product)


cdef void add_nabla_b(
    real* b,                    # IN, OUT (J)
    const Signals* at,          # IN  delta, (m, J)
    const Layer* layer, Range neurons,
) noexcept nogil:
    # BP3   dC/db^l_j = delta^l_j, summed over the examples
    # Four sums, that none waits for the last.
    cdef Py_ssize_t i, j, v
    cdef int k
    cdef vec total[4]
    if layer.narrow:
        for j in range(neurons.first, neurons.last):
            total[0] = splat(0)
            for v in range(vectors(at.columns)):
                total[0] = total[0] + load(at.delta + j * at.ld + v * LANES)
            b[j] += sum_lanes(total[0])
        return
    for v in range(neurons.first // LANES, vectors(neurons.last)):
        for k in range(4):
            total[k] = splat(0)
        for i in range(at.rows // 4):
            for k in range(4):
                total[k] = total[k] + load(at.delta + (4 * i + k) * at.ld + v * LANES)
        for i in range(at.rows // 4 * 4, at.rows):
            total[0] = total[0] + load(at.delta + i * at.ld + v * LANES)
        store(b + v * LANES,
              load(b + v * LANES) + ((total[0] + total[1]) + (total[2] + total[3])))


cdef void update_b(
    real* b, const Signals* at, const Layer* layer, Batch* batch, Range neurons,
) noexcept nogil:
    # BP3, and what an optimizer makes of it
    memset(batch.panel, 0, vectors(layer.J) * LANES * sizeof(real))
    add_nabla_b(batch.panel, at, layer, neurons)
    update(batch.update_b, b + neurons.first, 0, batch.panel + neurons.first, 0, 1,
           neurons.last - neurons.first)


cdef void add_nabla_w(
    real* w,                    # IN, OUT (K, J), of which some columns
    const Signals* at,          # IN  a_prev and delta
    const Layer* layer, Batch* batch, Range columns,
) noexcept nogil:
    # BP4   dC/dw^l_jk = a^(l-1)_k delta^l_j, summed over the examples
    cdef Product product
    cdef int k
    begin_product(&product, batch)
    w += columns.first
    product.c = product.start = w
    product.ldc = product.ld_start = layer.ld
    product.depth, product.columns = batch.m, columns.last - columns.first
    if layer.narrow:            # (J, K)
        product.rows, product.n_rows = at.delta_rows, layer.J
        product.b, product.ldb = (at - 1).out + columns.first, (at - 1).ld
    else:
        product.rows, product.n_rows, product.across = at.a_prev, layer.K, True
        product.b, product.ldb = at.delta + columns.first, at.ld
    product.rows_in_all = product.n_rows
    if at == batch.signals:     # the next rows of x flow in behind the first layer's arithmetic
        product.ahead = &batch.ahead
    if batch.update != NULL:
        product.start, product.ld_start = batch.zeros, 0
        product.epilogue, product.context, product.tile = update, batch.update, batch.tile
        for k in range(memories(batch.update.kind)):
            product.more[k] = batch.update.memory[k] + (w - batch.update.w)
    if batch.sparse and at == batch.signals:
        multiply_nonzeros_across(&product, batch.nonzeros, batch.values, batch.done)
    elif batch.update != NULL:
        multiply_with_epilogue(&product)
    else:
        multiply(&product)
    if layer.narrow:            # a has something in its padding
        clear_padding(w, layer.J, product.columns, layer.ld)


cdef int add_gradient(
    real* to,                   # IN, OUT an arena: + step * sum_x of the gradient of C_x
    real step,
    const Network* net, Batch* batch,
) except -1 nogil:
    # BP1 to BP4 for one slice. No parameter changes before every delta is known.
    cdef int l, last = net.n_layers - 1
    cdef Layer* layer = &net.layers[last]
    feedforward(net, batch)
    look_for_signals(net, batch)
    output_error(&batch.mine[last], layer, net, batch, step)
    for l in range(last - 1, -1, -1):
        backpropagate_error(&batch.mine[l], &net.layers[l], &net.layers[l + 1], net, batch)
        look_for_signals(net, batch)
    if not meet(batch):
        return 0
    if batch.thread == 0:       # in one order, however many threads there are
        batch.cost += weighted_costs(&batch.signals[last], &net.cost, layer, batch)
    for l in range(net.n_layers):
        add_to_layer(to, l, net, batch)
    meet(batch)
    return 0


cdef void add_to_layer(real* to, int l, const Network* net, Batch* batch) noexcept nogil:
    # BP3 and BP4 for this thread's neurons; in a narrow layer for its share of those before
    cdef Layer* layer = &net.layers[l]
    cdef Signals* at = &batch.signals[l]
    cdef Range columns = neurons_of(net, batch, l), neurons = columns
    if layer.narrow:
        neurons = all_neurons(layer)
        if columns.first > 0 or columns.last == 0:
            neurons.last = 0
    if neurons.first < neurons.last:
        if batch.update != NULL:
            update_b(to + layer.b, at, layer, batch, neurons)
        else:
            add_nabla_b(to + layer.b, at, layer, neurons)
    if columns.first == columns.last:
        return
    if l == 0 and net.scale != 1:           # of its inputs
        scale_rows(at.delta + columns.first, net.scale, at.rows, columns.last - columns.first,
                   at.ld)
    add_nabla_w(to + layer.w, at, layer, batch, columns)
