"""How much memory a piece of work takes."""

import tracemalloc


def peak(work):
    """The most bytes that `work()` holds at once, the least of three runs.

    tracemalloc counts what every thread of the process allocates, the test runner's too, and a
    first run imports modules.
    """

    def once():
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return min(once() for _ in range(3))
