"""Static files as production serves them: the storage. In a browser: tests/e2e/test_first_visit.py."""

import re
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage
from django.http import HttpResponse

from config.middleware import StaticFilesMiddleware
from config.static_storage import QuickCompressor, StaticStorage, join_styles

ROOT = Path(__file__).resolve().parents[2] / "static"
FILES = {
    "css/app.css": '@layer a, b;\n@import url("one.css") layer(a);\n@import url("parts/two.css") layer(b);\n',
    "css/one.css": 'p { background: url("../img/dot.svg"); } /* no more than that */\n',
    "css/parts/two.css": 'i { background: url("../../img/dot.svg"); }\nb { src: url("data:,x"); }\n',
    "img/dot.svg": "<svg/>",
    "js/app.js": 'import { two } from "./two.js";\nimport "./three.js";\nimport("./two.js").then(two);\n',
    "js/two.js": 'import {\n  three,\n} from "./three.js";\nexport const two = three;\n',
    "js/three.js": "export const three = 3;\n",
    "elsewhere/old.js": 'import "./missing.js";\n',
}


@pytest.fixture
def collected(tmp_path, settings) -> StaticStorage:
    source, target = tmp_path / "source", tmp_path / "target"
    settings.STATIC_ROOT = str(target)
    for name, text in FILES.items():
        for root in (source, target):  # collectstatic has copied them before
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    storage = StaticStorage(location=str(target), base_url="/static/")
    for _turn in range(2):  # each start collects anew, over what is there
        paths = {name: (FileSystemStorage(str(source)), name) for name in FILES}
        errors = [
            found for _name, _hashed, found in storage.post_process(paths) if isinstance(found, Exception)
        ]
        assert errors == []
    return storage


def read(storage: StaticStorage, name: str) -> str:
    return (Path(storage.location) / storage.stored_name(name)).read_text()


def test_the_style_file_holds_all_that_it_imports_in_its_layers(collected):
    dot = collected.stored_name("img/dot.svg").removeprefix("img/")
    assert re.fullmatch(r"dot\.[0-9a-f]{12}\.svg", dot)
    assert (
        read(collected, "css/app.css").split()
        == (
            f'@layer a, b; @layer a {{ p {{ background: url("../img/{dot}"); }} }} '
            f'@layer b {{ i {{ background: url("../img/{dot}"); }} b {{ src: url("data:,x"); }} }}'
        ).split()
    )


def test_a_change_in_an_imported_style_changes_the_files_name(collected):
    before = collected.stored_name("css/app.css")
    other = {**FILES, "css/one.css": "p { color: red; }\n"}
    assert join_styles("css/app.css", FILES.__getitem__) != join_styles("css/app.css", other.__getitem__)
    assert re.fullmatch(r"css/app\.[0-9a-f]{12}\.css", before)


def test_modules_name_each_other_by_their_last_names(collected):
    three, two = (collected.stored_name(f"js/{name}.js").removeprefix("js/") for name in ("three", "two"))
    assert f'from "./{three}";' in read(collected, "js/two.js")
    app = read(collected, "js/app.js")
    assert f'from "./{two}";' in app and f'import("./{two}")' in app and f'import "./{three}";' in app
    assert read(collected, "elsewhere/old.js") == FILES["elsewhere/old.js"], "ours alone"


def test_a_file_is_packed_once_for_both_of_its_names(tmp_path, monkeypatch):
    packed, text = [], b"once " * 20
    monkeypatch.setattr("brotli.compress", lambda data, quality: packed.append(data) or b"packed")
    for name in ("app.js", "app.0123456789ab.js"):
        (tmp_path / name).write_bytes(text)
        assert len(QuickCompressor(quiet=True).compress(str(tmp_path / name))) == 2
    assert packed == [text]


def test_every_import_of_ours_is_one_that_the_storage_knows():
    """Else a module would come twice in production, under two names."""
    known = re.compile(r'(?:from|import) "\.[^"]+";|import\("\.[^"]+"\)')
    for path in (ROOT / "js").glob("*.js"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        imports = re.findall(r"\bimport\b(?!\((?!\"))[^;]*;|\bexport\b[^;{]*\bfrom\s*\"[^;]*;", text)
        assert [one for one in imports if not known.search(one)] == [], path.name


def test_the_styles_import_each_file_into_a_layer_and_nothing_deeper():
    text = join_styles("css/app.css", lambda name: (ROOT / name).read_text())
    assert "@import" not in text and "/*" not in text
    assert text.count("@layer ") == (ROOT / "css/app.css").read_text().count("@import") + 1
    for url in re.findall(r'url\("(\.[^"]+)"\)', text):
        assert (ROOT / "css" / url).is_file(), url


def test_files_that_are_collected_after_the_process_began_are_served(tmp_path, settings, rf):
    settings.STATIC_ROOT, settings.WHITENOISE_USE_FINDERS = str(tmp_path), False
    middleware = StaticFilesMiddleware(lambda _request: HttpResponse("a page"))
    (tmp_path / "late.css").write_text("p {}")
    assert middleware(rf.get("/c/")).content == b"a page"
    assert middleware(rf.get("/static/late.css")).content == b"p {}"
    assert middleware(rf.get("/static/never.css")).status_code == 404
