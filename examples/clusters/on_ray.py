"""
A sweep and an ensemble on Ray.

Run it from the root of the repository (extra ``ray``)::

    python examples/clusters/on_ray.py

It starts Ray on this machine. On a cluster that runs, ``ray.init("auto")`` joins it.
"""

import joblib
import ray
from ray.util.joblib import register_ray

import cbackprop
from cbackprop.sklearn import MLPEnsembleClassifier


def main() -> None:
    """Train, and print the results."""
    (x, y), (test_x, test_y) = cbackprop.datasets.load_mnist()
    x, test_x = x / 255, test_x / 255
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    with joblib.parallel_config("ray", n_jobs=-1):
        found = cbackprop.sweep(
            {"eta": [0.3, 3.0], "hidden": [10, 30], "seed": [0, 1, 2]}, (x, y), epochs=5,
            mini_batch_size=10)
        ensemble = MLPEnsembleClassifier(
            (30,), early_stopping=True, n_iter_no_change=3, n_estimators=4, random_state=0)
        ensemble.fit(x, y)
    print("sweep:", found.best_settings, f"{found.best.accuracy((test_x, test_y)):.3f}")
    print(f"ensemble of {len(ensemble.estimators_)}: {ensemble.score(test_x, test_y):.3f}")
    ray.shutdown()


if __name__ == "__main__":
    main()
