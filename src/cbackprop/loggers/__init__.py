"""Logs of trainings where others keep them: TensorBoard, MLflow, Weights & Biases."""

from cbackprop.loggers.mlflow import MLflow
from cbackprop.loggers.tensorboard import TensorBoard
from cbackprop.loggers.wandb import WandB

__all__ = ["MLflow", "TensorBoard", "WandB"]
