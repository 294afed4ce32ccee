"""Detect the builds that this CPU and its operating system can run. Built with baseline flags."""

cdef extern from *:
    """
    /* The compiler's detector uses cpuid, and xgetbv for whether the system saves the registers. */
    #if defined(_MSC_VER) && defined(__x86_64__)   /* Its library has no such detector. */
    #include <cpuid.h>
    __attribute__((target("xsave"))) static int saves(unsigned registers) {
        unsigned a, b, c, d;
        return __get_cpuid(1, &a, &b, &c, &d) && (c >> 27 & 1)
            && (__builtin_ia32_xgetbv(0) & registers) == registers;
    }
    static int has(unsigned features) {            /* bits of leaf 7 */
        unsigned a, b, c, d;
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & features) == features;
    }
    static int has_v3(void) {
        unsigned a, b, c, d;
        return saves(0x6) && has(1u << 5) && __get_cpuid(1, &a, &b, &c, &d) && (c >> 12 & 1);
    }
    static int has_v4(void) {
        return has_v3() && saves(0xe6) && has(1u << 16 | 1u << 17 | 1u << 30 | 1u << 31);
    }
    static int has_v4bf16(void) {
        unsigned a, b, c, d;
        return has_v4() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
    }
    #elif defined(__x86_64__)
    #define HAS(feature) (__builtin_cpu_supports(feature) != 0)
    static int has_v3(void) { __builtin_cpu_init(); return HAS("avx2") && HAS("fma"); }
    static int has_v4(void) {
        return has_v3() && HAS("avx512f") && HAS("avx512dq") && HAS("avx512bw")
            && HAS("avx512vl");
    }
    static int has_v4bf16(void) { return has_v4() && HAS("avx512bf16"); }
    #else
    static int has_v3(void) { return 0; }
    static int has_v4(void) { return 0; }
    static int has_v4bf16(void) { return 0; }
    #endif
    """
    bint has_v3()
    bint has_v4()
    bint has_v4bf16()


def supported():
    """
    Return the instruction set levels that can run here, the lowest first.

    Returns
    -------
    list of str
        "baseline", then "v3" (AVX2 and FMA), "v4" (AVX-512) and "v4bf16" (its products of
        bfloat16) of x86-64.
    """
    return ["baseline"] + ["v3"] * has_v3() + ["v4"] * has_v4() + ["v4bf16"] * has_v4bf16()
