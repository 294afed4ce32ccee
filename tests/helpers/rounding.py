"""bfloat16 in NumPy, by the bits: the oracle of products that round what they multiply."""

import numpy as np


def rounded(x):
    """The nearest bfloat16, or the even one of two, as float32; subnormals are 0."""
    x = np.asarray(x, np.float32)
    bits = x.view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    nearest = np.where(np.isnan(x), (bits | 0x400000) & 0xFFFF0000, nearest)
    nearest = np.where(bits & 0x7F800000 == 0, bits & 0x80000000, nearest)
    return nearest.astype(np.uint32).view(np.float32)


def product(a, b, sums=1):
    """a b, (m, K) and (K, J), in the CPU's order: of two neighbours, the second one first.

    float64 has every product and, but for rare ties, every sum before it is rounded. The pairs go
    into so many sums in turn.
    """
    a, b = (np.pad(rounded(x), width) for x, width in (
        (a, ((0, 0), (0, a.shape[1] % 2))), (b, ((0, b.shape[0] % 2), (0, 0)))))
    pairs = len(b) // 2
    total = [np.zeros((len(a), b.shape[1]), np.float32) for _ in range(sums)]
    for p in range(pairs):
        at = p % sums if p < pairs // sums * sums else 0
        for q in (2 * p + 1, 2 * p):
            exact = total[at] + np.float64(a[:, q, None]) * np.float64(b[q])
            total[at] = exact.astype(np.float32)
    return sum(total[1:], total[0])
