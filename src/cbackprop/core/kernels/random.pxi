# Counter-based random numbers. A number depends on the key and the counter only, so it is the same
# for any number of lanes and threads.
#
# Two rounds of C. Wellons' hash lowbias32 turn the counter into 24 bits, which every real type
# holds exactly.


cdef inline vec_uint32 lowbias32(vec_uint32 x) noexcept nogil:
    x = x ^ (x >> 16)
    x = x * 0x7feb352d
    x = x ^ (x >> 15)
    x = x * <uint32_t>0x846ca68b
    return x ^ (x >> 16)


cdef inline vec uniform(uint64_t key, uint64_t counter) noexcept nogil:
    # LANES integers below 2^24, for counter, counter + 1, ...
    cdef vec_uint32 x = lowbias32(count_from(<uint32_t>counter) ^ <uint32_t>key)
    return to_real(lowbias32(x ^ <uint32_t>(key >> 32)) >> 8)


cdef inline vec uniform_of_keys(
    vec_uint32 low, vec_uint32 high, uint64_t counter,      # the halves of LANES keys
) noexcept nogil:
    # The integer of the counter for each key.
    return to_real(lowbias32(lowbias32(low ^ <uint32_t>counter) ^ high) >> 8)
