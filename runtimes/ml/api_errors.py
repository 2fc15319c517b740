"""Errors in the shape that OpenAI's clients read: {"error": {"message", "type", "param", "code"}}."""

from aiohttp import web


class ApiError(Exception):
    """A refusal with its HTTP status. `param` names the request field at fault, `code` is stable and never
    translated.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    @property
    def type(self) -> str:
        return "invalid_request_error" if self.status < 500 else "server_error"

    def as_body(self) -> dict:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def as_response(self) -> web.Response:
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s is not None else None
        return web.json_response(self.as_body(), status=self.status, headers=headers)


def invalid_value(param: str, message: str) -> ApiError:
    """400: a field with a wrong type or a value out of range."""
    return ApiError(400, message, code="invalid_value", param=param)


def model_not_found(model_id: str) -> ApiError:
    return ApiError(404, f"The model `{model_id}` does not exist.", code="model_not_found", param="model")


def wrong_kind(model_id: str, kind: str) -> ApiError:
    return ApiError(
        400,
        f"The model `{model_id}` is of the kind “{kind}”, which this address does not serve.",
        code="model_not_supported",
        param="model",
    )


def unauthorized() -> ApiError:
    """401: only who knows the token that `up` made may call."""
    return ApiError(401, "The runtime's token is missing or wrong.", code="invalid_api_key")


def overloaded(message: str) -> ApiError:
    """503 with Retry-After: the bounded queue is full."""
    return ApiError(503, message, code="overloaded", retry_after_s=1)


def context_length_exceeded(context_window: int, prompt_tokens: int, max_tokens: int | None) -> ApiError:
    """400: prompt and completion do not fit. `max_tokens` is None if the request named none."""
    if max_tokens is None:
        total, parts = prompt_tokens, f"{prompt_tokens} in the messages, none left for the completion"
    else:
        total = prompt_tokens + max_tokens
        parts = f"{prompt_tokens} in the messages, {max_tokens} in the completion"
    message = (
        f"This model's maximum context length is {context_window} tokens. However, your messages resulted in "
        f"{total} tokens ({parts}). Please reduce the length of the messages or of the completion."
    )
    return ApiError(400, message, code="context_length_exceeded", param="messages")
