"""
What setup.py asks of the compiler and of Cython: its table of extension modules is there.

Flags are clang's and GCC's; on Windows clang-cl stands in for Microsoft's compiler, and takes them.
"""

import multiprocessing
import os
import re
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import ClassVar

import Cython
import numpy
from Cython import Tempita
from Cython.Build import cythonize
from setuptools import Extension
from setuptools.command.build_ext import build_ext

WINDOWS = sys.platform == "win32"

# Apple's clang refuses it; for clang-cl its library would have to come along: one thread there.
OPENMP = ["-fopenmp"]
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return !omp_get_max_threads(); }"

INCLUDE = re.compile(r'^\s*(?:#\s*include|include|cdef extern from)\s+"(.+?)"', re.MULTILINE)


def render_templates(core: str) -> None:
    """Write the X.pxi of every X.pxi.tp, from the rows of table.py; what is right is left alone."""
    rows = runpy.run_path(f"{core}/table.py")
    for template in sorted(Path(core).rglob("*.pxi.tp")):
        source = Tempita.Template(template.read_text(encoding="utf-8"), name=str(template))
        text = (f"# Rendered by setup.py from {template.name} and table.py: edit those.\n"
                f"{source.substitute(rows)}")
        rendered = template.with_suffix("")
        if not rendered.exists() or rendered.read_text(encoding="utf-8") != text:
            rendered.write_text(text, encoding="utf-8")


def spelt(flags: list[str]) -> list[str]:
    """Spell flags as the compiler takes them: on Windows it is clang-cl, and they are clang's."""
    return [f"/clang:{flag}" for flag in flags] if WINDOWS else flags


@cache
def included(source: Path, folders: tuple[str, ...]) -> frozenset[Path]:
    """Find what a file includes, beside it or in the folders, and what that does, and so on."""
    found = set()
    for name in INCLUDE.findall(source.read_text(encoding="utf-8")):
        for folder in (source.parent, *folders):
            path = Path(os.path.normpath(Path(folder, name)))
            if path.is_file():
                found |= {path, *included(path, folders)}
                break  # what is not found is the system's, or NumPy's
    return frozenset(found)


def module(
    name: str, source: str, flags: list[str], include: Iterable[str] = (), **options: list
) -> Extension:
    """Describe an extension module, which is built anew when what it includes has changed."""
    include = tuple(include)
    path = Path(source)
    declared = map(str, path.parent.glob("*.pxd"))
    depends = included(path, include) if path.is_file() else ()  # else Cython will write it
    return Extension(
        name, [source], include_dirs=[*include, numpy.get_include()],
        depends=["setup.py", *declared, *sorted(map(str, depends))],
        extra_compile_args=spelt(flags), **options)


def written(extension: Extension) -> Path:
    """Return the C file that Cython writes for an extension."""
    return Path(extension.sources[0]).with_suffix(".c")


def is_stale(extension: Extension) -> bool:
    """Whether its C is older than anything that went into it."""
    c = written(extension)
    return not c.is_file() or any(Path(path).stat().st_mtime > c.stat().st_mtime
                                  for path in (*extension.sources, *extension.depends))


class BuildExt(build_ext):
    """
    Leaves out, and says so, the instruction sets whose flags the compiler refuses.

    Attributes
    ----------
    levels : dict of list of str
        Instruction sets, and their flags.
    directives : dict
        Of Cython.
    shared : str
        Name of the module in which memoryviews are compiled, once for all.
    settings : list
        What else was chosen for this build, and not for the one before perhaps.
    """

    levels: ClassVar[dict[str, list[str]]]
    directives: ClassVar[dict]
    shared: ClassVar[str]
    settings: ClassVar[list]

    def finalize_options(self) -> None:
        """Compile on every core."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Ask the compiler once per instruction set, then build."""
        if self.compiler.compiler_type == "msvc":
            self.use_clang_cl()
        refused = [isa for isa, flags in self.levels.items() if not self.accepts(flags)]
        for isa in refused:
            print(f"cbackprop: the compiler refuses {self.levels[isa]}: no {isa} build of the core",
                  file=sys.stderr)
        self.extensions = [e for e in self.extensions
                           if not any(f"._{isa}_" in e.name for isa in refused)]
        if not WINDOWS and self.accepts(OPENMP, OPENMP_PROGRAM):
            for extension in self.extensions:
                extension.extra_compile_args += OPENMP
                extension.extra_link_args += OPENMP
        else:
            print("cbackprop: without OpenMP, one thread only", file=sys.stderr)
        self.write_c()
        super().build_extensions()

    def write_c(self) -> None:
        """
        Let Cython write the C of what has changed since.

        It would write all of it again whenever its own files are newer, as they are in each of
        pip's build environments, and all would be compiled again.
        """
        note = Path("build", "settings.txt")
        settings = repr((Cython.__version__, numpy.__version__, self.directives, self.settings,
                         *map(os.environ.get, ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS"))))
        if not note.is_file() or note.read_text() != settings:
            for c in Path("src").rglob("*.c"):
                c.unlink()
        forks = multiprocessing.get_start_method() == "fork"  # others would run setup.py again
        cythonize([e for e in self.extensions if is_stale(e)], force=True,
                  nthreads=self.parallel if forks else 0,
                  compiler_directives=self.directives, shared_utility_qualified_name=self.shared)
        note.parent.mkdir(exist_ok=True)
        note.write_text(settings)
        for extension in self.extensions:
            extension.sources = [str(written(extension))]

    def use_clang_cl(self) -> None:
        """Put clang-cl, which knows vectors, in the place of Microsoft's compiler."""
        self.compiler.initialize()
        self.compiler.cc = shutil.which("clang-cl")
        if self.compiler.cc is None:
            raise SystemExit("cbackprop: clang-cl, of LLVM, must be in PATH to compile on Windows")
        options = [option for option in self.compiler.compile_options if option != "/GL"]
        self.compiler.compile_options = options  # the linker could not read what /GL asks for

    def accepts(self, flags: list[str], source: str = "int main(void) { return 0; }") -> bool:
        """Whether the compiler and the linker take these flags."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "flags.c")
            path.write_text(source + "\n")
            try:
                objects = self.compiler.compile([str(path)], output_dir=folder,
                                                extra_postargs=["-Werror", *spelt(flags)])
                self.compiler.link_executable(objects, "flags", output_dir=folder,
                                              extra_postargs=[] if WINDOWS else flags)
            except Exception as error:  # each compiler class raises its own
                print(error, file=sys.stderr)
                return False
        return True
