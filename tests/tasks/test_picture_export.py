from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lightconv.deploy import export_onnx
from lightconv.tasks import MNIST100Classifier, MNISTClassifier


@pytest.mark.parametrize(("kind", "name"), [(MNISTClassifier, "book"), (MNIST100Classifier, "light")])
def test_exported_classifiers_take_bytes_and_agree(kind: type, name: str, tmp_path: Path):
    torch.manual_seed(0)
    classifier = kind(network=name)
    classifier.input_mean.fill_(33.0)
    classifier.input_std.fill_(79.0)
    raw = torch.randint(256, (16, *kind.raw_shape), dtype=torch.uint8)
    with torch.no_grad():
        for _ in range(3):
            classifier(classifier.preprocess(raw))  # moves the running statistics
        classifier.eval()
        expected = classifier(classifier.preprocess(raw)).softmax(1).numpy()
    path = tmp_path / "some.onnx"
    export_onnx(classifier, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(uint8)", list(kind.raw_shape))
    probabilities, label = session.run(None, {"image": raw.numpy()})
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert (label == expected.argmax(1)).all()
    convolutions = sum(node.op_type == "Conv" for node in onnx.load(path).graph.node)
    assert convolutions == sum(isinstance(module, torch.nn.Conv2d) for module in classifier.modules())
