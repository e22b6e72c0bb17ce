# `make run` and `make test` do all set-up themselves; `make install` does nothing when .venv is up to date.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-all install lint

run: install
	$(BIN)/python -m bench run smoke

test: install lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not slow"

test-all: install lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
