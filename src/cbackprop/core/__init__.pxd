# For compiled callers: a network without the interpreter and without its lock.
#
#     from cbackprop.core cimport Network32, network32
#
#     handle = net.c_handle(mini_batch_size=10)     # net is a cbackprop.Network in float32
#     cdef Network32* core = network32(handle)
#     with nogil:
#         core.feedforward(core, &a[0, 0], &x[0, 0], n)
#         cost = core.sgd_step(core, &x[0, 0], &y[0, 0], m, 0.5)
#
# x (n, inputs), a and y (n, outputs) are C-contiguous and have the network's real type. Both
# functions run on the caller's thread, do not call Python and allocate no memory: the handle owns
# it.
#
# - `handle` owns the memory of `core` and keeps the parameters alive, even without the Network.
#   Both share the same parameters: a step here changes the Network, and the other way round.
# - There are no locks. One handle serves one thread at a time. Several threads, each with its own
#   handle, may feed forward at the same time; during a step, here or in SGD, no other thread may
#   use the network.
# - `x`, `y` and their sizes are not checked, except as stated below.

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid


cdef struct Network32:
    # Evaluate (25) for n examples. False if x is not finite: then `a` is incomplete.
    bint (*feedforward)(
        Network32* core,
        float* a,               # OUT (n, outputs)
        const float* x,         # IN  (n, inputs)
        Py_ssize_t n,
    ) noexcept nogil
    # w -> w - (eta/m) sum_x delta a^T, and b likewise. Return the mean cost before the step. It is
    # not finite if the examples are not; neither are the parameters then. Return NaN, without a
    # step, unless 1 <= m <= mini_batch_size.
    double (*sgd_step)(
        Network32* core,
        const float* x,         # IN  (m, inputs)
        const float* y,         # IN  (m, outputs)
        Py_ssize_t m, double eta,
    ) noexcept nogil
    Py_ssize_t inputs, outputs
    Py_ssize_t mini_batch_size  # the largest m allowed


cdef struct Network64:          # the same in float64
    bint (*feedforward)(
        Network64* core, double* a, const double* x, Py_ssize_t n,
    ) noexcept nogil
    double (*sgd_step)(
        Network64* core, const double* x, const double* y, Py_ssize_t m, double eta,
    ) noexcept nogil
    Py_ssize_t inputs, outputs
    Py_ssize_t mini_batch_size


cdef inline Network32* network32(handle) except NULL:
    if not PyCapsule_IsValid(handle, "cbackprop.network32.1"):
        raise TypeError("network32 takes what Network.c_handle gives for float32, in the version "
                        f"of cbackprop that this was compiled with, got {handle!r}")
    return <Network32*>PyCapsule_GetPointer(handle, "cbackprop.network32.1")


cdef inline Network64* network64(handle) except NULL:
    if not PyCapsule_IsValid(handle, "cbackprop.network64.1"):
        raise TypeError("network64 takes what Network.c_handle gives for float64, in the version "
                        f"of cbackprop that this was compiled with, got {handle!r}")
    return <Network64*>PyCapsule_GetPointer(handle, "cbackprop.network64.1")
