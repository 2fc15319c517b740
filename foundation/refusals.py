"""What a service refused, sorted by the form field that it concerns."""

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from foundation.errors import AtriumError

Refusal = AtriumError | ValidationError


def texts_by_field(refusal: Refusal) -> dict[str | None, list[str]]:
    """Field → texts, as `form.add_error` takes them. None: the form as a whole."""
    if isinstance(refusal, AtriumError):
        return {refusal.param: [str(refusal.message)]}
    if hasattr(refusal, "error_dict"):
        return {
            None if field == NON_FIELD_ERRORS else field: texts
            for field, texts in refusal.message_dict.items()
        }
    return {None: refusal.messages}
