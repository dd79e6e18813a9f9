# `make help` lists what there is.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Threads that wait must not spin: the cores are shared with the tests beside them.
export OMP_WAIT_POLICY := PASSIVE
# Bytecode is kept, as the tests start many processes; pip does not compile what may never be imported.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install -q --no-compile -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help dev demo test check slow field house guarantees hostile promises lint docs pages wheel release-check cf audit oldest newest clean

help: ## list what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

dev: .venv/installed-test .venv/installed-dev ## all that a change needs, and a hook that checks each commit
	$(BIN)/pre-commit install

demo: .venv/installed ## fill real sea-surface temperature with a shipped model: table, file and map
	$(BIN)/python recipes/oisst-tasman/demo.py --folder demo

test: .venv/installed-test ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

# The first two use one core each: `make -j2 check` runs them at the same time.
check: lint pages promises ## the rest of CI: style, types, documentation, guarantees, broken input

slow: .venv/installed-test ## re-run the shipped models on fresh data
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow tests recipes

field: .venv/installed-test ## try files as people have them, and print a table; FIELD=FOLDER for a collection of originals
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m field $(FIELD)

house: ## draw the floors of the package, and what each part is for
	@$(PYTHON) .ci/house.py

guarantees: .venv/installed-test ## the properties that the documentation promises, by hypothesis
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m guarantee

hostile: .venv/installed-test ## broken files, and machines that fail
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m hostile

promises: .venv/installed-test ## guarantees and broken input, with few examples
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "guarantee or hostile" \
	    --hypothesis-profile=check tests/guarantees tests/hostile

lint: .venv/installed-dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-docs ## build the documentation; warnings are errors
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -W -q -j auto docs docs/_build
	@echo docs/_build/index.html

pages: .venv/installed-docs ## build the documentation without running its notebooks
	$(BIN)/sphinx-build -W -q -j auto -D nb_execution_mode=off -D suppress_warnings=myst-nb.lexer docs docs/_build/check

wheel: .venv/installed-test ## build the wheel, and use it in an environment of its own
	$(BIN)/python -m pytest -q -m slow tests/test_wheel.py

release-check: .venv/installed-test ## what is ready for a release, and what is open; builds dist/
	$(BIN)/python .ci/release.py

cf: .venv/installed ## what is written, before the CF checker
	$(PYTHON) -m venv .venv-cf
	.venv-cf/bin/python -m pip install -q compliance-checker
	$(BIN)/python .ci/cf.py --checker .venv-cf/bin/compliance-checker

audit: .venv/installed ## known vulnerabilities of what is installed; needs the network
	$(BIN)/python -m pip install -q pip-audit
	$(BIN)/pip-audit --skip-editable

oldest: ## the tests with the oldest versions that pyproject.toml allows; torch as in constraints.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python .ci/oldest.py > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install -q -c .venv-oldest/constraints.txt -e ".[test]"
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -q -n 2 --dist worksteal

newest: ## the tests with the newest versions there are; torch as in constraints.txt
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install -q -U --upgrade-strategy eager -c constraints.txt -e ".[test]"
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest -q -n 2 --dist worksteal

clean: ## remove the environments and what was made
	rm -rf .venv .venv-cf .venv-oldest .venv-newest demo docs/_build

# constraints.txt pins the version of torch, of whichever build pip finds; nothing else is pinned.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) -e .
	touch $@

.venv/installed-%: .venv/installed
	$(INSTALL) -e '.[$*]'
	touch $@

# The same in one go, which is quicker than one extra after the other.
.venv/installed-all: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) -e '.[test,dev,docs]'
	touch .venv/installed .venv/installed-test .venv/installed-dev .venv/installed-docs $@
