"""Old names of modules and of what is in them: they work for one more version, and warn."""

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES = {  # the module that has the contents of an old one, unless NAMES says otherwise
    "cbackprop.convert.layers": "cbackprop.convert.chains",
    "cbackprop.data": "cbackprop.arrays",
    "cbackprop.extras": "cbackprop._extras",
    "cbackprop.inspect.checks": "cbackprop.inspect.gradient_check",
    "cbackprop.inspect.given": "cbackprop.inspect._arguments",
    "cbackprop.inspect.rates": "cbackprop.inspect.paths",
    "cbackprop.inspect.slopes": "cbackprop.inspect.saturation",
    "cbackprop.inspect.summary": "cbackprop.summary",
    "cbackprop.inspect.tables": "cbackprop._text",
    "cbackprop.inspect.tracing": "cbackprop.inspect.trace",
    "cbackprop.many": "cbackprop.parallel_training",
    "cbackprop.plot.canvas": "cbackprop.plot._axes",
    "cbackprop.plot.epochs": "cbackprop.plot.learning_curves",
    "cbackprop.plot.gradients": "cbackprop.plot.gradient_check",
    "cbackprop.plot.inside": "cbackprop.plot.weights",
    "cbackprop.plot.mistakes": "cbackprop.plot.confusion",
    "cbackprop.rowsource": "cbackprop.sources",
    "cbackprop.threads": "cbackprop.thread_choice",
}
NAMES = {
    "cbackprop.book.formulas": {"sigmoid_prime": "cbackprop.book.network.sigmoid_prime"},
    "cbackprop.book.learner": {
        "number": "cbackprop._check.number",
        "overridden": "cbackprop.book.learner.replaced",
        "sigmoid_prime": "cbackprop.book.network.sigmoid_prime",
    },
    "cbackprop.convert.layers": {"ALPHA": "cbackprop.core.table.PARAMETER"},
    "cbackprop.data": {
        "integer": "cbackprop._check.integer",
        "shown": "cbackprop._check.shown",
        "takes": "cbackprop._check.function",
    },
    "cbackprop.files": {
        "Path_": "cbackprop.storage.Target",
        "replacing": "cbackprop.storage.replacing",
    },
    "cbackprop.functions": {
        "described": "cbackprop.layers.described",
        "weights": "cbackprop.example_weights.weights",
    },
    "cbackprop.inspect.checks": {
        "Demon": "cbackprop.inspect.demon.Demon",
        "LEAST_EPS": "cbackprop.inspect.gradient_check.MIN_EPS",
        "demon": "cbackprop.inspect.demon.demon",
    },
    "cbackprop.inspect.given": {"place": "cbackprop._check.index"},
    "cbackprop.inspect.rates": {"MOST": "cbackprop.inspect.paths.MAX_PATHS"},
    "cbackprop.network": {
        "InArrays": "cbackprop.sources.ArrayExamples",
        "InParts": "cbackprop.sources.StreamedExamples",
        "MOST_WEIGHTS": "cbackprop._check.MOST_WEIGHTS",
        "RowSource": "cbackprop.sources.RowSource",
        "SETTINGS": "cbackprop.model.SETTINGS",
        "Views": "cbackprop.parameters.Views",
    },
    "cbackprop.optimizers": {
        "Memory": "cbackprop.optimizer_state.OptimizerState",
        "REAL": "cbackprop._check.REAL",
        "Rules": "cbackprop.optimizers.TrainingOptions",
        "number": "cbackprop._check.number",
        "rules": "cbackprop.optimizers.training_options",
    },
    "cbackprop.plot.canvas": {
        "DASHES": "cbackprop.plot._axes.LINE_STYLES",
        "LEAST_IMAGE": "cbackprop.plot._axes.MIN_IMAGE_INPUTS",
        "MARKS": "cbackprop.plot._axes.MARKERS",
        "MOST_MARKS": "cbackprop.plot._axes.MAX_MARKERS",
        "SIGNED": "cbackprop.plot._axes.SIGNED_COLORMAP",
        "bare": "cbackprop.plot._axes.hide_frame",
        "epochs": "cbackprop.plot._axes.epoch_axis",
        "instance": "cbackprop._check.instance",
        "scale": "cbackprop.plot._axes.colorbar",
        "tones": "cbackprop.plot._axes.colors",
    },
    "cbackprop.plot.epochs": {"saturation": "cbackprop.plot.saturation.saturation"},
    "cbackprop.plot.inside": {
        "MOST_TICKS": "cbackprop.plot.weights.MAX_TICKS",
        "SHOWN": "cbackprop.plot.weights.SCALE_QUANTILE",
        "flow": "cbackprop.plot.flow.flow",
    },
    "cbackprop.rowsource": {
        "InArrays": "cbackprop.sources.ArrayExamples",
        "InParts": "cbackprop.sources.StreamedExamples",
    },
    "cbackprop.sklearn": {
        "NOT_FINITE": "cbackprop.sklearn._estimator.NOT_FINITE",
        "OURS": "cbackprop.sklearn._estimator.OURS",
        "SMALLEST_RATE": "cbackprop.sklearn._stochastic_fit.SMALLEST_RATE",
    },
    "cbackprop.threads": {
        "CROWDED": "cbackprop.thread_choice.OVERSUBSCRIBED_LATENCY",
        "EARLIEST": "cbackprop.thread_choice.WARM_UP",
        "EXCHANGED": "cbackprop.thread_choice.BYTES_PER_BARRIER",
        "LINE": "cbackprop.thread_choice.LINE_BYTES",
        "MEETINGS": "cbackprop.thread_choice.BARRIERS_PER_BATCH",
        "MOST": "cbackprop.thread_choice.MAX_THREADS",
        "PATIENCE": "cbackprop.thread_choice.BACKOFF",
        "Pace": "cbackprop.thread_choice.ThreadTuner",
        "SHARE": "cbackprop.thread_choice.MIN_PRODUCTS_PER_THREAD",
        "TRIAL": "cbackprop.thread_choice.JUDGE_AFTER",
        "WORTH": "cbackprop.thread_choice.MAX_RELATIVE_TIME",
        "exchanged": "cbackprop.thread_choice.exchanged_bytes",
        "meeting": "cbackprop.thread_choice.barrier_latency",
        "taken": "cbackprop.thread_choice.busy_cores",
    },
}


def warn(old: str, new: str, stacklevel: int) -> None:
    """Warn that a name is deprecated, and name its replacement."""
    warnings.warn(f"{old} is deprecated, and will be removed in the next version: use {new}",
                  DeprecationWarning, stacklevel=stacklevel + 1)


def getter(module: str, stacklevel: int = 2) -> Callable[[str], Any]:
    """Return the function ``__getattr__`` of a module: it finds old names and old submodules."""
    def find(name: str) -> Any:
        old = f"{module}.{name}"
        if old in MODULES:
            warn(old, MODULES[old], stacklevel)
            made = sys.modules.setdefault(old, ModuleType(old))
            install(old)
            return made
        new = NAMES.get(module, {}).get(name)
        if new is None and module in MODULES and not name.startswith("_"):
            new = f"{MODULES[module]}.{name}"
        if new is not None:
            home, _, attribute = new.rpartition(".")
            found = importlib.import_module(home)
            if hasattr(found, attribute):
                warn(old, new, stacklevel)
                return getattr(found, attribute)
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)

    return find


def install(module: str) -> None:
    """Make a module that has been imported find its old names."""
    setattr(sys.modules[module], "__getattr__", getter(module))  # noqa: B010


class _Finder(MetaPathFinder, Loader):
    """Creates the old modules. They are empty: `getter` finds what is asked of them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        warn(module.__name__, MODULES[module.__name__], 2)
        install(module.__name__)


sys.meta_path.append(_Finder())
