# One network for compiled callers, without the interpreter: __init__.pxd describes the interface.

from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_New, PyCapsule_SetContext
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.math cimport NAN

cdef const char* CAPSULE = "cbackprop.network64.1" if REAL_BYTES == 8 else "cbackprop.network32.1"


cdef struct Handle:             # starts as in __init__.pxd; if that changes, so must CAPSULE
    bint (*feedforward)(
        Handle* handle, real* a, const real* x, Py_ssize_t n,
    ) noexcept nogil
    double (*sgd_step)(
        Handle* handle, const real* x, const real* y, Py_ssize_t m, double eta,
    ) noexcept nogil
    Py_ssize_t inputs, outputs, mini_batch_size
    Pass* passes                # a single one


cdef class Owner:
    """The owner of a handle and of the memory that it points to."""

    cdef Core core
    cdef Workspace workspace
    cdef Handle handle


def handle(Core core not None, Py_ssize_t mini_batch_size):
    """
    Return a capsule with a Handle. The capsule keeps alive all that the handle needs.

    Returns
    -------
    capsule, or None
        None if functions of the network need the interpreter.
    """
    if core.needs_gil:
        return None
    cdef Owner owner = Owner()
    cdef Handle* to = &owner.handle
    cdef Needs needs
    owner.core = core
    memset(&needs, 0, sizeof(needs))
    needs.rows, needs.threads = min(mini_batch_size, <Py_ssize_t>SLICE), 1
    needs.training = needs.expands = True
    needs.sums = mini_batch_size > SLICE
    owner.workspace = new_workspace(&core.net, &needs)
    to.passes = owner.workspace.passes
    to.passes.checks_signals = False  # checking needs the interpreter
    to.feedforward, to.sgd_step = feedforward_of, sgd_step_of
    to.inputs, to.outputs = core.net.layers[0].K, core.net.layers[core.net.n_layers - 1].J
    to.mini_batch_size = mini_batch_size
    capsule = PyCapsule_New(to, CAPSULE, destroy_handle)
    PyCapsule_SetContext(capsule, <void*>owner)
    Py_INCREF(owner)
    return capsule


cdef void destroy_handle(capsule) noexcept:
    Py_DECREF(<object>PyCapsule_GetContext(capsule))


cdef RowArray rows_at(const Handle* handle, const real* x, Py_ssize_t n) noexcept nogil:
    cdef RowArray rows
    memset(&rows, 0, sizeof(rows))
    rows.data, rows.n, rows.K = <const char*>x, n, handle.inputs
    rows.type, rows.itemsize = real_rows(), REAL_BYTES
    return rows


cdef bint feedforward_of(
    Handle* handle, real* a, const real* x, Py_ssize_t n,
) noexcept nogil:
    cdef RowArray rows = rows_at(handle, x, n)
    cdef Py_ssize_t size = min(handle.mini_batch_size, <Py_ssize_t>SLICE)
    cdef InferenceTask task
    memset(&task, 0, sizeof(task))
    task.rows, task.a = &rows, a
    task.parts = (n + size - 1) // size
    handle.passes.training = False
    infer_slices(&task, handle.passes)
    return not task.failed


cdef double sgd_step_of(
    Handle* handle, const real* x, const real* y, Py_ssize_t m, double eta,
) noexcept nogil:
    cdef RowArray rows = rows_at(handle, x, m)
    cdef TargetArray targets
    cdef MiniBatch batch
    if not 0 < m <= handle.mini_batch_size:
        return NAN
    targets.J, targets.rows, targets.labels, targets.weights = handle.outputs, y, NULL, NULL
    handle.passes.training, handle.passes.cost = True, 0
    batch.rows, batch.targets, batch.order = &rows, &targets, NULL
    batch.n, batch.first, batch.m = m, 0, m
    take_step(handle.passes, &batch, NULL, eta)
    return handle.passes.cost / m
