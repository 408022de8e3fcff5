# Fenqi: `make help` lists what there is. Needs Python 3.11 or newer with pip and venv, and make; nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
PORT ?= 8000
ONLY ?=
ARGS ?=
# Each worker has a PostgreSQL of its own; ARGS="-n0" runs everything in one process, for a debugger.
WORKERS ?= -n auto

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test test-browser bench lint format campaign lock clean

help: ## list the targets
	@echo "make TARGET   (PYTHON=$(PYTHON))"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## build .venv from the lock file (at once when nothing changed)

# The stamp is written last: an interrupted set-up starts again, a finished one costs nothing.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Fenqi needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Fenqi needs Python's venv module (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@rm -f $@
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: setup ## serve the demo mall (PORT=8000)
	@exec $(BIN)/fenqi demo --port $(PORT)

test: lint ## all tests that need no browser, after the lints (ARGS="-k words")
	$(BIN)/python -m pytest -m "not campaign and not ahead" $(WORKERS) $(ARGS)

test-browser: setup ## the pages in real Chromium, with axe-core (installs what is missing by apt and npm)
	@tools/browser_setup.sh
	$(BIN)/python -m pytest tests/browser $(ARGS)

bench: setup ## measurements, one JSON object a line, quickest first (ONLY=evaluate)
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

lint: setup ## formatting, style, types, the engine's arrows, the schema's rules
	@tools/lint.sh

format: setup ## format the sources
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

campaign: setup ## long randomised runs
	$(BIN)/python -m pytest -m campaign $(ARGS)

lock: ## write requirements.lock anew from pyproject.toml
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check 'pip-tools>=7.5'
	build/lock/bin/pip-compile --quiet --extra server --extra embedded --extra simulate --extra check --extra dev --generate-hashes \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options --strip-extras --no-annotate --no-header \
	  --allow-unsafe --output-file requirements.lock pyproject.toml
	@rm -rf build/lock

clean: ## remove what was built; the data in .fenqi stays
	rm -rf $(VENV) build dist node_modules staticfiles test-results .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
