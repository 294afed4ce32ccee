# The division of a mini-batch among threads, and the barriers between them.
#
# Work is split two ways. By examples: a thread takes its own examples through most of the
# equations. By neurons: all threads work on all examples of the slice, each on its own columns;
# this is used for the first layer's z, for layers with more than 1 MB of weights, and for BP3 and
# BP4. A barrier separates the two. Each element is summed by one thread, in an order that depends
# on shapes only: results are bit-identical for any number of threads.

cdef enum:
    CLOCK_EVERY_MULTIPLICATIONS = 10_000_000    # between two readings of the clock, about 1 ms
    SIGNAL_EVERY_NS = 20_000_000    # between two checks for a signal
    SHARED_W_BYTES = 1 << 20        # the largest w that threads do not share: it fits the L2 cache
    MIN_EXAMPLES_PER_THREAD = 3     # fewer would be summed in another order (gemm.pxi)
    LONG_WAIT_NS = 2_000_000        # a team stops if its threads waited longer than this ...
    LONG_WAIT_SHARE = 4             # ... and for more than 1 / LONG_WAIT_SHARE of the time


ctypedef void (*ByNeurons)(Pass* p, LayerState* at, int l, Range neurons) noexcept nogil


cdef inline int share_by_neurons(
    Pass* p, int l, int weights_of, ByNeurons product,
) except -1 nogil:
    # Compute a product for the neurons of layer l, with the weights of layer `weights_of`: for this
    # thread's examples, or, between two barriers, for its neurons. False if another thread has
    # stopped.
    if p.threads > 1 and by_neurons(p.net, weights_of):
        if weights_of > 0 and not barrier(p):   # before the first layer, all have passed one
            return False
        product(p, &p.layers[l], l, neurons_of(p, l))
        if not barrier(p):
            return False
    else:
        product(p, &p.own[l], l, all_neurons(&p.net.layers[l]))
    poll_signals(p, size_of_w(&p.net.layers[weights_of]))
    return True


cdef inline Range part(Py_ssize_t n, Py_ssize_t unit, const Pass* p) noexcept nogil:
    # This thread's part of 0..n, in whole units.
    cdef Range own
    cdef Py_ssize_t units = (n + unit - 1) // unit
    own.first = min(n, units * p.thread // p.threads * unit)
    own.last = min(n, units * (p.thread + 1) // p.threads * unit)
    return own


cdef inline Range all_neurons(const Layer* layer) noexcept nogil:
    cdef Range neurons
    neurons.first, neurons.last = 0, layer.J
    return neurons


cdef inline Range neurons_of(const Pass* p, int l) noexcept nogil:
    # This thread's columns of w, in whole cache lines. Odd layers are divided from the last thread
    # on, so that the remainders even out.
    cdef const Layer* layer = &p.net.layers[l]
    cdef Py_ssize_t n = layer.K if layer.narrow else layer.J, line = LINE_BYTES // sizeof(real)
    cdef Py_ssize_t lines = (n + line - 1) // line
    cdef int thread = p.threads - 1 - p.thread if l % 2 else p.thread
    cdef Range own
    own.first, own.last = 0, n
    if p.threads == 1:
        return own
    own.first = min(n, lines * thread // p.threads * line)
    own.last = min(n, lines * (thread + 1) // p.threads * line)
    return own


cdef inline Range biases_of(const Pass* p, int l) noexcept nogil:
    # As neurons_of. All biases of a narrow layer belong to the thread with the first columns.
    cdef Range own = neurons_of(p, l)
    if p.net.layers[l].narrow:
        own.last = p.net.layers[l].J if own.first == 0 < own.last else 0
        own.first = 0
    return own


cdef inline bint by_neurons(const Network* net, int l) noexcept nogil:
    # Whether threads share the products with w^l by neurons. They do in the first layer, so that no
    # thread reads weights that another one's BP4 has just written: [784, 100, 10] at batches of 10
    # would wait 6 of 20 microseconds for them. They also do if w is so large that packing all of it
    # in each thread costs more than two barriers.
    return l == 0 or not net.layers[l].narrow and (
        size_of_w(&net.layers[l]) > SHARED_W_BYTES // <Py_ssize_t>sizeof(real))


cdef inline Range part_of_arena(const Pass* p) noexcept nogil:
    return part(p.net.size, LINE_BYTES // sizeof(real), p)


cdef inline void share_examples(Pass* p, Py_ssize_t m) noexcept nogil:
    # Divide a slice of m among the threads, in whole cache lines if examples are lanes (narrow).
    if m != p.m:
        share_slice(p, m)


cdef void share_slice(Pass* p, Py_ssize_t m) noexcept nogil:
    cdef const Network* net = p.net
    cdef bint narrow = net.layers[net.n_layers - 1].narrow
    cdef Py_ssize_t unit = LINE_BYTES // <Py_ssize_t>sizeof(real) if narrow else 1
    cdef Py_ssize_t parts = max(<Py_ssize_t>1, min(
        <Py_ssize_t>p.threads, m // (unit if narrow else MIN_EXAMPLES_PER_THREAD)))
    cdef Py_ssize_t t = min(<Py_ssize_t>p.thread, parts)
    cdef Py_ssize_t first = m // unit * t // parts * unit if t < parts else m
    cdef Py_ssize_t last = m // unit * (t + 1) // parts * unit if t + 1 < parts else m
    cdef int l
    p.m, p.first_own, p.m_own = m, first, last - first
    for l in range(net.n_layers):
        share_state(&net.layers[l], &p.layers[l], &p.own[l], m, first, last - first)


cdef inline void share_state(
    const Layer* layer,
    LayerState* at, LayerState* own,    # OUT rows and columns; own: pointers to its examples
    Py_ssize_t m, Py_ssize_t first, Py_ssize_t m_own,
) noexcept nogil:
    cdef const real** delta_rows = own.delta_rows
    cdef Py_ssize_t j, offset = first * at.example_stride
    at.rows, at.columns = m, layer.J
    if layer.narrow:
        at.rows, at.columns = layer.J, m
    if own == at:
        return
    own[0] = at[0]
    own.a_prev += first
    own.a, own.z, own.handed_on = at.a + offset, at.z + offset, at.handed_on + offset
    own.delta = at.delta + offset
    if layer.narrow:
        own.columns = m_own
        own.delta_rows = delta_rows         # each thread has its own
        for j in range(layer.J):
            delta_rows[j] = own.delta + j * at.ld
    else:
        own.rows = m_own
        own.delta_rows += first


cdef inline bint barrier(Pass* p) noexcept nogil:
    # Wait for all threads. False if one has stopped and will not arrive: then all return.
    cdef long long waited = p.waited
    cdef bint passed
    if p.threads == 1:
        return True
    if is_set(&p.team.barrier.stopped):
        return False
    passed = barrier_wait(&p.team.barrier, p.threads, &p.waited)
    if p.waited != waited:      # after a long wait, read the clock at once
        p.work = CLOCK_EVERY_MULTIPLICATIONS
    return passed


cdef int poll_signals(Pass* p, Py_ssize_t multiplications) except -1 nogil:
    # Check for Ctrl-C, and whether the threads lose more time waiting for each other than they
    # gain, because another program occupies a core. The clock is read about once per millisecond.
    cdef long long t
    p.work += multiplications * p.m
    if p.work < CLOCK_EVERY_MULTIPLICATIONS or not p.checks_signals:
        return 0
    p.work = 0
    t = now()
    if p.waited > LONG_WAIT_NS and p.waited * LONG_WAIT_SHARE > t - p.team.began:
        p.team.oversubscribed = True
    if t - p.last_signal_check > SIGNAL_EVERY_NS:
        p.last_signal_check = t
        with gil:
            try:
                PyErr_CheckSignals()
            except BaseException:
                set_flag(&p.team.barrier.stopped)
                raise
    return 0
