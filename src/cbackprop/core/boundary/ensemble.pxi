# Networks as lanes, for Python: groups of LANES networks, and the task of a team that trains them.


cdef struct LaneTask:           # the epochs of all groups, or the outputs for some rows
    LanePass** passes           # one for each thread
    Py_ssize_t networks, groups
    Py_ssize_t next             # the first group that no thread has taken
    real* parameters            # IN, OUT (groups) arenas
    real* slots[MAX_SLOTS]      # IN, OUT likewise, or NULL
    real* out                   # OUT (networks, n, J); or NULL, to train with the fields below
    const OptimizerOptions** options    # (networks)
    const Noise** noise         # (networks) NULL for those without
    const real** weights        # (networks) of the examples, or all NULL
    const double* etas          # (networks, steps)
    Py_ssize_t steps            # in an epoch
    const uint64_t* seeds       # (epochs, networks) of the orders; NULL for 0, 1, 2, ...
    const int32_t* numbers      # (networks, n) the rows that are each one's examples; NULL for all
    Py_ssize_t epochs, mini_batch_size
    uint8_t* active             # IN, OUT (networks) whether it trains; 0 once it has diverged
    double* costs               # OUT (epochs, networks) sums over all examples
    Py_ssize_t* steps_done      # IN, OUT (networks)
    Py_ssize_t* skipped_rows    # IN, OUT (networks)
    int stopped
    void* errors                # a Python list


cdef inline Py_ssize_t network_of(const LaneTask* task, Py_ssize_t group, int k) noexcept nogil:
    return min(group * LANES + k, task.networks - 1)


cdef void set_optimizer(
    LaneOptimizer* to, const LaneTask* task, Py_ssize_t group, Py_ssize_t size,
) noexcept nogil:
    cdef int k
    cdef Py_ssize_t at
    cdef const OptimizerOptions* options
    memset(to, 0, sizeof(LaneOptimizer))
    to.plain = True
    for k in range(LANES):
        at = network_of(task, group, k)
        options = to.options[k] = task.options[at]
        to.plain &= options.plain
        to.clips_norm |= options.clip_norm < INFINITY
        to.limits_norm |= options.max_norm < INFINITY
        to.etas[k] = task.etas + at * task.steps
        to.steps[k], to.skipped_rows[k] = task.steps_done[at], task.skipped_rows[at]
        to.noise[k] = task.noise[at]
        if to.noise[k] != NULL:
            to.adds_noise |= to.noise[k].deviation > 0
            to.drops_inputs |= to.noise[k].rates[0] > 0
    for k in range(n_slots(to.options[0].kind)):
        to.slots[k] = task.slots[k] + group * size


cdef int train_group(LaneTask* task, LanePass* p, Py_ssize_t group) except -1 nogil:
    # All epochs. A network that diverges keeps the parameters from before that epoch. Its lane goes
    # on with whatever it has, and is put back at the end; so does the lane of one that has stopped.
    cdef LaneOptimizer optimizer
    cdef LaneStep w_step, b_step
    cdef vec active
    cdef bint finite[LANES]
    cdef uint64_t seeds[LANES]
    cdef Py_ssize_t steps_before[LANES]
    cdef Py_ssize_t skipped_before[LANES]
    cdef Py_ssize_t epoch, at, i
    cdef int k, slots = n_slots(task.options[0].kind)
    set_optimizer(&optimizer, task, group, p.size)
    memset(&w_step, 0, sizeof(LaneStep))
    memset(&b_step, 0, sizeof(LaneStep))
    p.w = task.parameters + group * p.size
    for k in range(LANES):
        at = network_of(task, group, k)
        (<real*>&active)[k] = task.active[at]
        p.given_weights[k] = task.weights[at]
    keep_arenas(p, &optimizer, slots, splat(1))
    for epoch in range(task.epochs):
        keep_arenas(p, &optimizer, slots, active)
        for k in range(LANES):
            p.costs[k] = 0
            at = network_of(task, group, k)
            steps_before[k], skipped_before[k] = optimizer.steps[k], optimizer.skipped_rows[k]
            if task.seeds != NULL:
                seeds[k] = task.seeds[epoch * task.networks + (0 if p.common else at)]
        if task.seeds != NULL:
            random_orders(p.order, seeds, p.n, p.common)
        else:
            for i in range(p.n):
                for k in range(1 if p.common else LANES):
                    p.order[i * (1 if p.common else LANES) + k] = <int32_t>i
        if task.numbers != NULL:
            for i in range(p.n):
                for k in range(LANES):
                    at = network_of(task, group, k)
                    p.order[i * LANES + k] = task.numbers[at * p.n + p.order[i * LANES + k]]
        sgd_in_lanes(p, &optimizer, &w_step, &b_step, task.mini_batch_size, &task.stopped)
        if is_set(&task.stopped):
            return 0
        lanes_finite(p, finite)
        for k in range(LANES):
            at = network_of(task, group, k)
            if group * LANES + k < task.networks and task.active[at]:
                task.costs[epoch * task.networks + at] = p.costs[k] if finite[k] else NAN
            if not finite[k] and lane(active, k) > 0:
                (<real*>&active)[k] = 0
                optimizer.steps[k], optimizer.skipped_rows[k] = steps_before[k], skipped_before[k]
        for k in range(LANES):
            at = network_of(task, group, k)
            if task.active[at] and lane(active, k) > 0:
                task.steps_done[at], task.skipped_rows[at] = (
                    optimizer.steps[k], optimizer.skipped_rows[k])
            task.active[at] = lane(active, k) > 0
        if not any_lane(less(splat(0), active)):
            break
    put_arenas_back(p, &optimizer, slots, 1 - active)
    return 0


cdef void keep_arenas(
    LanePass* p, const LaneOptimizer* optimizer, int slots, vec chosen_lanes,
) noexcept nogil:
    cdef int k
    copy_lanes(p.saved, p.w, p.size, chosen_lanes)
    for k in range(slots):
        copy_lanes(p.saved + (1 + k) * p.size, optimizer.slots[k], p.size, chosen_lanes)


cdef void put_arenas_back(
    LanePass* p, const LaneOptimizer* optimizer, int slots, vec chosen_lanes,
) noexcept nogil:
    cdef int k
    copy_lanes(p.w, p.saved, p.size, chosen_lanes)
    for k in range(slots):
        copy_lanes(optimizer.slots[k], p.saved + (1 + k) * p.size, p.size, chosen_lanes)


cdef int infer_group(LaneTask* task, LanePass* p, Py_ssize_t group) except -1 nogil:
    # The outputs for all rows.
    cdef const LaneLayer* output = &p.layers[p.n_layers - 1]
    cdef Py_ssize_t block, first, m, i, j, network
    cdef int k
    p.w = task.parameters + group * p.size
    for block in range((p.n + LANE_ROWS - 1) // LANE_ROWS):
        first = block * LANE_ROWS
        m = min(p.n - first, <Py_ssize_t>LANE_ROWS)
        for i in range(m):
            p.order[i] = <int32_t>(first + i)
        gather_in_lanes(p, 0, m)
        feedforward_in_lanes(p, NULL, 0, m)
        for k in range(LANES):
            network = group * LANES + k
            if network == task.networks:
                break
            for i in range(m):
                for j in range(output.J):
                    task.out[(network * p.n + first + i) * output.J + j] = output.a[
                        i * output.ld_a + j * LANES + k]
    return 0


cdef int work_on_groups(LaneTask* task, LanePass* p) except -1 nogil:
    cdef uint64_t before = flush_subnormals()
    cdef Py_ssize_t group = next_of(&task.next)
    try:
        while group < task.groups and not is_set(&task.stopped):
            if task.out != NULL:
                infer_group(task, p, group)
            else:
                train_group(task, p, group)
            group = next_of(&task.next)
    finally:
        restore_subnormals(before)
    return 0


cdef void lanes_worker(void* work, int thread, int threads) noexcept nogil:
    cdef LaneTask* task = <LaneTask*>work
    if thread == 0:
        lanes_worker_0(task)
    else:
        work_on_groups(task, task.passes[thread])


cdef void lanes_worker_0(LaneTask* task) noexcept with gil:
    try:
        with nogil:
            work_on_groups(task, task.passes[0])
    except BaseException as error:
        set_flag(&task.stopped)
        (<list>task.errors).append(error)


cdef class LaneWorkspace:
    """The memory of one thread that works on groups."""

    cdef LanePass lanes
    cdef object arena, layers
    cdef Py_ssize_t reserved

    cdef real* reserve(self, real* base, Py_ssize_t numbers) noexcept:
        # Whole cache lines.
        cdef Py_ssize_t at = self.reserved, line = LINE_BYTES // sizeof(real)
        self.reserved += (numbers + line - 1) // line * line
        return base + at if base != NULL else NULL

    cdef void lay_out(self, real* base, bint training, bint drops, Py_ssize_t orders, int slots):
        cdef LanePass* p = &self.lanes
        cdef LaneLayer* layer
        cdef Py_ssize_t i, j, size
        cdef int l, k
        self.reserved = 0
        p.x = self.reserve(base, LANE_ROWS * p.ld_x)
        p.weights = self.reserve(base, LANE_ROWS * LANES)
        p.rows = self.reserve(base, 3 * vectors(p.layers[p.n_layers - 1].J) * LANES)
        p.order = <int32_t*>self.reserve(base, orders)      # int32 is not larger than a real
        if training:
            p.sums = self.reserve(base, p.size)
            p.saved = self.reserve(base, (1 + slots) * p.size)
        for l in range(p.n_layers):
            layer = &p.layers[l]
            size = LANE_ROWS * layer.ld_a
            layer.a = layer.z = self.reserve(base, size)
            if l == p.n_layers - 1 or training and keeps_z_of_runs(layer.runs, layer.n_runs):
                layer.z = self.reserve(base, size)
            layer.masked = self.reserve(base, size if drops and l < p.n_layers - 1 else 0)
            if not drops or l == p.n_layers - 1:
                layer.masked = NULL
            if training:
                layer.delta = self.reserve(base, size)
            for i in range(LANE_ROWS if base != NULL and l < p.n_layers - 1 else 0):
                for k in range(LANES):
                    layer.a[i * layer.ld_a + layer.J * LANES + k] = 1
                    if layer.masked != NULL:
                        layer.masked[i * layer.ld_a + layer.J * LANES + k] = 1


cdef class Lanes:
    """
    Networks of the same sizes, activations and cost, as lanes: a copy of their parameters.

    Parameters
    ----------
    networks : list of Parameters

    Raises
    ------
    ValueError
        If there are none, or their sizes differ. Their functions are not compared.
    """

    cdef list networks
    cdef LaneLayer* layers
    cdef int n_layers
    cdef Py_ssize_t size, groups, ld_x
    cdef const Network* net
    cdef object parameters, slots

    def __cinit__(self, list networks not None):
        cdef Py_ssize_t at = 0, r, per_line = LINE_BYTES // sizeof(real)
        cdef int l
        cdef LaneLayer* to
        cdef const Layer* layer
        cdef ActivationRun* runs
        if not networks or not all(isinstance(each, Parameters) for each in networks):
            raise ValueError("networks must be one or more, got none")
        self.networks, self.net = networks, &(<Parameters>networks[0]).net
        if not all(same_sizes(&(<Parameters>each).net, self.net) for each in networks):
            raise ValueError("networks must have the same sizes, got others")
        self.n_layers = self.net.n_layers
        self.layers = <LaneLayer*>PyMem_Calloc(self.n_layers, sizeof(LaneLayer))
        if self.layers == NULL:
            raise MemoryError
        layer = &self.net.layers[self.n_layers - 1]
        self.ld_x = lane_stride(self.row_length() + QUAD)
        for l in range(self.n_layers):
            to, layer = &self.layers[l], &self.net.layers[l]
            to.K, to.J, to.biased = layer.K, layer.J, layer.biased
            to.ld = lane_stride(to.K + 1)
            to.ld_a = self.ld_x if l == self.n_layers - 1 else lane_stride(to.J + 1)
            to.w, at = at, at + to.J * to.ld
            to.n_runs = layer.n_runs
            to.runs = runs = <ActivationRun*>PyMem_Calloc(layer.n_runs, sizeof(ActivationRun))
            if runs == NULL:
                raise MemoryError
            for r in range(layer.n_runs):
                runs[r] = layer.runs[r]
                runs[r].first *= LANES
                runs[r].last *= LANES
        self.size = (at + per_line - 1) // per_line * per_line
        self.groups = (len(networks) + LANES - 1) // LANES
        self.parameters = aligned(self.groups * self.size)
        self.slots = ()

    def __dealloc__(self):
        cdef int l
        if self.layers != NULL:
            for l in range(self.n_layers):
                PyMem_Free(<void*>self.layers[l].runs)
        PyMem_Free(self.layers)

    cdef Py_ssize_t row_length(self) noexcept:
        # Inputs, a 1 and targets.
        return self.net.layers[0].K + 1 + self.net.layers[self.n_layers - 1].J

    cdef int copy(self, arenas, list of_networks, bint to_lanes, active) except -1:
        # Between arenas of groups and those of networks.
        cdef real[::1] lanes = arenas
        cdef real[::1] alone
        cdef Py_ssize_t at, network, n = len(of_networks)
        for at in range(self.groups * LANES if to_lanes else n):
            network = min(at, n - 1)
            if active is None or active[network]:
                alone = of_networks[network]
                copy_network(&lanes[at // LANES * self.size] + at % LANES, &alone[0], self.layers,
                             self.net, to_lanes)
        return 0

    def examples(self, Rows rows not None, Targets targets=None):
        """
        Return an array (n, columns) with a row for each example: inputs, 1, targets, padding.

        Inputs are scaled, and targets smoothed, as the networks ask.
        """
        cdef Py_ssize_t n = rows.array.n, K = self.net.layers[0].K, i, k
        cdef Py_ssize_t J = self.net.layers[self.n_layers - 1].J
        cdef Py_ssize_t ld = (self.row_length() + QUAD - 1) // QUAD * QUAD
        cdef const real* row
        cdef real[:, ::1] to = np.zeros((n, ld), dtype=REAL)
        (<Core>self.networks[0]).check_examples(rows, targets)
        for i in range(n):
            gather(&row, &to[i, 0], ld, &rows.array, NULL, i, 1, self.net.scales, True)
            if self.net.scale != 1:
                for k in range(K):
                    to[i, k] *= self.net.scale
            to[i, K] = 1
        if targets is not None and n:
            gather_targets(&to[0, K + 1], ld, 1, &targets.array, NULL, 0, n, J)
            smooth_targets(&self.net.cost, &to[0, K + 1], ld, 1, n, J)
        return np.asarray(to)

    def feedforward(self, examples, int threads=1):
        """Return the outputs (networks, n, J) for what `examples` returned."""
        cdef LaneTask task
        cdef real[:, ::1] rows = numeric_array(examples)
        cdef Py_ssize_t J = self.net.layers[self.n_layers - 1].J
        out = np.empty((len(self.networks), rows.shape[0], J), dtype=REAL)
        cdef real[:, :, ::1] to = out
        memset(&task, 0, sizeof(task))
        self.copy(self.parameters, [each.parameters for each in self.networks], True, None)
        if out.size:
            task.out = &to[0, 0, 0]
            self.run(&task, rows, rows.shape[0], True, False, False, threads)
        return out

    def sgd(
        self, examples, list states not None, etas, seeds, numbers, list weights not None,
        active, Py_ssize_t mini_batch_size, Py_ssize_t epochs, bint common, int threads=1,
    ):
        """
        Train all networks for some epochs.

        Parameters
        ----------
        examples : array
            What `examples` returned.
        states : list of OptimizerState
            One for each network, of the same optimizer.
        etas : array (networks, steps of an epoch) of float64
        seeds : array (epochs, networks) of uint64, or None
            Of the orders of the examples, as `random_order` takes them; None for no shuffle.
        numbers : array (networks, n) of int32, or None
            The rows that are each network's examples; None for all of them.
        weights : list of arrays (rows,), or of None
        active : array (networks,) of uint8
            Whether the network trains. It becomes 0 if it diverges: its parameters and its state
            are then those from before that epoch.
        common : bool
            Whether all networks see the same rows: those of the first one's seeds.

        Returns
        -------
        array (epochs, networks)
            Sums of costs; NaN for the epoch in which a network diverged, and for those after.
        """
        cdef LaneTask task
        cdef real[:, ::1] rows = numeric_array(examples)
        cdef const double[:, ::1] rates = numeric_array(etas)
        cdef const uint64_t[:, ::1] drawn
        cdef const int32_t[:, ::1] chosen_rows
        cdef uint8_t[::1] active_view = numeric_array(active)
        cdef Py_ssize_t networks = len(self.networks), n = rows.shape[0], at, total = rows.shape[0]
        cdef OptimizerState state
        cdef const real[::1] weights_view
        cdef real[::1] slot
        cdef int k
        cdef bint drops = False
        costs = np.full((epochs, networks), np.nan)
        cdef double[:, ::1] costs_view = costs
        cdef Py_ssize_t[::1] steps = np.empty(networks, np.intp)
        cdef Py_ssize_t[::1] skipped = np.empty(networks, np.intp)
        memset(&task, 0, sizeof(task))
        if numbers is not None:
            if common:
                raise ValueError("numbers must be None if all networks see the same rows")
            chosen_rows = numbers
            n = chosen_rows.shape[1]
            task.numbers = &chosen_rows[0, 0]
            if chosen_rows.shape[0] != networks or np.min(numbers) < 0 or np.max(numbers) >= total:
                raise ValueError(f"numbers must be of rows below {total} for {networks} networks")
        if not (1 <= mini_batch_size <= n < 2**31 and epochs >= 1
                and rows.shape[1] == (self.row_length() + QUAD - 1) // QUAD * QUAD
                and rates.shape[0] == networks == active_view.shape[0]
                and rates.shape[1] == (n + mini_batch_size - 1) // mini_batch_size
                and len(states) == len(weights) == networks):
            raise ValueError(f"etas, states, weights and active must be of {networks} networks, "
                             f"and mini-batches of 1 to {n} rows, got others")
        if seeds is not None:
            drawn = seeds
            task.seeds = &drawn[0, 0]
            if drawn.shape[0] != epochs or drawn.shape[1] != networks:
                raise ValueError(f"seeds must be ({epochs}, {networks}), got {seeds.shape}")
        pointers = np.zeros((3, networks), np.intp)
        cdef Py_ssize_t[:, ::1] to = pointers
        task.options = <const OptimizerOptions**>&to[0, 0]
        task.noise, task.weights = <const Noise**>&to[1, 0], <const real**>&to[2, 0]
        for at in range(networks):
            state = states[at]
            if state.options.kind != (<OptimizerState>states[0]).options.kind or has_rules(
                    &state.options) or state.options.by_weight:
                raise ValueError("states must be of the same optimizer, without rules for layers")
            task.options[at] = &state.options
            task.noise[at] = &state.noise
            drops = drops or state.noisy
            steps[at], skipped[at] = state.options.steps, state.options.skipped_rows
            if weights[at] is not None:
                weights_view = weights[at]
                if weights_view.shape[0] != total:
                    raise ValueError(f"weights must be {total}, got {weights_view.shape[0]}")
                task.weights[at] = &weights_view[0]
            if (weights[at] is None) != (weights[0] is None):
                raise ValueError("weights must be given for all networks or for none")
        for at in range(networks if not drops else 0):
            task.noise[at] = NULL
        self.slots = tuple(aligned(self.groups * self.size)
                           for k in range(n_slots(task.options[0].kind)))
        self.copy(self.parameters, [each.parameters for each in self.networks], True, None)
        for k in range(len(self.slots)):
            self.copy(self.slots[k], [each.slots[k] for each in states], True, None)
            slot = self.slots[k]
            task.slots[k] = &slot[0]
        before = np.array(active)
        task.epochs, task.mini_batch_size, task.active = epochs, mini_batch_size, &active_view[0]
        task.etas, task.steps, task.costs = &rates[0, 0], rates.shape[1], &costs_view[0, 0]
        task.steps_done, task.skipped_rows = &steps[0], &skipped[0]
        self.run(&task, rows, n, common, True, drops, threads)
        self.copy(self.parameters, [each.parameters for each in self.networks], False, before)
        for k in range(len(self.slots)):
            self.copy(self.slots[k], [each.slots[k] for each in states], False, before)
        for at in range(networks):
            state = states[at]
            state.options.steps, state.options.skipped_rows = steps[at], skipped[at]
        return costs

    cdef int run(
        self, LaneTask* task, real[:, ::1] rows, Py_ssize_t n, bint common, bint training,
        bint drops, int threads,
    ) except -1:
        cdef LanePass* passes[MAX_THREADS]
        cdef LaneWorkspace workspace
        cdef int t
        threads = max(1, min(threads, <int>min(self.groups, <Py_ssize_t>MAX_THREADS)))
        task.networks, task.groups = len(self.networks), self.groups
        cdef real[::1] parameters = self.parameters
        task.parameters = &parameters[0]
        workspaces = []
        for t in range(threads):
            workspace = self.workspace(rows, n, common, training, drops)
            workspace.lanes.checks_signals = t == 0
            workspaces.append(workspace)
            passes[t] = &workspace.lanes
        errors = []
        task.passes, task.errors = passes, <void*>errors
        call_team(lanes_worker, task, threads)
        if errors:
            raise errors[0]
        return 0

    cdef LaneWorkspace workspace(
        self, real[:, ::1] rows, Py_ssize_t n, bint common, bint training, bint drops,
    ):
        cdef LaneWorkspace made = LaneWorkspace.__new__(LaneWorkspace)
        cdef LanePass* p = &made.lanes
        cdef real[::1] view
        cdef uint8_t[::1] layers
        cdef Py_ssize_t orders = (n if training else <Py_ssize_t>LANE_ROWS) * (
            1 if common else LANES)
        made.layers = layers = np.empty(self.n_layers * sizeof(LaneLayer), np.uint8)
        memcpy(&layers[0], self.layers, self.n_layers * sizeof(LaneLayer))
        p.layers, p.n_layers = <LaneLayer*>&layers[0], self.n_layers
        p.cost, p.size, p.ld_x = &self.net.cost, self.size, self.ld_x
        p.examples, p.n, p.ld_examples, p.common = &rows[0, 0], n, rows.shape[1], common
        p.one_hot = training and is_one_hot(rows, self.net.layers[0].K + 1,
                                            self.net.layers[self.n_layers - 1].J)
        made.lay_out(NULL, training, drops, orders, len(self.slots))
        made.arena = view = aligned(made.reserved)
        made.lay_out(&view[0], training, drops, orders, len(self.slots))
        return made


def group_size():
    """Return how many networks a group of `Lanes` has."""
    return LANES


cdef bint is_one_hot(const real[:, ::1] rows, Py_ssize_t first, Py_ssize_t J) noexcept:
    cdef Py_ssize_t i, j, ones, zeros
    for i in range(rows.shape[0]):
        ones = zeros = 0
        for j in range(first, first + J):
            ones += rows[i, j] == 1
            zeros += rows[i, j] == 0
        if ones != 1 or zeros != J - 1:
            return False
    return True


cdef bint keeps_z_of_runs(const ActivationRun* runs, int n_runs) noexcept nogil:
    cdef int k
    for k in range(n_runs):
        if needs_z(runs[k].kind):
            return True
    return False


cdef void copy_network(
    real* lanes, real* alone, const LaneLayer* layers, const Network* net, bint to_lanes,
) noexcept nogil:
    # One network's parameters, or a slot of its optimizer, between its arena and a lane.
    cdef Py_ssize_t j, k
    cdef int l
    cdef const Layer* layer
    cdef real* one
    cdef real* other
    for l in range(net.n_layers):
        layer = &net.layers[l]
        for j in range(layer.J):
            other = lanes + layers[l].w + j * layers[l].ld
            for k in range(layer.K + 1):
                one = alone + layer.w + (
                    j * layer.ld + k if layer.narrow else k * layer.ld + j)
                if k == layer.K:
                    one = alone + layer.b + j
                if to_lanes:
                    other[k * LANES] = one[0]
                else:
                    one[0] = other[k * LANES]
