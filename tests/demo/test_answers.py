"""What the page is told: the file's own answer, or one sentence."""

import base64
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from demo.hand import drawn, request
from lightconv.demo.answers import Answers
from lightconv.demo.strokes import picture
from lightconv.deploy.runtime import Classifier, InputError, shipped_models
from lightconv.errors import UsageError


@pytest.mark.parametrize(("number", "kind", "model"), [("7", "one", "mnist"), ("42", "two", "mnist100")])
def test_a_drawing_is_read_by_the_file_itself(answers: Answers, number: str, kind: str, model: str):
    strokes = drawn(number)
    answer = answers.drawing(request(strokes))
    seen = picture([stroke.round(4) for stroke in strokes], len(number))
    expected = Classifier(model).predict(seen, top_k=len(Classifier(model).class_names))
    assert answer["kind"] == kind
    assert answer["label"] == expected.labels[0, 0]
    assert answer["name"] == number
    by_label = np.empty_like(expected.probabilities[0])
    by_label[expected.labels[0]] = expected.probabilities[0]
    np.testing.assert_allclose(answer["probabilities"], by_label, atol=1e-5)
    shown = np.frombuffer(base64.b64decode(answer["picture"]["data"]), np.uint8).reshape(seen.shape)
    np.testing.assert_array_equal(shown, seen)


def test_a_signal_is_read_by_the_file_itself(answers: Answers):
    signal = np.random.default_rng(0).normal(size=40).round(3)
    answer = answers.signal({"signal": signal.tolist()})
    expected = Classifier("mnist1d").predict(signal)
    assert answer["label"] == expected.labels[0]
    assert max(answer["probabilities"]) == pytest.approx(expected.probabilities[0], abs=1e-5)
    assert answer["picture"] is None


def share_right(answers: Answers, numbers: list[tuple[str, int]], digits: int = 0) -> float:
    return float(np.mean([answers.drawing(request(drawn(n, k), digits))["name"] == n for n, k in numbers]))


def test_drawn_digits_are_read(answers: Answers):
    assert share_right(answers, [(str(d), k) for d in range(10) for k in range(10)]) >= 0.95


def test_drawn_numbers_are_read(answers: Answers):
    assert share_right(answers, [(f"{n:02}", n // 10) for n in range(100)]) >= 0.95


@pytest.mark.long
def test_the_digits_of_mnist_are_read(answers: Answers):
    """A thousand test digits as strokes; some two in a hundred lose what tells them apart by becoming lines."""
    from demo.skeletons import mnist_test_set, strokes_of

    try:
        pictures, labels = mnist_test_set()
    except UsageError as error:
        pytest.skip(f"needs MNIST's files: {error}")
    right = [
        answers.drawing(request(strokes_of(x), 1))["name"] == str(y)
        for x, y in zip(pictures[:1000], labels[:1000], strict=True)
    ]
    assert np.mean(right) >= 0.97


def test_maps_are_bytes_of_known_range(answers: Answers):
    answer = answers.drawing(request(drawn("5")))
    for array in answer["maps"]:
        data = base64.b64decode(array["data"])
        assert len(data) == np.prod(array["shape"])
        assert max(data) == 255
        assert array["smallest"] <= 0 < array["largest"]


def test_nothing_drawn_is_no_number(answers: Answers):
    assert answers.drawing({"strokes": [], "digits": 0}) == {"kind": "one", "blank": True}
    assert answers.drawing({"strokes": [[[1, 0.5]]], "digits": 2}) == {"kind": "two", "blank": True}


POINTS = [[0.5, 0.1], [0.5, 0.9]]


@pytest.mark.parametrize(
    "question",
    [
        None,
        [],
        {},
        {"strokes": [POINTS]},
        {"strokes": [POINTS], "digits": 0, "more": 1},
        {"strokes": [POINTS], "digits": 3},
        {"strokes": [POINTS], "digits": True},
        {"strokes": [POINTS], "digits": []},
        {"strokes": "no", "digits": 0},
        {"strokes": [[]], "digits": 0},
        {"strokes": [[[0.5]]], "digits": 0},
        {"strokes": [[[0.5, "x"]]], "digits": 0},
        {"strokes": [[[0.5, True]]], "digits": 0},
        {"strokes": [[[0.5, float("nan")]]], "digits": 0},
        {"strokes": [[[0.5, 10**400]]], "digits": 0},
        {"strokes": [[[0.5, 1e9]]], "digits": 0},
        {"strokes": [POINTS] * 201, "digits": 0},
        {"strokes": [POINTS * 5001], "digits": 0},
    ],
)
def test_a_wrong_drawing_is_one_sentence(answers: Answers, question: object):
    with pytest.raises(UsageError, match=r"^Expected .*\.$"):
        answers.drawing(question)


@pytest.mark.parametrize(
    "signal", [None, [], [0] * 39, [0] * 41, ["0"] * 40, [float("inf")] * 40, [1e300] * 40, [[0]] * 40]
)
def test_a_wrong_signal_is_one_sentence(answers: Answers, signal: object):
    with pytest.raises(UsageError, match=r"^Expected .*\.$"):
        answers.signal({"signal": signal})


def test_what_is_known_of_the_models(answers: Answers):
    models = answers.models()
    assert set(models) == {"one", "two", "signal"}
    path = shipped_models()["mnist1d"]
    assert models["signal"]["bytes"] == path.stat().st_size
    assert models["signal"]["parameters"] == "12130"
    assert models["signal"]["scores"]["test"]["accuracy"] > 0.98


def test_one_model_is_enough():
    answers = Answers(["mnist1d"])
    assert set(answers.models()) == {"signal"}
    with pytest.raises(UsageError, match="Expected a model of pictures of one digit"):
        answers.drawing({"strokes": [POINTS], "digits": 0})


@pytest.mark.parametrize(("there", "kind"), [("mnist", "one"), ("mnist100", "two")])
def test_with_one_model_of_pictures_all_drawings_are_its(there: str, kind: str):
    answers = Answers([there])
    assert answers.drawing(request(drawn("3")))["kind"] == kind
    assert answers.drawing(request(drawn("35")))["kind"] == kind


def test_two_models_of_a_kind_are_refused():
    with pytest.raises(UsageError, match="one model of each kind"):
        Answers(["mnist1d", str(shipped_models()["mnist1d"])])


def test_a_missing_model_is_refused():
    with pytest.raises(InputError, match="there is none named nowhere"):
        Answers(["nowhere"])


def test_a_model_of_something_else_is_refused(tmp_path: Path):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Softmax", ["signal"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ],
        "g",
        [value("signal", TensorProto.FLOAT, ["batch", 12])],
        [value("probabilities", TensorProto.FLOAT, ["batch", 12]), value("label", TensorProto.INT64, ["batch"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "twelve.onnx")
    with pytest.raises(UsageError, match=r"takes 12\.$"):
        Answers([str(tmp_path / "twelve.onnx")])
