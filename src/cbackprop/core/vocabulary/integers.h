/* Operations on 64-bit words that take one or two instructions. */
#ifndef CBACKPROP_INTEGERS_H
#define CBACKPROP_INTEGERS_H

#include <stdint.h>

/* The upper half of x * n for n < 2^32, in operations that a compiler makes vectors of. */
static inline uint64_t upper_product_32(uint64_t x, uint64_t n) {
    return ((x >> 32) * n + ((x & 0xffffffff) * n >> 32)) >> 32;
}

/* The same for any n. If x is a random word, this is a random number below n. */
static inline uint64_t upper_product(uint64_t x, uint64_t n) {
#ifdef __SIZEOF_INT128__
    return (uint64_t)((unsigned __int128)x * n >> 64);
#else /* 32-bit machines, where n < 2^32 */
    return upper_product_32(x, n);
#endif
}

static inline int lowest_bit(uint64_t x) { return __builtin_ctzll(x); } /* x is not 0 */
static inline int count_bits(uint64_t x) { return __builtin_popcountll(x); }

#endif
