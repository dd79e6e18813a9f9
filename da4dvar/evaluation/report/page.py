"""A report as one self-contained HTML page with text, tables and embedded figures."""

from __future__ import annotations

import base64
import io
import platform
from collections.abc import Sequence
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING

from da4dvar.evaluation.report.part import Part, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCREEN, PRINT = 110, 200
# Inches from which a figure is too wide for a telephone, on which it is scrolled.
WIDE = 6
# Bytes from which a PNG file is too large for a page.
LARGE = 250_000
# A shadow at the edge of .wide says that there is more: white covers move with the content, shadows do not.
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: 0 auto;
  padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; border-bottom: 1px solid #ccc; margin-top: 2.2rem; }
h3 { font-size: 1.05rem; margin-top: 1.6rem; }
img { max-width: 100%; height: auto; display: block; margin: .8rem auto; }
.wide { overflow-x: auto; background:
  linear-gradient(to right, #fff 40%, #fff0) left / 2.5rem 100% no-repeat local,
  linear-gradient(to left, #fff 40%, #fff0) right / 2.5rem 100% no-repeat local,
  linear-gradient(to right, #0006, #0000) left / .9rem 100% no-repeat scroll,
  linear-gradient(to left, #0006, #0000) right / .9rem 100% no-repeat scroll; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .9rem; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #888; }
table.words td, table.words th { text-align: left; }
table.words td { white-space: normal; overflow-wrap: anywhere; }
nav ul { padding-left: 1.2rem; }
.wide th:first-child { position: sticky; left: 0; background: #fff; }
@media (max-width: 40rem) { body { padding: .6rem; } img.large { max-width: none; width: 44rem; }
  table.words th { white-space: normal; } }
@media print { body { max-width: none; font-size: 11pt; } img, tr { break-inside: avoid; }
  img { max-height: 22cm; width: auto; }
  h2, h3 { break-after: avoid; } .wide { overflow: visible; background: none; }
  th, td { padding: .1rem .35rem; } }
"""


def page(title: str, sections: Sequence[tuple[str, Sequence[Part]]]) -> str:
    """Return the HTML of a page with a table of contents.

    Parameters
    ----------
    title : str
        Title of the page.
    sections : sequence of (str, sequence of Part)
        Heading and parts of each section. A part with the same title as its section has no heading of its
        own.

    Returns
    -------
    str
        The whole page; it refers to no other file.
    """
    contents, body = [], []
    for s, (heading, parts) in enumerate(sections):
        contents.append(f'<li><a href="#s{s}">{escape(heading)}</a>')
        body.append(f'<section id="s{s}">\n<h2>{escape(heading)}</h2>')
        inner = []
        for p, part in enumerate(parts):
            if part.title != heading:
                inner.append(f'<li><a href="#s{s}-{p}">{escape(part.title)}</a></li>')
                body.append(f'<h3 id="s{s}-{p}">{escape(part.title)}</h3>')
            body.append(_part(part, heading))
        contents.append(f"<ul>{''.join(inner)}</ul></li>" if inner else "</li>")
        body.append("</section>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f'<nav aria-label="Contents"><ul>{"".join(contents)}</ul></nav>\n'
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def png(figure: Figure, dpi: int) -> bytes:
    """Return a figure as the content of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    content = io.BytesIO()
    # Without the version of matplotlib in its metadata, the same figure gives the same file.
    figure.savefig(content, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    # Fix the layout, so that the figure looks the same if it is drawn again at another resolution.
    figure.set_layout_engine("none")
    return content.getvalue()


def image(figure: Figure) -> tuple[str, bytes]:
    """Return a figure as an image for the screen: PNG, or JPEG where a field is too rough for PNG."""
    content = png(figure, SCREEN)
    if len(content) < LARGE:
        return "png", content
    smaller = io.BytesIO()
    figure.savefig(smaller, format="jpeg", dpi=SCREEN, bbox_inches="tight", pil_kwargs={"quality": 80})
    return ("jpeg", smaller.getvalue()) if smaller.tell() < len(content) else ("png", content)


def versions(*names: str) -> str:
    """Return the versions of Python, of the package and of what it computes with, as one line."""
    found = (f"{n} {version(n)}" for n in ("da4dvar", "numpy", "xarray", *names))
    return ", ".join([f"python {platform.python_version()}", *found])


def _part(part: Part, heading: str) -> str:
    lines = [f"<p>{escape(text)}</p>" for text in part.text]
    lines += [table_html(table) for table in part.tables]
    if part.figure is not None:
        kind, content = image(part.figure)
        title = part.title if part.title == heading else f"{heading}: {part.title}"
        alt = escape(part.alt or title, quote=True)
        source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
        size = ' class="large"' if part.figure.get_figwidth() > WIDE else ""
        lines.append(f'<div class="wide"><img{size} alt="{alt}" src="{source}"></div>')
    return "\n".join(lines)


def table_html(table: Table) -> str:
    """Return a table as HTML."""
    words = ' class="words"' if table.words else ""
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in table.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(c)}</td>" for c in row[1:])
        + "</tr>"
        for row in table.rows
    )
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f'<div class="wide"><table{words}>{top}<tbody>{rows}</tbody></table></div>'
