# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A control loop of 1 kHz whose network learns while it controls, all without the interpreter."""

from libc.math cimport M_PI, fabs, sin, tanh

from cbackprop.core cimport Network32, network32

cdef double DT = 1e-3                   # seconds of a step
cdef double STIFF = 400, DAMPED = 40    # of the feedback: critically damped


cdef double plant(double u, double x, double v) noexcept nogil:
    # The acceleration of a cart on a spring that hardens, with friction. The controller knows
    # nothing of it.
    return u - 8 * x * x * x - 2 * tanh(10 * v) - 3 * x


def follow(net, int seconds, double eta):
    """
    Make the cart follow x = sin(pi t), by feedback and by what the network has learned.

    The network takes position and velocity, and learns, an example each step, from the force that
    was asked for and the acceleration that came.

    Returns
    -------
    list of float
        The mean distance from where the cart should be, for each second.
    """
    handle = net.c_handle()             # owns the memory: alive as long as core is used
    cdef Network32* core = network32(handle)
    if core.inputs != 2 or core.outputs != 1:
        raise ValueError("the network must have 2 inputs and 1 output")
    cdef float state[2]
    cdef float force[1]
    cdef double x = 0, v = M_PI, t, u, a, aim, aim_v, aim_a, away
    cdef int second, step
    distances = []
    for second in range(seconds):
        away = 0
        with nogil:
            for step in range(1000):
                t = (second * 1000 + step) * DT
                aim, aim_v = sin(M_PI * t), M_PI * sin(M_PI * t + M_PI / 2)
                aim_a = -M_PI * M_PI * aim
                state[0], state[1] = <float>x, <float>v
                core.feedforward(core, force, state, 1)
                u = aim_a + STIFF * (aim - x) + DAMPED * (aim_v - v) + force[0]
                a = plant(u, x, v)
                force[0] = <float>(u - a)       # what the plant took
                core.sgd_step(core, state, force, 1, eta)
                v += a * DT
                x += v * DT
                away += fabs(aim - x)
        distances.append(away / 1000)
    return distances
