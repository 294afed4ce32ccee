# Chapter 2 of M. Nielsen, Neural Networks and Deep Learning, in plain loops: to read and to change.
#
# The fast chapter of the core has the same functions in the same order. This one computes in
# float64, with sigmoid neurons and the quadratic cost. It trusts its arguments: __init__.py checks
# them.
#
# Notation
# --------
# w is (J, K), and w[j, k] leads from neuron k of a layer to neuron j of the next; b is (J, 1).
# Examples are rows: for a mini-batch of m examples, z, a and delta are (m, J).
# Lists hold one array for each layer, and a[0] is x. So w[l] leads from a[l] to z[l], and
# a[l + 1] = sigma(z[l]); delta[l] = dC/dz[l].

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport exp

import numpy as np


# Another activation or another cost goes here.

cdef double sigma(double z) noexcept:
    return 1 / (1 + exp(-z))


cdef double sigma_prime(double z) noexcept:
    return sigma(z) * sigma(-z)         # sigma(-z) is 1 - sigma(z), with all its digits


cdef double cost_derivative(double a, double y) noexcept:
    return a - y                        # of C = 1/2 sum_j (y_j - a_j)^2


def feedforward(list w, list b, x):
    # (25)  a^l = sigma(w^l a^(l-1) + b^l)
    cdef Py_ssize_t l
    z, a = [], [x]
    for l in range(len(w)):
        z.append(np.empty((len(x), len(w[l]))))
        a.append(np.empty((len(x), len(w[l]))))
        weighted_input(z[l], w[l], b[l], a[l])
        activate(a[l + 1], z[l])
    return z, a


cdef void weighted_input(
    double[:, ::1] z,                   # OUT (m, J)
    const double[:, ::1] w,             # IN  (J, K)
    const double[:, ::1] b,             # IN  (J, 1)
    const double[:, ::1] a,             # IN  (m, K)  activation of the layer before
) noexcept:
    # z^l = w^l a^(l-1) + b^l
    cdef Py_ssize_t i, j, k
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] = b[j, 0]
            for k in range(a.shape[1]):
                z[i, j] += w[j, k] * a[i, k]


cdef void activate(
    double[:, ::1] a,                   # OUT (m, J)
    const double[:, ::1] z,             # IN  (m, J)
) noexcept:
    # a^l = sigma(z^l)
    cdef Py_ssize_t i, j
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            a[i, j] = sigma(z[i, j])


cdef void output_error(
    double[:, ::1] delta,               # OUT (m, J)  error of the last layer
    const double[:, ::1] z,             # IN  (m, J)
    const double[:, ::1] a,             # IN  (m, J)
    const double[:, ::1] y,             # IN  (m, J)
) noexcept:
    # BP1   delta^L = grad_a C * sigma'(z^L)
    cdef Py_ssize_t i, j
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            delta[i, j] = cost_derivative(a[i, j], y[i, j]) * sigma_prime(z[i, j])


cdef void backpropagate_error(
    double[:, ::1] delta,               # OUT (m, K)  error of layer l
    const double[:, ::1] w_next,        # IN  (J, K)  from layer l to layer l+1
    const double[:, ::1] delta_next,    # IN  (m, J)  error of layer l+1
    const double[:, ::1] z,             # IN  (m, K)  weighted input of layer l
) noexcept:
    # BP2   delta^l = ((w^(l+1))^T delta^(l+1)) * sigma'(z^l)
    cdef Py_ssize_t i, j, k
    for i in range(delta.shape[0]):
        for k in range(delta.shape[1]):
            delta[i, k] = 0
            for j in range(delta_next.shape[1]):
                delta[i, k] += w_next[j, k] * delta_next[i, j]
            delta[i, k] *= sigma_prime(z[i, k])


cdef void add_bias_gradient(
    double[:, ::1] nabla_b,             # IN, OUT (J, 1)
    const double[:, ::1] delta,         # IN  (m, J)
) noexcept:
    # BP3   dC/db^l_j = delta^l_j
    cdef Py_ssize_t i, j
    for i in range(delta.shape[0]):
        for j in range(delta.shape[1]):
            nabla_b[j, 0] += delta[i, j]


cdef void add_weight_gradient(
    double[:, ::1] nabla_w,             # IN, OUT (J, K)
    const double[:, ::1] a,             # IN  (m, K)  activation of the layer before
    const double[:, ::1] delta,         # IN  (m, J)
) noexcept:
    # BP4   dC/dw^l_jk = a^(l-1)_k delta^l_j
    cdef Py_ssize_t i, j, k
    for i in range(delta.shape[0]):
        for j in range(delta.shape[1]):
            for k in range(a.shape[1]):
                nabla_w[j, k] += a[i, k] * delta[i, j]


def backprop(list w, list b, x, y):
    # sum_x dC_x/db and sum_x dC_x/dw, by BP1 to BP4
    cdef Py_ssize_t l, last = len(w) - 1
    z, a = feedforward(w, b, x)
    delta = [np.empty_like(z[l]) for l in range(last + 1)]
    nabla_b = [np.zeros_like(b[l]) for l in range(last + 1)]
    nabla_w = [np.zeros_like(w[l]) for l in range(last + 1)]
    output_error(delta[last], z[last], a[last + 1], y)
    for l in range(last - 1, -1, -1):
        backpropagate_error(delta[l], w[l + 1], delta[l + 1], z[l])
    for l in range(last + 1):
        add_bias_gradient(nabla_b[l], delta[l])
        add_weight_gradient(nabla_w[l], a[l], delta[l])
    return nabla_b, nabla_w


def update_mini_batch(list w, list b, x, y, double eta):
    # w -> w - (eta/m) sum_x dC_x/dw,  b -> b - (eta/m) sum_x dC_x/db
    cdef Py_ssize_t l, m = len(x)
    nabla_b, nabla_w = backprop(w, b, x, y)
    for l in range(len(w)):
        step_down(w[l], nabla_w[l], eta, m)
        step_down(b[l], nabla_b[l], eta, m)


cdef void step_down(
    double[:, ::1] w,                   # IN, OUT; or b
    const double[:, ::1] nabla_w,       # IN  summed over the examples
    double eta, Py_ssize_t m,
) noexcept:
    cdef Py_ssize_t j, k
    for j in range(w.shape[0]):
        for k in range(w.shape[1]):
            w[j, k] = w[j, k] - eta / m * nabla_w[j, k]


def sgd(list w, list b, x, y, order, Py_ssize_t mini_batch_size, double eta):
    # One epoch. The last mini-batch may be shorter: its m is its own.
    cdef Py_ssize_t first
    for first in range(0, len(order), mini_batch_size):
        mini_batch = order[first:first + mini_batch_size]
        update_mini_batch(w, b, x[mini_batch], y[mini_batch], eta)
        PyErr_CheckSignals()            # Ctrl-C
