"""
A stranger's first hour, as text: the commands of README and what follows them, in an empty folder.

    python tools/film_readme.py [--python ENVIRONMENT/bin/python] [--page docs/first_hour.md]

Without ``--python`` it makes a new environment and installs this checkout there, which compiles the
core and takes minutes. With it, the environment has cbackprop already, and README's installation is
shown, but not run. Seconds are replaced by dots; nothing else is.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from run_pages import shown

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "first_hour.md"
# A table as a stranger has one: words, gaps, a column that numbers the rows.
TABLE = """
import random
random.seed(1)
print("id,island,bill_mm,mass_g,sex,species")
for row in range(240):
    species = random.choice(["adelie", "chinstrap", "gentoo"])
    bill, mass = {"adelie": (38.8, 3700), "chinstrap": (48.8, 3730),
                  "gentoo": (47.5, 5080)}[species]
    island = random.choice(["biscoe"] + {"adelie": ["dream", "torgersen"], "chinstrap": ["dream"],
                                         "gentoo": ["biscoe"]}[species])
    bill = f"{random.gauss(bill, 2.7):.1f}" if random.random() > 0.05 else "NA"
    print(row + 1, island, bill, round(random.gauss(mass, 400), -1), random.choice(["f", "m"]),
          species, sep=",")
"""
SCENES = [
    ("At its end it says what to try next. Here it is, and what the answers are worth:", [
        "cbackprop predict penguins.npz penguins.csv --proba | head -4",
        "cbackprop evaluate penguins.npz penguins.csv",
        "cbackprop info penguins.npz",
    ]),
    ("Another column of the same table is numbers:", [
        "cbackprop train penguins.csv --target mass_g --json | cut -c1-300",
    ]),
    ("New rows have no target, and may come through a pipe:", [
        "head -3 penguins.csv | cut -d, -f1-5 | cbackprop predict penguins.npz -",
    ]),
    ("Whatever goes wrong is said in one line:", [
        "cbackprop train penguins.csv --lr 0.1",
        "cbackprop train penguins.csv --target speceis",
        "cbackprop train penguins.csv --activation rleu",
        "cbackprop predict penguins.npz absent.csv",
        "cbackprop train penguins.csv --save absent/net.npz",
    ]),
    ("`bench` says how fast this machine is, beside NumPy. These times are those of the machine "
     "that wrote this page:", [
        "cbackprop bench --sizes 784,30,10 --batch 10 --rows 10000",
    ]),
]


def readme() -> list[str]:
    """Return the shell commands of README, but not what runs the tests."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"),
                        re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "pytest" not in line]


def commands() -> list[str]:
    """Return every command of the page."""
    first, *others = readme()
    return [first, "head -4 penguins.csv", *others,
            *(command for _, scene in SCENES for command in scene)]


def installed(folder: Path) -> Path:
    """Make an environment with this checkout, and return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    return python


def filmed(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command, but not its installation, and return it with what it printed."""
    run = command.removeprefix("pip install . && ")
    done = subprocess.run(["bash", "-c", run], cwd=folder, env=environment, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = shown(done.stdout.replace(f"{folder}{os.sep}", "")).splitlines()
    status = [f"(exit status {done.returncode})"] * bool(done.returncode)
    return "\n".join([f"$ {command}", *lines, *status])


def page(python: Path, was_there: bool) -> str:
    """Return the page; it says whether the installation was there already."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("CBACKPROP_", "OPENBLAS_"))}
    environment["PATH"] = os.pathsep.join([str(python.parent), environment["PATH"]])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = subprocess.run([sys.executable, "-c", TABLE], text=True, check=True,
                               stdout=subprocess.PIPE).stdout
        (folder / "penguins.csv").write_text(table)
        first, second, *others = readme()
        scenes = [
            ("README's first command runs in a folder that is empty but for a table of the "
             "stranger's own:", [first]),
            ("The table has words, gaps, and a column that numbers the rows:",
             ["head -4 penguins.csv", second, *others]), *SCENES]
        parts = [
            "# The first hour", "",
            "This is what a stranger sees. `tools/film_readme.py` ran these commands and wrote "
            "this page; dots stand\nfor seconds. [The command line](command_line.md) has the rest."
            + "\nThe environment had cbackprop already: `pip install` was not run." * was_there,
            ""]
        for words, scene in scenes:
            shown = "\n\n".join(filmed(command, folder, environment) for command in scene)
            parts += [words, "", "```console", shown, "```", ""]
    return "\n".join(parts).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--python", type=Path,
                        help="of an environment that has cbackprop (default: one that is made)")
    parser.add_argument("--page", type=Path, default=PAGE, help="(default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = args.python.absolute() if args.python else installed(Path(folder))
        args.page.write_text(page(python, args.python is not None), encoding="utf-8")
    print(f"written: {shlex.quote(str(args.page))}")


if __name__ == "__main__":
    main()
