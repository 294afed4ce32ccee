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

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport sqrt
from libc.string cimport memcpy, memset

cdef enum:
    SLICE = 512             # rows of a mini-batch at a time
    HUGE = 2 * 1024 * 1024  # bytes of a huge page, on x86-64 and most aarch64
    WIDE = 128              # neurons from which rows lie an odd number of cache lines apart
    LONG = 10_000_000       # multiplications that take a millisecond or so
    PATIENCE = 20_000_000   # nanoseconds between two looks for a signal


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
    const real** w_rows         # narrow: (J) rows of w
    Py_ssize_t rows, columns, ld
    Py_ssize_t by_example, by_neuron    # from one to the next


cdef struct Batch:
    Py_ssize_t m
    Signals* signals
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
    real* tile              # for what BP4 hands over
    const Update* update    # what BP3 and BP4 do to parameters, or NULL: they add
    const Update* update_b  # the same for biases
    Noise* noise            # or NULL
    double cost
    Ahead ahead             # the rows of the next slice
    bint training
    bint finite             # if not training: whether the first layer's z is
    Py_ssize_t work         # since the clock was last read
    long long last_look


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


# ---- the chapter ----

cdef int feedforward(const Network* net, Batch* batch) except -1 nogil:
    # (25)  a^l = sigma(w^l a^(l-1) + b^l)
    cdef int l
    cdef Layer* layer
    cdef Signals* at
    for l in range(net.n_layers):
        layer, at = &net.layers[l], &batch.signals[l]
        at.rows, at.columns = batch.m, layer.J
        if layer.narrow:
            at.rows, at.columns = layer.J, batch.m
        weighted_input(at.z, at, layer, net, batch)
        if l == 0 and not batch.training:
            batch.finite = all_finite(<const char*>at.z, at.rows * at.ld, REAL_BYTES)
        activate(layer.runs, layer.n_runs, layer.narrow, at.a, at.z, at.rows, at.columns, at.ld)
        if at.out != at.a:
            drop(at.out, at.a, batch.noise, l + 1, at.rows, at.columns, at.ld)
    return 0


cdef void weighted_input(
    real* z,                    # OUT (m, J)
    const Signals* at,          # IN  a_prev: (m) rows of (K)
    const Layer* layer, const Network* net, Batch* batch,
) noexcept nogil:
    # z^l = w^l a^(l-1) + b^l
    cdef Product product = new_product(batch)
    cdef real* w = net.parameters + layer.w
    cdef real* b = net.parameters + layer.b
    if layer == net.layers and batch.sparse:
        sparse_weighted_input(z, at.ld, b, w, layer.ld, batch.nonzeros, batch.values, net.scale,
                              batch.m, layer.J, layer.K, batch.following)
        return
    product.c, product.ldc = z, at.ld
    product.depth, product.n_rows, product.columns = layer.K, at.rows, at.columns
    if layer == net.layers:
        product.alpha, product.streams = net.scale, not batch.training
    if layer.narrow:            # z^T = w (a^(l-1))^T + b
        fill_rows(z, b, at.rows, at.columns, at.ld)
        product.start, product.ld_start = z, at.ld
        product.rows = at.w_rows
        product.b, product.ldb, product.b_transposed = (at - 1).out, (at - 1).ld, True
    else:
        product.start, product.ld_start = b, 0
        product.rows = at.a_prev
        product.b, product.ldb = w, layer.ld
    multiply(&product)


cdef int output_error(
    Signals* at,                # OUT delta; IN a, and z where sigma' needs it
    const Layer* layer,         # IN  the last
    const Network* net, const Batch* batch, real step,
) except -1 nogil:
    # BP1   delta^L = grad_a C * sigma'(z^L)
    # (37)  delta^L_j = sum_k dC/da_k da_k/dz_j, where every a_k depends on z_j: softmax, for which
    #       da_k/dz_j = a_k (1[j = k] - a_j), so that delta_j = a_j (dC/da_j - sum_k dC/da_k a_k)
    # Two pairs cancel, and have no quotient left that could overflow. A weight is of an example.
    cdef Cost cost = net.cost.kind
    cdef Activation kind = layer.runs[0].kind
    cdef CostFunction quadratic
    if layer.n_runs == 1 and kind == SIGMOID and cost == CROSS_ENTROPY:
        quadratic.kind, quadratic.p = QUADRATIC, 0                           # a - y
        cost_gradient(&quadratic, at.delta, at.a, batch.y, step, at.rows, at.columns, at.ld)
    elif kind == SOFTMAX and (cost == LOG_LIKELIHOOD or cost == KL_DIVERGENCE):
        softmax_minus_rows(at.delta, at.a, batch.y, step,                    # a sum(y) - y
                           at.rows, at.columns, at.ld)
    else:
        cost_gradient(&net.cost, at.delta, at.a, batch.y, step, at.rows, at.columns, at.ld)
        times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                          at.rows, at.columns, at.ld)
    if batch.weighted:
        weigh(at.delta, batch.weights, layer.narrow, at.rows, at.columns, at.ld)
    return 0


cdef double weighted_costs(const Signals* at, const CostFunction* cost, const Batch* batch,
                           Py_ssize_t J) except? -1 nogil:
    # of the slice's examples
    cdef Py_ssize_t i
    cdef double total = 0
    if not batch.weighted:
        return sum_of_costs(cost, at.a, batch.y, at.rows, at.columns, at.ld)
    for i in range(batch.m):
        total += batch.weights[i] * sum_of_costs(
            cost, at.a + i * at.by_example, batch.y + i * at.by_example,
            1 if at.by_neuron == 1 else J, J if at.by_neuron == 1 else 1, at.ld)
    return total


cdef int backpropagate_error(
    Signals* at,                # OUT delta of layer l, (m, K); IN its activation
    const Layer* layer,         # IN  l: K neurons, their activation function
    const Layer* next_layer,    # IN  l+1: J neurons, and w from l to them
    const Network* net, Batch* batch,
) except -1 nogil:
    # BP2   delta^l = ((w^(l+1))^T delta^(l+1)) * sigma'(z^l)
    weighted_error(at, next_layer, net, batch)
    if at.out != at.a:          # dropout is one more function behind sigma
        drop(at.delta, at.delta, batch.noise, <int>(at - batch.signals) + 1, at.rows, at.columns,
             at.ld)
    return times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                             at.rows, at.columns, at.ld)


cdef void weighted_error(
    Signals* at,                # OUT delta, (m, K); IN behind it, that of layer l+1
    const Layer* next_layer, const Network* net, Batch* batch,
) noexcept nogil:
    # (w^(l+1))^T delta^(l+1)
    cdef Product product = new_product(batch)
    product.c, product.ldc = at.delta, at.ld
    product.start, product.ld_start = batch.zeros, 0
    product.rows = (at + 1).delta_rows
    product.b, product.ldb = net.parameters + next_layer.w, next_layer.ld
    product.across = next_layer.narrow
    product.b_transposed = not next_layer.narrow
    product.depth, product.n_rows, product.columns = next_layer.J, at.rows, at.columns
    multiply(&product)


cdef void add_nabla_b(
    real* b,                    # IN, OUT (J)
    const Signals* at,          # IN  delta, (m, J)
    const Layer* layer,
) noexcept nogil:
    # BP3   dC/db^l_j = delta^l_j, summed over the examples
    cdef Py_ssize_t i, j, v
    cdef vec total
    if layer.narrow:
        for j in range(layer.J):
            total = splat(0)
            for v in range(vectors(at.columns)):
                total = total + load(at.delta + j * at.ld + v * LANES)
            b[j] += sum_lanes(total)
        return
    for v in range(vectors(layer.J)):
        total = splat(0)
        for i in range(at.rows):
            total = total + load(at.delta + i * at.ld + v * LANES)
        store(b + v * LANES, load(b + v * LANES) + total)


cdef void update_b(
    real* b, const Signals* at, const Layer* layer, Batch* batch,
) noexcept nogil:
    # BP3, and what an optimizer makes of it
    memset(batch.panel, 0, vectors(layer.J) * LANES * sizeof(real))
    add_nabla_b(batch.panel, at, layer)
    update(batch.update_b, b, 0, batch.panel, 0, 1, layer.J)


cdef void add_nabla_w(
    real* w,                    # IN, OUT (K, J)
    const Signals* at,          # IN  a_prev and delta
    const Layer* layer, Batch* batch,
) noexcept nogil:
    # BP4   dC/dw^l_jk = a^(l-1)_k delta^l_j, summed over the examples
    cdef Product product = new_product(batch)
    cdef int k
    if at == batch.signals and batch.sparse:
        add_sparse_nabla_w(w, layer.ld, at.delta, at.ld, batch.nonzeros, batch.values, batch.done,
                           batch.m, layer.J, layer.K)
        return
    product.c = product.start = w
    product.ldc = product.ld_start = layer.ld
    product.depth = batch.m
    if layer.narrow:            # (J, K)
        product.rows = at.delta_rows
        product.b, product.ldb = (at - 1).out, (at - 1).ld
        product.n_rows, product.columns = layer.J, layer.K
    else:
        product.rows, product.across = at.a_prev, True
        product.b, product.ldb = at.delta, at.ld
        product.n_rows, product.columns = layer.K, layer.J
    if batch.update != NULL:
        product.start, product.ld_start = batch.zeros, 0
        product.epilogue, product.context, product.tile = update, batch.update, batch.tile
        for k in range(memories(batch.update.kind)):
            product.more[k] = batch.update.memory[k] + (w - batch.update.w)
    if at == batch.signals:     # the next rows of x flow in behind the first layer's arithmetic
        product.ahead = &batch.ahead
    multiply(&product)
    if layer.narrow:            # a has something in its padding
        clear_padding(w, layer.J, layer.K, layer.ld)


cdef int add_gradient(
    real* to,                   # IN, OUT an arena: + step * sum_x of the gradient of C_x
    real step,
    const Network* net, Batch* batch,
) except -1 nogil:
    # BP1 to BP4 for one slice. No parameter changes before every delta is known.
    cdef int l, last = net.n_layers - 1
    cdef Layer* layer = &net.layers[last]
    cdef Signals* at = &batch.signals[last]
    feedforward(net, batch)
    look_for_signals(net, batch)
    output_error(at, layer, net, batch, step)
    batch.cost += weighted_costs(at, &net.cost, batch, layer.J)
    for l in range(last - 1, -1, -1):
        backpropagate_error(&batch.signals[l], &net.layers[l], &net.layers[l + 1], net, batch)
        look_for_signals(net, batch)
    for l in range(net.n_layers):
        layer, at = &net.layers[l], &batch.signals[l]
        if batch.update != NULL:
            update_b(to + layer.b, at, layer, batch)
        else:
            add_nabla_b(to + layer.b, at, layer)
        if l == 0 and net.scale != 1:       # of its inputs
            scale_rows(at.delta, net.scale, at.rows, at.columns, at.ld)
        add_nabla_w(to + layer.w, at, layer, batch)
    return 0


cdef int sum_gradients(
    real* to, real step,
    const Network* net, Batch* batch,
    const RowArray* rows, Targets targets,
    const Py_ssize_t* order, Py_ssize_t n,      # IN  (n) which rows, or NULL: as they lie
    Py_ssize_t first, Py_ssize_t m,             # the mini-batch: m of them
) except -1 nogil:
    # Slice by slice. What follows in the order is fetched meanwhile: the next slice or mini-batch.
    cdef Py_ssize_t end = first + m
    cdef Py_ssize_t J = net.layers[net.n_layers - 1].J
    cdef Signals* output = &batch.signals[net.n_layers - 1]
    while first < end:
        batch.m = min(<Py_ssize_t>SLICE, end - first)
        gather_slice(net, batch, rows, order, first, n)
        if batch.noise != NULL:
            batch.noise.first = first - (end - m)
            disturb(net, batch)
        gather_targets(batch.y, output.by_example, output.by_neuron, targets, order, first,
                       batch.m, J)
        batch.weighted = gather_weights(batch.weights, targets, order, first, batch.m)
        first += batch.m
        plan_ahead(&batch.ahead, rows, targets, order, first, min(n, first + batch.m))
        add_gradient(to, step, net, batch)
    return 0


cdef void gather_slice(
    const Network* net, Batch* batch, const RowArray* rows,
    const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t n,
) noexcept nogil:
    batch.sparse = (rows.nonzeros != NULL and net.scales == NULL and batch.noise == NULL
                    and batch.update == NULL)
    if batch.sparse:
        batch.values = rows.values
        batch.following = min(<Py_ssize_t>SOON, n - first - batch.m)
        gather_nonzeros(batch.nonzeros, rows, order, first, batch.m + batch.following)
    else:
        gather(batch.signals[0].a_prev, batch.x, batch.ld_x, rows, order, first, batch.m,
               net.scales, batch.noise != NULL)


cdef int update_mini_batch(
    const Network* net, Batch* batch, Optimization* how,     # plain descent if NULL
    const RowArray* rows, Targets targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t m, double eta,
) except -1 nogil:
    # w -> w - (eta/m) sum_x delta a^T,  b -> b - (eta/m) sum_x delta
    cdef real step = <real>(-eta / m)
    if batch.noise != NULL:
        batch.noise.step = how.steps + 1
    if how != NULL and not how.plain:
        optimize_mini_batch(net, batch, how, rows, targets, order, n, first, m, eta)
    elif m <= SLICE:
        sum_gradients(net.parameters, step, net, batch, rows, targets, order, n, first, m)
    else:
        memset(batch.step, 0, net.size * sizeof(real))
        sum_gradients(batch.step, step, net, batch, rows, targets, order, n, first, m)
        add_arena(net.parameters, batch.step, net.size)
    if how != NULL:
        how.steps += 1          # only now: a signal may have kept it from being taken
    return 0


cdef int optimize_mini_batch(
    const Network* net, Batch* batch, Optimization* how,
    const RowArray* rows, Targets targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t m, double eta,
) except -1 nogil:
    # What an optimizer makes of the average gradient.
    cdef Update of_w, of_b
    cdef Layer* layer
    cdef real* w
    cdef int l
    next_step(how, eta, &of_w, &of_b)
    if m <= SLICE and how.clip_norm == INFINITY:
        batch.update, batch.update_b = &of_w, &of_b
        try:
            sum_gradients(net.parameters, <real>(1.0 / m), net, batch, rows, targets, order, n,
                          first, m)
        finally:
            batch.update = NULL
    else:
        memset(batch.step, 0, net.size * sizeof(real))
        sum_gradients(batch.step, <real>(1.0 / m), net, batch, rows, targets, order, n, first, m)
        clip_to_norm(batch.step, net.size, how.clip_norm)
        for l in range(net.n_layers):
            layer = &net.layers[l]
            w = net.parameters + layer.w
            update(&of_w, w, 0, batch.step + layer.w, 0, 1, layer.b - layer.w)
            update(&of_b, net.parameters + layer.b, 0, batch.step + layer.b, 0, 1, layer.J)
    if how.max_norm < INFINITY:
        for l in range(net.n_layers):
            hold_norms(net.parameters + net.layers[l].w, &net.layers[l], how.max_norm)
    return 0


cdef void hold_norms(real* w, const Layer* layer, double most) noexcept nogil:
    # No neuron's weights are longer than that (Srivastava et al., JMLR 2014).
    cdef Py_ssize_t i, v
    cdef vec total
    if layer.narrow:
        for i in range(layer.J):
            shorten_row(w + i * layer.ld, layer.K, most)
        return
    for v in range(vectors(layer.J)):
        total = splat(0)
        for i in range(layer.K):
            total = total + load(w + i * layer.ld + v * LANES) * load(w + i * layer.ld + v * LANES)
        total = splat(<real>most) / at_least(square_root(total), splat(<real>most))
        for i in range(layer.K):
            store(w + i * layer.ld + v * LANES, total * load(w + i * layer.ld + v * LANES))


cdef void shorten_row(real* w, Py_ssize_t columns, double most) noexcept nogil:
    cdef Py_ssize_t v
    cdef vec total = splat(0)
    for v in range(vectors(columns)):
        total = total + load(w + v * LANES) * load(w + v * LANES)
    total = splat(<real>(most / max(most, sqrt(sum_lanes(total)))))
    for v in range(vectors(columns)):
        store(w + v * LANES, total * load(w + v * LANES))


cdef void disturb(const Network* net, Batch* batch) noexcept nogil:
    # x as it is kept for this slice; its scale, if it is one number, is applied later
    cdef Noise* noise = batch.noise
    if noise.deviation > 0:
        add_noise(batch.x, noise, noise.deviation / net.scale, batch.m, net.layers[0].K, batch.ld_x)
    if noise.rates[0] > 0:
        drop(batch.x, batch.x, noise, 0, batch.m, net.layers[0].K, batch.ld_x)


cdef Py_ssize_t sgd(
    const Network* net, Batch* batch, Optimization* how,
    const RowArray* rows, Targets targets, const Py_ssize_t* order, Py_ssize_t n,
    Py_ssize_t mini_batch_size,
    const double* eta,          # IN  one for each mini-batch
    Py_ssize_t first, Py_ssize_t last,
) except -1 nogil:
    # The mini-batches that begin in rows first to last of the order. The last of an epoch may be
    # shorter: the step divides by its own length.
    cdef Py_ssize_t m
    while first < last:
        m = min(mini_batch_size, n - first)
        update_mini_batch(net, batch, how, rows, targets, order, n, first, m, eta[0])
        first += m
        eta += 1
    return first


# ---- around it ----

cdef extern from *:
    """
    #include <time.h>
    static long long nanoseconds_now(void) {
        struct timespec t;
    #ifdef CLOCK_MONOTONIC
        clock_gettime(CLOCK_MONOTONIC, &t);
    #else
        timespec_get(&t, TIME_UTC);
    #endif
        return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    """
    long long now "nanoseconds_now"() noexcept nogil


cdef int look_for_signals(const Network* net, Batch* batch) except -1 nogil:
    # Ctrl-C. The clock is read only after work that takes a millisecond or so.
    cdef long long t
    batch.work += net.size * batch.m
    if batch.work < LONG:
        return 0
    batch.work = 0
    t = now()
    if t - batch.last_look > PATIENCE:
        batch.last_look = t
        with gil:
            PyErr_CheckSignals()
    return 0


cdef void plan_ahead(
    Ahead* ahead, const RowArray* rows, Targets targets,
    const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    # Rows in order the CPU foresees by itself.
    cdef Py_ssize_t i
    ahead.bytes = rows.K * rows.itemsize
    ahead.n = last - first if order != NULL else 0
    ahead.row = ahead.at = 0
    for i in range(ahead.n):
        ahead.rows[i] = rows.data + order[first + i] * ahead.bytes
        if not targets.are_labels:      # at least where they begin
            prefetch(&targets.rows[order[first + i], 0])


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


cdef inline Product new_product(Batch* batch) noexcept nogil:
    cdef Product product
    memset(&product, 0, sizeof(product))
    product.alpha = 1
    product.panel, product.strips = batch.panel, batch.strips
    return product
