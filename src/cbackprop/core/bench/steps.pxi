# Each step of a mini-batch alone, many times over: with these, benchmarks/kernels.py finds a loss.


STEPS = ("gather", "targets", "z", "sigma", "BP1", "cost", "BP2", "sigma_prime", "BP3", "BP4")


def alone(
    Core core not None, Rows rows not None, Targets targets not None, order, Py_ssize_t m,
    str step not None, int l, Py_ssize_t times,
):
    """
    Do one step of layer l for the mini-batches of an order, and go round until they are `times`.

    Parameters are left as they are: every error is zero.

    Parameters
    ----------
    rows, targets, order, m
        As for `Core.sgd`; at most SLICE rows of order make a mini-batch.
    step : str
        One of STEPS. "BP2" is its product alone, behind which "sigma_prime" gives layer l's error;
        that of relu is part of the product.
    l : int
        The layer of weights.

    Returns
    -------
    float
        Seconds; or None if this layer has no such step: BP2 in the last, for example.
    """
    cdef const Py_ssize_t[::1] numbers = of_numbers(order)
    cdef Py_ssize_t n = numbers.shape[0], time, first
    core.admit(rows, targets)
    if not (1 <= m <= n and 0 <= l < core.net.n_layers and m <= SLICE
            and all_below(rows.array.n, &numbers[0], n)):
        raise ValueError(f"order must be of the {rows.array.n} rows, a mini-batch of at most "
                         f"{SLICE} of them, and l a layer, got {m} and layer {l}")
    cdef int kind = STEPS.index(step)
    cdef Scratch scratch = core.scratch(min(m, <Py_ssize_t>SLICE), True)
    cdef Batch* batch = scratch.batch
    cdef const Network* net = &core.net
    cdef int last = net.n_layers - 1
    cdef Layer* layer = &net.layers[l]
    cdef Signals* at = &batch.signals[l]
    cdef long long start
    if (l > 0 if kind == 0 else l < last if kind in (1, 4, 5) else l == last and kind in (6, 7)
            or kind == 7 and is_relu(layer)):
        return None
    with nogil:
        sum_gradients(net.parameters, 0, net, batch, &rows.array, &targets.array, &numbers[0],
                      n, 0, m)
        start = now()
        for time in range(times):
            first = time * m % (n - m + 1)
            if kind == 0:
                gather(at.a_prev, batch.x, batch.ld_x, &rows.array, &numbers[0], first, m,
                       net.scales, False)
            elif kind == 1:
                gather_targets(batch.y, at.by_example, at.by_neuron, &targets.array, &numbers[0],
                               first, m, layer.J)
            elif kind == 2:
                weighted_input(at, layer, net, batch, all_neurons(layer))
            elif kind == 3:
                activate(layer.runs, layer.n_runs, layer.narrow, at.a, at.z, at.rows, at.columns,
                         at.ld)
            elif kind == 4:
                output_error(at, layer, net, batch, 0)
            elif kind == 5:
                batch.cost += weighted_costs(at, &net.cost, layer, batch)
            elif kind == 6:
                weighted_error(at, layer + 1, net, batch, all_neurons(layer), is_relu(layer))
            elif kind == 7:
                times_sigma_prime(layer.runs, layer.n_runs, layer.narrow, at.delta, at.a, at.z,
                                  at.rows, at.columns, at.ld)
            elif kind == 8:
                add_nabla_b(net.parameters + layer.b, at, layer, all_neurons(layer))
            else:
                add_nabla_w(net.parameters + layer.w, at, layer, batch,
                            neurons_of(net, batch, l))
        start = now() - start
    core.give_back(scratch)
    return 1e-9 * start
