"""`/api/v1`: usage events, reports and budgets."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import key_of
from rest.permissions import ANYONE
from rest.serializers import StrictSerializer
from rest.views import AtriumView, AtriumViewSet
from usage.models import Budget, UsageEvent
from usage.selectors import (
    DIMENSIONS,
    get_visible_budget,
    get_visible_event,
    list_usage,
    list_visible_budgets,
    list_visible_events,
)
from usage.selectors.start_page import used_now
from usage.services import change_budget, remove_budget, set_budget

MAX_DAYS, FIRST_YEAR, LAST_YEAR = 400, 2000, 2200


def amount(**kwargs: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=24, decimal_places=12, normalize_output=True, **kwargs)


class PeriodQuery(StrictSerializer):
    """Whole days in UTC, both included."""

    since = serializers.DateField(
        required=False, help_text="First day. Default: 29 days before the last one."
    )
    until = serializers.DateField(required=False, help_text="Last day. Default: today.")

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        last = data.get("until") or timezone.now().date()
        if last.year < FIRST_YEAR or last.year > LAST_YEAR:
            raise ValidationError(
                {
                    "until": [
                        _("A day of the years %(first)d to %(last)d.")
                        % {"first": FIRST_YEAR, "last": LAST_YEAR}
                    ]
                }
            )
        first = data.get("since") or last - timedelta(days=29)
        if not timedelta(0) <= last - first < timedelta(days=MAX_DAYS):
            raise ValidationError(
                {"since": [_("The period must have 1 to %(max)d days.") % {"max": MAX_DAYS}]}
            )
        begin = datetime.combine(first, time(), UTC)
        return data | {"since": begin, "until": datetime.combine(last, time(), UTC) + timedelta(days=1)}


class ReportQuery(PeriodQuery):
    by = serializers.ChoiceField(sorted(DIMENSIONS), default="day")


class EventQuery(StrictSerializer):
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    model = serializers.CharField(required=False, max_length=200)
    user = serializers.UUIDField(required=False)
    key = serializers.UUIDField(required=False)
    project = serializers.UUIDField(required=False)
    status = serializers.ChoiceField(UsageEvent.Status.choices, required=False)


def quantities(**kwargs: Any) -> serializers.DictField:
    return serializers.DictField(
        child=serializers.IntegerField(),
        help_text="What was used, by class; zeros are left out. "
        "Tokens; `images`; `audio_ms` and `gpu_ms` in milliseconds.",
        **kwargs,
    )


class FourCounts(serializers.Serializer):
    """Tokens in four counts, whatever classes `quantities` has: those of writing the cache and of sound are
    counted as input or as output.
    """

    input_tokens = serializers.IntegerField(source="four_counts.input_tokens", help_text="Without cached.")
    cached_tokens = serializers.IntegerField(source="four_counts.cached_tokens")
    output_tokens = serializers.IntegerField(
        source="four_counts.output_tokens", help_text="Without reasoning."
    )
    reasoning_tokens = serializers.IntegerField(source="four_counts.reasoning_tokens")


class ReportRowSerializer(FourCounts):
    key = serializers.CharField(allow_null=True, help_text="A model's name, an id, or a date.")
    label = serializers.CharField()
    currency = serializers.CharField()
    calls = serializers.IntegerField()
    errors = serializers.IntegerField()
    quantities = quantities()
    cost = amount()


class ReportSerializer(serializers.Serializer):
    by = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(help_text="Excluded.")
    rows = ReportRowSerializer(many=True)


class UsageReportView(AtriumView):
    """Usage by model, user, key, project or day: your own; with the right to see usage events, everyone's."""

    rights = {"get": ANYONE}
    query_serializers = {"get": ReportQuery}

    @extend_schema(operation_id="usage_report", parameters=[ReportQuery], responses=ReportSerializer)
    def get(self, request: Request) -> Response:
        sees_all = request.user.has_perm("usage.view_usageevent")
        rows = list_usage(**self.query, user_id=None if sees_all else request.user.pk)
        return Response(ReportSerializer({**self.query, "rows": rows}).data)


class UsageEventSerializer(FourCounts, serializers.ModelSerializer):
    quantities = quantities(source="used")
    units = serializers.DictField(
        child=serializers.IntegerField(), source="used_beside_tokens", help_text="Those that are no tokens."
    )
    cost = amount()
    dropped_params = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        read_only=True,
        help_text="Wishes that whoever answered was not told: `x-atrium-dropped-params` of its answer.",
    )

    class Meta:
        model = UsageEvent
        fields = [
            "id",
            "request_id",
            "kind",
            "source",
            "status",
            "error_code",
            "user_id",
            "key_id",
            "project_id",
            "model",
            "model_version",
            "deployment",
            "endpoint",
            "upstream_model",
            "quantities",
            "input_tokens",
            "cached_tokens",
            "output_tokens",
            "reasoning_tokens",
            "units",
            "cost",
            "currency",
            "price_snapshot",
            "latency_ms",
            "first_token_ms",
            "estimated",
            "over_hold",
            "attempts",
            "dropped_params",
            "trace_id",
            "booked_at",
            "created_at",
        ]


class UsageEventViewSet(AtriumViewSet):
    """What each call used and cost: your own; with the right, everyone's. Never what was said."""

    serializer_class = UsageEventSerializer
    rights = {"list": ANYONE, "retrieve": ANYONE}
    query_serializers = {"list": EventQuery}
    queryset = UsageEvent.objects.none()  # for the OpenAPI document; rows come from the selectors

    @extend_schema(parameters=[EventQuery])
    def list(self, request: HttpRequest) -> Response:
        return self.page(list_visible_events(request.user, **self.query))

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_event(request.user, pk))


class BudgetSerializer(serializers.ModelSerializer):
    limit = amount()
    spent = serializers.SerializerMethodField()
    held = amount()

    class Meta:
        model = Budget
        fields = [
            "id",
            "level",
            "subject_id",
            "period",
            "period_start",
            "limit",
            "spent",
            "held",
            "currency",
            "managed_by",
            "warn_at_percent",
            "created_at",
            "updated_at",
        ]

    def get_spent(self, row: Budget) -> str:
        return f"{(used_now(row) - row.held).normalize():f}"


class BudgetChanges(StrictSerializer):
    limit = serializers.DecimalField(max_digits=24, decimal_places=12, min_value=0)
    warn_at_percent = serializers.IntegerField(min_value=1, max_value=100, required=False)


class NewBudget(BudgetChanges):
    level = serializers.ChoiceField(Budget.Level.choices)
    subject_id = serializers.UUIDField(
        required=False, help_text="The project, user or key; not for the organisation's budget."
    )
    period = serializers.ChoiceField(Budget.Period.choices, required=False)


class BudgetViewSet(AtriumViewSet):
    """Budgets: those that bind you; with the right, all. Budgets that come with the plan can only be read."""

    serializer_class = BudgetSerializer
    rights = {
        "list": ANYONE,
        "retrieve": ANYONE,
        "create": "usage.change_budget",
        "partial_update": "usage.change_budget",
        "destroy": "usage.delete_budget",
    }
    queryset = Budget.objects.none()  # for the OpenAPI document; rows come from the selectors

    def list(self, request: HttpRequest) -> Response:
        return self.page(list_visible_budgets(request.user))

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_budget(request.user, pk))

    @extend_schema(
        request=NewBudget,
        responses={201: BudgetSerializer},
        description="Set a budget. One of the same level, subject and period gets the new limit.",
    )
    def create(self, request: HttpRequest) -> Response:
        data = self.read_body(NewBudget)
        return self.create_once(
            lambda: self.respond(
                set_budget(actor=request.user, within=key_of(request), **data), status.HTTP_201_CREATED
            )
        )

    @extend_schema(request=BudgetChanges, responses=BudgetSerializer)
    def partial_update(self, request: HttpRequest, pk: str) -> Response:
        row, data = get_visible_budget(request.user, pk), self.read_body(BudgetChanges, partial=True)
        return self.respond(change_budget(actor=request.user, budget=row, within=key_of(request), **data))

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        remove_budget(actor=request.user, budget=get_visible_budget(request.user, pk), within=key_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
