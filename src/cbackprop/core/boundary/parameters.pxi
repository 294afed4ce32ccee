# One network's parameters: what it consists of, and where they lie.
from cpython.mem cimport PyMem_Calloc, PyMem_Free


cdef class Parameters:
    """
    The parameters of a dense network, in one arena.

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
    biased : sequence of bool, optional
        Whether each layer of weights has biases; by default all have. Others are zero.

    Attributes
    ----------
    biased : tuple of bool
        The same for every layer.
    """

    cdef Network net
    cdef object functions           # the user's own, kept alive
    cdef bint needs_gil             # True if the user's functions in NumPy hold the interpreter
    cdef real[::1] parameters_view
    cdef const real[::1] scales_view
    cdef readonly object parameters  # the arena
    cdef readonly tuple biased

    def __cinit__(self, sizes, activations, cost, scales, biased=None):
        cdef Py_ssize_t l, at = 0
        cdef Layer* layer
        if len(sizes) < 2 or min(sizes) < 1 or len(activations) != len(sizes) - 1:
            raise ValueError(f"sizes must be two or more of at least 1, and activations one less, "
                             f"got {len(sizes)} and {len(activations)}")
        self.net.n_layers = len(sizes) - 1
        self.functions = [activations, cost]
        self.biased = (True,) * self.net.n_layers if biased is None else tuple(biased)
        set_cost(&self.net.cost, cost)
        self.net.layers = <Layer*>PyMem_Calloc(self.net.n_layers, sizeof(Layer))
        if self.net.layers == NULL:
            raise MemoryError
        for l in range(self.net.n_layers):
            layer = &self.net.layers[l]
            layer.K, layer.J = sizes[l], sizes[l + 1]
            layer.biased = self.biased[l]
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

    cdef int check_arena(self, const real[::1] arena) except -1:
        if arena.shape[0] != self.net.size:
            raise ValueError(f"an arena must have {self.net.size} numbers, got {arena.shape[0]}")
        return 0

    def all_finite(self):
        """Return whether all parameters are finite."""
        return all_finite(<const char*>self.net.parameters, self.net.size, real_rows())
