# The memory of a pass: one arena, laid out for all threads.

cdef struct Needs:              # the room that a workspace has, or must have
    Py_ssize_t rows             # rows of a slice
    int threads
    bint training               # room for delta, and for z if sigma' needs it
    bint sums                   # room for a gradient that must be complete before the step
    bint drops                  # room for each a after dropout
    bint traces                 # room for every z
    bint expands                # room for rows of x that must be converted


cdef inline bint suffices(const Needs* has, const Needs* needs) noexcept nogil:
    return (has.rows >= needs.rows and has.threads >= needs.threads
            and has.training >= needs.training and has.sums >= needs.sums
            and has.drops >= needs.drops and has.traces >= needs.traces
            and has.expands >= needs.expands)


cdef class Workspace:
    """The memory of the passes of some threads; `new_workspace` creates one."""

    cdef Needs has
    cdef const Network* net
    cdef Pass* passes           # one for each thread
    cdef Team* team
    cdef object arena
    cdef object sums
    cdef object squares
    cdef Py_ssize_t reserved    # bytes reserved so far

    cdef void begin(self, int threads) noexcept:
        cdef int t
        if self.passes.threads != threads:
            for t in range(threads):
                self.passes[t].thread, self.passes[t].threads = t, threads
                self.passes[t].m = 0            # divide the next slice anew
        self.passes.checks_signals = True
        for t in range(threads):
            self.passes[t].waited = 0
        self.team.oversubscribed = False
        if threads > 1:
            memset(self.team, 0, sizeof(Team))
            self.team.began = now()

    cdef void sum_into(self, real* arena) noexcept:
        # The arena for complete gradients: the caller's, or with NULL the workspace's own.
        cdef real[::1] own = self.sums
        cdef int t
        for t in range(self.has.threads):
            self.passes[t].sums = &own[0] if arena == NULL else arena

    cdef void* reserve(self, char* base, Py_ssize_t size) noexcept:
        cdef Py_ssize_t at = self.reserved
        self.reserved += (size + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES
        return base + at if base != NULL else NULL

    cdef const real** reserve_rows(self, char* base, Py_ssize_t rows) noexcept:
        return <const real**>self.reserve(base, (rows + MR) * sizeof(real*))

    cdef void lay_out(self, char* base) noexcept:
        # With base NULL, only count bytes. The caller then allocates them, and calls this again to
        # set the pointers.
        cdef const Network* net = self.net
        cdef Py_ssize_t m = self.has.rows, widest, i
        cdef int l, t
        cdef Pass shared
        cdef LayerState* states
        cdef const Layer* last = &net.layers[net.n_layers - 1]
        cdef const real** delta_rows = NULL
        memset(&shared, 0, sizeof(shared))
        self.reserved = 0
        shared.net = net
        self.team = shared.team = <Team*>self.reserve(base, sizeof(Team))
        self.passes = <Pass*>self.reserve(base, self.has.threads * sizeof(Pass))
        states = <LayerState*>self.reserve(base, net.n_layers * sizeof(LayerState))
        shared.ld_x = widest = stride_of(net.layers[0].K)
        shared.x = <real*>self.reserve(
            base, m * shared.ld_x * sizeof(real) if self.has.expands else 0)
        self.lay_out_layers(base, states)
        for l in range(net.n_layers):
            widest = max(widest, net.layers[l].ld)
        i = last.J * stride_of(m) if last.narrow else m * stride_of(last.J)
        shared.y = <real*>self.reserve(base, i * sizeof(real))
        shared.weights = <real*>self.reserve(base, (m + LANES) * sizeof(real))
        shared.zeros = <real*>self.reserve(base, widest * sizeof(real))
        for t in range(self.has.threads):
            shared.layers = shared.own = <LayerState*>self.reserve(
                base, net.n_layers * sizeof(LayerState))
            if self.has.threads > 1:
                shared.own = <LayerState*>self.reserve(base, net.n_layers * sizeof(LayerState))
                delta_rows = self.reserve_rows(base, last.J)
            if base != NULL:
                memcpy(shared.layers, states, net.n_layers * sizeof(LayerState))
                if self.has.threads > 1:
                    shared.own[net.n_layers - 1].delta_rows = delta_rows
            shared.panel = <stored*>self.reserve(base, sizeof(stored) * max(
                max(<Py_ssize_t>SLICE, most_depth()) * NR_VECTORS * LANES, widest))
            shared.tile = <real*>self.reserve(
                base, WORD * TILE_VECTORS * LANES * sizeof(real))   # the largest of its uses
            shared.nonzeros = <Nonzeros*>self.reserve(
                base, (m + PREFETCH_DISTANCE) * sizeof(Nonzeros))
            shared.cursor = <Py_ssize_t*>self.reserve(base, m * sizeof(Py_ssize_t))
            shared.calendar.cursor = shared.cursor
            shared.calendar.runs = <Run*>self.reserve(base, m * sizeof(Run))
            shared.calendar.next_of = <int*>self.reserve(base, m * sizeof(int))
            shared.calendar.first_of = <int*>self.reserve(
                base, words_of(net.layers[0].K) * sizeof(int))
            shared.touched = <uint64_t*>self.reserve(
                base, words_of(net.layers[0].K) * sizeof(uint64_t))
            shared.packed_a = <stored*>self.reserve(
                base, (m * most_depth() + LANES) * sizeof(stored))
            if STORED_DEPTH > 1:        # the largest that store_rows writes, with its padding
                shared.stored_a.rows = <const stored**>self.reserve_rows(base, m)
                shared.stored_a.numbers = <stored*>self.reserve(
                    base, (m + 1) * (widest // 2 * sizeof(stored) + 3 * LINE_BYTES))
            shared.prefetcher.rows = <const char**>self.reserve(base, m * sizeof(char*))
            if base != NULL:
                self.passes[t] = shared

    cdef void lay_out_layers(self, char* base, LayerState* states) noexcept:
        cdef const Network* net = self.net
        cdef Py_ssize_t m = self.has.rows, size, rows, i
        cdef int l
        cdef Layer* layer
        cdef LayerState at
        cdef const real** a_rows = self.reserve_rows(base, m)   # pointers to rows of x
        for l in range(net.n_layers):
            layer = &net.layers[l]
            memset(&at, 0, sizeof(at))
            at.ld = stride_of(m if layer.narrow else layer.J)
            at.example_stride = 1 if layer.narrow else at.ld
            at.neuron_stride = at.ld if layer.narrow else 1
            rows = layer.J if layer.narrow else m
            size = rows * at.ld * sizeof(real)
            at.a_prev = a_rows
            at.a = at.z = at.handed_on = <real*>self.reserve(base, size)
            if self.has.traces or self.has.training and keeps_z(layer) or (
                    l == net.n_layers - 1 and not (layer.n_runs == 1
                                                   and layer.runs.kind == IDENTITY)):
                at.z = <real*>self.reserve(base, size)
            if self.has.drops and l < net.n_layers - 1:
                at.masked = <real*>self.reserve(base, size)
            a_rows = self.reserve_rows(base, m)
            if self.has.training:
                at.delta = <real*>self.reserve(base, size)
                at.delta_rows = self.reserve_rows(base, rows)
            if base == NULL:
                continue
            for i in range(rows):
                if not layer.narrow:
                    a_rows[i] = at.a + i * at.ld
                if self.has.training:
                    at.delta_rows[i] = at.delta + i * at.ld
            states[l] = at

    cdef void route_dropout(self) noexcept:
        # A layer with dropout now hands on `masked`; any other hands on a.
        cdef LayerState* at
        cdef const Noise* noise = self.passes.noise
        cdef Py_ssize_t i
        cdef int l, t
        for t in range(self.has.threads):
            self.passes[t].m = 0                # divide the next slice anew
        for l in range(self.net.n_layers - 1):
            at = self.passes.layers + l
            for t in range(self.has.threads):
                self.passes[t].layers[l].handed_on = (
                    at.masked if noise != NULL and noise.rates[l + 1] > 0 else at.a)
            for i in range(self.has.rows):
                (at + 1).a_prev[i] = at.handed_on + i * at.ld


cdef Workspace new_workspace(const Network* net, const Needs* needs):
    cdef Workspace workspace = Workspace.__new__(Workspace)
    cdef real[::1] view
    cdef double[::1] squares
    cdef int t
    workspace.net, workspace.has = net, needs[0]
    workspace.lay_out(NULL)
    workspace.arena = view = aligned(workspace.reserved // sizeof(real))
    workspace.lay_out(<char*>&view[0])
    if needs.sums:
        workspace.sums = view = aligned(net.size)
        workspace.squares = squares = np.zeros(net.size // CLIP_BLOCK + 1)
        for t in range(needs.threads):
            workspace.passes[t].sums, workspace.passes[t].squares = &view[0], &squares[0]
    workspace.begin(needs.threads)
    return workspace
