"""Those who race in `sgd.py` and `peers.py`, one in each module."""
