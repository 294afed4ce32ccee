"""What an optimizer carries from one call of `SGD` to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, arrays
from cbackprop.optimizers import KNOWN, ROWS, TrainingOptions
from cbackprop.parameters import blocks

Copies = tuple[int, list[NDArray[Any]]]


class OptimizerState:
    """
    A network's optimizer in the core, and its state from one call of `SGD` to the next.

    Parameters
    ----------
    build : module
        The build of the core that the network uses.
    core : Core
    optimizer : str
        The optimizer's name.
    """

    def __init__(self, build: Any, core: Any, optimizer: str) -> None:
        self.optimizer = optimizer
        self._core = core
        self.in_core = build.OptimizerState(core, optimizer)
        self._frozen = np.zeros(len(core.biased), bool)
        self._frozen_since = 0
        self._frozen_before = np.zeros(len(core.biased), np.intp)

    def set(self, options: TrainingOptions, n: int, eta: float, seed: int) -> None:
        """Take the options for training on n examples."""
        factors, frozen_steps = np.array(options.eta_factors), self.frozen_steps
        self._frozen, self._frozen_since = factors == 0, self.in_core.steps
        self._frozen_before = frozen_steps
        for slot in ROWS[self.optimizer].starts_at_eta:
            for block in blocks(self._core):
                if self.in_core.steps == frozen_steps[block.layer]:  # it takes its first
                    block.view(self.in_core.slots[slot])[...] = eta * factors[block.layer]
        self.in_core.set(
            options.optimizer.hyperparameters(),
            np.array(options.dropout, self._core.parameters.dtype),
            l2=options.lmbda / n, l1=options.l1, weight_decay=options.weight_decay,
            clip_value=options.clip_value, clip_norm=options.clip_norm,
            max_norm=options.max_norm, seed=seed, noise=options.noise,
            eta_factors=None if np.all(factors == 1) else factors,
            nonnegative=np.array(options.nonnegative, np.uint8) if any(options.nonnegative)
            else None,
            frozen_steps=frozen_steps if frozen_steps.any() else None,
            lazy=options.optimizer.lazy)

    @property
    def frozen_steps(self) -> NDArray[np.intp]:
        """How many of the steps so far each layer of weights was frozen for."""
        return self._frozen_before + self._frozen * (self.in_core.steps - self._frozen_since)

    def follow(self, core: Any) -> None:
        """Train another core, of the same sizes, from now on."""
        self._core = core
        self.in_core.attach(core)

    def copies(self, last: Copies | None = None) -> Copies:
        """Return steps and arenas, to put back with `restore`; in the memory of the last ones."""
        arenas = last[1] if last else [np.empty_like(arena) for arena in self.in_core.slots]
        for arena, slot in zip(arenas, self.in_core.slots, strict=True):
            np.copyto(arena, slot)
        return self.in_core.steps, arenas

    def restore(self, copies: Copies) -> None:
        """Go back to what `copies` returned."""
        self.in_core.steps, arenas = copies
        for arena, saved in zip(self.in_core.slots, arenas, strict=True):
            arena[...] = saved

    def views(self) -> list[NDArray[Any]]:
        """Return live views of all slots, each block by block, as the parameters are."""
        return [block.view(arena) for arena in self.in_core.slots for block in blocks(self._core)]

    def __getstate__(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer, "steps": self.in_core.steps,
                "memory": [np.array(view) for view in self.views()],
                "frozen_steps": self.frozen_steps.tolist()}

    @classmethod
    def of(cls, build: Any, core: Any, saved: dict[str, Any]) -> OptimizerState:
        """Make it again from what `__getstate__` returned."""
        if saved["optimizer"] not in KNOWN:
            raise ValueError(f"unknown optimizer {saved['optimizer']!r}")
        made = cls(build, core, saved["optimizer"])
        made.in_core.steps = saved["steps"]
        for view, given in zip(made.views(), saved["memory"], strict=True):
            array = arrays.numbers(given, "an optimizer's memory")
            if view.shape != array.shape:
                raise ValueError(f"an optimizer's memory of shape {array.shape} for parameters of "
                                 f"shape {view.shape}")
            view[...] = array
        frozen_steps = saved.get("frozen_steps", [0] * len(core.biased))  # older files have none
        rule = f"frozen_steps of the optimizer must be {len(core.biased)} integers"
        if len(_check.items(frozen_steps, rule)) != len(core.biased):
            raise ValueError(f"{rule}, got {_check.shown(frozen_steps)}")
        for layer, steps in enumerate(frozen_steps):
            made._frozen_before[layer] = _check.integer(
                f"frozen_steps[{layer}] of the optimizer", steps, 0)
        return made
