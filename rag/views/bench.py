"""The search bench of a collection. A question is asked by POST: it may cost something."""

from typing import cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from foundation.errors import NotFound
from rag import benching
from rag.changes import delete_question, save_question
from rag.engines import Leg
from rag.models import Collection, SavedQuestion
from rag.reach import get_reachable_collection, get_reachable_document
from rag.sources import read_span
from rag.views.frame import Context, frame

UNCLEAR = "-"  # the language of a question that does not tell it


class BenchForm(forms.Form):
    question = forms.CharField(
        label=gettext_lazy("Question"),
        max_length=500,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    legs = forms.MultipleChoiceField(
        label=gettext_lazy("Side by side"),
        choices=[(leg, label) for leg, label in benching.LEGS.items()],
        initial=list(benching.LEGS),
        widget=forms.CheckboxSelectMultiple,
    )
    count = forms.TypedChoiceField(
        label=gettext_lazy("Passages"),
        coerce=int,
        initial=5,
        choices=[(number, str(number)) for number in (3, 5, 10, 20)],
    )


@login_required
@require_http_methods(["GET", "POST"])
def show(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    data = request.POST if request.method == "POST" else None
    form = BenchForm(data, initial={"question": request.GET.get("question", "")[:500]})
    context = _bench_context(request, collection, form)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        legs = cast(list[Leg], given["legs"])
        context["columns"] = benching.ask(request.user, collection, given["question"], legs, given["count"])
        context["question"] = given["question"]
    template = "rag/_bench_columns.html" if request.htmx else "rag/collection_search.html"
    status = 400 if form.errors and not request.htmx else 200
    return render(request, template, context, status=status)


def _bench_context(request: HttpRequest, collection: Collection, form: BenchForm) -> Context:
    """`language`: of the questions that are shown and measured; "": of all, UNCLEAR: of those that do not
    tell.
    """
    rows = SavedQuestion.objects.filter(collection=collection).select_related("document")
    questions = list(rows.order_by("-created_at", "-pk")[: benching.MOST_QUESTIONS])
    languages = benching.count_languages(questions, collection.languages)
    chosen = request.POST.get("language") or request.GET.get("language", "")
    language = chosen if chosen in {code or UNCLEAR for code, _count in languages} else ""
    shown = [
        one
        for one in questions
        if language in ("", benching.language_of(one, collection.languages) or UNCLEAR)
    ]
    return frame(request, collection, "rag:collection-search") | {
        "form": form,
        "questions": shown,
        "known_count": sum(one.document_id is not None and not one.is_outdated for one in shown),
        "outdated_count": sum(one.is_outdated for one in shown),
        "language": language,
        "languages": [
            ("", _("All languages"), len(questions)),
            *((code or UNCLEAR, benching.name_language(code), count) for code, count in languages),
        ]
        if len(languages) > 1
        else [],
    }


@login_required
@require_POST
def evaluate(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    context = _bench_context(request, collection, BenchForm())
    wanted = {"": None, UNCLEAR: ""}.get(context["language"], context["language"])
    context["measures"] = benching.measure(request.user, collection, benching.LEGS, wanted)
    template = "rag/_bench_measures.html" if request.htmx else "rag/collection_search.html"
    return render(request, template, context)


@login_required
@require_POST
def save(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """A question, with the passage that answers it where one was named."""
    collection = get_reachable_collection(request.user, collection_id)
    given = request.POST
    try:
        span = read_span(given)
        document = (
            get_reachable_document(request.user, UUID(given["document"])) if "document" in given else None
        )
        save_question(
            actor=request.user,
            collection=collection,
            text=given.get("question", ""),
            document=document,
            span=(span.char_from, span.char_to) if span else None,
        )
        said = _("The question is in the evaluation set.")
    except ValueError:
        said = _("There is no such document, or you may not read it.")
    if request.htmx:
        context = _bench_context(request, collection, BenchForm()) | {"said": said}
        return render(request, "rag/_bench_questions.html", context)
    messages.info(request, said)
    return redirect("rag:collection-search", collection.pk)


@login_required
@require_POST
def delete(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    try:
        question_id = UUID(request.POST.get("question", ""))
    except ValueError:
        raise NotFound(_("There is no such question.")) from None
    delete_question(actor=request.user, collection=collection, question_id=question_id)
    if request.htmx:
        context = _bench_context(request, collection, BenchForm()) | {"said": _("The question is removed.")}
        return render(request, "rag/_bench_questions.html", context)
    return redirect("rag:collection-search", collection.pk)
