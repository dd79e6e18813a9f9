"""Tests of user errors, which give one line and exit code 2 and leave the folder unchanged."""

import json
import os
import shlex
import sys

import pytest
import xarray as xr
from door import ran, refused
from examples import make_sst

from da4dvar.cli import main
from da4dvar.errors import first_line
from da4dvar.workflows.recipe import Recipe

COMMANDS = {
    "intrepolate gappy.nc out.nc": "Did you mean 'interpolate'?; see da4dvar --help",
    "interpolate": "Missing argument",
    "interpolate gappy.nc out.nc --modle x": "--model",
    "interpolate gappy.nc out.nc --model x --minutes 7": "--minutes excludes --model; omit --model",
    "interpolate gappy.nc out.nc --model x --save m.safetensors": "--save excludes --model; omit --model",
    "interpolate gappy.nc out.nc --model x --set train.steps=1": "--set excludes --model; omit --model",
    "interpolate gappy.nc out.nc --model x --json": "--json excludes --model; omit --model",
    "interpolate gappy.nc out.nc --save no/m.safetensors": "there is no folder no; create it first",
    "interpolate gappy.nc out.nc --set train.steps": "expected section.key=value",
    "interpolate gappy.nc out.nc --model x --seed -1": "--seed",
    "interpolate gappy.nc out.nc --model x --members 1": "--members",
    "interpolate gappy.nc out.nc --members 9": "--members requires --model",
    "interpolate gappy.nc out.nc --members 0": "--members",
    "calibrate x gappy.nc gappy.nc -o m.safetensors --members 1": "--members",
    "train recipe.toml": "Missing option",
    "train recipe.toml -o no/m.safetensors": "there is no folder no; create it first",
    "train recipe.toml -o gappy.nc": "use --overwrite to replace it",
    "train recipe.toml -o m.safetensors --set solver.iterations=three": "is 'three', expected a whole number",
    "train recipe.toml -o m.safetensors --set solver.iterations=-3": "iterations is -3, expected 1 or more",
    "train recipe.toml -o m.safetensors --set prior.width=0": "width is 0, expected 1 or more",
    "train recipe.toml -o m.safetensors --set train.rate=fast": "rate is 'fast', expected a number",
    "train recipe.toml -o m.safetensors --set train.seed=-1": "seed is -1, expected 0 or more",
    "train recipe.toml -o m.safetensors --set train.device=tpu": "'tpu'; there are: auto, cpu, cuda",
    "train recipe.toml -o m.safetensors --set train.iterations=x": "'x', expected a list of whole numbers",
    "train recipe.toml -o m.safetensors --set train.iterations=[0]": "[0], expected numbers above 0",
    "train recipe.toml -o m.safetensors --set train=1": "train is 1, expected a table",
    "train recipe.toml -o m.safetensors --set data.path=5": "path is 5, expected text or a list",
    "train recipe.toml -o m.safetensors --set data.noise=loud": "noise is 'loud', expected a number",
    "train recipe.toml -o m.safetensors --set layout.window=3": "window is 3, expected a table",
    "train recipe.toml -o m.safetensors --set gaps=[1]": "gaps is [1], expected a table or a list",
    "simulate lorenz96 out.nc --seed -1": "--seed",
    "simulate lorenz95 out.nc": "did you mean 'lorenz96'",
    "gaps gappy.nc out.nc --kind network": "unknown kind 'network'",
    "gaps gappy.nc out.nc --select time=yesterday:today": "expected labels like 2001-03-01",
    "gaps gappy.nc out.nc --select lat=south:north": "got 'south', expected a number",
    "calibrate x gappy.nc gappy.nc -o no/m.safetensors": "there is no folder no; create it first",
    "benchmark bench --rows linear -o gappy.nc": "folder for the results cannot be created",
    "models oisst-tasman": "unexpected extra argument",
    "fill gappy.nc": "No such command",
    "inspect oist-tasman": "did you mean 'oisst-tasman'",
    "inspect gone.safetensors": "no such model file",
    "inspect gone.nc": "no such file",
    "interpolate gappy.nc --model x": "expected an input and an output",
    "interpolate gappy.nc out.nc --model x --dim time": "NAME=OTHER",
    "interpolate gappy.nc truth.nc --model lorenz96": "--overwrite",
    "interpolate gappy*.nc ./gappy.nc --model lorenz96 --overwrite": "output and input are the same",
    "interpolate gappy.nc out.csv --model lorenz96": ".nc or .zarr",
    "interpolate gappy.nc out.nc --model oisst-tasmania": "no shipped model",
    "interpolate gappy.nc out.nc --model lorenz96 --memory much": "expected a size such as 500MB or 2GiB",
    "interpolate gappy.nc out.nc --model x --scheduler thread": "did you mean 'threads'",
    "interpolate gappy.nc out.nc --fit --model lorenz96": "expected either --model NAME or --fit",
    "interpolate gappy.nc out.nc --scheduler threads": "--scheduler requires --model; name a model",
    "interpolate gappy.nc out.nc --observation-error 1": "--observation-error requires --model",
    "interpolate gappy.nc out.nc --precision bfloat16": "--precision requires --model",
    "interpolate gappy.nc out.nc --batch-size 4": "--batch-size requires --model",
    "interpolate gappy.nc out.nc --minutes 0": "minutes is 0.0, expected a number above 0",
    "interpolate gappy.nc out.nc --dim time=day": "there is no dimension 'day'",
    "interpolate gappy.nc out.nc --variable sst=sts": "did you mean 'sst'",
    "interpolate gappy.nc out.nc --recipe none.toml": "no such recipe",
    "interpolate gappy.nc out.nc --method kriging": "--method 'kriging'",
    "interpolate gappy.nc out.nc --max-gap soon": "expected a duration",
    "interpolate gappy.nc out.nc --flags quartod": "did you mean 'qartod'",
    "interpolate gappy.nc out.nc --limit-area within": "expected 'inside' or 'outside'",
    "interpolate gappy.nc out.nc --bounds sst=5:1": "expected NAME=LOWER:UPPER",
    "interpolate gappy.nc out.nc --bounds t2m=0:": "it is not among the fields, which are sst",
    "interpolate gappy.nc out.nc --set prior.widht=3": "unknown key 'widht'",
    "evaluate truth.nc truth.nc --device cpu": "--device requires --model",
    "evaluate l96.nc l96.nc --observed l96.nc --variable x=x_observed --report out.html --model lorenz96 "
    "--device tpu": "device is 'tpu', expected auto, cpu or cuda",
    "baseline gappy.nc out.nc --method kriging": "unknown kind 'kriging'",
    "train recipe.toml -o m.safetensors --set solver.itertions=2": "did you mean 'iterations'",
    "train recipe.toml -o m.safetensors --set prior.kind=unett": "did you mean 'unet'",
    "train recipe.toml -o m.safetensors --set lay_out.overlap=0": "did you mean 'layout'",
    "train recipe.toml -o m.safetensors --set train.step=2": "did you mean 'steps'",
    "train recipe.toml -o m.safetensors --set data.path=gone.nc": "no such file",
    "train recipe.toml -o m.safetensors --set 'layout.variables=[\"salt\"]'": "no variable 'salt'",
    "train recipe.toml -o m.safetensors --set layout.window.tide=6": "window names 'tide'",
    "train recipe.toml -o m.safetensors --set layout.window.time=600": "600 cells along 'time'",
    "train recipe.toml -o m.safetensors --set gaps.fraction=4": "fraction of observed cells is 4",
    "train recipe.toml -o m.safetensors --set gaps.fraction=x": "gaps of kind 'random'",
    'train recipe.toml -o m.safetensors --set \'data.train.time=["2031-03-01", "2031-04-01"]\'': "between",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_is_one_line_that_says_what_to_do(command, folder):
    """Wrong arguments and wrong data give one line with a remedy, and nothing is written."""
    assert COMMANDS[command] in refused(*shlex.split(command), cwd=folder)


def test_an_end_of_a_selection_may_be_open(folder):
    """Either end of a range given with --select may be omitted."""
    ran(*["gaps", "truth.nc", "out.nc", "--select", "time=2001-05-01:", "--select", "lat=:-39"])
    with xr.open_dataset("out.nc") as cut:
        assert (cut.sizes["time"], cut.sizes["lat"]) == (9, 5)


def test_json_is_all_that_goes_to_stdout(folder):
    """The table of a benchmark equals its file, and a fit of a file without gaps has filled nothing."""
    said = ran(*["benchmark", "bench", "--rows", "linear", "-o", "results", "--json"])
    assert said.err == "row linear\n"
    found = json.loads(said.out)["linear"]
    assert found == json.loads((folder / "results/linear.json").read_text())
    assert 0 < found["r_score"] < 1
    make_sst(70).fillna(0.0).to_netcdf("whole.nc")
    said = ran(*["interpolate", "whole.nc", "out.nc", "--json", "-q"])
    assert (json.loads(said.out), said.err) == ({"filled_by": {}, "scores": {}}, "")


def test_quiet_leaves_out_notes(folder, model_path):
    """A warning about windows without observations is printed, but not with --quiet."""
    with xr.open_dataset("gappy.nc") as ds:
        ds.load().where(ds.time < ds.time[10]).to_netcdf("bad.nc")
    command = f"interpolate bad.nc out.nc --overwrite --model {model_path}"
    assert "windows hold no observation" in ran(*command.split()).err
    assert ran(*f"{command} --quiet".split()).err == ""


def test_the_history_can_be_given_to_a_shell_again(folder):
    """The command in the history is quoted, so that a file name with a space is preserved."""
    os.rename("gappy.nc", "my gaps.nc")
    ran(*shlex.split("baseline 'my gaps.nc' out.nc"))
    with xr.open_dataset("out.nc") as filled:
        line_of = filled.attrs["history"].splitlines()[0].partition(" ")[2]
    assert shlex.split(line_of) == ["da4dvar", "baseline", "my gaps.nc", "out.nc"]


def test_who_stops_a_command_is_told_that_nothing_was_written(monkeypatch, capsys, folder):
    """After Ctrl-C the exit code is 130; a message says that nothing was written, or how to continue."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("da4dvar.modelfile.summary.summaries", stop)
    monkeypatch.setattr(sys, "argv", ["da4dvar", "models"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert (stopped.value.code, capsys.readouterr().err) == (130, "stopped; the output was not written\n")

    def begun(self, place, *_):
        place.mkdir()
        (place / "last.ckpt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Recipe, "train", begun)
    monkeypatch.setattr(sys, "argv", ["da4dvar", "train", "recipe.toml", "-o", "m.safetensors"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "the last checkpoint is kept in m.safetensors.checkpoints; continue with --resume"


def test_the_first_line_of_an_error_is_never_empty_nor_long():
    """Blank lines and what is past 300 characters go; of no message the type is left."""
    assert first_line(ValueError("\n  no such label\nsecond line\n")) == "no such label"
    assert (first_line(ValueError()), first_line(IndexError(" \n"))) == ("ValueError", "IndexError")
    assert first_line(OSError("x" * 1000)) == "x" * 300
