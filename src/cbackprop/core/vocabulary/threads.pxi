# threads.h for Cython: a team of threads, a barrier, the clock, signals.

from cpython.exc cimport PyErr_CheckSignals

import warnings


cdef extern from "threads.h":
    ctypedef struct Barrier:
        int stopped
    long long now "nanoseconds_now"() noexcept nogil
    void run_team(void (*worker)(void*, int, int) noexcept nogil, void* work,
                  int threads) noexcept nogil
    bint too_few_threads() noexcept
    bint barrier_wait(Barrier* at, int threads, long long* waited) noexcept nogil
    int max_threads() noexcept
    void end_team() noexcept
    bint is_set(const int* flag) noexcept nogil
    void set_flag(int* flag) noexcept nogil
    Py_ssize_t next_of(Py_ssize_t* counter) noexcept nogil
    void add_to(Py_ssize_t* counter, Py_ssize_t n) noexcept nogil


cdef enum:
    MAX_THREADS = 1024
    NUMBERS_PER_SIGNAL_CHECK = 1 << 24      # numbers read between two checks for Ctrl-C


cdef int call_team(void (*worker)(void*, int, int) noexcept nogil, void* work, int threads,
                   ) except -1:
    with nogil:
        run_team(worker, work, threads)
    if too_few_threads():
        warnings.warn("threads cannot be started, for want of memory or by a limit on processes: "
                      "this one goes on with fewer", RuntimeWarning, stacklevel=3)
    return 0


cdef int check_signals() except -1 nogil:
    with gil:
        return PyErr_CheckSignals()


def openmp_threads():
    """Return OpenMP's limit, as set by OMP_NUM_THREADS or threadpoolctl; 0 without OpenMP."""
    return max_threads()


def end_threads():
    """End the idle threads of this thread's team."""
    end_team()
