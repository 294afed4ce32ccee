"""Tables and curves for notebooks. They suit dark and light pages, and need no script."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, MARGIN = 300, 110, 8
COLOURS = "#3b82f6", "#e07b39", "#10a37f", "#c0508f"  # legible on white and on black


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table. The text of the cells is escaped."""
    columns = zip(*rows, strict=True) if rows else [("",)] * len(header)
    numbers = [all(map(_is_number, filter(None, column))) for column in columns]

    def row(cells: Sequence[str], kind: str) -> str:
        return "".join(
            f'<{kind} style="padding:1px 8px;text-align:{"right" if at_right else "left"}">'
            f"{escape(cell)}</{kind}>" for cell, at_right in zip(cells, numbers, strict=True))

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return (f'<table><caption style="padding:6px 8px;text-align:left;width:max-content">'
            f"{escape(caption)}</caption><thead><tr>{row(header, 'th')}</tr></thead>"
            f"<tbody>{body}</tbody></table>")


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True


def curves(series: Mapping[str, Sequence[float]]) -> str:
    """Return a small plot of numbers by epoch, counted from 1; "" if no number is finite."""
    points = {name: [(epoch, value) for epoch, value in enumerate(values, 1)
                     if math.isfinite(value)] for name, values in series.items()}
    finite = [point for line in points.values() for point in line]
    if not finite:
        return ""
    last = max(epoch for epoch, _ in finite)
    low, high = (limit(value for _, value in finite) for limit in (min, max))

    def place(epoch: int, value: float) -> str:
        x = (epoch - 1) / max(last - 1, 1)
        y = (high / 2 - value / 2) / ((high / 2 - low / 2) or 1)  # halves do not overflow
        return (f"{MARGIN + x * (WIDTH - 2 * MARGIN):.1f},"
                f"{MARGIN + y * (HEIGHT - 2 * MARGIN):.1f}")

    drawn, names = [], []
    for at, (name, line) in enumerate(points.items()):
        colour = COLOURS[at % len(COLOURS)]
        path = " ".join(place(*point) for point in line)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
                     f'stroke-linecap="round"/>')
        names.append(f'<span style="color:{colour}">{escape(name)}</span>')
    frame = (f'<rect x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" fill="none" '
             f'stroke="currentColor" stroke-opacity="0.3"/>')
    title = ", ".join(map(escape, points))
    return (f'<figure style="display:inline-block;margin:4px"><svg width="{WIDTH}" '
            f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{title}">{frame}{"".join(drawn)}</svg>'
            f'<figcaption>{", ".join(names)}: {low:.4g} to {high:.4g}, epoch 1 to {last}'
            f'</figcaption></figure>')
