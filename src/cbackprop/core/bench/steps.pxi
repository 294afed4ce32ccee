# Single steps of a mini-batch, repeated many times, for benchmarks/kernels.py.


cdef enum:                      # as in STEPS
    TIME_GATHER, TIME_TARGETS, TIME_Z, TIME_SIGMA, TIME_BP1, TIME_COST, TIME_BP2
    TIME_SIGMA_PRIME, TIME_BP3, TIME_BP4

STEPS = ("gather", "targets", "z", "sigma", "BP1", "cost", "BP2", "sigma_prime", "BP3", "BP4")


def step_seconds(
    Core core not None, Rows rows not None, Targets targets not None, order, Py_ssize_t m,
    str step not None, int l, Py_ssize_t times,
):
    """
    Time one step of layer l, repeated `times` times, for the mini-batches of an order in turn.

    The parameters do not change, because every error is zero.

    Parameters
    ----------
    rows, targets, order, m
        As for `Core.sgd`; at most SLICE rows of order make a mini-batch.
    step : str
        One of STEPS. "BP2" is only the product; "sigma_prime" then multiplies it by sigma'(z). For
        relu, sigma' is part of the product.
    l : int
        The layer of weights.

    Returns
    -------
    float
        Seconds; or None if this layer does not have the step, as the last one has no BP2.
    """
    cdef const Py_ssize_t[::1] numbers = numeric_array(order)
    cdef Py_ssize_t n = numbers.shape[0], time, first
    core.check_examples(rows, targets)
    if not (1 <= m <= n and 0 <= l < core.net.n_layers and m <= SLICE
            and all_below(rows.array.n, &numbers[0], n)):
        raise ValueError(f"order must be of the {rows.array.n} rows, a mini-batch of at most "
                         f"{SLICE} of them, and l a layer, got {m} and layer {l}")
    cdef int timed = STEPS.index(step), last = core.net.n_layers - 1
    cdef Workspace workspace = core.workspace(min(m, <Py_ssize_t>SLICE), True)
    cdef Pass* p = workspace.passes
    cdef Layer* layer = &core.net.layers[l]
    cdef LayerState* at = &p.layers[l]
    cdef MiniBatch batch
    cdef Sink into
    cdef long long start
    if not has_step(timed, l, last, layer):
        return None
    write_gradient(&into, core.net.parameters, 0)
    batch.rows, batch.targets, batch.order = &rows.array, &targets.array, &numbers[0]
    batch.n, batch.first, batch.m = n, 0, m
    with nogil:
        sum_gradients(p, &batch, &into)
        start = now()
        for time in range(times):
            first = time * m % (n - m + 1)
            if timed == TIME_GATHER:
                gather(at.a_prev, p.x, p.ld_x, &rows.array, &numbers[0], first, m,
                       core.net.scales, False)
            elif timed == TIME_TARGETS:
                gather_targets(p.y, at.example_stride, at.neuron_stride, &targets.array,
                               &numbers[0], first, m, layer.J)
            elif timed == TIME_Z:
                weighted_input(p, at, l, all_neurons(layer))
            elif timed == TIME_SIGMA:
                activate(layer.runs, layer.n_runs, layer.narrow, at.a, at.z, at.rows, at.columns,
                         at.ld)
            elif timed == TIME_BP1:
                output_error(p, 0)
            elif timed == TIME_COST:
                p.cost += cost_of_slice(p)
            elif timed == TIME_BP2:
                weighted_error(p, at, l, all_neurons(layer))
            elif timed == TIME_SIGMA_PRIME:
                times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                                  at.rows, at.columns, at.ld)
            elif timed == TIME_BP3:
                add_bias_gradient(p, l, &into)
            else:
                add_weight_gradient(p, l, &into)
        start = now() - start
    core.release(workspace)
    return 1e-9 * start


cdef bint has_step(int timed, int l, int last, const Layer* layer) noexcept nogil:
    if timed == TIME_GATHER:
        return l == 0
    if timed == TIME_TARGETS or timed == TIME_BP1 or timed == TIME_COST:
        return l == last
    if timed == TIME_BP2:
        return l < last
    if timed == TIME_SIGMA_PRIME:
        return l < last and not is_relu(layer)
    return True
