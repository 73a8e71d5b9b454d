"""Pictures of all kinds are brought into the form that the network was trained on."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lightconv.deploy.runtime import Classifier, InputError, prepare_picture


def stroke(height: int, width: int, top: float, left: float, size: float) -> np.ndarray:
    """A seven, white on black: the height is `size`."""
    field = np.zeros((height, width), np.float32)
    thick = max(1, round(size / 7))
    for t in np.linspace(0, 1, 400):
        for y, x in ((top, left + 0.6 * size * t), (top + size * t, left + 0.6 * size * (1 - 0.6 * t))):
            y, x = round(y), round(x)
            field[y : y + thick, x : x + thick] = 255
    return field.astype(np.uint8)


def centre_of_mass(picture: np.ndarray) -> tuple[float, float]:
    ink = picture.astype(np.float64)
    y, x = np.indices(ink.shape)
    return (ink * y).sum() / ink.sum(), (ink * x).sum() / ink.sum()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = tmp_path_factory.mktemp("seven") / "seven.png"
    Image.fromarray(stroke(280, 280, 40, 60, 180)).save(path)
    return prepare_picture(path, (28, 28))[0]


def test_size_and_place_are_those_of_mnist(prepared: np.ndarray) -> None:
    rows, columns = np.nonzero(prepared > 64)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(20, abs=1)
    assert centre_of_mass(prepared) == pytest.approx((14, 14), abs=0.6)
    assert prepared.dtype == np.uint8
    assert prepared.max() == 255


def test_a_prepared_picture_is_taken_as_it_is(prepared: np.ndarray, tmp_path: Path) -> None:
    for name in ("seven.png", "seven.bmp", "seven.tif"):
        Image.fromarray(prepared).save(tmp_path / name)
        result, note = prepare_picture(tmp_path / name, (28, 28))
        np.testing.assert_array_equal(result, prepared)
        assert note == ""
    result, note = prepare_picture(tmp_path / "seven.png", (28, 28))
    row = np.concatenate([prepared, np.zeros_like(prepared)], 1)
    Image.fromarray(row).save(tmp_path / "row.png")
    np.testing.assert_array_equal(prepare_picture(tmp_path / "row.png", (28, 56))[0], row)


def near(result: np.ndarray, prepared: np.ndarray) -> bool:
    return float(np.abs(result.astype(float) - prepared).mean()) < 12


@pytest.mark.parametrize(
    "kind",
    [
        "off centre",
        "other size",
        "inverted",
        "colour",
        "gray paper",
        "jpeg",
        "alpha",
        "16 bit",
        "palette",
        "rotated by tag",
        "uneven light",
        "specks",
        "colours of one brightness",
        "cut out",
        "huge",
        "one bit",
        "for printing",
        "floating",
    ],
)
def test_other_pictures_come_out_alike(kind: str, prepared: np.ndarray, tmp_path: Path) -> None:
    suffix = {"jpeg": "jpg", "rotated by tag": "jpg", "huge": "jpg", "for printing": "tif", "floating": "tif"}
    path = tmp_path / f"seven.{suffix.get(kind, 'png')}"
    white = stroke(280, 280, 40, 60, 180)
    picture = Image.fromarray(white)
    options: dict = {}
    if kind == "off centre":
        picture = Image.fromarray(stroke(280, 280, 2, 150, 180))
    elif kind == "other size":
        picture = Image.fromarray(stroke(131, 400, 8, 250, 90))
    elif kind == "inverted":
        picture = Image.fromarray(255 - white)
    elif kind == "colour":
        colour = np.full((280, 280, 3), (250, 240, 200), np.uint8)
        colour[white > 0] = (20, 30, 160)
        picture = Image.fromarray(colour)
    elif kind == "gray paper":
        noise = np.random.default_rng(0).integers(-6, 7, white.shape)
        picture = Image.fromarray((150 + noise - (white > 0) * 110).astype(np.uint8))
    elif kind == "jpeg":
        picture, options = Image.fromarray(255 - white), {"quality": 60}
    elif kind == "alpha":
        layers = np.zeros((280, 280, 4), np.uint8)
        layers[..., 3] = white
        picture = Image.fromarray(layers)
    elif kind == "16 bit":
        picture = Image.fromarray(65535 - white.astype(np.uint16) * 257)
    elif kind == "palette":
        picture = Image.fromarray(255 - white).convert("P")
    elif kind == "uneven light":
        y, x = np.mgrid[-1:1:280j, -1:1:280j]
        light = (150 + 70 * x - 30 * y - 20 * x * x) * np.where(white > 0, 0.6, 1)
        picture = Image.fromarray((light + np.random.default_rng(0).normal(0, 3, white.shape)).astype(np.uint8))
    elif kind == "specks":
        dirty = white.copy()
        for corner in ((3, 3), (270, 20), (30, 265)):
            dirty[tuple(slice(n, n + 8) for n in corner)] = 255
        picture = Image.fromarray(dirty)
    elif kind == "colours of one brightness":
        colour = np.full((280, 280, 3), (0, 110, 100), np.uint8)
        colour[white > 0] = (216, 0, 100)
        picture = Image.fromarray(colour)
    elif kind == "cut out":
        picture = Image.fromarray(255 - white[40:247, 60:194])
    elif kind == "huge":
        picture = Image.fromarray(255 - white).resize((5600, 5600), Image.Resampling.NEAREST)
    elif kind == "one bit":
        picture = Image.fromarray(255 - white).convert("1")
    elif kind == "for printing":
        picture = Image.fromarray(255 - white).convert("CMYK")
    elif kind == "floating":
        picture = Image.fromarray(white / np.float32(1000))
    else:
        picture = picture.rotate(90, expand=True)
        exif = Image.Exif()
        exif[0x0112] = 6  # "turn me clockwise by 90 degrees"
        options = {"exif": exif, "quality": 95}
    picture.save(path, **options)
    result, note = prepare_picture(path, (28, 28))
    assert near(result, prepared), kind
    size = {"off centre": (280, 280), "other size": (400, 131), "cut out": (134, 207), "huge": (5600, 5600)}
    wide, high = size.get(kind, (280, 280))
    assert f"{wide} x {high} cut out, scaled and centred" in note
    light = ("off centre", "other size", "rotated by tag", "specks", "colours of one brightness", "floating")
    assert ("inverted" in note) == (kind not in light)


def test_dark_on_light_of_the_right_size_is_only_inverted(prepared: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(255 - prepared).save(tmp_path / "seven.png")
    result, note = prepare_picture(tmp_path / "seven.png", (28, 28))
    np.testing.assert_array_equal(result, prepared)
    assert note == "dark on light, inverted"


def test_a_small_digit_in_a_picture_of_the_right_size_is_enlarged(prepared: np.ndarray, tmp_path: Path) -> None:
    small = np.zeros((28, 28), np.uint8)
    small[7:21, 7:21] = np.asarray(Image.fromarray(prepared).resize((14, 14)))
    Image.fromarray(small).save(tmp_path / "seven.png")
    result, note = prepare_picture(tmp_path / "seven.png", (28, 28))
    rows, columns = np.nonzero(result > 64)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(20, abs=1)
    assert np.corrcoef(result.flat, prepared.flat)[0, 1] > 0.85
    assert note == "28 x 28 cut out, scaled and centred"


def test_a_fine_pen_is_made_as_thick_as_mnists(tmp_path: Path) -> None:
    page = np.full((300, 300), 255, np.uint8)
    page[50:250, 149:152] = 0
    Image.fromarray(page).save(tmp_path / "one.png")
    result, _ = prepare_picture(tmp_path / "one.png", (28, 28))
    assert (result > 127).sum(axis=1).max() == 2
    assert np.ptp(np.nonzero((result > 64).any(axis=1))) + 1 == pytest.approx(20, abs=1)


def test_arrays_are_prepared_too(prepared: np.ndarray, tmp_path: Path) -> None:
    white = stroke(280, 280, 40, 60, 180)
    for brightness in (white, white / 255.0 * 200):
        assert near(prepare_picture(brightness, (28, 28))[0], prepared)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 2), (3, 3), (8, 8)])
@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_the_smallest_pictures(size: tuple[int, int], kind: str) -> None:
    page = {"black": np.zeros(size), "white": np.full(size, 255.0)}.get(kind)
    page = np.random.default_rng(0).uniform(0, 255, size) if page is None else page
    result, note = prepare_picture(page, (28, 56))
    assert result.shape == (28, 56)
    assert (note == "no ink found") == (result.max() == 0)


def test_more_pixels_than_anybody_sends_are_refused(image_model: Path, tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    for side in (9_000, 60_000):  # what Pillow takes, and what it refuses itself
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")))
        with pytest.raises(InputError, match=r"at most 80,000,000 pixels, but .*bomb\.png has"):
            Classifier(image_model).predict(tmp_path / "bomb.png")


def test_digits_of_unequal_width_are_divided_between_them(tmp_path: Path) -> None:
    both = np.zeros((200, 300), np.uint8)
    both[20:180, 20:40] = 255
    both[20:180, 80:280] = 255
    result, _ = prepare_picture(both, (28, 56))
    rows, columns = np.nonzero(result[:, :28])
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 2)
    rows, columns = np.nonzero(result[:, 28:])
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (16, 20)


def test_two_digits_are_divided(prepared: np.ndarray, tmp_path: Path) -> None:
    both = np.concatenate([stroke(280, 280, 40, 100, 180), stroke(280, 280, 80, 5, 100)], axis=1)
    Image.fromarray(255 - both).save(tmp_path / "both.png")
    result, _ = prepare_picture(tmp_path / "both.png", (28, 56))
    assert near(result[:, :28], prepared)
    assert near(result[:, 28:], prepared)


@pytest.mark.parametrize(
    ("digits", "wanted", "said"),
    [
        (1, 1, ""),
        (2, 1, "2 pieces of ink side by side, taken for 1 digit"),
        (1, 2, ""),
        (2, 2, ""),
        (3, 2, "3 pieces of ink side by side, taken for 2 digits"),
    ],
)
def test_more_digits_than_are_read_are_said(digits: int, wanted: int, said: str) -> None:
    row = np.concatenate([stroke(280, 160, 40, 20, 180)] * digits, axis=1)
    row[60:64, 2:6] = 255  # a speck
    note = prepare_picture(255 - row, (28, 28 * wanted))[1]
    assert note.partition("centred")[2].removeprefix("; ") == said


def test_an_empty_page_is_black_and_said(tmp_path: Path) -> None:
    Image.new("L", (100, 80), 250).save(tmp_path / "empty.png")
    result, note = prepare_picture(tmp_path / "empty.png", (28, 28))
    assert result.max() == 0
    assert note == "no ink found"
    Image.new("L", (28, 28), 0).save(tmp_path / "black.png")
    assert prepare_picture(tmp_path / "black.png", (28, 28))[1] == "no ink found"


@pytest.mark.parametrize(("name", "said"), [("pages.tif", True), ("moving.gif", True), ("photograph.mpo", False)])
def test_of_several_pictures_the_first_is_taken_and_said(
    name: str, said: bool, prepared: np.ndarray, tmp_path: Path
) -> None:
    first, other = Image.fromarray(prepared), Image.new("L", (28, 28), 255)
    first.save(tmp_path / name, save_all=True, append_images=[other])
    path = (tmp_path / name).rename(tmp_path / name.replace("mpo", "jpg"))  # as cameras name it
    result, note = prepare_picture(path, (28, 28))
    assert near(result, prepared)
    assert ("the first of several pictures" in note) == said


def test_files_and_arrays_of_pictures_are_classified_alike(
    image_model: Path, prepared: np.ndarray, tmp_path: Path
) -> None:
    classifier = Classifier(image_model)
    Image.fromarray(prepared).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", np.stack([prepared, prepared]))
    expected = classifier.predict(prepared)
    for source in (prepared[None], prepared[None, None], prepared.astype(np.int32), tmp_path / "a.png"):
        assert classifier.predict(source).probabilities == expected.probabilities
    assert len(classifier.predict(tmp_path).labels) == 3


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((28, 28)), "scale it to 0 to 255"),
        (np.full((28, 28), 256), "holds 256"),
        (np.full((28, 28), -1), "holds -1"),
        (np.zeros((28, 56), np.uint8), r"but it has \(28, 56\)"),
        ("signals.csv", "Expected a file of pictures"),
    ],
)
def test_pictures_that_cannot_be_used(image_model: Path, source, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Classifier(image_model).predict(source)


def test_a_folder_that_is_closed(image_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(open_: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(path: Path, **options: Any) -> Any:
            if path.is_relative_to(tmp_path):
                raise PermissionError(13, "Permission denied")
            return open_(path, **options)

        return refuse

    for name in ("iterdir", "stat"):
        monkeypatch.setattr(Path, name, closed(getattr(Path, name)))
    with pytest.raises(InputError, match="there is none named"):
        Classifier(tmp_path / "no.onnx")
    classifier = Classifier(image_model)
    with pytest.raises(InputError, match=r"a folder that can be read.*permission denied"):
        classifier.predict(tmp_path)
    with pytest.raises(InputError, match=r"no\.png to be a file"):
        classifier.predict(tmp_path / "no.png")


def test_a_damaged_picture(image_model: Path, prepared: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(prepared).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for damaged in (b"", b"hello", content[: len(content) // 2]):
        (tmp_path / "a.png").write_bytes(damaged)
        with pytest.raises(InputError, match="readable file") as caught:
            Classifier(image_model).predict(tmp_path / "a.png")
        assert len(str(caught.value).splitlines()) == 1
