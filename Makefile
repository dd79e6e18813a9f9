# `make help` lists what there is.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Threads that wait must not spin: the cores are shared with the tests beside them.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help demo test slow guarantees hostile lint docs clean

help: ## list what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/installed ## fill real sea-surface temperature with a shipped model: table, file and map
	$(BIN)/python recipes/oisst-tasman/demo.py --folder demo

test: .venv/installed-test ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

slow: .venv/installed-test ## re-run the shipped models on fresh data
	$(BIN)/python -m pytest -q -m slow tests recipes

guarantees: .venv/installed-test ## the properties that the documentation promises, by hypothesis
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m guarantee

hostile: .venv/installed-test ## broken files, and machines that fail
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m hostile

lint: .venv/installed-dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-docs ## build the documentation; warnings are errors
	$(BIN)/sphinx-build -W -q docs docs/_build
	@echo docs/_build/index.html

clean: ## remove the environment and what was made
	rm -rf .venv demo docs/_build

# constraints.txt pins torch to a build for the CPU; nothing else is pinned.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-%: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[$*]'
	touch $@
