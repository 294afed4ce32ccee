/* A vocabulary: operations of one or two instructions, under one set of names for every instruction
 * set and both real types. It has no loops and no algorithms.
 *
 * A build of the core defines CBP_DOUBLE for float64, or CBP_BFLOAT16 for products of bfloat16; the
 * compiler's target flags select the instruction set. Vectors are the vector extensions of GCC and clang, so `a * b + c` in typed
 * Cython is a single instruction.
 */
#ifndef CBACKPROP_SIMD_H
#define CBACKPROP_SIMD_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* ---- the vector of this build, and the register tile that fits its registers ---- */

#if defined(__AVX512F__) /* 32 registers: 12 x 2 accumulators, 2 of b */
#define VEC_BYTES 64
#define MR 12
#elif defined(__AVX2__) /* 16 registers: 6 x 2 accumulators, 2 of b */
#define VEC_BYTES 32
#define MR 6
#elif defined(__aarch64__) /* 32 registers */
#define VEC_BYTES 16
#define MR 12
#else /* 16 registers; without fused multiply-add, a product needs one more */
#define VEC_BYTES 16
#define MR 5
#endif

#ifdef CBP_DOUBLE
#define REAL_BYTES 8
#define MANTISSA_BITS 52
typedef double real;
typedef int64_t real_bits;
#define SMALLEST DBL_MIN /* the smallest normal real */
#define LARGEST DBL_MAX
#define MAX_SQUARABLE 1e153 /* the sum of hundreds of its squares is below LARGEST */
#define LN_SMALLEST -708.3964
#define SILU_TAIL ((real)-700)  /* below it, 1 + e^z rounds to 1 and e^-z nearly overflows */
#define GELU_TAIL ((real)-17)   /* the same for the argument of gelu_tanh */
#define LN_LARGEST_POWER 709.43 /* the largest x for which e^x = 2^n e^r has n <= 1023 */
#else
#define REAL_BYTES 4
#define MANTISSA_BITS 23
typedef float real;
typedef int32_t real_bits;
#define SMALLEST FLT_MIN
#define LARGEST FLT_MAX
#define MAX_SQUARABLE 1e18f
#define LN_SMALLEST -87.33654f
#define SILU_TAIL ((real)-80)
#define GELU_TAIL ((real)-9)
#define LN_LARGEST_POWER 88.37f
#endif

#define LANES (VEC_BYTES / REAL_BYTES)

#define VECTOR_OF(type) __attribute__((vector_size(LANES * sizeof(type))))
#define UNALIGNED_VECTOR_OF(type) __attribute__((vector_size(LANES * sizeof(type)), aligned(1), may_alias))
typedef real vec VECTOR_OF(real);
typedef real_bits mask VECTOR_OF(real_bits);
typedef int32_t vec_int32 VECTOR_OF(int32_t);
typedef uint32_t vec_uint32 VECTOR_OF(uint32_t);
typedef real vec_at UNALIGNED_VECTOR_OF(real);
typedef uint8_t vec_uint8_at UNALIGNED_VECTOR_OF(uint8_t);
typedef float vec_float_at UNALIGNED_VECTOR_OF(float);
typedef double vec_double_at UNALIGNED_VECTOR_OF(double);

/* ---- memory ---- */

INLINE vec splat(real x) { return x - (vec){0}; }
INLINE vec as_it_is(vec x) { return x; }
/* x in every lane, where x is a real; or a vector as it is */
#define spread(x) _Generic((x), vec: as_it_is, default: splat)(x)
INLINE vec load(const real *p) { return *(const vec_at *)p; }
INLINE void store(real *p, vec x) { *(vec_at *)p = x; }
INLINE vec load_float32(const float *p) { return __builtin_convertvector(*(const vec_float_at *)p, vec); }
INLINE vec load_float64(const double *p) { return __builtin_convertvector(*(const vec_double_at *)p, vec); }
/* x, but no longer the memory that it was loaded from */
INLINE vec in_register(vec x) {
#if defined(__AVX512F__)
    __asm__("" : "+v"(x));
#elif defined(__x86_64__)
    __asm__("" : "+x"(x));
#elif defined(__aarch64__)
    __asm__("" : "+w"(x));
#endif
    return x;
}
INLINE void prefetch(const void *p) { __builtin_prefetch(p, 0, 2); } /* into the L2 cache */

/* LANES bytes, widened in two steps. In one step, GCC 12 would load each byte on its own. */
INLINE vec load_uint8(const uint8_t *p) {
    vec_int32 wide;
#if VEC_BYTES == 64 && REAL_BYTES == 4
    wide = (vec_int32)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif LANES == 8 && defined(__AVX2__)
    wide = (vec_int32)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#elif LANES == 4 && defined(__SSE2__)
    int32_t bytes;
    memcpy(&bytes, p, 4);
    __m128i zero = _mm_setzero_si128();
    wide = (vec_int32)_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(bytes), zero), zero);
#else
    wide = __builtin_convertvector(*(const vec_uint8_at *)p, vec_int32);
#endif
    return __builtin_convertvector(wide, vec);
}

/* ---- lanes ---- */

/* The two halves of a perfect shuffle: a0 b0 a1 b1 ..., from the lower or the upper lanes. */
#if VEC_BYTES == 16 * REAL_BYTES
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif VEC_BYTES == 8 * REAL_BYTES
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#elif VEC_BYTES == 4 * REAL_BYTES
#define LANE_NUMBERS 0, 1, 2, 3
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#else
#define LANE_NUMBERS 0, 1
#define LOWER 0, 2
#define UPPER 1, 3
#endif
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif
INLINE vec lower_lanes(vec a, vec b) { return SHUFFLE(a, b, LOWER); }
INLINE vec upper_lanes(vec a, vec b) { return SHUFFLE(a, b, UPPER); }
INLINE real lane(vec x, int i) { return x[i]; }

/* Four numbers of each of LANES rows: out[k] has the k-th number of every row. Blocks of four rows
 * are transposed where they lie, in parts of 128 or 256 bits. */
#if defined(__x86_64__) && VEC_BYTES >= 4 * REAL_BYTES
#ifdef CBP_DOUBLE
INLINE void transpose_block(__m256d *out, const double *const *rows) {
    __m256d a = _mm256_loadu_pd(rows[0]), b = _mm256_loadu_pd(rows[1]);
    __m256d c = _mm256_loadu_pd(rows[2]), d = _mm256_loadu_pd(rows[3]);
    __m256d ab = _mm256_unpacklo_pd(a, b), cd = _mm256_unpacklo_pd(c, d);
    out[0] = _mm256_permute2f128_pd(ab, cd, 0x20);
    out[2] = _mm256_permute2f128_pd(ab, cd, 0x31);
    ab = _mm256_unpackhi_pd(a, b), cd = _mm256_unpackhi_pd(c, d);
    out[1] = _mm256_permute2f128_pd(ab, cd, 0x20);
    out[3] = _mm256_permute2f128_pd(ab, cd, 0x31);
}
INLINE void four_of_each(vec *out, const real *const *rows) {
    __m256d low[4];
    transpose_block(low, rows);
#if LANES == 8
    __m256d high[4];
    transpose_block(high, rows + 4);
    for (int k = 0; k < 4; k++) out[k] = _mm512_insertf64x4(_mm512_castpd256_pd512(low[k]), high[k], 1);
#else
    for (int k = 0; k < 4; k++) out[k] = low[k];
#endif
}
#else
#if LANES == 16
typedef __m512d vec_pairs;
#define PAIRS(half) _mm512_unpack##half##_pd
#define NUMBERS(half) _mm512_unpack##half##_ps
INLINE vec four_rows(const real *const *rows) {
    vec x = _mm512_castps128_ps512(_mm_loadu_ps(rows[0]));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(rows[4]), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(rows[8]), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps(rows[12]), 3);
}
#elif LANES == 8
typedef __m256d vec_pairs;
#define PAIRS(half) _mm256_unpack##half##_pd
#define NUMBERS(half) _mm256_unpack##half##_ps
INLINE vec four_rows(const real *const *rows) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(rows[0])), _mm_loadu_ps(rows[4]), 1);
}
#else
typedef __m128d vec_pairs;
#define PAIRS(half) _mm_unpack##half##_pd
#define NUMBERS(half) _mm_unpack##half##_ps
INLINE vec four_rows(const real *const *rows) { return _mm_loadu_ps(rows[0]); }
#endif
INLINE void four_of_each(vec *out, const real *const *rows) {
    vec a = four_rows(rows), b = four_rows(rows + 1), c = four_rows(rows + 2), d = four_rows(rows + 3);
    vec_pairs ab = (vec_pairs)NUMBERS(lo)(a, b), cd = (vec_pairs)NUMBERS(lo)(c, d);
    out[0] = (vec)PAIRS(lo)(ab, cd);
    out[1] = (vec)PAIRS(hi)(ab, cd);
    ab = (vec_pairs)NUMBERS(hi)(a, b), cd = (vec_pairs)NUMBERS(hi)(c, d);
    out[2] = (vec)PAIRS(lo)(ab, cd);
    out[3] = (vec)PAIRS(hi)(ab, cd);
}
#endif
#else
INLINE void four_of_each(vec *out, const real *const *rows) {
    for (int k = 0; k < 4; k++) {
        vec column = {0};
        for (int i = 0; i < LANES; i++) column[i] = rows[i][k];
        out[k] = column;
    }
}
#endif

/* ---- selection: a comparison's mask selects lanes of two vectors ---- */

INLINE mask first_lanes(intptr_t n) { return (mask){LANE_NUMBERS} < (mask){0} + (real_bits)n; }
INLINE mask less(vec a, vec b) { return a < b; }
INLINE vec select_lanes(mask m, vec yes, vec no) {
#if defined(__SSE2__) && !defined(__SSE4_1__)
    /* GCC 12 crashes (gimple_expand_vec_cond_expr) if it knows that m is one of two comparisons. */
    __asm__("" : "+x"(m));
#endif
    return (vec)((m & (mask)yes) | (~m & (mask)no));
}

/* A NaN in x is kept: if two numbers are unordered, x86 returns the second operand. */
#if defined(__x86_64__)
#if VEC_BYTES == 64
#define MM _mm512_
#elif VEC_BYTES == 32
#define MM _mm256_
#else
#define MM _mm_
#endif
#ifdef CBP_DOUBLE
#define SUFFIX _pd
#else
#define SUFFIX _ps
#endif
#define JOIN(a, b, c) a##b##c
#define JOINED(a, b, c) JOIN(a, b, c)
INLINE vec at_least(vec x, vec low) { return JOINED(MM, max, SUFFIX)(low, x); }
INLINE vec at_most(vec x, vec high) { return JOINED(MM, min, SUFFIX)(high, x); }
INLINE vec square_root(vec x) { return JOINED(MM, sqrt, SUFFIX)(x); }
#else
INLINE vec at_least(vec x, vec low) { return select_lanes(x < low, low, x); }
INLINE vec at_most(vec x, vec high) { return select_lanes(x > high, high, x); }
INLINE vec square_root(vec x) {
    for (int i = 0; i < LANES; i++) x[i] = (real)sqrt(x[i]);
    return x;
}
#endif

/* ---- integers ---- */

INLINE vec_uint32 count_from(uint32_t first) { return (vec_uint32){LANE_NUMBERS} + first; }
INLINE vec to_real(vec_uint32 x) { return __builtin_convertvector((vec_int32)x, vec); } /* < 2^31 */

/* One bit for each lane: 1 if it is not 0. */
INLINE uint64_t nonzero_bits(vec x) {
#if VEC_BYTES == 64
    return JOINED(_mm512_cmp, SUFFIX, _mask)(x, splat(0), _CMP_NEQ_UQ);
#elif defined(__x86_64__)
    return JOINED(MM, movemask, SUFFIX)((vec)(x != splat(0)));
#else
    uint64_t bits = 0;
    for (int i = 0; i < LANES; i++) bits |= (uint64_t)(x[i] != 0) << i;
    return bits;
#endif
}

/* ---- bits of a real ---- */

INLINE vec absolute(vec x) { return (vec)((mask)x & ~(mask)splat((real)-0.0)); }
INLINE vec sign_of(vec x, vec of) { return (vec)((mask)x | ((mask)of & (mask)splat((real)-0.0))); }

/* x truncated to the upper half of its mantissa, so that its square is exact */
#define LOWER_HALF (((real_bits)1 << ((MANTISSA_BITS + 2) / 2)) - 1)
INLINE vec upper_half(vec x) { return (vec)((mask)x & ~((mask){0} + LOWER_HALF)); }

/* x + ROUND_TO_INT - ROUND_TO_INT is x rounded to an integer n; the low bits of the sum hold n. */
#define ROUND_TO_INT ((real)1.5 * (real)((int64_t)1 << MANTISSA_BITS))
INLINE vec power_of_two(vec sum) { return (vec)(((mask)sum << MANTISSA_BITS) + (mask)splat(1)); }

INLINE vec negate_odd(vec x, vec sum) { return (vec)((mask)x ^ ((mask)sum << (8 * REAL_BYTES - 1))); }

/* x = 2^exponent * mantissa, with the mantissa in [sqrt(1/2), sqrt(2)), for normal x > 0 */
INLINE mask exponent_bits(vec x) { return ((mask)x - (mask)splat((real)0.70710678118654752)) >> MANTISSA_BITS; }
INLINE vec exponent_of(vec x) { return __builtin_convertvector(exponent_bits(x), vec); }
INLINE vec mantissa_of(vec x) { return (vec)((mask)x - (exponent_bits(x) << MANTISSA_BITS)); }

/* ---- 1 / x: AVX-512 estimates 14 bits, and each Newton step doubles them; else a division ---- */

#if defined(__AVX512F__)
INLINE vec newton_reciprocal(vec x) {
    vec y = JOINED(MM, rcp14, SUFFIX)(x);
#ifdef CBP_DOUBLE
    y = y + y * (1 - x * y);
#endif
    return y + y * (1 - x * y);
}
#else
INLINE vec newton_reciprocal(vec x) { return 1 / x; }
#endif

/* In float64 a division is as fast, provided that it overlaps other arithmetic but no root. */
#ifdef CBP_DOUBLE
INLINE vec reciprocal(vec x) { return 1 / x; }
#else
INLINE vec reciprocal(vec x) { return newton_reciprocal(x); }
#endif

/* ---- the numbers that a product multiplies. A `stored` is a real; or, with CBP_BFLOAT16, two numbers
   that are neighbours in the sum, as bfloat16 in the 32 bits of a float, the first in the lower half.
   Sums are reals. ---- */

typedef real stored;
#ifndef CBP_BFLOAT16
#define STORED_DEPTH 1 /* how many terms of the sum one holds */
INLINE vec splat_stored(stored x) { return splat(x); }
INLINE vec along(vec first, vec second) { return (void)second, first; }
INLINE vec across(vec first, vec second) { return (void)second, first; }
INLINE vec rounded(vec x) { return x; }
INLINE vec multiply_add(vec sum, vec a, vec b) { return sum + a * b; }
#else
#define STORED_DEPTH 2
INLINE vec splat_stored(stored x) {
    real_bits bits;
    memcpy(&bits, &x, sizeof bits);
    return (vec)((mask){0} + bits); /* a subtraction, as in `splat`, would change what is no float */
}

/* The nearest bfloat16, or the even one of two, in the upper halves; the lower halves are arbitrary.
 * Subnormals are 0, as the CPU's instructions round. */
INLINE vec_uint32 round_upper(vec x) {
    vec_uint32 bits = (vec_uint32)x, exponent = bits & 0x7f800000;
    vec_uint32 nearest = bits + 0x7fff + (bits >> 16 & 1);
    vec_uint32 is_nan = (vec_uint32)(x != x), is_subnormal = (vec_uint32)(exponent == 0);
    nearest = (is_nan & (bits | 0x400000)) | (~is_nan & nearest);
    return (is_subnormal & bits & 0x80000000) | (~is_subnormal & nearest);
}
INLINE vec rounded(vec x) { return (vec)(round_upper(x) & 0xffff0000); }

#ifdef __AVX512BF16__
/* Two vectors of a row: lane i has the numbers 2 i and 2 i + 1. */
INLINE vec along(vec first, vec second) { return (vec)_mm512_cvtne2ps_pbh(second, first); }
/* Vectors of two rows: lane i has number i of each. */
INLINE vec across(vec first, vec second) {
    typedef uint16_t halves __attribute__((vector_size(VEC_BYTES)));
    const halves perfect_shuffle = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                                    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return (vec)_mm512_permutexvar_epi16((__m512i)perfect_shuffle, (__m512i)along(first, second));
}
INLINE vec multiply_add(vec sum, vec a, vec b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
#else
INLINE vec across(vec first, vec second) {
    return (vec)((round_upper(first) >> 16) | (round_upper(second) & 0xffff0000));
}
INLINE vec along(vec first, vec second) { return across(SHUFFLE(first, second, EVEN), SHUFFLE(first, second, ODD)); }
INLINE vec lower_half_of(vec x) { return (vec)((vec_uint32)x << 16); }
INLINE vec upper_half_of(vec x) { return (vec)((vec_uint32)x & 0xffff0000); }
/* The order of the instruction, which adds the second product first. A product of two bfloat16 is
 * exact in float32, so that this is the same with and without a fused multiply-add, unless the
 * product alone would overflow or be subnormal. */
INLINE vec multiply_add(vec sum, vec a, vec b) {
    sum = sum + upper_half_of(a) * upper_half_of(b);
    return sum + lower_half_of(a) * lower_half_of(b);
}
#endif
#endif

/* ---- subnormals: between these two calls they count as 0, because each costs 100 cycles or more.
   Adam's means become subnormal if an input stays 0; a step on MNIST took twice the time. ---- */

#if defined(__x86_64__)
INLINE uint64_t flush_subnormals(void) {
    uint64_t before = _mm_getcsr();
    _mm_setcsr((uint32_t)before | 0x8040);
    return before;
}
INLINE void restore_subnormals(uint64_t before) { _mm_setcsr((uint32_t)before); }
#elif defined(__aarch64__)
INLINE void restore_subnormals(uint64_t before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
INLINE uint64_t flush_subnormals(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    restore_subnormals(before | (uint64_t)1 << 24);
    return before;
}
#else
INLINE uint64_t flush_subnormals(void) { return 0; }
INLINE void restore_subnormals(uint64_t before) { (void)before; }
#endif

#endif
