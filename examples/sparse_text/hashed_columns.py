"""
Columns of strings, hashed into sparse rows
===========================================

Run it from the root of the repository::

    python examples/sparse_text/hashed_columns.py

Parcels of 4,000 articles to 800 towns; some come back. Each row is three strings.
scikit-learn's FeatureHasher makes a sparse row of them: a word's hash is its column, so that
there is no table of words to learn or to keep. "lazy_adam" moves the weights of the words that
a mini-batch has; "adam" moves all of them in each step.
"""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction import FeatureHasher
from sklearn.pipeline import make_pipeline

from cbackprop.sklearn import MLPClassifier

N, TRAINED, COLUMNS = 20_000, 16_000, 2**17
rng = np.random.default_rng(0)
article, town, paid = rng.integers(0, [4_000, 800, 3], (N, 3)).T
likes, moods = rng.normal(0, 2, 4_000), rng.normal(0, 1, 800)
returned = likes[article] + moods[town] + 0.5 * paid - 0.5 + rng.logistic(0, 0.5, N) > 0
rows = [[f"article={a}", f"town={t}", f"paid={p}"]
        for a, t, p in zip(article, town, paid, strict=True)]

hashed = FeatureHasher(COLUMNS, input_type="string").transform(rows[:2])
print(f"{N:,} rows of {COLUMNS:,} columns; the first row has {hashed[0].nnz} entries")
print(f"came back: {returned.mean():.0%}")
for solver in ("adam", "lazy_adam"):
    model = make_pipeline(
        FeatureHasher(COLUMNS, input_type="string", dtype=np.float32),
        MLPClassifier(16, solver=solver, alpha=0.0, learning_rate_init=0.01, max_iter=3,
                      random_state=0))
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # three epochs are enough
        model.fit(rows[:TRAINED], returned[:TRAINED])
    seconds = time.perf_counter() - start
    accuracy = model.score(rows[TRAINED:], returned[TRAINED:])
    print(f"{solver:<9}  {accuracy:.0%} of {N - TRAINED:,} new rows are right, "
          f"fitted in {seconds:.2f} s")
