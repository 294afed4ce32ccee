# The memory layout of a network and of its states.
#
# (a) Examples are rows. Layer l has K inputs and J outputs; z, a, delta are (m, J) with rows `ld`
#     apart. w is stored (K, J), input neuron first, so that output neurons are lanes. ld rounds J
#     up to whole cache lines; the padding of w, b and delta is zero and stays zero.
# (b) All parameters lie in one arena. A gradient is an arena of the same layout.
# (c) Narrow outputs. A last layer with at most half as many neurons as a vector has lanes would
#     leave the other lanes idle. Its lanes are examples instead: z, a, delta, y are (J, m), w is
#     (J, K), and the products take other operands. Softmax and cosine are never narrow, because
#     their sums run over neurons; nor are the user's functions in NumPy. Nor is bfloat16, which has
#     only the products of (a).

cdef enum:
    SLICE = 512             # the most rows of a mini-batch at a time
    MIN_SLICE = 64          # the fewest rows to which MAX_PRODUCT shortens a slice
    MAX_PRODUCT = 0x7FFFFFFF    # the most multiplications of a product, because Ctrl-C waits for it
    ODD_STRIDE_FROM = 128   # the fewest neurons whose rows lie an odd number of cache lines apart


cdef struct Layer:
    Py_ssize_t K, J         # inputs, outputs
    bint narrow
    bint biased             # False: b is zero and stays zero
    ActivationRun* runs     # (n_runs) runs of neurons with the same activation
    int n_runs
    Py_ssize_t w, b         # offsets of w and b in an arena
    Py_ssize_t ld           # row stride of w: (K, ld), or narrow (J, ld)


cdef struct Network:
    int n_layers
    Layer* layers
    Cost cost
    real* parameters        # an arena
    Py_ssize_t size         # numbers in an arena
    real scale              # the factor of all inputs
    const real* scales      # (K) one factor for each input, or NULL


cdef struct LayerState:     # the state of a layer for the examples of a slice
    const real** a_prev         # (m) pointers to rows: the inputs of the layer
    real* a                     # (m, J), or narrow (J, m)
    real* z                     # laid out as a; the same memory unless sigma' needs z
    real* handed_on             # the inputs of the next layer: a, or `masked`
    real* masked                # (m, J) a after dropout, or NULL
    real* delta                 # laid out as a
    const real** delta_rows     # pointers to the rows of delta
    Py_ssize_t rows, columns, ld                # of a: (m, J), or narrow (J, m)
    Py_ssize_t example_stride, neuron_stride    # numbers from one to the next


cdef struct Team:           # the shared state of the threads that train one network
    Barrier barrier
    bint oversubscribed     # True if threads wait too long for each other: stop early
    long long began         # when the team began, in nanoseconds


cdef struct Range:
    Py_ssize_t first, last


cdef struct MiniBatch:
    const RowArray* rows
    const TargetArray* targets
    const Py_ssize_t* order     # (n) row numbers, or NULL for 0, 1, 2, ...
    Py_ssize_t n
    Py_ssize_t first, m         # the mini-batch is order[first:first + m]


cdef struct Pass:           # one thread's pass over a slice of a mini-batch
    const Network* net
    Py_ssize_t m            # examples in the slice
    LayerState* layers      # the states for all examples of the slice
    LayerState* own         # the states for this thread's examples
    Py_ssize_t first_own, m_own     # this thread's examples: m_own from first_own on
    int thread, threads
    Team* team
    real* x                 # (m, ld_x) rows that had to be converted
    Py_ssize_t ld_x
    bint sparse             # whether the first layer skips zeros of x
    Nonzeros* nonzeros      # (m + following) if sparse: the nonzeros of each row
    Py_ssize_t following    # rows after the slice whose nonzeros are listed, to be prefetched
    const real* values      # if sparse: the nonzero values of all rows
    Py_ssize_t* cursor      # (m) if sparse: the next nonzero of each row in BP4
    Calendar calendar       # the same for CSR rows
    uint64_t* touched       # (words_of(K)) bitmap of the columns of x that have a stored number
    bint marks_touched      # whether the examples add theirs to it
    real* y                 # targets, laid out as the last layer's a
    real* weights           # (m) weights of the examples
    bint weighted           # False if every example counts once
    real* zeros             # (the largest ld)
    stored* panel           # workspace for the packed panel of b
    stored* packed_a        # workspace for the packed micro-panels of a
    StoredRows stored_a     # workspace for a, if a `stored` is not a real
    real* tile              # workspace for a tile of BP4's sums, for an optimizer
    real* sums              # an arena for gradients that must be complete before the step; else 0
    double* squares         # the squared norm of each block of `sums`
    Noise* noise            # &own_noise, or NULL
    Noise own_noise
    double cost             # sum over all examples so far
    Prefetcher prefetcher   # fetches the rows of the next slice
    bint training
    bint finite             # if not training: whether the first layer's z is finite
    bint checks_signals     # True for the caller's thread
    Py_ssize_t work         # multiplications since the clock was last read
    long long last_signal_check     # its time, in nanoseconds
    long long waited        # nanoseconds spent waiting for other threads


cdef inline Py_ssize_t stride_of(Py_ssize_t J) noexcept nogil:
    # An odd number of lines, because powers of two make rows collide in the L1 cache.
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
    return (0 < l == last and 2 * layer.J <= LANES and cost != COSINE and cost != NUMPY_COST
            and STORED_DEPTH == 1)


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
    # CSR rows skip zeros in the first layer, so its product is small.
    for l in range(1 if rows.columns != NULL else 0, net.n_layers):
        largest = max(largest, size_of_w(&net.layers[l]))
    return max(<Py_ssize_t>MIN_SLICE, min(<Py_ssize_t>SLICE, <Py_ssize_t>MAX_PRODUCT // largest))


cdef Py_ssize_t multiplications(const Network* net, const RowArray* rows) noexcept nogil:
    # The number of multiplications in feedforward.
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
    return one.size == other.size           # the sizes differ if one is narrow
