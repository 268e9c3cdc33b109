"""The motion player in headless Chromium: what is drawn, clicked, pressed and dragged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ouroloop.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]
INK = """(canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 3; i < pixels.length; i += 4) sum += pixels[i] * (i % 977);
  return sum;
}"""


@pytest.fixture(scope="module")
def report(make_motions: ModuleType, make_runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("player")
    return write_report([make_motions.motion_study(folder / "study", make_runs)], folder / "report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The report with motion reduced, so that nothing plays unasked; no error, dialog or request may have been."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    page, trouble = context.new_page(), []
    page.set_default_timeout(10_000)
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: None if request.url.startswith("file:") else trouble.append(request.url))
    page.goto(report.as_uri())
    page.locator("#motions").scroll_into_view_if_needed()
    yield page
    context.close()
    assert trouble == []


def ink(page: Any, stage: int = 0) -> int:
    """A number that changes when the picture does."""
    return page.locator(".stage canvas").nth(stage).evaluate(INK)


def time(page: Any) -> int:
    return int(page.locator("[data-part=time]").input_value())


def test_every_arm_and_the_real_motions_are_drawn(page: Any) -> None:
    assert page.locator(".stage figcaption").all_text_contents() == ["real", "none", "physics", "real only"]
    assert all(ink(page, stage) > 0 for stage in range(4))
    assert ink(page, 0) != ink(page, 1)
    captions = page.locator("[data-part=clip] option").all_text_contents()
    assert "a person <b>runs</b> & jumps" in captions
    assert page.locator("#motions b").count() == 0


def test_it_plays_and_stops(page: Any) -> None:
    assert time(page) == 0
    page.locator("[data-part=motion-play]").click()
    playwright.expect(page.locator("[data-part=time]")).not_to_have_value("0")
    page.locator("[data-part=motion-play]").click()
    stopped = time(page)
    page.wait_for_timeout(150)
    assert time(page) == stopped


def test_keys_step_turn_and_reset(page: Any) -> None:
    page.locator("[data-part=stages]").focus()
    start = ink(page)
    page.keyboard.press("ArrowRight")
    assert time(page) == 1
    assert ink(page) != start
    page.keyboard.press("Home")
    page.keyboard.press("d")
    page.keyboard.press("+")
    assert ink(page) != start
    page.keyboard.press("0")
    assert ink(page) == start
    page.keyboard.press("End")
    assert time(page) == int(page.locator("[data-part=time]").get_attribute("max"))


def test_dragging_turns_all_figures(page: Any) -> None:
    before = [ink(page, stage) for stage in range(4)]
    box = page.locator(".stage canvas").nth(1).bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 90, steps=3)
    page.mouse.up()
    assert all(ink(page, stage) != before[stage] for stage in range(4))


def test_generation_caption_view_and_theme_change_the_picture(page: Any) -> None:
    seen = {ink(page, 1)}
    page.locator("[data-part=motion-generation]").fill("0")
    assert page.locator("[data-part=generation-label]").inner_text() == "generation 0"
    assert page.locator("#generation-shown").inner_text() == "generation 0"  # the strips follow
    seen.add(ink(page, 1))
    page.locator("[data-part=clip]").select_option("1")
    seen.add(ink(page, 1))
    page.locator("[data-part=view]").select_option("1")
    assert page.locator(".stage figcaption").all_text_contents() == ["before", "after", "one over the other"]
    seen.add(ink(page, 1))
    assert len(seen) == 4
    colour = "(c) => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).join().length"
    light = page.locator(".stage canvas").nth(1).evaluate(colour)
    page.locator("#theme").click()
    assert page.locator(".stage canvas").nth(1).evaluate(colour) != light


def test_it_fits_a_phone(browser: Any, report: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
