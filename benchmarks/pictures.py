"""Accuracy on MNIST's test digits shown as people would send them, beside that on the test set itself.

    python benchmarks/pictures.py exports/mnist.onnx [--samples 1000] [--root data]

Each picture becomes a file of its own, changed at random (seed 0) as its line says, and is read back with
`lightconv.deploy.runtime`. The last column gives the network the same file as plain onnxruntime would: converted to
gray and resized to the network's size, nothing else.
"""

import argparse
import io
from collections.abc import Callable

import numpy as np
from paired import machine
from PIL import Image, ImageFilter

from lightconv.data.scoring import evaluation_sets
from lightconv.deploy.runtime import Classifier, prepare_picture

Random = np.random.Generator


def enlarged(picture: np.ndarray, draw: Random, low: float = 2, high: float = 10) -> Image.Image:
    """White on black, `low` to `high` times as large, on a page with room around it, off centre."""
    scale = draw.uniform(low, high)
    gray = Image.fromarray(picture)
    ink = gray.resize((round(gray.width * scale), round(gray.height * scale)), Image.Resampling.BICUBIC)
    room = draw.uniform(0, 0.5, 4) * ink.height
    page = Image.new("L", (round(ink.width + room[0] + room[1]), round(ink.height + room[2] + room[3])))
    page.paste(ink, (round(room[0]), round(room[2])))
    return page


def pair_of_sizes(picture: np.ndarray, draw: Random) -> Image.Image:
    """The digits of a row, each at a size, height and distance of its own."""
    parts = [enlarged(part, draw, 3, 6) for part in np.split(picture, picture.shape[1] // picture.shape[0], axis=1)]
    page = Image.new("L", (sum(part.width for part in parts), max(part.height for part in parts)))
    left = 0
    for part in parts:
        page.paste(part, (left, int(draw.integers(page.height - part.height + 1))))
        left += part.width
    return page


def coloured(picture: np.ndarray, draw: Random) -> Image.Image:
    """Ink of one colour on paper of another, somewhat lighter or darker."""
    share = np.asarray(enlarged(picture, draw, 3, 6), np.float32)[..., None] / 255
    while True:
        ink, paper = draw.uniform(0, 255, (2, 3))
        if np.abs(ink - paper).max() > 80:
            return Image.fromarray((share * ink + (1 - share) * paper).astype(np.uint8))


def transparent(picture: np.ndarray, draw: Random) -> Image.Image:
    """Ink of one colour on nothing."""
    alpha = enlarged(picture, draw, 3, 6)
    page = Image.new("RGB", alpha.size, tuple(int(c) for c in draw.integers(0, 120, 3)))
    page.putalpha(alpha)
    return page


def photographed(picture: np.ndarray, draw: Random) -> Image.Image:
    """Dark ink on paper: turned, lit from one side, with a corner in the dark, grain, blur and specks."""
    page = enlarged(picture, draw, 6, 12).rotate(draw.uniform(-8, 8), Image.Resampling.BILINEAR, expand=True)
    ink = np.asarray(page.filter(ImageFilter.GaussianBlur(2)), np.float32) / 255
    y, x = np.meshgrid(np.linspace(-1, 1, ink.shape[0]), np.linspace(-1, 1, ink.shape[1]), indexing="ij")
    tilt, bend = draw.uniform(-45, 45, 2), draw.uniform(0, 30)
    light = 180 + tilt[0] * x + tilt[1] * y - bend * (x * x + y * y)
    light = light * (1 - draw.uniform(0.5, 0.8) * ink) + draw.normal(0, 4, ink.shape)
    for _ in range(5):
        top, left = draw.integers(ink.shape[0] - 4), draw.integers(ink.shape[1] - 4)
        light[top : top + 4, left : left + 4] -= 90
    return Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))


def thin(picture: np.ndarray, draw: Random) -> Image.Image:
    """A fine pen: strokes at about two fifths of their width."""
    large = Image.fromarray(picture).resize((picture.shape[1] * 10, picture.shape[0] * 10), Image.Resampling.BICUBIC)
    middle = large.filter(ImageFilter.MinFilter(9)).filter(ImageFilter.MinFilter(7))
    return Image.eval(middle, lambda v: 255 - v)


def cropped(picture: np.ndarray, draw: Random) -> Image.Image:
    """Cut out along the ink."""
    large = enlarged(picture, draw, 3, 8)
    return large.crop(large.point(lambda v: 255 * (v > 40)).getbbox())


def inverted(page: Image.Image) -> Image.Image:
    return Image.eval(page, lambda v: 255 - v)


KINDS: dict[str, tuple[str, Callable[[np.ndarray, Random], Image.Image]]] = {
    "as it is": ("PNG", lambda p, d: Image.fromarray(p)),
    "dark on light": ("PNG", lambda p, d: Image.fromarray(255 - p)),
    "2 to 10 times as large, off centre": ("PNG", enlarged),
    "the same, dark on light, JPEG": ("JPEG", lambda p, d: inverted(enlarged(p, d))),
    "each digit of another size": ("PNG", pair_of_sizes),
    "in colours": ("PNG", coloured),
    "on transparent ground": ("PNG", transparent),
    "photographed": ("JPEG", photographed),
    "a fine pen": ("PNG", thin),
    "cut out along the ink": ("PNG", cropped),
}


def plainly(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("L").resize(shape[::-1], Image.Resampling.BILINEAR))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="mnist or mnist100, as exported")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--root", help="where the data lie")
    options = parser.parse_args()
    classifier = Classifier(options.model, threads=1)
    _, x, y = evaluation_sets(classifier.metadata["task"], options.root)["test"]
    some = np.random.default_rng(0).permutation(len(y))[: options.samples]
    pictures, labels = x[some, 0].numpy(), y[some].numpy()
    print(machine())
    print(f"{'test pictures, ' + str(len(labels)):36}{'prepared':>9}{'plainly':>9}")
    print(f"{'arrays':36}{100 * np.mean(classifier.predict(pictures).labels == labels):8.2f}%")
    for name, (kind, change) in KINDS.items():
        draw = np.random.default_rng(0)
        ours, plain = [], []
        for picture in pictures:
            file = io.BytesIO()
            change(picture, draw).save(file, kind, quality=75)
            ours.append(prepare_picture(file, classifier.shape)[0])
            plain.append(plainly(file.getvalue(), classifier.shape))
        right = [100 * np.mean(classifier.predict(np.stack(given)).labels == labels) for given in (ours, plain)]
        print(f"{name:36}{right[0]:8.2f}%{right[1]:8.2f}%", flush=True)


if __name__ == "__main__":
    main()
