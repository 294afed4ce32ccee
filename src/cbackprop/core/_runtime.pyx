"""Orders of examples, OpenMP's limit and the latency of a barrier.

None depends on an instruction set or a real type, so this module is built once.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memset

include "vocabulary/integers.pxi"
include "vocabulary/numbers.pxi"
include "vocabulary/threads.pxi"

cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void* state
        uint32_t (*next_uint32)(void*) noexcept nogil


cdef extern from *:
    PyObject** items_of "PySequence_Fast_ITEMS"(list items)


def shuffle(list items not None, order, words):
    """
    Shuffle a list and an array of the same length as random.shuffle would, in place.

    Python runs the shuffle of Fisher and Yates from the end. It draws a number below n from the
    upper bits of a word, as many as n has, and rejects it while it is n or more.

    Parameters
    ----------
    words : array of uint32
        Successive results of random.getrandbits(32).

    Returns
    -------
    int
        The number of words used; None if they were too few, and then nothing was shuffled.
    """
    cdef Py_ssize_t[::1] numbers = numeric_array(order)
    cdef const uint32_t[::1] drawn_words = numeric_array(words)
    cdef Py_ssize_t n = numbers.shape[0], i, used = 0
    cdef uint32_t j = 0
    cdef int shift = 32
    cdef PyObject** item
    cdef PyObject* saved
    cdef cnp.npy_intp[1] shape = [n]
    drawn = cnp.PyArray_SimpleNew(1, shape, cnp.NPY_INTP)
    cdef Py_ssize_t* partner = <Py_ssize_t*>cnp.PyArray_DATA(drawn)
    while n >> (32 - shift):
        shift -= 1
    for i in range(n - 1, 0, -1):
        if not (i + 1) >> (31 - shift):
            shift += 1
        j = <uint32_t>i + 1
        while j > <uint32_t>i:
            if used == drawn_words.shape[0]:
                return None
            j = drawn_words[used] >> shift
            used += 1
        partner[i] = j
    with cython.critical_section(items):        # no other thread changes it meanwhile
        if len(items) != n:
            raise ValueError(f"order must have {len(items)} entries, as the list, got {n}")
        item = items_of(items)
        for i in range(n - 1, 0, -1):
            saved, item[i] = item[i], item[partner[i]]
            item[partner[i]] = saved
            numbers[i], numbers[partner[i]] = numbers[partner[i]], numbers[i]
    return used


def shuffle_as_numpy(bit_generator, order):
    """
    Shuffle an array of fewer than 2^32 numbers in place, as RandomState.shuffle would.

    NumPy runs the same shuffle with the lower bits of a word. The rejection of a number is
    unpredictable, so this loop has no branch on it: it takes half of NumPy's time.

    Parameters
    ----------
    bit_generator : numpy.random.BitGenerator
        Its state afterwards is the one that RandomState.shuffle would leave.
    """
    cdef bitgen_t* words = <bitgen_t*>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    cdef Py_ssize_t[::1] numbers = numeric_array(order)
    cdef Py_ssize_t n = numbers.shape[0], i = n - 1
    cdef uint32_t j, mask = 0
    cdef cnp.npy_intp[1] shape = [n]
    drawn = cnp.PyArray_SimpleNew(1, shape, cnp.NPY_UINT32)
    cdef uint32_t* partner = <uint32_t*>cnp.PyArray_DATA(drawn)
    while mask < i:
        mask = mask << 1 | 1
    with bit_generator.lock, nogil:
        while i > 0:
            mask >>= i <= mask >> 1
            j = words.next_uint32(words.state) & mask
            partner[i] = j
            i -= j <= i
        for i in range(n - 1, 0, -1):
            numbers[i], numbers[partner[i]] = numbers[partner[i]], numbers[i]


def random_order(Py_ssize_t n, uint64_t seed):
    """
    Return the numbers below n in a random order; all orders are equally likely.

    This is the inside-out shuffle of Fisher and Yates with the generator SplitMix64 (Steele, Lea,
    Flood, OOPSLA 2014). It is five times as fast as NumPy's, which takes a tenth of an epoch of
    small networks.

    Returns
    -------
    array (n,) of intp
    """
    cdef cnp.npy_intp[1] shape = [n]
    out = cnp.PyArray_SimpleNew(1, shape, cnp.NPY_INTP)
    cdef Py_ssize_t* order = <Py_ssize_t*>cnp.PyArray_DATA(out)
    cdef Py_ssize_t first = 0, last, i, j
    with nogil:
        while first < n:
            last = min(n, first + NUMBERS_PER_SIGNAL_CHECK // 16)    # each may miss every cache
            for i in range(first, last):
                seed += <uint64_t>0x9E3779B97F4A7C15
                j = upper_product(splitmix64(seed), i + 1)
                order[i] = order[j]
                order[j] = i
            first = last
            if first < n:
                check_signals()
    return out


cdef struct BarrierTiming:
    Barrier barrier
    Py_ssize_t times
    long long nanoseconds   # OUT


cdef void time_barrier(void* work, int thread, int threads) noexcept nogil:
    cdef BarrierTiming* timing = <BarrierTiming*>work
    cdef long long waited = 0, start
    cdef Py_ssize_t _
    if threads == 1:
        return
    barrier_wait(&timing.barrier, threads, &waited)
    start = now()
    for _ in range(timing.times):
        barrier_wait(&timing.barrier, threads, &waited)
    if thread == 0:
        timing.nanoseconds = now() - start


def barrier_latency(int threads, Py_ssize_t times):
    """Return the mean latency, in seconds, of that many barriers of that many threads."""
    cdef BarrierTiming timing
    memset(&timing, 0, sizeof(timing))
    timing.times = times
    call_team(time_barrier, &timing, threads)
    return 1e-9 * timing.nanoseconds / times
