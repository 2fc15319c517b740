"""What a conversion refuses."""


class Unconvertible(ValueError):
    """No model can be made of the file; the text says why."""
