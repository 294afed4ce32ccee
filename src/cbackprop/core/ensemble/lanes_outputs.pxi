# The sums over the neurons of a layer: softmax with its forms for outputs, BP1 and the costs. In a
# group these sums run from vector to vector. The formulas, and what they avoid, are in
# functions/softmax.pxi.
#
# Matrices are (m, J) vectors with row stride ld.


cdef inline vec at_neuron(const real* row, Py_ssize_t j) noexcept nogil:
    return load(row + j * LANES)


cdef void softmax_of_lanes(
    real* a, const real* z, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef vec highest, total, x
    for i in range(m):
        highest, total = at_neuron(z, 0), splat(0)
        for j in range(1, J):
            highest = at_least(at_neuron(z, j), highest)
        for j in range(J):
            x = exp(at_neuron(z, j) - highest)
            store(a + j * LANES, x)
            total = total + x
        total = 1 / total
        for j in range(J):
            store(a + j * LANES, total * at_neuron(a, j))
        a += ld
        z += ld


cdef inline vec others_in_lanes(const real* a, Py_ssize_t J) noexcept nogil:
    # As `sum_of_others`.
    cdef vec total = splat(0)
    cdef Py_ssize_t j
    for j in range(J):
        total = total + select_lanes(less(splat(NEAR_1), at_neuron(a, j)), splat(0),
                                     at_neuron(a, j))
    return total


cdef void softmax_jacobian_of_lanes(
    real* delta, const real* a, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef vec highest, best, total
    cdef mask higher
    for i in range(m):
        highest, best, total = at_neuron(a, 0), at_neuron(delta, 0), splat(0)
        for j in range(1, J):
            higher = less(highest, at_neuron(a, j))
            best = select_lanes(higher, at_neuron(delta, j), best)
            highest = select_lanes(higher, at_neuron(a, j), highest)
        for j in range(J):
            total = total + at_neuron(a, j) * (at_neuron(delta, j) - best)
        for j in range(J):
            store(delta + j * LANES, at_neuron(a, j) * ((at_neuron(delta, j) - best) - total))
        delta += ld
        a += ld


cdef void softmax_minus_of_lanes(
    real* delta, const real* a, const real* y, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef vec a_j, y_j, total, other_y, other_a
    cdef mask high
    for i in range(m):
        total, other_y = splat(0), splat(0)
        other_a = others_in_lanes(a, J)
        for j in range(J):
            total = total + at_neuron(y, j)
            other_y = other_y + select_lanes(less(splat(NEAR_1), at_neuron(a, j)), splat(0),
                                             at_neuron(y, j))
        for j in range(J):
            a_j, y_j = at_neuron(a, j), at_neuron(y, j)
            high = less(splat(NEAR_1), a_j)
            store(delta + j * LANES, select_lanes(high, a_j * other_y - y_j * other_a,
                                                  a_j * total - y_j))
        delta += ld
        a += ld
        y += ld


cdef void softmax_two_classes_of_lanes(
    const Cost* cost, real* delta, const real* a, const real* z, const real* y,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef vec a_j, y_j, h, sum_h, others, second, total, of_best, p = splat(cost.parameters[0])
    cdef mask high
    for i in range(m):
        sum_h = of_best = total = splat(0)
        second = splat(-LARGEST)
        others = others_in_lanes(a, J)
        for j in range(J):
            a_j, y_j = at_neuron(a, j), at_neuron(y, j)
            high = less(splat(NEAR_1), a_j)
            sum_h = sum_h + select_lanes(high, splat(0), a_grad_a(cost.kind, a_j, 1 - a_j, y_j, p))
            of_best = of_best + select_lanes(
                high, a_grad_a_below(cost.kind, a_j, others, y_j, p), splat(0))
            second = at_least(select_lanes(high, splat(-LARGEST), at_neuron(z, j)), second)
        for j in range(J):
            total = total + select_lanes(less(splat(NEAR_1), at_neuron(a, j)), splat(0),
                                         exp(at_neuron(z, j) - second))
        total = 1 / at_least(total, splat(SMALLEST))
        for j in range(J):
            a_j, y_j = at_neuron(a, j), at_neuron(y, j)
            high = less(splat(NEAR_1), a_j)
            h = a_grad_a(cost.kind, a_j, 1 - a_j, y_j, p) - a_j * sum_h
            h = h - select_lanes(less(splat(0), absolute(of_best)),
                                 exp(at_neuron(z, j) - second) * total * of_best, splat(0))
            store(delta + j * LANES, select_lanes(high, of_best - a_j * sum_h, h))
        delta += ld
        a += ld
        z += ld
        y += ld


cdef void error_of_softmax_in_lanes(
    const Cost* cost, real* rows, real* delta, const real* a, const real* z, const real* y,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t i, j, at
    cdef vec others
    cdef Output o
    if softmax_is_minus(cost.kind):
        softmax_minus_of_lanes(delta, a, y, m, J, ld)
        return
    if softmax_is_two_classes(cost.kind):
        softmax_two_classes_of_lanes(cost, delta, a, z, y, m, J, ld)
        return
    if by_output(cost.kind):
        for i in range(m):
            others = others_in_lanes(a + i * ld, J)
            for j in range(J):
                at = i * ld + j * LANES
                compare_softmax(&o, load(a + at), splat(0), load(y + at), others)
                store(delta + at, grad_a(cost.kind, &o, load(y + at), splat(cost.parameters[0])))
    else:
        cosine_of_lanes(rows, delta, NULL, NULL, a, y, m, J, ld)
    softmax_jacobian_of_lanes(delta, a, m, J, ld)


cdef void cosine_of_lanes(
    real* rows,                 # workspace (3, whole vectors of J)
    real* delta,                # OUT (m, J) dC/da; or NULL, for costs
    double* costs,              # IN, OUT (LANES) + the cost of all examples
    const real* weights,        # IN  (m, LANES), or NULL
    const real* a, const real* y, Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # Example by example and network by network, because its cases differ from row to row.
    cdef Py_ssize_t i, j, ld_rows = vectors(J) * LANES
    cdef real* row_a = rows
    cdef real* row_y = rows + ld_rows
    cdef real* row_delta = rows + 2 * ld_rows
    cdef int k
    cdef double cost
    for i in range(m):
        for k in range(LANES):
            for j in range(J):
                row_a[j], row_y[j] = a[i * ld + j * LANES + k], y[i * ld + j * LANES + k]
            cost = cosine_rows(NULL if delta == NULL else row_delta, row_a, row_y, 1, 1, J, 0)
            if costs != NULL and weights == NULL:
                costs[k] += cost
            elif costs != NULL and weights[i * LANES + k] > 0:
                costs[k] += weights[i * LANES + k] * cost
            for j in range(0 if delta == NULL else J):
                delta[i * ld + j * LANES + k] = row_delta[j]


# ---- BP1 ----

cdef int output_error_of_lanes(LanePass* p, Py_ssize_t m) except -1 nogil:
    # dC/da sigma'(z) of the outputs, not yet multiplied by a step.
    cdef const LaneLayer* output = &p.layers[p.n_layers - 1]
    cdef const real* y = targets_of(p)
    if output.runs.kind == SOFTMAX:
        error_of_softmax_in_lanes(p.cost, p.rows, output.delta, output.a, output.z, y, m,
                                  output.J, output.ld_a)
    elif not by_output(p.cost.kind):
        cosine_of_lanes(p.rows, output.delta, NULL, NULL, output.a, y, m, output.J, output.ld_a)
        times_output_slopes(output.runs, output.n_runs, False, output.delta, output.a, output.z, m,
                            output.J * LANES, output.ld_a)
    else:
        output_error_of(p.cost, output.runs, output.n_runs, False, output.delta, output.a, output.z,
                        y, 1, m, output.J * LANES, output.ld_a)
    return 0


cdef void scale_errors(
    LanePass* p, vec step, bint weighted, Py_ssize_t m,
) noexcept nogil:
    # delta times the step, and times the weight of each example, as in `apply_weights`.
    cdef const LaneLayer* output = &p.layers[p.n_layers - 1]
    cdef Py_ssize_t i, j
    cdef vec weight
    cdef real* delta = output.delta
    for i in range(m):
        if weighted:
            weight = load(p.weights + i * LANES)
            for j in range(output.J):
                store(delta + j * LANES, select_lanes(
                    less(splat(0), weight), at_neuron(delta, j) * step * weight, splat(0)))
        else:
            for j in range(output.J):
                store(delta + j * LANES, at_neuron(delta, j) * step)
        delta += output.ld_a


# ---- costs ----

cdef inline void add_to_costs(
    double* costs, vec x, const real* weights,      # weights: of one example, or NULL
) noexcept nogil:
    cdef int k
    for k in range(LANES):
        if weights == NULL:
            costs[k] += lane(x, k)
        elif weights[k] > 0:            # 0 times an infinite cost is NaN
            costs[k] += weights[k] * <double>lane(x, k)


cdef inline void add_costs_of_run(
    double* costs, CostKind cost_kind, const Cost* cost, ActivationKind kind,
    const ActivationRun* run, const real* a, const real* z, const real* y, const real* weights,
    Py_ssize_t m, Py_ssize_t ld,
) noexcept nogil:
    # As `costs_from_z`. A few vectors are summed in the real type.
    cdef Py_ssize_t i, j, at
    cdef int n = 0
    cdef vec partial = splat(0), log_a = splat(0), log_below = splat(0)
    cdef vec p = splat(cost.parameters[0]), sigma_p = splat(run.parameter)
    cdef vec floor = log_of_floor(cost)
    cdef Output o
    for i in range(m):
        for j in range(run.first // LANES, run.last // LANES):
            at = i * ld + j * LANES
            if cost_kind != CROSS_ENTROPY or kind != SIGMOID:   # which needs only logarithms
                compare_lanes(&o, kind, load(a + at), load(z + at), load(y + at), sigma_p)
            if has_log(cost_kind):
                log_a = at_least(log_of_output(kind, &o, load(z + at)), floor)
            if has_log_below(cost_kind):
                log_below = at_least(log_below_output(kind, &o, load(z + at)), floor)
            partial = partial + cost_of(cost_kind, &o, load(y + at), log_a, log_below, p)
            n += 1
        if weights != NULL or n >= 16:
            add_to_costs(costs, partial, weights + i * LANES if weights != NULL else NULL)
            partial, n = splat(0), 0
    if n:
        add_to_costs(costs, partial, NULL)


cdef inline void compare_lanes(
    Output* o, ActivationKind kind, vec a, vec z, vec y, vec p,
) noexcept nogil:
    if output_needs_z(kind):
        compare_from_z(o, kind, a, z, y, p)
    else:
        compare(o, a, y)


cdef void add_costs_of_softmax(
    double* costs, const Cost* cost, bint one_hot,
    const real* a, const real* z, const real* y, const real* weights,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # Where a probability may have underflowed, its logarithm is that of `LogSoftmax`. With one-hot
    # targets and -y ln a, a row costs one logarithm.
    cdef Py_ssize_t i, j, first = 0
    cdef vec x, others, a_j, z_j, y_j, log_a, log_below
    cdef vec floor = log_of_floor(cost), p = splat(cost.parameters[0])
    cdef vec highest, second, total, rest, tiny
    cdef bint extreme
    cdef bint single = one_hot and softmax_is_minus(cost.kind) and is_of_classes(cost.kind)
    cdef Output o
    for i in range(m):
        x, others, tiny = splat(0), others_in_lanes(a, J), splat(1)
        highest = second = total = rest = log_below = splat(0)
        for j in range(J):
            tiny = at_most(at_neuron(a, j), tiny)
        extreme = any_lane(less(tiny, splat(4 * SMALLEST)))
        if extreme:
            highest, second = splat(-LARGEST), splat(-LARGEST)
            for j in range(J):
                second = at_least(at_most(at_neuron(z, j), highest), second)
                highest = at_least(at_neuron(z, j), highest)
            for j in range(J):
                total = total + exp(at_neuron(z, j) - highest)
                rest = rest + exp(at_neuron(z, j) - second) * select_lanes(
                    less(at_neuron(z, j), highest), splat(1), splat(0))
            total = log(total)
            rest = second - highest + log(rest)     # the logarithm of all without the highest
        for j in range(1 if single else J):
            a_j, z_j, y_j = at_neuron(a, j), at_neuron(z, j), at_neuron(y, j)
            if single:
                a_j, z_j, others = chosen(a, y, J), chosen(z, y, J), splat(1) - chosen(a, y, J)
                others = select_lanes(less(splat(NEAR_1), a_j), others_in_lanes(a, J), others)
                y_j = splat(1)
            compare_softmax(&o, a_j, z_j, y_j, others)
            log_a = log_with_complement(o.a, o.below)
            if has_log_below(cost.kind):
                log_below = log_with_complement(o.below, o.a)
            if extreme:
                log_a = select_lanes(less(o.a, splat(4 * SMALLEST)), z_j - highest - total, log_a)
                log_below = select_lanes(less(o.below, splat(4 * SMALLEST)), rest - total,
                                         log_below)
            x = x + cost_of(cost.kind, &o, y_j, at_least(log_a, floor), at_least(log_below, floor),
                            p)
        add_to_costs(costs, x, weights + i * LANES if weights != NULL else NULL)
        a += ld
        z += ld
        y += ld


cdef inline vec chosen(const real* x, const real* y, Py_ssize_t J) noexcept nogil:
    # The number of the neuron whose target is 1; the others' are 0.
    cdef vec found = splat(0)
    cdef Py_ssize_t j
    for j in range(J):
        found = select_lanes(less(splat(0), at_neuron(y, j)), at_neuron(x, j), found)
    return found


cdef void add_costs(LanePass* p, bint weighted, Py_ssize_t m) noexcept nogil:
    # (26)  of each network, sum_x C_x, each C_x times the weight of x
    cdef const LaneLayer* output = &p.layers[p.n_layers - 1]
    cdef const real* y = targets_of(p)
    cdef const real* weights = p.weights if weighted else NULL
    cdef const ActivationRun* run
    cdef int k
    if not by_output(p.cost.kind):
        cosine_of_lanes(p.rows, NULL, p.costs, weights, output.a, y, m, output.J, output.ld_a)
    elif output.runs.kind == SOFTMAX:
        add_costs_of_softmax(p.costs, p.cost, p.one_hot, output.a, output.z, y, weights, m,
                             output.J, output.ld_a)
    else:
        for k in range(output.n_runs):
            run = &output.runs[k]
            if run.kind == SIGMOID and p.cost.kind == QUADRATIC:
                add_costs_of_run(p.costs, QUADRATIC, p.cost, SIGMOID, run, output.a, output.z, y,
                                 weights, m, output.ld_a)
            else:
                add_costs_of_run(p.costs, p.cost.kind, p.cost, run.kind, run, output.a, output.z,
                                 y, weights, m, output.ld_a)
