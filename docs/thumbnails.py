"""Make the pictures of the landing page from the figures of its pages, as they were built last.

make docs && python docs/thumbnails.py
"""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
WIDTH, COLOURS = 480, 64
# The number of the figure of each page.
FIGURES = {
    "sst": 1,
    "silent-gauge": 0,
    "instruments": 0,
    "tracks": 0,
    "forecast": 0,
    "own-dynamics": 0,
    "warm-days": 1,
}


def main() -> None:
    """Write one picture for each page."""
    built = HERE / "_build/tutorials"
    folder = HERE / "_static/gallery"
    folder.mkdir(exist_ok=True)
    for page, number in FIGURES.items():
        figures = re.findall(r'src="(\.\./_images/[^"]+\.png)"', (built / f"{page}.html").read_text("utf-8"))
        figure = Image.open(built / figures[number]).convert("RGB")
        figure.thumbnail((WIDTH, WIDTH))
        figure.quantize(COLOURS).save(folder / f"{page}.png", optimize=True)


if __name__ == "__main__":
    main()
