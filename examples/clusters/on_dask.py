"""
A sweep, an ensemble and a fit in parts, on a Dask cluster.

Run it from the root of the repository (extra ``clusters``)::

    python examples/clusters/on_dask.py

It starts a cluster of two processes on this machine. On another cluster, only the address differs:
``Client("scheduler:8786")``. Its workers need cbackprop, too.
"""

import joblib
from distributed import Client, LocalCluster

import cbackprop
from cbackprop.sklearn import MLPClassifier, MLPEnsembleClassifier


def main() -> None:
    """Train, and print the results."""
    (x, y), (test_x, test_y) = cbackprop.datasets.load_mnist()
    x, test_x = x / 255, test_x / 255
    with (LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
          Client(cluster) as client):
        with joblib.parallel_config("dask"):
            found = cbackprop.sweep(
                {"eta": [0.3, 3.0], "hidden": [10, 30], "seed": [0, 1, 2]}, (x, y), epochs=5,
                mini_batch_size=10)
            ensemble = MLPEnsembleClassifier(
                (30,), early_stopping=True, n_iter_no_change=3, n_estimators=4, random_state=0)
            ensemble.fit(x, y)
        print("sweep:", found.best_settings, f"{found.best.accuracy((test_x, test_y)):.3f}")
        print(f"ensemble of {len(ensemble.estimators_)}: {ensemble.score(test_x, test_y):.3f}")

        # Data that no process could hold: it lies with the workers, and the network goes to each
        # block in turn. dask_ml.wrappers.Incremental does the same for arrays of Dask.
        blocks = client.scatter([(x[at:at + 1000], y[at:at + 1000]) for at in range(0, 5000, 1000)])
        network = MLPClassifier((30,), random_state=0)
        for _ in range(10):
            for block in blocks:
                network = client.submit(fitted_on, network, block, pure=False)
        print(f"in parts: {network.result().score(test_x, test_y):.3f}")


def fitted_on(network: MLPClassifier, block: tuple) -> MLPClassifier:
    """Return the network after an epoch on one block."""
    return network.partial_fit(*block, classes=range(10))


if __name__ == "__main__":  # the processes of the cluster import this file
    main()
