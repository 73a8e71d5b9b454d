"""The search for networks, in a tiny form on data that need no files."""

from pathlib import Path

import pytest
import yaml

from lightconv.data import MNIST1DData
from lightconv.data.digits import digits
from lightconv.data.mnist1d import generate
from lightconv.data.pairs import split_pairs
from lightconv.errors import UsageError
from lightconv.experiment import search

PLAN = {
    "task": "mnist100",
    "seeds": [1, 2],
    "setting": {"network": "tiny", "network_options": {"half": [4]}, "variant": "digits", "fraction": 0.1, "epochs": 1},
    "variations": {"plain": {"network_options": {"head": "plain"}}, "none": None},
}


def bytes_of(x) -> set[bytes]:
    return {picture.tobytes() for picture in x}


def test_what_judges_was_neither_trained_on_nor_is_it_the_test_set():
    single = search.HeldOutDigits(variant="digits", val_split=0.0)
    train, judging = (bytes_of(single.part(part)[0].numpy()) for part in ("train", "test"))
    source = digits()
    assert len(judging) == pytest.approx(len(source["y_train"]) / 6, abs=5)
    assert not train & judging
    assert train | judging == bytes_of(source["x_train"])
    pairs = search.HeldOutPairs(variant="digits", val_split=0.0)
    for part, known in (("train", train), ("test", judging)):
        assert bytes_of(split_pairs(*pairs.part(part))[0].numpy()) <= known


def test_signals_that_judge_are_fresh_ones(tmp_path: Path):
    judging = bytes_of(search.HeldOutSignals(str(tmp_path)).part("test")[0].numpy())
    assert len(judging) == search.SIGNALS
    assert not judging & bytes_of(MNIST1DData(str(tmp_path)).part("test")[0].numpy())
    assert not judging & bytes_of(generate()[0].numpy())


def test_a_search_goes_on_and_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "some.yaml"
    path.write_text(yaml.safe_dump(PLAN, sort_keys=False))
    assert search.main([str(path)]) == 0
    table = path.with_suffix(".csv")
    done = search.rows(table)
    assert [(row["variation"], row["seed"]) for row in done] == [
        (name, seed) for seed in "12" for name in PLAN["variations"]
    ]
    plain, none = (row["parameters"] for row in done[:2])
    assert int(plain) - int(none) == 2 * 32 * 100 + 100 - (32 * 10 + 10)
    printed = capsys.readouterr().out
    assert "| plain |" in printed
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    assert search.main([str(path)]) == 0
    assert search.rows(table) == [
        {**row, "seconds": again["seconds"]} for row, again in zip(done, search.rows(table), strict=True)
    ], "the row that was lost is trained again, to the same figures"
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(search.markdown(table).splitlines())


def test_the_best_come_first(tmp_path: Path):
    table = tmp_path / "some.csv"
    table.write_text(
        "variation,seed,parameters,epochs,accuracy,loss,seconds\n"
        "a,1,1000,5,0.9,1,2\nb,1,2000,5,0.91,1,2\na,2,1000,5,0.96,1,4\n"
    )
    assert search.markdown(table).splitlines()[2:] == [
        "| a | 1,000 | 5 | 93.00 | 90.00 to 96.00 | 2 | 3 |",
        "| b | 2,000 | 5 | 91.00 |  | 1 | 2 |",
    ]


def test_wrong_options_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "some.yaml"
    path.write_text(yaml.safe_dump({**PLAN, "variations": {"wrong": {"learning_rate": -1}}}))
    assert search.main([str(path)]) == 2
    assert "`learning_rate`" in capsys.readouterr().err
    with pytest.raises(UsageError, match="'fractoin'; did you mean `fraction`"):
        search.train("mnist100", {"epochs": 1, "fractoin": 0.1}, seed=1)
    for text in ("task: mnist100", "[", yaml.safe_dump({**PLAN, "task": "tea"})):
        path.write_text(text)
        assert search.main([str(path)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert search.main([str(tmp_path / "none.yaml")]) == 2
