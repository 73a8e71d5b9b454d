"""One run on two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
TWO = ["--trainer.strategy", "ddp", "--trainer.devices", "2"]


def lightconv(folder: Path, data: Path, *arguments: str) -> str:
    name, *options = arguments
    command = [sys.executable, ROOT / "cli.py", name, "--config", "mnist1d", "--model.network", "tiny"]
    options += ["--trainer.accelerator", "cpu", "--threads", "1", "--run_dir", "run"]
    environment = {**os.environ, "LIGHTCONV_DATA": str(data), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "nor do Lightning's processes greet each other"
    return done.stdout


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this build of PyTorch has no processes")
def test_two_processes_train_and_test_as_one(root: Path, tmp_path: Path):
    said = lightconv(tmp_path, root, "fit", *TWO, "--data.batch_size", "50", "--trainer.max_epochs", "6")
    assert said.count("MNIST1DClassifier, network tiny") == 1, "one process speaks"
    saved = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 6 * 36, "as many steps as one process takes with batches of 100"

    lightconv(tmp_path, root, "test", *TWO)
    by_two = (tmp_path / "run" / "test.json").read_text()
    lightconv(tmp_path, root, "test")
    by_one = (tmp_path / "run" / "test.json").read_text()
    one, two = json.loads(by_one), json.loads(by_two)
    assert two.pop("loss") == pytest.approx(one.pop("loss"), rel=1e-5)
    assert two == one, "every sample counted once"
    assert one["samples"] == 1000
    assert one["accuracy"] > 0.85
