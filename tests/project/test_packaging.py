"""Every Python that the package says it is for is tested, and gets a wheel on every platform."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists() or not (ROOT / "setup.py").exists(),
    reason="the project's own files are not beside the tests")


@pytest.fixture(scope="module")
def project():
    if sys.version_info < (3, 11):
        pytest.skip("tomllib came with Python 3.11")
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def said(project):
    return [name.rsplit("::", 1)[1].strip() for name in project["project"]["classifiers"]
            if re.search(r":: 3\.\d+$", name)]


@pytest.fixture(scope="module")
def jobs():
    if not WORKFLOWS.exists():
        pytest.skip("the workflows are not beside the tests")
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return {path.stem: yaml.safe_load(path.read_text())["jobs"] for path in WORKFLOWS.iterdir()}


def test_every_python_has_a_wheel(project, said):
    assert said[0] == project["project"]["requires-python"].removeprefix(">=")
    wheels = project["tool"]["cibuildwheel"]["build"].split()
    ordinary = [wheel for wheel in wheels if not wheel.endswith("t-*")]
    assert ordinary == [f"cp{version.replace('.', '')}-*" for version in said]
    assert set(wheels) - set(ordinary) == {f"{ordinary[-1][:-2]}t-*"}


def test_what_is_read_is_in_the_wheel(project):
    """Declarations for other people's compilers; and the chapter for the book's readers."""
    package_data = project["tool"]["setuptools"]["package-data"]
    assert package_data["cbackprop.chapter2"] == ["*.pyi", "*.pyx"]
    assert package_data["cbackprop.core"] == ["*.pyi", "*.pxd"]
    assert package_data["cbackprop"] == ["py.typed"]


def test_every_change_is_checked(jobs, said):
    """Every Python is in CI, and so is every session that .ci/run runs, called or required."""
    matrix = jobs["ci"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == [*said, f"{said[-1]}t"]
    assert {entry["runner"].split("-")[0] for entry in matrix["include"]} == {
        "ubuntu", "macos", "windows"}
    found = re.findall(r"^@nox\.session(?:\(requires=\[\"(\w+)\"\]\))?\ndef (\w+)",
                       (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    called = {step["run"].split()[2] for job in jobs["ci"].values()
              for step in job["steps"] if step.get("run", "").startswith("nox -s ")}
    assert called | {required for required, _ in found if required} == {name for _, name in found}


def test_the_release(project, jobs):
    jobs = jobs["release"]
    assert jobs["wheels"]["needs"] == "sdist"
    platforms = {entry["name"] for entry in jobs["wheels"]["strategy"]["matrix"]["include"]}
    assert platforms == {
        *(f"{linux}-{machine}" for linux in ("manylinux", "musllinux")
          for machine in ("x86_64", "aarch64")),
        "macos-x86_64", "macos-arm64", "windows-amd64"}
    commands = "\n".join(step.get("run", "") for step in jobs["wheels"]["steps"])
    assert "cibuildwheel --output-dir wheels sdist/*.tar.gz" in commands
    assert "-size +3000000c" in commands
    wheels = project["tool"]["cibuildwheel"]["build"].split()
    assert f"-eq {len(wheels)} " in commands
