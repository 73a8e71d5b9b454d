"""Labels as spreadsheets and editors write them."""

from pathlib import Path

import numpy as np
import pytest

from lightconv.deploy.labels import read_labels
from lightconv.deploy.quantize import quantize
from lightconv.deploy.runtime import InputError
from lightconv.errors import UsageError


@pytest.mark.parametrize(
    "content",
    [b"7\n2\n1\n", b"\xef\xbb\xbf7\r\n2\r\n1", b"label\n7\n2\n1\n", b"# of Monday\n\n7 # sure\n2\n1\n", b"7 2 1\n"],
    ids=["plain", "mark and CRLF", "heading", "comments", "one line"],
)
def test_texts(content: bytes, tmp_path: Path):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    assert read_labels(path).tolist() == [7, 2, 1]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"seven\neight\n", "line 2 of .*labels.txt reads 'eight'"),
        (b"1\n2.0\n", "line 2 of .*labels.txt reads '2.0'"),
        (b"file;label\na.png;7\n", "line 2 of .* reads 'a.png;7'"),
        (b"file label\n", "line 1 of .* reads 'file label'"),
        (b"\xff\xfe7\0", "it is not UTF-8"),
        (b"9" * 5000, "cannot be read as one"),
        (None, "no such file or directory"),
    ],
)
def test_what_is_wrong_is_said(content: bytes | None, complaint: str, tmp_path: Path):
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        read_labels(path)


def test_an_empty_text_has_no_labels(tmp_path: Path):
    (tmp_path / "labels.txt").touch()
    assert read_labels(tmp_path / "labels.txt").tolist() == []


@pytest.mark.parametrize("wrong", [-1, 10])
def test_labels_are_classes_of_the_model(wrong: int, tmp_path: Path):
    labels = np.array([wrong, 0, 0, 0])  # in the half that is not measured
    with pytest.raises(InputError, match=f"from 0 to 9.* got {wrong}"):
        quantize("mnist1d", tmp_path / "small.onnx", np.zeros((4, 40)), labels)
