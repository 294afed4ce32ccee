"""The extension modules: one core, built once per instruction set and real type."""

import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = "src/cbackprop/core"
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

# What _cpu.pyx looks for before it lets a build be imported; tuned for the first CPU of each level:
# GCC's generic tuning spills pointers into vector registers inside the tile (5 % at batches of 10).
ISA_FLAGS = {
    "baseline": [],
    "v3": ["-mavx2", "-mfma", "-mtune=haswell"],
    "v4": ["-mavx2", "-mfma", "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl",
           "-mtune=skylake-avx512"],
}
if platform.machine().lower() not in {"x86_64", "amd64"}:
    ISA_FLAGS = {"baseline": []}

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "freethreading_compatible": True,
}


def core(isa: str, real: str) -> Extension:
    """One build of the core."""
    name = f"_{isa}_{real}"
    return Extension(
        f"cbackprop.core.{name}",
        [f"{CORE}/{name}.pyx"],
        include_dirs=[CORE, numpy.get_include()],
        depends=[f"{CORE}/simd.h", *map(str, Path(CORE).glob("*.pxi"))],
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            # The tile must be unrolled into every one of its sizes.
            ("CYTHON_INLINE", "inline __attribute__((always_inline))"),
            *([("CBP_DOUBLE", None)] if real == "float64" else []),
        ],
        extra_compile_args=FLAGS + SYMBOLS + ISA_FLAGS[isa],
    )


class BuildExt(build_ext):
    """Leaves out, and says so, the instruction sets whose flags the compiler refuses."""

    def finalize_options(self) -> None:
        """Compile on every core."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        """Ask the compiler once per instruction set, then build."""
        refused = [isa for isa, flags in ISA_FLAGS.items() if not self.accepts(flags)]
        for isa in refused:
            print(f"cbackprop: the compiler refuses {ISA_FLAGS[isa]}: no {isa} build of the core",
                  file=sys.stderr)
        self.extensions = [e for e in self.extensions
                           if not any(f"._{isa}_" in e.name for isa in refused)]
        super().build_extensions()

    def accepts(self, flags: list[str]) -> bool:
        """Whether the compiler takes these flags."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "flags.c")
            source.write_text("int main(void) { return 0; }\n")
            try:
                self.compiler.compile([str(source)], output_dir=folder,
                                      extra_postargs=["-Werror", *flags])
            except Exception as error:  # each compiler class raises its own
                print(error, file=sys.stderr)
                return False
        return True


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        [
            Extension("cbackprop.core._cpu", [f"{CORE}/_cpu.pyx"], extra_compile_args=SYMBOLS),
            Extension(SHARED, [f"{CORE}/_cbackprop_shared.c"], extra_compile_args=SYMBOLS),
            *(core(isa, real) for isa in ISA_FLAGS for real in ("float32", "float64")),
        ],
        compiler_directives=DIRECTIVES,
        shared_utility_qualified_name=SHARED,
    ),
)
