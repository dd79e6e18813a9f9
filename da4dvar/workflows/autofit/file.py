"""From a gappy file to a filled one, without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from da4dvar.errors import DataError
from da4dvar.fields.files.store import add_history, check_output, files_of, load_dataset, write_dataset
from da4dvar.fields.gaps.limits import MaxGap
from da4dvar.progress import Progress
from da4dvar.workflows.autofit.clock import Clock
from da4dvar.workflows.autofit.fill import checked_minutes, fit_taken, output_check, write_recipe
from da4dvar.workflows.autofit.fitted import Fitted


def fill_file(
    source: Sequence[str],
    output: str,
    *,
    minutes: float,
    method: str,
    variable: Mapping[str, str],
    dim: Mapping[str, str],
    mask: str | None,
    fill_value: str,
    times: str,
    group: str | None,
    bounds: Sequence[str],
    circular: Sequence[str],
    recipe: str | None,
    settings: Sequence[str],
    save: Path | None,
    seed: int,
    analysis: bool,
    std: bool,
    interval: Sequence[float],
    max_gap: MaxGap | None,
    limit_area: str | None,
    flags: str,
    memory: str,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
    command: str,
    say: Callable[[str], None],
) -> Fitted:
    """Fit to a file and write it filled; see :func:`da4dvar.fit` and :func:`da4dvar.fill`.

    Parameters
    ----------
    source : sequence of str
        Files of the input.
    output : str
        File or store to write.
    group : str or None
        Group of the input.
    save : Path or None
        Model file to write.
    memory, resume, overwrite, progress, command
        See :func:`da4dvar.interpolate_file`.

    Returns
    -------
    Fitted

    Raises
    ------
    DataError
        If the input cannot be read or filled, or the output cannot be written.
    """
    clock = Clock(checked_minutes(minutes))
    files = files_of(source)
    check_output(output, files, overwrite)
    recipe_path = Path(output).with_suffix(".recipe.toml")
    if save is not None:
        taken = [*files, output, *([recipe] if recipe else [])]
        check_output(save, taken, overwrite, (save.suffix,))
    done = fit_taken(
        load_dataset(source, group),
        clock,
        method=method,
        variable=variable or None,
        dim=dim or None,
        mask=mask,
        fill_value=fill_value,
        times=times,
        bounds=bounds,
        circular=circular,
        recipe=recipe,
        settings=settings,
        paths=files,
        seed=seed,
        check=output_check(interval, max_gap, limit_area, None, flags),
        say=say,
    )
    fitted = done.fitted
    if save is not None and fitted.model is None:
        raise DataError(
            f"--save {save}: there is no network to save, as the best methods are "
            f"{', '.join(sorted(set(fitted.method.values()))) or 'none'}; train one with --method learned"
        )
    filled = fitted.interpolate(
        done.data,
        analysis=analysis,
        std=std,
        interval=interval,
        max_gap=max_gap,
        limit_area=limit_area,
        flags=flags,
    )
    fitted.counted(done.data)
    write_dataset(add_history(filled, command), output, overwrite)
    if fitted.model is not None:
        write_recipe(fitted.tables, recipe_path)
        if save is not None:
            fitted.model.save(save)
    return fitted
