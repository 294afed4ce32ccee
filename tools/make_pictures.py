"""Make the pictures of docs/pictures.md, by the code that stands beside them there.

Usage: python tools/make_pictures.py [FOLDER]

The page's Python runs from top to bottom. Each image that the page names is the figure drawn last
before it; it is written to FOLDER, by default docs/figures/, in the style of the benchmarks'.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

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


def main(folder: Path = ROOT / "docs" / "figures") -> None:
    """Run the page, and write its pictures."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from reporting import figures

    with figures.drawing():
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

        names: dict[str, object] = {}
        for kind, text in parts(PAGE.read_text(encoding="utf-8")):
            if kind == "code":
                exec(compile(text, str(PAGE), "exec"), names)
            elif not pyplot.get_fignums():
                sys.exit(f"{PAGE}: nothing is drawn before figures/{text}")
            else:
                figures.save(pyplot.gcf(), folder / text)
                pyplot.close("all")
                print(folder / text)


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
