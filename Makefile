# The two commands of a newcomer are `make demo` and `make test`; `make help` lists the rest.
# Offline, on a machine that has the packages: make demo VENV_ARGS=--system-site-packages

PYTHON ?= python3
VENV ?= .venv
VENV_ARGS ?=
DEMO_ARGS ?=
PYTEST_ARGS ?=
WORKERS ?= 2

BIN := $(VENV)/bin
SOURCES := llmprof tests examples scripts $(wildcard benchmarks)
INSTALL := pyproject.toml constraints/dev.txt scripts/install.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One stamp for the packages of a user, one for those of a developer: a second call has nothing to do.
$(BIN)/python:
	@echo "make: creates $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV_ARGS) $(VENV)

$(VENV)/.user: $(BIN)/python $(INSTALL)
	$(BIN)/python scripts/install.py torch
	@touch $@

$(VENV)/.developer: $(BIN)/python $(INSTALL)
	$(BIN)/python scripts/install.py dev
	@touch $@ $(VENV)/.user

.PHONY: demo
demo: $(VENV)/.user ## Train a tiny GPT for a minute under llmprof and show what limits it
	@echo "make: trains examples/train_gpt.py for about a minute; the verdict comes at the end"
	$(BIN)/llmprof run -- $(BIN)/python examples/train_gpt.py $(DEMO_ARGS)

.PHONY: test
test: $(VENV)/.developer ## Run the tests (PYTEST_ARGS=... is passed on)
	$(BIN)/python -m pytest -n $(WORKERS) -q $(PYTEST_ARGS)

.PHONY: check
check: $(VENV)/.developer ## Lint, formatting and types
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

.PHONY: fmt
fmt: $(VENV)/.developer ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: docs
docs: $(VENV)/.user ## Write docs/rules/ from the rules themselves
	$(BIN)/python scripts/rule_docs.py

.PHONY: clean
clean: ## Remove the environment and all caches (recorded runs stay)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
