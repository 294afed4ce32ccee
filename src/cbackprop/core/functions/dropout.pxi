# Dropout, and noise on x. The dropped neurons depend only on the seed, the step, the layer, the
# example and the neuron.


cdef struct Noise:
    uint64_t seed
    Py_ssize_t step         # the number of the mini-batch, from 1 on
    Py_ssize_t first        # the slice's first example in the mini-batch
    Py_ssize_t before       # the mini-batch's examples in other processes, before these
    const real* rates       # (n_layers) dropout rates of x, then of the hidden layers
    real deviation          # the standard deviation of the noise added to x


cdef inline uint64_t key_of(const Noise* noise, Py_ssize_t step, int layer) noexcept nogil:
    cdef uint64_t shift = <uint64_t>0x9E3779B97F4A7C15 * <uint64_t>step
    return splitmix64(splitmix64(noise.seed + shift) + <uint64_t>layer)


cdef void apply_dropout(
    real* out,                  # OUT (m, J)  a, times 0 with probability rate, else 1 / (1 - rate)
    const real* a,              # IN  (m, J); may be out
    const Noise* noise, int layer,
    Py_ssize_t m, Py_ssize_t J, Py_ssize_t ld,
) noexcept nogil:
    # Inverted dropout (Srivastava et al., JMLR 2014): inference needs no factor.
    cdef real rate = noise.rates[layer]
    cdef vec scale = splat(1 / (1 - rate)), limit = splat(rate * 16777216)
    cdef uint64_t key = key_of(noise, noise.step, layer)
    cdef Py_ssize_t i, v, at
    for i in range(m):
        for v in range(vectors(J)):
            at = i * ld + v * LANES
            store(out + at, load(a + at) * select_lanes(
                less(uniform(key, <uint64_t>((noise.first + i) * J + v * LANES)), limit),
                splat(0), scale))


cdef void add_noise(
    real* x,                    # IN, OUT (m, K)  + deviation * N(0, 1)
    const Noise* noise, real deviation,
    Py_ssize_t m, Py_ssize_t K, Py_ssize_t ld,
) noexcept nogil:
    cdef uint64_t key = key_of(noise, noise.step, -1)
    cdef Py_ssize_t i, v, at
    cdef vec u
    for i in range(m):
        for v in range(vectors(K)):
            at = i * ld + v * LANES
            u = normal_of(uniform(key, <uint64_t>((noise.first + i) * K + v * LANES)))
            store(x + at, load(x + at) + splat(deviation * <real>1.4142135623730951) * u)


cdef inline vec normal_of(vec u) noexcept nogil:
    # N(0, 1/2) of uniform integers below 2^24, by the inverse of the normal distribution function:
    # M. Giles' erfinv (GPU Computing Gems, 2011).
    cdef vec w, centre, tail
    u = u + splat(<real>0.5)
    u = u * splat(<real>(1.0 / 8388608)) - splat(1)         # in (-1, 1)
    w = -log((1 - u) * (1 + u))
    centre, tail = w - splat(<real>2.5), square_root(w) - splat(3)
    centre = polynomial(centre, CENTRE)
    tail = polynomial(tail, TAIL)
    return u * select_lanes(less(w, splat(5)), centre, tail)


cdef double[9] CENTRE = [
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941]


cdef double[9] TAIL = [
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
    -0.0076224613, 0.00943887047, 1.00167406, 2.83297682]


cdef inline vec polynomial(vec x, const double* c) noexcept nogil:
    cdef vec p = splat(<real>c[0])
    cdef int k
    for k in range(1, 9):
        p = p * x + splat(<real>c[k])
    return p


cdef inline bint corrupts_inputs(const Noise* noise) noexcept nogil:
    # Whether x itself is changed.
    return noise.deviation > 0 or noise.rates[0] > 0
