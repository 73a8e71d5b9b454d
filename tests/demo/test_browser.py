"""The page in a real Chromium: drawn on with a mouse, a finger and keys, it reads what was drawn and asks nobody else.

Needs Chromium (Debian: apt-get install chromium) and the Python package playwright.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest

from demo.hand import Strokes, drawn
from lightconv.demo.server import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set $CHROMIUM")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = (1000, 700), (360, 740)


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: "sync_api.Browser", server: Server) -> Iterator[Callable[..., "sync_api.Page"]]:
    """Open the page; afterwards see that no console message came and nothing but its server was asked."""
    contexts, said, asked = [], [], []

    def open_page(tab: str = "number", size: tuple[int, int] = DESKTOP, **options: object) -> "sync_api.Page":
        options = {"reduced_motion": "reduce", **options}
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        contexts.append(context)
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url if tab == "number" else f"{server.url}#{tab}")
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert asked
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(server.url).netloc}


def draw(page: "sync_api.Page", strokes: Strokes, sheet: str = "#drawing") -> None:
    """Move the mouse along strokes, given in heights of the sheet; every second point will do."""
    box = page.locator(sheet).bounding_box()
    for stroke in strokes:
        (x, y), *rest = np.concatenate([stroke[:-1:2], stroke[-1:]]) * box["height"] + [box["x"], box["y"]]
        page.mouse.move(x, y)
        page.mouse.down()
        for x, y in rest:
            page.mouse.move(x, y)
        page.mouse.up()


def settled(page: "sync_api.Page") -> None:
    """Wait until the server has answered all questions."""
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")


def answer(page: "sync_api.Page", panel: str = "number") -> str:
    settled(page)
    return page.locator(f"#{panel} .numeral").inner_text()


def share_right(page: "sync_api.Page", numbers: list[tuple[str, int]]) -> float:
    right = []
    for number, which in numbers:
        page.get_by_role("button", name="Clear").click()
        draw(page, drawn(number, which))
        right.append(answer(page) == number)
    return float(np.mean(right))


def test_drawn_numbers_are_read(visit):
    """Strokes of MNIST's test set, through the mouse, on a sheet that decides itself how many digits there are."""
    page = visit()
    draw(page, drawn("7"))
    numbers = ["0", "18", "2", "3", "46", "5", "67", "79", "8", "90"]
    assert share_right(page, [(number, which) for which, number in enumerate(numbers)]) >= 0.95


@pytest.mark.long
def test_all_drawn_numbers_are_read(visit):
    page = visit()
    draw(page, drawn("7"))
    assert share_right(page, [(str(digit), which) for digit in range(10) for which in range(10)]) >= 0.95
    assert share_right(page, [(f"{n:02}", n // 10) for n in range(100)]) >= 0.95


def test_everything_is_shown(visit):
    page = visit()
    draw(page, drawn("5", 1))
    assert answer(page) == "5"
    assert "sure" in page.locator("#number .sure").inner_text()
    top = page.locator("#number .bar.top b")
    assert top.inner_text() == "5"
    assert page.locator("#number .bar").count() == 10
    assert page.locator("#number .seen canvas").evaluate("c => [c.width, c.height]") == [28, 28]
    maps = page.locator("#number .maps figure")
    assert maps.count() == page.locator("#number .graph circle.end").count() > 2
    colours = """canvas => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    assert all(maps.nth(i).locator("canvas").evaluate(colours) > 8 for i in range(maps.count()))
    draw(page, [stroke * 0.8 + [0, 0.1] for stroke in drawn("1")])


def test_bars_are_as_high_as_the_probabilities(visit):
    page = visit("signal")
    with page.expect_response("**/signal") as response:
        page.get_by_role("button", name="Draw the shape of 3").click()
    settled(page)
    shares = page.locator("#signal .bar i").evaluate_all(
        "bars => bars.map(b => Number(b.style.getPropertyValue('--p')))"
    )
    np.testing.assert_allclose(shares, response.value.json()["probabilities"])


def test_two_digits_have_tens_and_units(visit):
    page = visit()
    draw(page, drawn("42", 1))
    assert answer(page) == "42"
    assert page.locator("#number .bar.top b").all_inner_texts() == ["4", "2"]
    assert page.locator("#number .seen canvas").evaluate("c => [c.width, c.height]") == [56, 28]
    assert "mnist100.onnx" in page.locator("#number .facts").inner_text()
    page.get_by_text("One", exact=True).click()
    settled(page)
    assert page.locator("#number .bar").count() == 10
    assert "mnist.onnx" in page.locator("#number .facts").inner_text()


def test_undo_redo_and_clear(visit):
    page = visit()
    undo, clear = page.get_by_role("button", name="Undo"), page.get_by_role("button", name="Clear")
    assert undo.first.is_disabled()
    assert answer(page) == "?"
    draw(page, drawn("4", 3))
    draw(page, [np.array([[1.7, 0.2], [1.7, 0.9]])])
    two = answer(page)
    assert two.endswith("1")
    undo.first.click()
    assert len(answer(page)) == 1
    page.keyboard.press("Control+Shift+Z")
    assert answer(page) == two
    page.keyboard.press("Control+z")
    assert len(answer(page)) == 1
    clear.click()
    assert answer(page) == "?"
    page.keyboard.press("Control+y")
    assert answer(page) != "?"
    page.keyboard.press("Escape")
    assert answer(page) == "?"
    assert undo.first.is_disabled()


def test_the_hand_writes_what_it_is_told(visit):
    """Typed digits are written by the page's own hand, with its chance in slant and size; most are read right."""
    page = visit()
    page.locator("#drawing").focus()
    right = []
    for digit in "0123456789" * 2:
        page.keyboard.press("Escape")
        page.keyboard.press(digit)
        right.append(answer(page) == digit)
    assert np.mean(right) >= 0.9
    page.keyboard.press("Escape")
    page.keyboard.type("31")
    assert len(answer(page)) == 2
    page.locator("#wanted").fill("6")
    page.keyboard.press("Enter")
    assert len(answer(page)) == 1


def test_the_page_without_a_mouse(visit):
    """Tab reaches the sheet, arrows and space draw a 1, a screen reader hears the answer; then on to the signal."""
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "number-tab"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "drawing"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Space")
    for _ in range(6):
        page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Space")
    assert answer(page) == "1"
    page.wait_for_function("() => document.getElementById('spoken').textContent.startsWith('The network reads 1')")
    page.keyboard.press("Backspace")
    assert answer(page) == "?"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator("#signal").is_visible()
    assert page.url.endswith("#signal")
    page.keyboard.press("Tab")
    page.keyboard.press("6")
    assert answer(page, "signal") == "6"
    page.keyboard.press("ArrowRight")
    before = answer(page, "signal")
    for _ in range(40):
        page.keyboard.press("ArrowUp")
    assert page.locator("#signal .sure").inner_text() or before


FOCUS = """() => {
  const element = document.activeElement;
  const name = element.ariaLabel || element.labels?.[0]?.innerText || element.innerText;
  const shown = element.matches("[type=radio]") ? element.nextElementSibling : element;
  return [element.tagName, name, getComputedStyle(shown).outlineStyle];
}"""


def test_everything_that_acts_has_a_name_and_a_ring(visit):
    page = visit()
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUS)
        if stop[0] == "BODY":
            break
        stops.append(stop)
    assert len(stops) >= 8
    assert all(name and ring == "solid" for _, name, ring in stops), stops


def test_the_shapes_of_signals_are_read(visit):
    page = visit("signal")
    right = []
    for digit in range(10):
        page.get_by_role("button", name=f"Draw the shape of {digit}").click()
        right.append(answer(page, "signal") == str(digit))
    assert np.mean(right) >= 0.9
    page.get_by_role("button", name="New noise").click()
    assert answer(page, "signal") == "?"


TEMPLATES = {  # Greydanus and Kobak's, as far as a hand can follow
    0: [0, 1, 1.5, 1.75, 2, 2, 2, 2, 1.75, 1.5, 1, 0],
    4: [0, -0.6, -1.2, -1.8, -2.4, -2.4, 0, 0, 0, 0, 0, 0],
    6: [0, -1, -1.5, -1.75, -2, -2, -2, -2, -1.75, -1.5, -1, 0],
    7: [0, 2, 2, 1.6, 1.2, 0.8, 0.4, 0, -0.4, -0.8, 0, 0],
}


@pytest.mark.parametrize("digit", TEMPLATES)
def test_a_shape_drawn_with_the_mouse_is_read(visit, digit: int):
    page = visit("signal")
    template = np.array(TEMPLATES[digit])
    values = template / template.std() / 6 / 0.155
    across = (14.5 + np.linspace(0, 8, 12)) * 2 / 40
    draw(page, [np.stack([across, 0.5 - values / 9], axis=1)], "#wave")
    assert answer(page, "signal") == str(digit)


SMALL = """() =>
  [...document.querySelectorAll("button, .choice label, input:not([type=radio])")]
    .filter((element) => element.offsetParent && element.getBoundingClientRect().height < 40)
    .map((element) => element.innerText)"""  # too small for a finger


@pytest.mark.parametrize("tab", ["number", "signal"])
def test_a_phone(visit, tab: str):
    page = visit(tab, PHONE, has_touch=True, is_mobile=True, device_scale_factor=3, color_scheme="dark")
    if tab == "number":
        draw(page, drawn("3", 2))
        assert answer(page) == "3"
    else:
        page.get_by_role("button", name="Draw the shape of 1").tap()
        assert answer(page, "signal") != "?"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(SMALL) == []


def test_a_finger_draws(visit):
    """Touch events of the browser itself; the page must not scroll under the finger."""
    page = visit("number", PHONE, has_touch=True, is_mobile=True)
    box = page.locator("#drawing").bounding_box()
    session = page.context.new_cdp_session(page)
    for stroke in drawn("2", 4):
        points = (stroke * box["height"] + [box["x"], box["y"]]).tolist()
        for kind, point in [("touchStart", points[0]), *(("touchMove", point) for point in points[1:])]:
            touch = [{"x": point[0], "y": point[1]}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touch})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert answer(page) == "2"
    assert page.evaluate("window.scrollY") == 0


def test_a_drawing_survives_another_window_size(visit):
    page = visit()
    draw(page, drawn("8", 2))
    assert answer(page) == "8"
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.get_by_text("Two", exact=True).click()
    page.get_by_text("Auto", exact=True).click()
    assert answer(page) == "8"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_server_that_has_stopped_is_told_of(browser, server):
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    page.route("**/drawing", lambda route: route.abort("connectionrefused"))
    draw(page, drawn("1"))
    page.get_by_text("The server has stopped.").wait_for()
    page.unroute_all()
    draw(page, drawn("1"))
    page.get_by_text("The server has stopped.").wait_for(state="hidden")
    context.close()


PALE = """() => {
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour.endsWith(", 0)") ? behind(element.parentElement) : colour;
  };
  const words = "p, button:enabled, span, b, dt, dd, code, summary, h1, h2, figcaption, label";
  return [...document.querySelectorAll(words)]
    .filter((element) => element.offsetParent && element.innerText.trim() && !element.closest(".hint, .hidden"))
    .map((element) => [element.innerText, light(getComputedStyle(element).color), light(behind(element))])
    .filter(([, a, b]) => Math.max(a, b) / Math.min(a, b) < 4.5);
}"""  # words whose contrast is below what WCAG 2 asks for


def test_dark_and_light_differ_and_both_can_be_read(visit):
    pages = {}
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme)
        draw(page, drawn("42", 1))
        settled(page)
        assert page.evaluate(PALE) == []
        pages[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert pages["light"] != pages["dark"]
