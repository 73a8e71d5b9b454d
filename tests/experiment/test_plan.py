"""Reading an experiment's configuration."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from small_experiment import CONFIG

from lightconv.experiment.plan import read_plan
from lightconv.experiment.results import Results, trainings
from lightconv.experiment.training import check
from lightconv.training.configs import config_folder

Command = Callable[..., int]
SHIPPED = sorted(path.stem for path in config_folder().glob("experiment_*.yaml"))


def plan(content: str, tmp_path: Path, **options: object):
    path = tmp_path / "x.yaml"
    path.write_text(content)
    return read_plan(str(path), **options)


def names(read: object) -> list[str]:
    return [run.name for part in read.parts for run in part.runs]


SWEEP = """
title: A sweep
seeds: [1, 2, 3]
parts:
  - name: part
    title: Part
    runs:
      a: &a {config: mnist1d, data.seed: 7}
      b: {config: mnist1d, model.network: tiny}
    each:
      10 %: {data.fraction: 0.1}
      100 %: {data.fraction: 1.0, seeds: [4]}
  - name: again
    title: Again
    runs:
      the same: {<<: *a, data.fraction: 0.1}
"""


def test_every_network_at_every_level(tmp_path: Path):
    read = plan(SWEEP, tmp_path)
    assert names(read) == ["a, 10 %", "a, 100 %", "b, 10 %", "b, 100 %", "the same"]
    assert [run.seeds for run in read.parts[0].runs] == [(1, 2, 3), (4,), (1, 2, 3), (4,)]
    first, *_ = read.parts[0].runs
    assert first.arguments(2) == ["--config", "mnist1d", "--data.seed=7", "--data.fraction=0.1", "--seed_everything=2"]
    assert first.settings(2)["model.learning_rate"] == 0.01, "from the configuration of fit"


def test_what_two_parts_share_is_trained_once_and_seeds_take_turns(tmp_path: Path):
    assert [training.name for training in trainings(plan(SWEEP, tmp_path))] == [
        "a, 10 %, seed 1",
        "a, 100 %, seed 4",
        "b, 10 %, seed 1",
        "b, 100 %, seed 4",
        "a, 10 %, seed 2",
        "b, 10 %, seed 2",
        "a, 10 %, seed 3",
        "b, 10 %, seed 3",
    ]


def test_what_was_trained_for_one_part_is_not_trained_again_for_another(tmp_path: Path):
    results = Results(tmp_path / "run")
    (made,) = trainings(plan(SWEEP, tmp_path, only=["the same"], seeds=[2]))
    results.finish(made, {"scores": 1})
    finished = {t.name: results.finished(t) for t in trainings(plan(SWEEP, tmp_path))}
    assert [name for name, result in finished.items() if result] == ["a, 10 %, seed 2"]
    assert finished["a, 10 %, seed 2"]["scores"] == 1
    changed = plan(SWEEP, tmp_path, only=["the same"], seeds=[2], options={"trainer.max_epochs": 1})
    assert [results.finished(training) for training in trainings(changed)] == [None]


def test_who_is_taught_depends_on_its_teachers(tmp_path: Path):
    taught = SWEEP.replace("the same: {", "the same: {teachers: 'b, 10 %', ")
    (run,) = plan(taught, tmp_path, only=["the*"]).parts[0].runs
    assert [teacher["model.network"] for teacher in run.settings(2)["model.teachers"]] == ["tiny"] * 3
    assert run.arguments(1) == plan(SWEEP, tmp_path, only=["the*"]).parts[0].runs[0].arguments(1)
    (other,) = plan(taught.replace("tiny", "book"), tmp_path, only=["the*"]).parts[0].runs
    assert run.settings(1) != other.settings(1)


def test_choosing(tmp_path: Path):
    read = plan(SWEEP, tmp_path, only=["b*", "the*"], seeds=[9], options={"trainer.max_epochs": 1}, threads=2)
    assert names(read) == ["b, 10 %", "b, 100 %", "the same"]
    assert read.threads == 2
    for part in read.parts:
        for run in part.runs:
            assert run.seeds == (9,)
            assert run.settings(9)["trainer.max_epochs"] == 1


def test_the_quick_form_says_what_differs(tmp_path: Path):
    read = plan(CONFIG, tmp_path, quick=True)
    assert names(read) == ["tiny"]
    assert read.differences == ("seeds 1 only", "`trainer.max_epochs` is 1 in all runs", "1 of 2 runs are left out")
    assert read.left_out == ("book",)
    assert plan(CONFIG, tmp_path).differences == ()
    read = plan(CONFIG, tmp_path, quick=True, options={"trainer.max_epochs": 2})
    assert read.differences[1] == "`trainer.max_epochs` is 2 in all runs"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_experiments_can_be_run(name: str):
    for quick in (False, True):
        read = read_plan(name, quick=quick)
        for part in read.parts:
            for run in part.runs if not quick else ():
                config = check(run.arguments(run.seeds[0]))
                assert config["trainer"]["max_epochs"] == run.settings(1)["trainer.max_epochs"]


def change(code: str) -> str:
    config = yaml.safe_load(CONFIG)
    exec(code, {"c": config, "p": config["parts"][0]})
    return yaml.safe_dump(config)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("c['titel'] = 'x'", "but got `titel`; did you mean `title`?"),
        ("del c['title']", "to hold `title`, but there is none."),
        ("del c['parts']", "to hold `parts`, but there is none."),
        ("c['parts'] = 3", "Expected `parts[0]` to hold keys and values, but got None."),
        ("c['seeds'] = 3", "Expected `seeds` to be a list of integers, 0 or more, but got 3."),
        ("c['seeds'] = [-1]", "Expected `seeds` to be a list of integers, 0 or more, but got [-1]."),
        ("c['threads'] = 0", "Expected `threads` to be a positive integer, but got 0."),
        ("p['runs']['tiny']['confg'] = 'x'", "but got `confg`; did you mean `config`?"),
        ("del p['runs']['tiny']['config']", "Expected `config` in run 'tiny' of `parts[0]`, but there is none."),
        ("p['runs']['tiny']['config'] = 'mnist1'", "did you mean `mnist1d`?"),
        ("p['runs']['tiny']['model.netwrok'] = 'x'", "did you mean `model.network`?"),
        ("p['runs']['tiny']['model.network'] = 'huge'", "to be one of book, light, tiny"),
        ("p['runs']['tiny']['model.network_options'] = {'wings': 2}", "Expected `network_options` that 'tiny' has"),
        ("p['runs']['tiny']['data.fraction'] = 2", "Expected `fraction` to lie in 0 < fraction <= 1, but got 2.0."),
        ("p['runs']['tiny']['teachers'] = 'book'", "Expected `teachers` of 'tiny' in `parts[0]` to name a run of an"),
        ("p['runs']['tiny'] = None", "Expected 'tiny' of `parts[0]` to hold keys and values, but got None."),
        ("p['closer'] = 'tinny'", "but got 'tinny'; did you mean `tiny`?"),
        ("p['references']['people'] = {}", "to hold `accuracy`, but there is none."),
        ("c['parts'] *= 2", "to have different names, but got signals, signals."),
    ],
)
def test_wrong_configurations_get_one_sentence(
    code: str, said: str, command: Command, capsys: pytest.CaptureFixture[str]
):
    Path("wrong.yaml").write_text(change(code))
    assert command(config="wrong.yaml") == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert said in line
    assert not list(Path("runs").rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--seeds x", "argument --seeds: invalid int value: 'x'; try `lightconv experiment"),
        ("--seeds -1", "--seeds"),
        ("--threads 0", "Expected `--threads` to be a positive integer"),
        ("--only nothing", "Expected `--only` to leave some runs"),
        ("--bogus 1", "'--bogus'"),
        ("--trainer.max_epochs", "Expected a value after `--trainer.max_epochs`."),
        ("--trainer.max_epoch 3", "did you mean `trainer.max_epochs`?"),
        ("--run_dir small.yaml/x", "small.yaml/x"),
        ("--report_only", "train without `--report_only` first"),
        ("--config nowhere", "'nowhere'"),
    ],
)
def test_wrong_arguments_get_one_sentence(
    arguments: str, said: str, command: Command, capsys: pytest.CaptureFixture[str]
):
    assert command(*arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_no_quick_form(command: Command, capsys: pytest.CaptureFixture[str]):
    Path("long.yaml").write_text(change("del c['quick']"))
    assert command("--quick", config="long.yaml") == 2
    assert "has no `quick`" in capsys.readouterr().err
