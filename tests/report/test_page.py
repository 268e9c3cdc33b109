from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ouroloop.errors import DataError, StoreError
from ouroloop.report import write_report


class Reader(HTMLParser):
    """Tags with their attributes, text outside of style and script, and the texts of both by tag."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self._open[-1] if self._open else ("", {})
        if tag in ("script", "style"):
            self.raw.append((tag, attributes, data))
        else:
            self.texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(tmp_path: Path, *paths: Path, **options: str) -> str:
    return write_report(list(paths), tmp_path / "report.html", **options).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def digits_page(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(tmp_path_factory.mktemp("page"), digits)


def test_every_section_is_there(digits_page: str) -> None:
    ids = [attributes.get("id") for _, attributes in Reader(digits_page).tags]
    for section in ("verdict", "curves", "differences", "samples", "corrections", "checks", "alarm", "provenance"):
        assert section in ids
    text = Reader(digits_page).text
    for words in ("No correction is collapsing", "ratio ≥ 5", "not measured", "ouroloop study digits",
                  "lower is better", "95 % t-interval over 3 seeds", "Effective synthetic ratio", "arXiv"):  # fmt: skip
        assert words in text


def test_the_page_is_one_file_without_addresses(digits_page: str) -> None:
    for tag, attributes in Reader(digits_page).tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            if value is not None and tag != "a":
                assert value.startswith(("data:", "#")), (tag, name, value[:80])
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes, tag
        assert tag not in ("iframe", "object", "embed", "base", "form")
    assert "@import" not in digits_page
    assert not re.search(r"url\((?!#)", digits_page)


def test_the_policy_allows_exactly_this_style_and_script(digits_page: str) -> None:
    reader = Reader(digits_page)
    (policy,) = (a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag, attributes, content in reader.raw:
        if attributes.get("type") == "application/json":
            continue
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_data_is_json_that_cannot_end_its_element(hostile: Path, tmp_path: Path) -> None:
    reader = Reader(page_of(tmp_path, hostile))
    (text,) = (content for _, attributes, content in reader.raw if attributes.get("type") == "application/json")
    assert "<" not in text
    data = json.loads(text)
    assert "<script>alert(1)</script>" in data["arms"][0]["label"]
    assert len(data["charts"][0]["lines"][0]["mean"]) == 3


def test_hostile_text_stays_text(hostile: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path, hostile)
    reader = Reader(page)
    assert [tag for tag, _ in reader.tags].count("script") == 2
    assert [tag for tag, _ in reader.tags].count("title") >= 1
    assert not [a for tag, a in reader.tags if tag == "img" and a.get("src") == "x"]
    # Title, verdict, table, legend, chart, forecast, samples, corrections, checks, alarm, spec, environment, citation.
    assert reader.text.count("<script>alert(1)</script>") > 25


def test_the_script_never_parses_markup() -> None:
    import ouroloop.report

    for name in ("charts.js", "page.js"):
        script = (Path(ouroloop.report.__file__).parent / name).read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch("):
            assert way not in script


def test_the_same_runs_give_the_same_bytes(digits: Path, digits_page: str, tmp_path: Path) -> None:
    assert page_of(tmp_path, digits) == digits_page


def test_the_page_of_three_arms_with_pictures_stays_small(digits_page: str) -> None:
    assert len(digits_page.encode()) < 1_500_000


def test_a_long_study_with_many_seeds_stays_small(make_runs: ModuleType, tmp_path: Path) -> None:
    t = np.arange(501)
    root = tmp_path / "long"
    for arm in range(8):
        for seed in range(4):
            rng = np.random.default_rng([arm, seed])
            curves = {f"metric_{m}": {"value": rng.normal(size=501), "floor": 0 * t + 1.0} for m in range(6)}
            make_runs.write_run(root / f"a{arm}" / f"seed-{seed}", arm=f"a{arm}", seed=seed, curves=curves, spec="{}\n")
    assert len(page_of(tmp_path, root).encode()) < 3_000_000


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_run_with_only_generation_zero(make_runs: ModuleType, tmp_path: Path, seeds: tuple[int, ...]) -> None:
    root = make_runs.digits_study(tmp_path / "d", generations=0, seeds=seeds)
    text = Reader(page_of(tmp_path, root)).text
    assert "Fréchet distance" in text
    assert "At generation 0" in text


def test_no_metric_no_preview_no_spec_still_gives_a_page(tmp_path: Path) -> None:
    (tmp_path / "bare" / "generations" / "0000").mkdir(parents=True)
    text = Reader(page_of(tmp_path, tmp_path / "bare")).text
    for words in ("metrics.parquet is missing", "No metric was measured", "No preview of the samples was kept",
                  "Neither a command nor a specification was recorded", "spec.yaml is missing"):  # fmt: skip
        assert words in text


def test_only_nan_is_a_page_without_that_curve(make_runs: ModuleType, tmp_path: Path) -> None:
    curves = {"fid": {"value": np.full(3, np.nan)}, "kid": {"value": np.array([1.0, np.nan, np.inf])}}
    path = make_runs.write_run(tmp_path / "r", arm="a", seed=0, curves=curves, spec="{}\n")
    page = page_of(tmp_path, path)
    assert page.count('<figure class="figure') == 1
    assert "NaN" not in page.split('id="data">')[1].split("</script>")[0]


def test_differing_lengths_ten_arms_and_unfinished_runs(make_runs: ModuleType, tmp_path: Path) -> None:
    for arm in range(10):
        t = np.arange(2 + arm)
        curves = {"fid": {"value": 1.0 + t}, "alarm": {"value": 0 * t}}
        make_runs.write_run(
            tmp_path / "runs" / f"arm{arm}", arm=f"arm{arm}", seed=0, curves=curves, spec="generations: 9\n"
        )
    reader = Reader(page_of(tmp_path, tmp_path / "runs"))
    assert sum("data-arm" in attributes for _, attributes in reader.tags) == 10
    assert "arm0: unfinished: generation 1 of 9" in reader.text
    assert "arm9: unfinished" not in reader.text


def test_unicode_survives(text: Path, tmp_path: Path) -> None:
    words = Reader(page_of(tmp_path, text)).text
    assert "текст" in words
    assert "獅子が眠る" in words


def test_a_truncated_metrics_file_is_named_and_nothing_is_written(digits: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(digits, tmp_path / "digits")
    path = copy / "cluster" / "seed-1" / "metrics.parquet"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StoreError, match=r"cluster/seed-1/metrics\.parquet"):
        write_report([copy], tmp_path / "out.html")
    assert not list(tmp_path.glob("*out.html*"))


def test_out_may_be_a_folder_and_must_be_writable(text: Path, tmp_path: Path) -> None:
    assert write_report([text], tmp_path) == tmp_path / "report.html"
    assert write_report([text], tmp_path / "new" / "r.html").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_report([text], tmp_path / "file" / "r.html")


def test_title_and_baseline_can_be_chosen(digits: Path, tmp_path: Path) -> None:
    text = Reader(page_of(tmp_path, digits, title="Mine & yours", baseline="no_correction")).text
    assert "Mine & yours" in text
    assert "Difference from No correction" in text
    with pytest.raises(DataError, match="nobody"):
        write_report([digits], tmp_path / "x.html", baseline="nobody")


def test_forecasts_carry_their_validity_source_and_disagreement(gaussian: Path, tmp_path: Path) -> None:
    text = Reader(page_of(tmp_path, gaussian)).text
    assert "sufficient bound" in text
    assert "Gillman et al. 2024, Theorem 4.3; holds for small synthetic ratios" in text
    assert re.search(r"Disagrees with the forecast beyond its stated error: γ = 0\.3 at \d+ % of generations", text)
