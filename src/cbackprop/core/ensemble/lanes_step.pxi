# The steps of an epoch for networks that are lanes, as in chapter/step.pxi.


cdef int take_step_in_lanes(
    LanePass* p, LaneOptimizer* optimizer, LaneStep* w_step, LaneStep* b_step,
    Py_ssize_t step, Py_ssize_t first, Py_ssize_t m,    # the number of the step in its epoch
) except -1 nogil:
    # Plain descent is BP4 itself, unless the rows are too many for one block.
    cdef bint direct = optimizer.plain and m <= LANE_ROWS, weighted = False
    cdef real* into = p.w if direct else p.sums
    cdef Py_ssize_t block, done, rows
    cdef double weights[LANES]
    cdef vec factor
    cdef int k
    for k in range(LANES):
        (<real*>&factor)[k] = <real>(
            -optimizer.etas[k][step] / m if optimizer.plain else 1.0 / m)
        weights[k] = 0
    for block in range((m + LANE_ROWS - 1) // LANE_ROWS):
        done = block * LANE_ROWS
        rows = min(m - done, <Py_ssize_t>LANE_ROWS)
        gather_in_lanes(p, first + done, rows)
        weighted = gather_lane_weights(p, first + done, rows)
        if weighted:
            add_lane_weights(weights, p.weights, rows)
        if optimizer.noise[0] != NULL:
            corrupt_inputs_in_lanes(p, optimizer, done, rows)
        backprop_in_lanes(p, optimizer, into, direct or done > 0, factor, done, rows, weighted)
    if optimizer.plain and not direct:
        add_arena(p.w, p.sums, p.size)
    for k in range(LANES):
        if weighted and weights[k] == 0:
            optimizer.skipped_rows[k] += m
    if not optimizer.plain:
        next_step_in_lanes(optimizer, w_step, b_step, step, weights if weighted else NULL)
        optimize_in_lanes(p, optimizer, w_step, b_step)
    for k in range(LANES):
        optimizer.steps[k] += not weighted or weights[k] != 0
    return 0


cdef void add_lane_weights(double* weights, const real* of_rows, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t i
    cdef int k
    for i in range(m):
        for k in range(LANES):
            weights[k] += of_rows[i * LANES + k]


cdef void next_step_in_lanes(
    LaneOptimizer* optimizer, LaneStep* w_step, LaneStep* b_step,   # IN, OUT
    Py_ssize_t step, const double* weights,     # of the mini-batch, or NULL; 0: no step
) noexcept nogil:
    # A number of a step changes with eta, and with the number of the step if the optimizer derives
    # some. Networks with the same numbers share the arithmetic.
    cdef Step w_one, b_one
    cdef const OptimizerOptions* options
    cdef int k, before = -1
    cdef double eta
    w_step.skips = b_step.skips = False
    for k in range(LANES):
        options, eta = optimizer.options[k], optimizer.etas[k][step]
        if weights != NULL:
            (<real*>&w_step.takes)[k] = (<real*>&b_step.takes)[k] = weights[k] != 0
            w_step.skips = b_step.skips = w_step.skips or weights[k] == 0
        if w_step.is_set and not derives(options.kind) and lane(w_step.given_eta, k) == <real>eta:
            continue
        if (before < 0 or optimizer.steps[k] != optimizer.steps[before]
                or eta != optimizer.etas[before][step]
                or not same_numbers(options, optimizer.options[before])):
            next_step(options, eta, 1, optimizer.steps[k] + 1, &w_one, &b_one)
        before = k
        (<real*>&w_step.given_eta)[k] = <real>eta
        if w_step.is_set:
            set_moving(w_step, k, &w_one)
            set_moving(b_step, k, &b_one)
        else:
            set_lane(w_step, k, &w_one)
            set_lane(b_step, k, &b_one)
    w_step.is_set = True


cdef void optimize_in_lanes(
    LanePass* p, LaneOptimizer* optimizer, const LaneStep* w_step, const LaneStep* b_step,
) noexcept nogil:
    # From complete gradients. Without regularisation, biases take the step of their weights.
    cdef int l, k
    cdef Py_ssize_t j, at
    cdef const LaneLayer* layer
    cdef real* slots[MAX_SLOTS]
    if optimizer.clips_norm:
        clip_norms_in_lanes(p, optimizer)
    if w_step.regularised == FREE:
        update_lanes(w_step, p.w, optimizer.slots, p.sums, p.size // LANES)
    else:
        for l in range(p.n_layers):
            layer = &p.layers[l]
            for j in range(layer.J):
                at = layer.w + j * layer.ld
                for k in range(n_slots(w_step.kind)):
                    slots[k] = optimizer.slots[k] + at
                update_lanes(w_step, p.w + at, slots, p.sums + at, layer.K)
                if layer.biased:
                    at += layer.K * LANES
                    for k in range(n_slots(w_step.kind)):
                        slots[k] = optimizer.slots[k] + at
                    update_lanes(b_step, p.w + at, slots, p.sums + at, 1)
    if optimizer.limits_norm:
        for l in range(p.n_layers):
            layer = &p.layers[l]
            for j in range(layer.J):
                limit_norm_in_lanes(p.w + layer.w + j * layer.ld, layer.K, optimizer, w_step)


# ---- limits of norms, as in engine/norms.pxi ----

cdef inline vec root_of_squares(const real* x, Py_ssize_t n, vec* largest) noexcept nogil:
    # |x| / largest, with the largest |x_i| of each network, so that no square overflows
    cdef Py_ssize_t i
    cdef vec total = splat(0), one
    largest[0] = splat(SMALLEST)
    for i in range(n):
        largest[0] = at_least(absolute(at_neuron(x, i)), largest[0])
    for i in range(n):
        one = at_neuron(x, i) / largest[0]
        total = total + one * one
    return square_root(total)


cdef void shorten_in_lanes(real* x, Py_ssize_t n, vec limit) noexcept nogil:
    # Scale each network's x to the limit if it is longer.
    cdef vec largest, root = root_of_squares(x, n, &largest)
    cdef mask longer = less(limit / largest, root)
    cdef vec first = select_lanes(longer, 1 / largest, splat(1))
    cdef vec second = select_lanes(longer, limit / root, splat(1))
    cdef Py_ssize_t i
    if any_lane(longer):
        for i in range(n):
            store(x + i * LANES, at_neuron(x, i) * first * second)


cdef void clip_norms_in_lanes(LanePass* p, const LaneOptimizer* optimizer) noexcept nogil:
    cdef vec limit
    cdef int k
    for k in range(LANES):
        (<real*>&limit)[k] = <real>min(optimizer.options[k].clip_norm, <double>LARGEST)
    shorten_in_lanes(p.sums, p.size // LANES, limit)


cdef void limit_norm_in_lanes(
    real* w, Py_ssize_t K, const LaneOptimizer* optimizer, const LaneStep* step,
) noexcept nogil:
    cdef vec limit
    cdef int k
    for k in range(LANES):
        (<real*>&limit)[k] = <real>min(optimizer.options[k].max_norm, <double>LARGEST)
        if step.skips and lane(step.takes, k) == 0:
            (<real*>&limit)[k] = LARGEST
    shorten_in_lanes(w, K, limit)


# ---- epochs ----

cdef enum:
    STEPS_PER_CLOCK = 16    # steps between two looks at the clock


cdef int sgd_in_lanes(
    LanePass* p, LaneOptimizer* optimizer, LaneStep* w_step, LaneStep* b_step,
    Py_ssize_t mini_batch_size, const int* stopped,
) except -1 nogil:
    # One epoch, unless another thread has stopped.
    cdef Py_ssize_t first, step
    for step in range((p.n + mini_batch_size - 1) // mini_batch_size):
        first = step * mini_batch_size
        take_step_in_lanes(p, optimizer, w_step, b_step, step, first,
                           min(mini_batch_size, p.n - first))
        if is_set(stopped):
            break
        if p.checks_signals and step % STEPS_PER_CLOCK == 0 and (
                now() - p.last_signal_check > SIGNAL_EVERY_NS):
            p.last_signal_check = now()
            check_signals()
    return 0


cdef void lanes_finite(const LanePass* p, bint* finite) noexcept nogil:
    # Whether each network's parameters and costs are finite.
    cdef vec total = splat(0)
    cdef Py_ssize_t v
    cdef int k
    for v in range(p.size // LANES):
        total = total + splat(0) * load(p.w + v * LANES)
    for k in range(LANES):
        finite[k] = lane(total, k) == 0 and p.costs[k] * 0 == 0


cdef void copy_lanes(
    real* to, const real* from_, Py_ssize_t size, vec chosen_lanes,
) noexcept nogil:
    # Copy the chosen lanes, those that are not 0, of an arena.
    cdef Py_ssize_t v
    cdef mask chosen_ones = less(splat(0), chosen_lanes)
    for v in range(size // LANES):
        store(to + v * LANES, select_lanes(chosen_ones, load(from_ + v * LANES),
                                           load(to + v * LANES)))
