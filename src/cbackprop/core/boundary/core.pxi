# One network that computes: chapter 2's algorithms on its parameters. Methods for Python check
# their arguments.
cimport cython


cdef class Core(Parameters):
    """
    A dense network with the algorithms of chapter 2; the arguments are those of `Parameters`.

    Attributes
    ----------
    threads_for : callable (multiplications), or None
        Returns the number of threads for an inference; None stands for one.
    """

    cdef list pool                  # workspaces that are not in use
    cdef public object threads_for

    def __cinit__(self, *_):
        self.pool = []

    cdef Workspace workspace(
        self, Py_ssize_t m, bint training, OptimizerState optimizer=None, int threads=1,
        const RowArray* rows=NULL, bint sums=False,
    ):
        # Reuse a workspace of the pool if it is large enough. Taking one removes it from the pool,
        # so two callers never share one. CSR rows may be far too wide to be made dense: room for
        # dense rows is reserved only if it is needed.
        cdef Needs needs
        cdef Workspace workspace = None
        cdef int t
        memset(&needs, 0, sizeof(needs))
        needs.rows, needs.threads, needs.training = min(m, <Py_ssize_t>SLICE), threads, training
        needs.sums = sums or training and (
            m > SLICE or optimizer is not None and optimizer.options.clip_norm < INFINITY)
        needs.drops = optimizer is not None and optimizer.drops
        needs.expands = (rows == NULL or rows.columns == NULL
                         or self.net.scales != NULL and not rows.scaled
                         or optimizer is not None and optimizer.noisy
                         and corrupts_inputs(&optimizer.noise))
        with cython.critical_section(self):
            if self.pool:
                workspace = self.pool.pop()
        if workspace is None or not suffices(&workspace.has, &needs):
            workspace = new_workspace(&self.net, &needs)
        workspace.begin(threads)
        for t in range(threads):
            workspace.passes[t].training = training
            workspace.passes[t].noise = NULL
            workspace.passes[t].marks_touched = False
            if optimizer is not None and optimizer.noisy:
                workspace.passes[t].own_noise = optimizer.noise
                workspace.passes[t].noise = &workspace.passes[t].own_noise
        if workspace.has.drops:
            workspace.route_dropout()
        return workspace

    cdef void release(self, Workspace workspace):
        with cython.critical_section(self):
            self.pool.append(workspace)

    cdef int check_examples(self, Rows rows, Targets targets=None) except -1:
        # Reading past the end of short or narrow arrays would read foreign memory.
        cdef Py_ssize_t K = self.net.layers[0].K, J = self.net.layers[self.net.n_layers - 1].J
        if rows.array.K != K:
            raise ValueError(f"rows must have {K} columns, got {rows.array.K}")
        if targets is None:
            return 0
        if targets.array.n < rows.array.n:
            raise ValueError(f"targets and weights must be {rows.array.n}, as the rows are, "
                             f"got {targets.array.n}")
        if targets.array.rows != NULL and targets.array.J != J:
            raise ValueError(f"targets must have {J} columns, got {targets.array.J}")
        if targets.array.J > J:
            raise ValueError(f"labels must be in 0..{J - 1}, got {targets.array.J - 1}")
        return 0

    cdef int check_columns(
        self, Rows rows, const Py_ssize_t* which, Py_ssize_t count,
    ) except -1:
        # The indices of CSR rows are the caller's, who may have changed them since `is_sound`.
        cdef const RowArray* array = &rows.array
        cdef bint sound = True
        if array.columns != NULL:
            with nogil:
                sound = columns_below(array, which, count)
            if not sound:
                raise ValueError(f"x must not change while it is trained on, and must have "
                                 f"indices in 0..{array.K - 1}, got others")
        return 0

    def in_place(self, data, bint check):
        """
        Return Rows and Targets of arrays (x, y) that can be used without conversion, or None.

        x must be (n, sizes[0]) of uint8, float32 or float64, and finite if `check` is true; y
        must be finite rows (n, sizes[-1]) of the real type, or labels (n,).
        """
        cdef RowArray rows
        cdef Py_ssize_t J = self.net.layers[self.net.n_layers - 1].J
        if type(data) is not tuple or len(<tuple>data) != 2:
            return None
        x, y = <tuple>data
        if (not needs_no_conversion(&rows, x, self.net.layers[0].K) or rows.n == 0
                or cnp.PyArray_NDIM(x) != 2 or cnp.PyArray_DIM(x, 1) != rows.K):
            return None
        targets = targets_in_place(y, rows.n, J)
        if targets is None:
            return None
        kept = Rows(x)
        return (kept, targets) if not check or kept.all_finite() else None

    def feedforward(self, x):
        """
        Evaluate (25) for Rows, an array (n, sizes[0]), or one example as (sizes[0],) or a column.

        Returns
        -------
        array (n, sizes[-1]) of the real type, (sizes[-1],) or a column; or None
            None if x is not an array that can be used without conversion, or is not finite.
        """
        cdef RowArray rows
        cdef Layer* last = &self.net.layers[self.net.n_layers - 1]
        cdef cnp.npy_intp[2] shape = [last.J, 1]
        cdef int dimensions = 2
        if type(x) is Rows:
            self.check_examples(<Rows>x)
            rows = (<Rows>x).array
            shape = [rows.n, last.J]
        elif not needs_no_conversion(&rows, x, self.net.layers[0].K):
            return None
        else:
            dimensions = cnp.PyArray_NDIM(x)
            if dimensions == 2 and cnp.PyArray_DIM(x, 1) == rows.K:
                shape = [rows.n, last.J]
        out = cnp.PyArray_SimpleNew(dimensions, shape, REAL_TYPE)
        cdef InferenceTask task
        memset(&task, 0, sizeof(task))
        task.a = <real*>cnp.PyArray_DATA(out)
        self.infer(&task, &rows)
        return None if task.failed else out

    def evaluate(self, Rows rows not None, Targets targets not None):
        """Return the number of correctly classified examples, and the sum of all costs."""
        cdef InferenceTask task
        self.check_examples(rows, targets)
        memset(&task, 0, sizeof(task))
        cdef double[::1] costs = np.zeros(rows.array.n // MIN_SLICE + 1)
        task.targets, task.costs = &targets.array, &costs[0]
        self.infer(&task, &rows.array)
        return task.correct, float(np.sum(costs))

    cdef int infer(self, InferenceTask* task, const RowArray* rows) except -1:
        cdef Workspace workspace
        cdef int threads
        task.rows, task.parts = rows, 1
        if rows.n >= 2 * PACK_ROWS and not self.needs_gil and self.threads_for is not None:
            threads = self.threads_for(multiplications(&self.net, rows))
            if threads > 1:
                return self.infer_in_team(task, threads)
        cdef Py_ssize_t max_rows = rows_per_slice(&self.net, rows)
        if rows.n > max_rows:
            task.parts = (rows.n + max_rows - 1) // max_rows
        workspace = self.workspace(
            (rows.n + task.parts - 1) // task.parts, False, None, 1, rows)
        with nogil:
            infer_slices(task, workspace.passes)
        self.release(workspace)
        return 0

    cdef int infer_in_team(self, InferenceTask* task, int threads) except -1:
        # Each thread takes the next slice, in a workspace of its own. A slice has at least
        # PACK_ROWS rows, so the sums of a product have the same order however the rows are sliced.
        # The sum of costs depends on the slices, which for an evaluation do not depend on the
        # threads.
        cdef Py_ssize_t max_rows = rows_per_slice(&self.net, task.rows)
        cdef Py_ssize_t n = task.rows.n, parts, size
        cdef Pass* passes[MAX_THREADS]
        cdef int t
        threads = <int>min(n // PACK_ROWS, <Py_ssize_t>min(threads, <int>MAX_THREADS))
        parts = threads if task.costs == NULL else 1
        task.parts = parts * ((n + parts * max_rows - 1) // (parts * max_rows))
        size = (n + task.parts - 1) // task.parts
        workspaces = []
        for t in range(threads):
            workspaces.append(self.workspace(size, False, None, 1, task.rows))
        for t in range(threads):
            passes[t] = (<Workspace>workspaces[t]).passes
            passes[t].checks_signals = t == 0
        errors = []
        task.passes, task.errors = passes, <void*>errors
        call_team(inference_worker, task, threads)
        for workspace in workspaces:
            self.release(workspace)
        if errors:
            raise errors[0]
        return 0

    def backprop(
        self, Rows rows not None, Targets targets not None, nabla, int threads=1,
    ):
        """Write the average gradient of the rows into an arena of zeros; return the mean cost."""
        cdef TrainingTask task
        cdef real[::1] to = numeric_array(nabla)
        self.check_examples(rows, targets)
        self.check_arena(to)
        if rows.array.n == 0:
            raise ValueError("rows must be at least one, got none")
        memset(&task, 0, sizeof(task))
        task.batch.rows, task.batch.targets, task.nabla = &rows.array, &targets.array, &to[0]
        task.batch.n = task.batch.m = task.mini_batch_size = rows.array.n
        return self.train(&task, None, 0, threads) / rows.array.n

    def sgd(
        self, Rows rows not None, Targets targets not None, order, Py_ssize_t mini_batch_size,
        etas, Py_ssize_t first, Py_ssize_t last, OptimizerState optimizer=None, double cost=0,
        int threads=1,
    ):
        """
        Train on the mini-batches that begin in order[first:last], with one eta for each: by plain
        gradient descent, or with the optimizer.

        Returns the row to continue at, which is below `last` if threads waited too long for each
        other, and `cost` plus the cost of each mini-batch before its update. The order of that sum
        does not depend on the chunks or the number of threads.
        """
        cdef TrainingTask task
        cdef const Py_ssize_t[::1] which = numeric_array(order)
        cdef const double[::1] each = numeric_array(etas)
        cdef Py_ssize_t n = which.shape[0]
        self.check_examples(rows, targets)
        if optimizer is not None and optimizer.network is not self:
            raise ValueError("optimizer must be of this core, got another's")
        if not (mini_batch_size >= 1 and 0 <= first < last <= n
                and each.shape[0] > (last - first - 1) // mini_batch_size):
            raise ValueError(f"order[first:last] must be mini-batches with an eta each, got "
                             f"[{first}:{last}] of {n} in {mini_batch_size} and "
                             f"{each.shape[0]} etas")
        # The last mini-batch may extend past `last`, and the rows of the next one are prefetched.
        if not all_below(rows.array.n, &which[0] + first, min(n, (
                last + min(mini_batch_size, n) + SLICE)) - first):
            raise ValueError(f"order must be of row numbers below {rows.array.n}, got others")
        self.check_columns(rows, &which[0] + first, min(n, (
            last + min(mini_batch_size, n) + SLICE)) - first)
        memset(&task, 0, sizeof(task))
        task.batch.rows, task.batch.targets = &rows.array, &targets.array
        task.batch.order, task.batch.n, task.batch.first = &which[0], n, first
        task.etas, task.mini_batch_size, task.last = &each[0], mini_batch_size, last
        task.options = &optimizer.options if optimizer is not None else NULL
        cost = self.train(&task, optimizer, cost, threads)
        return task.batch.first, cost

    def sgd_together(
        self, Rows rows not None, Targets targets not None, order, starts, before, weights, etas,
        OptimizerState optimizer not None, exchange=None, sums=None, double cost=0,
        int threads=1,
    ):
        """
        Train on this process's rows of some mini-batches, together with other processes.

        Parameters
        ----------
        order : array (rows,) of intp
        starts : array (steps + 1,) of intp
            Where the rows of each mini-batch begin in the order.
        before : array (steps,) of intp
            How many rows of each mini-batch are in other processes, before these.
        weights : array (steps,) of float64
            What the sums of each whole mini-batch are divided by. With 0, it takes no step.
        etas : array (steps,) of float64
        exchange : callable (l), optional
            It is called when the sums of layer l are complete, from the last layer to the first.
            Called with -1, it returns when `sums` has those of all processes. Without it, the
            process takes steps by itself: each divides by its own rows.
        sums : arena, for `exchange`
            The gradient of this process's rows; then that of all processes.

        Returns
        -------
        steps, cost
            How many steps were taken: fewer if threads waited too long for each other. And `cost`
            plus the costs of this process's rows.
        """
        cdef TrainingTask task
        cdef Share share
        cdef const Py_ssize_t[::1] which = numeric_array(order)
        cdef const Py_ssize_t[::1] begins = numeric_array(starts)
        cdef const Py_ssize_t[::1] others = numeric_array(before)
        cdef const double[::1] divisors = numeric_array(weights)
        cdef const double[::1] each = numeric_array(etas)
        cdef real[::1] arena
        cdef Py_ssize_t k, most = 1, steps = each.shape[0]
        self.check_examples(rows, targets)
        if optimizer.network is not self:
            raise ValueError("optimizer must be of this core, got another's")
        if not (steps >= 1 and begins.shape[0] == steps + 1 and others.shape[0] == steps
                and divisors.shape[0] == steps and 0 <= begins[0]
                and begins[steps] <= which.shape[0]):
            raise ValueError(f"starts, before, weights and etas must be of the same steps, got "
                             f"{begins.shape[0]}, {others.shape[0]}, {divisors.shape[0]} and "
                             f"{steps}")
        for k in range(steps):
            if begins[k + 1] < begins[k]:
                raise ValueError("starts must not fall")
            most = max(most, begins[k + 1] - begins[k])
        if which.shape[0] and not all_below(rows.array.n, &which[0], which.shape[0]):
            raise ValueError(f"order must be of row numbers below {rows.array.n}, got others")
        if which.shape[0]:
            self.check_columns(rows, &which[0], which.shape[0])
        memset(&task, 0, sizeof(task))
        memset(&share, 0, sizeof(share))
        share.rows, share.before, share.weights = &begins[0], &others[0], &divisors[0]
        share.steps = steps
        if exchange is not None:
            arena = numeric_array(sums)
            self.check_arena(arena)
            share.exchange, share.sums = <void*>exchange, &arena[0]
        task.batch.rows, task.batch.targets, task.etas = &rows.array, &targets.array, &each[0]
        task.batch.order, task.batch.n = &which[0], which.shape[0]
        task.mini_batch_size, task.options, task.share = most, &optimizer.options, &share
        cost = self.train(&task, optimizer, cost, threads)
        return share.done, cost

    cdef double train(
        self, TrainingTask* task, OptimizerState optimizer, double cost, int threads,
    ) except? -1:
        # Returns `cost` plus the cost of all examples.
        task.needs_subnormals = self.needs_gil      # the user's functions may need them
        threads = 1 if self.needs_gil else max(1, min(threads, <int>MAX_THREADS))
        cdef bint exchanges = task.share != NULL and task.share.exchange != NULL
        cdef Workspace workspace = self.workspace(
            task.mini_batch_size, True, optimizer, threads, task.batch.rows, exchanges)
        task.passes = workspace.passes
        if exchanges:
            workspace.sum_into(task.share.sums)
        workspace.passes.cost = cost
        if threads == 1:
            with nogil:
                run_training(task, workspace.passes, task.options)
        else:
            errors = []
            task.errors = <void*>errors
            call_team(training_worker, task, threads)
            if errors:
                raise errors[0]
        cost = workspace.passes.cost
        if exchanges:
            workspace.sum_into(NULL)
        self.release(workspace)         # another caller may take it now
        return cost

    def cost_derivative(self, a, y):
        """Return dC/da for rows of output activations."""
        cdef real[:, ::1] a_rows = numeric_array(a), y_rows = numeric_array(y)
        cdef Py_ssize_t n = a_rows.shape[0], J = a_rows.shape[1], i
        if y_rows.shape[0] != n or y_rows.shape[1] != J:
            raise ValueError(f"a and y must have the same shape, got {a.shape} and {y.shape}")
        out = np.empty((n, J), dtype=REAL)
        cdef real[:, ::1] grad = out
        cdef Py_ssize_t ld = stride_of(max(J, <Py_ssize_t>1))
        cdef real[:, ::1] padded = np.zeros((3, ld), dtype=REAL)
        for i in range(n if J else 0):
            memcpy(&padded[0, 0], &a_rows[i, 0], J * sizeof(real))
            memcpy(&padded[1, 0], &y_rows[i, 0], J * sizeof(real))
            smooth_targets(&self.net.cost, &padded[1, 0], ld, 1, 1, J)
            cost_gradient(&self.net.cost, &padded[2, 0], &padded[0, 0], &padded[1, 0], 1, 1, J, ld)
            memcpy(&grad[i, 0], &padded[2, 0], J * sizeof(real))
        return out


cdef bint columns_below(
    const RowArray* rows, const Py_ssize_t* which, Py_ssize_t count,
) noexcept nogil:
    # Whether the columns of these CSR rows are all in 0..K-1.
    cdef Py_ssize_t i, at
    cdef bint good = True
    for i in range(count):
        for at in range(rows.starts[which[i]], rows.starts[which[i] + 1]):
            good &= <size_t><Py_ssize_t>rows.columns[at] < <size_t>rows.K
    return good


cdef bint all_below(Py_ssize_t n, const Py_ssize_t* numbers, Py_ssize_t count) noexcept nogil:
    # Whether all are in 0..n-1. A negative number is large when read as unsigned.
    cdef Py_ssize_t i
    cdef bint good = True
    for i in range(count):
        good &= <size_t>numbers[i] < <size_t>n
    return good
