"""Which characters bytes are. What is no Unicode is taken for Chinese (GB 18030) or for Windows' Latin
letters: of the two that read almost anything, the one in which it reads like a language.
"""

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# what senders call it → what it is: the larger set that they mean
_MEANT = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "iso-8859-1": "windows-1252",
    "latin-1": "windows-1252",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
}
_SAMPLE = 200_000
_USUAL_SHARE = 0.6


def decode(data: bytes, declared: str = "") -> str:
    """Its text, whatever it takes: what no character can be becomes U+FFFD."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    for name in filter(None, (_known(declared), "utf-8")):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return data.decode(guess(data), "replace")


def guess(data: bytes) -> str:
    """gb18030 or windows-1252, for bytes that are no UTF-8."""
    sample = data[:_SAMPLE]
    try:
        text = codecs.getincrementaldecoder("gb18030")().decode(sample)
    except UnicodeDecodeError:
        return "windows-1252"
    foreign = [char for char in text if char > "\x7f"]
    usual = sum(_is_usual(char) for char in foreign)
    return "gb18030" if foreign and usual / len(foreign) >= _USUAL_SHARE else "windows-1252"


def _is_usual(char: str) -> bool:
    """Whether it stands in the rows of GB 2312 that texts use: punctuation, and its first level of
    ideographs. A Latin letter with the letter after it, read as one, hardly ever does.
    """
    coded = char.encode("gb18030")
    return len(coded) == 2 and coded[1] >= 0xA1 and (0xA1 <= coded[0] <= 0xA3 or 0xB0 <= coded[0] <= 0xD7)


def _known(declared: str) -> str:
    name = declared.strip().strip("\"'").lower()
    name = _MEANT.get(name, name)
    try:
        return codecs.lookup(name).name if name and codecs.lookup(name)._is_text_encoding else ""
    except (LookupError, ValueError):
        return ""
