"""A file on its way from a client's form to the disk: half a megabyte of it is in memory, never more."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.files.form import MAX_FIELDS, FormReader, Part
from gateway.files.places import place_for
from gateway.files.steps import on_database, on_disk
from gateway.request import Request
from tenants.files import services
from tenants.files.services import TOUCH_EVERY_S
from tenants.files.streams import BlobWriter, Place, Written, remove_bytes, too_large

logger = logging.getLogger(__name__)
WRITE_BYTES = 524_288
# A body that does not say how large it is reserves room as it comes.
STEP_BYTES = 32 * 1024**2

Begin = Callable[[int], Place]  # a step of the database: a place for at most so many bytes


@dataclass(slots=True)
class Arrived:
    """A form that came whole; its file is on the disk, and belongs to nobody yet."""

    written: Written
    name: str
    declared_type: str
    fields: dict[str, str] = field(default_factory=dict)


class Arrival:
    """Use as a context: what did not become a file when it ends is given up."""

    def __init__(
        self,
        request: Request,
        *,
        file_field: str,
        most_bytes: int,
        begin: Begin,
        unsaid_bytes: int = STEP_BYTES,
    ) -> None:
        """`unsaid_bytes`: reserved at first where the request does not say how large it is."""
        self._request = request
        self._slug = request.principal.tenant
        self._file_field = file_field
        self._most_bytes = most_bytes
        self._begin = begin
        self._unsaid_bytes = unsaid_bytes
        self._place: Place | None = None
        self._writer: BlobWriter | None = None
        self._reserved = 0
        self._touched_s = 0.0

    async def __aenter__(self) -> "Arrival":
        self._held = place_for(self._slug)
        self._held.__enter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._held.__exit__(None, None, None)
        if kind is None or self._place is None:
            return
        try:  # what cannot be given up now is found by the next cleaning
            if self._writer is not None:
                await on_disk(self._slug, self._writer.abort)
            if not await on_database(self._slug, services.abandon_blob, self._place.id):
                await on_disk(self._slug, remove_bytes, self._place.id)
        except Exception:
            logger.warning("a file of %s that did not arrive is not given up yet", self._slug, exc_info=True)

    async def receive(self) -> Arrived:
        """Raises InvalidInput, BodyTooLarge, BodyTimeout, UnsupportedBody, ClientGone, QuotaExceeded,
        Unavailable, and what `begin` raises.
        """
        form = FormReader(self._request.scope, self._request.receive, self._most_bytes)
        fields: dict[str, str] = {}
        arrived: Arrived | None = None
        async for part in form.parts():
            if part.name != self._file_field:
                if len(fields) >= MAX_FIELDS:
                    raise InvalidInput(_("The form has too many fields."), code="invalid_form")
                fields[part.name] = await part.text()
            elif arrived is None:
                written = await self._take(part, form.declared_bytes)
                arrived = Arrived(written, part.filename, part.declared_type)
            else:
                raise InvalidInput(_("Send one file at a time."), param=self._file_field)
        if arrived is None:
            raise InvalidInput(
                _("“%(name)s” %(reason)s.") % {"name": self._file_field, "reason": _("is missing")},
                code="missing_required_parameter",
                param=self._file_field,
            )
        arrived.fields = fields
        return arrived

    async def _take(self, part: Part, declared_bytes: int | None) -> Written:
        expected = self._unsaid_bytes if declared_bytes is None else declared_bytes
        self._reserved = min(expected, self._most_bytes)
        self._place = await on_database(self._slug, self._begin, self._reserved)
        self._writer = await on_disk(self._slug, BlobWriter, self._place, most_bytes=self._most_bytes)
        await on_database(self._slug, services.touch_blob, self._place.id)
        self._touched_s = asyncio.get_running_loop().time()
        gathered = bytearray()
        async for piece in part.pieces():
            gathered += piece
            await self._keep(self._writer.size_bytes + len(gathered))
            if len(gathered) >= WRITE_BYTES:
                await on_disk(self._slug, self._writer.write, bytes(gathered))
                gathered.clear()
        await on_disk(self._slug, self._writer.write, bytes(gathered))
        writer, self._writer = self._writer, None
        return await on_disk(self._slug, writer.close)

    async def _keep(self, size_bytes: int) -> None:
        """Hold the place, and room for so much. Raises BodyTooLarge, QuotaExceeded, Conflict."""
        if self._place is None:
            return
        if size_bytes > self._most_bytes:
            raise too_large(self._most_bytes)
        now_s = asyncio.get_running_loop().time()
        if size_bytes > self._reserved:
            self._reserved = min(self._reserved + STEP_BYTES, self._most_bytes)
            await on_database(self._slug, services.enlarge_blob, self._place.id, self._reserved)
            self._touched_s = now_s
        elif now_s - self._touched_s > TOUCH_EVERY_S:
            await on_database(self._slug, services.touch_blob, self._place.id)
            self._touched_s = now_s
