"""The commands that write and run models: export, classify, quantize, benchmark."""

import json
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lightconv.errors import Parser, UsageError, printable

if TYPE_CHECKING:
    from lightconv.deploy.runtime import Batch, Classifier

__all__ = ["benchmark", "classify", "export", "quantize"]


def export(argv: Sequence[str]) -> None:
    """Write a checkpoint's classifier as NAME.onnx, with its card NAME.json.

    Raises:
        UsageError: if the arguments, the checkpoint or the output cannot be used.
        VerificationError: if onnxruntime does not compute what the classifier computes.
    """
    parser = Parser(
        prog="lightconv export",
        description="Write a trained classifier as an ONNX file, checked in onnxruntime, and a card beside it.",
    )
    parser.add_argument("--ckpt_path", required=True, metavar="CKPT", help="checkpoint that `fit` has written")
    parser.add_argument("--output", required=True, metavar="FILE.onnx", help="file to write")
    parser.add_argument("--network", metavar="FILE.py", help="the file of its network, if it is one of yours")
    parser.add_argument("--root", metavar="FOLDER", help="where the data lie that the classifier is scored on")
    parser.add_argument("--no_scores", action="store_true", help="do not score the classifier for its card")
    arguments = parser.parse_args(argv)

    from lightconv.data.scoring import score
    from lightconv.deploy.card import card_path
    from lightconv.deploy.classifier import check_place, export_onnx
    from lightconv.tasks import load

    check_place(arguments.output)
    classifier: Any = load(arguments.ckpt_path, arguments.network)
    scores = None if arguments.no_scores else score(classifier, arguments.root)
    report = export_onnx(classifier, arguments.output, scores=scores)
    print(report)
    print(card_path(arguments.output))


def classify(argv: Sequence[str]) -> None:
    """Classify files with an exported model; prints a table, or a JSON object a line.

    Files that cannot be used are left out, and named in the end.

    Raises:
        UsageError: if the arguments, the model or a file cannot be used.
    """
    parser = Parser(
        prog="lightconv classify",
        description="Classify signals (.npy, .csv, .txt) or pictures (.npy, .png, .jpg, ...) in onnxruntime.",
    )
    parser.add_argument("model", metavar="MODEL", help="ONNX file, or the name of a shipped model, e.g. mnist1d")
    parser.add_argument("files", metavar="FILES", nargs="+", help="files or folders")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--top_k", type=int, default=1, metavar="K", help="the K most probable labels (default 1)")
    parser.add_argument("--threads", type=int, metavar="T", help="processor threads (default: all)")
    arguments = parser.parse_args(argv)

    from lightconv.deploy.runtime import Classifier, InputError

    # of pictures that are too large, Pillow warns before they can be refused
    warnings.filterwarnings("ignore", "Image size .* exceeds limit")
    try:
        classifier = Classifier(arguments.model, threads=arguments.threads)
        classifier.predict([], arguments.top_k)  # is there such a number of labels?
    except InputError as error:
        raise UsageError(str(error)) from error
    complaints = []
    files = []
    for path in arguments.files:
        try:
            files += classifier.files(path)
        except InputError as error:
            complaints.append(str(error))
    width = max(map(len, ["file", *map(str, files)]))
    heading = not arguments.json
    for file in files:
        try:
            held = False
            for batch in classifier.stream(file, arguments.top_k):
                held = True
                if heading:
                    print(f"{'file':{width}}  {'index':>6}" + "  label  probability" * arguments.top_k)
                    heading = False
                for line in _lines(classifier, batch, arguments.json, width):
                    print(line)
            if not held:
                complaints.append(f"Expected samples in {file}, but it holds none.")
        except InputError as error:
            complaints.append(str(error))
    sys.stdout.flush()
    for complaint in complaints[:-1]:
        print(f"lightconv: {complaint}", file=sys.stderr)
    if complaints:
        raise UsageError(complaints[-1])


def _lines(classifier: "Classifier", batch: "Batch", as_json: bool, width: int) -> list[str]:
    lines = []
    for i, (labels, chances) in enumerate(zip(batch.labels.tolist(), batch.probabilities.tolist(), strict=True)):
        names = [printable(classifier.class_names[label]) for label in labels]
        if as_json:
            top = [
                {"label": label, "name": name, "probability": chance}
                for label, name, chance in zip(labels, names, chances, strict=True)
            ]
            entry: dict[str, Any] = {"file": batch.source, "index": batch.start + i, **top[0], "top": top}
            if batch.note:
                entry["note"] = batch.note
            lines.append(json.dumps(entry, ensure_ascii=False))
        else:
            columns = "".join(f"  {name:>5}  {chance:11.4f}" for name, chance in zip(names, chances, strict=True))
            note = f"  ({batch.note})" if batch.note else ""
            lines.append(f"{printable(batch.source):{width}}  {batch.start + i:6}{columns}{note}")
    return lines


def quantize(argv: Sequence[str]) -> None:
    """Write a smaller version of a model, measured.

    Raises:
        UsageError: if the arguments, the model, the data or the output cannot be used.
        VerificationError: if the result is too inaccurate.
    """
    parser = Parser(
        prog="lightconv quantize",
        description="Write a smaller version of a model: INT8 where it pays, or float16 weights; measured on data.",
    )
    parser.add_argument("model", metavar="MODEL", help="ONNX file, or the name of a shipped model")
    parser.add_argument("--output", required=True, metavar="FILE.onnx", help="file to write")
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="FILE",
        help="samples, half to calibrate, half to measure on (default: what the model was trained and tested on)",
    )
    parser.add_argument("--labels", metavar="FILE", help="labels of --data: .npy, or a text with one a line")
    parser.add_argument("--root", metavar="FOLDER", help="where the model's own data lie")
    parser.add_argument("--precision", default="int8", choices=("int8", "float16"))
    parser.add_argument("--every_layer", action="store_true", help="int8 also for layers that are slower so")
    parser.add_argument(
        "--max_drop", type=float, default=0.005, help="share of labels that may be lost (default 0.005)"
    )
    arguments = parser.parse_args(argv)

    if arguments.labels is not None and arguments.data is None:
        raise UsageError("Expected --labels only together with --data; the model's own data have labels.")

    from lightconv.deploy.classifier import check_place
    from lightconv.deploy.labels import read_labels
    from lightconv.deploy.quantize import own_data, quantize
    from lightconv.deploy.runtime import InputError

    check_place(arguments.output)
    try:
        labels = None if arguments.labels is None else read_labels(arguments.labels)
        calibration, samples = None, arguments.data
        if samples is None:
            calibration, samples, labels = own_data(arguments.model, arguments.root)
        report = quantize(
            arguments.model,
            arguments.output,
            samples,
            labels,
            calibration=calibration,
            precision=arguments.precision,
            every_layer=arguments.every_layer,
            max_drop=arguments.max_drop,
            progress=print,
        )
    except InputError as error:
        raise UsageError(str(error)) from error
    print(f"{report}\n{report.path}")


def benchmark(argv: Sequence[str]) -> None:
    """Time a model in onnxruntime beside the same network in PyTorch.

    Raises:
        UsageError: if the arguments or the model cannot be used.
    """
    parser = Parser(
        prog="lightconv benchmark",
        description="Time a model in onnxruntime beside the same network in PyTorch, in turn.",
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", default="mnist1d", help="ONNX file or shipped name")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 64], metavar="N", help="default 1 64")
    parser.add_argument("--threads", type=int, default=1, metavar="T", help="processor threads (default 1)")
    arguments = parser.parse_args(argv)

    from lightconv.deploy.benchmark import benchmark
    from lightconv.deploy.runtime import InputError

    try:
        print(benchmark(arguments.model, arguments.batch_sizes, threads=arguments.threads))
    except InputError as error:
        raise UsageError(str(error)) from error
