"""Text in columns."""

from collections.abc import Collection, Sequence


def table(
    header: Sequence[str], rows: Sequence[Sequence[str] | None], left: Collection[int] = ()
) -> str:
    """Return rows under a header; numbers to the right, columns `left` to the left; None: "..."."""
    whole = [header, *([("..." if at == 0 else "") for at in range(len(header))]
                       if row is None else row for row in rows)]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if at in left else cell.rjust(width)
                  for at, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in whole)


def elided(count: int, most: int) -> list[int | None]:
    """Return the numbers below count; of too many, the first and the last, and None between."""
    if count <= most:
        return list(range(count))
    return [*range(most - 2), None, count - 1]
