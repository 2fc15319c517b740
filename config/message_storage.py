"""Django's notices between two pages, in a cookie whose name carries the installation."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class InstanceCookieStorage(CookieStorage):
    cookie_name = f"atrium_messages_{settings.INSTANCE}"


class MessageStorage(FallbackStorage):
    """What does not fit into the cookie goes into the session."""

    storage_classes = (InstanceCookieStorage, SessionStorage)
