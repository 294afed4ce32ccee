# The real type as NumPy knows it, and arrays of it that begin with a cache line.

import contextlib
import mmap

REAL = "float64" if REAL_BYTES == 8 else "float32"
cdef int REAL_TYPE = cnp.NPY_FLOAT64 if REAL_BYTES == 8 else cnp.NPY_FLOAT32

cdef enum:
    LINE_BYTES = 64               # bytes of a cache line
    HUGE_PAGE_BYTES = 2 * 1024 * 1024  # bytes of a huge page, on x86-64 and most aarch64


def aligned(Py_ssize_t size):
    """
    Zeros, from the beginning of a cache line on: an arena.

    A large one asks for huge pages, which Linux gives where they are allowed.
    """
    cdef Py_ssize_t bytes_ = size * sizeof(real), line = LINE_BYTES
    if bytes_ >= HUGE_PAGE_BYTES // 2 and hasattr(mmap, "MADV_HUGEPAGE"):
        line = HUGE_PAGE_BYTES
        try:        # private: after a fork, each process has its own
            pages = mmap.mmap(-1, bytes_ + 2 * HUGE_PAGE_BYTES,
                              flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(f"unable to allocate {bytes_} bytes: {error}") from None
        with contextlib.suppress(OSError):      # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
        whole = np.frombuffer(pages, dtype=REAL)
    else:
        whole = np.zeros(size + line // sizeof(real), dtype=REAL)
    address = <size_t>cnp.PyArray_DATA(whole)   # 2 us less than whole.ctypes, of 7 for a Core
    start = (-address % line) // sizeof(real)
    return whole[start:start + size]
