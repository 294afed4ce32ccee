# The memory that mini-batches need on their way: one arena, carved into what each thread has.


cdef class Scratch:
    """What mini-batches of at most `rows` examples need on their way, for some threads."""

    cdef Batch* batch               # one for each thread
    cdef Team* team
    cdef Py_ssize_t rows
    cdef int threads
    cdef bint training, drops, traces, expands
    cdef object arena
    cdef object step
    cdef object squares
    cdef Py_ssize_t taken

    def __cinit__(self, Core core not None, Py_ssize_t rows, bint training, bint whole,
                  bint drops, int threads, bint traces=False, bint expands=True):
        cdef real[::1] view
        cdef double[::1] squares
        cdef int t
        self.rows, self.threads = rows, threads
        self.training, self.drops, self.traces = training, drops, traces
        self.expands = expands
        self.taken = 0
        self.carve(core, NULL)                                  # sizes first,
        self.arena = aligned(self.taken // sizeof(real))        # then memory, once,
        view = self.arena
        self.taken = 0
        self.carve(core, <char*>&view[0])                       # then pointers into it
        if whole:
            self.step = aligned(core.net.size)
            view = self.step
            self.squares = squares = np.zeros(core.net.size // CLIP_BLOCK + 1)
            for t in range(threads):
                self.batch[t].step, self.batch[t].squares = &view[0], &squares[0]
        self.begin(threads)

    cdef void begin(self, int threads) noexcept:
        cdef int k
        if self.batch.threads != threads:
            for k in range(threads):
                self.batch[k].thread, self.batch[k].threads = k, threads
                self.batch[k].m = 0             # to be shared out anew
        self.batch.looks = True
        for k in range(threads):
            self.batch[k].waited = 0
        self.team.leaves = False
        if threads > 1:
            memset(self.team, 0, sizeof(Team))
            self.team.began = now()

    cdef void* take(self, char* base, Py_ssize_t size) noexcept:
        cdef Py_ssize_t at = self.taken
        self.taken += (size + LINE - 1) // LINE * LINE
        return base + at if base != NULL else NULL

    cdef void carve(self, Core core, char* base) noexcept:
        cdef const Network* net = &core.net
        cdef Py_ssize_t m = self.rows, widest, i
        cdef int l, t
        cdef Batch shared
        cdef Signals* signals
        cdef const Layer* last = &net.layers[net.n_layers - 1]
        cdef const real** delta_rows = NULL
        memset(&shared, 0, sizeof(shared))
        self.team = shared.team = <Team*>self.take(base, sizeof(Team))
        self.batch = <Batch*>self.take(base, self.threads * sizeof(Batch))
        signals = <Signals*>self.take(base, net.n_layers * sizeof(Signals))
        shared.ld_x = widest = stride_of(net.layers[0].K)
        shared.x = <real*>self.take(base, m * shared.ld_x * sizeof(real) if self.expands else 0)
        self.carve_signals(core, base, signals)
        for l in range(net.n_layers):
            widest = max(widest, net.layers[l].ld)
        i = last.J * stride_of(m) if last.narrow else m * stride_of(last.J)
        shared.y = <real*>self.take(base, i * sizeof(real))
        shared.weights = <real*>self.take(base, (m + LANES) * sizeof(real))
        shared.zeros = <real*>self.take(base, widest * sizeof(real))
        for t in range(self.threads):
            shared.signals = shared.mine = <Signals*>self.take(
                base, net.n_layers * sizeof(Signals))
            if self.threads > 1:
                shared.mine = <Signals*>self.take(base, net.n_layers * sizeof(Signals))
                delta_rows = self.take_rows(base, last.J)
            if base != NULL:
                memcpy(shared.signals, signals, net.n_layers * sizeof(Signals))
                if self.threads > 1:
                    shared.mine[net.n_layers - 1].delta_rows = delta_rows
            shared.panel = <real*>self.take(
                base, max(<Py_ssize_t>SLICE * MAX_VECTORS * LANES, widest) * sizeof(real))
            shared.tile = <real*>self.take(
                base, WORD * GROUP * LANES * sizeof(real))  # the larger of two uses
            shared.nonzeros = <Nonzeros*>self.take(base, (m + SOON) * sizeof(Nonzeros))
            shared.done = <Py_ssize_t*>self.take(base, m * sizeof(Py_ssize_t))
            shared.strips = <real*>self.take(base, (m * DEPTH + LANES) * sizeof(real))
            shared.ahead.rows = <const char**>self.take(base, m * sizeof(char*))
            if base != NULL:
                self.batch[t] = shared

    cdef void carve_signals(self, Core core, char* base, Signals* signals) noexcept:
        cdef const Network* net = &core.net
        cdef Py_ssize_t m = self.rows, size, rows, i
        cdef int l
        cdef Layer* layer
        cdef Signals at
        cdef const real** a_rows = self.take_rows(base, m)      # of x, where they lie
        for l in range(net.n_layers):
            layer = &net.layers[l]
            memset(&at, 0, sizeof(at))
            at.ld = stride_of(m if layer.narrow else layer.J)
            at.by_example = 1 if layer.narrow else at.ld
            at.by_neuron = at.ld if layer.narrow else 1
            rows = layer.J if layer.narrow else m
            size = rows * at.ld * sizeof(real)
            at.a_prev = a_rows
            at.a = at.z = at.out = <real*>self.take(base, size)
            if self.traces or self.training and keeps_z(layer) or (
                    l == net.n_layers - 1 and not (layer.n_runs == 1
                                                   and layer.runs.kind == IDENTITY)):
                at.z = <real*>self.take(base, size)
            if self.drops and l < net.n_layers - 1:
                at.kept = <real*>self.take(base, size)
            a_rows = self.take_rows(base, m)
            if self.training:
                at.delta = <real*>self.take(base, size)
                at.delta_rows = self.take_rows(base, rows)
            if base == NULL:
                continue
            for i in range(rows):
                if not layer.narrow:
                    a_rows[i] = at.a + i * at.ld
                if self.training:
                    at.delta_rows[i] = at.delta + i * at.ld
            signals[l] = at

    cdef const real** take_rows(self, char* base, Py_ssize_t rows) noexcept:
        return <const real**>self.take(base, (rows + TILE_ROWS) * sizeof(real*))

    cdef void aim(self, int n_layers) noexcept:
        # What a layer hands on is what dropout leaves of it, if there is any now.
        cdef Signals* at
        cdef const Noise* noise = self.batch.noise
        cdef Py_ssize_t i
        cdef int l, t
        for t in range(self.threads):
            self.batch[t].m = 0             # what is `mine` is to be shared out anew
        for l in range(n_layers - 1):
            at = self.batch.signals + l
            for t in range(self.threads):
                self.batch[t].signals[l].out = (
                    at.kept if noise != NULL and noise.rates[l + 1] > 0 else at.a)
            for i in range(self.rows):
                (at + 1).a_prev[i] = at.out + i * at.ld
