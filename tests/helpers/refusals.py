"""How refusals look: one line, not endless."""

from contextlib import contextmanager

import pytest


@contextmanager
def one_line(error, match):
    """Expect an error with a message of one line, not endless."""
    with pytest.raises(error, match=match) as raised:
        yield
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 400
