"""The `demo` command: serve the page and show it."""

import argparse
import threading
import webbrowser
from collections.abc import Sequence

from lightconv.errors import Parser, UsageError

__all__ = ["demo"]


def demo(argv: Sequence[str]) -> None:
    """Serve the page where one draws a number, until Ctrl-C.

    Raises:
        UsageError: if the arguments, a model or the port cannot be used.
    """
    parser = Parser(
        prog="lightconv demo",
        description="Open a page where you draw a number of one or two digits, or a signal, and watch a network read "
        "it. The page is served by this machine to itself; nothing is sent anywhere. Ctrl-C ends it.",
    )
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="*",
        help="ONNX files of `lightconv export`, or names of shipped models (default: all that are shipped)",
    )
    parser.add_argument("--port", type=_port, default=0, metavar="P", help="port of the page (default 0: any free one)")
    parser.add_argument("--no_browser", action="store_true", help="do not open a browser, only tell the address")
    arguments = parser.parse_args(argv)

    from lightconv.demo.answers import Answers
    from lightconv.demo.server import Server
    from lightconv.deploy.runtime import InputError

    try:
        answers = Answers(arguments.models)
    except InputError as error:
        raise UsageError(str(error)) from error
    with Server(answers, arguments.port) as server:
        print(f"Draw a number at {server.url} (Ctrl-C ends)", flush=True)
        if not arguments.no_browser:
            threading.Thread(target=_open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, but got {text!r}")
    return int(text)


def _open(url: str) -> None:
    """Open a window where there is one to open; a browser in this terminal would only get in the way."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is not webbrowser.GenericBrowser:
        browser.open(url)
