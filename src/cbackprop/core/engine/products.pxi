# What the products of a layer take: one description for each of the equations.


cdef inline void begin_product(Product* product, Batch* batch) noexcept nogil:
    # Not returned: copying what was just stored waits for it, 20 ns with GCC 12.
    memset(product, 0, sizeof(Product))
    product.alpha = 1
    product.panel, product.strips = batch.panel, batch.strips


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
