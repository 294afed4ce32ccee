"""
The modules of Nielsen's book for Python 3: change a script's import, and it runs on the core.

    from cbackprop.book import mnist_loader, network, network2

Everything is float64. Names, arguments, printed lines, network2's file and the draws from `random`
and `numpy.random` are the book's; docs/book.md says what differs.
"""

from cbackprop.book import mnist_loader, network, network2

__all__ = ["mnist_loader", "network", "network2"]
