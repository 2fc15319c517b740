"""Pages on which a person looks after themselves."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms import ApiKeyForm, ProfileForm
from accounts.selectors import (
    get_visible_api_key,
    list_callable_models,
    list_grantable_scopes,
    list_own_api_keys,
)
from accounts.services import create_api_key, revoke_api_key, update_profile
from accounts.shown_once import keep_new_key, take_new_key
from foundation.errors import AtriumError


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        update_profile(user=request.user, **form.cleaned_data)
        messages.success(request, _("Your profile is saved."))
        return redirect(request.path)
    return render(request, "accounts/profile.html", {"form": form})


@login_required
@require_safe
def email_address(request: HttpRequest) -> HttpResponse:
    """Which address the person logs in with. Nothing can be changed here: whoever holds a session must not
    gain the account. Who may change people's addresses is led to where that is done.
    """
    may_change = request.user.has_perm("accounts.change_user")
    site = "service" if request.tenant else "system"
    return render(
        request,
        "account/email.html",
        {"change_url": reverse(f"{site}:accounts_user_change", args=[request.user.pk]) if may_change else ""},
    )


@login_required
@require_safe
def apikey_list(request: HttpRequest) -> HttpResponse:
    # a HEAD shows nobody anything: the key waits for the look that does
    new = take_new_key(request) if request.method == "GET" else None
    created = {"created": get_visible_api_key(request.user, new[0]), "created_text": new[1]} if new else {}
    return _key_page(request, _key_form(request), **created)


@login_required
@require_POST
def apikey_create(request: HttpRequest) -> HttpResponse:
    form = _key_form(request, request.POST)
    if form.is_valid():
        try:
            row, text = create_api_key(actor=request.user, user=request.user, **form.cleaned_arguments())
            keep_new_key(request, row, text)
            return redirect("accounts:apikey-list")
        except (AtriumError, ValidationError) as exc:
            form.add_refusal(exc)
    return _key_page(request, form, status=400)


def _key_form(request: HttpRequest, data: QueryDict | None = None) -> ApiKeyForm:
    return ApiKeyForm(
        data,
        scopes=list_grantable_scopes(request.user),
        models=list_callable_models(request.tenant, request.user),
    )


def _key_page(request: HttpRequest, form: ApiKeyForm, status: int = 200, **created: Any) -> HttpResponse:
    return render(
        request,
        "accounts/apikey_list.html",
        {"keys": list_own_api_keys(request.user), "form": form, **created},
        status=status,
    )


@login_required
@require_POST
def apikey_revoke(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = revoke_api_key(actor=request.user, key=get_visible_api_key(request.user, key_id))
    messages.success(request, _("The key “%(name)s” is revoked.") % {"name": key.name})
    return redirect("accounts:apikey-list")
