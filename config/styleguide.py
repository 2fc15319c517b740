"""One page with every component in every state, for those who build pages, and for the browser tests that
look at it. It is not routed in production (`config.urls_tenant`).

Its content is what real content does at its worst: words without a break, other scripts, other directions. It
is sample text and therefore not translated.
"""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from usage.charts import Bar, BarChart, Series, round_up

LONG = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
CHINESE = "国家知识产权局专利局审查协作中心二零二六年度报告汇编"
ARABIC = "عقد توريد المعدّات الطبية رقم ١٧٣"
NAMES = (LONG, CHINESE, ARABIC, "Angebot", "x" * 90, "<b>not bold</b> & “quoted”")
SERIES = ("Qwen3-235B-A22B-Instruct", "Claude", CHINESE, ARABIC, LONG, "mistral-small")
STATES = (
    ("good", "Ready"),
    ("running", "In work"),
    ("warn", "Runs low"),
    ("bad", "Failed"),
    ("info", "Experimental"),
    ("off", "Not connected"),
    ("running", f"Wird für {LONG} vorbereitet"),
    ("good", CHINESE),
    ("bad", ARABIC),
)
STEPS = {
    "in work": (("done", "Upload", "340 MB"), ("current", LONG, "page 3 of 12"), ("waiting", CHINESE, "")),
    "broken off": (
        ("done", "Upload", ""),
        ("failed", "Reading", "The file is protected"),
        ("waiting", "Index", ""),
    ),
    "done": (("done", "Upload", ""), ("done", "Reading", ""), ("done", ARABIC, "")),
}
PROGRESS = (
    ("p1", "Reading documents", "3 of 8, about 2 min left", 37.5, ""),
    ("p2", LONG, "not known how long", None, ""),
    ("p3", ARABIC, "broken off at 62 %", 62, "bad"),
    ("p4", "Fine-tuning", "done after 4 h 12 min", 100, ""),
)
FILES = (
    ("done", f"{LONG}_endgültige_Fassung_v7_final_final.pdf", "12.4 MB", 0, ""),
    ("running", f"{CHINESE}.docx", "3.1 MB", 62, ""),
    ("bad", f"{ARABIC}.zip", "1.2 GB", 0, "Larger than 200 MB. Split it, then try again."),
)


class FilterSample(forms.Form):
    q = forms.CharField(
        label="Search by name",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search by name"}),
    )
    state = forms.ChoiceField(label="State", choices=[("", "any"), *STATES[:6]], required=False)
    owner = forms.ChoiceField(
        label="Owner", choices=[("", "anybody"), ("1", LONG), ("2", CHINESE)], required=False
    )


class FilesInput(forms.FileInput):
    allow_multiple_selected = True


class FieldSample(forms.Form):
    """Fields that need a component: `broken` shows them with errors."""

    documents = forms.FileField(
        label="Documents",
        help_text="PDF, Word or text; at most 200 MB each.",
        required=False,
        widget=FilesInput(attrs={"multiple": True}),
    )
    models = forms.MultipleChoiceField(
        label="Models",
        choices=[(name, name) for name in (*SERIES, *NAMES[3:])],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    none = forms.MultipleChoiceField(
        label="Knowledge", choices=[("a", LONG)], widget=forms.CheckboxSelectMultiple, required=False
    )


def _rows() -> Iterator[dict[str, Any]]:
    for number in range(240):
        state, label = STATES[number % 6]
        yield {
            "name": NAMES[number % len(NAMES)],
            "state": state,
            "state_label": label,
            "tokens": (number * 7919) % 90_000_000,
        }


def _chart(key: str, names: tuple[str, ...], days: int = 14) -> BarChart:
    figures = [[(day + 3) * (place + 5) * 977 % 9000 for place in range(len(names))] for day in range(days)]
    top = round_up(max((sum(values) for values in figures), default=0))
    return BarChart(
        key=key,
        description="Bars: tokens a day by model. The figures are in the table below.",
        top=top,
        ticks=[f"{top:,}", f"{top // 2:,}", "0"],
        bars=[
            Bar(
                f"{day + 1} Nov",
                f"{day + 1} Nov: {sum(values):,}",
                values,
                [f"{day + 1} Nov", *map(str, values)],
            )
            for day, values in enumerate(figures)
        ],
        series=[Series(f"series-{place}", name) for place, name in enumerate(names, 1)],
        head=["Day", *names],
    )


@login_required
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    sort = request.GET.get("sort", "-tokens")
    rows = sorted(
        _rows(), key=lambda row: row["name" if "name" in sort else "tokens"], reverse=sort[:1] == "-"
    )
    fields = FieldSample(initial={"models": [LONG, CHINESE, "Claude"]})
    broken = FieldSample({"broken-models": ["Claude"]}, prefix="broken")
    broken.add_error("documents", "Choose at least one file.")
    broken.add_error("models", f"{LONG} cannot be used together with Claude.")
    context = {
        "names": NAMES,
        "page": Paginator(rows, 6).get_page(request.GET.get("page")),
        "sort": sort,
        "tabs": [
            {"url": "?", "label": "Overview", "count": None, "is_current": True},
            {"url": "?tab=2", "label": "Documents", "count": 1240},
            {"url": "?tab=3", "label": LONG, "count": 0},
            {"url": "?tab=4", "label": CHINESE, "count": None},
        ],
        "states": [{"state": state, "label": label} for state, label in STATES],
        "step_lists": {
            name: [dict(zip(("state", "label", "note"), step, strict=True)) for step in steps]
            for name, steps in STEPS.items()
        },
        "progress": [
            dict(zip(("id", "label", "text", "percent", "state"), line, strict=True)) for line in PROGRESS
        ],
        "files": [
            dict(zip(("state", "name", "size_text", "percent", "note"), line, strict=True)) for line in FILES
        ],
        "filters": FilterSample({"q": "vertrag", "state": "bad"}, auto_id="filter_%s"),
        "applied": [{"label": "State: Failed", "url": "?"}, {"label": f"Owner: {LONG}", "url": "?"}],
        "fields": fields,
        "broken": broken,
        "charts": [_chart(f"chart-{count}", SERIES[:count]) for count in (6, 3, 1)],
        "no_chart": _chart("chart-0", (), 0),
        "series": range(1, 7),
    }
    return render(request, "styleguide/index.html", context)
