# integers.h for Cython, and a generator of random words.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "integers.h":
    uint64_t upper_product(uint64_t x, uint64_t n) noexcept nogil
    uint64_t upper_product_32(uint64_t x, uint64_t n) noexcept nogil
    int lowest_bit(uint64_t x) noexcept nogil
    int count_bits(uint64_t x) noexcept nogil


cdef inline uint64_t splitmix64(uint64_t x) noexcept nogil:
    # SplitMix64's output function (Steele, Lea, Flood, OOPSLA 2014)
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)
