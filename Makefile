# Tickhouse: `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PROBLEM := Tickhouse needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.11
UV_EXPORT := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-strip-extras --no-emit-index-url --no-header --quiet
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo check lint types imports sql docs format test lock wheel clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "$(PROBLEM)")'
	$(PYTHON) -m venv $(VENV) && touch $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/.made
	$(PIP) install --require-hashes -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation --editable . && touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(PIP) install --require-hashes -r requirements/dev.txt && touch $@

setup: $(VENV)/.runtime  ## Make .venv with `tickhouse` in it

setup-dev: $(VENV)/.dev  ## The same with the developers' tools

demo: setup  ## Run everything here, live until Ctrl-C; ONCE=1 ends by itself
	@$(BIN)/tickhouse demo $(if $(ONCE),--once) $(if $(RESET),--reset)

check: lint types imports sql docs  ## All that needs no running service

lint: setup-dev  ## Lint and format, checked only
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup-dev  ## mypy, strict
	$(BIN)/mypy

imports: setup-dev  ## The one-way rooms
	$(BIN)/lint-imports

sql: setup-dev  ## Lint the models
	$(BIN)/sqlfluff lint --processes 2 src/tickhouse/transform/models src/tickhouse/transform/tests

docs: setup-dev  ## The generated references are what the code says; the links lead somewhere
	$(BIN)/python -m pytest --quiet tests/docs

format: setup-dev  ## Format and mend what can be mended
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

test: setup-dev  ## All tests, on a real Kafka, with coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report

lock: setup-dev  ## Pin the dependencies anew; UPGRADE=--upgrade takes newer ones
	$(UV_EXPORT) $(UPGRADE) --group build --extra snowflake --output-file requirements/snowflake.txt
	$(UV_EXPORT) $(UPGRADE) --group build --constraints requirements/snowflake.txt --output-file requirements/runtime.txt
	$(UV_EXPORT) $(UPGRADE) --group dev --constraints requirements/snowflake.txt --output-file requirements/dev.txt

wheel: setup-dev  ## Build the wheel into dist/
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

clean:  ## Remove what was made here; state folders stay
	rm -rf $(VENV) dist build .coverage* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
