# Which part of a mini-batch a thread takes, and where it waits for the others.
#
# A thread takes its own examples through most of the equations. The first layer's product, and
# those with a large w, are shared by neurons instead, for all examples of the slice; BP3 and BP4
# are shared by neurons always. Between the two ways of sharing stands a barrier. Each element is
# summed by one thread, in an order that the shapes alone decide: the bits are the same for any
# number of threads.

cdef enum:
    CLOCK_EVERY_MULTIPLICATIONS = 10_000_000  # multiplications: they take a millisecond or so
    SIGNAL_EVERY_NS = 20_000_000  # nanoseconds between two looks for a signal
    SHARED_W_BYTES = 1 << 20    # of w, from which the L2 cache does not hold it
    MIN_EXAMPLES_PER_THREAD = 3     # fewer are summed in another order (gemm.pxi)
    LONG_WAIT_NS = 2_000_000    # nanoseconds of waiting that make a team leave ...
    LONG_WAIT_SHARE = 4         # ... if they are this part of the time


ctypedef void (*ByNeurons)(Pass* p, LayerState* at, int l, Range neurons) noexcept nogil


cdef inline int share_by_neurons(Pass* p, int l, int w, ByNeurons product) except -1 nogil:
    # A product for the neurons of layer l, with w^w: for own examples, or, between two barriers,
    # for own neurons. False if another thread has stopped.
    if p.threads > 1 and by_neurons(p.net, w):
        if w > 0 and not barrier(p):    # before the first layer's, the slice has had one
            return False
        product(p, &p.layers[l], l, neurons_of(p, l))
        if not barrier(p):
            return False
    else:
        product(p, &p.own[l], l, all_neurons(&p.net.layers[l]))
    poll_signals(p, size_of_w(&p.net.layers[w]))
    return True


cdef inline Range part(Py_ssize_t n, Py_ssize_t unit, const Pass* p) noexcept nogil:
    # This thread's part of n, in whole units.
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
    # This thread's columns of w, in whole cache lines. Odd layers are dealt out from the last
    # thread on, so that the remainders even out.
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
    # As neurons_of; those of a narrow layer all go to the thread with the first columns.
    cdef Range own = neurons_of(p, l)
    if p.net.layers[l].narrow:
        own.last = p.net.layers[l].J if own.first == 0 < own.last else 0
        own.first = 0
    return own


cdef inline bint by_neurons(const Network* net, int l) noexcept nogil:
    # Whether threads share the products with w^l by neurons. The first layer's, so that nobody
    # reads what another's BP4 has just written: [784, 100, 10] at batches of 10 would wait 6 of 20
    # microseconds for it. And those so large that to pack all of w in each thread costs more than
    # two barriers.
    return l == 0 or not net.layers[l].narrow and (
        size_of_w(&net.layers[l]) > SHARED_W_BYTES // <Py_ssize_t>sizeof(real))


cdef inline Range part_of_arena(const Pass* p) noexcept nogil:
    return part(p.net.size, LINE_BYTES // sizeof(real), p)


cdef inline void share_examples(Pass* p, Py_ssize_t m) noexcept nogil:
    # Deal out a slice of m. In a narrow layer examples are lanes: whole cache lines then.
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
    LayerState* at, LayerState* own,    # OUT rows and columns; own: where its examples begin
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
        own.delta_rows = delta_rows         # not shared: they begin at other examples
        for j in range(layer.J):
            delta_rows[j] = own.delta + j * at.ld
    else:
        own.rows = m_own
        own.delta_rows += first


cdef inline bint barrier(Pass* p) noexcept nogil:
    # False if one has stopped, who will not come: then nobody does anything more.
    cdef long long waited = p.waited
    cdef bint passed
    if p.threads == 1:
        return True
    if is_set(&p.team.barrier.stopped):
        return False
    passed = barrier_wait(&p.team.barrier, p.threads, &p.waited)
    if p.waited != waited:      # so long a wait is a reason to read the clock
        p.work = CLOCK_EVERY_MULTIPLICATIONS
    return passed


cdef int poll_signals(Pass* p, Py_ssize_t multiplications) except -1 nogil:
    # Ctrl-C; and whether waiting for each other costs a team more than it gains, because another
    # program has one of its cores. The clock is read after a millisecond's work or so.
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
