# Elementary functions on vectors, in both real types and every build.
#
# Each function reduces its argument to a small range, where a minimax polynomial (tools/minimax.py)
# has an error well below half an ulp. With rounding, the error is at most 4 ulp (docs/accuracy.md).
# NaNs are kept, and nothing overflows; comments state the range of arguments.
#
# If an argument is a rounded product, as in e^(-z^2), its relative rounding error is multiplied by
# the argument's size. Such an argument is passed in two parts, of which the first is exact: a
# product of numbers truncated to half their mantissas. Builds without fused multiply-add have no
# other way to compute the rest of a product.


# ---- exp ----


cdef inline vec exp_reduce(vec x, vec* scale) noexcept nogil:
    # e^x = 2^n e^r with |r| <= ln(2) / 2. Return r, and 2^n in `scale`. x is clamped to the range
    # from the logarithm of the smallest normal real to that of the largest power of 2.
    cdef vec t, n
    x = at_most(at_least(x, splat(LN_SMALLEST)),
                splat(LN_LARGEST_POWER))
    t = x * splat(<real>1.4426950408889634) + splat(ROUND_TO_INT)
    n = t - splat(ROUND_TO_INT)
    scale[0] = power_of_two(t)
    if REAL_BYTES == 4:
        return x - n * splat(<real>0.693359375) + n * splat(<real>2.12194440e-4)
    x = x - n * splat(<real>6.93147180369123816490e-01)
    return x - n * splat(<real>1.90821492927058770002e-10)


cdef inline vec small_expm1(vec r) noexcept nogil:
    # e^r - 1 for |r| <= ln(2) / 2, and slightly larger |r|
    cdef vec q
    if REAL_BYTES == 4:
        q = splat(<real>0.001395157814)
        q = q * r + splat(<real>0.008369530816)
        q = q * r + splat(<real>0.04166619023)
        q = q * r + splat(<real>0.1666651363)
        q = q * r + splat(<real>0.5000000099)
    else:
        q = splat(<real>2.511888810834870829e-8)
        q = q * r + splat(<real>2.763232852552374371e-7)
        q = q * r + splat(<real>2.755721317543483152e-6)
        q = q * r + splat(<real>0.00002480148737472499918)
        q = q * r + splat(<real>0.000198412699207087945)
        q = q * r + splat(<real>0.001388888894905212086)
        q = q * r + splat(<real>0.008333333333305778842)
        q = q * r + splat(<real>0.04166666666650986169)
        q = q * r + splat(<real>0.1666666666666670104)
        q = q * r + splat(<real>0.5000000000000013027)
    return r + r * r * q


cdef inline vec exp(vec x) noexcept nogil:
    cdef vec scale
    cdef vec q = small_expm1(exp_reduce(x, &scale))
    return scale + scale * q


cdef inline vec exp_in_halves(vec x, vec low, vec* rest) noexcept nogil:
    # e^(x + low) as a product of two factors. Neither overflows or underflows, even if their
    # product does, so a factor multiplied in between may bring the result back into range.
    cdef vec t, n, half
    x = at_most(at_least(x, splat(2 * LN_SMALLEST)), splat(2 * LN_LARGEST_POWER - 1))
    t = x * splat(<real>1.4426950408889634) + splat(ROUND_TO_INT)
    n = t - splat(ROUND_TO_INT)
    if REAL_BYTES == 4:
        x = x - n * splat(<real>0.693359375) + n * splat(<real>2.12194440e-4)
    else:
        x = x - n * splat(<real>6.93147180369123816490e-01)
        x = x - n * splat(<real>1.90821492927058770002e-10)
    t = splat(<real>0.5) * n + splat(ROUND_TO_INT)
    half = power_of_two(t)
    rest[0] = power_of_two((n - (t - splat(ROUND_TO_INT))) + splat(ROUND_TO_INT))
    return half + half * small_expm1(x + low)


cdef inline vec exp_everywhere(vec x) noexcept nogil:
    # e^x for any x: infinite above the largest real, 0 below the smallest
    cdef vec rest
    cdef vec half = exp_in_halves(x, splat(0), &rest)
    return half * rest


cdef inline vec exp_of_sum(vec x, vec low) noexcept nogil:
    # e^(x + low), where low is of the order of x's rounding error
    cdef vec scale
    cdef vec q = small_expm1(exp_reduce(x, &scale) + low)
    return scale + scale * q


cdef inline vec expm1(vec x) noexcept nogil:
    # Near 0, 2^n = 1 and nothing cancels.
    cdef vec scale
    cdef vec q = small_expm1(exp_reduce(x, &scale))
    return scale * q + (scale - 1)


cdef inline vec exp_minus_square(vec x, real factor) noexcept nogil:
    # e^(-factor x^2) for factor 1 or 1/2; 0 below the smallest normal real. With x = high + rest,
    # x^2 = high^2 + rest (x + high).
    x = at_most(absolute(x), splat(14 if REAL_BYTES == 4 else 39))
    cdef vec high = upper_half(x)
    cdef vec square = -splat(factor) * high * high
    return select_lanes(less(square, splat(LN_SMALLEST)), splat(0),
                        exp_of_sum(square, -splat(factor) * (x - high) * (x + high)))


# ---- log ----

cdef inline vec log_of(vec n, vec f) noexcept nogil:
    # ln(2^n (1 + f)) = n ln 2 + 2 artanh(s), s = f / (2 + f), for 1 + f in [sqrt(1/2), sqrt(2)]
    cdef vec s, z, q
    s = f / (f + 2)
    z = s * s
    if REAL_BYTES == 4:
        q = splat(<real>0.2359329004)
        q = q * z + splat(<real>0.2853678908)
        q = q * z + splat(<real>0.4000034203)
        q = q * z + splat(<real>0.6666666562)
    else:
        q = splat(<real>0.1480753007249915381)
        q = q * z + splat(<real>0.1531300319949760567)
        q = q * z + splat(<real>0.1818360046020373075)
        q = q * z + splat(<real>0.2222219798371684133)
        q = q * z + splat(<real>0.2857142874690571417)
        q = q * z + splat(<real>0.3999999999940134392)
        q = q * z + splat(<real>0.6666666666666734928)
    # 2 artanh(s) = f - s (f - z q)
    return n * splat(<real>0.69314718055994531) + (f - s * (f - z * q))


cdef inline vec log(vec x) noexcept nogil:
    # ln(x); smaller x count as the smallest normal real. Infinity and NaN are kept.
    x = at_least(x, splat(SMALLEST))
    return select_lanes(less(x, splat(<real>INFINITY)),
                        log_of(exponent_of(x), mantissa_of(x) - 1), x)


cdef inline vec log_with_complement(vec x, vec rest) noexcept nogil:
    # ln(x), where rest = 1 - x is known more exactly than from x. Near 1, return ln(1 - rest).
    cdef mask near = less(absolute(rest), splat(<real>0.29))
    x = at_least(x, splat(SMALLEST))
    return select_lanes(
        less(x, splat(<real>INFINITY)),
        log_of(select_lanes(near, splat(0), exponent_of(x)),
               select_lanes(near, -rest, mantissa_of(x) - 1)), x)


cdef inline vec log1p(vec x) noexcept nogil:
    # ln(1 + x) for 0 <= x <= 1, without rounding 1 + x
    cdef mask small = less(x, splat(<real>0.41421356237309505))
    return log_of(select_lanes(small, splat(0), splat(1)),
                  select_lanes(small, x, splat(<real>0.5) * (x - 1)))


cdef inline vec log_cosh(vec x) noexcept nogil:
    # |x| - ln 2 + ln(1 + e^-2|x|). Below 3/4, where that cancels: x^2 q(x^2).
    cdef vec s, q, large
    x = absolute(x)
    s = x * x
    if REAL_BYTES == 4:
        q = splat(<real>-0.0004296332655319314601)
        q = q * s + splat(<real>0.002014012658589222053)
        q = q * s - splat(<real>0.006698606869485263887)
        q = q * s + splat(<real>0.02221619518545914512)
        q = q * s - splat(<real>0.08333304971480794424)
        q = q * s + splat(<real>0.4999999978215868562)
    else:
        q = splat(<real>-5.818530483403533067e-8)
        q = q * s + splat(<real>3.844318110196772842e-7)
        q = q * s - splat(<real>1.433101720668348417e-6)
        q = q * s + splat(<real>4.279132285487145686e-6)
        q = q * s - splat(<real>0.00001190114904662275343)
        q = q * s + splat(<real>0.0000327619917945509721)
        q = q * s - splat(<real>0.00009098579276576288991)
        q = q * s + splat(<real>0.000256579971291564328)
        q = q * s - splat(<real>0.0007386028965869338654)
        q = q * s + splat(<real>0.002186948849165840185)
        q = q * s - splat(<real>0.006746031745846676838)
        q = q * s + splat(<real>0.02222222222221819842)
        q = q * s - splat(<real>0.08333333333333329883)
        q = q * s + splat(<real>0.5)
    large = (x - splat(<real>0.69314718055994531)) + log1p(exp(-(x + x)))
    return select_lanes(less(x, splat(<real>0.75)), s * q, large)


# ---- functions of exp and log ----

cdef inline vec logistic(vec z) noexcept nogil:
    return reciprocal(1 + exp(-z))


cdef inline vec tanh(vec z) noexcept nogil:
    # (e^2|z| - 1) / (e^2|z| + 1), with the sign of z. expm1 avoids cancellation near 0.
    cdef vec q = expm1(absolute(z + z))
    return sign_of(q / (q + 2), z)


cdef inline vec times_exp(vec x, vec w, vec low) noexcept nogil:
    # x e^(w + low), accurate as long as it is a normal real
    cdef vec rest
    cdef vec half = exp_in_halves(w, low, &rest)
    return x * half * rest


cdef inline vec softplus(vec z) noexcept nogil:
    # ln(1 + e^z) = max(z, 0) + ln(1 + e^-|z|)
    return at_least(z, splat(0)) + log1p(exp(-absolute(z)))


# ---- the normal distribution ----

cdef inline vec normal_cdf(vec z, vec* bell) noexcept nogil:
    # P(normal < z), and e^(-z^2/2) in `bell`. With x = |z| and t = (x - 4) / (x + 4), the tail is
    # e^(-x^2/2) q(t) / (1 + 0.75 x). The 0.75 makes q flat near x = 0, where t's rounding matters
    # most.
    cdef vec x = at_most(absolute(z), splat(14 if REAL_BYTES == 4 else 39))
    cdef vec t = (x - 4) / (x + 4)
    cdef vec q, tail
    if REAL_BYTES == 4:
        q = splat(<real>-0.0000520869216926698594)
        q = q * t - splat(<real>0.00005968661531771033515)
        q = q * t + splat(<real>0.0004763794028142573391)
        q = q * t - splat(<real>0.00006522080484439558879)
        q = q * t - splat(<real>0.003627092367499667633)
        q = q * t + splat(<real>0.01133127311752962595)
        q = q * t - splat(<real>0.01643171978847825633)
        q = q * t + splat(<real>0.003523226187340477461)
        q = q * t + splat(<real>0.0415945122585868182)
        q = q * t - splat(<real>0.1151270333095429575)
        q = q * t + splat(<real>0.3776425654434858266)
    else:
        q = splat(<real>-5.769618292929231878e-10)
        q = q * t - splat(<real>1.212797085012266062e-9)
        q = q * t + splat(<real>4.312250619933447424e-9)
        q = q * t + splat(<real>1.331431462353992394e-8)
        q = q * t - splat(<real>1.219988679962634728e-8)
        q = q * t - splat(<real>8.099237791171200229e-8)
        q = q * t - splat(<real>1.184948727913976303e-8)
        q = q * t + splat(<real>3.905459328457063036e-7)
        q = q * t + splat(<real>3.546978416618895474e-7)
        q = q * t - splat(<real>1.794361474612175635e-6)
        q = q * t - splat(<real>2.781430133983311547e-6)
        q = q * t + splat(<real>9.144286822499559414e-6)
        q = q * t + splat(<real>0.0000170954057551078896)
        q = q * t - splat(<real>0.00005872780823800985742)
        q = q * t - splat(<real>0.00008221141004137837307)
        q = q * t + splat(<real>0.0004743767622377747613)
        q = q * t - splat(<real>0.00005451386100639340119)
        q = q * t - splat(<real>0.003624893424646749968)
        q = q * t + splat(<real>0.01132904923925594832)
        q = q * t - splat(<real>0.0164321770444784117)
        q = q * t + splat(<real>0.003523421205728030684)
        q = q * t + splat(<real>0.04159453987813479538)
        q = q * t - splat(<real>0.1151270383820082044)
        q = q * t + splat(<real>0.3776425652078757451)
    bell[0] = exp_minus_square(x, 0.5)
    tail = bell[0] * q / (1 + splat(<real>0.75) * x)
    return select_lanes(less(splat(0), z), 1 - tail, tail)


cdef inline vec gelu_tanh_argument(vec z, vec* low) noexcept nogil:
    # -w for w = 2 sqrt(2/pi) (z + 0.044715 z^3) = z (c + d z^2), because 0.5 (1 + tanh(w/2)) =
    # 1 / (1 + e^-w). Each factor has two parts: z = high + rest, z^2 = s + s_rest,
    # c + d z^2 = g + g_rest.
    cdef vec x, high, rest, s, s_rest, product, total, of_product, g, g_rest
    cdef real c = 1.59576904773712158203125 if REAL_BYTES == 4 else 1.59576912160573058940826740582
    cdef real c_rest = 7.386860912972853424e-8 if REAL_BYTES == 4 else 1.2235151683392210494e-16
    cdef real d = 0.07135009765625 if REAL_BYTES == 4 else 0.07135481573641300201416015625
    cdef real d_rest = 4.7186163502487763388e-6 if REAL_BYTES == 4 else 5.3618724676217859603e-10
    x = at_most(at_least(z, splat(-14 if REAL_BYTES == 4 else -28)),
                splat(14 if REAL_BYTES == 4 else 28))
    high = upper_half(x)
    rest = x - high
    s = upper_half(high * high)
    s_rest = (high * high - s) + rest * (x + high)
    product = splat(d) * s
    total = splat(c) + product
    of_product = total - splat(c)       # Knuth's two-sum: c + product = total + error
    g = upper_half(total)
    g_rest = ((total - g) + ((splat(c) - (total - of_product)) + (product - of_product))
              + (splat(c_rest) + (splat(d) * s_rest + splat(d_rest) * (s + s_rest))))
    low[0] = -(rest * g + x * g_rest)
    return -high * g


# ---- sin and cos ----

cdef inline vec sin_of(vec z, real shift) noexcept nogil:
    # (-1)^n sin(r) with z = (n - shift) pi + r: sin for shift 0, cos for shift 1/2. pi has four
    # parts; the first three are so short that their products with n are exact for |z| <= 10^4. For
    # larger |z| the result stays bounded.
    cdef vec t, n, r, s, q
    t = z * splat(<real>0.31830988618379067) + splat(shift) + splat(ROUND_TO_INT)
    n = t - splat(ROUND_TO_INT) - splat(shift)
    if REAL_BYTES == 4:
        r = z - n * splat(<real>3.140625)
        r = r - n * splat(<real>0.000967502593994140625)
        r = r - n * splat(<real>1.509906724095344543457031e-7)
        r = r - n * splat(<real>5.126688303189037576e-12)
    else:
        r = z - n * splat(<real>3.14159265346825122833252)
        r = r - n * splat(<real>1.21542010126079319531911e-10)
        r = r - n * splat(<real>4.044532497422332911591991e-21)
        r = r - n * splat(<real>1.69568553207377992879174e-31)
    r = at_most(at_least(r, splat(-2)), splat(2))
    s = r * r
    if REAL_BYTES == 4:
        q = splat(<real>2.605136942531063723e-6)
        q = q * s - splat(<real>0.000198099430506463025)
        q = q * s + splat(<real>0.008333084135293908807)
        q = q * s - splat(<real>0.166666610839187858)
    else:
        q = splat(<real>2.721564494332204122e-15)
        q = q * s - splat(<real>7.643056021714138427e-13)
        q = q * s + splat(<real>1.605894347078238114e-10)
        q = q * s - splat(<real>2.505210697906333225e-8)
        q = q * s + splat(<real>2.755731921272303284e-6)
        q = q * s - splat(<real>0.0001984126984122159741)
        q = q * s + splat(<real>0.008333333333333239598)
        q = q * s - splat(<real>0.1666666666666666613)
    return negate_odd(r + r * s * q, t)


cdef inline vec sin(vec z) noexcept nogil:
    return sin_of(z, 0)


cdef inline vec cos(vec z) noexcept nogil:
    return sin_of(z, 0.5)
