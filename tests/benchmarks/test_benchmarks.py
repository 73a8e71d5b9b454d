"""That the benchmarks run, and that their tables say what was measured; nothing about how fast anything is."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import results

    return results


def rows(results):
    first = results.Row("Steps", "one", "training step", 1, {"lightconv": 0.2, "torch.nn": 0.5}, wanted=(2.0, 3.0))
    first.tuned = {"lightconv": 0.1, "torch.nn": 0.4, "channels_last": 0.25}
    second = results.Row("Fits", "two", "fit", 1, {"lightconv": 0.2, "torch.nn": 0.1}, least=0.05, note="we lose")
    return [first, second]


def test_ratios_are_torchs_time_over_ours(results):
    first, second = rows(results)
    assert first.ratio() == 2.5
    assert first.best() == ("channels_last", 2.5)
    assert first.met() == "no"
    first.wanted = (2.5, 2.5)
    assert first.met() == "yes"
    assert second.ratio() == 0.5
    assert second.best() is None
    assert second.met() == ""


def test_every_form_of_the_table_has_every_row(results, tmp_path):
    found = rows(results)
    page = results.markdown(found)
    assert "| one | training step | 1 | 200 | 2.50 | 2.50 | channels_last |  | 2 / 3: no |" in page
    assert "| two | fit | 1 | 200 | 0.50 |  |  | 25% |  |" in page
    assert "- two: we lose" in page
    results.write_csv(found, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 7
    assert lines[4]["candidate"] == "channels_last"
    assert float(lines[4]["seconds"]) == 0.25
    results.save(found, tmp_path / "rows.json")
    assert results.load(tmp_path / "rows.json") == found
    results.plot(found, tmp_path / "plot.png", "title")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_benchmark_measures_every_candidate(tmp_path):
    saved = tmp_path / "rows.json"
    options = ["--only", "mnist1d_book", "--repeats", "1", "--no-compile", "--save", str(saved)]
    result = subprocess.run([sys.executable, str(FOLDER / "steps.py"), *options], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (row,) = json.loads(saved.read_text(encoding="utf-8"))
    assert row["case"] == "mnist1d_book, batch 100 of 1x40"
    for seconds in (row["plain"], row["tuned"]):
        assert {"lightconv", "torch.nn"} <= set(seconds)
        assert all(value > 0 for value in seconds.values())
    assert "1 thread(s); backend auto; medians of 1" in result.stdout


@pytest.mark.long
def test_bfloat16_is_measured_beside_float32_and_torchs():
    script = [sys.executable, str(FOLDER / "bfloat16.py"), "--only", "mnist_book", "--repeats", "1"]
    result = subprocess.run(script, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    row = result.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert row[:3] == ["mnist_book", "training step", "1"]
    assert all(float(cell) > 0 for cell in row[3:])
    assert len(row) == 7


def test_new_rows_take_the_places_of_old_ones(results):
    import run

    first, second = rows(results)
    again = results.Row("Steps", "one", "training step", 1, {"lightconv": 0.1})
    other = results.Row("Steps", "one", "training step", 2, {"lightconv": 0.1})
    assert run.merged([first, second], [again, other]) == [again, second, other]


def test_tables_go_between_the_marks_of_the_page(results):
    import page

    filled = page.filled(f"above\n{page.BEGIN}\nold\n{page.END}\nbelow\n", "new\n")
    assert filled == f"above\n{page.BEGIN}\n\nnew\n\n{page.END}\nbelow\n"
    assert page.filled(filled, "new") == filled
    page.filled(page.PAGE.read_text(encoding="utf-8"), "")
