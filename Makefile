# Every target sets up what it needs: a virtual environment in .venv with the package and its tools.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-elsewhere test-slow bench loader cifar10 engines docs-tables studies own-data clean

demo: .venv/ready
	$(BIN)/dilute demo

test: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

# As on another processor: one core, no AVX. What each changes was measured by the bits of the same
# calculations on a processor with AVX-512, each variable on its own:
#   OMP_NUM_THREADS           gradients of convolutions, bfloat16, NumPy's matrix products
#   ATEN_CPU_CAPABILITY       PyTorch's own kernels, as softmax and torch.randn
#   ONEDNN_MAX_CPU_ISA        convolutions and their gradients
#   MKL_ENABLE_INSTRUCTIONS   PyTorch's matrix products, exponentials and logarithms
#   OPENBLAS_CORETYPE         linear algebra of NumPy and SciPy, on which fits rest
#   NPY_DISABLE_CPU_FEATURES  NumPy's exponentials and logarithms; warns of what is not there
ELSEWHERE := OMP_NUM_THREADS=1 ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 \
	MKL_ENABLE_INSTRUCTIONS=SSE4_2 OPENBLAS_CORETYPE=Nehalem NPY_DISABLE_CPU_FEATURES=X86_V3,X86_V4

test-elsewhere: .venv/ready-dev
	$(ELSEWHERE) $(BIN)/pytest -m 'numerical and not slow' -W ignore::ImportWarning

test-slow: .venv/ready-dev
	$(BIN)/pytest -m slow

# Tables of results in the README and docs/, and their pictures, from what is stored; no training.
docs-tables: .venv/ready-dev
	$(BIN)/python docs/tables.py

# The same, after training and measuring what results/ lacks (days on two cores, if all of it).
studies: .venv/ready-dev
	$(BIN)/python docs/tables.py --train

# The commands of docs/own-data.md, on data made of public ones; a quarter of an hour on two cores.
own-data: .venv/ready-dev
	$(BIN)/python docs/own_data.py .own-data

# Speed and memory on this machine.
bench: .venv/ready
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/sweep.py

loader: .venv/ready
	$(BIN)/python benchmarks/loader.py

cifar10: .venv/ready
	$(BIN)/python benchmarks/cifar10.py

engines: .venv/ready-dev
	$(BIN)/python benchmarks/engines.py

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "dilute needs Python 3.11 or newer; name one with PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/ready-dev: .venv/ready pyproject.toml
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
