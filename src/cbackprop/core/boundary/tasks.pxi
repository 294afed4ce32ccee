# What the threads of a team do: train, or infer.


cdef struct TrainingTask:       # the mini-batches of an epoch, or one gradient
    Pass* passes                # one for each thread
    OptimizerOptions* options   # NULL for plain descent
    MiniBatch batch             # IN, OUT: where it begins, and where to go on
    Py_ssize_t mini_batch_size
    const double* etas          # one for each mini-batch
    Py_ssize_t last             # row of the order
    real* nabla                 # OUT the gradient of all rows, instead; or NULL
    void* errors                # a list


cdef int run_training(TrainingTask* task, Pass* p, OptimizerOptions* options) except -1 nogil:
    cdef uint64_t before = flush_subnormals()
    try:
        return run_training_ieee(task, p, options)
    finally:
        restore_subnormals(before)


cdef int run_training_ieee(TrainingTask* task, Pass* p, OptimizerOptions* options) except -1 nogil:
    # With subnormal numbers, which functions of the user in NumPy may want.
    cdef MiniBatch batch = task.batch
    cdef Sink average
    if task.nabla != NULL:
        average.to, average.step = task.nabla, <real>(1.0 / batch.n)
        average.w_step = average.b_step = NULL
        return sum_gradients(p, &batch, &average)
    sgd(p, &batch, options, task.mini_batch_size, task.etas, task.last)
    if p.thread == 0:
        task.batch.first = batch.first
    return 0


cdef void training_worker(void* work, int thread, int threads) noexcept nogil:
    # Only the first, which is the caller's, can meet with an error.
    cdef TrainingTask* task = <TrainingTask*>work
    cdef Pass* p = &task.passes[thread]
    cdef OptimizerOptions own
    cdef OptimizerOptions* options = task.options
    if p.threads != threads:        # fewer than were asked for
        p.threads, p.m = threads, 0
    if thread == 0:
        training_worker_0(task)
        return
    if options != NULL:
        own = options[0]
        options = &own
    run_training(task, p, options)


cdef void training_worker_0(TrainingTask* task) noexcept with gil:
    try:
        with nogil:
            run_training(task, task.passes, task.options)
    except BaseException as error:
        (<list>task.errors).append(error)


cdef struct InferenceTask:      # outputs, or an evaluation, of rows
    Pass** passes               # for each thread, in workspaces of their own; or NULL for one
    const RowArray* rows
    Py_ssize_t parts            # the slices they are dealt out in, of about equal length
    long next                   # the first part that no thread has taken
    real* a                     # OUT (n, J); or NULL, for an evaluation:
    const TargetArray* targets
    double* costs               # OUT (parts)
    long correct                # OUT
    int failed                  # OUT: x is not finite, or there is an error
    void* errors                # a list


cdef int infer_slices(InferenceTask* task, Pass* p) except -1 nogil:
    cdef bint shared = task.passes != NULL
    cdef long part = next_of(&task.next) if shared else 0
    while part < task.parts and not is_set(&task.failed):
        infer_slice(task, p, part)
        part = next_of(&task.next) if shared else part + 1
    return 0


cdef int infer_slice(InferenceTask* task, Pass* p, Py_ssize_t part) except -1 nogil:
    cdef Py_ssize_t first = task.rows.n * part // task.parts
    cdef Py_ssize_t last = task.rows.n * (part + 1) // task.parts
    cdef Py_ssize_t J = p.net.layers[p.net.n_layers - 1].J, i, correct = 0
    cdef real threshold = p.net.cost.threshold
    cdef LayerState* at = &p.layers[p.net.n_layers - 1]
    share_examples(p, last - first)
    gather_rows(p, task.rows, NULL, first, task.rows.n)
    feedforward(p)
    if not p.finite and not rows_finite(task.rows, first, p.m):
        set_flag(&task.failed)
    if task.a != NULL:
        copy_examples(task.a + first * J, at.a, at, p.m, J)
        return 0
    gather_own_targets(p, task.targets, NULL, first)
    for i in range(p.m):
        correct += (decision(at.a + i * at.example_stride, J, at.neuron_stride, threshold)
                    == decision(p.y + i * at.example_stride, J, at.neuron_stride, threshold))
    task.costs[part] = cost_of_slice(p)
    add_to(&task.correct, correct)
    return 0


cdef void inference_worker(void* work, int thread, int threads) noexcept nogil:
    cdef InferenceTask* task = <InferenceTask*>work
    if thread == 0:
        inference_worker_0(task)
    else:
        infer_slices(task, task.passes[thread])


cdef void inference_worker_0(InferenceTask* task) noexcept with gil:
    try:
        with nogil:
            infer_slices(task, task.passes[0])
    except BaseException as error:
        set_flag(&task.failed)           # the others stop as well
        (<list>task.errors).append(error)


cdef void copy_examples(
    real* out,                      # OUT (m, J)
    const real* a, const LayerState* at,   # IN  as its matrices are
    Py_ssize_t m, Py_ssize_t J,
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(m):
        if at.neuron_stride == 1:
            memcpy(out + i * J, a + i * at.ld, J * sizeof(real))
            continue
        for j in range(J):
            out[i * J + j] = a[i + j * at.ld]


cdef inline Py_ssize_t decision(
    const real* a, Py_ssize_t J, Py_ssize_t stride, real threshold,
) noexcept nogil:
    # The class an output stands for: the largest, the first of equals; a single one against the
    # cost's threshold. -1 if one is NaN: that is no class.
    cdef Py_ssize_t j, best = 0
    cdef bint nan = a[0] != a[0]
    for j in range(1, J):
        nan |= a[j * stride] != a[j * stride]
        if a[j * stride] > a[best * stride]:
            best = j
    if nan:
        return -1
    return a[0] > threshold if J == 1 else best
