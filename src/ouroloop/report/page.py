"""One self-contained HTML page from run directories: everything inline, nothing fetched, every text escaped."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ouroloop.errors import StoreError
from ouroloop.report import provenance
from ouroloop.report.axis import Axis
from ouroloop.report.corrections import corrections_of
from ouroloop.report.curves import Chart, charts_of, is_log, model
from ouroloop.report.differences import Difference, baseline_of, differences
from ouroloop.report.draw import LABEL_GAP, chart_svg
from ouroloop.report.estimates import with_estimates
from ouroloop.report.grids import Gallery, gallery_of
from ouroloop.report.heatmap import LEVELS, heatmap_of
from ouroloop.report.heatmap_svg import Picture, picture_of
from ouroloop.report.load import Results, load
from ouroloop.report.metric_names import BOOKKEEPING, describe
from ouroloop.report.motions import Player, player_of
from ouroloop.report.palette import css, looks
from ouroloop.report.summary import headline_of, lead, rows_of, verdict
from ouroloop.report.timeline import timeline_of
from ouroloop.report.unmeasured import unmeasured_of
from ouroloop.report.wording import listed, number, plural, spread

__all__ = ["render", "write_report"]

_HERE = Path(__file__).parent
_SHOWN_CHARTS = 9  # further charts are folded away


def write_report(paths: Sequence[Path], out: Path, *, title: str | None = None, baseline: str | None = None) -> Path:
    """Write the report of run directories, study directories or folders of runs.

    Args:
        paths: the directories.
        out: the HTML file, or an existing directory in which report.html is written.
        title: the page's title; default: the study's, else the runs' names.
        baseline: the arm that the others are held against; default: the real-only control.

    Returns:
        The path of the file, which has been replaced as a whole.

    Raises:
        StoreError: a path holds no run, one of its files is truncated, or `out` cannot be written.
        DataError: there is no arm called `baseline`.
    """
    page = render(with_estimates(load(paths)), title=title, baseline=baseline)
    out = Path(out)
    target = out / "report.html" if out.is_dir() else out
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(page, encoding="utf-8", newline="\n")
        os.replace(temporary, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"{target}: the report cannot be written ({error})") from error
    return target


def render(results: Results, *, title: str | None = None, baseline: str | None = None) -> str:
    """The page as text (see `write_report`)."""
    headline = headline_of(results)
    charts = charts_of(results, headline)
    gallery = gallery_of(results)
    player = player_of(results)
    corrections, silent = corrections_of(results)
    style, script = _style(), _script(player is not None)
    against = baseline_of(results, baseline)
    arms = [{"label": arm.label, "look": look} for arm, look in zip(results.arms, looks(results.arms), strict=True)]
    main = [c for c in charts if c.name.name not in BOOKKEEPING]
    return (
        _environment()
        .get_template("template.html")
        .render(
            title=title or _title(results),
            studies=results.studies,
            policy=_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            data=_json(_data(arms, charts, results.axis, gallery, player)),
            arms=arms,
            notes=results.notes,
            headline=describe(headline) if headline else None,
            verdict=verdict(results),
            lead=lead(results),
            look_of={arm["label"]: arm["look"].css for arm in arms},
            rows=rows_of(results),
            pictures=_pictures(results),
            sections=_chart_sections(main, [c for c in charts if c.name.name in BOOKKEEPING]),
            open_on_log=bool(charts and is_log(charts[0])),
            many_seeds=any(len(arm.runs) > 1 for arm in results.arms),
            forecasts_shown=any(chart.guesses for chart in charts),
            unmeasured=unmeasured_of(results),
            differences=_by_metric(differences(results, against)) if len(results.arms) > 1 else [],
            baseline=against.label,
            gallery=gallery,
            player=player,
            corrections=corrections,
            silent=silent,
            checks=[check for study in results.studies for check in study.checks],
            timeline=timeline_of(results),
            axis=results.axis,
            **_origins(results),
        )
    )


def _origins(results: Results) -> dict[str, Any]:
    """What the last section needs: specs, environment, commands, citations, files."""
    environment, varying = provenance.environment_of(results)
    files, more_runs = provenance.files_of(results)
    return {
        "differing": provenance.differing(results),
        "specs": provenance.specs_of(results),
        "environment": environment,
        "varying": varying,
        "commands": provenance.commands(results),
        "citations": provenance.citations(results),
        "files": files,
        "more_runs": more_runs,
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, plural=lambda count, noun: plural(count, noun), listed=listed)
    environment.globals.update(spread=spread, groups=guess_groups)
    return environment


@cache
def _style() -> str:
    return css() + (_HERE / "style.css").read_text(encoding="utf-8")


@cache
def _script(motions: bool) -> str:
    names = ("charts.js", "page.js", "motions.js") if motions else ("charts.js", "page.js")
    parts = [(_HERE / name).read_text(encoding="utf-8") for name in names]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def _policy(style: str, script: str) -> str:
    """The content security policy: this style, this script and inline pictures, and nothing else."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")

    return (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; script-src 'sha256-{digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _json(content: Mapping[str, Any]) -> Markup:
    """JSON that may stand inside a script element: no character that could end it."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _data(
    arms: Sequence[Mapping[str, Any]],
    charts: Sequence[Chart],
    axis: Axis,
    gallery: Gallery | None,
    player: Player | None,
) -> dict[str, Any]:
    return {
        "log": bool(charts and is_log(charts[0])),
        "arms": [
            {"label": a["label"], "css": a["look"].css, "dash": a["look"].dash, "marker": a["look"].marker}
            for a in arms
        ],
        "axis": {"title": axis.title, "texts": axis.texts},
        "charts": [model(chart) for chart in charts],
        "generations": list(gallery.generations) if gallery else [],
        **({"motions": player.content} if player else {}),
    }


def _chart_sections(main: Sequence[Chart], bookkeeping: Sequence[Chart]) -> list[dict[str, Any]]:
    """Charts with their number (the place in the data) and SVG, in the groups in which they are shown."""
    numbered = []
    for place, chart in enumerate([*main, *bookkeeping]):
        wide = place == 0
        width, height = (1060, 370) if wide else (520, 240)
        svg = chart_svg(chart, width, max(height, int(LABEL_GAP) * len(chart.lines) + 46), f"chart-{place}")
        numbered.append({"place": place, "chart": chart, "wide": wide, "svg": svg})
    groups = [
        ("", numbered[:_SHOWN_CHARTS] if len(main) > _SHOWN_CHARTS else numbered[: len(main)]),
        ("More metrics", numbered[_SHOWN_CHARTS : len(main)]),
        ("Bookkeeping: ratio, rows, corrections", numbered[len(main) :]),
    ]
    return [{"title": title, "charts": group} for title, group in groups if group]


def _pictures(results: Results) -> list[Picture]:
    """Of the metrics that have a level, where the study's arms make a grid."""
    maps = [heatmap_of(results, metric) for metric in LEVELS]
    return [picture_of(found, f"map-{place}") for place, found in enumerate(maps) if found is not None]


def guess_groups(chart: Chart) -> list[dict[str, Any]]:
    """A chart's forecasts, those of several arms with the same label, source and validity joined."""
    groups: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for guess in chart.guesses:
        f = guess.forecast
        group = groups.setdefault((f.label, f.validity, f.source, f.note), {"forecast": f, "guesses": [], "wrong": []})
        group["guesses"].append(guess)
        if guess.disagrees:
            group["wrong"].append(
                f"{guess.arm_label} at {100 * (guess.outside or 0):.0f} % of {chart.axis.count(2).split()[-1]}"
            )
    return list(groups.values())


def _by_metric(entries: Sequence[Difference]) -> list[tuple[str, list[Difference]]]:
    groups: dict[str, list[Difference]] = {}
    for entry in entries:
        groups.setdefault(describe(entry.metric).title, []).append(entry)
    return list(groups.items())


def _title(results: Results) -> str:
    titles = [study.title or study.name for study in results.studies if study.title or study.name]
    if titles:
        return listed(list(dict.fromkeys(titles)))
    names = list(dict.fromkeys(run.path.resolve().name for run in results.runs))
    return (
        listed(names) if len(names) <= 3 else f"{plural(len(results.runs), 'run')}, {plural(len(results.arms), 'arm')}"
    )
