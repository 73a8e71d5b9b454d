"""The view inside a model shows what the file computes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lightconv.demo.inside import Inside
from lightconv.deploy.runtime import Classifier, shipped_models

MODELS = shipped_models()


@pytest.fixture(params=MODELS)
def path(request: pytest.FixtureRequest) -> Path:
    return MODELS[request.param]


def sample_for(path: Path) -> np.ndarray:
    classifier = Classifier(path)
    return np.random.default_rng(0).integers(0, 256, classifier.shape).astype(classifier.dtype)


def test_the_last_maps_lead_to_the_probabilities():
    path = MODELS["mnist1d"]
    sample = np.random.default_rng(1).normal(size=40).astype(np.float32)
    last = Inside(path).maps(sample)[-1]
    weights = {w.name: numpy_helper.to_array(w) for w in onnx.load(path).graph.initializer}
    (head,) = (name for name, array in weights.items() if array.ndim == 2)
    logits = weights[head] @ last.max(axis=1) + weights[head.replace("weight", "bias")]
    expected = np.exp(logits - logits.max())
    found = Classifier(path).predict(sample, top_k=10)
    np.testing.assert_allclose(np.sort(found.probabilities[0]), np.sort(expected / expected.sum()), atol=1e-5)


def test_there_are_maps_after_each_convolution(path: Path):
    inside, before = Inside(path), path.read_bytes()
    maps, nodes = inside.maps(sample_for(path)), inside.nodes()
    ends = [node for node in nodes if node["block"] is not None]
    assert len(maps) == len(ends) == sum(node["operator"] == "Conv" for node in nodes)
    assert [node["shape"] for node in ends] == [list(array.shape) for array in maps]
    assert all(array.dtype == np.float32 and np.isfinite(array).all() and array.any() for array in maps)
    assert path.read_bytes() == before


def test_the_first_maps_are_the_convolution_itself():
    path = MODELS["mnist1d"]
    signal = np.random.default_rng(2).normal(size=40).astype(np.float32)
    weights = {w.name: numpy_helper.to_array(w) for w in onnx.load(path).graph.initializer}
    first = next(node for node in onnx.load(path).graph.node if node.op_type == "Conv")
    kernel, bias = (weights[name] for name in first.input[1:])
    mean, deviation = (array for name, array in weights.items() if name.endswith(("input_mean", "input_std")))
    padded = np.pad((signal - mean) / deviation, kernel.shape[2] // 2)
    expected = np.stack([np.correlate(padded, k[0]) for k in kernel]) + bias[:, None]
    np.testing.assert_allclose(Inside(path).maps(signal)[0], np.maximum(expected, 0), atol=1e-4)


def test_the_list_of_nodes_is_the_graph(path: Path):
    graph, nodes = onnx.load(path).graph, Inside(path).nodes()
    assert [node["operator"] for node in nodes] == [node.op_type for node in graph.node]
    assert {node["gives"] for node in nodes} - {None} == {output.name for output in graph.output}
    made = {name: number for number, node in enumerate(graph.node) for name in node.output}
    made[graph.input[0].name] = -1
    for node, listed in zip(graph.node, nodes, strict=True):
        assert listed["reads"] == sorted({made[name] for name in node.input if name in made})
    assert [node["shape"] for node in nodes][-2:] == [[len(Classifier(path).class_names)], []]


def test_settings_are_readable():
    nodes = Inside(MODELS["mnist1d"]).nodes()
    assert next(node["settings"] for node in nodes if node["operator"] == "Conv") == "width 5, padding 2"


def test_branches_are_seen():
    adds = [node for node in Inside(MODELS["mnist1d"]).nodes() if node["operator"] == "Add"]
    assert adds
    assert all(len(node["reads"]) == 2 for node in adds)
