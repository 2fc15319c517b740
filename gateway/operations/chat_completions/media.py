"""Images, sound and files in a message's parts: what is none is refused by the place where it stands, before
anything is held or sent. A provider would say it later, and of some message or other.

Covers: data URLs without base64, base64 that is broken, bytes that are no image, sound or PDF, kinds of media
that no model reads, addresses with other schemes than http and https, and such as lead to a machine of the
site or to a cloud's credentials: a model server that stands there would fetch them for anybody. Servers go by
the fields of a part as well as by its `type` (vLLM does where there is none, or a `uuid` beside it), so a
part is held to both, and an address is one wherever it stands in it.
Does not cover: what stands at an address (the provider fetches it), what a name resolves to there, files that
a provider keeps (`file_id`), the content of kinds that we do not know; a picture that is broken behind its
first bytes.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from foundation.egress import PUBLIC
from foundation.egress.urls import check_host, parse_url
from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.operations.body import MAX_PLACE, wrong

IMAGES = (
    *("image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/bmp", "image/tiff"),
    *("image/heic", "image/heif", "image/avif"),
)
PDF = "application/pdf"
OUR_FILE = re.compile(r"file-[0-9a-f]{32}")  # its id, as `gateway.files` shows it
BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
ADDRESSES = ("http://", "https://")
ORIGIN = re.compile(r"[a-z]+://[^/?#]*", re.IGNORECASE)  # with all that any reader takes for a host
MOST_ESCAPED = 1_000  # characters in which an escape would stand, if there were any
BOX = b"ftyp"  # of HEIC and AVIF, behind four bytes of its length; films have it too, of other brands
BRANDS = frozenset(
    {
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif"),
        *(b"mif1", b"mif2", b"msf1", b"miaf", b"avif", b"avis"),
    }
)
TEXTS = frozenset({"text", "refusal", "tool_reference"})
FIELDS = ("image_url", "video_url", "audio_url")  # are read of a part of any type
# Types and fields of what is looked at and not heard; sound is what nobody knows, too.
SEEN = frozenset(
    {"image_url", "input_image", "image", "image_embeds", "image_pil", "document", "document_url"}
)
HEARD = frozenset({"audio_url", "input_audio", "audio", "audio_embeds", "video_url", "video"})
MEDIA = SEEN | HEARD | {"file", "input_file", "file_url"}
SILENT = SEEN | {"search_result", "thinking", "redacted_thinking"}
SILENT_FILES = ("data:application/pdf", "data:text/", "data:image/")
# Fields that hold what is read: no server fetches an address that stands there.
READ = frozenset({"text", "refusal", "thinking", "reasoning", "content", "title", "context", "filename"})
ASIDE = frozenset({"citations", "annotations", "input", "arguments"})
# How an address begins, with what many readers leave out of one
ADDRESS = re.compile(
    r"""[\s\0-\x20]*+ (?: h{n}t{n}t{n}p{n}(?:s{n})?: | [a-z](?:{n}[a-z0-9+.-]){0,20}{n}:{n}/{n}/ )""".replace(
        "{n}", r"[\t\r\n]*+"
    ),
    re.IGNORECASE | re.VERBOSE,
)


def check_media(part: dict[str, Any], name: str) -> None:
    """Raises InvalidInput naming the place."""
    for kind in dict.fromkeys([part["type"], *(field for field in FIELDS if part.get(field) is not None)]):
        if (check_kind := KINDS.get(kind)) is not None:
            check_kind(part, name)
    check_addresses(part, name)


def kinds_of(part: dict[str, Any]) -> Iterator[str]:
    """What a part may be read as: of its type, and of the fields that servers read whatever that says."""
    if part["type"] not in TEXTS:
        yield part["type"]
    yield from (field for field in part if field in MEDIA and part[field] is not None)


def may_sound(part: dict[str, Any]) -> bool:
    """Whether anything of a part may be heard: its tokens have a price of their own."""
    return any(not (_is_silent_file(part) if kind == "file" else kind in SILENT) for kind in kinds_of(part))


def _is_silent_file(part: dict[str, Any]) -> bool:
    file = part.get("file")
    data = file.get("file_data") if isinstance(file, dict) else None
    return isinstance(data, str) and data[:40].lower().startswith(SILENT_FILES)


def check_addresses(value: Any, name: str) -> None:
    """All that a server might fetch, at any depth. Raises InvalidInput naming the place."""
    if isinstance(value, str):
        if ADDRESS.match(value):
            check_address(value.strip(), name)
    elif isinstance(value, list):
        for position, one in enumerate(value):
            check_addresses(one, f"{name}[{position}]")
    elif isinstance(value, dict):
        for field, one in value.items():
            is_read = field in READ or (field == "source" and value.get("type") == "search_result")
            if field not in ASIDE and not (is_read and isinstance(one, str)):
                check_addresses(one, f"{name}.{field[:MAX_PLACE]}")


def _check_image(part: dict[str, Any], name: str) -> None:
    address, place = _address_of(part, "image_url", name)
    kind, content = _read_address(address, place)
    if kind is None:
        return
    if kind not in IMAGES:
        raise wrong(place, _("has a media type that is not one of %(kinds)s") % {"kinds": ", ".join(IMAGES)})
    if not is_image(content):
        raise wrong(place, _("holds no image"))


def _check_film(part: dict[str, Any], name: str) -> None:
    """As vLLM and Qwen take them."""
    _read_address(*_address_of(part, "video_url", name))


def _check_heard(part: dict[str, Any], name: str) -> None:
    _read_address(*_address_of(part, "audio_url", name))


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
    is_boxed = content[4:8] == BOX and content[8:12] in BRANDS
    return content.startswith(BEGINNINGS) or is_webp or is_boxed


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
        if OUR_FILE.fullmatch(file["file_id"]):
            reason = _("names a file that is kept here, which no provider can read; send it as “file_data”")
            raise wrong(f"{place}.file_id", reason)
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
    "video_url": _check_film,
    "audio_url": _check_heard,
    "input_audio": _check_sound,
    "file": _check_file,
    "image": _check_source,
    "document": _check_source,
}
