# The memory layout of a group: LANES networks of the same sizes, activations and cost.
#
# (a) Each number of the group is a vector. w is stored (J, ld) with the bias behind the K weights
#     of a neuron, and a has a constant 1 behind its neurons: so the bias is one more term of the
#     forward product, and its gradient one more column of BP4.
# (b) Rows are an odd number of vectors apart, because powers of two collide in the L1 cache.
# (c) The targets follow the inputs and their 1 in a row, so that one transposition reads both. The
#     output layer has the same stride, and functions take it for that of all their operands.
# (d) Lanes without a network repeat the last one.

cdef enum:
    LANE_ROWS = 64          # the most rows of a mini-batch at a time


cdef struct LaneLayer:
    Py_ssize_t K, J
    bint biased
    const ActivationRun* runs   # (n_runs) in numbers: a neuron has LANES of them
    int n_runs
    Py_ssize_t w, ld        # offset of w in an arena, and its row stride
    real* a                 # (LANE_ROWS, ld_a), and a 1 behind the J neurons
    real* z                 # likewise; the same memory unless sigma' or the cost needs z
    real* masked            # a after dropout, or NULL
    real* delta             # (LANE_ROWS, ld_a)
    Py_ssize_t ld_a


cdef struct LaneOptimizer:      # the optimizers of a group's networks, and their progress
    const OptimizerOptions* options[LANES]
    bint plain                  # True for gradient descent without regularisation in all lanes
    bint clips_norm, limits_norm
    bint adds_noise, drops_inputs
    const Noise* noise[LANES]   # or all NULL
    const double* etas[LANES]   # one for each step of an epoch
    real* slots[MAX_SLOTS]      # the state, in arenas of the group
    Py_ssize_t steps[LANES]
    Py_ssize_t skipped_rows[LANES]


cdef struct LanePass:           # one thread's pass over the mini-batches of a group
    int n_layers
    LaneLayer* layers
    const Cost* cost
    bint one_hot                # whether each row of targets is a 1 among zeros
    Py_ssize_t size             # numbers in an arena
    real* w                     # the arena of the group's parameters
    real* sums                  # an arena for gradients that must be complete before the step
    real* saved                 # arenas as they were before the epoch: parameters, then the state
    real* x                     # (LANE_ROWS, ld_x) inputs, a 1, targets
    Py_ssize_t ld_x
    real* weights               # (LANE_ROWS, LANES) of the examples
    const real* given_weights[LANES]    # (n) of each network, or all NULL
    const real* examples        # (n, ld_examples) inputs, a 1, targets, padding
    Py_ssize_t n, ld_examples
    int32_t* order              # (n, LANES) the rows of each network; (n) if they are common
    bint common
    real* rows                  # workspace (3, whole vectors of outputs) for one network
    bint checks_signals         # True for the caller's thread
    long long last_signal_check     # its time, in nanoseconds
    double costs[LANES]         # sums over all examples so far


cdef inline Py_ssize_t lane_stride(Py_ssize_t columns) noexcept nogil:
    return (columns | 1) * LANES


cdef inline real* targets_of(const LanePass* p) noexcept nogil:
    return p.x + (p.layers[0].K + 1) * LANES
