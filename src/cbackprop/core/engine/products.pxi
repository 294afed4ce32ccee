# The products of a layer: what each of the equations multiplies, and into what. Outputs may be
# narrow (layout.pxi), zeros of x may be skipped, an optimizer may take BP4's sums: these are
# operands here, so that the equations need not know.

from libc.math cimport INFINITY

cdef enum ProductForm:
    TILES, TILES_WITH_EPILOGUE, DOTS, ZEROS_SKIPPED, ZEROS_SKIPPED_TRANSPOSED


cdef struct LayerProduct:
    Product dense
    ProductForm form
    const Pass* p               # where the numbers that are not zero are listed
    const real* a               # DOTS: (n_rows, depth), ...
    Py_ssize_t lda              # ... rows apart
    real lower_bound            # ZEROS_SKIPPED: what is below is raised to it
    bint clears_padding         # the padding of c must be cleared: that of b is not zero


cdef struct Sink:               # where a gradient goes
    real* to                    # an arena: it is added to that, ...
    real step                   # ... times this; delta carries the factor from BP1 on
    const Step* w_step          # or an optimizer takes it, and `to` are the parameters; or NULL
    const Step* b_step


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
    else:
        multiply_nonzeros_transposed(dense, product.p.nonzeros, product.p.values, product.p.cursor)
    if product.clears_padding:
        clear_padding(dense.c, dense.n_rows, dense.columns, dense.ldc)


cdef inline void begin_product(LayerProduct* product, const Pass* p) noexcept nogil:
    # Not returned: to copy what was just stored waits for the stores, 20 ns with GCC 12.
    memset(&product.dense, 0, sizeof(Product))
    product.dense.alpha = 1
    product.dense.panel, product.dense.packed_a = p.panel, p.packed_a
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
            product.form = ZEROS_SKIPPED
            product.lower_bound = 0 if product_rectifies(p, at, l) else -INFINITY


cdef inline void weighted_error_operands(
    LayerProduct* product,      # OUT delta = (w^(l+1))^T delta^(l+1)
    const Pass* p, LayerState* at, int l, Range neurons,
    bint masks_relu,            # times relu'(z) as well
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
    Pass* p, LayerState* at, int l, Range columns, const Sink* into,
) noexcept nogil:
    cdef const Layer* layer = &p.net.layers[l]
    cdef real* w = into.to + layer.w + columns.first
    cdef Product* dense = &product.dense
    cdef int k
    begin_product(product, p)
    dense.c = dense.initial = w
    dense.ldc = dense.ld_initial = layer.ld
    dense.depth, dense.columns = p.m, columns.last - columns.first
    if layer.narrow:            # (J, K)
        dense.rows, dense.n_rows = at.delta_rows, layer.J
        dense.b, dense.ldb = (at - 1).handed_on + columns.first, (at - 1).ld
        product.clears_padding = True
    else:
        dense.rows, dense.n_rows, dense.a_transposed = at.a_prev, layer.K, True
        dense.b, dense.ldb = at.delta + columns.first, at.ld
    dense.n_rows_total = dense.n_rows
    if l == 0:
        if at == p.layers:      # the next rows of x flow in while this computes
            dense.prefetcher = &p.prefetcher
        if p.net.scale != 1:    # delta takes the scale of x
            scale_rows(at.delta + columns.first, p.net.scale, at.rows, dense.columns, at.ld)
    if into.w_step != NULL:
        product.form = TILES_WITH_EPILOGUE
        dense.initial, dense.ld_initial = p.zeros, 0
        dense.epilogue, dense.context, dense.tile = update, into.w_step, p.tile
        for k in range(min(n_slots(into.w_step.kind), <int>EPILOGUE_OPERANDS)):
            dense.epilogue_operands[k] = into.w_step.slots[k] + (w - into.w_step.w)
    if p.sparse and l == 0:
        product.form = ZEROS_SKIPPED_TRANSPOSED


cdef inline void add_over_examples(
    real* to,                   # IN, OUT (J) + the sum of delta
    const LayerState* at, bint narrow, Range neurons,
) noexcept nogil:
    if narrow:
        add_row_sums(to, at.delta, neurons.first, neurons.last, at.columns, at.ld)
    else:
        add_column_sums(to, at.delta, at.rows, neurons.first, neurons.last, at.ld)


cdef inline void add_to_biases(Pass* p, int l, const Sink* into, Range neurons) noexcept nogil:
    cdef const Layer* layer = &p.net.layers[l]
    cdef real* b = into.to + layer.b
    if neurons.first == neurons.last:
        return
    if into.b_step == NULL:
        add_over_examples(b, &p.layers[l], layer.narrow, neurons)
        return
    memset(p.panel, 0, vectors(layer.J) * LANES * sizeof(real))
    add_over_examples(p.panel, &p.layers[l], layer.narrow, neurons)
    update(into.b_step, b + neurons.first, 0, p.panel + neurons.first, 0, 1,
           neurons.last - neurons.first)


# ---- the activation of a layer, with dropout behind it ----

cdef inline bint is_relu(const Layer* layer) noexcept nogil:
    # Its sigma' is 1 or 0, and costs nothing while a product's sums are in registers: 2 us of 47
    # for a step of [20, 100, 1], 200 rows in float64.
    return layer.n_runs == 1 and layer.runs.kind == RELU


cdef inline bint product_rectifies(const Pass* p, const LayerState* at, int l) noexcept nogil:
    # Whether the product gives relu(z) at once. Where it skips zeros, that costs nothing; in the
    # tiles of the microkernel it would cost all others 1 to 2 %.
    return (l == 0 and p.sparse and p.training and is_relu(p.net.layers) and at.z == at.a)


cdef inline void activate_layer(Pass* p, int l) noexcept nogil:
    # a = sigma(z), and what dropout leaves of it.
    cdef const Layer* layer = &p.net.layers[l]
    cdef LayerState* at = &p.own[l]
    if l == 0 and not p.training:
        p.finite = all_finite(<const char*>at.z, at.rows * at.ld, real_rows())
    if not product_rectifies(p, at, l):
        activate(layer.runs, layer.n_runs, layer.narrow, at.a, at.z, at.rows, at.columns, at.ld)
    if at.handed_on != at.a:
        apply_dropout(at.handed_on, at.a, p.noise, l + 1, at.rows, at.columns, at.ld)


cdef inline int times_sigma_prime_of_layer(Pass* p, int l) except -1 nogil:
    # delta times sigma'(z), and times what dropout has multiplied a by.
    cdef const Layer* layer = &p.net.layers[l]
    cdef LayerState* at = &p.own[l]
    if at.handed_on != at.a:
        apply_dropout(at.delta, at.delta, p.noise, l + 1, at.rows, at.columns, at.ld)
    if is_relu(layer):          # the product was masked
        return 0
    return times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                             at.rows, at.columns, at.ld)
