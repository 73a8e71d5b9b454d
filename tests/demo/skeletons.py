"""Pictures of digits back to strokes of a pen: thinning, then walking along what is left."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

ENLARGED = 4
AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]


def strokes_of(picture: np.ndarray) -> list[np.ndarray]:
    """uint8 (28, 28), white on black, to strokes (n, 2) of x, y in heights of the picture."""
    height, width = picture.shape
    large = Image.fromarray(picture).resize((width * ENLARGED, height * ENLARGED), Image.Resampling.BICUBIC)
    skeleton = thin(np.pad(np.asarray(large) > 100, 1))
    paths = walk({(int(row), int(column)) for row, column in np.argwhere(skeleton)})
    longest = max(map(len, paths), default=0)
    paths = [path for path in paths if len(path) > 2 * ENLARGED or len(path) == longest]
    return [smooth(np.array(path, float)[:, ::-1] - 0.5) / (height * ENLARGED) for path in paths]


def thin(mask: np.ndarray) -> np.ndarray:
    """Zhang and Suen's thinning (1984): peel the outline off, one side at a time, while nothing comes apart."""
    mask = mask.copy()
    while True:
        before = mask.sum()
        for corner in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            ring = np.stack([np.roll(mask, (-y, -x), (0, 1)) for y, x in AROUND])
            count = ring.sum(0)
            ends = (~ring & np.roll(ring, -1, 0)).sum(0)
            outline = (count >= 2) & (count <= 6) & (ends == 1)
            for side in corner:
                outline &= ~ring[list(side)].all(0)
            mask &= ~outline
        if mask.sum() == before:
            return mask


def walk(pixels: set[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Lines of neighbouring pixels: from an end, always as straight on as possible."""
    left = set(pixels)
    paths = []

    def near(pixel: tuple[int, int], among: set[tuple[int, int]]) -> list[tuple[int, int]]:
        return [q for y, x in AROUND if (q := (pixel[0] + y, pixel[1] + x)) in among]

    while left:
        start = min(left, key=lambda pixel: (min(len(near(pixel, left)), 2), pixel))
        left.discard(start)
        path = [*[p for p in near(start, pixels - left) if p != start][:1], start]
        while ahead := near(path[-1], left):
            back = path[max(0, len(path) - 6)]
            course = (path[-1][0] - back[0], path[-1][1] - back[1])

            def bend(q: tuple[int, int], course=course, here=path[-1]) -> float:
                step = (q[0] - here[0], q[1] - here[1])
                return -(step[0] * course[0] + step[1] * course[1]) / (step[0] ** 2 + step[1] ** 2) ** 0.5

            step = min(ahead, key=bend)
            for q in ahead:  # the other pixels of a thick corner are passed by
                if q != step and abs(q[0] - step[0]) + abs(q[1] - step[1]) == 1 and len(near(q, left)) <= 2:
                    left.discard(q)
            left.discard(step)
            path.append(step)
        path += [p for p in near(path[-1], pixels - left) if p not in path[-3:]][:1]
        paths.append(path)
    return paths


def smooth(path: np.ndarray, reach: int = 3) -> np.ndarray:
    """Average neighbours, ends fixed, and keep every fifth point."""
    padded = np.concatenate([np.repeat(path[:1], reach, 0), path, np.repeat(path[-1:], reach, 0)])
    window = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).mean(-1)
    window[0], window[-1] = path[0], path[-1]
    return np.concatenate([window[:-1:5], window[-1:]])


def mnist_test_set() -> tuple[np.ndarray, np.ndarray]:
    """The pictures (10000, 28, 28) and labels of $LIGHTCONV_DATA; DataError where they are not."""
    from lightconv.data import MNISTData

    data = MNISTData(source="local")
    data.prepare_data()
    pictures, labels = data.part("test")
    return pictures.numpy().reshape(-1, 28, 28), labels.numpy()


def main() -> None:
    """Write digits.json: the first ten test digits of each class, as strokes in thousandths of their height."""
    pictures, labels = mnist_test_set()
    lines = [
        f'"{digit}": '
        + json.dumps(
            [
                [(1000 * stroke).round().astype(int).tolist() for stroke in strokes_of(picture)]
                for picture in pictures[labels == digit][:10]
            ],
            separators=(",", ":"),
        )
        for digit in range(10)
    ]
    Path(__file__).with_name("digits.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
