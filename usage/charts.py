"""What charts of usage share."""


def round_up(value: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, … that is not below the value: the top of an axis. 0 for 0."""
    if value <= 0:
        return 0
    power = 10 ** (len(str(value)) - 1)
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
