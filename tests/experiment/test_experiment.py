"""A whole experiment: trained, killed, resumed, changed, reported."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

from lightconv.cli import main

Command = Callable[..., int]
ROOT = Path(__file__).parents[2]


def results(folder: str) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in Path(folder).glob("results/*.json")}


def figures(folder: str) -> dict[str, tuple]:
    """All that does not depend on the clock."""
    kept = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")
    return {
        name: (result["scores"], [{key: row[key] for key in kept if key in row} for row in result["epochs"]])
        for name, result in results(folder).items()
    }


def test_killed_and_resumed_it_gives_the_same_and_keeps_what_was_done(
    command: Command, capsys: pytest.CaptureFixture[str]
):
    begun = subprocess.Popen(
        [sys.executable, ROOT / "cli.py", "experiment", "--config", "small.yaml", "--run_dir", "killed"],
        stdout=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 240
    while not results("killed") and begun.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    begun.send_signal(signal.SIGKILL)
    assert begun.wait() == -signal.SIGKILL, "killed before it ended by itself"
    done = {path.name: path.stat().st_mtime_ns for path in Path("killed/results").glob("*.json")}
    assert 1 <= len(done) < 4

    assert command("--run_dir", "killed") == 0
    out = capsys.readouterr().out
    assert f"{len(done)} of 4 trainings are finished already" in out
    assert "4/4  book, seed 2: test " in out
    for name, written in done.items():
        assert (Path("killed/results") / name).stat().st_mtime_ns == written

    assert command("--run_dir", "whole") == 0
    assert figures("killed") == figures("whole")
    check_report(Path("whole"))
    check_that_fit_gives_the_same(results("whole")["signals-book-2"])
    check_that_a_change_is_noticed(command, capsys)


def check_report(folder: Path) -> None:
    html, markdown = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    rows = json.loads((folder / "rows.json").read_text())
    assert [(row["name"], row["seeds"], row["parameters"]) for row in rows] == [
        ("tiny", [1, 2], 1948),
        ("book", [1, 2], 2050),
    ]
    for text in (html, markdown):
        for said in ("Two networks", "Which is better?", "1,948", "multiply-adds", "onnxruntime µs", "people: 96 %"):
            assert said in text
        mean = 50 * sum(rows[0]["accuracy"])
        assert f"{mean:.2f} (" in text
        assert "lightconv fit --config mnist1d --model.network=tiny" in text
        assert "lightconv experiment --config small.yaml --run_dir whole" in text
    assert "Tiny &amp; book" in html
    assert "Tiny & book" in markdown

    pictures = {path.stem.removeprefix("signals-") for path in (folder / "pictures").iterdir()}
    assert pictures == {"accuracy", "parameters", "curves", "tiny-confusion", "tiny-mistakes"}
    assert re.findall(r"\]\((.*?)\)", markdown) == re.findall(r"pictures/[\w-]+\.png", markdown)
    for path in (folder / "pictures").iterdir():
        assert imread(path).std() > 0.01, "something is drawn"
    addresses = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')>\s]+)", html)
    assert len(addresses) == 5
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert "//" not in re.sub(r"base64,[\w+/=]+", "", html)


def check_that_fit_gives_the_same(result: dict) -> None:
    _, *arguments = result["command"].split()
    assert main([*arguments, "--run_dir", "fit"]) == 0
    with open("fit/metrics.csv") as file:
        table = list(csv.DictReader(file))
    for row, epoch in zip(table, result["epochs"], strict=True):
        assert float(row["train_loss"]) == pytest.approx(epoch["train_loss"], rel=1e-6)


def check_that_a_change_is_noticed(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    before = results("whole")["signals-book-1"]
    capsys.readouterr()
    changed = ["--run_dir", "whole", "--only", "book", "--seeds", "1", "--trainer.max_epochs", "1"]
    assert command(*changed) == 0
    out = capsys.readouterr().out
    assert "book, seed 1 is trained again, for its configuration has changed: `trainer.max_epochs` 3 is now 1" in out
    assert len(results("whole")["signals-book-1"]["epochs"]) == 1
    assert json.loads(Path("whole/results/signals-book-1.earlier-1").read_text()) == before
    assert command(*changed, "--report_only") == 0
    assert "trained again" not in capsys.readouterr().out


def test_pictures_in_the_quick_form(command: Command, capsys: pytest.CaptureFixture[str]):
    Path("pictures.yaml").write_text(
        """
title: Pairs of digits
quick: {seeds: [5], data.fraction: 0.05}
seeds: [1, 2]
parts:
  - name: pairs
    title: Pairs
    runs:
      ours: {config: mnist100, model.network: tiny, trainer.max_epochs: 1}
      ours and a norm: {config: mnist100_v2, model.network_options: {norm: true}, trainer.max_epochs: 1}
    each:
      few: {data.batch_size: 16}
      none: {data.val_split: 0.9}
"""
    )
    arguments = ["--quick", "--data.variant", "digits", "--only", "ours, *", "--threads", "1"]
    assert command(*arguments, config="pictures.yaml") == 0
    folder = Path("runs/pictures-quick")
    result = results(str(folder))["pairs-ours-few-5"]
    assert result["samples"] == {"train": 270, "val": 30, "test": 1000}
    for place in ("tens", "units"):
        counts = result["scores"]["test"]["confusion"][place]
        assert sum(map(sum, counts)) == 1000
        assert all(sum(line) == 100 for line in counts)
    html = (folder / "report.html").read_text()
    for said in (
        "This is the quick form. It differs from the whole experiment: seeds 5 only; ",
        "<code>data.fraction</code> is 0.05 in all runs; <code>data.variant</code> is digits in all runs.",
        "lightconv experiment --config pictures.yaml ",
        "--only &#39;ours, *&#39;",
    ):
        assert said in html
    kinds = {path.stem for path in (folder / "pictures").iterdir()}
    assert {"pairs-sweep", "pairs-seen", "pairs-curves"} <= kinds
    assert "not MNIST" in result["data"]["title"]


TAUGHT = """
title: A teacher and its student
seeds: [1, 2]
threads: 1
parts:
  - name: teachers
    title: Teachers
    runs:
      book: {config: mnist1d_book, data.fraction: 0.25, trainer.max_epochs: 1}
  - name: students
    title: Students
    runs:
      taught: {config: mnist1d_book, data.fraction: 0.25, trainer.max_epochs: 1, seeds: [1], teachers: book}
"""


def test_a_run_learns_from_those_of_an_earlier_part(command: Command, capsys: pytest.CaptureFixture[str]):
    Path("taught.yaml").write_text(TAUGHT)
    assert command("--run_dir", "x", "--only", "taught", config="taught.yaml") == 2
    assert (
        "Expected 'book' to be finished before 'taught', which it teaches, but only 0 of 2" in capsys.readouterr().err
    )
    assert command("--run_dir", "x", config="taught.yaml") == 0
    found = results("x")
    assert found["students-taught-1"]["command"].endswith(
        '--model.teachers=["runs/teachers-book-1", "runs/teachers-book-2"]'
    )
    before, after = (found[name]["epochs"][0]["train_loss"] for name in ("teachers-book-1", "students-taught-1"))
    assert before != after
