# `make run` and `make test` do all set-up themselves; `make install` does nothing when .venv is up to date.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-all check bench install lint

run: install
	$(BIN)/python -m bench run smoke

test: install lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not slow"

test-all: install lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Has a method become worse than in the published results? 2 seeds against 20 find drops of about half a score or more;
# where even these could not be told (status 3) the verdicts say so, and it is no failure.
check: install
	$(BIN)/python -m bench check --baseline results/published/smoke --run smoke --detect 0.6 || [ $$? -eq 3 ]

# Speed, each as a ratio to a plain reference timed beside it; fails where one is much above the stored ratio.
bench: install
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
