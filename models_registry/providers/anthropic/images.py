"""The type of a picture by its first bytes: Anthropic refuses one that says to be another."""

import binascii

BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
READ = 64  # characters of base64 that may hold white space; of them so many are decoded:
DECODED = 16


def type_of(data: str, declared: str) -> str:
    """As declared where the bytes are none that Anthropic takes."""
    begin = "".join(data[:READ].split())[:DECODED]
    try:
        content = binascii.a2b_base64(begin.rstrip("=") + "=" * (-len(begin.rstrip("=")) % 4))
    except ValueError:
        return declared
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in BEGINNINGS if content.startswith(mark)), declared)
