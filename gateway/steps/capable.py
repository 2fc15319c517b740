"""Behind step 3: candidates whose provider cannot do what is asked are left out, before anything is held, so
that none stands in for another with half an answer. Where none is left the caller is told why the first was.
"""

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.calls import Call
from models_registry.kinds import ModelKind
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS
from models_registry.providers.openai_compatible.fields import list_asked
from models_registry.routes import Candidate


def keep_capable(call: Call) -> None:
    """Raises InvalidInput (`unsupported_operation`, `unsupported_value`)."""
    refusals = [find_refusal(call, one) for one in call.candidates]
    if not any(refusals):
        return
    candidates = [one for one, refused in zip(call.candidates, refusals, strict=True) if refused is None]
    if not candidates and refusals[0] is not None:
        raise refusals[0]
    call.candidates = candidates
    call.candidate = candidates[0]


def find_refusal(call: Call, candidate: Candidate) -> InvalidInput | None:
    """What this provider does not do."""
    provider, operation = candidate.provider, call.operation
    if operation.upstream_name not in provider.paths:
        message = _("The provider of “%(model)s” has no operation “%(operation)s”.") % {
            "model": candidate.asked_name[:100],
            "operation": operation.name,
        }
        if operation.model_kind == ModelKind.CHAT:
            message += " " + _("Call it at %(address)s.") % {"address": "/v1/chat/completions"}
        return InvalidInput(message, code="unsupported_operation", param="model")
    if call.answer_count > call.text_count and not provider.gives_several_answers:
        return InvalidInput(
            _("“n” must be 1: the provider of this model gives one answer to a call."),
            code="unsupported_value",
            param="n",
        )
    if operation.upstream_name == CHAT_COMPLETIONS:
        for name in list_asked(call.body, provider.refused_fields):
            return _cannot(name, candidate)
    return None


def _cannot(name: str, candidate: Candidate) -> InvalidInput:
    message = _(
        "The provider of “%(model)s” cannot do what “%(name)s” asks for. Leave it out, or choose another "
        "model."
    )
    return InvalidInput(
        message % {"model": candidate.asked_name[:100], "name": name}, code="unsupported_value", param=name
    )
