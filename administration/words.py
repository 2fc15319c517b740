"""Texts of django-unfold and django-auditlog, which bring no German and no Chinese, and of Django where we
say it otherwise: listed here, they get into our catalogues and are found.
"""

from django.utils.translation import gettext_noop as _

UNFOLD = [
    _("Apply Filters"),
    _("Date"),
    _("Date from"),
    _("Date to"),
    _("Expand row"),
    _("Filters"),
    _("From"),
    _("To"),
    _("General"),
    _("Go back"),
    _("More actions"),
    _("Next"),
    _("Previous"),
    _("No data"),
    _("No results found"),
    _("Please correct the errors below."),
    _("Reset filters"),
    _("Return to site"),
    _("Run"),
    _("Select action"),
    _("Select action to run"),
    _("Select all rows"),
    _("Select record"),
    _("Select value"),
    _("Submit"),
    _("System"),
    _("This item will be deleted."),
    _("Toggle password visibility"),
    _("Type to search"),
    _("Value"),
]
# whose German says “Geschichte”, whose Chinese puts a space before the noun
DJANGO = [
    _("History"),
    _("Add %s"),
    _("Change %s"),
    _("View %s"),
    _("Add another %(verbose_name)s"),
]
AUDITLOG = [
    _("log entry"),
    _("log entries"),
    _("timestamp"),
    _("remote address"),
    _("Created {repr:s}"),
    _("Updated {repr:s}"),
    _("Deleted {repr:s}"),
]
