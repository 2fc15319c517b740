"""Pages on which a person looks after themselves."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms import ApiKeyForm, ProfileForm
from accounts.selectors import get_visible_api_key, list_own_api_keys
from accounts.services import create_api_key, revoke_api_key, update_profile


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
def apikey_list(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/apikey_list.html", {"keys": list_own_api_keys(request.user), "form": ApiKeyForm()})


@login_required
@require_POST
def apikey_create(request: HttpRequest) -> HttpResponse:
    form = ApiKeyForm(request.POST)
    context = {"keys": list_own_api_keys(request.user), "form": form}
    if not form.is_valid():
        return render(request, "accounts/apikey_list.html", context, status=400)
    key, text = create_api_key(actor=request.user, user=request.user, **form.cleaned_arguments())
    return render(request, "accounts/apikey_list.html", context | {"created": key, "created_text": text, "form": ApiKeyForm()}, status=201)


@login_required
@require_POST
def apikey_revoke(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = revoke_api_key(actor=request.user, key=get_visible_api_key(request.user, key_id))
    messages.success(request, _("The key “%(name)s” is revoked.") % {"name": key.name})
    return redirect("accounts:apikey-list")
