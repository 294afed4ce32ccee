"""
Train one network on all ranks of a job; each reads its own share of the rows.

    mpiexec -n 4 python -m mpi4py train.py [folder of x.npy and y.npy] [epochs]

Without a folder it takes the digits that come with the package. job.sh runs it under Slurm.
"""

import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

import cbackprop
from cbackprop import callbacks, mpi

comm = MPI.COMM_WORLD
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
if folder:
    x, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "xy")
else:
    (x, y), _ = cbackprop.datasets.load_mnist()
x, y = mpi.share((x, y), comm.rank, comm.size)  # a view: nobody reads the rows of others

net = cbackprop.Network(
    [x.shape[1], 512, 512, int(comm.allreduce(y.max(), MPI.MAX)) + 1], activation="relu",
    output_activation="softmax", cost="log_likelihood", input_scale=1 / 255, seed=0)
checkpoint = callbacks.Checkpoint(last="last.npz", every_seconds=600)
net.SGD((x, y), epochs, 64 * comm.size, optimizer="adam", validation_split=0.1, comm=comm,
        verbose=True, callbacks=[checkpoint], resume="last.npz")
if comm.rank == 0:
    net.save("net.npz")
