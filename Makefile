# `make run` and `make test` do all set-up themselves; `make install` does nothing when .venv is up to date.
PYTHON ?= python3
BIN := .venv/bin
BASELINE ?= results/published/smoke
SUITE ?= smoke
SEEDS ?= 20

.PHONY: run test test-all check publish bench docs install lint

run: install
	$(BIN)/python -m bench run smoke

test: install lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not slow"

test-all: install lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Has a method become worse than in the published results? 2 seeds against 20 find a drop of half a score on both
# tasks in 68 % of checks, on one task in 13 %, and raised no false alarm in 200 (bench check --calibrate 200 --seeds 2).
# Where nothing could be told (status 3) the verdicts say so, and it is no failure.
check: install
	rm -rf results/check
	$(BIN)/python -m bench run smoke --seeds 2 --workers 2 --quiet --out results/check
	$(BIN)/python -m bench check --baseline $(BASELINE) --candidate results/check --detect 0.6 || [ $$? -eq 3 ]

# The published results of a suite anew, from a clean commit; if it stops, the same command goes on. The gate's baseline is
# smoke with 20 seeds; `make publish SUITE=paper SEEDS=5` is what the README's leaderboard shows.
publish: install
	$(BIN)/python -m bench run $(SUITE) --seeds $(SEEDS) --workers 2 --out results/publish-$(SUITE)
	rm -rf results/published/$(SUITE)
	mkdir -p results/published/$(SUITE)
	cp -R results/publish-$(SUITE)/records results/published/$(SUITE)/records

# Speed, each as a ratio to a plain reference timed beside it; fails where one is much above the stored ratio.
bench: install
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median

# The site, from the repository alone and without training, into build/site/html.
docs: install
	rm -rf build/site/source
	$(BIN)/python -m bench.website build/site/source
	$(BIN)/python -m sphinx -q -W --keep-going -d build/site/doctrees build/site/source build/site/html

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
