# Every target sets up what it needs: a virtual environment in .venv with the package and its tools.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow bench loader engines docs-tables studies clean

demo: .venv/ready
	$(BIN)/dilute demo

test: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

test-slow: .venv/ready-dev
	$(BIN)/pytest -m slow

# Tables of results in the README and docs/, and their pictures, from what is stored; trains nothing.
docs-tables: .venv/ready-dev
	$(BIN)/python docs/tables.py

# The same, after training and measuring what results/ lacks (days on two cores, if all of it).
studies: .venv/ready-dev
	$(BIN)/python docs/tables.py --train

# Speed and memory on this machine.
bench: .venv/ready
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/sweep.py

loader: .venv/ready
	$(BIN)/python benchmarks/loader.py

engines: .venv/ready-dev
	$(BIN)/python benchmarks/engines.py

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
