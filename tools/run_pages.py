"""Run the Python on the pages of docs/, and see that it prints what stands below it.

Usage: python tools/run_pages.py [--write] [PAGE ...]

The blocks of a page are one program, from top to bottom. A block ```text below a block ```python is
what that block prints; `...` in it stands for anything, as in a doctest. A block below the comment
`needs NAME` is run if that library is installed, or if that variable is set. `--write` puts what a
block prints now in the place of what does not fit.
"""

import contextlib
import doctest
import io
import os
import re
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"(?:^<!-- needs (?P<needs>.*?) -->\n)?^```python\n(?P<code>.*?)^```$"
                   r"(?:\n\n```text\n(?P<printed>.*?)^```$)?", re.S | re.M)


def has(needed: str) -> bool:
    """Return whether a library is installed, or an environment variable is set."""
    return needed in os.environ if needed.isupper() else find_spec(needed) is not None


def pages() -> list[Path]:
    """Return all pages, but for those that Sphinx makes."""
    return sorted([*FOLDER.glob("*.md"), *FOLDER.glob("how_to/*.md")])


def run(page: Path) -> tuple[str, list[str]]:
    """Return the page as it should be, and a line for each block that does not fit."""
    text, names = page.read_text("utf-8"), {"__name__": "__main__"}
    written, at, wrong = [], 0, []
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        code, wanted = found["code"], found["printed"]
        if not all(map(has, (found["needs"] or "").split())):
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            if code.startswith(">>> "):
                test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
                doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, clear_globs=False)
                names |= test.globs
                if out.getvalue():
                    wrong.append(f"{page.name}:{line}: {out.getvalue()}")
                continue
            exec(compile("\n" * line + code, str(page), "exec"), names)
        printed = "".join(f"{each.rstrip()}\n" for each in out.getvalue().splitlines())
        fits = doctest.OutputChecker().check_output(wanted or "", printed, doctest.ELLIPSIS)
        if wanted is not None and not fits:
            wrong.append(f"{page.name}:{line} prints\n{printed}")
            written += [text[at:found.start("printed")], printed]
            at = found.end("printed")
    return "".join([*written, text[at:]]), wrong


def main(arguments: list[str]) -> None:
    """Run pages, and write them if that is asked for."""
    write = "--write" in arguments
    named = [Path(each).resolve() for each in arguments if each != "--write"]
    failed = []
    for page in named or pages():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            new, wrong = run(page)
            os.chdir(FOLDER)
        if write:
            page.write_text(new, "utf-8")
        failed += wrong
    print(*failed, sep="\n")
    sys.exit(bool(failed) and not write)


if __name__ == "__main__":
    if sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    os.environ.setdefault("MPLBACKEND", "agg")
    main(sys.argv[1:])
