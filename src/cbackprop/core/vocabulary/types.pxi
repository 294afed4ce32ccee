# The real type for NumPy, and arrays of it that start on a cache line.

import contextlib
import mmap

REAL = "float64" if REAL_BYTES == 8 else "float32"
cdef int REAL_TYPE = cnp.NPY_FLOAT64 if REAL_BYTES == 8 else cnp.NPY_FLOAT32

cdef enum:
    LINE_BYTES = 64         # a cache line
    HUGE_PAGE_BYTES = 2 * 1024 * 1024   # a huge page, on x86-64 and most aarch64


def aligned(Py_ssize_t size):
    """
    Return an arena: zeros that start on a cache line.

    A large arena requests huge pages, which Linux grants if they are enabled.
    """
    cdef Py_ssize_t bytes_ = size * sizeof(real), line = LINE_BYTES
    if bytes_ >= HUGE_PAGE_BYTES // 2 and hasattr(mmap, "MADV_HUGEPAGE"):
        line = HUGE_PAGE_BYTES
        try:        # private, so that after a fork each process has its own
            pages = mmap.mmap(-1, bytes_ + 2 * HUGE_PAGE_BYTES,
                              flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(f"unable to allocate {bytes_} bytes: {error}") from None
        with contextlib.suppress(OSError):      # a kernel without huge pages
            pages.madvise(mmap.MADV_HUGEPAGE)
        whole = np.frombuffer(pages, dtype=REAL)
    else:
        whole = np.zeros(size + line // sizeof(real), dtype=REAL)
    address = <size_t>cnp.PyArray_DATA(whole)   # whole.ctypes would take 2 us more; a Core takes 7
    start = (-address % line) // sizeof(real)
    return whole[start:start + size]
