"""The scripts that draw the pictures of the pages run, and the pictures are theirs."""

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import lightconv.nn

DOCS = Path(__file__).parents[2] / "docs"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=float)


@pytest.mark.parametrize("script", ["draw_gallery"], indirect=True)
def test_gallery(script: ModuleType, tmp_path: Path) -> None:
    """Each layer's picture is what the layer computes today, and stands on the page beside the layer's code."""
    script.main(tmp_path)
    drawn, kept = ({path.name for path in folder.iterdir()} for folder in (tmp_path, DOCS / "pictures" / "gallery"))
    assert drawn == kept
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    for name, entry in script.GALLERY.items():
        difference = np.abs(pixels(tmp_path / f"{name}.webp") - pixels(DOCS / "pictures" / "gallery" / f"{name}.webp"))
        assert difference.mean() < 1, f"{name} looks different: run python docs/draw_gallery.py"
        (line,) = [line for line in page.splitlines() if f"(pictures/gallery/{name}.webp)" in line and "|" in line]
        assert f"| `{entry.layer}`<br>" in line


@pytest.mark.parametrize("script", ["draw_gallery"], indirect=True)
def test_gallery_is_complete(script: ModuleType) -> None:
    """Every 2-D layer, and every one of any dimension."""
    layers = {name for name in lightconv.nn.__all__ if not re.search("[13]d$|^Lazy", name)}
    shown = {re.match(r"nn\.(\w+)", entry.layer)[1] for entry in script.GALLERY.values()}
    assert layers <= shown


@pytest.mark.parametrize("script", ["draw_house"], indirect=True)
def test_house(script: ModuleType, tmp_path: Path) -> None:
    """No import leads upwards, and every part of the package has its place in the picture."""
    assert script.upward() == []
    parts = {path.stem for path in script.ROOT.iterdir() if path.is_dir() or path.suffix == ".py"}
    placed = {*script.PLACES, *script.EVERYWHERE}
    assert {part for part in parts if not part.startswith("_")} <= placed
    script.draw(tmp_path / "house.png")
    assert Image.open(tmp_path / "house.png").size[0] > 800


@pytest.mark.parametrize("script", ["draw_house"], indirect=True)
def test_an_import_that_leads_upwards_is_found(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "nn").mkdir()
    (tmp_path / "nn" / "pooling.py").write_text("def f():\n    from lightconv import surgery, nn\n")
    script.ROOT = tmp_path
    assert script.upward() == [("nn", "surgery")]


@pytest.mark.parametrize("script", ["draw_layers"], indirect=True)
def test_small_grids(script: ModuleType, tmp_path: Path) -> None:
    """The pictures of layers.md are drawn, and are those that the page shows."""
    script.PICTURES = tmp_path
    for name in ("conv_transpose", "max_pool"):
        script.draw(name, script.steps()[name])
        kept, drawn = pixels(DOCS / "pictures" / f"{name}.png"), pixels(tmp_path / f"{name}.png")
        assert kept.shape == drawn.shape
        assert np.abs(kept - drawn).mean() < 8  # fonts differ from machine to machine
    page = (DOCS / "layers.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(pictures/(\w+)\.png\)", page)) == set(script.steps())
