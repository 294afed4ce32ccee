"""The extension modules: one core, built once per instruction set and real type."""

import os
import platform
import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.append(str(Path(__file__).resolve().parent / "tools"))
from build_ext import BuildExt, module, render_templates

CORE = "src/cbackprop/core"
# Memoryviews are compiled once, not in every build of the core. Cython enters the module under its
# bare name as well, which must not clash with anyone's.
SHARED = "cbackprop.core._cbackprop_shared"
DEBUG = os.environ.get("CBACKPROP_DEBUG") == "1"
# For tools/check_races.sh: "thread" instruments the modules, and one instruction set is enough.
SANITIZE = os.environ.get("CBACKPROP_SANITIZE")

# Never -Ofast or -ffast-math: with GCC before 13, loading such a library changes the floating-point
# mode of the whole process. Never -march=native: a wheel runs elsewhere.
# What is inlined says so: else GCC takes rare cases, with all the registers they save, into the
# functions that every mini-batch passes through (2 % on [8, 16, 16, 1]).
FLAGS = ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
         "-fno-inline-functions-called-once"]
SYMBOLS = ["-g"] if DEBUG else ["-g0"]
SANITIZED = [f"-fsanitize={SANITIZE}", "-g", "-O1"] if SANITIZE else []

# By architecture, then instruction set: what _cpu.pyx looks for before it lets a build be imported.
# Tuned for the first CPU of each: GCC's generic tuning spills pointers into vector registers inside
# the tile (5 % at batches of 10).
LEVELS_OF = {
    "x86_64": {
        "baseline": [],
        "v3": ["-mavx2", "-mfma", "-mtune=haswell"],
        "v4": ["-mavx2", "-mfma", "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl",
               "-mtune=skylake-avx512"],
        "v4bf16": ["-mavx2", "-mfma", "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl",
                   "-mavx512bf16", "-mtune=skylake-avx512"],
    },
}
MACHINE = platform.machine().lower().replace("amd64", "x86_64")
LEVELS = LEVELS_OF.get(MACHINE if not SANITIZE else "", {"baseline": []})
# For who tries a change: CBACKPROP_BUILDS="v3" compiles that one alone.
BUILDS = os.environ.get("CBACKPROP_BUILDS", " ".join(LEVELS)).split()
if not BUILDS or not set(BUILDS) <= set(LEVELS):
    raise SystemExit(f"CBACKPROP_BUILDS must name some of {list(LEVELS)}, got {BUILDS}")

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "freethreading_compatible": True,
}
NUMPY = ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")
# The tile must be unrolled into every one of its sizes.
INLINE = ("CYTHON_INLINE", "inline __attribute__((always_inline))")
MACROS = {"float32": [INLINE], "float64": [INLINE, ("CBP_DOUBLE", None)],
          "bfloat16": [INLINE, ("CBP_BFLOAT16", None)]}


class Build(BuildExt):
    """How the modules are built: what was chosen above."""

    levels, directives, shared = {isa: LEVELS[isa] for isa in BUILDS}, DIRECTIVES, SHARED
    settings = [SYMBOLS, SANITIZED]  # noqa: RUF012


def vector_module(name: str, source: str, flags: list[str], macros: list[tuple]) -> Extension:
    """Describe a module that speaks the core's vocabulary."""
    return module(name, source, FLAGS + SYMBOLS + flags + SANITIZED,
                  include=[f"{CORE}/vocabulary"], define_macros=[NUMPY, *macros],
                  extra_link_args=[*SANITIZED])


render_templates(CORE)
setup(
    cmdclass={"build_ext": Build},
    ext_modules=[
        module("cbackprop.core._cpu", f"{CORE}/_cpu.pyx", SYMBOLS),
        module(SHARED, f"{CORE}/_cbackprop_shared.c", SYMBOLS),
        vector_module("cbackprop.core._runtime", f"{CORE}/_runtime.pyx", [], []),
        module("cbackprop.chapter2.chapter2", "src/cbackprop/chapter2/chapter2.pyx",
               ["-O3", *SYMBOLS]),
        *(vector_module(f"cbackprop.core.builds._{isa}_{real}", f"{CORE}/builds/_{isa}_{real}.pyx",
                        LEVELS[isa], macros)
          for isa in BUILDS for real, macros in MACROS.items()
          # v4bf16 adds an instruction for bfloat16 alone.
          if isa != "v4bf16" or real == "bfloat16"),
    ],
)
