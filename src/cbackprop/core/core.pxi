# One network's memory, and the boundary to Python. Arguments are checked there, and trusted here.

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free

import contextlib
import mmap

import numpy as np

REAL = "float64" if REAL_BYTES == 8 else "float32"
cdef int REAL_TYPE = cnp.NPY_FLOAT64 if REAL_BYTES == 8 else cnp.NPY_FLOAT32


def aligned(Py_ssize_t size):
    """
    Zeros, from the beginning of a cache line on: an arena.

    A large one asks for huge pages, which Linux gives where they are allowed.
    """
    cdef Py_ssize_t bytes_ = size * sizeof(real), line = LINE
    if bytes_ >= HUGE // 2 and hasattr(mmap, "MADV_HUGEPAGE"):
        line = HUGE
        try:        # private: after a fork, each process has its own
            pages = mmap.mmap(-1, bytes_ + 2 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(f"unable to allocate {bytes_} bytes: {error}") from None
        with contextlib.suppress(OSError):      # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
        whole = np.frombuffer(pages, dtype=REAL)
    else:
        whole = np.zeros(size + line // sizeof(real), dtype=REAL)
    address = <size_t>cnp.PyArray_DATA(whole)   # 2 us less than whole.ctypes, of 7 for a Core
    start = (-address % line) // sizeof(real)
    return whole[start:start + size]


cdef class Core:
    """
    The parameters of a dense network, and chapter 2 on them.

    Parameters
    ----------
    sizes : sequence of int
    activations : sequence
        One for each layer of weights: a function, or a list of (function, how many neurons). A
        function is a name, (name, parameter), or an object with name, f, f_prime and addresses:
        those two, if they are compiled, else None.
    cost : function
    scales : float, or array (sizes[0],) of this core's real type
        What every input, or each, is multiplied by.
    """

    cdef Network net
    cdef object functions           # the user's own, kept alive
    cdef list idle                  # Scratches that nobody has now
    cdef public object threads_for  # (multiplications) -> how many threads; or None: one
    cdef bint one_thread            # the user's functions in NumPy hold the interpreter
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
        self.idle = []
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
            layer.runs = <Sigma*>PyMem_Calloc(layer.n_runs, sizeof(Sigma))
            if layer.runs == NULL:
                raise MemoryError
            set_runs(layer.runs, runs)
            if layer.n_runs == 0 or layer.runs[layer.n_runs - 1].last != layer.J:
                raise ValueError(f"activations must be of all {layer.J} neurons, got {runs!r:.60}")
            self.one_thread |= is_numpy(layer, self.net.cost.kind)
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
            self.scales_view = of_numbers(scales)
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
        """The weights (out, in) and the biases (out, 1) of an arena, as live views."""
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

    cdef Scratch scratch(self, Py_ssize_t m, bint training, OptimizerState optimizer=None,
                         int threads=1, const RowArray* rows=NULL):
        # An idle one if it is large enough. Two callers never share one: who takes it leaves none.
        # Rows in lists may be far too wide to be made dense: without need, no place is kept for it.
        cdef bint expands = (rows == NULL or rows.columns == NULL or self.net.scales != NULL
                             or optimizer is not None and optimizer.noisy
                             and disturbs(&optimizer.noise))
        cdef bint whole = training and (
            m > SLICE or optimizer is not None and optimizer.options.clip_norm < INFINITY)
        cdef bint drops = optimizer is not None and optimizer.drops
        cdef Scratch scratch = None
        cdef int t
        m = min(m, <Py_ssize_t>SLICE)
        with cython.critical_section(self):
            if self.idle:
                scratch = self.idle.pop()
        if scratch is None or scratch.rows < m or scratch.threads < threads or (
                training and not scratch.training) or (
                whole and scratch.step is None) or (drops and not scratch.drops) or (
                expands and not scratch.expands):
            scratch = Scratch(self, m, training, whole, drops, threads, expands=expands)
        scratch.begin(threads)
        for t in range(threads):
            scratch.batch[t].training = training
            scratch.batch[t].noise = NULL
            if optimizer is not None and optimizer.noisy:
                scratch.batch[t].own_noise = optimizer.noise
                scratch.batch[t].noise = &scratch.batch[t].own_noise
        if scratch.drops:
            scratch.aim(self.net.n_layers)
        return scratch

    cdef void give_back(self, Scratch scratch):
        with cython.critical_section(self):
            self.idle.append(scratch)

    cdef int admit(self, Rows rows, Targets targets=None) except -1:
        # Behind what is too short or too narrow lies somebody else's memory.
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

    cdef int admit_arena(self, const real[::1] arena) except -1:
        if arena.shape[0] != self.net.size:
            raise ValueError(f"an arena must have {self.net.size} numbers, got {arena.shape[0]}")
        return 0

    def all_finite(self):
        """Whether no parameter is NaN or infinite."""
        return all_finite(<const char*>self.net.parameters, self.net.size, REAL_BYTES)

    def feedforward(self, x):
        """
        (25) for Rows, an array (n, sizes[0]), or one example as (sizes[0],) or a column.

        Returns
        -------
        array (n, sizes[-1]) of the real type, (sizes[-1],) or a column; None if x is no array that
        can be used as it lies, or not finite.
        """
        cdef RowArray rows
        cdef Layer* last = &self.net.layers[self.net.n_layers - 1]
        cdef cnp.npy_intp[2] shape = [last.J, 1]
        cdef int dimensions = 2
        if type(x) is Rows:
            self.admit(<Rows>x)
            rows = (<Rows>x).array
            shape = [rows.n, last.J]
        elif not as_it_lies(&rows, x, self.net.layers[0].K):
            return None
        else:
            dimensions = cnp.PyArray_NDIM(x)
            if dimensions == 2 and cnp.PyArray_DIM(x, 1) == rows.K:
                shape = [rows.n, last.J]
        out = cnp.PyArray_SimpleNew(dimensions, shape, REAL_TYPE)
        cdef Reading reading
        memset(&reading, 0, sizeof(reading))
        reading.a = <real*>cnp.PyArray_DATA(out)
        self.read(&reading, &rows)
        return None if reading.failed else out

    def evaluate(self, Rows rows not None, Targets targets not None):
        """How many examples are classified as y says, and the sum of their costs."""
        cdef Reading reading
        self.admit(rows, targets)
        memset(&reading, 0, sizeof(reading))
        cdef double[::1] costs = np.zeros(rows.array.n // LEAST_SLICE + 1)
        reading.targets, reading.costs = &targets.array, &costs[0]
        self.read(&reading, &rows.array)
        return reading.correct, float(np.sum(costs))

    cdef int read(self, Reading* reading, const RowArray* rows) except -1:
        cdef Scratch scratch
        cdef int threads
        reading.net, reading.rows, reading.parts = &self.net, rows, 1
        if rows.n >= 2 * PACK_ROWS and not self.one_thread and self.threads_for is not None:
            threads = self.threads_for(multiplications(&self.net, rows))
            if threads > 1:
                return self.read_in_team(reading, threads)
        cdef Py_ssize_t most = slice_of(&self.net, rows)
        if rows.n > most:
            reading.parts = (rows.n + most - 1) // most
        scratch = self.scratch(
            (rows.n + reading.parts - 1) // reading.parts, False, None, 1, rows)
        with nogil:
            read_slices(reading, scratch.batch)
        self.give_back(scratch)
        return 0

    cdef int read_in_team(self, Reading* reading, int threads) except -1:
        # Each thread takes the next slice, through Signals of its own. At least PACK_ROWS make one:
        # then the order of sums is the same, however rows are sliced. That of costs is not.
        cdef Py_ssize_t n = reading.rows.n, parts, size, most = slice_of(&self.net, reading.rows)
        cdef Batch* batches[MOST_THREADS]
        cdef int t
        threads = <int>min(n // PACK_ROWS, <Py_ssize_t>min(threads, <int>MOST_THREADS))
        parts = threads if reading.costs == NULL else 1
        reading.parts = parts * ((n + parts * most - 1) // (parts * most))
        size = (n + reading.parts - 1) // reading.parts
        scratches = []
        for t in range(threads):
            scratches.append(self.scratch(size, False, None, 1, reading.rows))
        for t in range(threads):
            batches[t] = (<Scratch>scratches[t]).batch
            batches[t].looks = t == 0
        errors = []
        reading.batches, reading.errors = batches, <void*>errors
        call_team(follow_reading, reading, threads)
        for scratch in scratches:
            self.give_back(scratch)
        if errors:
            raise errors[0]
        return 0

    def backprop(
        self, Rows rows not None, Targets targets not None, nabla, int threads=1,
    ):
        """Write the average gradient of the rows into an arena of zeros; return the mean cost."""
        cdef Lesson lesson
        cdef real[::1] to = of_numbers(nabla)
        self.admit(rows, targets)
        self.admit_arena(to)
        if rows.array.n == 0:
            raise ValueError("rows must be at least one, got none")
        memset(&lesson, 0, sizeof(lesson))
        lesson.rows, lesson.targets, lesson.nabla = &rows.array, &targets.array, &to[0]
        lesson.n = lesson.mini_batch_size = rows.array.n
        return self.learn(&lesson, None, 0, threads) / rows.array.n

    def sgd(
        self, Rows rows not None, Targets targets not None, order, Py_ssize_t mini_batch_size,
        etas, Py_ssize_t first, Py_ssize_t last, OptimizerState optimizer=None, double cost=0,
        int threads=1,
    ):
        """
        Train on the mini-batches that begin in order[first:last], each with its own of the etas: by
        plain descent, or as the optimizer does.

        Returns the row to go on with, sooner than `last` if threads wait too long for each other;
        and `cost` plus the costs, each before its update: summed up in one order, whatever the
        chunks and threads.
        """
        cdef Lesson lesson
        cdef const Py_ssize_t[::1] which = of_numbers(order)
        cdef const double[::1] each = of_numbers(etas)
        cdef Py_ssize_t n = which.shape[0]
        self.admit(rows, targets)
        if optimizer is not None and optimizer.core is not self:
            raise ValueError("optimizer must be of this core, got another's")
        if not (mini_batch_size >= 1 and 0 <= first < last <= n
                and each.shape[0] > (last - first - 1) // mini_batch_size):
            raise ValueError(f"order[first:last] must be mini-batches with an eta each, got "
                             f"[{first}:{last}] of {n} in {mini_batch_size} and "
                             f"{each.shape[0]} etas")
        # To the end of the last mini-batch, and what is looked at ahead of the next.
        if not all_below(rows.array.n, &which[0] + first, min(n, (
                last + min(mini_batch_size, n) + SLICE)) - first):
            raise ValueError(f"order must be of row numbers below {rows.array.n}, got others")
        memset(&lesson, 0, sizeof(lesson))
        lesson.rows, lesson.targets = &rows.array, &targets.array
        lesson.order, lesson.n, lesson.mini_batch_size = &which[0], n, mini_batch_size
        lesson.etas, lesson.first, lesson.last = &each[0], first, last
        lesson.how = &optimizer.options if optimizer is not None else NULL
        cost = self.learn(&lesson, optimizer, cost, threads)
        return lesson.last, cost

    cdef double learn(
        self, Lesson* lesson, OptimizerState optimizer, double cost, int threads,
    ) except? -1:
        # Returns cost plus the costs.
        if self.one_thread:
            threads = 1
        threads = max(1, min(threads, <int>MOST_THREADS))
        cdef Scratch scratch = self.scratch(
            lesson.mini_batch_size, True, optimizer, threads, lesson.rows)
        lesson.net, lesson.batches = &self.net, scratch.batch
        scratch.batch.cost = cost
        if threads == 1:
            with nogil:
                if self.one_thread:     # others' functions, which may want all numbers
                    follow_keeping(lesson, scratch.batch, lesson.how)
                else:
                    follow(lesson, scratch.batch, lesson.how)
        else:
            errors = []
            lesson.errors = <void*>errors
            call_team(follow_lesson, lesson, threads)
            if errors:
                raise errors[0]
        cost = scratch.batch.cost
        self.give_back(scratch)         # from now on somebody else's
        return cost

    def cost_derivative(self, a, y):
        """dC/da for rows of output activations."""
        cdef real[:, ::1] a_rows = of_numbers(a), y_rows = of_numbers(y)
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
            cost_gradient(&self.net.cost, &padded[2, 0], &padded[0, 0], &padded[1, 0], 1, 1, J, ld)
            memcpy(&grad[i, 0], &padded[2, 0], J * sizeof(real))
        return out


cdef class OptimizerState:
    """
    An optimizer, and its state for one network.

    Parameters
    ----------
    core : Core
    optimizer : str
        One of OPTIMIZERS.

    Attributes
    ----------
    slots : tuple of arenas
        The state: as many arrays as the optimizer's row in table.py says.
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
        Set everything but the state.

        Parameters
        ----------
        numbers : dict
            The optimizer's own, by name: those of its row in table.py.
        dropout : array (layers of weights,)
            Rates: of x, then of the hidden layers.
        noise : float
            The standard deviation of what is added to x.
        """
        cdef Py_ssize_t l
        cdef const real[::1] rates = of_numbers(dropout)
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
        From now on take weighted means: divide a mini-batch's gradient, its l2 and its cost, to
        which penalty times the sum of squares of all w is added, by what its examples weigh.

        That cost counts for each of its examples. An optimizer other than plain descent is needed.
        """
        self.options.by_weight, self.options.penalty = True, penalty

    def follow(self, Core core not None):
        """Train this core of the same sizes from now on."""
        if not alike(&core.net, &self.core.net):
            raise ValueError("core must have the sizes of the one it takes the place of")
        self.core, self.options.parameters = core, core.net.parameters

    @property
    def steps(self):
        """How many were taken."""
        return self.options.steps

    @steps.setter
    def steps(self, Py_ssize_t steps):
        self.options.steps = steps

    @property
    def passed_over(self):
        """How many examples were in mini-batches that weigh nothing, and took no step."""
        return self.options.passed_over


# ---- what the threads of a team do ----

cdef struct Lesson:         # what a team learns: arguments of sgd; or of sum_gradients
    const Network* net
    Batch* batches          # one for each thread
    OptimizerOptions* how
    const RowArray* rows
    const TargetArray* targets
    const Py_ssize_t* order
    Py_ssize_t n, mini_batch_size
    const double* etas
    Py_ssize_t first, last  # IN, OUT: where to go on
    real* nabla             # OUT or NULL: for sum_gradients
    void* errors            # a list


cdef int follow(Lesson* lesson, Batch* batch, OptimizerOptions* how) except -1 nogil:
    cdef uint64_t before = flush_subnormals()
    try:
        return follow_keeping(lesson, batch, how)
    finally:
        keep_subnormals(before)


cdef int follow_keeping(Lesson* lesson, Batch* batch, OptimizerOptions* how) except -1 nogil:
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
    cdef OptimizerOptions own
    cdef OptimizerOptions* how = lesson.how
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


cdef Py_ssize_t multiplications(const Network* net, const RowArray* rows) noexcept nogil:
    # of feedforward
    if rows.columns == NULL:
        return rows.n * net.size
    return (rows.starts[rows.n] - rows.starts[0]) * net.layers[0].J + rows.n * (
        net.size - net.layers[0].K * net.layers[0].ld)


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


cdef bint all_below(Py_ssize_t n, const Py_ssize_t* numbers, Py_ssize_t count) noexcept nogil:
    # from 0 on: others are large if they are read without a sign
    cdef Py_ssize_t i
    cdef bint good = True
    for i in range(count):
        good &= <size_t>numbers[i] < <size_t>n
    return good


cdef bint alike(const Network* one, const Network* other) noexcept nogil:
    cdef int l
    if one.n_layers != other.n_layers:
        return False
    for l in range(one.n_layers):
        if one.layers[l].K != other.layers[l].K or one.layers[l].J != other.layers[l].J:
            return False
    return one.size == other.size           # one may be narrow


cdef bint is_numpy(const Layer* layer, Cost cost) noexcept nogil:
    cdef int k
    for k in range(layer.n_runs):
        if layer.runs[k].kind == NUMPY_SIGMA:
            return True
    return cost == NUMPY_COST


cdef int set_cost(CostFunction* to, function) except -1:
    cdef size_t f, f_prime
    if isinstance(function, str):
        function = function, PARAMETERS.get(function, (None, 0.0))[1]
    if isinstance(function, tuple):
        to.kind, to.p = COSTS[function[0]], function[1]
    elif function.addresses is None:
        to.kind, to.own = NUMPY_COST, <void*>function
    else:
        f, f_prime = function.addresses
        to.kind, to.f, to.f_prime = COMPILED_COST, <OfTwo>f, <OfTwo>f_prime
    return 0


cdef int set_runs(Sigma* run, list runs) except -1:
    cdef Py_ssize_t first = 0
    cdef size_t f, f_prime
    for function, count in runs:
        if isinstance(function, str):
            function = function, PARAMETERS.get(function, (None, 0.0))[1]
        if isinstance(function, tuple):
            run.kind, run.p = ACTIVATIONS[function[0]], function[1]
        elif function.addresses is None:
            run.kind, run.own = NUMPY_SIGMA, <void*>function
        else:
            f, f_prime = function.addresses
            run.kind, run.f, run.f_prime = COMPILED_SIGMA, <OfOne>f, <OfOne>f_prime
        run.first = first
        first += count
        run.last = first
        run += 1
    return 0


cdef bint keeps_z(const Layer* layer) noexcept nogil:
    cdef int k
    for k in range(layer.n_runs):
        if needs_z(layer.runs[k].kind):
            return True
    return False


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


cdef examples_of(const real* a, const Signals* at, Py_ssize_t m, Py_ssize_t J):
    out = np.empty((m, J), dtype=REAL)
    cdef real[:, ::1] to = out
    copy_examples(&to[0, 0], a, at, m, J)
    return out


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


cdef class Scratch:
    """What mini-batches of at most `rows` examples need on their way, for some threads."""

    cdef Batch* batch               # one for each thread
    cdef Team* team
    cdef Py_ssize_t rows
    cdef int threads
    cdef bint training, drops, traces, expands
    cdef object arena
    cdef object step
    cdef object squares
    cdef Py_ssize_t taken

    def __cinit__(self, Core core not None, Py_ssize_t rows, bint training, bint whole,
                  bint drops, int threads, bint traces=False, bint expands=True):
        cdef real[::1] view
        cdef double[::1] squares
        cdef int t
        self.rows, self.threads = rows, threads
        self.training, self.drops, self.traces = training, drops, traces
        self.expands = expands
        self.taken = 0
        self.carve(core, NULL)                                  # sizes first,
        self.arena = aligned(self.taken // sizeof(real))        # then memory, once,
        view = self.arena
        self.taken = 0
        self.carve(core, <char*>&view[0])                       # then pointers into it
        if whole:
            self.step = aligned(core.net.size)
            view = self.step
            self.squares = squares = np.zeros(core.net.size // CLIP_BLOCK + 1)
            for t in range(threads):
                self.batch[t].step, self.batch[t].squares = &view[0], &squares[0]
        self.begin(threads)

    cdef void begin(self, int threads) noexcept:
        cdef int k
        if self.batch.threads != threads:
            for k in range(threads):
                self.batch[k].thread, self.batch[k].threads = k, threads
                self.batch[k].m = 0             # to be shared out anew
        self.batch.looks = True
        for k in range(threads):
            self.batch[k].waited = 0
        self.team.leaves = False
        if threads > 1:
            memset(self.team, 0, sizeof(Team))
            self.team.began = now()

    cdef void* take(self, char* base, Py_ssize_t size) noexcept:
        cdef Py_ssize_t at = self.taken
        self.taken += (size + LINE - 1) // LINE * LINE
        return base + at if base != NULL else NULL

    cdef void carve(self, Core core, char* base) noexcept:
        cdef const Network* net = &core.net
        cdef Py_ssize_t m = self.rows, widest, i
        cdef int l, t
        cdef Batch shared
        cdef Signals* signals
        cdef const Layer* last = &net.layers[net.n_layers - 1]
        cdef const real** delta_rows = NULL
        memset(&shared, 0, sizeof(shared))
        self.team = shared.team = <Team*>self.take(base, sizeof(Team))
        self.batch = <Batch*>self.take(base, self.threads * sizeof(Batch))
        signals = <Signals*>self.take(base, net.n_layers * sizeof(Signals))
        shared.ld_x = widest = stride_of(net.layers[0].K)
        shared.x = <real*>self.take(base, m * shared.ld_x * sizeof(real) if self.expands else 0)
        self.carve_signals(core, base, signals)
        for l in range(net.n_layers):
            widest = max(widest, net.layers[l].ld)
        i = last.J * stride_of(m) if last.narrow else m * stride_of(last.J)
        shared.y = <real*>self.take(base, i * sizeof(real))
        shared.weights = <real*>self.take(base, (m + LANES) * sizeof(real))
        shared.zeros = <real*>self.take(base, widest * sizeof(real))
        for t in range(self.threads):
            shared.signals = shared.mine = <Signals*>self.take(
                base, net.n_layers * sizeof(Signals))
            if self.threads > 1:
                shared.mine = <Signals*>self.take(base, net.n_layers * sizeof(Signals))
                delta_rows = self.take_rows(base, last.J)
            if base != NULL:
                memcpy(shared.signals, signals, net.n_layers * sizeof(Signals))
                if self.threads > 1:
                    shared.mine[net.n_layers - 1].delta_rows = delta_rows
            shared.panel = <real*>self.take(
                base, max(<Py_ssize_t>SLICE * MAX_VECTORS * LANES, widest) * sizeof(real))
            shared.tile = <real*>self.take(
                base, WORD * GROUP * LANES * sizeof(real))  # the larger of two uses
            shared.nonzeros = <Nonzeros*>self.take(base, (m + SOON) * sizeof(Nonzeros))
            shared.done = <Py_ssize_t*>self.take(base, m * sizeof(Py_ssize_t))
            shared.strips = <real*>self.take(base, (m * DEPTH + LANES) * sizeof(real))
            shared.ahead.rows = <const char**>self.take(base, m * sizeof(char*))
            if base != NULL:
                self.batch[t] = shared

    cdef void carve_signals(self, Core core, char* base, Signals* signals) noexcept:
        cdef const Network* net = &core.net
        cdef Py_ssize_t m = self.rows, size, rows, i
        cdef int l
        cdef Layer* layer
        cdef Signals at
        cdef const real** a_rows = self.take_rows(base, m)      # of x, where they lie
        for l in range(net.n_layers):
            layer = &net.layers[l]
            memset(&at, 0, sizeof(at))
            at.ld = stride_of(m if layer.narrow else layer.J)
            at.by_example = 1 if layer.narrow else at.ld
            at.by_neuron = at.ld if layer.narrow else 1
            rows = layer.J if layer.narrow else m
            size = rows * at.ld * sizeof(real)
            at.a_prev = a_rows
            at.a = at.z = at.out = <real*>self.take(base, size)
            if self.traces or self.training and keeps_z(layer) or (
                    l == net.n_layers - 1 and not (layer.n_runs == 1
                                                   and layer.runs.kind == IDENTITY)):
                at.z = <real*>self.take(base, size)
            if self.drops and l < net.n_layers - 1:
                at.kept = <real*>self.take(base, size)
            a_rows = self.take_rows(base, m)
            if self.training:
                at.delta = <real*>self.take(base, size)
                at.delta_rows = self.take_rows(base, rows)
            if base == NULL:
                continue
            for i in range(rows):
                if not layer.narrow:
                    a_rows[i] = at.a + i * at.ld
                if self.training:
                    at.delta_rows[i] = at.delta + i * at.ld
            signals[l] = at

    cdef const real** take_rows(self, char* base, Py_ssize_t rows) noexcept:
        return <const real**>self.take(base, (rows + TILE_ROWS) * sizeof(real*))

    cdef void aim(self, int n_layers) noexcept:
        # What a layer hands on is what dropout leaves of it, if there is any now.
        cdef Signals* at
        cdef const Noise* noise = self.batch.noise
        cdef Py_ssize_t i
        cdef int l, t
        for t in range(self.threads):
            self.batch[t].m = 0             # what is `mine` is to be shared out anew
        for l in range(n_layers - 1):
            at = self.batch.signals + l
            for t in range(self.threads):
                self.batch[t].signals[l].out = (
                    at.kept if noise != NULL and noise.rates[l + 1] > 0 else at.a)
            for i in range(self.rows):
                (at + 1).a_prev[i] = at.out + i * at.ld
