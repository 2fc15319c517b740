"""HTML of texts that were rendered before, so that a view of a long conversation renders what is new.

In this process's memory only, at most MAX_BYTES: it holds what people wrote, must end with the process, and
is the same text for whoever sees it, since a text's own hash is its name.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable

from django.utils.safestring import SafeString
from django.utils.translation import get_language

from tenants.context import scope_label

MAX_BYTES = 48_000_000
MAX_ENTRY_BYTES = 12_000_000


class Rendered:
    """The HTML used last, by tenant, language and text."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._entries: OrderedDict[tuple[str, str, bytes], SafeString] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str, render: Callable[[], SafeString]) -> SafeString:
        """What is kept for the text, else what `render` gives, which is kept from then on."""
        name = (
            scope_label(),
            get_language() or "",
            hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(),
        )
        with self._lock:
            if name in self._entries:
                self._entries.move_to_end(name)
                return self._entries[name]
        html = render()
        with self._lock:
            self._keep(name, html)
        return html

    def _keep(self, name: tuple[str, str, bytes], html: SafeString) -> None:
        if name in self._entries or _size_of(html) > MAX_ENTRY_BYTES:
            return
        self._entries[name] = html
        self._size += _size_of(html)
        while self._size > self._max_bytes:
            _oldest, dropped = self._entries.popitem(last=False)
            self._size -= _size_of(dropped)


def _size_of(html: str) -> int:
    return 4 * len(html)  # Python keeps up to four bytes a character
