# What the threads of a team do: train, or read.


cdef struct Lesson:         # what a team learns: arguments of sgd; or of sum_gradients
    const Network* net
    Batch* batches          # one for each thread
    Optimization* how
    const RowArray* rows
    const TargetArray* targets
    const Py_ssize_t* order
    Py_ssize_t n, mini_batch_size
    const double* etas
    Py_ssize_t first, last  # IN, OUT: where to go on
    real* nabla             # OUT or NULL: for sum_gradients
    void* errors            # a list


cdef int follow(Lesson* lesson, Batch* batch, Optimization* how) except -1 nogil:
    cdef uint64_t before = flush_subnormals()
    try:
        return follow_keeping(lesson, batch, how)
    finally:
        keep_subnormals(before)


cdef int follow_keeping(Lesson* lesson, Batch* batch, Optimization* how) except -1 nogil:
    cdef Py_ssize_t end
    if lesson.nabla != NULL:
        sum_gradients(lesson.nabla, <real>(1.0 / lesson.n), lesson.net, batch, lesson.rows,
                      lesson.targets, NULL, lesson.n, 0, lesson.n)
        return 0
    end = sgd(lesson.net, batch, how, lesson.rows, lesson.targets, lesson.order, lesson.n,
              lesson.mini_batch_size, lesson.etas, lesson.first, lesson.last)
    if batch.thread == 0:
        lesson.last = end
    return 0


cdef void follow_lesson(void* work, int thread, int threads) noexcept nogil:
    # Only the first, which is the caller's, can meet with an error.
    cdef Lesson* lesson = <Lesson*>work
    cdef Batch* batch = &lesson.batches[thread]
    cdef Optimization own
    cdef Optimization* how = lesson.how
    if batch.threads != threads:        # fewer than were asked for
        batch.threads, batch.m = threads, 0
    if thread == 0:
        follow_first(lesson)
        return
    if how != NULL:
        own = how[0]
        how = &own
    follow(lesson, batch, how)


cdef void follow_first(Lesson* lesson) noexcept with gil:
    try:
        with nogil:
            follow(lesson, lesson.batches, lesson.how)
    except BaseException as error:
        (<list>lesson.errors).append(error)


cdef struct Reading:        # what a team reads: rows of which it wants outputs, or an evaluation
    const Network* net
    Batch** batches         # of each thread: separate ones
    const RowArray* rows
    Py_ssize_t parts        # slices of it, as equal as can be
    long next               # that nobody has yet
    real* a                 # OUT (n, J) or NULL
    const TargetArray* targets      # of an evaluation
    double* costs           # OUT (parts) of an evaluation
    long correct            # OUT
    int failed              # OUT: x is not finite, or there is an error
    void* errors            # a list


cdef int read_slices(Reading* reading, Batch* batch) except -1 nogil:
    cdef bint shared = reading.batches != NULL
    cdef long part = next_of(&reading.next) if shared else 0
    while part < reading.parts and not is_set(&reading.failed):
        read_slice(reading, batch, part)
        part = next_of(&reading.next) if shared else part + 1
    return 0


cdef int read_slice(Reading* reading, Batch* batch, Py_ssize_t part) except -1 nogil:
    cdef const Network* net = reading.net
    cdef Py_ssize_t first = reading.rows.n * part // reading.parts
    cdef Py_ssize_t last = reading.rows.n * (part + 1) // reading.parts
    cdef Py_ssize_t J = net.layers[net.n_layers - 1].J, i, correct = 0
    cdef Signals* at = &batch.signals[net.n_layers - 1]
    share_examples(net, batch, last - first)
    gather_rows(net, batch, reading.rows, NULL, first, reading.rows.n)
    feedforward(net, batch)
    look_for_signals(net, batch)
    if not batch.finite and not rows_finite(reading.rows, first, batch.m):
        set_flag(&reading.failed)
    if reading.a != NULL:
        copy_examples(reading.a + first * J, at.a, at, batch.m, J)
        return 0
    gather_targets(batch.y, at.by_example, at.by_neuron, reading.targets, NULL, first, batch.m, J)
    batch.weighted = gather_weights(batch.weights, reading.targets, NULL, first, batch.m)
    for i in range(batch.m):
        correct += (decision(at.a + i * at.by_example, J, at.by_neuron)
                    == decision(batch.y + i * at.by_example, J, at.by_neuron))
    reading.costs[part] = weighted_costs(at, &net.cost, &net.layers[net.n_layers - 1], batch)
    add_to(&reading.correct, correct)
    return 0


cdef void follow_reading(void* work, int thread, int threads) noexcept nogil:
    cdef Reading* reading = <Reading*>work
    if thread == 0:
        read_first(reading)
    else:
        read_slices(reading, reading.batches[thread])


cdef void read_first(Reading* reading) noexcept with gil:
    try:
        with nogil:
            read_slices(reading, reading.batches[0])
    except BaseException as error:
        set_flag(&reading.failed)           # the others stop as well
        (<list>reading.errors).append(error)


cdef void copy_examples(
    real* out,                      # OUT (m, J)
    const real* a, const Signals* at,   # IN  as its matrices are
    Py_ssize_t m, Py_ssize_t J,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(m):
        if at.by_neuron == 1:
            memcpy(out + i * J, a + i * at.ld, J * sizeof(real))
            continue
        for j in range(J):
            out[i * J + j] = a[i + j * at.ld]


cdef inline Py_ssize_t decision(const real* a, Py_ssize_t J, Py_ssize_t step) noexcept nogil:
    # The class an output stands for: the largest, the first of equals; a single one against 1/2.
    # -1 if one is NaN: that is no class.
    cdef Py_ssize_t j, best = 0
    cdef bint nan = a[0] != a[0]
    for j in range(1, J):
        nan |= a[j * step] != a[j * step]
        if a[j * step] > a[best * step]:
            best = j
    if nan:
        return -1
    return a[0] > <real>0.5 if J == 1 else best
