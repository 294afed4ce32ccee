# The tasks of a team of threads: training, and inference.


cdef struct TrainingTask:       # the mini-batches of an epoch, or one gradient
    Pass* passes                # one for each thread
    OptimizerOptions* options   # NULL for plain descent
    MiniBatch batch             # IN, OUT the first mini-batch; then the one to continue with
    Py_ssize_t mini_batch_size
    const double* etas          # one for each mini-batch
    Py_ssize_t last             # the row of the order at which to stop
    real* nabla                 # OUT the gradient of all rows, without a step; or NULL, to train
    Share* share                # of mini-batches that are trained on together; or NULL
    bint needs_subnormals       # False: subnormal numbers are zero, because they are slow
    void* errors                # a Python list


cdef int run_training(TrainingTask* task, Pass* p, OptimizerOptions* options) except -1 nogil:
    cdef MiniBatch batch = task.batch
    cdef Sink average
    cdef uint64_t before = 0 if task.needs_subnormals else flush_subnormals()
    try:
        if task.share != NULL:
            sgd_together(p, &batch, options, task.share, task.etas)
        elif task.nabla == NULL:
            sgd(p, &batch, options, task.mini_batch_size, task.etas, task.last)
        else:
            write_gradient(&average, task.nabla, <real>(1.0 / batch.n))
            sum_gradients(p, &batch, &average)
    finally:
        if not task.needs_subnormals:
            restore_subnormals(before)
    if p.thread == 0:
        task.batch.first = batch.first
    return 0


cdef void training_worker(void* work, int thread, int threads) noexcept nogil:
    # Only thread 0, the caller's, can raise an error.
    cdef TrainingTask* task = <TrainingTask*>work
    cdef Pass* p = &task.passes[thread]
    cdef OptimizerOptions own
    cdef OptimizerOptions* options = task.options
    if p.threads != threads:        # fewer threads than requested
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


cdef struct InferenceTask:      # the outputs, or an evaluation, of rows
    Pass** passes               # one for each thread, in its own workspace; NULL for one thread
    const RowArray* rows
    Py_ssize_t parts            # number of slices, of about equal length
    Py_ssize_t next             # the first slice that no thread has taken
    real* a                     # OUT (n, J); or NULL, for an evaluation with the fields below
    const TargetArray* targets
    double* costs               # OUT (parts) cost of each slice
    Py_ssize_t correct          # OUT number of correctly classified examples
    int failed                  # OUT 1 if x is not finite or a thread raised an error
    void* errors                # a Python list


cdef int infer_slices(InferenceTask* task, Pass* p) except -1 nogil:
    cdef bint shared = task.passes != NULL
    cdef Py_ssize_t part = next_of(&task.next) if shared else 0
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
        set_flag(&task.failed)           # stops the other threads as well
        (<list>task.errors).append(error)


cdef void copy_examples(
    real* out,                      # OUT (m, J)
    const real* a, const LayerState* at,    # IN  laid out as the matrices of `at`
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
    # The class of an output: the index of the largest activation, the first among equals. A single
    # activation is compared with the cost's threshold. -1 if any is NaN.
    cdef Py_ssize_t j, best = 0
    cdef bint nan = a[0] != a[0]
    for j in range(1, J):
        nan |= a[j * stride] != a[j * stride]
        if a[j * stride] > a[best * stride]:
            best = j
    if nan:
        return -1
    return a[0] > threshold if J == 1 else best
