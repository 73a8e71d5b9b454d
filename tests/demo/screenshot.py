"""Draw on the page with a mouse and keep a picture of it for the documentation: python tests/demo/screenshot.py."""

import shutil
import sys
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.hand import drawn
from demo.test_browser import FLAGS, draw, settled
from lightconv.demo.answers import Answers
from lightconv.demo.server import Server

OUTPUT = Path(__file__).parents[2] / "docs" / "pictures" / "demo.png"


def main() -> None:
    with Server(Answers()) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1180, "height": 1010}, reduced_motion="reduce")
        page.goto(server.url)
        page.wait_for_selector("html[data-ready]")
        draw(page, drawn("42", 2))
        settled(page)
        page.screenshot(path=OUTPUT)
        browser.close()
        server.shutdown()
    Image.open(OUTPUT).convert("RGB").quantize(160).save(OUTPUT, optimize=True)


if __name__ == "__main__":
    main()
