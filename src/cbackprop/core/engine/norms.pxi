# Limits on the norm of the gradient, and on the norm of each neuron's weights.

from libc.math cimport fabs, sqrt

cdef enum:
    CLIP_BLOCK = 4096       # numbers of an arena in each partial sum


cdef void clip_to_norm(Pass* p, double max_norm) noexcept nogil:
    # Pascanu, Mikolov, Bengio, ICML 2013. The blocks do not depend on the number of threads.
    cdef Py_ssize_t block, size = p.net.size, n_blocks = (size + CLIP_BLOCK - 1) // CLIP_BLOCK
    cdef Range own = part(n_blocks, 1, p)
    cdef double square = 0, root
    for block in range(own.first, own.last):
        p.squares[block] = squared_norm(p.sums + block * CLIP_BLOCK,
                                        min(<Py_ssize_t>CLIP_BLOCK, size - block * CLIP_BLOCK))
    if not barrier(p):
        return
    for block in range(n_blocks):
        square += p.squares[block]
    own = part_of_arena(p)
    if square == INFINITY:      # although the norm may be finite
        root = root_of_scale(p.sums, size, 1, max_norm)
        if not barrier(p):      # the other threads still read the sums
            return
        p.marks_touched = False     # if the root is NaN, all sums are
        for _ in range(2):
            scale_rows(p.sums + own.first, <real>root, 1, own.last - own.first, 0)
    elif sqrt(square) > max_norm:
        scale_rows(p.sums + own.first, <real>(max_norm / sqrt(square)), 1, own.last - own.first, 0)
    barrier(p)


cdef double root_of_scale(
    const real* x, Py_ssize_t size, Py_ssize_t stride, double max_norm,
) noexcept nogil:
    # sqrt(max_norm / |x|), for numbers whose squares overflow; NaN if one is infinite. The caller
    # multiplies by the root twice, because the scale itself may be subnormal, which counts as zero.
    cdef Py_ssize_t i
    cdef double largest = 0, total = 0
    for i in range(size):
        largest = max(largest, fabs(<double>x[i * stride]))
    for i in range(size):
        total += (x[i * stride] / largest) * (x[i * stride] / largest)
    total = sqrt(max_norm / sqrt(total)) / sqrt(largest)
    return 1 if total > 1 else total


cdef double sum_of_squared_weights(const Network* net) noexcept nogil:
    # The sum over all w. Padding is zero.
    cdef int l
    cdef double total = 0
    for l in range(net.n_layers):
        total += squared_norm(net.parameters + net.layers[l].w, size_of_w(&net.layers[l]))
    return total


cdef void limit_norms(Pass* p, const OptimizerOptions* options) noexcept nogil:
    # Shorten each neuron's weights to at most max_norm (Srivastava et al., JMLR 2014).
    cdef int l
    cdef Layer* layer
    cdef Range neurons
    for l in range(p.net.n_layers):
        layer = &p.net.layers[l]
        neurons = neurons_of(p, l)
        if has_rules(options) and is_frozen(options, l):
            continue
        if not layer.narrow or neurons.first == 0 < neurons.last:
            limit_norms_of_layer(p.net.parameters + layer.w, layer, neurons, options.max_norm)


cdef void limit_norms_of_layer(
    real* w, const Layer* layer, Range neurons, double max_norm,
) noexcept nogil:
    cdef Py_ssize_t i, v
    cdef int j
    cdef vec total
    if layer.narrow:
        for i in range(layer.J):
            shorten_row(w + i * layer.ld, layer.K, max_norm)
        return
    for v in range(neurons.first // LANES, vectors(neurons.last)):
        total = splat(0)
        for i in range(layer.K):
            total = total + load(w + i * layer.ld + v * LANES) * load(w + i * layer.ld + v * LANES)
        total = splat(<real>max_norm) / at_least(square_root(total), splat(<real>max_norm))
        for j in range(LANES):
            if lane(total, j) == 0:
                shorten_overflowing(w + v * LANES + j, layer.K, layer.ld, max_norm)
        total = select_lanes(less(absolute(total), splat(SMALLEST)), splat(1), total)
        for i in range(layer.K):
            store(w + i * layer.ld + v * LANES, total * load(w + i * layer.ld + v * LANES))


cdef void shorten_row(real* w, Py_ssize_t columns, double max_norm) noexcept nogil:
    cdef Py_ssize_t v
    cdef vec total = splat(0)
    for v in range(vectors(columns)):
        total = total + load(w + v * LANES) * load(w + v * LANES)
    if sum_lanes(total) == INFINITY:
        shorten_overflowing(w, columns, 1, max_norm)
        return
    total = splat(<real>(max_norm / max(max_norm, sqrt(sum_lanes(total)))))
    for v in range(vectors(columns)):
        store(w + v * LANES, total * load(w + v * LANES))


cdef void shorten_overflowing(
    real* w, Py_ssize_t size, Py_ssize_t stride, double max_norm,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real root = <real>root_of_scale(w, size, stride, max_norm)
    for i in range(size):
        w[i * stride] = w[i * stride] * root * root
