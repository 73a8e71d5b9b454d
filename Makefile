# Everything a contributor types. Set-up happens by itself, into .venv, and is skipped while it is current.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.current
DOCS := $(VENV)/.docs
RUN := runs/mnist1d-light

.PHONY: setup train test test-long fuzz experiment lint bench docs notebooks dist clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## Create .venv with everything in it

$(STAMP): pyproject.toml constraints.txt setup.py $(wildcard lightconv/kernels/source/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Expected Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1); set PYTHON=..." >&2; exit 1; }
	@echo "Setting up $(VENV), which takes a few minutes the first time"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

train: $(STAMP)  ## Train the MNIST-1D classifier, export it to ONNX and check the export
	@$(BIN)/python cli.py fit --config mnist1d --run_dir $(RUN)
	@$(BIN)/python cli.py export --ckpt_path $(RUN)/best.ckpt --output exports/mnist1d.onnx
	@$(BIN)/python cli.py summary --run_dir $(RUN) --model exports/mnist1d.onnx

test: $(STAMP)  ## Run all tests in their short form (and every example in the documentation)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -m 'not long'

test-long: $(STAMP)  ## Run the same properties with many cases
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

SECONDS := 600
fuzz: $(STAMP)  ## Fuzz readers, kernels and operators for SECONDS=600; failures are kept in .fuzz
	@OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS)

experiment: $(STAMP)  ## Repeat the report's comparison, MNIST-100 (hours; with QUICK=1 minutes)
	@$(BIN)/python cli.py experiment --config experiment_mnist100 $(if $(QUICK),--quick)

lint: $(STAMP)  ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

$(DOCS): $(STAMP)
	@echo "Adding what builds the documentation, which takes a minute the first time"
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' > $@
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement $@

docs: $(DOCS)  ## Build the site, build/site/index.html; runs the tutorials in short, every warning is an error
	@LIGHTCONV_TUTORIALS=short OMP_NUM_THREADS=1 $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs build/site
	@echo build/site/index.html

notebooks: $(DOCS)  ## Run the tutorials in full, and write them as notebooks with their results, build/notebooks
	@mkdir -p build/notebooks
	@cp docs/tutorials/drawing.py docs/tutorials/practice.py build/notebooks
	@for page in docs/tutorials/*[0-9]*.py; do \
	  $(BIN)/jupytext --quiet --to ipynb --execute --output build/notebooks/$$(basename $$page .py).ipynb $$page || exit 1; done
	@echo build/notebooks

bench: $(STAMP)  ## Time our layers beside torch.nn's: tables and a plot (QUICK=1: some minutes)
	@$(BIN)/python benchmarks/run.py $(if $(QUICK),--quick)

dist: $(STAMP)  ## Pack sdist and wheel into dist/: of one commit the same bytes, wherever it is done
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --no-isolation .

clean:  ## Remove what set-up, training and tests have made
	rm -rf $(VENV) build dist *.egg-info runs .pytest_cache .hypothesis .ruff_cache .mypy_cache .fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
