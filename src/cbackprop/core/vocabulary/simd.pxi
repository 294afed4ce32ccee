# simd.h for Cython. `real` is float or double, `stored` what a product keeps of the numbers that it
# multiplies, `vec` a vector of either. Cython treats all as double, so a Python float keeps its
# precision; the C compiler knows their size and arithmetic.

cdef extern from "simd.h":
    ctypedef double real
    ctypedef double stored
    ctypedef double vec
    ctypedef int mask
    ctypedef unsigned int vec_uint32
    const int REAL_BYTES, LANES, MR, STORED_DEPTH
    const real SMALLEST, LARGEST, MAX_SQUARABLE, SILU_TAIL, GELU_TAIL
    const real LN_SMALLEST, LN_LARGEST_POWER, ROUND_TO_INT
    vec splat(real x) noexcept nogil
    vec spread(real x) noexcept nogil
    vec load(const real* p) noexcept nogil
    vec load_uint8(const uint8_t* p) noexcept nogil
    vec load_float32(const float* p) noexcept nogil
    vec load_float64(const double* p) noexcept nogil
    vec in_register(vec x) noexcept nogil
    void store(real* p, vec x) noexcept nogil
    void prefetch(const void* p) noexcept nogil
    vec lower_lanes(vec a, vec b) noexcept nogil
    vec upper_lanes(vec a, vec b) noexcept nogil
    real lane(vec x, int i) noexcept nogil
    void four_of_each(vec* out, const real* const* rows) noexcept nogil
    mask first_lanes(Py_ssize_t n) noexcept nogil
    mask less(vec a, vec b) noexcept nogil
    vec select_lanes(mask m, vec yes, vec no) noexcept nogil
    vec at_least(vec x, vec low) noexcept nogil
    vec at_most(vec x, vec high) noexcept nogil
    vec_uint32 count_from(uint32_t first) noexcept nogil
    vec to_real(vec_uint32 x) noexcept nogil
    uint64_t nonzero_bits(vec x) noexcept nogil
    vec square_root(vec x) noexcept nogil
    vec absolute(vec x) noexcept nogil
    vec sign_of(vec x, vec of) noexcept nogil
    vec upper_half(vec x) noexcept nogil
    vec power_of_two(vec sum) noexcept nogil
    vec negate_odd(vec x, vec sum) noexcept nogil
    vec exponent_of(vec x) noexcept nogil
    vec mantissa_of(vec x) noexcept nogil
    vec reciprocal(vec x) noexcept nogil
    vec splat_stored(stored x) noexcept nogil
    vec along(vec first, vec second) noexcept nogil
    vec across(vec first, vec second) noexcept nogil
    vec rounded(vec x) noexcept nogil
    vec multiply_add(vec sum, vec a, vec b) noexcept nogil
    vec newton_reciprocal(vec x) noexcept nogil
    uint64_t flush_subnormals() noexcept nogil
    void restore_subnormals(uint64_t before) noexcept nogil
