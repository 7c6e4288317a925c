# Every target sets up what it needs; `make demo` and `make test` work on a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
CORE := requirements/build.txt requirements/core.txt
DEV := $(CORE) requirements/dev.txt
BENCH := $(DEV) requirements/bench.txt

.PHONY: help setup setup-dev setup-bench demo test soak check format bench docs docs-check lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.core ## Make .venv with the locked core dependencies
setup-dev: $(VENV)/.dev
setup-bench: $(VENV)/.bench

$(VENV)/.core: $(CORE) pyproject.toml scripts/setup.sh
	@scripts/setup.sh $(VENV) core

$(VENV)/.dev: $(DEV) pyproject.toml scripts/setup.sh
	@scripts/setup.sh $(VENV) dev

$(VENV)/.bench: $(BENCH) pyproject.toml scripts/setup.sh
	@scripts/setup.sh $(VENV) bench

demo: setup ## Fill a simulated sample and print a portfolio's risk report
	@$(BIN)/seawall demo

test: setup-dev ## Run the tests against real PostgreSQL servers
	@scripts/test_packages.sh
	$(BIN)/pytest -n auto --dist worksteal

soak: setup-dev ## Check what is promised of safety at full length, for hours
	SEAWALL_TEST_SOAK=1 $(BIN)/pytest -q -p no:cacheprovider tests/api/safety \
		tests/api/test_isolation.py tests/api/streams/test_ends.py

check: setup-dev ## Lint, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases tests benchmarks scripts
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs-check

format: setup-dev ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup-bench ## Run every benchmark against its peer
	$(BIN)/python -m benchmarks

docs: setup-dev ## Write the generated reference pages
	$(BIN)/python -m scripts.reference

docs-check: setup-dev ## Fail when a generated page is out of date
	$(BIN)/python -m scripts.reference --check

lock: $(VENV)/.core ## Lock the dependencies anew, with hashes and without addresses
	@for group in build core dev bench; do \
		(cd requirements && ../$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --custom-compile-command "make lock" $$group.in -o $$group.txt); \
	done

clean: ## Remove what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
