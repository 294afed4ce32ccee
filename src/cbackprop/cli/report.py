"""What a network makes of rows whose targets are known: metrics, classes, confusion, mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import Network, metrics
from cbackprop._text import table as aligned
from cbackprop.history import printed
from cbackprop.metrics import CLASSES, LABELS

WORST = 3  # mistakes, after training
MOST_MISTAKES = 10  # in a whole report
MOST_CLASSES = 20  # of a confusion that fits on a screen


class Report:
    """
    What a network is worth on some rows.

    Parameters
    ----------
    net : Network
    x, y : as `Network.evaluate` takes them
    where : callable (row)
        Names a row for people.

    Attributes
    ----------
    metrics : dict of str to float
        As `Network.measure` has them.
    kind : metrics.Kind
        The kind of the targets.

    Raises
    ------
    TypeError, ValueError
        If x or y do not fit the network.
    """

    def __init__(self, net: Network, x: Any, y: Any, where: Callable[[int], str]) -> None:
        self.metrics = net.measure((x, y))
        examples = net.engine.examples((x, y), "test_data")
        self.kind = metrics.kind_for(net.engine, examples, net.trained_on)
        parts = [(net.feedforward(rows.x), targets.y) for rows, targets in examples.all()]
        outputs, self._targets = (np.concatenate(part) for part in zip(*parts, strict=True))
        self.outputs = outputs.reshape(len(outputs), -1)
        self._where = where
        self.classes: list[Any] = []
        if self.kind.name in (CLASSES, LABELS):
            self.found = metrics.decided(self.outputs, self.kind)
            self.there = metrics.wanted(self._targets, self.kind)
            self.classes = _names(net, self.kind, self.outputs.shape[1])

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def correct(self) -> int:
        """How many rows are right."""
        right = self.found == self.there
        return int(np.count_nonzero(right.all(axis=1) if right.ndim == 2 else right))

    def summary(self, rows: str) -> str:
        """Return all metrics in a line."""
        parts = []
        for name, value in self.metrics.items():
            word = printed(name)
            parts.append(f"{word} {value * 100:.2f} %" if name.endswith("accuracy")
                         else f"{word} {value:.4g}")
        if self.kind.name in (CLASSES, LABELS):
            parts.sort(key=lambda part: not part.startswith("accuracy "))
            parts[0] += f" of {len(self)} {rows} ({self.correct} right)"
        else:
            parts[-1] += f", of {len(self)} {rows}"
        return ", ".join(parts)

    # ---- classes ----

    @property
    def confusion(self) -> NDArray[np.intp]:
        """Count of each class (row) what it was taken for (column); the last column is NaN."""
        n = len(self.classes)
        found = np.where(self.found < 0, n, self.found)
        flat = np.bincount(self.there * (n + 1) + found, minlength=n * (n + 1))
        return flat.reshape(n, n + 1)

    def of_classes(self) -> list[dict[str, Any]]:
        """Return precision, recall and count of each class; None where there is nothing to say."""
        confusion = self.confusion
        rows = []
        for at, name in enumerate(self.classes):
            right, count, taken = confusion[at, at], confusion[at].sum(), confusion[:, at].sum()
            rows.append({"class": name, "precision": right / taken if taken else None,
                         "recall": right / count if count else None, "count": count})
        return rows

    def of_labels(self) -> list[dict[str, Any]]:
        """Return the same of each of several labels."""
        hit = ((self.found == 1) & (self.there == 1)).sum(axis=0)
        taken, count = (self.found == 1).sum(axis=0), self.there.sum(axis=0)
        return [{"class": name, "precision": hit[at] / taken[at] if taken[at] else None,
                 "recall": hit[at] / count[at] if count[at] else None, "count": count[at]}
                for at, name in enumerate(self.classes)]

    # ---- mistakes ----

    def mistakes(self, most: int) -> list[dict[str, Any]]:
        """Return the worst: of classes, the surest that are wrong; of numbers, the farthest off."""
        if self.kind.name == CLASSES:
            wrong = np.flatnonzero(self.found != self.there)
            sure = self.outputs if self.outputs.shape[1] > 1 else np.hstack(
                (2 * self.kind.middle - self.outputs, self.outputs))
            a = sure[wrong, self.found[wrong]]
            return [{"where": self._where(row), "target": self.classes[self.there[row]],
                     "prediction": None if self.found[row] < 0 else self.classes[self.found[row]],
                     "output": sure[row, self.found[row]]}
                    for row in wrong[np.argsort(-a, kind="stable")][:most].tolist()]
        if self.kind.name == LABELS:
            count = (self.found != self.there).sum(axis=1)
            rows = np.argsort(-count, kind="stable")[:most]
            return [{"where": self._where(row), "target": self.there[row],
                     "prediction": self.found[row]} for row in rows.tolist() if count[row]]
        targets = self._targets.reshape(self.outputs.shape)
        errors = np.abs(self.outputs - targets).max(axis=1)
        return [{"where": self._where(row), "target": _one(targets[row]),
                 "prediction": _one(self.outputs[row]), "error": errors[row]}
                for row in np.argsort(-errors, kind="stable")[:most].tolist() if errors[row]]

    # ---- words ----

    def mistake_lines(self, most: int = WORST) -> Iterator[str]:
        """Say which mistakes are the worst."""
        found = self.mistakes(most)
        if not found:
            yield "no mistakes"
            return
        yield "the worst mistakes:"
        for each in found:
            if self.kind.name == CLASSES:
                yield (f"  {each['where']}: {each['target']}, taken for {each['prediction']} "
                       f"({each['output']:.2f})")
            elif self.kind.name == LABELS:
                yield f"  {each['where']}: {each['target']}, taken for {each['prediction']}"
            else:
                yield (f"  {each['where']}: {_shown(each['target'])}, predicted "
                       f"{_shown(each['prediction'])}")

    def lines(self, rows: str = "rows") -> Iterator[str]:
        """Say all of it."""
        yield self.summary(rows)
        if self.kind.name in (CLASSES, LABELS):
            each = self.of_classes() if self.kind.name == CLASSES else self.of_labels()
            yield ""
            yield aligned(["class", "precision", "recall", "count"], [
                [str(row["class"]), _share(row["precision"]), _share(row["recall"]),
                 str(row["count"])] for row in each], left=(0,))
        if self.kind.name == CLASSES:
            yield ""
            yield from self._confusion_lines()
        yield ""
        yield from self.mistake_lines(MOST_MISTAKES)

    def _confusion_lines(self) -> Iterator[str]:
        confusion, names = self.confusion, list(map(str, self.classes))
        if len(names) <= MOST_CLASSES:
            nan = ["NaN"] if confusion[:, -1].any() else []
            columns = len(names) + len(nan)
            yield "confusion: rows are the targets, columns what they were taken for"
            yield aligned(["", *names, *nan], [
                [name, *map(str, row[:columns])]
                for name, row in zip(names, confusion.tolist(), strict=True)], left=(0,))
            return
        yield "confusion: what was mistaken for what most often"
        apart = confusion[:, :-1].copy()
        np.fill_diagonal(apart, 0)
        for at in np.argsort(-apart.ravel(), kind="stable")[:MOST_MISTAKES].tolist():
            there, found = divmod(at, len(names))
            if apart[there, found]:
                yield f"  {names[there]}, taken for {names[found]}: {apart[there, found]} times"

    def facts(self, most: int = MOST_MISTAKES, whole: bool = True) -> dict[str, Any]:
        """Return all of it for JSON."""
        facts: dict[str, Any] = {"kind": self.kind.name, "rows": len(self),
                                 "metrics": self.metrics}
        if self.kind.name in (CLASSES, LABELS):
            facts["correct"] = self.correct
        if whole and self.kind.name == CLASSES:
            facts |= {"classes": self.of_classes(), "confusion": self.confusion[:, :-1]}
        elif whole and self.kind.name == LABELS:
            facts["classes"] = self.of_labels()
        return facts | {"mistakes": self.mistakes(most)}


def _names(net: Network, kind: metrics.Kind, outputs: int) -> list[Any]:
    """Return what the classes are called, as `Network.predict` does."""
    if net.classes is not None:
        return list(net.classes)
    if kind.name == LABELS:
        return [f"label {at + 1}" for at in range(outputs)]
    if outputs == 1:
        pair = [kind.low, kind.high]
        return [int(end) for end in pair] if all(end == round(end) for end in pair) else [0, 1]
    return list(range(outputs))


def _one(values: NDArray[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _shown(value: Any) -> str:
    return f"{value:.6g}" if np.ndim(value) == 0 else " ".join(f"{one:.6g}" for one in value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
