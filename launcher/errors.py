"""The one exception of this folder."""


class ServiceError(RuntimeError):
    """Something around the embedded services failed; the text is one line
    for a person and says what to do.
    """
