# What a mini-batch's average gradient g does to parameters w, and to what an optimizer remembers.
#
# A new optimizer is its name in the table, its formula in `updated`, how much it remembers in
# `memories`, and a line in `update`. Formulas are PyTorch's, which are the papers'.
#
# (a) Without memory and regularisation the update is BP4 itself (see backprop.pxi), and none of
#     this runs. Else the product hands over each tile of g while it is in the L1 cache, and w and
#     its memory are read and written once.
# (b) Regularisation belongs to weights. Biases take the same step without it.
# (c) A step divides by the length of its mini-batch, or by what its examples weigh (`weigh`).

from libc.math cimport INFINITY, pow, sqrt

cdef enum Optimizer:
    SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADAM, RPROP

OPTIMIZERS = {
    "sgd": SGD,
    "momentum": MOMENTUM,
    "nesterov": NESTEROV,
    "adagrad": ADAGRAD,
    "rmsprop": RMSPROP,
    "adam": ADAM,
    "rprop": RPROP,
}


cdef enum Regularised:
    FREE, DECAYED, CLIPPED  # not at all; by l2 and keep; by clip and l1 as well, which cost more


cdef struct Update:
    Optimizer kind
    real eta                # of this step, with Adam's correction of the first mean
    real decay              # of the first mean, or momentum; rprop: shrinks a step
    real square_decay       # of the mean square; rprop: lengthens a step
    real epsilon            # beside the root; rprop: the least step
    real root_scale         # Adam's correction of the mean square; rprop: the largest step
    real l2, l1             # g + l2 w + l1 sign(w)
    real keep               # of w, before the step: 1 - eta times the decoupled decay
    real clip               # of |g|, before regularisation
    Regularised regularised  # which of these four do anything
    real* w                 # where parameters begin
    real* memory[2]


cdef struct Optimization:   # how a network learns, from one mini-batch to the next
    Optimizer kind
    Py_ssize_t steps        # so far
    Py_ssize_t passed_over  # examples of mini-batches that weigh nothing
    double decay, square_decay, epsilon
    double largest          # rprop: step; adam: what is added to the root before its correction
    double l2, l1, weight_decay, clip_value, clip_norm, max_norm
    bint by_weight          # a mini-batch's sums and l2 are divided by what its examples weigh, ...
    double penalty          # ... and its cost has this much of every w^2
    bint plain              # nothing but descent
    real* parameters        # where they begin, ...
    real* memory[2]         # ... and what is remembered of each, in arenas of the same layout


cdef inline int memories(Optimizer kind) noexcept nogil:
    if kind == SGD:
        return 0
    return 2 if kind == ADAM or kind == RPROP else 1


cdef inline vec updated(
    Optimizer kind, const Update* u, vec w, vec g, vec* s,
) noexcept nogil:
    cdef vec eta = splat(u.eta), decay = splat(u.decay), square_decay = splat(u.square_decay)
    cdef vec epsilon = splat(u.epsilon), root_scale = splat(u.root_scale), sign, root
    if kind == ADAGRAD or kind == RMSPROP or kind == ADAM:
        # A square that is infinite would make all steps 0, from then on and in silence. A gradient
        # that is infinite itself becomes NaN, which is noticed.
        g = at_most(at_least(g, splat(-MOST_SQUARED)), splat(MOST_SQUARED)) + splat(0) * g
    if kind == SGD:
        return w - eta * g
    if kind == MOMENTUM:            # Polyak 1964
        s[0] = decay * s[0] + g
        return w - eta * s[0]
    if kind == NESTEROV:            # Sutskever et al., ICML 2013
        s[0] = decay * s[0] + g
        return w - eta * (g + decay * s[0])
    if kind == ADAGRAD:             # Duchi, Hazan, Singer, JMLR 2011
        s[0] = at_most(s[0] + g * g, splat(LARGEST))
        root = square_root(s[0]) + epsilon
        return w - eta * over_root(g, root)
    if kind == RMSPROP:             # Tieleman and Hinton, 2012
        s[0] = square_decay * s[0] + (splat(1) - square_decay) * (g * g)
        root = square_root(s[0]) + epsilon
        return w - eta * over_root(g, root)
    if kind == ADAM:                # Kingma and Ba, ICLR 2015
        s[0] = decay * s[0] + (splat(1) - decay) * g
        s[1] = square_decay * s[1] + (splat(1) - square_decay) * (g * g)
        root = square_root(s[1]) * root_scale + epsilon
        return w - eta * over_root(s[0], root)
    # RPROP: Riedmiller and Braun, 1993. s[0] is the last g, s[1] the length of a step. It takes the
    # sign alone of g, and has to say so itself where that is not finite.
    w = w + g * splat(0)
    sign = g * s[0]
    s[1] = select_lanes(less(splat(0), sign), at_most(square_decay * s[1], splat(u.root_scale)),
                        select_lanes(less(sign, splat(0)),
                                     at_least(decay * s[1], splat(u.epsilon)), s[1]))
    g = select_lanes(less(sign, splat(0)), splat(0), g)
    s[0] = g
    return w - signed(s[1], g)


cdef inline vec over_root(vec x, vec root) noexcept nogil:
    # x / root; 0 if that is infinite. The root keeps the unit busy that would divide.
    return x * newton_reciprocal(at_most(root, splat(LARGEST)))


cdef inline vec signed(vec x, vec of) noexcept nogil:
    # x with the sign of another; 0 for 0
    return select_lanes(less(splat(0), absolute(of)), sign_of(x, of), splat(0))


cdef inline void update_tile(
    Optimizer kind, const Update* u, Regularised how,
    real* w, Py_ssize_t ld, const real* g, Py_ssize_t ld_g, Py_ssize_t rows, Py_ssize_t columns,
) noexcept nogil:
    cdef Py_ssize_t i, v, at
    cdef int k
    cdef vec s[2]
    cdef vec w_v, g_v
    for i in range(rows):
        for v in range(vectors(columns)):
            at = w + i * ld + v * LANES - u.w
            for k in range(memories(kind)):
                s[k] = load(u.memory[k] + at)
            w_v, g_v = load(u.w + at), load(g + i * ld_g + v * LANES)
            if how == CLIPPED:
                g_v = at_most(at_least(g_v, splat(-u.clip)), splat(u.clip))
                g_v = g_v + signed(splat(u.l1), w_v)
            if how != FREE:
                g_v = g_v + splat(u.l2) * w_v
                w_v = splat(u.keep) * w_v
            store(u.w + at, updated(kind, u, w_v, g_v, s))
            for k in range(memories(kind)):
                store(u.memory[k] + at, s[k])


cdef inline void update_rows(
    Optimizer kind, const Update* u,
    real* w, Py_ssize_t ld, const real* g, Py_ssize_t ld_g, Py_ssize_t rows, Py_ssize_t columns,
) noexcept nogil:
    if u.regularised == FREE:
        update_tile(kind, u, FREE, w, ld, g, ld_g, rows, columns)
    elif u.regularised == DECAYED:
        update_tile(kind, u, DECAYED, w, ld, g, ld_g, rows, columns)
    else:
        update_tile(kind, u, CLIPPED, w, ld, g, ld_g, rows, columns)


cdef void update(
    const void* with_, real* w, Py_ssize_t ld,      # IN, OUT w, and what is remembered of it
    const real* g, Py_ssize_t ld_g,                 # IN  (rows, columns)
    Py_ssize_t rows, Py_ssize_t columns,
) noexcept nogil:
    cdef const Update* u = <const Update*>with_
    if u.kind == SGD:
        update_rows(SGD, u, w, ld, g, ld_g, rows, columns)
    elif u.kind == MOMENTUM:
        update_rows(MOMENTUM, u, w, ld, g, ld_g, rows, columns)
    elif u.kind == NESTEROV:
        update_rows(NESTEROV, u, w, ld, g, ld_g, rows, columns)
    elif u.kind == ADAGRAD:
        update_rows(ADAGRAD, u, w, ld, g, ld_g, rows, columns)
    elif u.kind == RMSPROP:
        update_rows(RMSPROP, u, w, ld, g, ld_g, rows, columns)
    elif u.kind == ADAM:
        update_rows(ADAM, u, w, ld, g, ld_g, rows, columns)
    else:
        update_rows(RPROP, u, w, ld, g, ld_g, rows, columns)


cdef void next_step(
    const Optimization* how, double eta, double weight,     # IN  of the mini-batch
    Update* of_w, Update* of_b,     # OUT
) noexcept nogil:
    of_b.kind = how.kind
    of_b.eta, of_b.root_scale = eta, how.largest
    of_b.decay, of_b.square_decay, of_b.epsilon = how.decay, how.square_decay, how.epsilon
    if how.kind == ADAM:            # the means begin at zero, and are too small at first
        of_b.eta = eta / (1 - pow(how.decay, how.steps + 1))
        of_b.root_scale = 1 / sqrt(1 - pow(how.square_decay, how.steps + 1))
        of_b.epsilon += how.largest * of_b.root_scale
    of_b.w = how.parameters
    of_b.memory[0], of_b.memory[1] = how.memory[0], how.memory[1]
    of_b.l2, of_b.l1, of_b.keep, of_b.clip = 0, 0, 1, min(how.clip_value, <double>LARGEST)
    of_b.regularised = CLIPPED if how.clip_value < LARGEST else FREE
    of_w[0] = of_b[0]
    of_w.l2, of_w.l1, of_w.keep = how.l2, how.l1, 1 - eta * how.weight_decay
    if how.by_weight:
        of_w.l2 = how.l2 / weight
    if how.l1 != 0:
        of_w.regularised = CLIPPED
    elif of_w.regularised == FREE and (how.l2 != 0 or how.weight_decay != 0):
        of_w.regularised = DECAYED
