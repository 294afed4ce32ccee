# Activations: each is one block here and one row of table.py. The row lists the block's functions.
#
#     sigma_X(z, p)                   sigma(z) for a vector of neurons; p is the parameter
#     sigma_prime_X(a, z, p)          sigma'(z); from a = sigma(z) alone if prime_from is "a"
#     sigma_second_X(a, z, p)         sigma''(z), if `curved`
#
# An output that saturates has further forms, listed in `from_z`. sigmoid(17) rounds to 1 in
# float32, and 1 - a to 0; but costs divide by 1 - a and take its logarithm. These forms neither
# cancel nor overflow:
#
#     compare_X(o, a, z, y, p)        a - y, 1 - a and 1 + a; compiled into the loops over outputs
#     below_above_X(o, z, p)          1 - a and 1 + a only; a - y follows from the smaller
#     slope_X(o, z, p)                sigma'(z)
#     slope_of_log_X(o, z, p)         (ln a)' = sigma'(z) / a
#     slope_of_log_below_X(o, z, p)   -(ln(1 - a))' = sigma'(z) / (1 - a)
#     log_of_output_X(o, z)           ln a
#     log_below_output_X(o, z)        ln(1 - a)
#
# Softmax acts on whole rows and is in softmax.pxi.


cdef inline vec by_sign(vec x, vec positive, vec other) noexcept nogil:
    # A NaN is kept.
    return select_lanes(less(splat(0), x), positive,
                        select_lanes(less(x, splat(SMALLEST)), other, x))


cdef inline bint any_lane(mask m) noexcept nogil:
    return nonzero_bits(select_lanes(m, splat(1), splat(0))) != 0


cdef inline vec quotient(vec x, vec y) noexcept nogil:
    # x / y, or 0 if y <= 0, where ln y does not exist
    return by_sign(y, x / y, splat(0))


cdef inline vec within_99(vec z) noexcept nogil:
    # For larger |z| the factor of z is zero; the clamp avoids 0 times infinity.
    return at_most(at_least(z, splat(-99)), splat(99))


cdef inline void compare(Output* o, vec a, vec y) noexcept nogil:
    # From a alone.
    o.a, o.minus_y = a, a - y
    o.below, o.above = 1 - a, 1 + a


# ---- sigmoid:  1 / (1 + e^-z)

cdef inline vec sigma_sigmoid(vec z, vec p) noexcept nogil:
    return logistic(z)

cdef inline vec sigma_prime_sigmoid(vec a, vec z, vec p) noexcept nogil:
    return a * (1 - a)

cdef inline vec sigma_second_sigmoid(vec a, vec z, vec p) noexcept nogil:
    return a * (1 - a) * (1 - 2 * a)

cdef inline void compare_sigmoid(Output* o, vec a, vec z, vec y, vec p) noexcept nogil:
    compare(o, a, y)
    if any_lane(less(splat(NEAR_1), a)):
        o.below = select_lanes(less(splat(NEAR_1), a), logistic(-z), o.below)
        o.minus_y = select_lanes(less(splat(NEAR_1), a), (1 - y) - o.below, o.minus_y)

cdef inline vec slope_sigmoid(const Output* o, vec z, vec p) noexcept nogil:
    return o.a * o.below

cdef inline vec slope_of_log_sigmoid(const Output* o, vec z, vec p) noexcept nogil:
    return o.below

cdef inline vec slope_of_log_below_sigmoid(const Output* o, vec z, vec p) noexcept nogil:
    return o.a

cdef inline vec log_of_output_sigmoid(const Output* o, vec z) noexcept nogil:
    # -softplus(-z)
    return at_most(z, splat(0)) - log1p(exp(-absolute(z)))

cdef inline vec log_below_output_sigmoid(const Output* o, vec z) noexcept nogil:
    # -softplus(z)
    return -at_least(z, splat(0)) - log1p(exp(-absolute(z)))


# ---- tanh

cdef inline vec sigma_tanh(vec z, vec p) noexcept nogil:
    return tanh(z)

cdef inline vec sigma_prime_tanh(vec a, vec z, vec p) noexcept nogil:
    return 1 - a * a

cdef inline vec sigma_second_tanh(vec a, vec z, vec p) noexcept nogil:
    return -(a + a) * (1 - a * a)

cdef inline void compare_tanh(Output* o, vec a, vec z, vec y, vec p) noexcept nogil:
    cdef vec s
    compare(o, a, y)
    if any_lane(less(splat(NEAR_1), absolute(a))):
        s = 2 * logistic(splat(-2) * absolute(z))
        o.below = select_lanes(less(splat(NEAR_1), a), s, o.below)
        o.above = select_lanes(less(splat(NEAR_1), -a), s, o.above)
        o.minus_y = select_lanes(
            less(splat(NEAR_1), a), (1 - y) - o.below,
            select_lanes(less(splat(NEAR_1), -a), o.above - (1 + y), o.minus_y))

cdef inline vec slope_tanh(const Output* o, vec z, vec p) noexcept nogil:
    return o.below * o.above

cdef inline vec slope_of_log_below_tanh(const Output* o, vec z, vec p) noexcept nogil:
    return o.above

cdef inline vec log_below_output_tanh(const Output* o, vec z) noexcept nogil:
    # ln(2 sigmoid(-2z))
    return select_lanes(less(splat(1), z), splat(<real>0.69314718055994531) - softplus(z + z),
                        log_with_complement(o.below, o.a))


# ---- relu:  max(z, 0)

cdef inline vec sigma_relu(vec z, vec p) noexcept nogil:
    return at_least(z, splat(0))

cdef inline vec sigma_prime_relu(vec a, vec z, vec p) noexcept nogil:
    return by_sign(a, splat(1), splat(0))


# ---- relu6:  min(max(z, 0), ceiling).  Krizhevsky, 2010, on CIFAR-10

cdef inline vec sigma_relu6(vec z, vec p) noexcept nogil:
    return at_most(at_least(z, splat(0)), p)

cdef inline vec sigma_prime_relu6(vec a, vec z, vec p) noexcept nogil:
    return by_sign(a, by_sign(p - a, splat(1), splat(0)), splat(0))


# ---- leaky_relu:  z for z > 0, else alpha z.  Maas, Hannun and Ng, 2013

cdef inline vec sigma_leaky_relu(vec z, vec p) noexcept nogil:
    return select_lanes(less(z, splat(0)), p * z, z)

cdef inline vec sigma_prime_leaky_relu(vec a, vec z, vec p) noexcept nogil:
    return by_sign(a, splat(1), p)


# ---- elu:  z for z > 0, else alpha (e^z - 1).  Clevert, Unterthiner and Hochreiter, 2016

cdef inline vec sigma_elu(vec z, vec p) noexcept nogil:
    return select_lanes(less(splat(0), z), z, p * expm1(z))

cdef inline vec sigma_prime_elu(vec a, vec z, vec p) noexcept nogil:
    return select_lanes(less(splat(0), a), splat(1), a + p)

cdef inline vec sigma_second_elu(vec a, vec z, vec p) noexcept nogil:
    return select_lanes(less(splat(0), a), splat(0), a + p)

cdef inline void below_above_elu(Output* o, vec z, vec p) noexcept nogil:
    # 1 + a = (1 - alpha) + alpha e^z
    o.above = select_lanes(less(z, splat(0)), (1 - p) + p * exp(z), o.above)

cdef inline vec slope_elu(const Output* o, vec z, vec p) noexcept nogil:
    return select_lanes(less(splat(0), z), splat(1), p * exp_everywhere(z))


# ---- selu:  elu with alpha = 1.67..., times 1.05...  Klambauer and others, 2017

cdef inline vec sigma_selu(vec z, vec p) noexcept nogil:
    return select_lanes(less(splat(0), z), splat(<real>1.0507009873554805) * z,
                        splat(<real>1.7580993408473769) * expm1(z))

cdef inline vec sigma_prime_selu(vec a, vec z, vec p) noexcept nogil:
    return select_lanes(less(splat(0), a), splat(<real>1.0507009873554805),
                        a + splat(<real>1.7580993408473769))

cdef inline vec sigma_second_selu(vec a, vec z, vec p) noexcept nogil:
    return select_lanes(less(splat(0), a), splat(0), a + splat(<real>1.7580993408473769))

cdef inline vec slope_selu(const Output* o, vec z, vec p) noexcept nogil:
    return select_lanes(less(splat(0), z), splat(<real>1.0507009873554805),
                        splat(<real>1.7580993408473769) * exp_everywhere(z))


# ---- gelu:  z P(normal < z).  Hendrycks and Gimpel, 2016

cdef inline vec sigma_gelu(vec z, vec p) noexcept nogil:
    cdef vec bell
    return z * normal_cdf(z, &bell)

cdef inline vec sigma_prime_gelu(vec a, vec z, vec p) noexcept nogil:
    # P + z density(z), density(z) = e^(-z^2/2) / sqrt(2 pi)
    cdef vec bell
    cdef vec s = normal_cdf(z, &bell)
    return s + within_99(z) * (bell * splat(<real>0.39894228040143268))

cdef inline vec sigma_second_gelu(vec a, vec z, vec p) noexcept nogil:
    # density(z) (2 - z^2)
    cdef vec bell
    z = within_99(z)
    normal_cdf(z, &bell)
    return bell * splat(<real>0.39894228040143268) * (2 - z * z)


# ---- gelu_tanh:  z (1 + tanh(w / 2)) / 2 = z sigmoid(w), w = 2 sqrt(2/pi) (z + 0.044715 z^3)

cdef inline vec sigma_gelu_tanh(vec z, vec p) noexcept nogil:
    cdef vec low
    cdef vec w = gelu_tanh_argument(z, &low)
    cdef vec s = z / (1 + exp_of_sum(w, low))
    if any_lane(less(z, splat(GELU_TAIL))):     # e^-w overflows before z e^w underflows
        s = select_lanes(less(z, splat(GELU_TAIL)), times_exp(z, -w, -low), s)
    return s

cdef inline vec sigma_prime_gelu_tanh(vec a, vec z, vec p) noexcept nogil:
    # With s = sigmoid(w): s + z s (1 - s) w'
    cdef vec low, w_prime
    cdef vec x = within_99(z)
    cdef vec w = gelu_tanh_argument(x, &low)
    cdef vec s = 1 / (1 + exp_of_sum(w, low))
    w_prime = splat(<real>1.5957691216057308) + splat(<real>0.21406444881780075) * x * x
    s = s + x * s * (1 - s) * w_prime
    if any_lane(less(z, splat(GELU_TAIL))):     # where 1 - s rounds to 1
        s = select_lanes(less(z, splat(GELU_TAIL)), times_exp(1 + x * w_prime, -w, -low), s)
    return s

cdef inline vec sigma_second_gelu_tanh(vec a, vec z, vec p) noexcept nogil:
    # s (1 - s) (2 w' + z w'' + z (1 - 2 s) w'^2)
    cdef vec s, w
    z = within_99(z)
    s = gelu_tanh_argument(z, &w)
    s = 1 / (1 + exp_of_sum(s, w))
    w = splat(<real>1.5957691216057308) + splat(<real>0.21406444881780075) * z * z
    return s * (1 - s) * (2 * w + splat(<real>0.4281288976356015) * z * z
                          + z * (1 - 2 * s) * w * w)


# ---- silu:  z / (1 + e^-z).  Elfwing, Uchibe and Doya, 2017; swish: Ramachandran and others, 2017

cdef inline vec sigma_silu(vec z, vec p) noexcept nogil:
    cdef vec s = z / (1 + exp(-z))
    if any_lane(less(z, splat(SILU_TAIL))):
        s = select_lanes(less(z, splat(SILU_TAIL)), times_exp(z, z, splat(0)), s)
    return s

cdef inline vec sigma_prime_silu(vec a, vec z, vec p) noexcept nogil:
    cdef vec s = logistic(z)
    s = s + a * (1 - s)
    if any_lane(less(z, splat(SILU_TAIL))):
        s = select_lanes(less(z, splat(SILU_TAIL)), times_exp(1 + z, z, splat(0)), s)
    return s

cdef inline vec sigma_second_silu(vec a, vec z, vec p) noexcept nogil:
    cdef vec s
    z = within_99(z)
    s = logistic(z)
    return s * (1 - s) * (2 + z * (1 - 2 * s))


# ---- mish:  z tanh(ln(1 + e^z)) = z t.  Misra, 2020

cdef inline vec mish_factor(vec z, vec* e, vec* n) noexcept nogil:
    # t = ((1 + e^z)^2 - 1) / ((1 + e^z)^2 + 1) = n / (n + 2); from z = 20 on, 1
    e[0] = exp(at_most(z, splat(20)))
    n[0] = e[0] * (e[0] + 2)
    return n[0] / (n[0] + 2)

cdef inline vec sigma_mish(vec z, vec p) noexcept nogil:
    cdef vec e, n
    cdef vec s = z * mish_factor(z, &e, &n)
    if any_lane(less(z, splat(SILU_TAIL))):     # where t rounds to e^z
        s = select_lanes(less(z, splat(SILU_TAIL)), times_exp(z, z, splat(0)), s)
    return s

cdef inline vec sigma_prime_mish(vec a, vec z, vec p) noexcept nogil:
    # t + z t', t' = 4 e^z (1 + e^z) / (n + 2)^2
    cdef vec e, n
    cdef vec t = mish_factor(z, &e, &n)
    cdef vec s = t + at_most(z, splat(20)) * (4 * e * (1 + e) / (n + 2) / (n + 2))
    if any_lane(less(z, splat(SILU_TAIL))):
        s = select_lanes(less(z, splat(SILU_TAIL)), times_exp(1 + z, z, splat(0)), s)
    return s

cdef inline vec sigma_second_mish(vec a, vec z, vec p) noexcept nogil:
    # 2 t' + z t'', t'' = t' ((1 + 2 e^z) / (1 + e^z) - 4 e^z (1 + e^z) / (n + 2))
    cdef vec e, n, slope_of_t
    mish_factor(z, &e, &n)
    slope_of_t = 4 * e * (1 + e) / (n + 2) / (n + 2)
    z = at_most(within_99(z), splat(20))
    return slope_of_t * (2 + z * ((1 + 2 * e) / (1 + e) - 4 * e * (1 + e) / (n + 2)))


# ---- softplus:  ln(1 + e^z).  Dugas and others, 2001

cdef inline vec sigma_softplus(vec z, vec p) noexcept nogil:
    return softplus(z)

cdef inline vec sigma_prime_softplus(vec a, vec z, vec p) noexcept nogil:
    # 1 - e^-a
    return -expm1(-a)

cdef inline vec sigma_second_softplus(vec a, vec z, vec p) noexcept nogil:
    # s (1 - s) for s = 1 - e^-a
    return -expm1(-a) * exp(-a)

cdef inline vec slope_of_log_softplus(const Output* o, vec z, vec p) noexcept nogil:
    # 1 - e^z / 2 + ...
    return select_lanes(less(z, splat(-20 if REAL_BYTES == 4 else -40)), splat(1),
                        quotient(sigma_prime_softplus(o.a, z, p), o.a))

cdef inline vec log_of_output_softplus(const Output* o, vec z) noexcept nogil:
    # z - e^z / 2 + ...
    return select_lanes(less(z, splat(-20 if REAL_BYTES == 4 else -40)), z,
                        log_with_complement(o.a, o.below))


# ---- softsign:  z / (1 + |z|).  Bergstra, Desjardins, Lamblin and Bengio, 2009

cdef inline vec sigma_softsign(vec z, vec p) noexcept nogil:
    return z / (1 + absolute(z))

cdef inline vec sigma_prime_softsign(vec a, vec z, vec p) noexcept nogil:
    return (1 - absolute(a)) * (1 - absolute(a))

cdef inline vec sigma_second_softsign(vec a, vec z, vec p) noexcept nogil:
    cdef vec s = 1 - absolute(a)
    s = (s + s) * s * s
    return select_lanes(less(splat(0), a), -s, select_lanes(less(a, splat(0)), s, splat(0)))

cdef inline void below_above_softsign(Output* o, vec z, vec p) noexcept nogil:
    cdef vec s = 1 / (1 + absolute(z))
    o.below = select_lanes(less(splat(0), z), s, o.below)
    o.above = select_lanes(less(z, splat(0)), s, o.above)

cdef inline vec slope_softsign(const Output* o, vec z, vec p) noexcept nogil:
    return 1 / ((1 + absolute(z)) * (1 + absolute(z)))


# ---- hard_sigmoid:  min(max(z + 3, 0), 6) / 6.  Howard and others, MobileNetV3, 2019

cdef inline vec sigma_hard_sigmoid(vec z, vec p) noexcept nogil:
    return at_most(at_least(z + 3, splat(0)), splat(6)) / 6

cdef inline vec sigma_prime_hard_sigmoid(vec a, vec z, vec p) noexcept nogil:
    return by_sign(a * (1 - a), splat(<real>(1.0 / 6)), splat(0))

cdef inline void below_above_hard_sigmoid(Output* o, vec z, vec p) noexcept nogil:
    o.below = at_most(at_least(3 - z, splat(0)), splat(6)) / 6


# ---- hard_tanh:  min(max(z, -1), 1).  Collobert, 2004

cdef inline vec sigma_hard_tanh(vec z, vec p) noexcept nogil:
    return at_most(at_least(z, splat(-1)), splat(1))

cdef inline vec sigma_prime_hard_tanh(vec a, vec z, vec p) noexcept nogil:
    return by_sign((1 - a) * (1 + a), splat(1), splat(0))


# ---- exponential:  e^z

cdef inline vec sigma_exponential(vec z, vec p) noexcept nogil:
    return exp_everywhere(z)

cdef inline vec sigma_prime_exponential(vec a, vec z, vec p) noexcept nogil:
    return a

cdef inline vec sigma_second_exponential(vec a, vec z, vec p) noexcept nogil:
    return a

cdef inline void below_above_exponential(Output* o, vec z, vec p) noexcept nogil:
    o.below = -expm1(z)

cdef inline vec slope_exponential(const Output* o, vec z, vec p) noexcept nogil:
    # Clamp to finite numbers, because a hinge may multiply it by 0.
    return at_most(o.a, splat(LARGEST))

cdef inline vec slope_of_log_exponential(const Output* o, vec z, vec p) noexcept nogil:
    # 1, or NaN for a NaN
    return 1 + 0 * at_most(at_least(z, splat(-1)), splat(1))

cdef inline vec log_of_output_exponential(const Output* o, vec z) noexcept nogil:
    return z


# ---- gaussian:  e^(-z^2)

cdef inline vec sigma_gaussian(vec z, vec p) noexcept nogil:
    return exp_minus_square(z, 1)

cdef inline vec sigma_prime_gaussian(vec a, vec z, vec p) noexcept nogil:
    return -(z + z) * a

cdef inline vec sigma_second_gaussian(vec a, vec z, vec p) noexcept nogil:
    z = within_99(z)
    return (4 * z * z - 2) * a

cdef inline void below_above_gaussian(Output* o, vec z, vec p) noexcept nogil:
    o.below = -expm1(-z * z)

cdef inline vec slope_of_log_gaussian(const Output* o, vec z, vec p) noexcept nogil:
    return -(z + z)

cdef inline vec slope_of_log_below_gaussian(const Output* o, vec z, vec p) noexcept nogil:
    # -2 / z near 0, where 1 - a = z^2 underflows
    cdef vec s = select_lanes(
        less(absolute(z), splat(<real>1e-4 if REAL_BYTES == 4 else <real>1e-7)),
        splat(-2) / z, quotient(sigma_prime_gaussian(o.a, z, p), o.below))
    return select_lanes(less(splat(0), absolute(z)), s, splat(0))

cdef inline vec log_of_output_gaussian(const Output* o, vec z) noexcept nogil:
    return -z * z

cdef inline vec log_below_output_gaussian(const Output* o, vec z) noexcept nogil:
    return select_lanes(
        less(absolute(z), splat(<real>1e-4 if REAL_BYTES == 4 else <real>1e-7)),
        2 * log(absolute(z)), log_with_complement(o.below, o.a))


# ---- sine:  sin z.  Sitzmann and others, 2020

cdef inline vec sigma_sine(vec z, vec p) noexcept nogil:
    return sin(z)

cdef inline vec sigma_prime_sine(vec a, vec z, vec p) noexcept nogil:
    return cos(z)

cdef inline vec sigma_second_sine(vec a, vec z, vec p) noexcept nogil:
    return -a

cdef inline void below_above_sine(Output* o, vec z, vec p) noexcept nogil:
    # (1 - a) (1 + a) = cos^2
    cdef vec s = cos(z)
    cdef vec a = o.a
    o.below = select_lanes(less(splat(<real>0.5), a), s * s / (1 + a), o.below)
    o.above = select_lanes(less(a, splat(<real>-0.5)), s * s / (1 - a), o.above)

cdef inline vec slope_of_log_below_sine(const Output* o, vec z, vec p) noexcept nogil:
    # cos / (1 - sin) = (1 + sin) / cos
    return select_lanes(less(splat(0), o.a), o.above / cos(z), quotient(cos(z), o.below))


# ---- identity:  z

cdef inline vec sigma_identity(vec z, vec p) noexcept nogil:
    return z
