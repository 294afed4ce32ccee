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
    start = (-whole.ctypes.data % line) // sizeof(real)
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
    cdef Scratch idle               # for the next call, unless another has it
    cdef real[::1] parameters_view
    cdef const real[::1] scales_view
    cdef readonly object parameters  # the arena

    def __cinit__(self, sizes, activations, cost, scales):
        cdef Py_ssize_t l, at = 0
        cdef Layer* layer
        self.net.n_layers = len(sizes) - 1
        self.functions = [activations, cost]
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
            self.scales_view = scales
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

    cdef Scratch scratch(self, Py_ssize_t m, bint training, Learning learning=None):
        # The idle one if it is large enough. Two threads never share one: who takes it leaves none.
        cdef bint whole = learning is not None and learning.how.clip_norm < INFINITY
        cdef bint drops = learning is not None and learning.drops
        cdef Scratch scratch
        with cython.critical_section(self):
            scratch = self.idle
            self.idle = None
        if scratch is None or scratch.rows < min(m, <Py_ssize_t>SLICE) or (
                training and not scratch.training) or (
                training and (whole or m > SLICE) and scratch.step is None) or (
                drops and not scratch.drops):
            scratch = Scratch(self, min(m, <Py_ssize_t>SLICE), training,
                              training and (whole or m > SLICE), drops)
        scratch.batch.training = training
        scratch.batch.noise = &learning.noise if learning is not None and learning.noisy else NULL
        if scratch.drops:
            scratch.aim(self.net.n_layers)
        return scratch

    cdef void give_back(self, Scratch scratch):
        with cython.critical_section(self):
            self.idle = scratch

    def all_finite(self):
        """Whether no parameter is NaN or infinite."""
        return all_finite(<const char*>self.net.parameters, self.net.size, REAL_BYTES)

    def feedforward(self, x):
        """
        (25) for an array (n, sizes[0]), or one example as (sizes[0],) or a column.

        Returns
        -------
        array (n, sizes[-1]) of the real type, (sizes[-1],) or a column; None if x is no array that
        can be used as it lies, or not finite.
        """
        cdef RowArray rows
        cdef Layer* last = &self.net.layers[self.net.n_layers - 1]
        if not as_it_lies(&rows, x, self.net.layers[0].K):
            return None
        cdef cnp.npy_intp[2] shape = [last.J, 1]
        if cnp.PyArray_NDIM(x) == 2 and cnp.PyArray_DIM(x, 1) == rows.K:
            shape = [rows.n, last.J]
        out = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(x), shape, REAL_TYPE)
        cdef real* a = <real*>cnp.PyArray_DATA(out)
        cdef Scratch scratch = self.scratch(rows.n, False)
        cdef Py_ssize_t first = 0
        cdef bint finite = True
        with nogil:
            while first < rows.n and finite:
                self.forward_slice(scratch, &rows, first)
                finite = scratch.batch.finite or rows_finite(&rows, first, scratch.batch.m)
                copy_examples(a + first * last.J, scratch.output.a, scratch.output,
                              scratch.batch.m, last.J)
                first += scratch.batch.m
        self.give_back(scratch)
        return out if finite else None

    cdef int forward_slice(
        self, Scratch scratch, const RowArray* rows, Py_ssize_t first,
    ) except -1 nogil:
        scratch.batch.m = min(scratch.rows, rows.n - first)
        gather_slice(&self.net, &scratch.batch, rows, NULL, first, rows.n)
        feedforward(&self.net, &scratch.batch)
        return look_for_signals(&self.net, &scratch.batch)

    def evaluate(self, Rows rows, Targets targets):
        """How many examples are classified as y says, and the sum of their costs."""
        cdef Layer* last = &self.net.layers[self.net.n_layers - 1]
        cdef Scratch scratch = self.scratch(rows.array.n, False)
        cdef Signals* at
        cdef Py_ssize_t first = 0, i, correct = 0
        cdef double cost = 0
        with nogil:
            while first < rows.array.n:
                self.forward_slice(scratch, &rows.array, first)
                at = scratch.output
                gather_targets(scratch.batch.y, at.by_example, at.by_neuron, targets, NULL, first,
                               scratch.batch.m, last.J)
                scratch.batch.weighted = gather_weights(scratch.batch.weights, targets, NULL,
                                                        first, scratch.batch.m)
                for i in range(scratch.batch.m):
                    correct += (
                        decision(at.a + i * at.by_example, last.J, at.by_neuron)
                        == decision(scratch.batch.y + i * at.by_example, last.J, at.by_neuron))
                cost += weighted_costs(at, &self.net.cost, &scratch.batch, last.J)
                first += scratch.batch.m
        self.give_back(scratch)
        return correct, cost

    def backprop(self, Rows rows, Targets targets, real[::1] nabla):
        """Write the average gradient of the rows into an arena of zeros; return the mean cost."""
        cdef Scratch scratch = self.scratch(rows.array.n, True)
        scratch.batch.cost = 0
        with nogil:
            sum_gradients(&nabla[0], <real>(1.0 / rows.array.n), &self.net, &scratch.batch,
                          &rows.array, targets, NULL, rows.array.n, 0, rows.array.n)
        self.give_back(scratch)
        return scratch.batch.cost / rows.array.n

    def trace(self, Rows rows, Targets targets):
        """
        What one pass over at most SLICE rows leaves behind, each example counted once.

        Returns
        -------
        a, delta : lists of (n, sizes[l]) arrays, for each layer but the inputs
        nabla : arena
            The sum of the examples' gradients.
        """
        if rows.array.n > SLICE:
            raise ValueError(f"trace takes at most {SLICE} rows, got {rows.array.n}")
        cdef Scratch scratch = self.scratch(rows.array.n, True)
        nabla = aligned(self.net.size)
        cdef real[::1] to = nabla
        cdef Py_ssize_t l, n = rows.array.n
        cdef Signals* at
        with nogil:
            sum_gradients(&to[0], 1, &self.net, &scratch.batch, &rows.array, targets, NULL, n, 0, n)
        a, delta = [], []
        for l in range(self.net.n_layers):
            at = &scratch.batch.signals[l]
            a.append(examples_of(at.a, at, n, self.net.layers[l].J))
            delta.append(examples_of(at.delta, at, n, self.net.layers[l].J))
        self.give_back(scratch)
        return a, delta, nabla

    def sgd(self, Rows rows, Targets targets, const Py_ssize_t[::1] order,
            Py_ssize_t mini_batch_size, const double[::1] etas, Py_ssize_t first,
            Py_ssize_t last, Learning learning=None, double cost=0):
        """
        Train on the mini-batches that begin in order[first:last], each with its own of the etas: by
        plain descent, or as learning says.

        Returns the row to go on with, and `cost` plus the costs, each before its update: summed up
        in one order, whatever the chunks.
        """
        cdef Optimization* how = &learning.how if learning is not None else NULL
        cdef Scratch scratch = self.scratch(mini_batch_size, True, learning)
        scratch.batch.cost = cost
        with nogil:
            first = sgd(&self.net, &scratch.batch, how, &rows.array, targets, &order[0],
                        order.shape[0], mini_batch_size, &etas[0], first, last)
        self.give_back(scratch)
        return first, scratch.batch.cost

    def cost_derivative(self, real[:, ::1] a, real[:, ::1] y):
        """dC/da for rows of output activations."""
        cdef Py_ssize_t n = a.shape[0], J = a.shape[1], i
        out = np.empty((n, J), dtype=REAL)
        cdef real[:, ::1] grad = out
        cdef Py_ssize_t ld = stride_of(max(J, <Py_ssize_t>1))
        cdef real[:, ::1] padded = np.zeros((3, ld), dtype=REAL)
        for i in range(n if J else 0):
            memcpy(&padded[0, 0], &a[i, 0], J * sizeof(real))
            memcpy(&padded[1, 0], &y[i, 0], J * sizeof(real))
            cost_gradient(&self.net.cost, &padded[2, 0], &padded[0, 0], &padded[1, 0], 1, 1, J, ld)
            memcpy(&grad[i, 0], &padded[2, 0], J * sizeof(real))
        return out


cdef class Learning:
    """
    An optimizer, and what it remembers of one network.

    Parameters
    ----------
    core : Core
    optimizer : str
        One of OPTIMIZERS.

    Attributes
    ----------
    memory : tuple of arenas
    """

    cdef Optimization how
    cdef Noise noise
    cdef bint noisy, drops
    cdef const real[::1] rates
    cdef readonly tuple memory

    def __init__(self, Core core, optimizer):
        cdef real[::1] view
        cdef int k
        self.how.kind = OPTIMIZERS[optimizer]
        self.how.parameters = core.net.parameters
        self.memory = tuple(aligned(core.net.size) for k in range(memories(self.how.kind)))
        for k in range(memories(self.how.kind)):
            view = self.memory[k]
            self.how.memory[k] = &view[0]

    def set(self, double decay, double square_decay, double epsilon, double largest, double l2,
            double l1, double weight_decay, double clip_value, double clip_norm, double max_norm,
            uint64_t seed, const real[::1] rates, double deviation):
        """
        Set everything but what is remembered.

        Parameters
        ----------
        rates : array (layers of weights,)
            Of dropout: of x, then of the hidden layers.
        """
        cdef Py_ssize_t l
        self.how.decay, self.how.square_decay = decay, square_decay
        self.how.epsilon, self.how.largest = epsilon, largest
        self.how.l2, self.how.l1, self.how.weight_decay = l2, l1, weight_decay
        self.how.clip_value, self.how.clip_norm = clip_value, clip_norm
        self.how.max_norm = max_norm
        self.how.plain = (self.how.kind == SGD and l2 == l1 == weight_decay == 0
                          and clip_value == clip_norm == max_norm == INFINITY)
        self.rates = rates
        self.noise.seed, self.noise.deviation = seed, deviation
        self.noise.rates = &rates[0]
        self.drops = False
        for l in range(1, rates.shape[0]):
            self.drops = self.drops or rates[l] > 0
        self.noisy = self.drops or rates[0] > 0 or deviation > 0

    @property
    def steps(self):
        """How many were taken."""
        return self.how.steps

    @steps.setter
    def steps(self, Py_ssize_t steps):
        self.how.steps = steps


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
    cdef Py_ssize_t j, best = 0
    if J == 1:
        return a[0] > <real>0.5
    for j in range(1, J):
        if a[j * step] > a[best * step]:
            best = j
    return best


cdef class Scratch:
    """What a mini-batch of at most `rows` examples needs on its way through the network."""

    cdef Batch batch
    cdef Signals* output            # the last layer's
    cdef Py_ssize_t rows
    cdef bint training, drops
    cdef object arena
    cdef object step
    cdef char* base
    cdef Py_ssize_t taken

    def __cinit__(self, Core core, Py_ssize_t rows, bint training, bint whole, bint drops):
        cdef real[::1] view
        self.rows = rows
        self.training, self.drops = training, drops
        self.taken = 0
        self.carve(core, NULL)                                  # sizes first,
        self.arena = aligned(self.taken // sizeof(real))        # then memory, once,
        view = self.arena
        self.taken = 0
        self.carve(core, <char*>&view[0])                       # then pointers into it
        if whole:
            self.step = aligned(core.net.size)
            view = self.step
            self.batch.step = &view[0]
        self.batch.last_look = now()

    cdef void* take(self, char* base, Py_ssize_t size) noexcept:
        cdef Py_ssize_t at = self.taken
        self.taken += (size + LINE - 1) // LINE * LINE
        return base + at if base != NULL else NULL

    cdef void carve(self, Core core, char* base) noexcept:
        cdef const Network* net = &core.net
        cdef Batch* batch = &self.batch
        cdef Py_ssize_t m = self.rows, widest = 0, size = 0, rows, i
        cdef int l
        cdef Layer* layer
        cdef Signals at
        cdef const real** a_rows
        batch.ld_x = stride_of(net.layers[0].K)
        batch.x = <real*>self.take(base, m * batch.ld_x * sizeof(real))
        batch.nonzeros = <Nonzeros*>self.take(base, (m + SOON) * sizeof(Nonzeros))
        batch.done = <Py_ssize_t*>self.take(base, m * sizeof(Py_ssize_t))
        batch.signals = <Signals*>self.take(base, net.n_layers * sizeof(Signals))
        self.output = batch.signals + (net.n_layers - 1)
        a_rows = self.take_rows(base, m)                    # of x, where they lie
        for l in range(net.n_layers):
            layer = &net.layers[l]
            widest = max(widest, layer.ld)
            memset(&at, 0, sizeof(at))
            at.ld = stride_of(m if layer.narrow else layer.J)
            at.by_example = 1 if layer.narrow else at.ld
            at.by_neuron = at.ld if layer.narrow else 1
            rows = layer.J if layer.narrow else m
            size = rows * at.ld * sizeof(real)
            at.a_prev = a_rows
            at.a = at.z = at.out = <real*>self.take(base, size)
            if self.training and keeps_z(layer):
                at.z = <real*>self.take(base, size)
            if self.drops and l < net.n_layers - 1:
                at.kept = <real*>self.take(base, size)
            a_rows = self.take_rows(base, m)
            if layer.narrow:
                at.w_rows = self.take_rows(base, rows)
            if self.training:
                at.delta = <real*>self.take(base, size)
                at.delta_rows = self.take_rows(base, rows)
            if base == NULL:
                continue
            for i in range(rows):
                if layer.narrow:
                    at.w_rows[i] = net.parameters + layer.w + i * layer.ld
                else:
                    a_rows[i] = at.a + i * at.ld
                if self.training:
                    at.delta_rows[i] = at.delta + i * at.ld
            batch.signals[l] = at
        batch.y = <real*>self.take(base, size)
        batch.weights = <real*>self.take(base, (m + LANES) * sizeof(real))
        batch.zeros = <real*>self.take(base, widest * sizeof(real))
        batch.panel = <real*>self.take(
            base, max(<Py_ssize_t>SLICE * MAX_VECTORS * LANES, widest) * sizeof(real))
        batch.tile = <real*>self.take(base, TILE_ROWS * MAX_VECTORS * LANES * sizeof(real))
        batch.strips = <real*>self.take(base, (m * DEPTH + LANES) * sizeof(real))
        batch.ahead.rows = <const char**>self.take(base, m * sizeof(char*))

    cdef const real** take_rows(self, char* base, Py_ssize_t rows) noexcept:
        return <const real**>self.take(base, (rows + TILE_ROWS) * sizeof(real*))

    cdef void aim(self, int n_layers) noexcept:
        # What a layer hands on is what dropout leaves of it, if there is any now.
        cdef Batch* batch = &self.batch
        cdef Signals* at
        cdef Py_ssize_t i
        cdef int l
        for l in range(n_layers - 1):
            at = &batch.signals[l]
            at.out = at.kept if batch.noise != NULL and batch.noise.rates[l + 1] > 0 else at.a
            for i in range(self.rows):
                (at + 1).a_prev[i] = at.out + i * at.ld
