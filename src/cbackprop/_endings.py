"""The exceptions that end a training before its last epoch."""


class DivergenceError(FloatingPointError):
    """Training produced NaN or infinity; the parameters are those from before that epoch."""


class StopTraining(Exception):  # noqa: N818  an order, not an error
    """
    Raised by a callback, a metric or a schedule: the training ends here, as it is.

    For a callback, returning True does the same.
    """
