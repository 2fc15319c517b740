"""The demo model's folder as shipped, and the corpus it was made from."""

import json
import random
import shutil

import pytest

from runtimes.ml.corpus import (
    CATEGORIES,
    LANGUAGES,
    PRIORITIES,
    draw_dialog,
    draw_ticket,
)
from runtimes.ml.corpus.tables import load_table
from runtimes.ml.model_folder import ModelFolder, RefusedModel, sha256_of
from tests.runtimes.conftest import TINY


def test_every_file_matches_its_checksum_and_none_is_missing(tiny):
    sums = dict(reversed(line.split("  ")) for line in (tiny / "SHA256SUMS").read_text().splitlines())
    files = {path.name for path in tiny.iterdir()} - {"SHA256SUMS"}
    assert set(sums) == files
    assert all(sha256_of(tiny / name) == digest for name, digest in sums.items())


def test_the_folder_is_small_accepted_and_has_a_card_in_three_languages(tiny):
    folder = ModelFolder(tiny)
    folder.check()
    folder.verify()
    assert sum(path.stat().st_size for path in tiny.iterdir()) < 6_000_000
    card = (tiny / "README.md").read_text()
    assert all(
        word in card
        for word in ("apache-2.0", "What it cannot do", "Was es nicht kann", "它不能做什么", "synthetic")
    )
    english, german = card.split("## Deutsch")
    assert "2,164,416 parameters" in english and "2.164.416 Parametern" in german


def test_the_measured_figures_keep_what_the_demo_promises(tiny):
    figures = json.loads((tiny / "figures.json").read_text())
    assert 0.2 < figures["contract_unseen"] < 0.45  # fine-tuning must have something to teach
    for language in LANGUAGES:
        assert figures[f"reply_{language}"] > 0.9
        assert figures[f"fallback_unseen_{language}"] > 0.8


@pytest.mark.parametrize("name", ["weights.bin", "model.pt", "modeling_evil.py", "deep/optimizer.pt"])
def test_a_folder_with_pickles_or_code_is_refused(tmp_path, name):
    shutil.copy(TINY / "manifest.json", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    ModelFolder(tmp_path).check()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(RefusedModel):
        ModelFolder(tmp_path).check()


def test_the_corpus_is_the_same_for_the_same_seed():
    first, second = random.Random(5), random.Random(5)
    assert [draw_dialog(first) for _ in range(50)] == [draw_dialog(second) for _ in range(50)]


def test_dialogs_alternate_and_end_with_an_answer():
    rng = random.Random(6)
    for _ in range(300):
        roles = [role for role, _ in draw_dialog(rng) if role != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)


def test_training_rows_hold_the_contract_and_leave_out_unseen_wording():
    phrases = load_table("tickets")
    held_out = [
        cue for by_priority in phrases["cues"].values() for cues in by_priority.values() for cue in cues[-1:]
    ]
    last_problems = [
        problem
        for by_category in phrases["problems"].values()
        for problems in by_category.values()
        for problem in problems[-2:]
    ]
    held_out += [problem for problem in last_problems if "{" not in problem]
    rng = random.Random(1)
    for _ in range(300):
        ticket = draw_ticket(rng, "train")
        record = json.loads(ticket.as_contract())
        assert record["category"] in CATEGORIES
        assert record["priority"] in PRIORITIES
        assert record["language"] in LANGUAGES
        assert not any(phrase in ticket.text for phrase in held_out)
    rng = random.Random(2)
    assert all(draw_ticket(rng, "unseen").text for _ in range(100))
