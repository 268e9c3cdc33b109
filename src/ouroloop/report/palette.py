"""The report's colours, light and dark, as CSS variables. Arms stay apart under the common colour blindnesses.

The arm colours were chosen so that any two differ under simulated protanopia, deuteranopia and
tritanopia; tests/report/test_palette.py measures it. Beyond eight arms the colours repeat with
another dash. The real-only control is always grey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ouroloop.report.load import Arm

__all__ = ["ARMS_DARK", "ARMS_LIGHT", "DARK", "LIGHT", "NEUTRAL", "Look", "css", "looks"]

ARMS_LIGHT = ("#b83a06", "#1763d6", "#0a9f6c", "#86258f", "#bf9010", "#d061ae", "#4a1ba3", "#6a240e")
ARMS_DARK = ("#f5673a", "#8cc8ff", "#2ee59d", "#c45cf0", "#ecd94e", "#e2609c", "#d0f28c", "#bd7a5e")
DASHES = ("", "7 3", "2 3", "9 3 2 3")
MARKERS = ("circle", "square", "triangle", "diamond")

LIGHT = {
    "bg": "#ffffff",
    "raised": "#f6f7f8",
    "ink": "#16191d",
    "soft": "#535a64",
    "faint": "#868d97",
    "rule": "#dfe2e6",
    "grid": "#eceef1",
    "focus": "#1763d6",
    "control": "#6f767f",
    "floor": "#868d97",
    "healthy": "#d9efe6",
    "healthy-ink": "#0b5a40",
    "drifting": "#fbe3a3",
    "drifting-ink": "#6b4700",
    "collapsing": "#b83a06",
    "collapsing-ink": "#ffffff",
    "kept": "#c3c9d1",
    "changed": "#1763d6",
    "dropped": "#bf9010",
    "failed": "#b83a06",
}
DARK = {
    "bg": "#14161a",
    "raised": "#1c1f25",
    "ink": "#eceef1",
    "soft": "#b0b7c0",
    "faint": "#858d98",
    "rule": "#343941",
    "grid": "#23272d",
    "focus": "#8cc8ff",
    "control": "#a2a9b3",
    "floor": "#858d98",
    "healthy": "#16382d",
    "healthy-ink": "#8fe3c1",
    "drifting": "#4d3b0b",
    "drifting-ink": "#ffe08a",
    "collapsing": "#f5673a",
    "collapsing-ink": "#14161a",
    "kept": "#535a64",
    "changed": "#8cc8ff",
    "dropped": "#ecd94e",
    "failed": "#f5673a",
}


@dataclass(frozen=True)
class Look:
    """How an arm is drawn: its CSS class, light colour, dash and marker."""

    css: str
    colour: str
    dash: str
    marker: str


NEUTRAL = Look("cn", LIGHT["soft"], "", "circle")  # for what belongs to no single arm


def looks(arms: Sequence[Arm]) -> list[Look]:
    """A look for each arm, in order; the real-only control is grey and takes no colour from the others."""
    result, used = [], 0
    for arm in arms:
        if arm.real_only:
            result.append(Look("cr", LIGHT["control"], "", "circle"))
            continue
        turn = used // len(ARMS_LIGHT)
        slot = used % len(ARMS_LIGHT)
        marker = MARKERS[(used + turn) % len(MARKERS)]
        dash = turn % len(DASHES)
        result.append(Look(f"c{slot} d{dash}" if dash else f"c{slot}", ARMS_LIGHT[slot], DASHES[dash], marker))
        used += 1
    return result


def css() -> str:
    """The colour variables for light, dark and the toggle, and one class an arm colour."""

    def block(names: Mapping[str, str], arms: Sequence[str]) -> str:
        return "".join(f"--{k}:{v};" for k, v in names.items()) + "".join(f"--a{i}:{v};" for i, v in enumerate(arms))

    light, dark = block(LIGHT, ARMS_LIGHT), block(DARK, ARMS_DARK)
    classes = "".join(f".c{i}{{--c:var(--a{i})}}" for i in range(len(ARMS_LIGHT)))
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}\n"
        f"@media screen{{:root[data-theme=light]{{color-scheme:light;{light}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n"
        f"{classes}.cr{{--c:var(--control)}}.cn{{--c:var(--soft)}}\n"
    )
