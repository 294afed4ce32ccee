"""
What every change must pass: `.ci/run` runs all of it but `ray`, .github/workflows/ci.yml each step.

The core, minutes of compiling, is compiled once: in an unpacked sdist, by the first session that
needs it. What comes after proves something about that one build. Later runs of nox on the same
commit find it built.
"""

import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"

# Works that differ from these in size alone are left out where each takes a compiler's time.
BENCHMARKS = [
    "peers --work 784-30-10 8-16-16-1 4-32-16-4 784-128-32-128-784 inference",
    "threads", "kernels", "growth", "backprop_vs_differences", "sklearn_fit",
    "sparse_fit", "sparse_steps", "one_row", "book", "first_hour", "streaming", "scaling",
    "ensembles", "bfloat16 --work 64-64-64-8 784-128-32-128-784", "learning --work 8-16-16-1"]
CONSTRAINTS = ["-c", "benchmarks/constraints.txt"]
AT_ONCE = ["-n", "auto", "--dist", "worksteal"]  # tests, by pytest-xdist


def dist(session: nox.Session) -> Path:
    """Return the folder for what is built; the unpacked sdist is in its folder `sdist`."""
    return Path(session.cache_dir, "dist")


def wheel_of(session: nox.Session) -> str:
    """Return the path of the wheel."""
    (wheel,) = dist(session).glob("*.whl")
    return str(wheel)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style and the types; nothing is compiled."""
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    session.install("numpy", *extras["lint"], *extras["test"])
    session.run("ruff", "check", ".")
    session.run("cython-lint", "src", "examples")
    session.run("mypy")
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session
def sdist(session: nox.Session) -> None:
    """Build an sdist, and see that it has what git tracks, and nothing else."""
    commit = session.run("git", "describe", "--always", "--dirty", "--abbrev=40", external=True,
                         silent=True).strip()
    built = dist(session) / "commit"
    if built.exists() and built.read_text() == commit and not commit.endswith("-dirty"):
        return
    shutil.rmtree(dist(session), ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--sdist", "--outdir", str(dist(session)))
    (archive,) = dist(session).glob("*.tar.gz")
    shutil.unpack_archive(archive, dist(session))
    Path(str(archive).removesuffix(".tar.gz")).rename(dist(session) / "sdist")
    listed = session.run("git", "ls-files", external=True, silent=True).splitlines()
    tracked = {name for name in listed if not name.startswith(".")}
    packed = {path.relative_to(dist(session) / "sdist").as_posix()
              for path in (dist(session) / "sdist").rglob("*") if path.is_file()}
    written = {name for name in packed if name in ("PKG-INFO", "setup.cfg") or ".egg-info/" in name}
    if tracked != packed - written:
        session.error(f"in git or in the sdist alone: {sorted(tracked ^ packed - written)}")
    built.write_text(commit)


@nox.session(requires=["sdist"])
def readme(session: nox.Session) -> None:
    """README's two commands, as they stand there."""
    session.chdir(dist(session) / "sdist")
    commands = re.findall(r"^pip install.*", Path("README.md").read_text(encoding="utf-8"),
                          re.MULTILINE)
    if len(commands) != 2:
        session.error(f"README has the commands {commands}")
    session.install("pytest-xdist")
    for command in commands:
        session.run("bash", "-euc", command, external=True,
                    env={"PYTEST_ADDOPTS": " ".join(AT_ONCE)})


@nox.session(requires=["sdist"])
def wheel(session: nox.Session) -> None:
    """Install the wheel with NumPy alone, and train in an empty directory."""
    if list(dist(session).glob("*.whl")):
        return
    session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist(session)),
                str(dist(session) / "sdist"))
    session.install(wheel_of(session))
    session.chdir(session.create_tmp())
    session.run("cbackprop", "train")


@nox.session(requires=["wheel"])
def docs(session: nox.Session) -> None:
    """Draw the figures, run the examples, build the pages: DIR to keep them is the argument."""
    session.install(f"{wheel_of(session)}[docs]")
    site = Path(session.posargs[0] if session.posargs else session.create_tmp(), "site").resolve()
    work = dist(session) / "docs"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(dist(session) / "sdist", work, ignore=shutil.ignore_patterns("build", "*.c"))
    session.chdir(work)
    page = Path("docs/benchmarks.md")
    before = page.read_text(encoding="utf-8")
    session.run("python", "benchmarks/report.py")
    if page.read_text(encoding="utf-8") != before:
        session.error(f"{page} is not what benchmarks/report.py makes of the results")
    session.run("python", "tools/make_pictures.py")
    session.run("sphinx-build", "--quiet", "--fail-on-warning", "--keep-going", "docs", str(site))


@nox.session(requires=["wheel"])
def slow(session: nox.Session) -> None:
    """Run the tests that take long, with all that they compare with. CI alone does."""
    session.install(f"{wheel_of(session)}[test,bench,neighbours]", *CONSTRAINTS)
    session.run("pytest", "-q", *AT_ONCE, "-m", "slow", "tests")


@nox.session(requires=["wheel"])
def ray(session: nox.Session) -> None:
    """Sweeps and fits in Ray's workers. Ray is 70 MB and slow to start: CI alone runs this."""
    session.install(f"{wheel_of(session)}[test,ray]")
    session.run("pytest", "-q", "tests/estimators/test_clusters.py", "tests/project/"
                "test_examples.py", "-k", "ray")


@nox.session(requires=["wheel"])
def browser(session: nox.Session) -> None:
    """Try the page of `cbackprop watch` in a Chromium, and let axe-core look at it."""
    if not any(map(shutil.which, ("chromium", "google-chrome"))):
        session.skip("there is no Chromium: apt-get install chromium")
    if not shutil.which("npm"):
        session.skip("there is no npm, which brings axe-core")
    session.install(f"{wheel_of(session)}[test]", "playwright>=1.50")
    modules = session.create_tmp()
    session.run("npm", "install", "--silent", "--prefix", modules, "axe-core@4", external=True)
    axe = Path(modules, "node_modules", "axe-core", "axe.min.js").resolve()
    session.run("pytest", "-q", "tests/watch/test_browser.py", env={"CBACKPROP_AXE": str(axe)})


@nox.session(requires=["wheel"])
def neighbours(session: nox.Session) -> None:
    """Every benchmark at a tiny size, and the tests that compare with other libraries."""
    wheel = wheel_of(session)
    session.install(f"{wheel}[lint,test,bench,neighbours]", *CONSTRAINTS)
    for each in BENCHMARKS:
        name, *work = each.split()
        session.run("python", f"benchmarks/{name}.py", "--tiny", *work)
    optimizers = "tests/core/test_optimizers.py"
    session.run("pytest", "-q", *AT_ONCE, "tests/project/test_docs.py",
                "tests/project/test_pages.py::test_the_code_of_a_page_that_imports_others",
                "tests/estimators",
                "tests/convert", "tests/tables", "tests/first_hour", "tests/streams", "tests/mpi",
                "tests/core/test_sparse.py",
                "tests/network/test_by_layer.py", "tests/network/test_frames.py",
                "tests/network/test_files.py", "tests/network/test_loggers.py",
                f"{optimizers}::test_optimizers_as_pytorchs",
                f"{optimizers}::test_lbfgs_finds_the_least_squares",
                f"{optimizers}::test_lbfgs_learns_and_refuses",
                f"{optimizers}::test_lbfgs_gives_scipy_numbers_of_the_networks_type")
    session.run("pytest", "-q", *AT_ONCE, "tests/benchmarks/test_benchmarks.py", "-k", "peers")
