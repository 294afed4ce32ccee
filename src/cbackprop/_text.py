"""Text in columns."""

from collections.abc import Collection, Sequence


def table(
    header: Sequence[str], rows: Sequence[Sequence[str] | None], left: Collection[int] = ()
) -> str:
    """Return rows under a header; columns `left` are aligned left. A row of None is "..."."""
    whole = [header, *([("..." if at == 0 else "") for at in range(len(header))]
                       if row is None else row for row in rows)]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if at in left else cell.rjust(width)
                  for at, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in whole)


def elided(count: int, most: int) -> list[int | None]:
    """Return the numbers below count; if they are more than `most`, None stands for some."""
    if count <= most:
        return list(range(count))
    return [*range(most - 2), None, count - 1]
