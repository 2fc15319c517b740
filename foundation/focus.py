"""Where a page with one form puts the focus."""

from django import forms, template

register = template.Library()


@register.simple_tag
def focus_form(form: forms.BaseForm) -> str:
    """`{% focus_form form %}`, before its fields are shown: the focus goes to the first one in error, else to
    what has to be typed anew (a password), else to the first. What is wrong with the whole form
    (_form_errors.html) is read out with it.
    """
    fields = form.visible_fields()
    in_error = [field for field in fields if field.errors]
    emptied = [
        field for field in fields if form.is_bound and isinstance(field.field.widget, forms.PasswordInput)
    ]
    for field in (in_error or emptied or fields)[:1]:
        field.field.widget.attrs["autofocus"] = True
        if not in_error and form.non_field_errors():
            field.field.widget.attrs["aria-describedby"] = "form-errors"
    return ""
