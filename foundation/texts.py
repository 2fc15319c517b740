"""Texts that come from outside, as those who write and keep them want them."""


def mend_text(text: str) -> str:
    """Halves of a surrogate pair that belong together joined, others replaced by U+FFFD: no UTF-8 has a place
    for them.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def as_kept(text: str) -> str:
    """A text that a database keeps: without halves, and without NUL, for which PostgreSQL has no place. One
    that is fit already stays what it is, safe HTML too.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        text = mend_text(text)
    return text.replace("\0", "\ufffd") if "\0" in text else text
