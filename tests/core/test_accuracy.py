"""docs/accuracy.md against the core: functions are as accurate as it says, and to 4 ulp."""

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/accuracy.py"
if not TOOL.exists():
    pytest.skip("docs and tools are not here", allow_module_level=True)
pytest.importorskip("mpmath")
spec = importlib.util.spec_from_file_location("accuracy", TOOL)
accuracy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(accuracy)


@pytest.mark.parametrize("name", accuracy.FUNCTIONS)
def test_errors_are_as_stated(name):
    """Points are drawn anew, fewer: the largest of those may be above that of others, a little."""
    stated = accuracy.stated()
    for function, real, isa, error in accuracy.errors(1200, [name]):
        assert error <= min(accuracy.MOST, stated[function, real, isa] + 0.5)


def test_the_table_has_every_activation(build):
    missing = set(build.ACTIVATIONS) - set(accuracy.FUNCTIONS)
    assert missing == {"identity", "softmax"}
    assert {name for name, _, _ in accuracy.stated()} == set(accuracy.FUNCTIONS)
    assert max(accuracy.stated().values()) <= accuracy.MOST


def test_ulps_sees_an_error():
    x = accuracy.np.array([1.0, 2.0])
    assert accuracy.ulps(x, [accuracy.mp.mpf(1), accuracy.mp.mpf(2)]) == 0
    assert accuracy.ulps(x, [accuracy.mp.mpf(1), accuracy.mp.mpf(2) * (1 + 3 * 2**-52)]) == 3
