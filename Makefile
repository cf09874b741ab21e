# Two commands: `make demo` shows everything small, `make test` proves it. Both set up what they need.

PYTHON ?= python3
VENV   := .venv
# Two workers: most of a test is waiting for a sandbox, and more would only wait for each other.
WORKERS ?= 2

.PHONY: help demo test lint clean

help:
	@echo "make demo   one real repository, broken five ways, repaired by a policy; under 5 minutes"
	@echo "make test   all tests, on every back end that works here"
	@echo "make lint   formatter, linter, types, layers, docstrings"
	@echo "make clean  remove the virtual environment and caches of this folder"

demo: $(VENV)/.ready-demo
	$(VENV)/bin/cligym demo

test: $(VENV)/.ready-test
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.ready-test
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/interrogate -q src bench training

$(VENV)/.ready-%: pyproject.toml constraints.txt tools/setup
	PYTHON=$(PYTHON) tools/setup $(VENV) $*
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
