# Two commands matter: `make demo` shows the whole ladder on this machine, `make test` proves it.
# Each makes its own virtual environment and starts its own servers; neither needs root.
#   make demo ARGS=--tour        a scripted visit that proves every rung, then stops
#   make test ARGS="-k cache"    part of the tests
#   make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
RUN := $(VENV)/bin/python

.PHONY: help demo test lint types docs bench chaos clean
.DEFAULT_GOAL := help

help: ## Show the commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Run the photo site on every rung of the ladder (ARGS=--tour, ARGS=--help)
	@$(RUN) -m example_project demo $(ARGS)

test: $(VENV)/.test ## Run all tests, on real servers and in a real browser
	@PYTHONDEVMODE=1 $(RUN) -m pytest $(ARGS)

lint: $(VENV)/.dev ## Style, layers and spelling
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/codespell scalekit example_project tests docs benchmarks README.md CHANGELOG.md CONTRIBUTING.md

types: $(VENV)/.dev ## Type check, strictly
	@$(RUN) -m mypy

docs: $(VENV)/.dev ## Build the documentation into docs/_build/html; a warning is an error
	@$(RUN) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: $(VENV)/.dev ## Compare every hot path with its peers (ARGS=--quick)
	@$(RUN) -m benchmarks $(ARGS)

chaos: $(VENV)/.dev ## Kill workers, relay and Redis under load, and count what each queue loses (ARGS=--quick)
	@$(RUN) -m benchmarks.chaos $(ARGS)

clean: ## Remove what these commands made
	rm -rf $(VENV) .demo docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# An environment is rebuilt when pyproject.toml changed.
$(VENV)/.demo $(VENV)/.test $(VENV)/.dev: $(VENV)/.%: pyproject.toml | $(VENV)/bin/python
	@echo "Installing django-scalekit[$*] into $(VENV) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[$*]" \
	  || { echo "The installation failed: see the lines above. It needs a package index and about 500 MB in $(VENV)." >&2; exit 1; }
	@touch $@

$(VENV)/bin/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no '$(PYTHON)' here. Install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$("$(PYTHON)" --version) is too old: scalekit needs Python 3.11 or newer. Name a newer one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -m venv "$(VENV)" >/dev/null 2>&1 || { rm -rf "$(VENV)"; echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt install python3-venv. Or: too little disk space." >&2; exit 1; }
