"""The extension modules: one core, built once per instruction set and real type."""

import os
import platform
import re
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import Cython
import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = "src/cbackprop/core"
VOCABULARY = f"{CORE}/vocabulary"  # the C headers
WINDOWS = sys.platform == "win32"
# Memoryviews are compiled once, not in every build of the core. Cython enters the module under its
# bare name as well, which must not clash with anyone's.
SHARED = "cbackprop.core._cbackprop_shared"
DEBUG = os.environ.get("CBACKPROP_DEBUG") == "1"

# Never -Ofast or -ffast-math: with GCC before 13, loading such a library changes the floating-point
# mode of the whole process. Never -march=native: a wheel runs elsewhere.
# What is inlined says so: else GCC takes rare cases, with all the registers they save, into the
# functions that every mini-batch passes through (2 % on [8, 16, 16, 1]).
FLAGS = ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
         "-fno-inline-functions-called-once"]
SYMBOLS = ["-g"] if DEBUG else ["-g0"]
# For tools/check_races.sh: "thread" instruments the modules, and one instruction set is enough.
SANITIZE = os.environ.get("CBACKPROP_SANITIZE")
SANITIZED = [f"-fsanitize={SANITIZE}", "-g", "-O1"] if SANITIZE else []

# What _cpu.pyx looks for before it lets a build be imported; tuned for the first CPU of each level:
# GCC's generic tuning spills pointers into vector registers inside the tile (5 % at batches of 10).
ISA_FLAGS = {
    "baseline": [],
    "v3": ["-mavx2", "-mfma", "-mtune=haswell"],
    "v4": ["-mavx2", "-mfma", "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl",
           "-mtune=skylake-avx512"],
}
if SANITIZE or platform.machine().lower() not in {"x86_64", "amd64"}:
    ISA_FLAGS = {"baseline": []}
# For who tries a change: CBACKPROP_BUILDS="v3" compiles that level alone.
BUILDS = os.environ.get("CBACKPROP_BUILDS", " ".join(ISA_FLAGS)).split()
if not BUILDS or not set(BUILDS) <= set(ISA_FLAGS):
    raise SystemExit(f"CBACKPROP_BUILDS must name some of {list(ISA_FLAGS)}, got {BUILDS}")

# Apple's clang refuses it; for clang-cl its library would have to come along: one thread there.
OPENMP = ["-fopenmp"]
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return !omp_get_max_threads(); }"

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "freethreading_compatible": True,
}


def spelt(flags: list[str]) -> list[str]:
    """Spell flags as the compiler takes them: on Windows it is clang-cl, and they are clang's."""
    return [f"/clang:{flag}" for flag in flags] if WINDOWS else flags


@cache
def included(source: Path) -> set[Path]:
    """Find the files that one includes, itself, and so on: what it must be built anew for."""
    found = {source}
    for name in re.findall(r'^\s*(?:#\s*include|include|cdef extern from)\s+"(.+?)"',
                           source.read_text(encoding="utf-8"), re.MULTILINE):
        for folder in (source.parent, Path(VOCABULARY)):
            if (folder / name).is_file():
                found |= included(folder / name)
                break
    return found


def core(isa: str, real: str) -> Extension:
    """One build of the core."""
    name = f"_{isa}_{real}"
    source = Path(CORE, "builds", f"{name}.pyx")
    return Extension(
        f"cbackprop.core.builds.{name}",
        [str(source)],
        include_dirs=[VOCABULARY, numpy.get_include()],
        depends=["setup.py", *map(str, Path(CORE).glob("*.pxd")),
                 *map(str, included(source) - {source})],
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            # The tile must be unrolled into every one of its sizes.
            ("CYTHON_INLINE", "inline __attribute__((always_inline))"),
            *([("CBP_DOUBLE", None)] if real == "float64" else []),
        ],
        extra_compile_args=spelt(FLAGS + SYMBOLS + ISA_FLAGS[isa]) + SANITIZED,
        extra_link_args=[*SANITIZED],
    )


def runtime() -> Extension:
    """What needs neither an instruction set nor a real type."""
    source = Path(CORE, "_runtime.pyx")
    return Extension(
        "cbackprop.core._runtime",
        [str(source)],
        include_dirs=[VOCABULARY, numpy.get_include()],
        depends=["setup.py", *map(str, included(source) - {source})],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=spelt(FLAGS + SYMBOLS) + SANITIZED,
        extra_link_args=[*SANITIZED],
    )


def written(extension: Extension) -> Path:
    """Return the C file that Cython writes for an extension."""
    return Path(extension.sources[0]).with_suffix(".c")


def is_stale(extension: Extension) -> bool:
    """Whether its C is older than anything that went into it."""
    c = written(extension)
    return not c.is_file() or any(Path(path).stat().st_mtime > c.stat().st_mtime
                                  for path in (*extension.sources, *extension.depends))


class BuildExt(build_ext):
    """Leaves out, and says so, the instruction sets whose flags the compiler refuses."""

    def finalize_options(self) -> None:
        """Compile on every core."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Ask the compiler once per instruction set, then build."""
        self.write_c()
        if self.compiler.compiler_type == "msvc":
            self.use_clang_cl()
        refused = [isa for isa, flags in ISA_FLAGS.items() if not self.accepts(flags)]
        for isa in refused:
            print(f"cbackprop: the compiler refuses {ISA_FLAGS[isa]}: no {isa} build of the core",
                  file=sys.stderr)
        self.extensions = [e for e in self.extensions
                           if not any(f"._{isa}_" in e.name for isa in refused)]
        if not WINDOWS and self.accepts(OPENMP, OPENMP_PROGRAM):
            for extension in self.extensions:
                extension.extra_compile_args += OPENMP
                extension.extra_link_args += OPENMP
        else:
            print("cbackprop: without OpenMP, one thread only", file=sys.stderr)
        super().build_extensions()

    def write_c(self) -> None:
        """
        Let Cython write the C of what has changed since.

        It would write all of it again whenever its own files are newer, as they are in each of
        pip's build environments, and all would be compiled again.
        """
        settings = Path("build", "settings.txt")
        now = repr((Cython.__version__, numpy.__version__, DIRECTIVES, FLAGS, SYMBOLS, SANITIZED,
                    *map(os.environ.get, ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS"))))
        if not settings.is_file() or settings.read_text() != now:
            for c in Path("src").glob("**/*.c"):
                c.unlink()
        cythonize([e for e in self.extensions if is_stale(e)], force=True,
                  compiler_directives=DIRECTIVES, shared_utility_qualified_name=SHARED)
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(now)
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


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=[
        Extension("cbackprop.core._cpu", [f"{CORE}/_cpu.pyx"], extra_compile_args=spelt(SYMBOLS)),
        runtime(),
        Extension(SHARED, [f"{CORE}/_cbackprop_shared.c"], extra_compile_args=spelt(SYMBOLS)),
        Extension("cbackprop.chapter2.chapter2", ["src/cbackprop/chapter2/chapter2.pyx"],
                  extra_compile_args=spelt(["-O3", *SYMBOLS])),
        *(core(isa, real) for isa in BUILDS for real in ("float32", "float64")),
    ],
)
