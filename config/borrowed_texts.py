"""Texts of Django and allauth that our pages show. Their catalogues address people as friends, or say it
woodenly; named here they stand in ours, which go first.
"""

from django.utils.translation import gettext_noop

BORROWED = (
    gettext_noop("Please type your current password."),
    gettext_noop("Too many failed login attempts. Try again later."),
    gettext_noop("The email address and/or password you specified are not correct."),
    gettext_noop("You must type the same password each time."),
    gettext_noop("Be patient, you are sending too many requests."),
    gettext_noop("Your password has been changed."),
    gettext_noop("You have signed out."),
    gettext_noop("This password is too common."),
)
