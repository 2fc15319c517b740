"""E-mail: its header, its body in the plainest of the forms that it is sent in, and its attachments."""

import re
from email import message_from_bytes
from email.header import decode_header
from email.message import Message
from email.policy import compat32

from rag.parsing.inside.charset import decode
from rag.parsing.inside.draft import Draft
from rag.parsing.inside.nesting import check_parts
from rag.parsing.inside.web import read_page
from rag.parsing.inside.words import one_line

_TOLD = ("From", "To", "Cc", "Date", "Subject")
_SHOWN = ("text/plain", "text/html")
_MOST_PARTS = 1_000
_LONGEST_HEADER = 10_000  # of which more is not read
_folded = re.compile(r"\r?\n[ \t]+")


def read_mail(draft: Draft, data: bytes) -> None:
    """Raises Refused."""
    check_parts(data)
    mail = message_from_bytes(data, policy=compat32)
    draft.title = header(mail, "Subject")
    draft.say("author", header(mail, "From"))
    draft.say("date", header(mail, "Date"))
    draft.paragraph("\n".join(f"{name}: {said}" for name in _TOLD if (said := header(mail, name))))
    parts = list(_parts(mail))
    bodies = _bodies(mail, has_name=False) or _bodies(mail, has_name=True)[:1]
    for body in bodies:
        _read_body(draft, body)
    for part in parts:
        if part not in bodies and _is_attached(part):
            _attach(draft, part)


def header(mail: Message, name: str) -> str:
    """Its text, whatever its sender wrote: encoded words, or bytes as they are."""
    raw = next((str(value) for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    raw = raw[:_LONGEST_HEADER]
    return _decode_words(_folded.sub(" ", raw).encode("utf-8", "surrogateescape"))


def _decode_words(raw: bytes) -> str:
    if b"=?" not in raw:
        return one_line(decode(raw))
    said = ""
    for piece, charset in decode_header(raw.decode("latin-1")):
        coded = piece if isinstance(piece, bytes) else piece.encode("latin-1", "replace")
        said += decode(coded, charset or "")
    return one_line(said)


def _parts(mail: Message) -> list[Message]:
    """Its leaves; a mail inside it is one of them."""
    found: list[Message] = []
    waiting = [mail]
    while waiting and len(found) < _MOST_PARTS:
        part = waiting.pop()
        inner = _within(part)
        if inner and part.get_content_maintype() == "multipart":
            waiting += reversed(inner)
        else:
            found.append(part)
    return found


def _within(part: Message) -> list[Message]:
    inner = part.get_payload()
    return [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []


def _bodies(part: Message, *, has_name: bool) -> list[Message]:
    """The texts that it shows one after the other: of alternatives one, plain text before HTML."""
    inner = _within(part)
    if inner and part.get_content_maintype() == "multipart":
        found = [bodies for one in inner if (bodies := _bodies(one, has_name=has_name))]
        if part.get_content_subtype() == "alternative":
            return min(found, key=_count_pages, default=[])
        return [body for bodies in found for body in bodies]
    is_shown = part.get_content_disposition() != "attachment" and part.get_content_type() in _SHOWN
    is_body = is_shown and bool(part.get_filename()) == has_name
    return [part] if is_body and _bytes_of(part).strip() else []


def _count_pages(bodies: list[Message]) -> int:
    return sum(body.get_content_type() == "text/html" for body in bodies)


def _read_body(draft: Draft, part: Message) -> None:
    text = decode(_bytes_of(part), part.get_content_charset() or "")
    if part.get_content_type() == "text/html":
        title = draft.title
        read_page(draft, text)
        draft.title = title
        return
    for paragraph in re.split(r"\n[ \t]*\n\s*", text.replace("\r\n", "\n")):
        draft.paragraph(paragraph)


def _bytes_of(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _is_attached(part: Message) -> bool:
    """Pictures that stand in the text, which are signatures and letterheads mostly, are not."""
    if part.get_content_disposition() == "attachment" or part.get_content_type() == "message/rfc822":
        return True
    is_drawn = part.get_content_maintype() == "image" and part.get("Content-ID")
    return bool(part.get_filename()) and not is_drawn


def _attach(draft: Draft, part: Message) -> None:
    kind = part.get_content_type()
    if kind == "message/rfc822":
        mail = next(iter(_within(part)), part)
        if _is_coded(part):
            mail = message_from_bytes(_decoded(part, mail), policy=compat32)
        draft.attach(f"{header(mail, 'Subject') or 'mail'}.eml", kind, mail.as_bytes())
        return
    draft.attach(_name(part), kind, _bytes_of(part))


def _is_coded(part: Message) -> bool:
    """A mail in a mail may not be, says RFC 2046; some servers' are."""
    return str(part.get("Content-Transfer-Encoding", "")).strip().lower() in ("base64", "quoted-printable")


def _decoded(part: Message, mail: Message) -> bytes:
    """What the library took for the text of a mail without a header."""
    if mail.keys():
        return mail.as_bytes()
    mail["Content-Transfer-Encoding"] = str(part["Content-Transfer-Encoding"])
    return _bytes_of(mail)


def _name(part: Message) -> str:
    """A name in RFC 2231's form is decoded by the library."""
    name = part.get_filename("")[:_LONGEST_HEADER].encode("utf-8", "surrogateescape")
    return _decode_words(name).replace("/", "_") or "attachment"
