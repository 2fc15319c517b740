"""How folders are made of the first models' files: with small files of the same formats."""

import importlib
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from transformers import AutoModel, AutoTokenizer

from runtimes.ml.conversion import __main__ as conversion
from runtimes.ml.conversion.errors import Unconvertible
from runtimes.ml.conversion.recipes import Recipe, list_recipes
from runtimes.ml.manifest import BadManifest, read_manifest
from runtimes.ml.model_folder import ModelFolder
from tests.runtimes import first_models
from tests.runtimes.conftest import PATIENCE_S, ROOT, TINY, wait_until

CHAT = {"kind": "chat"}
# A conversion that has written half of its folder and goes no further.
STUCK = """
    import sys, time
    from pathlib import Path
    from runtimes.ml.conversion import __main__ as conversion
    started = Path(sys.argv.pop())
    class Half:
        def convert(source, folder):
            (folder / "config.json").write_text("{}")
            started.touch()
            time.sleep(600)
    conversion.importlib.import_module = lambda name: Half
    conversion.main()
"""


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    first_models.write_e5s1(folder / "small.e5s1")
    first_models.write_gguf(folder / "small.gguf", TINY / "tokenizer.json")
    return folder


@pytest.fixture
def recipe(tmp_path, sources):
    """recipe("name", "file", **manifest) → its folder."""
    return lambda name, file, **manifest: first_models.write_recipe(
        tmp_path / "recipes" / name, sources / file, **manifest
    )


def convert(folder, sources, models) -> str:
    """In this process; why not, if it is refused."""
    try:
        conversion.convert(Recipe(folder, read_manifest(folder)), sources, models)
    except Unconvertible as exc:
        return str(exc)
    return ""


def command(folder, sources, models) -> list[str]:
    return [str(folder), "--sources", str(sources), "--models", str(models)]


def visible(models) -> list[str]:
    return sorted(path.name for path in models.iterdir() if path.name != ".lock")


@pytest.mark.parametrize("channel", ["stable", "experimental", ""])
def test_a_manifest_says_whether_somebody_stands_by_the_model(recipe, channel):
    assert read_manifest(recipe("small", "small.e5s1", channel=channel)).channel == channel


@pytest.mark.parametrize("channel", ["retired", 7, ["stable"], None])
def test_a_manifest_that_stands_by_a_model_in_other_words_is_refused(recipe, channel):
    with pytest.raises(BadManifest, match="channel"):
        read_manifest(recipe("small", "small.e5s1", channel=channel))


@pytest.mark.parametrize(("file", "manifest"), [("small.e5s1", {}), ("small.gguf", CHAT)])
def test_a_file_becomes_a_folder_that_says_where_it_comes_from(sources, recipe, tmp_path, file, manifest):
    made = recipe("small", file, **manifest)
    assert convert(made, sources, tmp_path / "models") == ""
    folder = ModelFolder(tmp_path / "models" / "small")
    folder.check()
    folder.verify()
    assert folder.manifest == read_manifest(made) and folder.manifest.origin["file"] == file
    assert (folder.path / "README.md").read_text() == "A card."
    sums = (folder.path / "SHA256SUMS").read_text()
    assert all(path.name in sums for path in folder.path.iterdir() if path.name != "SHA256SUMS")
    weights = folder.path / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert convert(made, sources, tmp_path / "models") == ""
    assert weights.stat().st_mtime_ns == before  # called twice


def test_the_tensors_and_the_words_of_an_e5s1_file_are_kept(sources, recipe, tmp_path):
    tensors = first_models.write_e5s1(sources / "small.e5s1", seed=7)
    assert convert(recipe("small", "small.e5s1"), sources, tmp_path / "models") == ""
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "models" / "small")
    model = AutoModel.from_pretrained(tmp_path / "models" / "small", add_pooling_layer=False)
    words = {
        "hello\tworld": ["▁hello", "▁world"],
        "hello\x01  ﬁ①": ["▁hello", "▁", "fi", "1"],
        "tax laws": ["▁tax", "▁law", "s"],
        "  zq Ü": ["▁", "z", "q", "▁", "<unk>"],
    }
    for text, pieces in words.items():
        found = tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])
        assert found == ["<s>", *pieces, "</s>"]
    layer = model.encoder.layer[1]
    for name, parameter in {
        "emb.word": model.embeddings.word_embeddings.weight,
        "emb.ln.b": model.embeddings.LayerNorm.bias,
        "l1.q.w": layer.attention.self.query.weight,
        "l1.fo.w": layer.output.dense.weight,
        "l1.aln.w": layer.attention.output.LayerNorm.weight,
    }.items():
        values = parameter.detach().float().flatten().tolist()
        assert values == pytest.approx(tensors[name].reshape(-1).tolist(), rel=2e-3, abs=1e-4), name


def test_a_file_with_another_hash_is_refused(sources, recipe, tmp_path):
    made = recipe("small", "small.e5s1")
    with (sources / "small.e5s1").open("ab") as file:
        file.write(b"x")
    arguments = command(made, sources, tmp_path / "models")
    done = subprocess.run(
        [sys.executable, "-m", "runtimes.ml.conversion", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "small.e5s1 has another sha256 than the recipe says.\n",
        "",
    )
    assert visible(tmp_path / "models") == []


@pytest.mark.parametrize("damage", ["magic", "cut", "no gguf"])
def test_what_is_no_whole_file_is_refused_in_one_line(sources, recipe, tmp_path, damage):
    file = "small.gguf" if damage == "no gguf" else "small.e5s1"
    whole = (sources / file).read_bytes()
    (sources / file).write_bytes(whole[: len(whole) // 3] if damage == "cut" else b"EVIL" + whole[4:])
    reason = convert(recipe("small", file), sources, tmp_path / "models")
    assert reason.startswith(f"{file} ") and "\n" not in reason
    assert not (tmp_path / "models" / "small").exists()


def test_a_killed_conversion_leaves_nothing_half_and_the_next_one_clears_up(sources, recipe, tmp_path):
    made, models, started = recipe("small", "small.e5s1"), tmp_path / "models", tmp_path / "started"
    arguments = [*command(made, sources, models), str(started)]
    stuck = subprocess.Popen([sys.executable, "-c", textwrap.dedent(STUCK), *arguments], cwd=ROOT)
    wait_until(started.exists, PATIENCE_S, "the conversion does not begin")
    stuck.send_signal(signal.SIGKILL)
    stuck.wait()
    assert all(name.startswith(".") for name in visible(models)) and visible(models)
    assert convert(made, sources, models) == ""
    assert visible(models) == ["small"]


def test_whoever_comes_second_waits_and_finds_it_done(sources, recipe, tmp_path, monkeypatch):
    """The first one begins the second and ends only when that stands at the lock."""
    made, models = recipe("small", "small.e5s1"), tmp_path / "models"
    program = [sys.executable, "-m", "runtimes.ml.conversion", *command(made, sources, models)]
    import_module, others = importlib.import_module, []

    def waits(process: subprocess.Popen) -> bool:
        return f" {process.pid} " in Path("/proc/locks").read_text() or process.poll() is not None

    def import_late(name):
        others.append(subprocess.Popen(program, cwd=ROOT))
        wait_until(lambda: waits(others[0]), PATIENCE_S, "the second conversion does not begin")
        assert others[0].poll() is None
        return import_module(name)

    monkeypatch.setattr(conversion.importlib, "import_module", import_late)
    assert convert(made, sources, models) == ""
    weights = (models / "small" / "model.safetensors").stat().st_mtime_ns
    assert others[0].wait(timeout=PATIENCE_S) == 0
    assert (models / "small" / "model.safetensors").stat().st_mtime_ns == weights
    assert visible(models) == ["small"]


def test_what_was_made_of_another_file_is_made_anew(sources, recipe, tmp_path):
    models = tmp_path / "models"
    old = recipe("small", "small.e5s1")
    assert convert(old, sources, models) == ""
    before = (models / "small" / "model.safetensors").read_bytes()
    first_models.write_e5s1(sources / "small.e5s1", seed=2)
    new = first_models.write_recipe(tmp_path / "newer" / "small", sources / "small.e5s1")
    assert Recipe(old, read_manifest(old)).is_made_in(models)
    assert not Recipe(new, read_manifest(new)).is_made_in(models)
    assert convert(new, sources, models) == ""
    assert (models / "small" / "model.safetensors").read_bytes() != before
    assert visible(models) == ["small"]


def test_the_recipes_name_the_files_that_are_fetched_and_say_what_they_are():
    lines = (ROOT / "requirements" / "models.txt").read_text().splitlines()
    listed = {tuple(line.split()) for line in lines if not line.startswith("#")}
    found = set()
    for recipe in list_recipes():
        origin = recipe.manifest.origin
        member = next(entry[1] for entry in listed if entry[2] == origin["sha256"])
        assert member.rpartition("/")[2] == origin["file"]
        found.add((origin["package"], member, origin["sha256"], recipe.manifest.licence))
        card = (recipe.folder / "README.md").read_text()
        for words in (origin["package"], origin["sha256"], recipe.manifest.licence, "## Deutsch", "## 中文"):
            assert words in card, (recipe.id, words)
    assert found == listed
