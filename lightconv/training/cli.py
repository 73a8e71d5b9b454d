"""fit, validate, test and predict: LightningCLI, with one folder for each run."""

import csv
import importlib
import inspect
import io
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, Namespace
from jsonargparse.typing import PositiveInt
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerStatus
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from lightconv.data import InMemoryData
from lightconv.errors import UsageError
from lightconv.files import beside
from lightconv.tasks import Classifier, own_networks
from lightconv.tasks.loading import COPY, read_checkpoint, task_class
from lightconv.training.buffers import reuse_buffers
from lightconv.training.callbacks import BestAndLast, Curves, EpochSeed, MetricsFile, Progress
from lightconv.training.callbacks.curves import CURVES
from lightconv.training.callbacks.metrics_file import METRICS
from lightconv.training.complaints import sentence
from lightconv.training.configs import check_config, config_arguments
from lightconv.training.evaluation import Evaluation
from lightconv.training.memory import MemorySummary
from lightconv.training.quiet import quiet
from lightconv.training.resuming import Begun
from lightconv.training.run_folder import CONFIG, PREDICTIONS, RunFolder
from lightconv.training.trainer import RunTrainer, precision_of

# Lightning 2.5 neither reads checkpoints here nor can be told not to.
_READS_NO_CHECKPOINT: Any = (
    {"load_from_checkpoint_support": False}
    if "load_from_checkpoint_support" in inspect.signature(LightningCLI).parameters
    else {}
)


def run(command: str, arguments: list[str]) -> None:
    """Run ``fit``, ``validate``, ``test`` or ``predict`` with the arguments that follow it.

    Raises:
        UsageError: if the arguments or the configuration are wrong.
        KeyboardInterrupt: if the user interrupted the run; its folder is in order then.
    """
    with quiet():
        TrainingCLI(command, arguments)


class TrainingCLI(LightningCLI):
    """LightningCLI for our classifiers and data modules.

    Beyond LightningCLI: ``--config`` takes the name of a shipped configuration, ``--run_dir`` names the folder of
    the run, ``--ckpt_path`` also takes ``best``, ``last`` or a run's folder (whose best is meant), and what is
    trained is what is tested if no checkpoint is named: the best of the run.
    """

    def __init__(self, command: str, arguments: list[str]) -> None:
        self.command = command
        self.folder: RunFolder
        self.resuming = False
        self.begun: Begun | None = None
        self.checkpoints: BestAndLast | None = None
        super().__init__(
            Classifier,
            InMemoryData,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=RunRecord,
            trainer_class=RunTrainer,
            trainer_defaults={"logger": False, "enable_model_summary": False, "num_sanity_val_steps": 0},
            parser_kwargs={"prog": "lightconv", "exit_on_error": False, "allow_abbrev": False},
            auto_configure_optimizers=False,
            **_READS_NO_CHECKPOINT,
            args=[command, *arguments],
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """The one that was given: a parser for each of the others would take a while."""
        return {self.command: super().subcommands()[self.command]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what a run has beyond model, data and trainer."""
        parser.add_argument(
            "--threads",
            type=PositiveInt | None,
            default=None,
            help="Processor threads (default: PyTorch's choice). Their number also decides the order of summation, "
            "so only runs with equally many threads are equal to the last bit.",
        )
        parser.add_argument(
            "--reuse_buffers",
            type=bool,
            default=True,
            help="Keep the memory of large tensors from step to step instead of giving it back to the system: faster, "
            "and the process stays as large as it ever was. Only on Linux with glibc; elsewhere without effect.",
        )
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="Folder of the run: configuration, metrics, checkpoints, curves (default: runs/<task>-<network>).",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, and settle folder and checkpoint."""
        command, *arguments = args
        subparser = self._subcommand_parsers[command]
        known = _option_names(subparser)
        arguments, paths = config_arguments(arguments)
        for path in paths:
            foreign = check_config(path, {"trainer"}, {name.partition(".")[0] for name in known} - {"trainer"})
            if foreign:
                _say(f"{path} names code from elsewhere, which will run: {', '.join(sorted(set(foreign)))}")
        try:
            self.config = parser.parse_args([command, *arguments])
        except ArgumentError as error:
            raise UsageError(sentence(str(error), known)) from error
        options = self.config[command]
        for section, base in (("model", Classifier), ("data", InMemoryData)):
            # Without a class, the base class would do for jsonargparse.
            if options.get(section) is None or _class(options[section].class_path) is base:
                raise UsageError(sentence(f"the following arguments are required: {section}"))
        self._settle(command, options)

    def _parse_ckpt_path(self) -> None:
        # LightningCLI would read the checkpoint here; _settle has done so.
        pass

    def _settle(self, command: str, options: Namespace) -> None:
        seed = options.get("seed_everything")
        if seed is not None and not 0 <= seed < 2**32:
            raise UsageError(f"Expected `seed_everything` to lie between 0 and 2**32 - 1, but got {seed}.")
        wanted = options.get("ckpt_path")
        if wanted is None and command != "fit":
            wanted = "best"
        path = None if wanted in (None, "best", "last") else Path(wanted).expanduser()
        if path is not None and path.is_dir():
            path = RunFolder(path).checkpoint("best")
        if options.run_dir is not None:
            self.folder = RunFolder(options.run_dir)
        elif path is not None and command != "fit":
            self.folder = RunFolder(path.parent)
        else:
            kind, network = _class(options.model.class_path), options.model.init_args.network
            kind.check_network(network)
            self.folder = RunFolder(Path("runs") / f"{kind.task}-{own_networks.network_name(network)}")
        options.run_dir = str(self.folder)
        if options.trainer.precision == "auto":
            options.trainer.precision = precision_of(options.trainer.accelerator)
        if wanted == "last" and command == "fit" and not self.folder.has("last"):
            _say(f"There is no checkpoint in {self.folder} yet to go on from: training begins at the beginning.")
            wanted = options.ckpt_path = None
        if wanted is None:
            return
        path = path or self.folder.checkpoint(wanted)
        self._take_from_checkpoint(path, command, options)
        options.ckpt_path = str(path)
        options.weights_only = True
        self.resuming = path.parent.resolve() == self.folder.path.resolve()

    def _take_from_checkpoint(self, path: Path, command: str, options: Namespace) -> None:
        checkpoint = read_checkpoint(path, options.model.init_args.network)
        kind, given = task_class(checkpoint), checkpoint["hyper_parameters"]
        if command != "fit":
            if (task := _class(options.model.class_path).task) != kind.task:
                raise UsageError(
                    f"Expected a checkpoint of {task}, whose configuration was named, but {str(path)!r} is of "
                    f"{kind.task}; name the configuration that it was trained with."
                )
            options.model = Namespace(class_path=f"{kind.__module__}.{kind.__qualname__}", init_args=Namespace(**given))
            return
        asked = (_class(options.model.class_path).task, options.model.init_args.network)
        if asked != (kind.task, given["network"]):
            raise UsageError(
                f"Expected a checkpoint of {asked[0]}, network {asked[1]}, but {str(path)!r} is of {kind.task}, "
                f"network {given['network']}; go on with the configuration that it was trained with."
            )
        self.begun = Begun(path, checkpoint)
        self.begun.check_recipe(options.model.init_args.as_dict(), options.seed_everything)

    def before_instantiate_classes(self) -> None:
        """Make sure of the folder, and set the threads, before any work is done."""
        if threads := self._get(self.config, "threads"):
            torch.set_num_threads(threads)
        if self._get(self.config, "reuse_buffers"):
            reuse_buffers()
        self.folder.prepare()
        self.save_config_kwargs = {"folder": self.folder, "resuming": self.resuming}

    def instantiate_classes(self) -> None:
        """Make model, data and trainer; what they object to is wrong use."""
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, MisconfigurationException) as error:
            self.folder.discard()
            raise UsageError(sentence(str(error))) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, with the callbacks of a run."""
        options = {**self._get(self.config_init, "trainer"), **kwargs}
        options["default_root_dir"] = options["default_root_dir"] or str(self.folder)
        return self._instantiate_trainer(options, self._callbacks(options))

    def _callbacks(self, options: dict[str, Any]) -> list[Callback]:
        given = options.get("callbacks") or []
        given = given if isinstance(given, list) else [given]
        path = self.folder.path
        callbacks: list[Callback] = []
        if options["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in given):
            callbacks.append(Progress())
        if self.subcommand == "fit":
            callbacks += [EpochSeed(), MemorySummary(), MetricsFile(path / METRICS), Curves(path / CURVES)]
            if options["enable_checkpointing"] is not False:
                self.checkpoints = BestAndLast(path)
                callbacks.append(self.checkpoints)
        return callbacks

    def fit(self, **options: Any) -> None:
        """Train."""
        if self.begun is not None:
            self.begun.check_data(self.datamodule.describe())
        precision = self.trainer.precision
        remark = "" if precision == "32-true" else f" ({precision})"
        _say(f"{_title(self.model)}, on {self.datamodule.title}, in {self.folder}{remark}")
        try:
            with self.folder.claimed() if self.trainer.is_global_zero else nullcontext():
                self._run(self.trainer.fit, options)
        except KeyboardInterrupt:
            _say("Interrupted." + self._how_to_go_on())
            raise
        if best := self._best():
            _say(f"{best}; checkpoints, metrics and curves are in {self.folder}")

    def _how_to_go_on(self) -> str:
        if self.checkpoints is None:
            return ""
        if self._best() and self.folder.has("last"):
            return " Go on with the same command and `--ckpt_path last`."
        return " Nothing was saved: the first epoch was not complete."

    def _best(self) -> str | None:
        checkpoints = self.checkpoints
        if checkpoints is None or checkpoints.best_epoch is None or checkpoints.best_score is None:
            return None
        if "val_accuracy" not in self.trainer.callback_metrics:
            return f"Last epoch {checkpoints.best_epoch + 1}"
        return f"Best epoch {checkpoints.best_epoch + 1}, validation accuracy {_percent(checkpoints.best_score)}"

    def validate(self, **options: Any) -> None:
        """Score the validation part."""
        self._evaluate("val", self.trainer.validate, options)

    def test(self, **options: Any) -> None:
        """Score the test set."""
        self._evaluate("test", self.trainer.test, options)

    def predict(self, **options: Any) -> None:
        """Write a table of predictions for the test set."""
        options["return_predictions"] = True
        probabilities = torch.cat(self._run(self.trainer.predict, options))
        indices = self.datamodule.predict_dataloader().indices().tolist()
        labels = self.datamodule.part("test")[1].tolist()
        likeliest = probabilities.max(1)
        path = self.folder.path / PREDICTIONS
        if self.trainer.world_size > 1:
            path = path.with_stem(f"{path.stem}-{self.trainer.global_rank}")
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow(["index", "label", "predicted", "probability"])
        for i, predicted, probability in zip(indices, likeliest.indices, likeliest.values, strict=False):
            table.writerow([i, labels[i], int(predicted), f"{float(probability):.6f}"])
        with beside(path) as file:
            file.write(text.getvalue().encode())
        _say(f"Predictions for {len(probabilities):,} samples of {self.datamodule.title} are in {path}")

    def _evaluate(self, stage: str, evaluate: Any, options: dict[str, Any]) -> None:
        options["verbose"] = False
        (figures,) = self._run(evaluate, options) or [{}]
        if f"{stage}_accuracy" not in figures:
            raise UsageError("Expected samples to validate with, but `data.val_split` is 0.")
        if not self.trainer.is_global_zero:
            return
        name = {"val": "validation", "test": "test"}[stage]
        figures = {key.removeprefix(f"{stage}_"): value for key, value in figures.items()}
        details = getattr(self.model, f"{stage}_figures").details
        count = int(details["confusion"].sum())
        accuracy = _percent(figures["accuracy"])
        evaluation = Evaluation(
            stage=name,
            title=f"{_name(self.model)}: {name} accuracy {accuracy}",
            facts={"data": self.datamodule.title, "checkpoint": Path(options["ckpt_path"]).name, "samples": count},
            figures=figures,
            class_names=self.model.class_names,
            class_accuracy=details["class_accuracy"].cpu().numpy(),
            confusion=details["confusion"].cpu().numpy(),
        )
        _say(
            f"{name.capitalize()} accuracy {accuracy}, loss {figures['loss']:.4f}, "
            f"on {count:,} samples of {self.datamodule.title} ({options['ckpt_path']})"
        )
        if self.model.digits:
            _say(", ".join(f"{digit} {_percent(figures[f'{digit}_accuracy'])}" for digit in self.model.digits))
        _say(evaluation.table())
        _say("In full: " + ", ".join(map(str, evaluation.write(self.folder.path))))

    def _run(self, stage: Any, options: dict[str, Any]) -> Any:
        # Lightning answers Ctrl-C by switching SIGINT off and leaving with status 1.
        handler = signal.getsignal(signal.SIGINT)
        try:
            return stage(**options)
        except ValueError as error:
            if "Expected more than 1 value per channel" not in str(error):
                raise
            raise UsageError(
                "Expected at least 2 samples a batch for a network that normalises over batches, but got 1; raise "
                "`data.batch_size` (or `data.fraction`)."
            ) from error
        except SIGTERMException:
            _say("Terminated." + self._how_to_go_on())
            raise SystemExit(128 + signal.SIGTERM) from None
        except SystemExit:
            if self.trainer.state.status == TrainerStatus.INTERRUPTED:
                raise KeyboardInterrupt from None
            raise
        finally:
            if handler is not None and signal.getsignal(signal.SIGINT) is not handler:
                signal.signal(signal.SIGINT, handler)


class RunRecord(SaveConfigCallback):
    """Begins a run: sets an earlier one aside, unless it is this one that goes on, and writes ``config.yaml``."""

    def __init__(self, parser: LightningArgumentParser, config: Namespace, folder: RunFolder, resuming: bool) -> None:
        super().__init__(parser, config, CONFIG, overwrite=True)
        self.folder = folder
        self.resuming = resuming

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Called by Lightning before a stage."""
        if stage != "fit" or self.resuming or not trainer.is_global_zero or self.already_saved:
            return
        if aside := self.folder.set_aside():
            _say(f"The run that was in {self.folder} is now in {aside}")
        self._write(self.config)
        if own_networks.is_own(network := pl_module.hparams["network"]):
            with beside(self.folder.path / COPY) as file:
                file.write(own_networks.source(network).read_bytes())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run goes on, perhaps to more epochs; until here it may have been refused."""
        if not self.resuming or not trainer.is_global_zero or self.already_saved:
            return
        config = self.config.clone()
        config.ckpt_path = config.weights_only = None  # the file shall repeat the run, not go on with it
        self._write(config)

    def _write(self, config: Namespace) -> None:
        path = self.folder.path / CONFIG
        with beside(path) as file:
            # The third argument says that null is written too; its name depends on jsonargparse's version.
            file.write(self.parser.dump(config, "parser_mode", False).encode())
        self.already_saved = True


def _option_names(parser: LightningArgumentParser) -> list[str]:
    names = [action.dest for action in parser._actions if action.dest not in ("help", "config", "print_config")]
    for section, base in (("model", Classifier), ("data", InMemoryData)):
        names += [f"{section}.{name}" for name in inspect.signature(base).parameters]
    return [name for name in names if not name.endswith(".help")]


def _class(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _name(model: Classifier) -> str:
    return f"{type(model).__name__}, network {model.network_name}"


def _title(model: Classifier) -> str:
    return f"{_name(model)}: {sum(parameter.numel() for parameter in model.parameters()):,} parameters"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


@rank_zero_only
def _say(text: str) -> None:
    print(text, flush=True)
