"""Make the pictures of docs/pictures.md, by the code that stands beside them there.

Usage: python tools/make_pictures.py [FOLDER]

The page's Python runs from top to bottom. Each image that the page names is the figure drawn last
before it; it is written to FOLDER, by default docs/figures/, in the style of the benchmarks', once
for light pages and once for dark ones. For the second, a block is run again from its first `plot`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "pictures.md"
CODE_OR_IMAGE = re.compile(r"^```python\n(.*?)^```$|^!\[[^\]]*\]\(figures/([^)]+)\)$", re.S | re.M)


def parts(page: str) -> Iterator[tuple[str, str]]:
    """Give code, each on the line that it has in the page, and names of images, in their order."""
    for found in CODE_OR_IMAGE.finditer(page):
        code, image = found.groups()
        if image is None:
            yield "code", "\n" * page.count("\n", 0, found.start(1)) + code
        else:
            yield "image", image


def halves(code: str) -> tuple[Any, Any]:
    """Return a block compiled in two: what is before the first use of `plot`, and the rest."""
    body = ast.parse(code).body
    draws = [any(isinstance(node, ast.Name) and node.id == "plot" for node in ast.walk(statement))
             for statement in body]
    first = draws.index(True) if any(draws) else len(body)
    before, rest = (compile(ast.Module(part, []), str(PAGE), "exec")
                    for part in (body[:first], body[first:]))
    return before, rest


def main(folder: Path = ROOT / "docs" / "figures") -> None:
    """Run the page, and write its pictures."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from reporting import figures

    with figures.drawing():
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

        names: dict[str, Any] = {}
        draw = None
        for kind, text in parts(PAGE.read_text(encoding="utf-8")):
            if kind == "code":
                before, draw = halves(text)
                exec(before, names)
                continue
            for path in figures.pair(folder / text):
                exec(draw, names)
                if not pyplot.get_fignums():
                    sys.exit(f"{PAGE}: nothing is drawn before figures/{text}")
                figures.save(pyplot.gcf(), path)
                pyplot.close("all")
                print(path)


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
