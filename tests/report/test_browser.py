"""The page in headless Chromium: what is seen, clicked and pressed, and that nothing leaves it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ouroloop.report import write_report
from ouroloop.report.load import load
from ouroloop.report.series import series_of
from ouroloop.report.wording import number

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(
    digits: Path, gaussian: Path, text: Path, hostile: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The reports of the four fixtures, by name."""
    folder = tmp_path_factory.mktemp("pages")
    paths = {"digits": digits, "gaussian": gaussian, "text": text, "hostile": hostile}
    return {name: write_report([path], folder / f"{name}.html") for name, path in paths.items()}


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Open]:
    """Opens a report. At the end of the test: no request, dialog, console error or exception may have been."""
    contexts, trouble = [], []

    def opener(name: str, width: int = 1200, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or trouble.append(f"request {r.url}"))
        page.on("console", lambda m: m.type in ("error", "warning") and trouble.append(f"console: {m.text}"))
        page.on("pageerror", lambda e: trouble.append(f"exception: {e}"))
        page.on("dialog", lambda d: (trouble.append(f"dialog {d.message}"), d.dismiss()))
        page.goto(pages[name].as_uri())
        return page

    yield opener
    for context in contexts:
        context.close()
    assert trouble == []


def ticks(page: Any, chart: str = "#chart-0") -> list[str]:
    return page.locator(f"{chart} svg.chart text.tick.y").all_text_contents()


def test_every_arm_has_a_curve_in_every_chart(opened: Open) -> None:
    page = opened("digits")
    charts = page.locator("figure[data-chart]:visible")
    assert charts.count() == 5
    for i in range(charts.count()):
        for css in ("c0", "c1", "cr"):
            line = charts.nth(i).locator(f"path.line.{css}")
            assert line.count() == 1
            assert line.get_attribute("d").count("L") == 10
            assert line.bounding_box()["width"] > 100
    assert charts.first.locator("text.end").all_text_contents() == [
        "No correction",
        "Cluster correction",
        "Real data only",
    ]
    assert charts.first.locator("line.floor").count() == 1


def test_the_slider_changes_generation_and_pictures(opened: Open) -> None:
    page = opened("digits")
    shown = page.locator("#gallery .frame:visible img")
    assert shown.count() == 3
    last = [shown.nth(i).get_attribute("src") for i in range(3)]
    page.fill("#generation", "3")
    assert page.inner_text("#generation-shown") == "generation 3"
    now = [shown.nth(i).get_attribute("src") for i in range(3)]
    assert all(a != b for a, b in zip(last, now, strict=True))
    frames = page.locator("#gallery .frame:visible")
    assert {frames.nth(i).get_attribute("data-generation") for i in range(3)} == {"3"}
    page.select_option("#seed", "2")
    assert {frames.nth(i).get_attribute("data-seed") for i in range(3)} == {"2"}
    assert [shown.nth(i).get_attribute("src") for i in range(3)] != now
    assert shown.first.evaluate("image => image.naturalWidth") == 89


def test_the_slider_moves_by_keyboard_and_plays(opened: Open) -> None:
    page = opened("digits")
    page.focus("#generation")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#generation-shown") == "generation 9"
    page.click("#play")
    playwright.expect(page.locator("#generation-shown")).to_have_text("generation 10")
    playwright.expect(page.locator("#play")).to_have_text("Play")


def test_the_legend_hides_an_arm_everywhere_and_the_axis_follows(opened: Open) -> None:
    page = opened("digits")
    before = page.locator("path.line.c0").count()
    assert before > 4
    top = ticks(page)[-1]
    button = page.locator("button[data-arm='0']")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator("figure[data-chart]:visible path.line.c0").count() == 0
    assert page.locator("figure[data-chart]:visible path.line.c1").count() == 5
    assert float(ticks(page)[-1]) < float(top) / 2
    button.click()
    assert ticks(page)[-1] == top
    for arm in range(3):
        page.click(f"button[data-arm='{arm}']")
    assert page.locator("#chart-0 .nothing").is_visible()


def test_log_median_and_seeds(opened: Open) -> None:
    page = opened("digits")
    linear = ticks(page)
    mean = page.locator("#chart-0 path.line.c0").get_attribute("d")
    page.click("button[value=median]")
    assert page.locator("#chart-0 path.line.c0").get_attribute("d") != mean
    page.click("button[value=mean]")
    assert page.locator("#chart-0 path.line.c0").get_attribute("d") == mean
    assert page.locator("#chart-0 path.seed").count() == 0
    page.click("[data-switch=seeds]")
    assert page.locator("#chart-0 path.seed").count() == 9
    page.click("button[value=log]")
    assert page.locator("#chart-0").get_attribute("data-scale") == "log"
    assert ticks(page) != linear
    assert "0" not in ticks(page)


def test_what_cannot_be_logarithmic_stays_linear(opened: Open) -> None:
    page = opened("digits")
    page.locator("#curves details.more > summary").click()
    page.click("button[value=log]")
    ratio = page.locator("figure", has=page.locator("h3", has_text="Share of synthetic rows corrected"))
    assert ratio.get_attribute("data-scale") == "log"  # some arm is positive
    page.click("button[data-arm='1']")
    assert ratio.get_attribute("data-scale") == "linear"  # the rest is zero


def test_hovering_reads_the_values_and_clicking_shows_the_samples(opened: Open, digits: Path) -> None:
    page = opened("digits")
    page.locator("#chart-0").scroll_into_view_if_needed()
    marks = page.locator("#chart-0 svg.chart")
    box = marks.bounding_box()
    tick = page.locator("#chart-0 text.tick.x", has_text="6").bounding_box()
    x = tick["x"] + tick["width"] / 2
    page.mouse.move(x, box["y"] + box["height"] / 2)
    readout = page.locator("#chart-0 .readout")
    assert readout.is_visible()
    assert readout.locator("b").inner_text() == "generation 6"
    rows = {row.locator("th").inner_text(): row.locator("td.value").inner_text() for row in readout.locator("tr").all()}
    for arm in load([digits]).arms:
        series = series_of(arm, "fid")
        assert series is not None
        assert rows[arm.label] == number(float(series.mean[6]))
    assert page.locator("figure[data-chart]:visible line.guide[visibility=visible]").count() == 5
    page.mouse.click(x, box["y"] + box["height"] / 2)
    assert page.inner_text("#generation-shown") == "generation 6"
    page.mouse.move(5, 5)
    assert not readout.is_visible()


def test_charts_are_read_by_keyboard(opened: Open) -> None:
    page = opened("digits")
    page.locator("#chart-0 svg.chart").focus()
    readout = page.locator("#chart-0 .readout b")
    for key, generation in (("ArrowLeft", 10), ("ArrowLeft", 9), ("Home", 0), ("ArrowRight", 1), ("End", 10)):
        page.keyboard.press(key)
        assert readout.inner_text() == f"generation {generation}"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert page.inner_text("#generation-shown") == "generation 0"
    page.keyboard.press("Escape")
    assert not readout.is_visible()


def test_the_table_of_numbers_says_what_python_says(opened: Open, digits: Path) -> None:
    page = opened("digits")
    page.locator("#chart-0 details.data > summary").click()
    rows = page.locator("#chart-0 table.numbers tr")
    assert rows.count() == 12
    series = [series_of(arm, "fid") for arm in load([digits]).arms]
    for generation in (0, 4, 10):
        cells = rows.nth(generation + 1).locator("td").all_text_contents()
        expected = [
            f"{number(float(s.mean[generation]))} ({number(float(s.low[generation]))} to "
            f"{number(float(s.high[generation]))})"
            for s in series
            if s is not None
        ]
        assert cells == expected


@pytest.mark.parametrize("name", ["digits", "gaussian"])
def test_drawings_with_and_without_javascript_agree(opened: Open, name: str) -> None:
    live, still = opened(name), opened(name, java_script_enabled=False)
    count = live.locator("figure[data-chart]:visible").count()
    assert still.locator("figure[data-chart]:visible").count() == count
    for i in range(min(count, 3)):
        chart = f"#chart-{i}"
        assert ticks(live, chart) == ticks(still, chart)
        for css in ("c0", "c1", "cr"):
            paths = [p.locator(f"{chart} path.line.{css}") for p in (live, still)]
            assert paths[0].count() == paths[1].count()
            if paths[0].count():
                ys = [heights(path.get_attribute("d")) for path in paths]
                frames = [p.locator(f"{chart} line.axis").get_attribute("y1") for p in (live, still)]
                assert frames[0] == frames[1]
                np.testing.assert_allclose(ys[0], ys[1], atol=0.5)  # 4 digits in the data, 0.1 pixels in the path


def heights(path: str) -> list[float]:
    """The y of every point of an M/L path."""
    return [float(point.split(" ")[1]) for point in path.replace("L", "M").split("M")[1:]]


def test_without_javascript_the_last_generation_is_seen(opened: Open) -> None:
    page = opened("digits", java_script_enabled=False)
    frames = page.locator("#gallery .frame:visible")
    assert frames.count() == 3
    assert {frames.nth(i).get_attribute("data-generation") for i in range(3)} == {"10"}
    assert page.locator(".js-only:visible").count() == 0
    assert page.locator("#chart-0 path.line.c0").bounding_box()["width"] > 300


def colour(page: Any, selector: str, name: str) -> str:
    return page.locator(selector).first.evaluate(f"e => getComputedStyle(e)['{name}']")


def test_dark_mode_follows_the_system_and_the_toggle(opened: Open) -> None:
    light, dark = opened("digits", color_scheme="light"), opened("digits", color_scheme="dark")
    for selector, name in (("body", "backgroundColor"), ("body", "color"), ("#chart-0 path.line.c0", "stroke")):
        assert colour(light, selector, name) != colour(dark, selector, name)
    assert colour(light, "img.ink", "filter") == "invert(1)"
    assert colour(dark, "img.ink", "filter") == "none"
    before = {k: colour(dark, "body", k) for k in ("backgroundColor", "color")}
    light.click("#theme")
    assert {k: colour(light, "body", k) for k in before} == before
    assert colour(light, "img.ink", "filter") == "none"
    light.click("#theme")
    assert colour(light, "body", "backgroundColor") == "rgb(255, 255, 255)"
    dark.emulate_media(media="print")
    assert colour(dark, "body", "backgroundColor") == "rgb(255, 255, 255)"


def test_hostile_text_is_inert(opened: Open) -> None:
    page = opened("hostile")
    page.wait_for_timeout(200)
    assert page.locator("script").count() == 2
    assert page.locator("img[src=x]").count() == 0
    assert "<script>alert(1)</script>" in page.inner_text("h1")
    assert page.locator("button[data-arm]").inner_text().startswith("<script>alert(1)</script>")
    box = page.locator("#chart-0 svg.chart").bounding_box()
    page.locator("#chart-0 svg.chart").hover(position={"x": box["width"] / 3, "y": 60})
    assert "<script>alert(1)</script>" in page.locator("#chart-0 .readout").inner_text()
    page.locator("#chart-0 details.data > summary").click()
    assert "<script>" in page.locator("#chart-0 table.numbers").inner_text()
    assert page.locator("script").count() == 2


def test_an_injected_script_would_not_run(browser: Any, pages: dict[str, Path]) -> None:
    said: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda m: said.append(m.text))
    page.goto(pages["text"].as_uri())
    ran = page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.ran = true';
        document.body.append(s); return window.ran === true; }"""
    )
    assert ran is False
    assert any("Content Security Policy" in text for text in said)
    context.close()


@pytest.mark.parametrize("name", ["digits", "gaussian", "text", "hostile"])
def test_a_phone_needs_no_sideways_scrolling(opened: Open, name: str) -> None:
    page = opened(name, width=375, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.locator("details").evaluate_all("all => all.forEach(d => (d.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    rights = page.locator("svg.chart:visible text").evaluate_all("all => all.map(t => t.getBoundingClientRect().right)")
    assert max(rights) <= 376
    sizes = page.locator("svg.chart:visible text").evaluate_all("all => all.map(t => t.getBoundingClientRect().height)")
    assert min(sizes) >= 11  # text is drawn at its size, not shrunk with the picture


def test_copying_the_specification(opened: Open) -> None:
    page = opened("digits", permissions=["clipboard-read", "clipboard-write"])
    page.locator("details.spec > summary").first.click()
    page.locator("button[data-copy='spec-0']").click()
    playwright.expect(page.locator("button[data-copy='spec-0']")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("arm: no_correction\nseed: 0\n")


def test_forecasts_are_dashed_flagged_and_can_be_hidden(opened: Open) -> None:
    page = opened("gaussian")
    assert page.locator("#chart-0 path.forecast").count() == 5  # four arms, and the bound that they share
    assert page.locator("#chart-0 .disagrees").count() == 1
    assert colour(page, "#chart-0 path.forecast", "strokeDasharray") not in ("none", "")
    assert page.locator("#chart-0 .badge").all_text_contents() == ["exact", "sufficient bound"]
    page.click("[data-switch=forecasts]")
    assert page.locator("#chart-0 path.forecast").count() == 0
