#!/usr/bin/env bash
# sbatch job.sh DATA: 8 machines, a rank and all cores of each. When the time is over, it goes on
# from the last checkpoint in another job.
#SBATCH --job-name=cbackprop
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
set -euo pipefail

export CBACKPROP_NUM_THREADS=$SLURM_CPUS_PER_TASK
export MPICH_ASYNC_PROGRESS=1   # sums travel while BP2 and BP4 compute; costs a core

trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
# --kill-on-bad-exit: no rank waits for one that has died.
srun --kill-on-bad-exit=1 python -m mpi4py train.py "$1" 50 &
wait
