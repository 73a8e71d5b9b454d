"""`lightconv demo` from the outside."""

import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from lightconv.cli import main


def test_it_tells_the_address_serves_and_ends_quietly():
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # tests may run where it is off
    command = [sys.executable, "-c", f"{listen}; import sys; from lightconv.cli import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, "demo", "mnist1d", "--no_browser"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        with urllib.request.urlopen(url, timeout=60) as page:
            assert b"<title>" in page.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out.strip(), err) == (0, "", "")


@pytest.mark.parametrize("module", ["lightconv.demo.command", "lightconv.demo.answers, lightconv.demo.server"])
def test_it_starts_without_pytorch(module: str):
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "lightning", "matplotlib", "scipy", "sklearn", "mnist1d"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.onnx"], "there is none named nowhere.onnx"),
        (["--port", "65536"], "from 0 to 65535"),
        (["--port", "-1"], "from 0 to 65535"),
        (["--port", "x"], "from 0 to 65535"),
        (["--colour"], "--colour"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert main(["demo", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
