# The order of examples as Python's random.shuffle and NumPy's RandomState.shuffle draw it.

cimport cython
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer

cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void* state
        uint32_t (*next_uint32)(void*) noexcept nogil

cdef extern from *:
    PyObject** items_of "PySequence_Fast_ITEMS"(list items)


def shuffle(list items not None, order, words):
    """
    Shuffle a list and an array of the same length as random.shuffle would, in place.

    Python's is the shuffle of Fisher and Yates, from the end; a number below n is made of the upper
    bits of a word, as many as n has, and drawn anew while it is n or more.

    Parameters
    ----------
    words : array of uint32
        What random.getrandbits(32) would return one after the other.

    Returns
    -------
    int
        How many words it took; or None if they were too few: then nothing was shuffled.
    """
    cdef Py_ssize_t[::1] numbers = of_numbers(order)
    cdef const uint32_t[::1] drawn_words = of_numbers(words)
    cdef Py_ssize_t n = numbers.shape[0], i, taken = 0
    cdef uint32_t j = 0
    cdef int shift = 32
    cdef PyObject** item
    cdef PyObject* kept
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
            if taken == drawn_words.shape[0]:
                return None
            j = drawn_words[taken] >> shift
            taken += 1
        partner[i] = j
    with cython.critical_section(items):        # nobody else changes it meanwhile
        if len(items) != n:
            raise ValueError(f"order must have {len(items)} entries, as the list, got {n}")
        item = items_of(items)
        for i in range(n - 1, 0, -1):
            kept, item[i] = item[i], item[partner[i]]
            item[partner[i]] = kept
            numbers[i], numbers[partner[i]] = numbers[partner[i]], numbers[i]
    return taken


def shuffle_alike(bit_generator, order):
    """
    Shuffle an array of fewer than 2^32 in place, as RandomState.shuffle would.

    NumPy's is the same shuffle, with the lower bits of a word. Nothing here branches on whether a
    number is to be drawn anew, which no CPU foresees: half of NumPy's time.

    Parameters
    ----------
    bit_generator : numpy.random.BitGenerator
        Is left where RandomState.shuffle would leave it.
    """
    cdef bitgen_t* words = <bitgen_t*>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    cdef Py_ssize_t[::1] numbers = of_numbers(order)
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
