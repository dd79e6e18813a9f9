"""How a fit and a filled data set display themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import xarray as xr

from da4dvar.evaluation.figures import pretty
from da4dvar.evaluation.report.page import table_html
from da4dvar.evaluation.report.part import Table, number, percent
from da4dvar.fields.labels.flags import from_scheme
from da4dvar.fields.labels.output import FLAGS
from da4dvar.workflows.autofit.comparison import Comparison, cautions, verdict
from da4dvar.workflows.report.methods import methods_table


def fitted_html(comparisons: Iterable[Comparison]) -> str:
    """Return the comparison of the methods of each variable: the verdict, the table and the cautions."""
    shown = []
    for found in comparisons:
        shown.append(f"<p><strong>{escape(verdict(found))}</strong></p>{table_html(methods_table(found))}")
        shown += [f"<p>{escape(line)}</p>" for line in cautions(found)]
    return "\n".join(shown) or "<p>No variable has gaps.</p>"


def filled_html(ds: xr.Dataset) -> str:
    """Return a table of the variables that were filled: by which method, with what error, and how much.

    Parameters
    ----------
    ds : Dataset
        Data set as :func:`da4dvar.fill` returns it, or as it was read from its file.

    Returns
    -------
    str
        HTML.
    """
    rows = []
    for name, array in ds.data_vars.items():
        flag = ds.get(f"{name}_flag")
        if "filled_by" not in array.attrs or flag is None:
            continue
        shares = [percent(float((from_scheme(flag) == code).mean())) for code in FLAGS.values()]
        error = number(array.attrs["rmse_on_hidden_points"])
        units = pretty(str(array.attrs.get("units", "")))
        rows.append([str(name), array.attrs["filled_by"], f"{error} {units}".strip(), *shares])
    if not rows:
        return "<p>No variable was filled by da4dvar.fill or da4dvar interpolate.</p>"
    kinds = (f"{meaning.replace('_', ' ')} ({code})" for meaning, code in FLAGS.items())
    return table_html(Table(["variable", "filled by", "expected error", *kinds], rows))
