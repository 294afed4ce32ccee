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

from libc.math cimport fabs, sqrt
from libc.string cimport memcpy, memset

cdef enum:
    SLICE = 512             # rows of a mini-batch at a time, ...
    LEAST_SLICE = 64        # ... and where it is sliced, down to these, ...
    AT_ONCE = 0x7FFFFFFF    # ... so that a product has no more multiplications: Ctrl-C waits for it
    HUGE = 2 * 1024 * 1024  # bytes of a huge page, on x86-64 and most aarch64
    WIDE = 128              # neurons from which rows lie an odd number of cache lines apart
    CLIP_BLOCK = 4096       # numbers of an arena that are summed at a time
    FEW = 262_144           # bytes of targets that the L2 keeps


cdef struct Layer:
    Py_ssize_t K, J
    bint narrow
    Sigma* runs             # of neurons with one activation
    int n_runs
    Py_ssize_t w, b         # where they begin in an arena
    Py_ssize_t ld           # of w: (K, ld), or narrow (J, ld)


cdef struct Network:
    int n_layers
    Layer* layers
    CostFunction cost
    real* parameters        # an arena
    Py_ssize_t size         # of an arena
    real scale              # of every input, ...
    const real* scales      # ... or of each, (K); else NULL


cdef struct Signals:        # what a slice leaves in a layer
    const real** a_prev         # (m) rows of the layer before
    real* a                     # (m, J), or narrow (J, m)
    real* z                     # as a: its own memory where sigma' needs it, else a's
    real* out                   # what the next layer sees: a, or what dropout leaves of it
    real* kept                  # (m, J) for that; or NULL
    real* delta                 # as a
    const real** delta_rows     # its rows
    Py_ssize_t rows, columns, ld
    Py_ssize_t by_example, by_neuron    # from one to the next


cdef struct Batch:           # a slice of a mini-batch, as one thread sees it
    Py_ssize_t m
    Signals* signals        # of all its examples, ...
    Signals* mine           # ... and of those that are this thread's:
    Py_ssize_t first_mine, m_mine
    int thread, threads
    Team* team
    real* x                 # (m, ld of the input): rows that had to be converted
    Py_ssize_t ld_x
    bint sparse             # whether zeros of x are skipped: ...
    Nonzeros* nonzeros      # (m) ... what is left of the rows, ...
    Py_ssize_t following    # ... and of so many behind them
    const real* values
    Py_ssize_t* done        # (m)
    real* y                 # as the output
    real* weights           # (m) of the examples
    bint weighted           # if not, each counts once
    real* zeros             # (the widest ld)
    real* panel
    real* strips
    real* step              # an arena, for gradients that must be complete
    double* squares         # its blocks'
    real* tile              # for what BP4 hands over
    const Step* update      # what BP3 and BP4 do to parameters, or NULL: they add
    const Step* update_b    # the same for biases
    Noise* noise            # own_noise, or NULL
    Noise own_noise
    double cost
    Ahead ahead             # the rows of the next slice
    bint training
    bint finite             # if not training: whether the first layer's z is
    bint looks              # for signals: it is the caller's thread
    Py_ssize_t work         # since the clock was last read
    long long last_look     # for a signal
    long long waited        # nanoseconds, for other threads


cdef inline Py_ssize_t stride_of(Py_ssize_t J) noexcept nogil:
    # Powers of two would make the rows of a wide layer collide in the L1 cache.
    cdef Py_ssize_t per_line = LINE // sizeof(real)
    cdef Py_ssize_t lines = (J + per_line - 1) // per_line
    if J >= WIDE:
        lines |= 1
    return lines * per_line


cdef bint is_narrow(const Layer* layer, int l, int last, Cost cost) noexcept nogil:
    cdef int k
    for k in range(layer.n_runs):
        if layer.runs[k].kind == SOFTMAX or layer.runs[k].kind == NUMPY_SIGMA:
            return False
    return 0 < l == last and 2 * layer.J <= LANES and cost != COSINE and cost != NUMPY_COST


cdef Py_ssize_t slice_of(const Network* net, const RowArray* rows) noexcept nogil:
    cdef int l
    cdef Py_ssize_t largest = 1
    for l in range(1 if rows.columns != NULL else 0, net.n_layers):     # few products of the first
        largest = max(largest, net.layers[l].b - net.layers[l].w)
    return max(<Py_ssize_t>LEAST_SLICE, min(<Py_ssize_t>SLICE, <Py_ssize_t>AT_ONCE // largest))


# ---- the chapter ----

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


cdef inline bint is_relu(const Layer* layer) noexcept nogil:
    # Its sigma' is 1 or 0, and costs nothing while a product's sums are in registers: 2 us of 47
    # for a step of [20, 100, 1], 200 rows in float64.
    return layer.n_runs == 1 and layer.runs.kind == RELU


cdef inline bint rectified(
    const Signals* at, const Layer* layer, const Network* net, const Batch* batch,
) noexcept nogil:
    # Whether a product gives relu(z) at once. Where it skips zeros, that costs nothing; in the
    # tiles of gemm.pxi it would cost all others 1 to 2 %.
    return (batch.sparse and batch.training and layer == net.layers and is_relu(layer)
            and at.z == at.a)


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
        for k in range(min(n_slots(batch.update.kind), <int>MORE)):
            product.more[k] = batch.update.slots[k] + (w - batch.update.w)
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


cdef int sum_gradients(
    real* to, real step,
    const Network* net, Batch* batch,
    const RowArray* rows, const TargetArray* targets,
    const Py_ssize_t* order, Py_ssize_t n,      # IN  (n) which rows, or NULL: as they lie
    Py_ssize_t first, Py_ssize_t m,             # the mini-batch: m of them
) except -1 nogil:
    # Slice by slice. What follows in the order is fetched meanwhile: the next slice or mini-batch.
    cdef Py_ssize_t end = first + m, most = SLICE
    if m > SLICE:
        most = slice_of(net, rows)
    while first < end:
        share_examples(net, batch, min(most, end - first))
        gather_examples(net, batch, rows, targets, order, first, first - (end - m), n)
        first += batch.m
        plan_ahead(&batch.ahead, rows, targets, order, first, min(n, first + batch.m))
        if not meet(batch):
            return 0
        add_gradient(to, step, net, batch)
    return 0


cdef void gather_examples(
    const Network* net, Batch* batch,           # OUT x, y and weights of this thread's
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order,
    Py_ssize_t first,                           # of the slice in the order, ...
    Py_ssize_t first_in_batch,                  # ... and in the mini-batch
    Py_ssize_t n,                               # of the order
) noexcept nogil:
    cdef Signals* output = &batch.mine[net.n_layers - 1]
    cdef Py_ssize_t own = batch.first_mine
    first += own
    gather_rows(net, batch, rows, order, first, n)
    if batch.noise != NULL:
        batch.noise.first = first_in_batch + own
        disturb(batch.x + own * batch.ld_x, net, batch)
    gather_targets(batch.y + own * output.by_example, output.by_example, output.by_neuron, targets,
                   order, first, batch.m_mine, net.layers[net.n_layers - 1].J)
    batch.weighted = gather_weights(batch.weights + own, targets, order, first, batch.m_mine)


cdef void gather_rows(
    const Network* net, Batch* batch, const RowArray* rows,
    const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t n,        # its own, out of so many
) noexcept nogil:
    batch.sparse = ((batch.noise == NULL or rows.columns != NULL and not disturbs(batch.noise))
                    and net.scales == NULL and worth_skipping(rows, batch.m, net.layers[0].J))
    if batch.sparse:            # all of the slice: threads share neurons
        batch.values = rows.values
        first -= batch.first_mine
        batch.following = min(<Py_ssize_t>SOON, n - first - batch.m)
        gather_nonzeros(batch.nonzeros, rows, order, first, batch.m + batch.following)
    else:
        gather(batch.mine[0].a_prev, batch.x + batch.first_mine * batch.ld_x, batch.ld_x, rows,
               order, first, batch.m_mine, net.scales, batch.noise != NULL)


cdef int update_mini_batch(
    const Network* net, Batch* batch, OptimizerOptions* how,     # plain descent if NULL
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t m, double eta,
) except -1 nogil:
    # w -> w - (eta/m) sum_x delta a^T,  b -> b - (eta/m) sum_x delta
    # Examples that weigh nothing at all are no reason for a step.
    cdef real step = <real>(-eta / m)
    cdef Range own
    if targets.weights != NULL and total_weight(targets, order, first, m) == 0:
        if how != NULL:
            how.passed_over += m
        return 0
    if batch.noise != NULL:
        batch.noise.step = how.steps + 1
    if how != NULL and not how.plain:
        optimize_mini_batch(net, batch, how, rows, targets, order, n, first, m, eta)
    elif m <= SLICE:
        sum_gradients(net.parameters, step, net, batch, rows, targets, order, n, first, m)
    else:
        own = part_of_arena(net, batch)
        sum_into_step(step, net, batch, rows, targets, order, n, first, m)
        if not is_set(&batch.team.meeting.stopped):
            add_arena(net.parameters + own.first, batch.step + own.first, own.last - own.first)
    if how != NULL:
        how.steps += 1          # only now: a signal may have kept it from being taken
    return 0


cdef int sum_into_step(
    real step, const Network* net, Batch* batch,
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t m,
) except -1 nogil:
    cdef Range own = part_of_arena(net, batch)
    if not meet(batch):         # another may still read the last one
        return 0
    memset(batch.step + own.first, 0, (own.last - own.first) * sizeof(real))
    return sum_gradients(batch.step, step, net, batch, rows, targets, order, n, first, m)


cdef int optimize_mini_batch(
    const Network* net, Batch* batch, OptimizerOptions* how,
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t m, double eta,
) except -1 nogil:
    # What an optimizer makes of the average gradient.
    cdef Step of_w, of_b
    cdef Layer* layer
    cdef Range columns
    cdef int l
    cdef double weight = m, before = batch.cost
    if how.by_weight:
        weight = total_weight(targets, order, first, m)
        batch.cost = 0
        if how.penalty:
            if not meet(batch):         # another may still be at the last step
                return 0
            if batch.thread == 0:
                batch.cost = how.penalty * sum_of_squares(net)
    next_step(how, eta, weight, &of_w, &of_b)
    if m <= SLICE and how.clip_norm == INFINITY:
        batch.update, batch.update_b = &of_w, &of_b
        try:
            sum_gradients(net.parameters, <real>(1 / weight), net, batch, rows, targets, order, n,
                          first, m)
        finally:
            batch.update = NULL
    else:
        sum_into_step(<real>(1 / weight), net, batch, rows, targets, order, n, first, m)
        if how.clip_norm < INFINITY:
            clip_to_norm(net, batch, how.clip_norm)
        if is_set(&batch.team.meeting.stopped):
            return 0
        for l in range(net.n_layers):
            update_layer(net, batch, l, &of_w, &of_b)
    if how.max_norm < INFINITY and meet(batch):
        for l in range(net.n_layers):
            layer = &net.layers[l]
            columns = neurons_of(net, batch, l)
            if not layer.narrow or columns.first == 0 < columns.last:
                hold_norms(net.parameters + layer.w, layer, columns, how.max_norm)
    if how.by_weight:
        batch.cost = before + m / weight * batch.cost
    return 0


cdef void update_layer(
    const Network* net, Batch* batch, int l, const Step* of_w, const Step* of_b,
) noexcept nogil:
    # from a complete gradient
    cdef Layer* layer = &net.layers[l]
    cdef Py_ssize_t w = layer.w, b = layer.b
    cdef Range own = part(layer.b - layer.w, LINE // sizeof(real), batch)
    update(of_w, net.parameters + w + own.first, 0, batch.step + w + own.first, 0, 1,
           own.last - own.first)
    own = part(layer.J, LINE // sizeof(real), batch)
    update(of_b, net.parameters + b + own.first, 0, batch.step + b + own.first, 0, 1,
           own.last - own.first)


cdef void clip_to_norm(const Network* net, Batch* batch, double most) noexcept nogil:
    # Pascanu, Mikolov, Bengio, ICML 2013. The blocks of the sum are the same for any threads.
    cdef Py_ssize_t block, n_blocks = (net.size + CLIP_BLOCK - 1) // CLIP_BLOCK
    cdef Range own = part(n_blocks, 1, batch)
    cdef double square = 0, root
    for block in range(own.first, own.last):
        batch.squares[block] = square_of(batch.step + block * CLIP_BLOCK,
                                         min(<Py_ssize_t>CLIP_BLOCK, net.size - block * CLIP_BLOCK))
    if not meet(batch):
        return
    for block in range(n_blocks):
        square += batch.squares[block]
    own = part_of_arena(net, batch)
    if square == INFINITY:      # the norm itself need not be
        root = root_of_share(batch.step, net.size, 1, most)
        if not meet(batch):     # the others read it as well
            return
        for _ in range(2):
            scale_rows(batch.step + own.first, <real>root, 1, own.last - own.first, 0)
    elif sqrt(square) > most:
        scale_rows(batch.step + own.first, <real>(most / sqrt(square)), 1, own.last - own.first, 0)
    meet(batch)


cdef double root_of_share(
    const real* x, Py_ssize_t size, Py_ssize_t step, double most,
) noexcept nogil:
    # The root of most / |x|, for numbers with squares beyond the real type; NaN if one is infinite.
    # The share itself may be subnormal, which the core takes for zero.
    cdef Py_ssize_t i
    cdef double largest = 0, total = 0
    for i in range(size):
        largest = max(largest, fabs(<double>x[i * step]))
    for i in range(size):
        total += (x[i * step] / largest) * (x[i * step] / largest)
    total = sqrt(most / sqrt(total)) / sqrt(largest)
    return 1 if total > 1 else total


cdef double sum_of_squares(const Network* net) noexcept nogil:
    # of all w; padding is zero
    cdef int l
    cdef double total = 0
    for l in range(net.n_layers):
        total += square_of(net.parameters + net.layers[l].w, net.layers[l].b - net.layers[l].w)
    return total


cdef void hold_norms(
    real* w, const Layer* layer, Range neurons, double most,
) noexcept nogil:
    # No neuron's weights are longer than that (Srivastava et al., JMLR 2014).
    cdef Py_ssize_t i, v
    cdef int j
    cdef vec total
    if layer.narrow:
        for i in range(layer.J):
            shorten_row(w + i * layer.ld, layer.K, most)
        return
    for v in range(neurons.first // LANES, vectors(neurons.last)):
        total = splat(0)
        for i in range(layer.K):
            total = total + load(w + i * layer.ld + v * LANES) * load(w + i * layer.ld + v * LANES)
        total = splat(<real>most) / at_least(square_root(total), splat(<real>most))
        for j in range(LANES):
            if lane(total, j) == 0:
                shorten_far(w + v * LANES + j, layer.K, layer.ld, most)
        total = select_lanes(less(absolute(total), splat(SMALLEST)), splat(1), total)
        for i in range(layer.K):
            store(w + i * layer.ld + v * LANES, total * load(w + i * layer.ld + v * LANES))


cdef void shorten_row(real* w, Py_ssize_t columns, double most) noexcept nogil:
    cdef Py_ssize_t v
    cdef vec total = splat(0)
    for v in range(vectors(columns)):
        total = total + load(w + v * LANES) * load(w + v * LANES)
    if sum_lanes(total) == INFINITY:
        shorten_far(w, columns, 1, most)
        return
    total = splat(<real>(most / max(most, sqrt(sum_lanes(total)))))
    for v in range(vectors(columns)):
        store(w + v * LANES, total * load(w + v * LANES))


cdef void shorten_far(real* w, Py_ssize_t size, Py_ssize_t step, double most) noexcept nogil:
    cdef Py_ssize_t i
    cdef real root = <real>root_of_share(w, size, step, most)
    for i in range(size):
        w[i * step] = w[i * step] * root * root


cdef double square_of(const real* x, Py_ssize_t size) noexcept nogil:
    # whole cache lines; four sums, that none waits for the last
    cdef Py_ssize_t v, n = size // LANES
    cdef int k
    cdef vec total[4]
    for k in range(4):
        total[k] = splat(0)
    for v in range(n // 4):
        for k in range(4):
            total[k] = total[k] + load(x + (4 * v + k) * LANES) * load(x + (4 * v + k) * LANES)
    for v in range(n // 4 * 4, n):
        total[0] = total[0] + load(x + v * LANES) * load(x + v * LANES)
    return sum_lanes((total[0] + total[1]) + (total[2] + total[3]))


cdef inline bint disturbs(const Noise* noise) noexcept nogil:
    # x itself
    return noise.deviation > 0 or noise.rates[0] > 0


cdef void disturb(real* x, const Network* net, Batch* batch) noexcept nogil:
    # x as it is kept for this slice; its scale, if it is one number, is applied later
    cdef Noise* noise = batch.noise
    cdef Py_ssize_t m = batch.m_mine, K = net.layers[0].K
    if noise.deviation > 0:
        add_noise(x, noise, noise.deviation / net.scale, m, K, batch.ld_x)
    if noise.rates[0] > 0:
        drop(x, x, noise, 0, m, K, batch.ld_x)


cdef Py_ssize_t sgd(
    const Network* net, Batch* batch, OptimizerOptions* how,
    const RowArray* rows, const TargetArray* targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t mini_batch_size,
    const double* eta,          # IN  one for each mini-batch
    Py_ssize_t first, Py_ssize_t last,
) except -1 nogil:
    # The mini-batches that begin in rows first to last of the order. The last of an epoch may be
    # shorter: the step divides by its own length.
    cdef Py_ssize_t m
    while first < last and not batch.team.leaves:
        m = min(mini_batch_size, n - first)
        update_mini_batch(net, batch, how, rows, targets, order, n, first, m, eta[0])
        if is_set(&batch.team.meeting.stopped):
            break
        first += m
        eta += 1
    return first


# ---- around it ----

cdef void plan_ahead(
    Ahead* ahead, const RowArray* rows, const TargetArray* targets,
    const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    # Rows in order the CPU foresees by itself; small targets are in its caches.
    cdef Py_ssize_t i
    cdef bint targets_too = targets.rows != NULL and (
        rows.n * targets.J * <Py_ssize_t>sizeof(real) > FEW)
    ahead.bytes = rows.K * rows.itemsize
    ahead.n = last - first if order != NULL and rows.data != NULL else 0
    ahead.row = ahead.at = 0
    for i in range(ahead.n):
        ahead.rows[i] = rows.data + order[first + i] * ahead.bytes
        if targets_too:                 # at least where they begin
            prefetch(targets.rows + order[first + i] * targets.J)


cdef void scale_rows(
    real* delta, real scale, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v
    for i in range(rows):
        for v in range(vectors(columns)):
            store(delta + i * ld + v * LANES, splat(scale) * load(delta + i * ld + v * LANES))


cdef void fill_rows(
    real* z, const real* b, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, v
    for i in range(rows):
        for v in range(vectors(columns)):
            store(z + i * ld + v * LANES, splat(b[i]))


cdef void clear_padding(
    real* w, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t ld,
) noexcept nogil:
    # of the last vector in each row
    cdef Py_ssize_t i, v = vectors(columns) - 1
    for i in range(rows):
        store(w + i * ld + v * LANES, of_columns(w + i * ld, v, columns, splat(0)))


cdef void add_arena(real* to, const real* step, Py_ssize_t size) noexcept nogil:
    # Arenas are whole cache lines.
    cdef Py_ssize_t v
    for v in range(size // LANES):
        store(to + v * LANES, load(to + v * LANES) + load(step + v * LANES))


cdef inline void begin_product(Product* product, Batch* batch) noexcept nogil:
    # Not returned: copying what was just stored waits for it, 20 ns with GCC 12.
    memset(product, 0, sizeof(Product))
    product.alpha = 1
    product.panel, product.strips = batch.panel, batch.strips
