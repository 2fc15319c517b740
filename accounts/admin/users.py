"""People of a tenant, and the platform's operators. Nobody is deleted here: what they did keeps its name;
they are kept out instead.
"""

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanWidget,
)

from accounts.limit_fields import LimitFields, LimitsAdmin
from accounts.models import ApiKey, Limit, ProjectMembership, User
from accounts.roles import role_label
from accounts.services import create_user, invite_user, set_roles, set_user_active, update_user
from administration.columns import Badge, ago
from administration.confirm import both_ways, confirmed
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin, ReadOnlyInline
from administration.sites import service_admin, system_admin
from foundation.spacing import listed

PERSON_FIELDS = ("email", "name", "language")
LAST_LOGIN, CREATED = ago("last_login", _("last log-in")), ago("created_at", _("added"))


class PersonForm(forms.ModelForm):
    language = forms.ChoiceField(label=_("Language"), required=False, widget=UnfoldAdminSelectWidget())
    send_invitation = forms.BooleanField(
        label=_("Send an invitation"),
        required=False,
        initial=True,
        widget=UnfoldBooleanWidget(),
        help_text=_("A mail with a link to choose a password. You can also send it later."),
    )

    class Meta:
        model = User
        fields = PERSON_FIELDS

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "language" in self.fields:
            self.fields["language"].choices = [("", gettext("Language of the browser")), *settings.LANGUAGES]


class RolesField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, role: Group) -> str:
        return role_label(role)


class RoleFilter(admin.RelatedFieldListFilter):
    def field_choices(self, field, request: HttpRequest, model_admin) -> list[tuple]:
        return [(role.pk, role_label(role)) for role in Group.objects.order_by("name")]


class MemberForm(PersonForm, LimitFields):
    roles = RolesField(
        label=_("Roles"),
        queryset=Group.objects.order_by("name"),
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=_("What a person may do. Owners can do everything; users can chat."),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "roles" in self.fields:
            self.fields["roles"].initial = (
                self.instance.groups.all()
                if not self.instance._state.adding
                else Group.objects.filter(name="user")
            )


class KeyInline(ReadOnlyInline):
    model = ApiKey
    fields = ["name", "key_id", "project", "last_used_at", "expires_at", "revoked_at"]
    verbose_name_plural = _("API keys")
    per_page = 20

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).select_related("project", "user")


class MembershipInline(ReadOnlyInline):
    model = ProjectMembership
    fields = ["project", "role"]
    verbose_name_plural = _("Projects")

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).select_related("project", "user")


def _set_locked_out(request: HttpRequest, row: User, is_locked_out: bool) -> None:
    set_user_active(actor=request.user, user=row, is_active=not is_locked_out)


class PersonAdmin(AtriumModelAdmin):
    """What a tenant's people and the operators have in common."""

    in_palette = True
    search_fields = ["name", "email"]
    ordering = ["name", "email"]
    readonly_fields = ["is_active", "last_login", "created_at"]
    actions = ["deactivate", "reactivate", "invite"]
    actions_detail = ["deactivate", "reactivate", "invite"]

    def change_row(self, request: HttpRequest, row: User, form: PersonForm) -> None:
        changes = {name: form.cleaned_data[name] for name in PERSON_FIELDS if name in form.changed_data}
        if changes:
            update_user(actor=request.user, user=row, **changes)

    def invite_if_wanted(self, request: HttpRequest, user: User, form: PersonForm) -> User:
        if form.cleaned_data.get("send_invitation"):
            invite_user(actor=request.user, user=user)
        return user

    def list_fitting_actions(self, request: HttpRequest, row: User) -> set[str]:
        return {"deactivate", "invite"} if row.is_active else {"reactivate"}

    @display(description=_("person"), ordering="name", header=True)
    def show_person(self, row: User) -> list[str]:
        return [row.name, row.email]

    @display(description=_("access"), ordering="is_active", label={True: "success", False: "danger"})
    def show_access(self, row: User) -> Badge:
        return Badge(row.is_active, gettext("active") if row.is_active else gettext("locked out"))

    deactivate, reactivate = both_ways(
        _set_locked_out,
        deactivate=confirmed(
            description=_("Lock out"),
            icon="user-round-x",
            is_dangerous=True,
            question=_("Lock these people out?"),
            explanation=_(
                "They cannot log in any more, and none of their API keys works. Their conversations and what "
                "they used stay."
            ),
            done=ngettext_lazy(
                "%(count)d person is locked out.", "%(count)d people are locked out.", "count"
            ),
        ),
        reactivate=confirmed(
            description=_("Let in again"),
            icon="user-round-check",
            question=_("Let these people in again?"),
            explanation=_(
                "They can log in, and their API keys work again unless they are revoked or expired."
            ),
            done=ngettext_lazy(
                "%(count)d person can log in again.", "%(count)d people can log in again.", "count"
            ),
        ),
    )

    @confirmed(
        description=_("Send invitation"),
        icon="send",
        question=_("Send these people a link to choose a password?"),
        explanation=_(
            "The mail goes out at once. Their present password works until they choose another one."
        ),
        done=ngettext_lazy(
            "%(count)d invitation is on its way.", "%(count)d invitations are on their way.", "count"
        ),
    )
    def invite(self, request: HttpRequest, row: User) -> None:
        invite_user(actor=request.user, user=row)


@admin.register(User, site=service_admin)
class UserAdmin(LimitsAdmin, PersonAdmin):
    limit_level = Limit.Level.USER
    place = Place(MenuGroup.PEOPLE, 10, "users")
    empty_text = _(
        "The people of your organisation. Add someone, and they get a mail with a link to choose a password."
    )
    form = MemberForm
    list_display = ["show_person", "show_roles", "show_access", LAST_LOGIN, CREATED]
    list_filter = ["is_active", ("groups", RoleFilter), "language"]
    inlines = [KeyInline, MembershipInline]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None):
        if obj is None:
            return [(None, {"fields": ["email", "name", "roles", "language", "send_invitation"]})]
        return [
            (
                None,
                {"fields": ["email", "name", "roles", "language", "is_active", "last_login", "created_at"]},
            ),
            self.limits_fieldset,
        ]

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list:
        return self.inlines if obj else []

    def create_row(self, request: HttpRequest, form: MemberForm) -> User:
        data = form.cleaned_data
        names = [group.name for group in data["roles"]]
        user = create_user(
            actor=request.user, email=data["email"], name=data["name"], roles=names, language=data["language"]
        )
        return self.invite_if_wanted(request, user, form)

    def change_row(self, request: HttpRequest, row: User, form: MemberForm) -> None:
        super().change_row(request, row, form)
        if "roles" in form.changed_data:
            set_roles(
                actor=request.user, user=row, roles=[group.name for group in form.cleaned_data["roles"]]
            )
        self.save_limits(request, row.pk, form)

    @display(description=_("roles"))
    def show_roles(self, row: User) -> str:
        return listed(sorted(role_label(group) for group in row.groups.all()))

    @display(description=_("roles"))
    def roles(self, row: User) -> str:
        """The form's field, for those who may only look."""
        return self.show_roles(row)


@admin.register(User, site=system_admin)
class OperatorAdmin(PersonAdmin):
    place = Place(MenuGroup.SECURITY, 10, "user-cog")
    nouns = (_("operator"), _("operators"))
    empty_text = _("The people who operate this platform.")
    form = PersonForm
    list_display = ["show_person", "show_access", LAST_LOGIN, CREATED]
    list_filter = ["is_active"]

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None):
        if obj is None:
            return [(None, {"fields": ["email", "name", "language", "send_invitation"]})]
        return [(None, {"fields": ["email", "name", "language", "is_active", "last_login", "created_at"]})]

    def create_row(self, request: HttpRequest, form: PersonForm) -> User:
        data = form.cleaned_data
        user = create_user(
            actor=request.user,
            email=data["email"],
            name=data["name"],
            language=data["language"],
            is_operator=True,
        )
        return self.invite_if_wanted(request, user, form)
