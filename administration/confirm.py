"""Actions that ask before they do: GET and the first POST show what is about to happen, only the confirmed
POST does it.

    @confirmed(description=_("Suspend"), question=_("Suspend these tenants?"), done=ngettext_lazy(…, "count"))
    def suspend(self, request, row):
        set_tenant_status(…)

One name serves both lists: put it into `actions` (the selected rows) and `actions_detail` (the row that is
open). A text that the work returns is shown for its row, instead of `done`. With a `form` the page asks for
its fields too, and the work gets what was entered by name. Rows are named by the admin's
`describe_rows`, if it has one; `details` says more of each, `warn` of all that were chosen.

Two actions that undo each other are one write, asked for in two ways: `both_ways`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from itertools import chain
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from unfold.decorators import action
from unfold.enums import ActionVariant

from foundation.errors import AtriumError
from foundation.refusals import Refusal, texts_by_field
from foundation.spacing import join_texts

MAX_ROWS = 200  # at a time; each is one service call
MAX_NAMES = 5  # that one text tells
Work = Callable[..., str | None]  # (self, request, row, what the form's fields hold by name)


def confirmed(
    *,
    description: str | Promise,
    question: str | Promise,
    explanation: str | Promise = "",
    done: Promise | None = None,
    permissions: Iterable[str] = ("change",),
    icon: str | None = None,
    is_dangerous: bool = False,
    form: type[forms.Form] = forms.Form,
    details: Callable[[Any, Model], str] | None = None,
    warn: Callable[[Any, list[Model]], str] | None = None,
) -> Callable[[Work], Callable]:
    """Turn `work(self, request, row)` into an action for many rows and for one. `done` is an ngettext_lazy
    with `count`.
    """

    def decorate(work: Work) -> Callable:
        asked = _Question(
            work=work,
            verb=description,
            question=question,
            explanation=explanation,
            done=done,
            is_dangerous=is_dangerous,
            form=form,
            details=details,
            warn=warn,
        )

        @action(
            description=description,
            permissions=list(permissions),
            icon=icon,
            variant=ActionVariant.DANGER if is_dangerous else ActionVariant.DEFAULT,
        )
        @wraps(work)
        def run(self, request: HttpRequest, queryset=None, object_id=None) -> HttpResponse | None:
            return asked.put(self, request, queryset, object_id)

        return run

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What `confirmed` was given, and the work."""

    work: Work
    verb: str | Promise
    question: str | Promise
    explanation: str | Promise
    done: Promise | None
    is_dangerous: bool
    form: type[forms.Form]
    details: Callable[[Any, Model], str] | None
    warn: Callable[[Any, list[Model]], str] | None

    def put(
        self, model_admin, request: HttpRequest, queryset: QuerySet | None, object_id: str | None
    ) -> HttpResponse | None:
        """Ask, or do what was confirmed."""
        rows = _rows(model_admin, request, queryset, object_id)
        if not rows:
            messages.error(request, _("Nothing was done: what was chosen is gone."))
            return None
        if len(rows) > MAX_ROWS:
            messages.error(request, _("Choose at most %(limit)d at a time.") % {"limit": MAX_ROWS})
            return None
        is_confirmed = request.method == "POST" and "confirmed" in request.POST
        filled = self.form(request.POST if is_confirmed else None)
        if is_confirmed and filled.is_valid():
            work = partial(self.work, **filled.cleaned_data)
            refusals = _carry_out(model_admin, request, rows, work, self.done)
            if object_id is None or not _fill_in(filled, refusals):
                for text in _sum_up(refusals):
                    messages.error(request, text)
                return None if object_id is None else HttpResponseRedirect(_way_back(model_admin, rows[0]))
        return self._ask(model_admin, request, rows, filled, is_single=object_id is not None)

    def _ask(
        self, model_admin, request: HttpRequest, rows: list[Model], form: forms.Form, *, is_single: bool
    ) -> TemplateResponse:
        describe_more = self.details or (lambda _admin, _row: "")
        page = model_admin.admin_site.each_context(request) | {
            "question": self.question,
            "explanation": self.explanation,
            "verb": self.verb,
            "title": self.verb,
            "form": form,
            "warning": self.warn(model_admin, rows) if self.warn else "",
            "rows": [
                {"pk": row.pk, "text": text, "more": describe_more(model_admin, row)}
                for row, text in zip(rows, _describe(model_admin, rows), strict=True)
            ],
            "action_name": self.work.__name__,
            "is_single": is_single,
            "is_dangerous": self.is_dangerous,
            "opts": model_admin.model._meta,
            "cancel_url": _way_back(model_admin, rows[0]) if is_single else request.get_full_path(),
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "media": model_admin.media,
        }
        request.current_app = model_admin.admin_site.name
        return TemplateResponse(request, "admin/confirm_action.html", page)


def both_ways(
    write: Callable[[HttpRequest, Any, bool], object], **asked: Callable[[Work], Callable]
) -> list[Callable]:
    """Two actions by their names, each a `confirmed(…)`: the first does `write(request, row, True)`, the
    second undoes it.

        suspend, resume = both_ways(_set_suspended, suspend=confirmed(…), resume=confirmed(…))
    """
    does, undoes = asked
    return [asked[name](_write_one_way(write, name, name == does)) for name in (does, undoes)]


def _write_one_way(write: Callable[[HttpRequest, Any, bool], object], name: str, is_done: bool) -> Work:
    def work(model_admin, request: HttpRequest, row: Model) -> None:
        write(request, row, is_done)

    work.__name__ = name  # Django and the page know an action by it
    return work


def name_some(names: list[str]) -> str:
    """The first few; whoever calls it says how many there are."""
    return ", ".join(names[:MAX_NAMES]) + (" …" if len(names) > MAX_NAMES else "")


def _rows(model_admin, request: HttpRequest, queryset: QuerySet | None, object_id: str | None) -> list[Model]:
    if object_id is None:
        return list(queryset[: MAX_ROWS + 1])
    row = model_admin.get_object(request, object_id)
    if row is None or not model_admin.has_view_or_change_permission(request, row):
        raise Http404
    return [row]


@dataclass(frozen=True, slots=True)
class _Refused:
    """A row for which the work was refused."""

    row: str
    refusal: Refusal

    @property
    def reason(self) -> str:
        return join_texts(chain.from_iterable(texts_by_field(self.refusal).values()))


def _sum_up(refusals: list[_Refused]) -> Iterator[str]:
    """One text for each reason."""
    names: dict[str, list[str]] = {}
    for refused in refusals:
        names.setdefault(refused.reason, []).append(refused.row)
    for reason, rows in names.items():
        if len(rows) == 1:
            yield f"{rows[0]}: {reason}"
            continue
        text = _("Not done for %(count)d (%(names)s): %(reason)s")
        yield text % {"count": len(rows), "names": name_some(rows), "reason": reason}


def _fill_in(form: forms.Form, refusals: list[_Refused]) -> bool:
    """Whether all that was refused concerns fields of the form; then it stands there."""
    by_field = [texts_by_field(refused.refusal) for refused in refusals]
    if not by_field or not all(set(texts) <= set(form.fields) for texts in by_field):
        return False
    for texts in by_field:
        form.add_error(None, texts)
    return True


def _carry_out(
    model_admin, request: HttpRequest, rows: list[Model], work: Work, done: Promise | None
) -> list[_Refused]:
    """Do the work for each row, and tell of those for which it was done; returns the others."""
    count, refusals = 0, []
    for row, name in zip(rows, _describe(model_admin, rows), strict=True):
        try:
            if text := work(model_admin, request, row):
                messages.success(request, text)
            else:
                count += 1
        except (AtriumError, ValidationError) as exc:
            refusals.append(_Refused(name, exc))
    if count and done:
        messages.success(request, done % {"count": count})
    return refusals


def _describe(model_admin, rows: list[Model]) -> list[str]:
    describe = getattr(model_admin, "describe_rows", None)
    return describe(rows) if describe else [str(row) for row in rows]


def _way_back(model_admin, row: Model) -> str:
    opts = model_admin.model._meta
    return reverse(f"{model_admin.admin_site.name}:{opts.app_label}_{opts.model_name}_change", args=[row.pk])
