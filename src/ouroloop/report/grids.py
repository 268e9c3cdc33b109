"""Sample grids: one panel an arm, one frame a seed and generation, drawn as what the samples are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape

from ouroloop.report.curves import thinned
from ouroloop.report.draw import tag
from ouroloop.report.images import Tone, as_images, data_uri, sprite, tone_of
from ouroloop.report.load import Results
from ouroloop.report.palette import Look, looks
from ouroloop.report.points import Window, as_points, histogram_svg, outside_note, reference_svg, scatter_svg, window_of
from ouroloop.report.previews import Plan, Preview, kind_of, plan_of, preview_path, read_preview, sentences_of
from ouroloop.report.strips import joints_of, lengths_of, strip_svg
from ouroloop.report.wording import number, plural

__all__ = [
    "Frame",
    "Gallery",
    "Panel",
    "first_previews",
    "gallery_of",
    "images_by_shape",
    "rows_table",
    "texts_list",
]

MOST_IMAGE_BYTES = 1_500_000  # data URIs of all frames together
_COUNTS = (100, 64, 49, 36, 25, 16, 9)  # pictures a frame, the first that fits
_TRADES = ((60, 36), (31, 25), (21, 16), (11, 1))  # generations at most, pictures a frame at least; the first that fits
_TEXTS, _TEXT_LENGTH = 8, 240
_ROWS, _COLUMNS = 8, 6
_STRIPS = 2  # motions a frame
_REFERENCE = "reference-points"  # identity of the SVG group that all scatter panels show in grey


@dataclass(frozen=True)
class Frame:
    """The samples of one seed and generation, ready to be shown, and a note under them."""

    seed: int
    generation: int
    body: Markup
    note: str


@dataclass(frozen=True)
class Panel:
    """The frames of one arm; `first` is the one that is seen without JavaScript (first seed, last generation)."""

    label: str
    look: Look
    frames: tuple[Frame, ...]

    @property
    def first(self) -> Frame:
        """The first seed's last frame."""
        return max((f for f in self.frames if f.seed == self.frames[0].seed), key=lambda f: f.generation)


@dataclass(frozen=True)
class Gallery:
    """All panels, what the slider runs over, and what has to be said about them."""

    generations: tuple[int, ...]
    seeds: tuple[int, ...]
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]
    shared: Markup


@dataclass
class _Setting:
    """What all frames of a kind share, so that arms and generations can be compared by eye."""

    tones: dict[tuple[int, ...], Tone] = field(default_factory=dict)
    counts: dict[tuple[int, ...], int] = field(default_factory=dict)
    windows: dict[int, Window] = field(default_factory=dict)
    references: dict[int, np.ndarray] = field(default_factory=dict)


def gallery_of(results: Results) -> Gallery | None:
    """The sample grids, or None where no run has kept a preview.

    Raises:
        StoreError: a preview is truncated; the message names the file.
    """
    plan, setting = _fitted(results)
    if not plan.generations:
        return None
    arm_looks, panels, notes = looks(results.arms), [], []
    for place, arm in enumerate(results.arms):
        frames = _frames(plan, place, arm_looks[place], arm.label, setting)
        if frames:
            panels.append(Panel(arm.label, arm_looks[place], tuple(frames)))
        else:
            notes.append(f"{arm.label}: no preview was kept, so there is nothing to show")
    if plan.left_out:
        notes.append(f"{plural(plan.left_out, 'generation')} with a preview left out to keep the page small")
    notes.extend(_reading(setting))
    seeds = sorted({frame.seed for panel in panels for frame in panel.frames})
    shared = (
        reference_svg(setting.references[2], setting.windows[2], _REFERENCE) if 2 in setting.windows else Markup("")
    )
    return Gallery(plan.generations, tuple(seeds), tuple(panels), tuple(notes), shared) if panels else None


def _fitted(results: Results) -> tuple[Plan, _Setting]:
    """What is shown: fewer generations rather than fewer than a handful of pictures in each."""
    tried = ((plan, _setting(plan), least) for g, least in _TRADES for plan in [plan_of(results, g)])
    for plan, setting, least in tried:
        if min(setting.counts.values(), default=least) >= least:
            return plan, setting
    raise AssertionError("the last trade-off takes any number of pictures")


def _reading(setting: _Setting) -> list[str]:
    """How to read the pictures, in words."""
    lines = []
    for shape, tone in setting.tones.items():
        size = "×".join(map(str, shape))
        lines.append(
            f"Pictures of {size} pixels on one grey scale for all arms, {number(tone.low)} to {number(tone.high)}"
        )
    if setting.windows:
        lines.append("Grey: generation 0, fitted to real data alone. Ellipses: two standard deviations")
        lines.extend(f"Frame: {window.text}" for window in setting.windows.values())
    return lines


def _setting(plan: Plan) -> _Setting:
    """Scales and windows from the earliest preview of each arm, and how many pictures fit in a frame."""
    setting = _Setting()
    firsts = first_previews(plan)
    frames = sum(len(plan.shown(place, run)) for place, runs in plan.runs.items() for run in runs)
    for kind, previews in _by_kind(firsts).items():
        if kind == "image":
            _set_images(setting, previews, frames)
        elif kind in ("points", "values"):
            _set_points(setting, previews, plan)
    return setting


def first_previews(plan: Plan) -> list[Preview]:
    """The earliest preview of each arm's first seed: what scales and windows are taken from."""
    found = []
    for place, runs in plan.runs.items():
        shown = plan.shown(place, runs[0])
        preview = read_preview(preview_path(runs[0], shown[0])) if shown else None
        if preview is not None:
            found.append(preview)
    return found


def images_by_shape(previews: Sequence[Preview]) -> dict[tuple[int, ...], np.ndarray]:
    """The pictures among the previews, all arms together, by the shape of one picture."""
    groups: dict[tuple[int, ...], list[np.ndarray]] = {}
    for preview in previews:
        images = as_images(preview.x) if kind_of(preview) == "image" else None
        if images is not None:
            groups.setdefault(images.shape[1:], []).append(images)
    return {shape: np.concatenate(group) for shape, group in groups.items()}


def _by_kind(previews: Sequence[Preview]) -> dict[str, list[Preview]]:
    groups: dict[str, list[Preview]] = {}
    for preview in previews:
        groups.setdefault(kind_of(preview), []).append(preview)
    return groups


def _set_images(setting: _Setting, previews: Sequence[Preview], frames: int) -> None:
    by_shape = images_by_shape(previews)
    for shape, images in by_shape.items():
        tone = tone_of(images)
        setting.tones[shape] = tone
        sizes = {k: len(data_uri(sprite(_pick(images, k), tone, math.isqrt(k)))) * frames for k in _COUNTS}
        fitting = [k for k, size in sizes.items() if size <= MOST_IMAGE_BYTES / len(by_shape)]
        setting.counts[shape] = fitting[0] if fitting else _COUNTS[-1]


def _set_points(setting: _Setting, previews: Sequence[Preview], plan: Plan) -> None:
    for preview in previews:
        points = as_points(preview.x)
        if points is not None:
            d = points.shape[1]
            known = setting.references.get(d)
            setting.references[d] = points if known is None else known
    seen: dict[int, list[np.ndarray]] = {}
    for place, runs in plan.runs.items():
        for generation in plan.shown(place, runs[0]):
            preview = read_preview(preview_path(runs[0], generation))
            points = as_points(preview.x) if preview else None
            if points is not None:
                seen.setdefault(points.shape[1], []).append(points)
    for d, reference in setting.references.items():
        setting.windows[d] = window_of(reference, seen.get(d, []))


def _pick(rows: np.ndarray, count: int) -> np.ndarray:
    return rows[thinned(len(rows), count)]


def _frames(plan: Plan, place: int, look: Look, label: str, setting: _Setting) -> list[Frame]:
    frames = []
    for run in plan.runs.get(place, ()):
        for generation in plan.shown(place, run):
            preview = read_preview(preview_path(run, generation))
            if preview is None:
                continue
            title = f"{label}, seed {run.seed}, generation {generation}"
            body, note = _draw(preview, look, title, setting)
            frames.append(Frame(run.seed, generation, body, note))
    return frames


def _draw(preview: Preview, look: Look, title: str, setting: _Setting) -> tuple[Markup, str]:
    kind = kind_of(preview)
    if kind == "motion":
        return _motions(preview, look, title)
    captions = sentences_of(preview)
    below = texts_list(captions, title) if captions else Markup("")
    if kind == "image":
        body, note = _image(preview, title, setting)
    elif kind in ("points", "values"):
        body, note = _points(preview, look, title, setting)
    elif kind == "text":
        body, note = texts_list([str(v) for v in preview.x.ravel()], title), ""
    else:
        body, note = rows_table(preview.x, title), f"first {min(len(preview), _ROWS)} of {len(preview)} rows kept"
    return body + below, note


def _motions(preview: Preview, look: Look, title: str) -> tuple[Markup, str]:
    lengths = lengths_of(preview.x, preview.columns.get("length"))
    captions = sentences_of(preview) or [f"motion {i + 1}" for i in range(len(preview))]
    strips = [
        Markup('{}<p class="small">{}</p>').format(
            strip_svg(joints_of(preview.x[i, : lengths[i]]), look.css, f"{captions[i]}; {title}"), captions[i]
        )
        for i in range(min(_STRIPS, len(preview)))
    ]
    return Markup("").join(strips), f"{min(_STRIPS, len(preview))} of {plural(len(preview), 'motion')} kept"


def _image(preview: Preview, title: str, setting: _Setting) -> tuple[Markup, str]:
    images = as_images(preview.x)
    assert images is not None  # kind_of said so
    shape = images.shape[1:]
    tone = setting.tones.get(shape) or tone_of(images)
    shown = _pick(images, setting.counts.get(shape, 36))
    sheet = sprite(shown, tone, max(math.isqrt(len(shown) - 1) + 1, 1))
    height, width = sheet.shape[:2]
    picture = Markup('<img class="sprite{}" alt="{}" width="{}" height="{}" src="{}">').format(
        " ink" if tone.ink else "", f"samples of {title}", width, height, data_uri(sheet)
    )
    bad = int((~np.isfinite(images.reshape(len(images), -1)).all(axis=1)).sum())
    notes = [plural(len(shown), "sample")] + ([f"{bad} with NaN, drawn grey"] if bad else [])
    return picture, ", ".join(notes)


def _points(preview: Preview, look: Look, title: str, setting: _Setting) -> tuple[Markup, str]:
    points = as_points(preview.x)
    assert points is not None  # kind_of said so
    d = points.shape[1]
    window = setting.windows.get(d) or window_of(points, [])
    outside = outside_note(points, window)
    note = ", ".join(part for part in (plural(len(points), "sample"), outside) if part)
    if d == 1:
        return histogram_svg(points, setting.references.get(d), window, look.css, title), note
    return scatter_svg(points, window, look.css, title, _REFERENCE if d in setting.references else None), note


def texts_list(texts: Sequence[str], title: str) -> Markup:
    """The first texts as a list, long ones cut."""
    items = [t if len(t) <= _TEXT_LENGTH else t[: _TEXT_LENGTH - 1] + "…" for t in texts[:_TEXTS]]
    rows = Markup("").join(Markup("<li>{}</li>").format(item) for item in items)
    return Markup('<ol class="texts" aria-label="{}">{}</ol>').format(title, rows)


def rows_table(x: np.ndarray, title: str) -> Markup:
    """The first rows of anything as a small table: up to 8 rows of up to 6 values."""
    flat = x.reshape(len(x), -1)
    cut = flat.shape[1] > _COLUMNS
    rows = [[_cell(value) for value in row[:_COLUMNS]] + (["…"] if cut else []) for row in flat[:_ROWS]]
    lines = Markup("").join(
        tag("tr", *(tag("td", value) for value in row))  # the same escaping as in SVG
        for row in rows
    )
    return Markup('<div class="scroll"><table class="rows" aria-label="{}">{}</table></div>').format(
        title, escape(lines)
    )


def _cell(value: object) -> str:
    return number(float(value)) if isinstance(value, (np.floating, np.integer, np.bool_)) else str(value)[:40]
