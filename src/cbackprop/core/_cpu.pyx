"""Which builds of the core this CPU and its operating system can run; built with baseline flags."""

cdef extern from *:
    """
    /* The compiler's own detector asks cpuid, and xgetbv whether the system saves the registers. */
    #if defined(__x86_64__) || defined(_M_X64)
    #define HAS(feature) (__builtin_cpu_supports(feature) != 0)
    static int has_v3(void) { __builtin_cpu_init(); return HAS("avx2") && HAS("fma"); }
    static int has_v4(void) {
        return has_v3() && HAS("avx512f") && HAS("avx512dq") && HAS("avx512bw")
            && HAS("avx512vl");
    }
    #else
    static int has_v3(void) { return 0; }
    static int has_v4(void) { return 0; }
    #endif
    """
    bint has_v3()
    bint has_v4()


def supported():
    """
    Levels of instructions that can run here, the lowest first.

    Returns
    -------
    list of str
        "baseline", then "v3" (AVX2 and FMA), then "v4" (AVX-512) of x86-64.
    """
    return ["baseline"] + ["v3"] * has_v3() + ["v4"] * has_v4()
