# Every target sets up what it needs: a virtual environment in .venv with the package and its tools.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow bench paper studies advice estimate compare loader engines full-scale clean

demo: .venv/ready
	$(BIN)/dilute demo

test: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

test-slow: .venv/ready-dev
	$(BIN)/pytest -m slow

bench: .venv/ready
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/sweep.py

paper: .venv/ready
	$(BIN)/python benchmarks/paper.py

studies: .venv/ready
	$(BIN)/python benchmarks/studies.py

advice: .venv/ready
	$(BIN)/python benchmarks/advice.py

estimate: .venv/ready
	$(BIN)/python benchmarks/estimate.py

compare: .venv/ready
	$(BIN)/python benchmarks/compare.py

loader: .venv/ready
	$(BIN)/python benchmarks/loader.py

engines: .venv/ready-dev
	$(BIN)/python benchmarks/engines.py

full-scale: .venv/ready-dev
	$(BIN)/python benchmarks/full_scale.py

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dilute needs Python 3.11 or newer; name one with PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/ready-dev: .venv/ready pyproject.toml
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
