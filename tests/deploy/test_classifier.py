"""A classifier's file and card: the contract of inputs and outputs, and what they say about it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lightconv.deploy import ExportError, VerificationError, export_onnx


def signature(values) -> list[tuple]:
    return [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in values
    ]


def test_inputs_and_outputs(signal_model: Path, image_model: Path) -> None:
    kinds = onnx.TensorProto
    outputs = [("probabilities", kinds.FLOAT, ["batch", 4]), ("label", kinds.INT64, ["batch"])]
    graph = onnx.load(signal_model).graph
    assert signature(graph.input) == [("signal", kinds.FLOAT, ["batch", 40])]
    assert signature(graph.output) == outputs
    graph = onnx.load(image_model).graph
    assert signature(graph.input) == [("image", kinds.UINT8, ["batch", 28, 28])]
    assert signature(graph.output) == outputs


@pytest.mark.parametrize("kind", ["signal", "image"])
def test_any_batch_gives_the_classifiers_probabilities(kind: str, request: pytest.FixtureRequest) -> None:
    classifier, path = request.getfixturevalue(f"{kind}_classifier"), request.getfixturevalue(f"{kind}_model")
    session = onnxruntime.InferenceSession(path)
    for batch in (1, 2, 33):
        raw = torch.randint(256, (batch, 28, 28), dtype=torch.uint8) if kind == "image" else torch.randn(batch, 40)
        probabilities, label = session.run(None, {kind: raw.numpy()})
        with torch.no_grad():
            expected = classifier(classifier.preprocess(raw)).softmax(1).numpy()
        np.testing.assert_allclose(probabilities, expected, atol=1e-5, rtol=0)
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
        np.testing.assert_array_equal(label, probabilities.argmax(1))


def test_the_file_says_what_it_is(signal_model: Path, signal_classifier) -> None:
    said = {entry.key: entry.value for entry in onnx.load(signal_model).metadata_props}
    assert json.loads(said["class_names"]) == ["zero", "one", "two", "three"]
    assert said["network"] == "tiny"
    assert said["task"] == "standin"
    assert int(said["parameters"]) == sum(p.numel() for p in signal_classifier.parameters())
    assert json.loads(said["scores"]) == {"test": {"samples": 1000, "accuracy": 0.991}}
    assert json.loads(said["recipe"]) == {"learning_rate": 0.1}
    assert json.loads(said["provenance"]) == {"epochs": 3}


def test_the_card_agrees_with_the_file(signal_model: Path) -> None:
    content = signal_model.read_bytes()
    card = json.loads(signal_model.with_suffix(".json").read_text())
    said = {entry.key: entry.value for entry in onnx.load(signal_model).metadata_props}
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["bytes"] == len(content)
    assert card["opset"] == 20
    assert card["nodes"]["Conv"] == 1
    assert card["inputs"] == [{"name": "signal", "dtype": "float32", "shape": ["batch", 40]}]
    assert [output["name"] for output in card["outputs"]] == ["probabilities", "label"]
    for key, value in said.items():
        assert card[key] == (value if isinstance(card[key], str) else json.loads(value))


def test_equal_classifiers_give_equal_bytes(signal_classifier, signal_model: Path, tmp_path: Path) -> None:
    export_onnx(signal_classifier, tmp_path / "again.onnx", scores={"test": {"accuracy": 0.991, "samples": 1000}})
    assert (tmp_path / "again.onnx").read_bytes() == signal_model.read_bytes()


def test_given_samples_are_compared_too(signal_classifier, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(ExportError, match=r"\(N, 40\), but got \(3, 41\)"):
        export_onnx(signal_classifier, path, samples=np.zeros((3, 41)))
    calls = []

    def watch(module, args, output) -> None:
        if not torch.compiler.is_compiling():
            calls.append(len(args[0]))

    hook = signal_classifier.net.register_forward_hook(watch)
    try:
        export_onnx(signal_classifier, path, samples=np.zeros((11, 1, 40)))
    finally:
        hook.remove()
    assert 11 in calls


def test_a_failed_export_leaves_the_old_pair(signal_classifier, tmp_path: Path) -> None:
    class Wrong(type(signal_classifier)):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = super().forward(x)
            return logits if torch.compiler.is_compiling() else logits + torch.arange(4) * 1e-4

    (tmp_path / "net.onnx").write_text("old")
    (tmp_path / "net.json").write_text("old")
    with pytest.raises(VerificationError, match="within 1e-05, but output `probabilities`"):
        export_onnx(Wrong("signal", (40,)), tmp_path / "net.onnx")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"net.onnx": "old", "net.json": "old"}


def test_places_that_cannot_be_written(signal_classifier, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"name of an \.onnx file"):
        export_onnx(signal_classifier, tmp_path / "net.bin")
    with pytest.raises(ExportError, match="create it first"):
        export_onnx(signal_classifier, tmp_path / "nowhere" / "net.onnx")
    (tmp_path / "net.json").mkdir()
    with pytest.raises(ExportError, match="is a folder"):
        export_onnx(signal_classifier, tmp_path / "net.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["net.json"]
