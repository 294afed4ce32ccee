# For compiled code: a network called without the interpreter, and without its lock.
#
#     from cbackprop.core cimport Network32, network32
#
#     handle = net.handle(mini_batch_size=10)     # of a cbackprop.Network in float32
#     cdef Network32* core = network32(handle)
#     with nogil:
#         core.feedforward(core, &a[0, 0], &x[0, 0], n)
#         cost = core.sgd_step(core, &x[0, 0], &y[0, 0], m, 0.5)
#
# x (n, inputs), a and y (n, outputs) are C-contiguous, of the network's real type. Either function
# runs on the caller's thread, calls nothing of Python, and takes no memory: the handle has it.
#
# - `handle` owns what `core` points to, and keeps the parameters alive, with the Network or not.
#   They are the network's own: what is learned here is seen there, and the other way round.
# - Nothing locks. One handle serves one thread at a time. Threads with a handle each may feed
#   forward at once; while anyone learns, here or in SGD, nobody else may use the network.
# - Of `x`, `y` and their sizes nothing is checked, but for what is said below.

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid


cdef struct Network32:
    # (25) for n examples. False if one of x is not finite, from where on `a` is not set.
    bint (*feedforward)(
        Network32* core,
        float* a,               # OUT (n, outputs)
        const float* x,         # IN  (n, inputs)
        Py_ssize_t n,
    ) noexcept nogil
    # w -> w - (eta/m) sum_x delta a^T, b likewise. The mean cost before it: not finite if the
    # examples, and now the parameters, are not. NaN, and nothing is done, unless m is at least 1
    # and at most mini_batch_size.
    double (*sgd_step)(
        Network32* core,
        const float* x,         # IN  (m, inputs)
        const float* y,         # IN  (m, outputs)
        Py_ssize_t m, double eta,
    ) noexcept nogil
    Py_ssize_t inputs, outputs
    Py_ssize_t mini_batch_size  # the largest m


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
        raise TypeError("network32 takes what Network.handle gives for float32, in the version of "
                        f"cbackprop that this was compiled with, got {handle!r}")
    return <Network32*>PyCapsule_GetPointer(handle, "cbackprop.network32.1")


cdef inline Network64* network64(handle) except NULL:
    if not PyCapsule_IsValid(handle, "cbackprop.network64.1"):
        raise TypeError("network64 takes what Network.handle gives for float64, in the version of "
                        f"cbackprop that this was compiled with, got {handle!r}")
    return <Network64*>PyCapsule_GetPointer(handle, "cbackprop.network64.1")
