"""Files made to do harm: run code, take memory or time out of proportion, write to the terminal."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

from lightconv.cli import main
from lightconv.data.frozen import read_frozen
from lightconv.demo.answers import Answers
from lightconv.deploy.benchmark import benchmark
from lightconv.deploy.quantize import own_data, quantize
from lightconv.deploy.runtime import LINE, Classifier, InputError, shipped_models
from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier, load
from lightconv.training.configs import read_yaml

DEEP = "[" * 100_000


# --- checkpoints


def packed(path: Path, pickled: bytes) -> Path:
    """A checkpoint of this pickle, compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"}.items():
            file.writestr(f"x/{name}", content)
    return path


def saved(path: Path, **changes: object) -> Path:
    content = {"provenance": {"task": "mnist1d"}, "hyper_parameters": {"network": "tiny"}}
    torch.save({**content, "state_dict": MNIST1DClassifier("tiny").state_dict(), **changes}, path)
    return path


def test_a_checkpoint_that_unpacks_to_much_more_than_it_is(tmp_path: Path):
    text = b"\x80\x02X" + struct.pack("<I", 4 << 20) + bytes(4 << 20) + b"."
    with pytest.raises(UsageError, match="cannot be read"):
        load(packed(tmp_path / "x.ckpt", text))


def test_a_checkpoint_that_asks_for_a_large_object(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read"):
        load(packed(tmp_path / "x.ckpt", b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"hyper_parameters": {"network": "tiny", "network_options": {"channels": 10_000_000}}},
            "numbers, and its network has",
        ),
        ({"state_dict": {"weight": torch.zeros(1).expand(1 << 40)}}, "numbers, and its network has"),
        ({"hyper_parameters": {"network": ["tiny"]}}, "holds other parameters"),
        ({"hyper_parameters": {1: "tiny"}}, "comes from something else"),
        ({"provenance": {"task": ["mnist1d"]}}, "comes from something else"),
        ({"provenance": {"task": "mnist1d", "data": 5}}, "comes from something else"),
    ],
)
def test_a_checkpoint_that_does_not_hold_what_it_names(changes: dict, words: str, tmp_path: Path):
    with pytest.raises(UsageError, match=words):
        load(saved(tmp_path / "x.ckpt", **changes))
    assert load(saved(tmp_path / "x.ckpt")).hparams["network"] == "tiny"


# --- other files of data and settings


def test_a_pickle_with_a_frame_within_a_frame(tmp_path: Path):
    # Read one by one, these are an object of 78 bytes; the unpickler went on within it, to make room for 2^31 objects.
    hidden = b"r\xff\xff\xff\x7f" + b"N" * 73
    path = tmp_path / "frames.pkl"
    path.write_bytes(b"\x80\x04\x95" + struct.pack("<Q", 10) + b"\x95" + struct.pack("<Q", 79) + b"CN" + hidden + b".")
    assert read_frozen(path) == hidden


def test_a_pickle_of_lists_that_hold_each_other_twice(tmp_path: Path):
    """2 to the 60 empty lists in 400 bytes."""
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x02]q\x00" + b"".join(b"0(h%ch%clq%c" % (i, i, i + 1) for i in range(60)) + b".")
    assert len(read_frozen(path)) == 2


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a]", "a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60))],
    ids=["within itself", "2 to the 60 values"],
)
def test_a_configuration_that_stands_for_more_than_it_says(text: str, tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"at most 10,000 values"):
        read_yaml(path)


@pytest.mark.parametrize(("text", "words"), [("1," * LINE, "has no end"), ("1\n" * 100_000, "has 41 or more")])
def test_a_signal_without_end(text: str, words: str, tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        Classifier("mnist1d", threads=1).predict(path)


def header(size: int) -> dict:
    return {"descr": "<i8", "fortran_order": False, "shape": (size,)}


@pytest.mark.parametrize(
    "write",
    [
        lambda file: np.lib.format.write_array_header_1_0(file, header(1 << 50)),
        lambda file: np.savez(file, a=1),
        lambda file: file.write(b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65_535),
    ],
    ids=["8 PB", "several", "deep"],
)
def test_labels(write: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, save in (("x.npy", lambda file: np.save(file, np.zeros((4, 40)))), ("y.npy", write)):
        with (tmp_path / name).open("wb") as file:
            save(file)
    x, y = (str(tmp_path / name) for name in ("x.npy", "y.npy"))
    assert main(["quantize", "mnist1d", "--output", str(tmp_path / "q.onnx"), "--data", x, "--labels", y]) == 2
    assert "cannot be read as one" in capsys.readouterr().err


@pytest.mark.skipif("mnist" not in shipped_models(), reason="needs the MNIST model")
def test_a_picture_that_is_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Pillow hands EPS to Ghostscript, whatever the file is called."""
    from PIL import EpsImagePlugin

    ran = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **b: ran.append(a) or Image.new("L", (28, 28)).im)
    path = tmp_path / "x.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n")
    with pytest.raises(InputError, match="readable file"):
        Classifier("mnist", threads=1).predict(path)
    assert not ran


# --- models


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Writes the MNIST-1D model with other metadata."""

    def write(**metadata: str) -> Path:
        proto = onnx.load(shipped_models()["mnist1d"])
        known = {entry.key: entry.value for entry in proto.metadata_props} | metadata
        del proto.metadata_props[:]
        for key, value in known.items():
            proto.metadata_props.add(key=key, value=value)
        onnx.save(proto, tmp_path / "x.onnx")
        return tmp_path / "x.onnx"

    return write


def test_class_names_without_end(model: Callable[..., Path]):
    with pytest.raises(InputError, match="to name its 10 classes"):
        Classifier(model(class_names=DEEP))


def test_metadata_that_are_no_text(tmp_path: Path):
    (tmp_path / "x.onnx").write_bytes(shipped_models()["mnist1d"].read_bytes().replace(b"mnist1d", b"\xffnist1d"))
    with pytest.raises(InputError, match="to be an ONNX model"):
        Classifier(tmp_path / "x.onnx")


def test_class_names_that_a_terminal_would_obey(
    model: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    np.save(tmp_path / "x\x1b[2J.npy", np.zeros(40, np.float32))
    path = model(class_names=json.dumps(["\x1b]0;gotcha\x07"] * 10))
    assert main(["classify", str(path), str(tmp_path / "x\x1b[2J.npy")]) == 0
    assert main(["classify", str(path), str(tmp_path / "\x1b[2J.npy")]) == 2
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said
    assert "\\x1b]0;gotcha\\x07" in said


@pytest.mark.parametrize("text", [DEEP, "{", "[1]", '{"data": [1]}', '{"data": {"name": "MNISTData"}}',
                                  '{"data": {"name": "BatchLoader", "variant": 1}}'])  # fmt: skip
def test_a_history_that_is_none(text: str, model: Callable[..., Path]):
    with pytest.raises(InputError, match="to name the data"):
        own_data(model(provenance=text))


def test_metadata_of_any_kind_do_no_harm_to_a_smaller_model(model: Callable[..., Path], tmp_path: Path):
    path = model(scores=DEEP, recipe="{", quantization="1")
    quantize(path, tmp_path / "q.onnx", np.random.default_rng(0).normal(size=(8, 40)), precision="float16")
    assert Classifier(tmp_path / "q.onnx").metadata["scores"] == json.dumps(DEEP)


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        (DEEP, 3),
        ("[1]", 3),
        ('{"network_options": {"channels": 10000000}}', 1),
        ('{"network_options": {"colour": 1}}', 1),
    ],
)
def test_a_recipe_that_is_none(text: str, ways: int, model: Callable[..., Path]):
    assert len(benchmark(model(recipe=text), (1,), rounds=1).milliseconds) == ways


def test_the_drawing_page_takes_any_metadata(model: Callable[..., Path]):
    card = Answers([str(model(scores=DEEP, provenance='{"a": NaN}'))]).models()["signal"]
    assert card["scores"] is None
    assert card["provenance"] == {"a": None}


def small_model(path: Path, nodes: list, names: str | None, classes: str | int = "K") -> Path:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [*nodes, helper.make_node("ArgMax", ["signal"], ["label"], axis=1, keepdims=0)],
        "graph",
        [value("signal", TensorProto.FLOAT, ["N", 4])],
        [
            value("probabilities", TensorProto.FLOAT, ["N", classes]),
            value("label", TensorProto.INT64, ["N"]),
        ],
        [
            helper.make_tensor("size", TensorProto.INT64, [1], [1 << 50]),
            helper.make_tensor("all", TensorProto.BOOL, [4], [1] * 4),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    proto.ir_version = 10
    if names is not None:
        proto.metadata_props.add(key="class_names", value=json.dumps([*names]))
    onnx.save(proto, path)
    return path


ALL = helper.make_node("Compress", ["signal", "all"], ["probabilities"], axis=1)


def test_classes_without_end(tmp_path: Path):
    path = small_model(tmp_path / "many.onnx", [ALL], None, 10**12)
    with pytest.raises(InputError, match="name its 1000000000000 classes"):
        Classifier(path)


@pytest.mark.parametrize(
    ("nodes", "names", "words"),
    [
        (
            [ALL],
            "ab",
            "to give 1 x 2 .*, but it gives 1 x 4",
        ),
        (
            [
                helper.make_node("ConstantOfShape", ["size"], ["many"]),
                helper.make_node("ReduceSum", ["many"], ["sum"]),
                helper.make_node("Add", ["signal", "sum"], ["probabilities"]),
            ],
            "abcd",
            "onnxruntime fails",
        ),
    ],
    ids=["more probabilities than names", "a petabyte"],
)
def test_a_model_that_does_not_do_what_it_says(nodes: list, names: str, words: str, tmp_path: Path):
    classifier = Classifier(small_model(tmp_path / "x.onnx", nodes, names), threads=1)
    with pytest.raises(InputError, match=words):
        classifier.predict(np.zeros(4, np.float32))


def test_the_error_of_another_program_is_printed_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["classify", str(tmp_path / "\x1b[31mred.onnx"), "x"]) == 2
    assert "\\x1b[31mred" in capsys.readouterr().err
