# Every command a person needs; `make help` lists them from the words behind each name.
# Python, git and make are all that must be there: Node and Postgres come from wheels, into .venv.

SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run dev test test-faults lint format bench observability lock clean

help: ## List these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name words; do printf '  make %-13s %s\n' "$$name" "$$words"; done

run: .venv/ready ## Start Sigma on http://localhost:3000 (PORT= for another port)
	@exec $(BIN)/python -m sigma_app run

dev: .venv/ready ## Start Sigma with hot reload, for working on it
	@exec $(BIN)/python -m sigma_app dev

test: .venv/ready-dev ## Run all tests, browser tests included
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/python -m tests.redis_server
	@$(BIN)/python -m tests.programs
	@$(BIN)/python -m sigma_app build
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-faults: .venv/ready-dev ## Break each thing for as long as in real life, under load: about ten minutes
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/python -m tests.redis_server
	@$(BIN)/python -m sigma_app build
	@$(BIN)/python -m pytest tests/faults --faults=long --verbose

lint: .venv/ready-dev ## Check style, types, the import rule, and dependencies for known vulnerabilities
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m basedpyright
	$(BIN)/lint-imports
	$(BIN)/python -m tests.audit

format: .venv/ready-dev ## Format the code
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: .venv/ready-dev ## Measure every figure that the docs quote (ARGS= to choose)
	@$(BIN)/python -m tests.bench $(ARGS)

observability: .venv/ready ## Install what SENTRY_DSN and OTEL_EXPORTER_OTLP_ENDPOINT need
	@$(call install,what reports errors and traces,requirements-observability.txt)

lock: .venv/ready-dev ## Resolve requirements*.in into requirements*.txt
	@for name in requirements requirements-observability requirements-dev; do $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links $$name.in -o $$name.txt; done

clean: ## Remove what was built and installed; the database under .sigma/ stays
	rm -rf .venv .web .states .sigma/frontend .sigma/node .sigma/bench .ruff_cache .import_linter_cache tests/screenshots bench.json

# Installs the requirements file $(2) and counts along, for a person who waits. A pipe's exit code is that of its last
# part, so a failure is noted in a file.
install = rm -f .venv/failed; \
	{ $(BIN)/python -u -m pip install --no-input --requirement $(2) 2> .venv/pip.log || touch .venv/failed; } | awk \
	-v of="$$(grep -c == $(2))" '/^Collecting/ { printf "\r  Installing $(1): %d of %d", ++n, of; fflush() } /^Installing collected/ { printf "\r  Installing $(1): unpacking …    "; fflush() } END { if (n) print "" }'; \
	if [ -e .venv/failed ]; then cat .venv/pip.log >&2; echo "Some packages could not be installed; the lines above say why." >&2; exit 2; fi

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sigma needs Python 3.11 or newer; $(PYTHON) is older. Name another: make run PYTHON=python3.12" >&2; exit 2; }
	@echo "  Making .venv with $(PYTHON) …"
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing; on Debian: apt install python3-venv" >&2; exit 2; }
	@$(call install,Python packages,requirements.txt)
	@touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	@$(call install,tools for tests and checks,requirements-dev.txt)
	@touch $@
