"""The model file runs without this package: five lines of plain onnxruntime, in Python and in JavaScript."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lightconv.deploy.runtime import Classifier

PYTHON = """
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("mnist1d.onnx")
signals = np.load("signals.npy").astype(np.float32)
probabilities, label = session.run(None, {"signal": signals})
"""

JAVASCRIPT = """
import * as ort from "onnxruntime-web";

const session = await ort.InferenceSession.create("mnist1d.onnx");
const signal = new ort.Tensor("float32", Float32Array.from(numbers), [1, 40]);
const { probabilities, label } = await session.run({ signal });
"""


@pytest.fixture
def folder(signal_model: Path, tmp_path: Path) -> Path:
    shutil.copy(signal_model, tmp_path / "mnist1d.onnx")
    np.save(tmp_path / "signals.npy", np.random.default_rng(2).normal(size=(4, 40)))
    return tmp_path


def test_python(folder: Path) -> None:
    before = "import sys; sys.modules.update(torch=None, lightconv=None)"
    after = "import json; print(json.dumps([label.tolist(), probabilities.tolist()]))"
    program = "\n".join([before, PYTHON, after])
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    label, probabilities = json.loads(done.stdout)
    expected = Classifier(folder / "mnist1d.onnx").predict(folder / "signals.npy", top_k=4)
    assert label == expected.labels[:, 0].tolist()
    np.testing.assert_allclose(np.max(probabilities, axis=1), expected.probabilities[:, 0], atol=1e-6)


def packages() -> Path | None:
    """A node_modules folder that holds onnxruntime-web: of the checkout, or named by NODE_PATH."""
    folders = [
        Path(__file__).parents[2] / "node_modules",
        *map(Path, os.environ.get("NODE_PATH", "").split(os.pathsep)),
    ]
    return next((folder for folder in folders if (folder / "onnxruntime-web").is_dir()), None)


def test_javascript(folder: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node")
    found = packages()
    if found is None:
        pytest.skip("needs onnxruntime-web: npm install onnxruntime-web")
    (folder / "node_modules").symlink_to(found)
    signals = np.load(folder / "signals.npy").astype(np.float32)
    numbers = f"const numbers = {json.dumps(signals[0].tolist())};"
    after = "console.log(JSON.stringify([Number(label.data[0]), Array.from(probabilities.data)]));"
    (folder / "run.mjs").write_text("\n".join([JAVASCRIPT.replace("\n\n", f"\n{numbers}\n", 1), after]))
    done = subprocess.run(["node", "run.mjs"], cwd=folder, capture_output=True, text=True, check=True)
    label, probabilities = json.loads(done.stdout)
    expected = Classifier(folder / "mnist1d.onnx").predict(signals[0])
    assert label == expected.labels[0]
    assert max(probabilities) == pytest.approx(expected.probabilities[0], abs=1e-6)
