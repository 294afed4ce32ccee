"""Run the code and the commands on README and docs/, and see that they print what stands there.

Usage: python tools/run_pages.py [--write] [PAGE ...]

The blocks of a page are one program, from top to bottom. A block ```text below a block ```python is
what that block prints. A block ```console has commands, `$ cbackprop ...`, and what each of them
prints; those of first_hour.md are run by film_readme.py instead. `...` stands for anything, as in a
doctest. A block below the comment `needs NAME` is run if that library is installed, or if that
variable is set. `--write` puts what is printed now in the place of what does not fit.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs"
FILMED = "first_hour.md"
BLOCK = re.compile(r"(?:^<!-- needs (?P<needs>.*?) -->\n)?^```(?:python\n(?P<code>.*?)^```$"
                   r"(?:\n\n```text\n(?P<printed>.*?)^```$)?|console\n(?P<typed>.*?)^```$)",
                   re.S | re.M)
COMMAND = re.compile(r"\$ cbackprop (.*)\n((?:(?!\n?\$ ).*\n)*)")
EPOCHS = 10  # lines of them; of more, the middle is left out


def has(needed: str) -> bool:
    """Return whether a library is installed, or an environment variable is set."""
    return needed in os.environ if needed.isupper() else find_spec(needed) is not None


def pages() -> list[Path]:
    """Return all pages, but for those that Sphinx makes."""
    return sorted([FOLDER.parent / "README.md", *FOLDER.glob("*.md"), *FOLDER.glob("how_to/*.md")])


def shown(text: str) -> str:
    """Return what a command printed, with dots for times and for epochs if they are many."""
    text = re.sub(r"\d+\.\d\d s\b", "... s", text)
    lines = re.sub(r"[\d,]+ rows per second", "... rows per second", text).splitlines()
    epochs = [at for at, line in enumerate(lines) if line.startswith("epoch ")]
    if len(epochs) > EPOCHS:
        lines[epochs[2]:epochs[-1]] = ["..."]
    return "\n".join(lines)


def typed(words: str) -> str:
    """Run a command in this process, and return what it prints, errors too."""
    from cbackprop import cli

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        cli.main(shlex.split(words))
    return shown(out.getvalue())


def executed(code: str, page: Path, line: int, names: dict[str, Any]) -> str:
    """Run Python, and return what it prints; of a session, how that differs from what it shows."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        if code.startswith(">>> "):
            test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, clear_globs=False)
            names |= test.globs
        else:
            exec(compile("\n" * line + code, str(page), "exec"), names)
    return out.getvalue()


def outputs(page: Path, text: str) -> Iterator[tuple[int, int, str]]:
    """Run all; give where the page has an output, from and to (-1 for nowhere), and what it is."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        if not all(map(has, (block["needs"] or "").split())):
            continue
        if block["code"] is not None:
            line = text.count("\n", 0, block.start("code"))
            printed = executed(block["code"], page, line, names)
            if block["printed"] is not None or block["code"].startswith(">>> "):
                yield *block.span("printed"), printed
        elif page.name != FILMED:
            for command in COMMAND.finditer(text, *block.span("typed")):
                yield *command.span(2), typed(command[1])


def run(page: Path) -> tuple[str, list[str]]:
    """Return the page as it should be, and a line for each block that does not fit."""
    text = page.read_text("utf-8")
    written, at, wrong = [], 0, []
    for start, end, output in outputs(page, text):
        printed = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
        wanted = "" if start < 0 else text[start:end]
        if doctest.OutputChecker().check_output(wanted, printed, doctest.ELLIPSIS):
            continue
        if start < 0:
            wrong.append(f"{page.name}: {output}")
        else:
            wrong.append(f"{page.name}:{text.count(chr(10), 0, start)} prints\n{printed}")
            written += [text[at:start], printed]
            at = end
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
    os.environ["KERAS_BACKEND"] = "torch"  # which the pages need anyway; by itself, TensorFlow
    main(sys.argv[1:])
