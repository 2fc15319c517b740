"""Production's static files, as `collectstatic` leaves them: the styles in one file, everything under a name
with its hash, compressed. In development the files are served as they stand.
"""

import functools
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

import brotli
from django.core.files.base import ContentFile
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

STYLES = "css/app.css"
# The last tenth would cost a minute for the largest files of libraries, and each start collects anew.
THOROUGH_BYTES, THOROUGH, QUICK = 120_000, 11, 5
_IMPORT = re.compile(r'@import url\("(?P<path>[^"]+)"\) layer\((?P<layer>\w+)\);')
_RELATIVE_URL = re.compile(r'url\("(?P<path>\.[^"]+)"\)')
_COMMENT = re.compile(r"/\*.*?\*/\n?", re.DOTALL)


class QuickCompressor(Compressor):
    """Packs large files as well as gzip does, and as fast; and what lies under two names, with its hash and
    without, once.
    """

    @staticmethod
    @functools.cache
    def compress_brotli(data: bytes) -> bytes:
        return brotli.compress(data, quality=THOROUGH if len(data) <= THOROUGH_BYTES else QUICK)

    @staticmethod
    @functools.cache
    def compress_gzip(data: bytes) -> bytes:
        return Compressor.compress_gzip(data)


class StaticStorage(CompressedManifestStaticFilesStorage):
    # Modules name each other by their hashed names as well: one that came under two names would run twice.
    # Only ours; what comes from elsewhere is left as it is.
    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        (
            "js/*.js",
            (
                (r"""(?P<matched>from "(?P<url>\.[^"]+)";)""", 'from "%(url)s";'),
                (r"""(?P<matched>import "(?P<url>\.[^"]+)";)""", 'import "%(url)s";'),
                (r"""(?P<matched>import\("(?P<url>\.[^"]+)"\))""", 'import("%(url)s")'),
            ),
        ),
    )
    max_post_process_passes = 12  # one for each step of the longest way from module to module, and one more

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str | None, Any]]:
        if not dry_run and STYLES in paths:
            self._join_styles(paths)
        yield from super().post_process(paths, dry_run=dry_run, **options)

    def create_compressor(self, **options: Any) -> Compressor:
        return QuickCompressor(**options)

    def _join_styles(self, paths: dict[str, Any]) -> None:
        """Put the one file in the place of the one that imports; from here on it is the source."""

        def read(name: str) -> str:
            storage, path = paths[name]
            with storage.open(path) as file:
                return file.read().decode()

        text = join_styles(STYLES, read)
        self.delete(STYLES)
        self._save(STYLES, ContentFile(text.encode()))
        paths[STYLES] = (self, STYLES)


def join_styles(name: str, read: Callable[[str], str]) -> str:
    """A style sheet with those that it imports into layers, without comments. `read`: the text of a static
    file by its name. Imported ones import none themselves.
    """
    folder = posixpath.dirname(name)

    def put_in(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match["path"]))
        text = _RELATIVE_URL.sub(lambda url: _from_folder(folder, path, url["path"]), read(path))
        return f"@layer {match['layer']} {{\n{text}}}"

    return _COMMENT.sub("", _IMPORT.sub(put_in, read(name)))


def _from_folder(folder: str, path: str, url: str) -> str:
    target = posixpath.join(posixpath.dirname(path), url)
    return f'url("{posixpath.relpath(target, folder)}")'
