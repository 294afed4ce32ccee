"""
Check that the files of the core use only what stands above them.

    python tools/core_floors.py

`core/network.pxi` lists the files of one network, and `core/all.pxi` those that are built on them,
each floor by floor; a floor is a folder. What a file uses must be defined in it or in one that is
listed before it. Prints the floors, and each arrow that runs upward; exit status 1 if there is one.
"""

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

CORE = Path(__file__).resolve().parent.parent / "src" / "cbackprop" / "core"
WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
DEFINITIONS = (
    re.compile(r"^cdef (?:struct|class|enum) (\w+)[:(]", re.M),
    re.compile(r"^cdef class (\w+)", re.M),
    re.compile(r"^ctypedef .*\(\*(\w+)\)", re.M),
    re.compile(r"^(?:cdef|def)\b[^(=\n]*?(\w+)\s*\(", re.M),
    re.compile(r"^cdef [^(=\n]*?(\w+) = ", re.M),
    re.compile(r"^([A-Z][A-Z_0-9]*) = ", re.M),
)


def code_of(text: str) -> str:
    """Return the text without comments, strings and members."""
    text = re.sub(r'""".*?"""', "", text, flags=re.S)
    text = re.sub(r'"[^"\n]*"', "", text)
    text = re.sub(r"#.*", "", text)
    return re.sub(r"\.\s*\w+", "", text)


def defined(text: str) -> set[str]:
    """Return the names that a file defines for others."""
    names = {name for pattern in DEFINITIONS for name in pattern.findall(text)}
    for body in re.findall(r"^cdef enum[^\n]*:\n((?:    .*\n|\n)+)", text, re.M):
        names |= set(re.findall(r"\b[A-Z][A-Z_0-9]+\b", re.sub(r"#.*", "", body)))
    for body in re.findall(r"^cdef extern from [^\n]*:\n((?:    .*\n|\n)+)", text, re.M):
        names |= set(re.findall(r"(\w+)(?: \"[^\"]*\")?\(", body))
        names |= set(re.findall(r"ctypedef (?:struct )?(?:\w+ )*?(\w+):?$", body, re.M))
        names |= set(re.findall(r"\b[A-Z][A-Z_0-9]+\b", body))
    return names


def blocks(text: str) -> Iterator[str]:
    """Yield the top-level definitions of a file."""
    yield from re.split(r"\n(?=(?:cdef|def|ctypedef|[A-Z]\w* = ))", text)


def local(block: str) -> set[str]:
    """Return the names that a definition declares for itself: parameters and variables."""
    names = set()
    declared = re.findall(r"^ +cdef (.*)", block, re.M)
    if block.startswith("cdef struct"):
        declared += re.findall(r"^ +(\w.*)", block, re.M)
    for line in declared:
        names |= {re.sub(r"[\[=].*", "", part).split()[-1].lstrip("*")
                  for part in line.split(",") if re.sub(r"[\[=].*", "", part).split()}
    signature = block[:block.find(":\n")]
    names |= set(re.findall(r"(\w+)(?:=[^,()]*)?\s*[,)]", signature))
    names |= set(re.findall(r"\bfor (\w+) in", block))
    return names


def used(text: str) -> set[str]:
    """Return the names that a file takes from anywhere."""
    return {word for block in blocks(code_of(text))
            for word in set(WORD.findall(block)) - local(block)}


def arrows(files: list[str]) -> dict[tuple[str, str], set[str]]:
    """Return for each pair of files what the first uses of the second."""
    texts = {file: (CORE / file).read_text(encoding="utf-8") for file in files}
    home: dict[str, str] = {}
    for file in files:
        for name in defined(texts[file]):
            home.setdefault(name, file)
    found: dict[tuple[str, str], set[str]] = {}
    for file in files:
        for name in used(texts[file]):
            if home.get(name, file) != file:
                found.setdefault((file, home[name]), set()).add(name)
    return found


def listed(name: str) -> list[str]:
    """Return the files that a list includes."""
    return re.findall(r'^include "(.*)"', (CORE / name).read_text(encoding="utf-8"), re.M)


def floor_of(file: str) -> str:
    """Return the folder of a file."""
    return file.rpartition("/")[0]


def main() -> int:
    """Print the floors and the arrows that run upward."""
    lists = [listed("network.pxi"), listed("all.pxi")[1:]]  # which begins with the other list
    files = [*itertools.chain(*lists)]
    place = {file: at for at, file in enumerate(files)}
    upward = {pair: names for pair, names in arrows(files).items()
              if place[pair[0]] < place[pair[1]]}
    floors = list(dict.fromkeys(map(floor_of, files)))
    for floor in floors:
        print(f"{floor:12}", *(file.partition("/")[2] for file in files if floor_of(file) == floor))
    runs = [[floor for floor, _ in itertools.groupby(map(floor_of, each))] for each in lists]
    scattered = sorted({floor for each in runs for floor in each if each.count(floor) > 1})
    for (user, giver), names in sorted(upward.items()):
        print(f"upward: {user} uses {sorted(names)} of {giver}")
    for floor in scattered:
        print(f"not in one place of a list: {floor}")
    print(f"{len(files)} files on {len(floors)} floors, {len(upward)} arrows upward")
    return 1 if upward or scattered else 0


if __name__ == "__main__":
    sys.exit(main())
