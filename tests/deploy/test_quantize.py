"""Smaller models, measured before they replace anything."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from lightconv.deploy import ExportError, InputError, VerificationError
from lightconv.deploy.quantize import own_data, quantize
from lightconv.deploy.runtime import Classifier


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(200, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def labels(image_model: Path, pictures: np.ndarray) -> np.ndarray:
    return Classifier(image_model).predict(pictures).labels


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_a_smaller_model_says_what_was_measured(precision, image_model, pictures, labels, tmp_path: Path) -> None:
    path, said = tmp_path / "small.onnx", []
    options = {"precision": precision, "every_layer": True, "max_drop": 0.1, "progress": said.append}
    report = quantize(image_model, path, pictures, labels, **options)
    assert path.stat().st_size == report.size < 0.75 * report.size_before
    assert report.accuracy_before == 1
    small = Classifier(path)
    after = small.predict(pictures[100:]).labels
    assert report.accuracy == report.agreement == np.mean(after == labels[100:]) >= 0.9
    facts = json.loads(small.metadata["quantization"])
    assert facts["precision"] == precision
    assert facts["samples"] == 100
    assert facts["accuracy"] == report.accuracy
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["quantization"] == facts
    assert card["bytes"] == report.size
    assert small.class_names == Classifier(image_model).class_names
    layers = [node.name for node in onnx.load(image_model).graph.node if node.op_type in ("Conv", "Gemm")]
    assert list(report.layers) == layers
    assert all(report.layers.values())
    assert said == []
    assert f"{precision:9} {sum(report.layers.values())} of {len(layers)} layers" in str(report)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert str(tmp_path).encode() not in path.read_bytes()


def test_float16_is_half_as_large_and_repeatable(image_model, pictures, tmp_path: Path) -> None:
    for name in "ab":
        quantize(image_model, tmp_path / f"{name}.onnx", pictures, precision="float16")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    weights = {tensor.data_type for tensor in onnx.load(tmp_path / "a.onnx").graph.initializer if len(tensor.dims) > 1}
    assert weights == {onnx.TensorProto.FLOAT16}


def test_layers_that_are_slower_in_int8_stay_in_float32(image_model, pictures, tmp_path: Path, monkeypatch) -> None:
    """With time replaced by a rule: the first layer is faster in float32, the last one is not."""
    from lightconv.deploy import quantize as module

    def ratio(session, other, sample, rounds=31) -> float:
        asked.append(session)
        return 0.5 if len(asked) == 1 else 1.5

    asked: list = []
    said: list[str] = []
    monkeypatch.setattr(module, "_latency_ratio", ratio)
    report = quantize(image_model, tmp_path / "small.onnx", pictures, max_drop=0.2, progress=said.append)
    assert list(report.layers.values()) == [False, True]
    assert [text.split(", ")[-1] for text in said] == ["kept so", "quantised"]
    weights = {t.name: t.data_type for t in onnx.load(tmp_path / "small.onnx").graph.initializer if len(t.dims) > 1}
    assert sorted(weights.values()) == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT8]


def test_no_layer_is_worth_it(image_model, pictures, tmp_path: Path, monkeypatch) -> None:
    from lightconv.deploy import quantize as module

    monkeypatch.setattr(module, "_latency_ratio", lambda *_: 0.5)
    with pytest.raises(VerificationError, match="all 2 are faster in float32"):
        quantize(image_model, tmp_path / "small.onnx", pictures)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("with_labels", [False, True])
def test_too_much_lost_leaves_the_old_file(with_labels, image_model, pictures, labels, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_text("old")
    with pytest.raises(VerificationError, match="or use float16"):
        quantize(image_model, path, pictures, labels if with_labels else None, precision="float16", max_drop=-0.1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["small.onnx"]
    assert path.read_text() == "old"


def test_calibration_on_other_samples(image_model, pictures, labels, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    options = {"precision": "int8", "every_layer": True, "max_drop": 0.1}
    report = quantize(image_model, path, pictures, labels, calibration=pictures[::4], **options)
    after = Classifier(path).predict(pictures).labels
    assert report.accuracy == np.mean(after == labels)
    assert json.loads(Classifier(path).metadata["quantization"])["samples"] == len(pictures)
    with pytest.raises(InputError, match="at least 1 sample to calibrate"):
        quantize(image_model, path, pictures, calibration=[], **options)


def test_the_data_that_a_model_was_trained_on(image_model, tmp_path: Path) -> None:
    training, test, labels = own_data("mnist1d", tmp_path)
    assert training.shape == (3600, 1, 40)
    assert test.shape == (1000, 1, 40)
    card = json.loads(Classifier("mnist1d").path.with_suffix(".json").read_text())
    assert np.mean(Classifier("mnist1d").predict(test).labels == labels) == card["scores"]["test"]["accuracy"]
    with pytest.raises(InputError, match="to name the data"):
        own_data(image_model)


def test_what_cannot_be_used(image_model, pictures, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    with pytest.raises(InputError, match="at least 2 samples"):
        quantize(image_model, path, pictures[:1])
    with pytest.raises(InputError, match="one of int8, float16"):
        quantize(image_model, path, pictures, precision="int4")
    with pytest.raises(InputError, match="200 whole numbers"):
        quantize(image_model, path, pictures, np.zeros(3, int))
    with pytest.raises(InputError, match="there is none named nonsense"):
        quantize("nonsense", path, pictures)
    with pytest.raises(ExportError, match=r"name of an \.onnx file"):
        quantize(image_model, tmp_path / "small", pictures)
    quantize(image_model, path, pictures, precision="float16")
    with pytest.raises(InputError, match="is float16 already"):
        quantize(path, tmp_path / "smaller.onnx", pictures)
