"""A part of step 3: the models that may answer a call of “auto”, the first choice first.

Those of the stable channel that the caller may call and where the data policies let its data go, as far as
they can do what the call asks for. Of these the cheapest by the price book for a call of this length, and at
the same price the default one; what nobody has priced comes after what has a price. Where the project, or
the default one, names models for “auto”, these alone, in that order, whatever their price and channel.

A model that names its languages is asked in these alone. Where all name some, and none the question's,
those that name most come first.

Endpoints of one model cost a caller the same, since it is the model that has a price: only here is there
anything to choose by cost.
"""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from foundation.errors import AtriumError, InvalidInput
from foundation.language.detection import detect_language
from foundation.told import gettext as _
from gateway.answers.usage import BYTES_PER_TOKEN_ESTIMATE
from gateway.calls import Call, Principal
from gateway.state.snapshot import TenantSnapshot
from gateway.steps.capable import find_refusal
from gateway.steps.lookup import list_visible_routes, model_not_found, policy_refuses
from models_registry.kinds import AUDIO, AUTO, FILES, TOOLS, VISION, Channel, ModelKind
from models_registry.routes import Candidate, Route, Target, Way, is_allowed
from usage.pricing import UnpricedClass, highest_cost

MOST_QUESTIONS = 5  # the newest, that are looked at for their language
MOST_MODELS = 3  # the choice, and those that answer where it does not: the dearest is what a call holds
UNKNOWN_WINDOW = 8_192  # what a model is taken to hold of which nobody says
USUAL_ANSWER = 1_000  # tokens, where the caller bounds none
PARTS = {  # kinds of a message's parts (all of operations.chat_completions.media), and who can read them
    "image_url": VISION,
    "input_image": VISION,
    "image": VISION,
    "input_audio": AUDIO,
    "audio_url": AUDIO,
    "file": FILES,
    "document": FILES,
    "video_url": "video",
}


def list_models(principal: Principal, snapshot: TenantSnapshot) -> list[Route]:
    """All among which “auto” may choose for a caller, whatever a call asks for; none: there is no “auto”."""
    policy = snapshot.policy_of(principal)
    return [route for route in _list_named(principal, snapshot) if _targets(route, policy)]


def list_auto_ways(call: Call, snapshot: TenantSnapshot) -> list[Way]:
    """Of each model that is tried its own; the next best choice stands in. Raises NotFound
    (`model_not_found`), NotAllowed (`data_policy`), InvalidInput (`no_capable_model`).
    """
    principal, policy = call.principal, snapshot.policy_of(call.principal)
    named = _list_named(principal, snapshot) if call.operation.model_kind == ModelKind.CHAT else []
    needs = list_needs(call)
    capable = _keep_served([route for route in named if _can(route, needs, call)], "", call)
    reachable = _keep_served([route for route in capable if _targets(route, policy)], policy, call)
    if not snapshot.auto_models_of(principal):
        reachable.sort(key=lambda route: _rank(route, _targets(route, policy), call))
    ways = (Way(route, route.name, _targets(route, policy)) for route in _by_language(reachable, call))
    if chosen := list(islice(ways, MOST_MODELS)):
        return chosen
    if not named:
        raise model_not_found(AUTO)
    if capable or not any(_targets(route, policy) for route in named):
        raise policy_refuses(AUTO, capable or named, principal, snapshot)
    raise _nobody_can(needs, call)


def _keep_served(routes: list[Route], policy: str, call: Call) -> list[Route]:
    """Those of which an endpoint has the operation and knows its fields; all if there are none: then the
    caller is told why the first cannot.
    """
    return [route for route in routes if _is_served(route, policy, call)] or routes


def _is_served(route: Route, policy: str, call: Call) -> bool:
    candidates = (Candidate(route, target, route.name) for target in _targets(route, policy))
    return any(find_refusal(call, one) is None for one in candidates)


def _by_language(routes: list[Route], call: Call) -> list[Route]:
    """Those for the language of the question; if there are none, the ones that name most languages first."""
    if not any(route.languages for route in routes):
        return routes
    language = _detect_language(call)
    speaking = [route for route in routes if route.speaks(language)]
    return speaking or sorted(routes, key=lambda route: -len(route.languages))


def _detect_language(call: Call) -> str:
    """That of the last question that tells one, "" if none does."""
    messages = call.body.get("messages") or [{"role": "user", "content": call.body.get("prompt")}]
    questions = (one.get("content") for one in reversed(messages) if one.get("role") == "user")
    found = (detect_language(_text_of(content)) for content in islice(questions, MOST_QUESTIONS))
    return next(filter(None, found), "")


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _targets(route: Route, policy: str) -> tuple[Target, ...]:
    return tuple(target for target in route.targets if is_allowed(target.endpoint, policy))


def _list_named(principal: Principal, snapshot: TenantSnapshot) -> list[Route]:
    visible = [one for one in list_visible_routes(principal, snapshot) if one.kind == ModelKind.CHAT]
    return list_among(visible, snapshot.routes, snapshot.auto_models_of(principal))


def list_among(visible: list[Route], routes: Mapping[str, Route], names: Collection[str]) -> list[Route]:
    """Of the chat models that somebody may call those among which “auto” chooses: by the project's list of
    names in its order, or all that one would choose from. `routes`: by name and by alias.
    """
    if not names:
        return [route for route in visible if _is_chosen_unasked(route)]
    known = {route.model_id for route in visible}
    listed = (routes.get(name) for name in names)
    wanted = {route.model_id: route for route in listed if route is not None}
    return [route for model_id, route in wanted.items() if model_id in known]


def _is_chosen_unasked(route: Route) -> bool:
    """A call of a model that has prices, but none for text, would be refused."""
    return route.channel == Channel.STABLE and not route.is_demo and _cost(route, 1, 1) is not None


def list_needs(call: Call) -> frozenset[str]:
    """The capabilities without which a model cannot serve the call."""
    body = call.body
    needs = {TOOLS} if body.get("tools") or body.get("functions") else set()
    if body.get("audio") is not None or "audio" in (body.get("modalities") or ()):
        needs.add(AUDIO)
    if call.has_media:
        needs |= {PARTS[kind] for kind in _kinds_of_parts(body.get("messages")) if kind in PARTS}
    return frozenset(needs)


def _kinds_of_parts(messages: Any) -> Iterable[Any]:
    """Also those of fields that servers read whatever the type says."""
    for message in messages or ():
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and not _is_text(part):
                yield part.get("type")
                yield from (name for name in part if part[name] is not None)


def _is_text(part: dict[str, Any]) -> bool:
    """Anthropic's documents are files, unless their text stands there."""
    source = part.get("source")
    given = source.get("type") if isinstance(source, dict) else "text"
    return part.get("type") == "document" and given in ("text", "content")


def _can(route: Route, needs: frozenset[str], call: Call) -> bool:
    """Media cost tokens that their bytes do not tell: there the window is not asked."""
    has_room = call.has_media or _tokens(call) <= (route.context_window or UNKNOWN_WINDOW)
    return has_room and needs <= route.capabilities


def _input_tokens(call: Call) -> int:
    return int(call.size_bytes / BYTES_PER_TOKEN_ESTIMATE) + 1


def _tokens(call: Call) -> int:
    """The whole call, with the answer that was asked for."""
    return _input_tokens(call) + call.asked_output_tokens


def _rank(route: Route, targets: Iterable[Target], call: Call) -> tuple[bool, bool, Decimal, bool, str]:
    """The least first. Who keeps the form that is asked for at each endpoint comes before all who must be
    helped.
    """
    candidates = (Candidate(route, target, route.name) for target in targets)
    must_be_helped = call.form is not None and any(map(call.form.is_ours_to_keep, candidates))
    cost = _cost(route, _input_tokens(call), call.asked_output_tokens or USUAL_ANSWER) or Decimal(0)
    return must_be_helped, route.price.is_unset, cost, not route.is_default, route.name


def _cost(route: Route, input_tokens: int, output_tokens: int) -> Decimal | None:
    try:
        return highest_cost(route.price, input_tokens, output_tokens, has_sound=False)
    except UnpricedClass:
        return None


def _nobody_can(needs: frozenset[str], call: Call) -> AtriumError:
    if needs:
        message = _(
            "None of the models among which “auto” chooses can do all that this call needs: %(needs)s."
        )
        return InvalidInput(
            message % {"needs": ", ".join(sorted(needs))}, code="no_capable_model", param="model"
        )
    message = _("This is too long for all models among which “auto” chooses: about %(tokens)s tokens.")
    return InvalidInput(
        message % {"tokens": _tokens(call)}, code="context_length_exceeded", param=call.operation.input_name
    )
