# How a network, and what a mini-batch leaves in it, lie in memory.
#
# (a) Examples are rows. Layer l has K neurons before its weights and J behind them; z, a, delta are
#     (m, J), rows `ld` apart. w is stored (K, J), input neuron first, so that output neurons are
#     lanes. ld rounds J up to whole cache lines; the padding of w, b, delta is zero and stays zero.
# (b) Parameters lie in one arena. A gradient is an arena of the same layout.
# (c) Narrow outputs. A last layer of at most half as many neurons as a vector has lanes would leave
#     the rest idle. There examples are the lanes: z, a, delta, y are (J, m), w is (J, K), and the
#     product takes other operands. Softmax and cosine are not narrow: their sums run over neurons.
#     Nor are the user's functions in NumPy.

cdef enum:
    SLICE = 512             # rows of a mini-batch at a time, ...
    MIN_SLICE = 64          # ... and where it is sliced, down to these, ...
    MAX_PRODUCT = 0x7FFFFFFF    # ... so that a product has no more multiplications: Ctrl-C waits
    ODD_STRIDE_FROM = 128   # neurons from which rows lie an odd number of cache lines apart


cdef struct Layer:
    Py_ssize_t K, J
    bint narrow
    ActivationRun* runs     # of neurons with one activation
    int n_runs
    Py_ssize_t w, b         # where they begin in an arena
    Py_ssize_t ld           # of w: (K, ld), or narrow (J, ld)


cdef struct Network:
    int n_layers
    Layer* layers
    Cost cost
    real* parameters        # an arena
    Py_ssize_t size         # of an arena
    real scale              # of every input, ...
    const real* scales      # ... or of each, (K); else NULL


cdef struct LayerState:     # what a slice leaves in a layer
    const real** a_prev         # (m) rows of the layer before
    real* a                     # (m, J), or narrow (J, m)
    real* z                     # as a: its own memory where sigma' needs it, else a's
    real* handed_on             # what the next layer sees: a, or `masked`
    real* masked                # (m, J) what dropout leaves of a; or NULL
    real* delta                 # as a
    const real** delta_rows     # its rows
    Py_ssize_t rows, columns, ld
    Py_ssize_t example_stride, neuron_stride


cdef struct Team:           # what threads that train one network share
    Barrier barrier
    bint oversubscribed     # after this mini-batch: they wait too long for each other
    long long began


cdef struct Range:
    Py_ssize_t first, last


cdef struct MiniBatch:
    const RowArray* rows
    const TargetArray* targets
    const Py_ssize_t* order     # (n) which rows, or NULL: as they lie
    Py_ssize_t n
    Py_ssize_t first, m         # its own: m of the order, from first on


cdef struct Pass:           # a slice of a mini-batch on its way, as one thread sees it
    const Network* net
    Py_ssize_t m            # examples of the slice
    LayerState* layers      # of all its examples, ...
    LayerState* own         # ... and of those that are this thread's:
    Py_ssize_t first_own, m_own
    int thread, threads
    Team* team
    real* x                 # (m, ld of the input): rows that had to be converted
    Py_ssize_t ld_x
    bint sparse             # whether zeros of x are skipped: ...
    Nonzeros* nonzeros      # (m) ... what is left of the rows, ...
    Py_ssize_t following    # ... and of so many behind them
    const real* values
    Py_ssize_t* cursor      # (m)
    real* y                 # as the output
    real* weights           # (m) of the examples
    bint weighted           # if not, each counts once
    real* zeros             # (the widest ld)
    real* panel
    real* packed_a
    real* tile              # of BP4's sums, for an optimizer
    real* sums              # an arena, for gradients that must be complete
    double* squares         # of the arena, block by block
    Noise* noise            # own_noise, or NULL
    Noise own_noise
    double cost             # of all examples so far
    Prefetcher prefetcher   # the rows of the next slice
    bint training
    bint finite             # if not training: whether the first layer's z is
    bint checks_signals     # for signals: it is the caller's thread
    Py_ssize_t work         # multiplications since the clock was last read
    long long last_signal_check  # for a signal
    long long waited        # nanoseconds, for other threads


cdef inline Py_ssize_t stride_of(Py_ssize_t J) noexcept nogil:
    # Powers of two would make the rows of a wide layer collide in the L1 cache.
    cdef Py_ssize_t per_line = LINE_BYTES // sizeof(real)
    cdef Py_ssize_t lines = (J + per_line - 1) // per_line
    if J >= ODD_STRIDE_FROM:
        lines |= 1
    return lines * per_line


cdef bint is_narrow(const Layer* layer, int l, int last, CostKind cost) noexcept nogil:
    cdef int k
    for k in range(layer.n_runs):
        if layer.runs[k].kind == SOFTMAX or layer.runs[k].kind == NUMPY_SIGMA:
            return False
    return 0 < l == last and 2 * layer.J <= LANES and cost != COSINE and cost != NUMPY_COST


cdef bint keeps_z(const Layer* layer) noexcept nogil:
    cdef int k
    for k in range(layer.n_runs):
        if needs_z(layer.runs[k].kind):
            return True
    return False


cdef bint is_numpy(const Layer* layer, CostKind cost) noexcept nogil:
    cdef int k
    for k in range(layer.n_runs):
        if layer.runs[k].kind == NUMPY_SIGMA:
            return True
    return cost == NUMPY_COST


cdef inline Py_ssize_t size_of_w(const Layer* layer) noexcept nogil:
    return layer.b - layer.w


cdef Py_ssize_t rows_per_slice(const Network* net, const RowArray* rows) noexcept nogil:
    cdef int l
    cdef Py_ssize_t largest = 1
    for l in range(1 if rows.columns != NULL else 0, net.n_layers):     # few products of the first
        largest = max(largest, size_of_w(&net.layers[l]))
    return max(<Py_ssize_t>MIN_SLICE, min(<Py_ssize_t>SLICE, <Py_ssize_t>MAX_PRODUCT // largest))


cdef Py_ssize_t multiplications(const Network* net, const RowArray* rows) noexcept nogil:
    # of feedforward
    if rows.columns == NULL:
        return rows.n * net.size
    return (rows.starts[rows.n] - rows.starts[0]) * net.layers[0].J + rows.n * (
        net.size - net.layers[0].K * net.layers[0].ld)


cdef bint same_sizes(const Network* one, const Network* other) noexcept nogil:
    cdef int l
    if one.n_layers != other.n_layers:
        return False
    for l in range(one.n_layers):
        if one.layers[l].K != other.layers[l].K or one.layers[l].J != other.layers[l].J:
            return False
    return one.size == other.size           # one may be narrow
