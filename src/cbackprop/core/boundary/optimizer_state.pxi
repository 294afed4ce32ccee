# An optimizer's options and state as a Python object.


cdef class OptimizerState:
    """
    An optimizer and its state for one network.

    Parameters
    ----------
    network : Parameters
        Of the network.
    optimizer : str
        One of OPTIMIZERS.

    Attributes
    ----------
    slots : tuple of arenas
        The state. The optimizer's row in table.py sets the number of arrays.
    """

    cdef OptimizerOptions options
    cdef Parameters network
    cdef Noise noise
    cdef bint noisy, drops
    cdef const real[::1] dropout
    cdef const double[::1] eta_factors
    cdef const uint8_t[::1] nonnegative
    cdef const Py_ssize_t[::1] frozen_steps
    cdef readonly tuple slots

    def __cinit__(self, Parameters network not None, optimizer):
        cdef real[::1] view
        cdef int k
        self.network = network
        self.options.kind = OPTIMIZERS[optimizer]
        self.options.parameters = network.net.parameters
        self.slots = tuple(aligned(network.net.size) for k in range(n_slots(self.options.kind)))
        for k in range(n_slots(self.options.kind)):
            view = self.slots[k]
            self.options.slots[k] = &view[0]

    def set(self, dict numbers not None, dropout, *, double l2=0, double l1=0,
            double weight_decay=0, double clip_value=INFINITY, double clip_norm=INFINITY,
            double max_norm=INFINITY, uint64_t seed=0, double noise=0, eta_factors=None,
            nonnegative=None, frozen_steps=None, bint lazy=False):
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
        eta_factors : array (layers of weights,) of float64, optional
            What each layer's learning rate is multiplied by; 0 freezes the layer.
        nonnegative : array (layers of weights,) of uint8, optional
            Whether the layer's weights are kept from being negative.
        frozen_steps : array (layers of weights,) of intp, optional
            How many of the steps so far each layer was frozen for.
        lazy : bool
            Whether rows of the first w are left alone where no CSR row of the mini-batch has a
            stored number.
        """
        cdef Py_ssize_t l
        cdef const real[::1] rates = numeric_array(dropout)
        cdef OptimizerOptions* options = &self.options
        if rates.shape[0] != self.network.net.n_layers:
            raise ValueError(f"dropout must be {self.network.net.n_layers} rates, "
                             f"got {rates.shape[0]}")
        set_numbers(&options.numbers, options.kind, numbers)
        options.l2, options.l1, options.weight_decay = l2, l1, weight_decay
        options.clip_value, options.clip_norm, options.max_norm = clip_value, clip_norm, max_norm
        options.by_weight, options.penalty, options.lazy = False, 0, lazy
        self.eta_factors, self.nonnegative = eta_factors, nonnegative
        self.frozen_steps = frozen_steps
        options.eta_factors, options.nonnegative, options.frozen_steps = NULL, NULL, NULL
        for given in (eta_factors, nonnegative, frozen_steps):
            if given is not None and len(given) != self.network.net.n_layers:
                raise ValueError(f"eta_factors, nonnegative and frozen_steps must be "
                                 f"{self.network.net.n_layers}, got {len(given)}")
        if eta_factors is not None:
            options.eta_factors = &self.eta_factors[0]
        if nonnegative is not None:
            options.nonnegative = &self.nonnegative[0]
        if frozen_steps is not None:
            options.frozen_steps = &self.frozen_steps[0]
        options.plain = (options.kind == SGD and l2 == l1 == weight_decay == 0
                         and clip_value == clip_norm == max_norm == INFINITY
                         and not has_rules(options))
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

    def attach(self, Parameters network not None):
        """Train this network from now on; its sizes must be the same."""
        if not same_sizes(&network.net, &self.network.net):
            raise ValueError("network must have the sizes of the one it takes the place of")
        self.network, self.options.parameters = network, network.net.parameters

    @property
    def steps(self):
        """The number of steps taken."""
        return self.options.steps

    @steps.setter
    def steps(self, Py_ssize_t steps):
        self.options.steps = steps

    @property
    def skipped_rows(self):
        """The number of examples skipped because their mini-batch had a total weight of 0."""
        return self.options.skipped_rows
