"""The picture of the README from a run of the demo: distance by generation, and samples of the last one.

ouroloop demo && python benchmarks/demo_picture.py runs/demo docs/images/demo.png
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from ouroloop.report.figures import write_figures

_HEIGHT, _GAP = 466, 24  # pixels


def main(study: Path, picture: Path) -> None:
    """Put two figures of the report side by side."""
    with tempfile.TemporaryDirectory() as folder:
        write_figures([study], Path(folder), formats=["png"])
        parts = [Image.open(Path(folder) / name).convert("RGB") for name in ("fid.png", "samples.png")]
    curves = parts[0].resize((round(parts[0].width * _HEIGHT / parts[0].height), _HEIGHT), Image.Resampling.LANCZOS)
    width = 1440 - curves.width - _GAP
    samples = parts[1].resize((width, round(parts[1].height * width / parts[1].width)), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (1440, _HEIGHT), "white")
    page.paste(curves, (0, 0))
    page.paste(samples, (curves.width + _GAP, (_HEIGHT - samples.height) // 2))
    page.quantize(128).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
