"""Images, sound and files in a message's parts: what is none is refused by the place where it stands, before
anything is held or sent. A provider would say it later, and of some message or other.

Covers: data URLs without base64, base64 that is broken, bytes that are no image, sound or PDF, kinds of media
that no model reads, addresses with other schemes than http and https, and such as lead to a machine of the
site or to a cloud's credentials: a model server that stands there would fetch them for anybody.
Does not cover: what stands at an address (the provider fetches it), what a name resolves to there, files that
a provider keeps (`file_id`), parts of kinds that we do not know; a picture that is broken behind its first
bytes.
"""

import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from foundation.egress import PUBLIC
from foundation.egress.urls import check_host, parse_url
from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.operations.body import wrong

IMAGES = (
    *("image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/bmp", "image/tiff"),
    *("image/heic", "image/heif", "image/avif"),
)
PDF = "application/pdf"
BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
ADDRESSES = ("http://", "https://")
ORIGIN = re.compile(r"[a-z]+://[^/?#]*", re.IGNORECASE)  # with all that any reader takes for a host
MOST_ESCAPED = 1_000  # characters in which an escape would stand, if there were any
BOX = b"ftyp"  # of HEIC and AVIF, behind four bytes of its length


def check_media(part: dict[str, Any], name: str) -> None:
    """Raises InvalidInput naming the place."""
    check_kind = KINDS.get(part.get("type"))
    if check_kind is not None:
        check_kind(part, name)


def _check_image(part: dict[str, Any], name: str) -> None:
    address, place = _address_of(part, "image_url", name)
    kind, content = _read_address(address, place)
    if kind is None:
        return
    if kind not in IMAGES:
        raise wrong(place, _("has a media type that is not one of %(kinds)s") % {"kinds": ", ".join(IMAGES)})
    if not is_image(content):
        raise wrong(place, _("holds no image"))


def _check_other_address(part: dict[str, Any], name: str) -> None:
    """Of a film or of sound, as vLLM and Qwen take them."""
    _read_address(*_address_of(part, part["type"], name))


def _address_of(part: dict[str, Any], field: str, name: str) -> tuple[str, str]:
    """An address and the place where it stands; some clients write it without an object around it."""
    given, place = part.get(field), f"{name}.{field}"
    if isinstance(given, dict):
        given, place = given.get("url"), f"{place}.url"
    if not isinstance(given, str):
        raise wrong(place, _("must be a string"), "invalid_type")
    return given, place


def _read_address(address: str, name: str) -> tuple[str | None, bytes]:
    """The media type and the content of a data URL; None of an address that others fetch. Raises
    InvalidInput.
    """
    begin = address[:8].lower()
    if begin.startswith(ADDRESSES):
        check_address(address, name)
        return None, b""
    if not begin.startswith("data:"):
        raise wrong(name, _("must be an address that begins with http:// or https://, or a data URL"))
    kind, data = _read_data_url(address, name)
    return kind, decode(data, name)


def check_address(address: str, name: str) -> None:
    """Raises InvalidInput where the host of an address that others fetch is none, or not on the internet."""
    found = ORIGIN.match(address)
    try:
        target = parse_url(f"{found[0]}/" if found else address)
        check_host(target.host, target.port, PUBLIC)
    except InvalidInput:
        reason = _("must be at a host on the internet; send what is nearer in the request itself")
        raise wrong(name, reason) from None


def _read_data_url(address: str, name: str) -> tuple[str, str]:
    head, comma, data = address.partition(",")
    kind, *more = head[len("data:") :].lower().split(";")
    if not comma or "base64" not in more:
        raise wrong(name, _("must be a data URL in base64: data:image/png;base64,…"))
    return kind.strip(), unquote(data) if "%" in data[:MOST_ESCAPED] else data


def decode(data: str, name: str) -> bytes:
    """Raises InvalidInput. Without its padding and over several lines base64 is read everywhere."""
    bare = "".join(data.split()).rstrip("=")
    try:
        content = binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except ValueError:
        raise wrong(name, _("is not valid base64")) from None
    if not content:
        raise wrong(name, _("must not be empty"))
    return content


def is_image(content: bytes) -> bool:
    is_webp = content.startswith(b"RIFF") and content[8:12] == b"WEBP"
    return content.startswith(BEGINNINGS) or is_webp or content[4:8] == BOX


def _check_sound(part: dict[str, Any], name: str) -> None:
    place = f"{name}.input_audio"
    sound = part.get("input_audio")
    if not isinstance(sound, dict):
        raise wrong(place, _("must be an object"), "invalid_type")
    for field in ("data", "format"):
        if not isinstance(sound.get(field), str):
            raise wrong(f"{place}.{field}", _("must be a string"), "invalid_type")
    data = sound["data"]
    if data[:5].lower() == "data:":
        _kind, data = _read_data_url(data, f"{place}.data")
    content = decode(data, f"{place}.data")
    is_fine = SOUNDS.get(sound["format"].lower())
    if is_fine is not None and not is_fine(content):
        raise wrong(f"{place}.data", _("holds no sound of the format that “format” names"))


def _check_source(part: dict[str, Any], name: str) -> None:
    """Of Anthropic's own parts, which go to it as they are."""
    source = part.get("source")
    if isinstance(source, dict) and isinstance(source.get("url"), str):
        check_address(source["url"], f"{name}.source.url")


def _is_wav(content: bytes) -> bool:
    return content[:4] in (b"RIFF", b"RF64") and content[8:12] == b"WAVE"


def _is_mp3(content: bytes) -> bool:
    """A tag, or the head of a frame: eleven bits that are set."""
    return content.startswith(b"ID3") or (content[0] == 0xFF and content[1:2] >= b"\xe0")


def _check_file(part: dict[str, Any], name: str) -> None:
    place = f"{name}.file"
    file = part.get("file")
    if not isinstance(file, dict):
        raise wrong(place, _("must be an object"), "invalid_type")
    data = file.get("file_data")
    if data is None:
        if not isinstance(file.get("file_id"), str):
            raise wrong(place, _("must have “file_data” or “file_id”"), "missing_required_parameter")
        return
    if not isinstance(data, str):
        raise wrong(f"{place}.file_data", _("must be a string"), "invalid_type")
    kind = ""
    if data[:5].lower() == "data:":
        kind, data = _read_data_url(data, f"{place}.file_data")
    content = decode(data, f"{place}.file_data")
    if kind == PDF and not is_pdf(content):
        raise wrong(f"{place}.file_data", _("holds no PDF"))


def is_pdf(content: bytes) -> bool:
    return b"%PDF-" in content[:1_024]


SOUNDS = {"wav": _is_wav, "mp3": _is_mp3}
KINDS: dict[Any, Callable[[dict[str, Any], str], None]] = {
    "image_url": _check_image,
    "video_url": _check_other_address,
    "audio_url": _check_other_address,
    "input_audio": _check_sound,
    "file": _check_file,
    "image": _check_source,
    "document": _check_source,
}
