# Which part of a mini-batch a thread takes, and where it meets the others.


cdef enum:
    LONG = 10_000_000       # multiplications that take a millisecond or so
    PATIENCE = 20_000_000   # nanoseconds between two looks for a signal
    OUTER = 1 << 20         # bytes of w beyond which the L2 cache does not hold it
    LEAST = 3               # examples of a thread: fewer are summed in another order (gemm.pxi)
    DELAY = 2_000_000       # nanoseconds of waiting that make a team leave ...
    DELAYS = 4              # ... if they are this part of the time


cdef inline Range part(Py_ssize_t n, Py_ssize_t unit, const Batch* batch) noexcept nogil:
    # of n, for this thread, in whole units
    cdef Range own
    cdef Py_ssize_t units = (n + unit - 1) // unit
    own.first = min(n, units * batch.thread // batch.threads * unit)
    own.last = min(n, units * (batch.thread + 1) // batch.threads * unit)
    return own


cdef inline Range all_neurons(const Layer* layer) noexcept nogil:
    cdef Range all_
    all_.first, all_.last = 0, layer.J
    return all_


cdef inline Range neurons_of(const Network* net, const Batch* batch, int l) noexcept nogil:
    # Columns of w, in whole cache lines; what they leave falls to the last threads in one layer and
    # to the first in the next.
    cdef const Layer* layer = &net.layers[l]
    cdef Py_ssize_t n = layer.K if layer.narrow else layer.J, line = LINE // sizeof(real)
    cdef Py_ssize_t lines = (n + line - 1) // line
    cdef int threads = batch.threads
    cdef int thread = threads - 1 - batch.thread if l % 2 else batch.thread
    cdef Range own
    own.first, own.last = 0, n
    if threads == 1:
        return own
    own.first = min(n, lines * thread // threads * line)
    own.last = min(n, lines * (thread + 1) // threads * line)
    return own


cdef inline bint by_neurons(const Network* net, int l) noexcept nogil:
    # Whether threads share the products with w^l by neurons, and meet before and behind them, or
    # by examples. The first layer's, so that nobody reads what another's BP4 has just written:
    # [784, 100, 10] at batches of 10 would wait 6 of 20 microseconds for it. And those so large
    # that to pack all of w in each thread costs more than to meet.
    return l == 0 or net.layers[l].b - net.layers[l].w > OUTER // <Py_ssize_t>sizeof(real)


cdef inline Range part_of_arena(const Network* net, const Batch* batch) noexcept nogil:
    return part(net.size, LINE // sizeof(real), batch)


cdef inline void share_examples(const Network* net, Batch* batch, Py_ssize_t m) noexcept nogil:
    # Of a slice of m, for this thread. In a narrow layer they are lanes: whole cache lines then.
    if m != batch.m:
        share_slice(net, batch, m)


cdef void share_slice(const Network* net, Batch* batch, Py_ssize_t m) noexcept nogil:
    cdef bint narrow = net.layers[net.n_layers - 1].narrow
    cdef Py_ssize_t unit = LINE // <Py_ssize_t>sizeof(real) if narrow else 1
    cdef Py_ssize_t parts = max(<Py_ssize_t>1, min(
        <Py_ssize_t>batch.threads, m // (unit if narrow else LEAST)))
    cdef Py_ssize_t t = min(<Py_ssize_t>batch.thread, parts)
    cdef Py_ssize_t first = m // unit * t // parts * unit if t < parts else m
    cdef Py_ssize_t last = m // unit * (t + 1) // parts * unit if t + 1 < parts else m
    cdef int l
    batch.m, batch.first_mine, batch.m_mine = m, first, last - first
    for l in range(net.n_layers):
        share_signals(&net.layers[l], &batch.signals[l], &batch.mine[l], m, first, last - first)


cdef inline void share_signals(
    const Layer* layer,
    Signals* at, Signals* mine,     # OUT rows and columns; mine: where they begin
    Py_ssize_t m, Py_ssize_t first, Py_ssize_t m_mine,
) noexcept nogil:
    cdef const real** delta_rows = mine.delta_rows
    cdef Py_ssize_t j, by = first * at.by_example
    at.rows, at.columns = m, layer.J
    if layer.narrow:
        at.rows, at.columns = layer.J, m
    if mine == at:
        return
    mine[0] = at[0]
    mine.a_prev += first
    mine.a, mine.z, mine.out = at.a + by, at.z + by, at.out + by
    mine.delta = at.delta + by
    if layer.narrow:
        mine.columns = m_mine
        mine.delta_rows = delta_rows        # its own: they begin at other examples
        for j in range(layer.J):
            delta_rows[j] = mine.delta + j * at.ld
    else:
        mine.rows = m_mine
        mine.delta_rows += first


cdef inline bint meet(Batch* batch) noexcept nogil:
    # False if one has stopped, who will not come: then nobody does anything more.
    cdef long long waited = batch.waited
    cdef bint met
    if batch.threads == 1:
        return True
    if is_set(&batch.team.meeting.stopped):
        return False
    met = meet_at(&batch.team.meeting, batch.threads, &batch.waited)
    if batch.waited != waited:      # that was long: time to look at the clock
        batch.work = LONG
    return met


cdef int look_for_signals(const Network* net, Batch* batch) except -1 nogil:
    # Ctrl-C, and whether waiting for each other costs a team more than it gains: another program
    # has one of its cores. The clock is read only after work that takes a millisecond or so.
    cdef long long t
    batch.work += net.size * batch.m
    if batch.work < LONG or not batch.looks:
        return 0
    batch.work = 0
    t = now()
    if batch.waited > DELAY and batch.waited * DELAYS > t - batch.team.began:
        batch.team.leaves = True
    if t - batch.last_look > PATIENCE:
        batch.last_look = t
        with gil:
            try:
                PyErr_CheckSignals()
            except BaseException:
                set_flag(&batch.team.meeting.stopped)
                raise
    return 0
