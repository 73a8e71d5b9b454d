"""lightconv data show and prepare."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightconv.cli import main
from lightconv.data.command import VARIANTS
from lightconv.data.contact_sheet import choose, contact_sheet


@pytest.mark.parametrize("variant", ["digits", "mnist100_digits", "mnist1d"])
def test_show(variant: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / "new" / "sheet.png"
    assert main(["data", "show", "--variant", variant, "--root", str(root), "--output", str(path)]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == str(path)
    assert ("not MNIST" in told) == ("digits" in variant)
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]
    with Image.open(path) as picture:
        assert picture.width > 800
        assert np.asarray(picture.convert("L")).std() > 20


def test_prepare_tells_what_is_there(capsys: pytest.CaptureFixture):
    assert main(["data", "prepare", "--variant", "digits"]) == 0
    told = capsys.readouterr().out
    assert "1,500 training samples of 28x28, 10 classes" in told
    assert "297 test samples" in told


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "show|prepare"),
        (["show"], "--variant"),
        (["show", "--variant", "letters"], "letters"),
        (["prepare", "--variant", "mnist1d", "--source", "npm"], "generated"),
        (["prepare", "--variant", "mnist", "--source", "local", "--root", "nowhere"], "nowhere"),
        (["prepare", "--variant", "mnist1d", "--root", "file"], "name another with `--root`"),
        (["show", "--variant", "digits", "--output", "file/x.png"], "file/x.png"),
        (["show", "--variant", "digits", "--output", "file.jpg"], "a .png file"),
        (["show", "--variant", "digits", "--first", "-1"], "--first"),
        (["show", "--variant", "digits", "--first", "144"], None),
        (["show", "--variant", "digits", "--first", "150"], "--first"),
    ],
)
def test_wrong_use_is_one_sentence(
    arguments: list[str],
    complaint: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main(["data", *arguments]) == (2 if complaint else 0)
    told = capsys.readouterr().err
    assert complaint is None or complaint in told
    assert told.count("Expected") <= 1
    assert told.count("\n") == (1 if complaint else 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == (["file"] if complaint else ["digits.png", "file"])


def test_every_variant_is_explained(capsys: pytest.CaptureFixture):
    assert main(["data", "show", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in VARIANTS)


def test_each_sample_stands_under_its_label(tmp_path: Path):
    y = torch.arange(10).repeat(20)
    x = (y * 25).to(torch.uint8)[:, None, None, None].expand(-1, 1, 28, 28)
    assert choose(y.numpy(), 10).tolist() == sorted(range(100), key=lambda i: i % 10)
    path = tmp_path / "x.png"
    contact_sheet(x, y, tuple("abcdefghij"), path, "rows of shades")
    with Image.open(path) as picture:
        shades = np.asarray(picture.convert("L"))
    middles = [shades[:, int((column + 0.5) * shades.shape[1] / 10)] for column in range(10)]
    for label in range(10):
        runs = [int((middle == label * 25).sum()) for middle in middles]
        assert min(runs) > 50, f"a tile of shade {label * 25} in each column"
