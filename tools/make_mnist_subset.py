"""Make the subset of MNIST that comes with the package.

Usage: python tools/make_mnist_subset.py FOLDER

FOLDER holds the four IDX files of the full set. The same files give the same
images, and with the same NumPy and zlib the same bytes.
"""

import sys

import numpy as np

from cbackprop.datasets import load_mnist
from cbackprop.datasets.mnist import SUBSET

SEED = 1998
TRAINING_PER_DIGIT = 500
TEST_PER_DIGIT = 100


def draw(y: np.ndarray, per_digit: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the rows of as many images of each digit, in the order of the full set."""
    rows = [rng.choice(np.flatnonzero(y == digit), per_digit, replace=False) for digit in range(10)]
    return np.sort(np.concatenate(rows))


def main(folder: str) -> None:
    """Write the subset of the full set in `folder` to where the package keeps it."""
    (x_train, y_train), (x_test, y_test) = load_mnist(folder)
    rng = np.random.default_rng(SEED)
    training = draw(y_train, TRAINING_PER_DIGIT, rng)
    test = draw(y_test, TEST_PER_DIGIT, rng)
    np.savez_compressed(
        SUBSET,
        x_train=x_train[training],
        y_train=y_train[training].astype(np.uint8),
        x_test=x_test[test],
        y_test=y_test[test].astype(np.uint8),
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
