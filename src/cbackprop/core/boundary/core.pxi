# One network's memory, and its interface to Python. Methods for Python check their arguments.
cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free


cdef class Core:
    """
    The parameters of a dense network, with the algorithms of chapter 2.

    Parameters
    ----------
    sizes : sequence of int
    activations : sequence
        One for each layer of weights: a function, or a list of (function, number of neurons). A
        function is a name, (name, parameter), or an object with the attributes name, f, f_prime and
        addresses. `addresses` holds the addresses of f and f_prime if they are compiled, else None.
    cost : function
    scales : float, or array (sizes[0],) of this core's real type
        The factor of all inputs, or one factor for each input.
    """

    cdef Network net
    cdef object functions           # the user's own, kept alive
    cdef list pool                  # workspaces that are not in use
    cdef public object threads_for  # (multiplications) -> number of threads; None: a single thread
    cdef bint needs_gil             # True if the user's functions in NumPy hold the interpreter
    cdef real[::1] parameters_view
    cdef const real[::1] scales_view
    cdef readonly object parameters  # the arena

    def __cinit__(self, sizes, activations, cost, scales):
        cdef Py_ssize_t l, at = 0
        cdef Layer* layer
        if len(sizes) < 2 or min(sizes) < 1 or len(activations) != len(sizes) - 1:
            raise ValueError(f"sizes must be two or more of at least 1, and activations one less, "
                             f"got {len(sizes)} and {len(activations)}")
        self.net.n_layers = len(sizes) - 1
        self.functions = [activations, cost]
        self.pool = []
        set_cost(&self.net.cost, cost)
        self.net.layers = <Layer*>PyMem_Calloc(self.net.n_layers, sizeof(Layer))
        if self.net.layers == NULL:
            raise MemoryError
        for l in range(self.net.n_layers):
            layer = &self.net.layers[l]
            layer.K, layer.J = sizes[l], sizes[l + 1]
            runs = activations[l]
            if not isinstance(runs, list):
                runs = [(runs, layer.J)]
            layer.n_runs = len(runs)
            layer.runs = <ActivationRun*>PyMem_Calloc(
                layer.n_runs, sizeof(ActivationRun))
            if layer.runs == NULL:
                raise MemoryError
            set_runs(layer.runs, runs)
            if layer.n_runs == 0 or layer.runs[layer.n_runs - 1].last != layer.J:
                raise ValueError(f"activations must be of all {layer.J} neurons, got {runs!r:.60}")
            self.needs_gil |= is_numpy(layer, self.net.cost.kind)
            layer.narrow = is_narrow(layer, l, self.net.n_layers - 1, self.net.cost.kind)
            layer.ld = stride_of(layer.K if layer.narrow else layer.J)
            layer.w, at = at, at + layer.ld * (layer.J if layer.narrow else layer.K)
            layer.b, at = at, at + stride_of(layer.J)
        self.net.size = at
        self.parameters = aligned(at)
        self.parameters_view = self.parameters
        self.net.parameters = &self.parameters_view[0]
        self.net.scale = 1
        if isinstance(scales, float):
            self.net.scale = scales
        else:
            self.scales_view = numeric_array(scales)
            if self.scales_view.shape[0] != self.net.layers[0].K:
                raise ValueError(f"scales must be {self.net.layers[0].K} numbers, "
                                 f"got {self.scales_view.shape[0]}")
            self.net.scales = &self.scales_view[0]

    def __dealloc__(self):
        cdef int l
        if self.net.layers != NULL:
            for l in range(self.net.n_layers):
                PyMem_Free(self.net.layers[l].runs)
        PyMem_Free(self.net.layers)

    def views(self, arena):
        """Return the weights (out, in) and the biases (out, 1) of an arena, as live views."""
        cdef Py_ssize_t l
        cdef Layer* layer
        if not isinstance(arena, np.ndarray) or arena.shape != (self.net.size,):
            raise ValueError(f"an arena must be an array of {self.net.size} numbers, "
                             f"got {type(arena).__name__}")
        weights, biases = [], []
        for l in range(self.net.n_layers):
            layer = &self.net.layers[l]
            if layer.narrow:
                stored = arena[layer.w:layer.w + layer.J * layer.ld].reshape(layer.J, layer.ld)
                weights.append(stored[:, :layer.K])
            else:
                stored = arena[layer.w:layer.w + layer.K * layer.ld].reshape(layer.K, layer.ld)
                weights.append(stored[:, :layer.J].T)
            biases.append(arena[layer.b:layer.b + layer.J].reshape(layer.J, 1))
        return weights, biases

    cdef Workspace workspace(
        self, Py_ssize_t m, bint training, OptimizerState optimizer=None, int threads=1,
        const RowArray* rows=NULL,
    ):
        # Reuse a workspace of the pool if it is large enough. Taking one removes it from the pool,
        # so two callers never share one. CSR rows may be far too wide to be made dense: room for
        # dense rows is reserved only if it is needed.
        cdef Needs needs
        cdef Workspace workspace = None
        cdef int t
        memset(&needs, 0, sizeof(needs))
        needs.rows, needs.threads, needs.training = min(m, <Py_ssize_t>SLICE), threads, training
        needs.sums = training and (
            m > SLICE or optimizer is not None and optimizer.options.clip_norm < INFINITY)
        needs.drops = optimizer is not None and optimizer.drops
        needs.expands = (rows == NULL or rows.columns == NULL or self.net.scales != NULL
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

    cdef int check_arena(self, const real[::1] arena) except -1:
        if arena.shape[0] != self.net.size:
            raise ValueError(f"an arena must have {self.net.size} numbers, got {arena.shape[0]}")
        return 0

    def all_finite(self):
        """Return whether all parameters are finite."""
        return all_finite(<const char*>self.net.parameters, self.net.size, real_rows())

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
        if optimizer is not None and optimizer.core is not self:
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
        memset(&task, 0, sizeof(task))
        task.batch.rows, task.batch.targets = &rows.array, &targets.array
        task.batch.order, task.batch.n, task.batch.first = &which[0], n, first
        task.etas, task.mini_batch_size, task.last = &each[0], mini_batch_size, last
        task.options = &optimizer.options if optimizer is not None else NULL
        cost = self.train(&task, optimizer, cost, threads)
        return task.batch.first, cost

    cdef double train(
        self, TrainingTask* task, OptimizerState optimizer, double cost, int threads,
    ) except? -1:
        # Returns `cost` plus the cost of all examples.
        if self.needs_gil:
            threads = 1
        threads = max(1, min(threads, <int>MAX_THREADS))
        cdef Workspace workspace = self.workspace(
            task.mini_batch_size, True, optimizer, threads, task.batch.rows)
        task.passes = workspace.passes
        workspace.passes.cost = cost
        if threads == 1:
            with nogil:
                if self.needs_gil:      # the user's functions may need subnormal numbers
                    run_training_ieee(task, workspace.passes, task.options)
                else:
                    run_training(task, workspace.passes, task.options)
        else:
            errors = []
            task.errors = <void*>errors
            call_team(training_worker, task, threads)
            if errors:
                raise errors[0]
        cost = workspace.passes.cost
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


cdef class OptimizerState:
    """
    An optimizer and its state for one network.

    Parameters
    ----------
    core : Core
    optimizer : str
        One of OPTIMIZERS.

    Attributes
    ----------
    slots : tuple of arenas
        The state. The optimizer's row in table.py sets the number of arrays.
    """

    cdef OptimizerOptions options
    cdef Core core
    cdef Noise noise
    cdef bint noisy, drops
    cdef const real[::1] dropout
    cdef readonly tuple slots

    def __cinit__(self, Core core not None, optimizer):
        cdef real[::1] view
        cdef int k
        self.core = core
        self.options.kind = OPTIMIZERS[optimizer]
        self.options.parameters = core.net.parameters
        self.slots = tuple(aligned(core.net.size) for k in range(n_slots(self.options.kind)))
        for k in range(n_slots(self.options.kind)):
            view = self.slots[k]
            self.options.slots[k] = &view[0]

    def set(self, dict numbers not None, dropout, *, double l2=0, double l1=0,
            double weight_decay=0, double clip_value=INFINITY, double clip_norm=INFINITY,
            double max_norm=INFINITY, uint64_t seed=0, double noise=0):
        """
        Set everything except the state.

        Parameters
        ----------
        numbers : dict
            The optimizer's numbers by name, as in its row in table.py.
        dropout : array (layers of weights,)
            The dropout rate of x, then those of the hidden layers.
        noise : float
            The standard deviation of the noise added to x.
        """
        cdef Py_ssize_t l
        cdef const real[::1] rates = numeric_array(dropout)
        cdef OptimizerOptions* options = &self.options
        if rates.shape[0] != self.core.net.n_layers:
            raise ValueError(f"dropout must be {self.core.net.n_layers} rates, "
                             f"got {rates.shape[0]}")
        set_numbers(&options.numbers, options.kind, numbers)
        options.l2, options.l1, options.weight_decay = l2, l1, weight_decay
        options.clip_value, options.clip_norm, options.max_norm = clip_value, clip_norm, max_norm
        options.by_weight, options.penalty = False, 0
        options.plain = (options.kind == SGD and l2 == l1 == weight_decay == 0
                         and clip_value == clip_norm == max_norm == INFINITY)
        self.dropout = rates
        self.noise.seed, self.noise.deviation = seed, noise
        self.noise.rates = &rates[0]
        self.drops = False
        for l in range(1, rates.shape[0]):
            self.drops = self.drops or rates[l] > 0
        self.noisy = self.drops or rates[0] > 0 or noise > 0

    def divide_by_weight(self, double penalty):
        """
        Use weighted means from now on.

        The gradient, the l2 term and the cost of a mini-batch are divided by the total weight of
        its examples. Before that, penalty times the sum of squares of all w is added to the cost.
        The resulting cost counts once for each example. Plain gradient descent does not support
        this.
        """
        self.options.by_weight, self.options.penalty = True, penalty

    def attach(self, Core core not None):
        """Train this core from now on; its sizes must be the same."""
        if not same_sizes(&core.net, &self.core.net):
            raise ValueError("core must have the sizes of the one it takes the place of")
        self.core, self.options.parameters = core, core.net.parameters

    @property
    def steps(self):
        """The number of steps taken."""
        return self.options.steps

    @steps.setter
    def steps(self, Py_ssize_t steps):
        self.options.steps = steps

    @property
    def passed_over(self):
        """The number of examples skipped because their mini-batch had a total weight of 0."""
        return self.options.passed_over


cdef bint all_below(Py_ssize_t n, const Py_ssize_t* numbers, Py_ssize_t count) noexcept nogil:
    # Whether all are in 0..n-1. A negative number is large when read as unsigned.
    cdef Py_ssize_t i
    cdef bint good = True
    for i in range(count):
        good &= <size_t>numbers[i] < <size_t>n
    return good
