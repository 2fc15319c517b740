"""`Idempotency-Key`: the same creation sent twice happens once, and answers twice alike.

Covers: 24 hours, per tenant, person and address; another body under the same key is refused; two at once: the
second is told to wait.
Does not cover: a process killed between its commit and the note of its answer; the key is then free again
after LOCK_S. The answer is kept sealed with the tenant's data key, since it may hold a secret that is shown
once.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable

from django.core.cache import cache
from django.utils.translation import gettext as _
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.errors import AtriumError, Conflict, InvalidInput, Unavailable
from tenants.sealing import seal, unseal

logger = logging.getLogger(__name__)
KEPT_S, LOCK_S = 24 * 3600, 120
RUNNING = "running"
_WELL_FORMED = re.compile(r"[\x21-\x7e]{1,200}")


class OtherBody(AtriumError):
    http_status = 422
    code = "idempotency_key_reused"


def once(request: Request, create: Callable[[], Response]) -> Response:
    """The answer of `create`, or of the earlier request with the same key. Raises InvalidInput, Conflict,
    OtherBody, Unavailable.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return create()
    if not _WELL_FORMED.fullmatch(key):
        raise InvalidInput(
            _("An idempotency key has 1 to 200 characters of ASCII without spaces."),
            code="invalid_idempotency_key",
        )
    name, print_of_body = _names(request, key)
    try:
        if not cache.add(name, f"{RUNNING}:{print_of_body}", LOCK_S):
            return _replay(name, cache.get(name), print_of_body)
    except RedisError as exc:
        raise Unavailable(
            _("Idempotency keys cannot be checked at the moment. Try again in a moment."), retry_after_s=5
        ) from exc
    try:
        response = create()
    except BaseException:
        cache.delete(name)
        raise
    _keep(name, print_of_body, response)
    return response


def _names(request: Request, key: str) -> tuple[str, str]:
    place = hashlib.sha256(
        f"{request.user.pk}\n{request.method} {request.path_info}\n{key}".encode()
    ).hexdigest()
    body = json.dumps(request.data, sort_keys=True, default=str, separators=(",", ":"))
    return f"idempotency:{place}", hashlib.sha256(body.encode()).hexdigest()


def _keep(name: str, print_of_body: str, response: Response) -> None:
    text = json.dumps({"status": response.status_code, "data": response.data}, default=str)
    try:
        cache.set(
            name, f"{seal(text, table='idempotency', row=name, field='answer')}:{print_of_body}", KEPT_S
        )
    except RedisError:
        logger.warning("the answer to an idempotent request could not be kept")


def _replay(name: str, kept: str | None, print_of_body: str) -> Response:
    sealed, _colon, print_kept = (kept or "").rpartition(":")
    if kept is None or (print_kept == print_of_body and sealed == RUNNING):
        raise Conflict(
            _("A request with this idempotency key is still running."),
            code="idempotency_key_in_use",
            retry_after_s=2,
        )
    if print_kept != print_of_body:
        raise OtherBody(_("This idempotency key was used for a request with other content."))
    answer = json.loads(unseal(sealed, table="idempotency", row=name, field="answer"))
    return Response(answer["data"], status=answer["status"], headers={"Idempotency-Replayed": "true"})
