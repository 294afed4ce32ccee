# The operands of each product of a layer. Narrow outputs (layout.pxi), skipped zeros of x and an
# optimizer that takes BP4's sums are different operands here, so the equations do not know them.

from libc.math cimport INFINITY

cdef enum ProductForm:
    TILES, TILES_WITH_EPILOGUE, DOTS
    ZEROS_SKIPPED, ZEROS_SKIPPED_TRANSPOSED, LISTED, LISTED_TRANSPOSED


cdef struct LayerProduct:
    Product dense
    ProductForm form
    const Pass* p               # ZEROS_SKIPPED, LISTED: has the nonzeros of x
    const real* a               # DOTS: (n_rows, depth)
    Py_ssize_t lda              # DOTS: the row stride of a
    real lower_bound            # ZEROS_SKIPPED, LISTED: smaller sums are raised to it
    bint touched_only           # LISTED_TRANSPOSED: leave out rows of w without a nonzero of x
    Step step                   # the optimizer's, if it differs from layer to layer
    bint clears_padding         # True if the padding of b is not zero, so that of c must be cleared


# The destination of a gradient: an arena, to which step times the gradient is added; or the
# parameters and an optimizer.
cdef struct Sink:
    real* to
    real step                   # the factor; BP1 multiplies delta by it
    const Step* w_step          # NULL: add. Else the optimizer's step, which the sums go through
    const Step* b_step          # the same for the biases
    const OptimizerOptions* by_layer    # NULL; or they say which layers are trained, and give each
    double eta, weight                  # a step from the learning rate and the mini-batch's weight
    int lowest                  # the lowest layer that is trained
    bint lazy                   # rows of the first w that no listed nonzero touches are left alone


cdef inline void write_gradient(
    Sink* into,                 # OUT
    real* to, real step,
) noexcept nogil:
    # Add to an arena; no optimizer.
    into.to, into.step = to, step
    into.w_step, into.b_step, into.by_layer, into.lowest = NULL, NULL, NULL, 0
    into.lazy = False


cdef inline void leave_frozen_out(
    Sink* into,                 # IN, OUT
    const OptimizerOptions* options, int n_layers,
) noexcept nogil:
    if has_rules(options):
        into.by_layer = options
        while into.lowest < n_layers and is_frozen(options, into.lowest):
            into.lowest += 1


cdef inline void take_steps(
    Sink* into,                 # OUT
    const OptimizerOptions* options, const Step* w_step, const Step* b_step,
    double eta, double weight, int n_layers,
) noexcept nogil:
    # Pass the average gradient on to an optimizer.
    write_gradient(into, options.parameters, <real>(1 / weight))
    into.w_step, into.b_step, into.eta, into.weight = w_step, b_step, eta, weight
    into.lazy = options.lazy
    leave_frozen_out(into, options, n_layers)


cdef inline bint is_trained(const Sink* into, int l) noexcept nogil:
    return into.by_layer == NULL or not is_frozen(into.by_layer, l)


cdef inline void compute(LayerProduct* product) noexcept nogil:
    cdef Product* dense = &product.dense
    if product.form == TILES:
        multiply(dense)
    elif product.form == TILES_WITH_EPILOGUE:
        multiply_with_epilogue(dense)
    elif product.form == DOTS:
        add_dot_products(dense.c, dense.ldc, product.a, product.lda, dense.b, dense.ldb,
                         dense.n_rows, dense.columns, dense.depth)
    elif product.form == ZEROS_SKIPPED:
        multiply_nonzeros(dense, product.p.nonzeros, product.p.values, product.p.following,
                          product.lower_bound)
    elif product.form == ZEROS_SKIPPED_TRANSPOSED:
        multiply_nonzeros_transposed(dense, product.p.nonzeros, product.p.values, product.p.cursor)
    elif product.form == LISTED:
        multiply_listed(dense, product.p.nonzeros, product.p.values, product.p.following,
                        product.lower_bound)
    else:
        multiply_listed_transposed(dense, product.p.nonzeros, product.p.values,
                                   &product.p.calendar, product.touched_only)
    if product.clears_padding:
        clear_padding(dense.c, dense.n_rows, dense.columns, dense.ldc)


cdef inline void begin_product(LayerProduct* product, const Pass* p) noexcept nogil:
    # What most products do without. The struct is neither returned nor cleared as a whole: GCC 12
    # copies it through memory that it has just stored (20 ns) and clears it by `rep stos` (10 ns).
    cdef Product* dense = &product.dense
    cdef int k
    dense.alpha, dense.panel, dense.packed_a = 1, p.panel, p.packed_a
    if STORED_DEPTH > 1:
        dense.stored_a = p.stored_a
    dense.relu_mask, dense.prefetcher, dense.epilogue = NULL, NULL, NULL
    dense.a_transposed, dense.b_transposed, dense.streams = False, False, False
    for k in range(EPILOGUE_OPERANDS):
        dense.epilogue_operands[k] = NULL
    product.form, product.p, product.clears_padding = TILES, p, False


cdef inline void weighted_input_operands(
    LayerProduct* product,      # OUT z = b + w a_prev
    const Pass* p, LayerState* at, int l, Range neurons,
) noexcept nogil:
    cdef const Layer* layer = &p.net.layers[l]
    cdef real* w = p.net.parameters + layer.w
    cdef real* b = p.net.parameters + layer.b
    cdef Product* dense = &product.dense
    begin_product(product, p)
    dense.depth = layer.K
    if layer.narrow:            # z^T = b + w (a^(l-1))^T
        fill_rows(at.z, b, at.rows, at.columns, at.ld)
        product.form, product.a, product.lda = DOTS, w, layer.ld
        dense.c, dense.ldc, dense.n_rows, dense.columns = at.z, at.ld, at.rows, at.columns
        dense.b, dense.ldb = (at - 1).handed_on, (at - 1).ld
        return
    dense.c, dense.ldc = at.z + neurons.first, at.ld
    dense.columns = neurons.last - neurons.first
    dense.initial, dense.ld_initial = b + neurons.first, 0
    dense.rows, dense.n_rows, dense.n_rows_total = at.a_prev, at.rows, p.m
    dense.b, dense.ldb = w + neurons.first, layer.ld
    if l == 0:
        dense.alpha, dense.streams = p.net.scale, not p.training
        if p.sparse:
            product.form = LISTED if p.nonzeros.columns != NULL else ZEROS_SKIPPED
            product.lower_bound = 0 if product_rectifies(p, at, l) else -INFINITY


cdef inline void weighted_error_operands(
    LayerProduct* product,      # OUT delta = (w^(l+1))^T delta^(l+1)
    const Pass* p, LayerState* at, int l, Range neurons,
    bint masks_relu,            # whether to multiply by relu'(z) as well
) noexcept nogil:
    cdef const Layer* next_layer = &p.net.layers[l + 1]
    cdef Product* dense = &product.dense
    begin_product(product, p)
    dense.c, dense.ldc = at.delta + neurons.first, at.ld
    dense.initial, dense.ld_initial = p.zeros, 0
    dense.rows, dense.n_rows, dense.n_rows_total = (at + 1).delta_rows, at.rows, p.m
    dense.b, dense.ldb = p.net.parameters + next_layer.w, next_layer.ld
    dense.b += neurons.first * (1 if next_layer.narrow else next_layer.ld)
    dense.a_transposed, dense.b_transposed = next_layer.narrow, not next_layer.narrow
    dense.depth, dense.columns = next_layer.J, neurons.last - neurons.first
    if masks_relu:
        dense.relu_mask = at.a + neurons.first


cdef inline void weight_gradient_operands(
    LayerProduct* product,      # OUT w += a_prev delta^T
    Pass* p, LayerState* at, int l, Range neurons, const Sink* into,
) noexcept nogil:
    cdef const Layer* layer = &p.net.layers[l]
    cdef real* w = into.to + layer.w + neurons.first
    cdef Product* dense = &product.dense
    cdef const Step* step = into.w_step
    cdef Step b_step
    cdef int k
    begin_product(product, p)
    dense.c = dense.initial = w
    dense.ldc = dense.ld_initial = layer.ld
    dense.depth, dense.columns = p.m, neurons.last - neurons.first
    if layer.narrow:            # (J, K)
        dense.rows, dense.n_rows = at.delta_rows, layer.J
        dense.b, dense.ldb = (at - 1).handed_on + neurons.first, (at - 1).ld
        product.clears_padding = True
    else:
        dense.rows, dense.n_rows, dense.a_transposed = at.a_prev, layer.K, True
        dense.b, dense.ldb = at.delta + neurons.first, at.ld
    dense.n_rows_total = dense.n_rows
    if l == 0:
        if at == p.layers:      # the product prefetches the next rows of x
            dense.prefetcher = &p.prefetcher
        if p.net.scale != 1:    # delta is multiplied by the scale of x
            scale_rows(at.delta + neurons.first, p.net.scale, at.rows, dense.columns, at.ld)
    if step != NULL:
        if into.by_layer != NULL:
            next_step_of_layer(into.by_layer, l, into.eta, into.weight, &product.step, &b_step)
            step = &product.step
        product.form = TILES_WITH_EPILOGUE
        dense.initial, dense.ld_initial = p.zeros, 0
        dense.epilogue, dense.context, dense.tile = update, step, p.tile
        for k in range(min(n_slots(step.kind), <int>EPILOGUE_OPERANDS)):
            dense.epilogue_operands[k] = step.slots[k] + (w - step.w)
    if p.sparse and l == 0:
        product.form = ZEROS_SKIPPED_TRANSPOSED
        if p.nonzeros.columns != NULL:
            product.form, product.touched_only = LISTED_TRANSPOSED, into.lazy


cdef inline void add_deltas(
    real* to,                   # IN, OUT (J)  + the sum of delta over the examples
    const LayerState* at, bint narrow, Range neurons,
) noexcept nogil:
    if narrow:
        add_row_sums(to, at.delta, neurons.first, neurons.last, at.columns, at.ld)
    else:
        add_column_sums(to, at.delta, at.rows, neurons.first, neurons.last, at.ld)


cdef inline void add_sum_over_examples(
    Pass* p, int l, const Sink* into, Range neurons,
) noexcept nogil:
    # sum_x delta^l goes to nabla_b, or through the optimizer's step.
    cdef const Layer* layer = &p.net.layers[l]
    cdef real* b = into.to + layer.b
    cdef real* sums = <real*>p.panel    # no product needs it now
    cdef const Step* step = into.b_step
    cdef Step w_step, own
    if neurons.first == neurons.last or not layer.biased or not is_trained(into, l):
        return
    if step == NULL:
        add_deltas(b, &p.layers[l], layer.narrow, neurons)
        return
    memset(sums, 0, vectors(layer.J) * LANES * sizeof(real))
    add_deltas(sums, &p.layers[l], layer.narrow, neurons)
    if into.by_layer != NULL:
        next_step_of_layer(into.by_layer, l, into.eta, into.weight, &w_step, &own)
        step = &own
    update(step, b + neurons.first, 0, sums + neurons.first, 0, 1,
           neurons.last - neurons.first)


# ---- the activation of a layer, followed by dropout ----

cdef inline bint is_relu(const Layer* layer) noexcept nogil:
    # relu' is 1 or 0. Applied while a product's sums are in registers, it costs nothing; this saves
    # 2 of 47 us of a step of [20, 100, 1], 200 rows in float64.
    return layer.n_runs == 1 and layer.runs.kind == RELU


cdef inline bint product_rectifies(const Pass* p, const LayerState* at, int l) noexcept nogil:
    # Whether the product returns relu(z) directly. This costs nothing in the product that skips
    # zeros; in the microkernel it would cost all other products 1 to 2 %.
    return (l == 0 and p.sparse and p.training and is_relu(p.net.layers) and at.z == at.a)


cdef inline int activate_layer(Pass* p, int l) except -1 nogil:
    # a = sigma(z), then dropout.
    cdef const Layer* layer = &p.net.layers[l]
    cdef LayerState* at = &p.own[l]
    if l == 0 and not p.training:
        p.finite = all_finite(<const char*>at.z, at.rows * at.ld, real_rows())
    if not product_rectifies(p, at, l):
        activate(layer.runs, layer.n_runs, layer.narrow, at.a, at.z, at.rows, at.columns, at.ld)
    if at.handed_on != at.a:
        apply_dropout(at.handed_on, at.a, p.noise, l + 1, at.rows, at.columns, at.ld)
    return 0


cdef inline int times_sigma_prime_of_layer(Pass* p, int l) except -1 nogil:
    # Multiply delta by sigma'(z), and by the factors with which dropout multiplied a.
    cdef const Layer* layer = &p.net.layers[l]
    cdef LayerState* at = &p.own[l]
    if at.handed_on != at.a:
        apply_dropout(at.delta, at.delta, p.noise, l + 1, at.rows, at.columns, at.ld)
    if is_relu(layer):          # the product was masked by relu'(z)
        return 0
    return times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                             at.rows, at.columns, at.ld)


cdef double cost_of_slice(const Pass* p) except? -1 nogil:
    # (26)  C = sum_x C_x, each C_x times the weight of x
    cdef const LayerState* at = &p.layers[p.net.n_layers - 1]
    cdef const Layer* layer = &p.net.layers[p.net.n_layers - 1]
    cdef Py_ssize_t i, stride = at.example_stride
    cdef double total = 0
    if not p.weighted:
        return sum_of_costs(&p.net.cost, layer.runs, layer.n_runs, layer.narrow, at.a, at.z, p.y,
                            at.rows, at.columns, at.ld)
    for i in range(p.m):
        if p.weights[i] > 0:    # 0 times an infinite cost is NaN
            total += p.weights[i] * sum_of_costs(
                &p.net.cost, layer.runs, layer.n_runs, layer.narrow,
                at.a + i * stride, at.z + i * stride, p.y + i * stride,
                1 if at.neuron_stride == 1 else layer.J, layer.J if at.neuron_stride == 1 else 1,
                at.ld)
    return total
