"""Files appear whole or not at all."""

import os
import threading
import time
from pathlib import Path

import pytest

from lightconv.deploy import files
from lightconv.deploy.files import ExportError, Staged, publish_pair


def test_nothing_appears_before_it_is_published(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with Staged(path) as file:
        file.write(b"new")
        assert not path.exists()
        file.publish()
    assert path.read_bytes() == b"new"

    def interrupted() -> None:
        with Staged(path) as file:
            file.write(b"newer")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["model"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with Staged(tmp_path / "model") as file:
        file.publish()
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "model")
    with Staged(tmp_path / "link") as file:
        file.write(b"new")
        file.publish()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "model").read_bytes() == b"new"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="create it first"):
        Staged(tmp_path / "nowhere" / "model")
    with pytest.raises(ExportError, match="is a folder"):
        Staged(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="no folder"):
        Staged(tmp_path / "file" / "model")
    if Path("/proc/self").is_dir():
        with pytest.raises(ExportError, match="cannot be written"):
            Staged("/proc/self/model")


class Crash(BaseException):
    pass


@pytest.mark.parametrize("crash_at", range(8))
def test_after_a_crash_model_and_card_never_disagree(
    crash_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash is simulated before each step that touches the disk: from then on nothing is carried out."""
    model, card = tmp_path / "net.onnx", tmp_path / "net.json"
    model.write_text("old")
    card.write_text("old")
    file, description = Staged(model), Staged(card)
    file.write(b"new")
    description.write(b"new")
    steps = 0

    def counted(real):
        def step(*args, **kwargs):
            nonlocal steps
            steps += 1
            if steps > crash_at:
                raise Crash
            return real(*args, **kwargs)

        return step

    for owner, name in ((os, "replace"), (Path, "unlink"), (Path, "touch"), (files, "_flush_folder")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    try:
        publish_pair(file, description)
    except Crash:
        assert steps > crash_at
    else:
        assert steps <= crash_at
    assert model.read_text() in ("old", "new")
    if card.exists():
        assert card.read_text() == model.read_text()
    if steps <= crash_at:
        assert (model.read_text(), card.read_text()) == ("new", "new")


def test_of_many_that_publish_at_once_one_wins_with_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, card = tmp_path / "net.onnx", tmp_path / "net.json"
    monkeypatch.setattr(files, "_flush_folder", lambda folder: time.sleep(0.001))
    disagreed = []

    def work(number: int) -> None:
        for turn in range(5):
            with Staged(model) as file, Staged(card) as description:
                file.write(f"{number}, {turn}".encode())
                description.write(f"{number}, {turn}".encode())
                publish_pair(file, description)
                with files.locked(tmp_path, wait=True):
                    if model.read_text() != card.read_text():
                        disagreed.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not disagreed
    assert sorted(os.listdir(tmp_path)) == ["net.json", "net.onnx"]


def test_the_old_card_stays_if_the_model_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, card = tmp_path / "net.onnx", tmp_path / "net.json"
    model.write_text("old")
    card.write_text("old")
    real = os.replace

    def refuse(source, target):
        if Path(target) == model:
            raise PermissionError(13, "Permission denied")
        real(source, target)

    with Staged(model) as file, Staged(card) as description:
        file.write(b"new")
        description.write(b"new")
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(ExportError, match="Permission denied"):
            publish_pair(file, description)
    assert (model.read_text(), card.read_text()) == ("old", "old")
    assert sorted(os.listdir(tmp_path)) == ["net.json", "net.onnx"]
