# Palaver's house-keeping. It needs make and Python 3.11 or newer; everything else is fetched, pinned and checked by hash.
#
# `.venv/.*-done` are stamps: a step runs again only when what it depends on has changed.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-input
PIP_COMPILE := python -m piptools compile --quiet --generate-hashes --strip-extras --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-options
PIP_TOOLS := pip-tools==7.6.2
PIP_AUDIT := pip-audit==2.10.1

# Half of its time a test waits for a server, a browser or a clock: two for each core keep it at work. loadfile keeps a
# file's tests together, so that a server that a file shares is started once and not once per process.
CORES := $(shell getconf _NPROCESSORS_ONLN)
PYTEST := $(BIN)/python -m pytest -n $(shell expr $(CORES) \* 2) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install run ready test prove promises check format bench bench-all bench-stream bench-retrieval requirements sbom audit screenshots clean

help:  ## Say what can be made.
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'
	@echo
	@echo '  ARGS="…" goes to pytest, to the benchmark or to pip-compile; PYTHON=… chooses the Python that makes .venv.'

install: $(VENV)/.project-done  ## Make .venv with everything that Palaver needs to run; leaves .venv/bin/palaver.
	@$(BIN)/python hatch_build.py

run: install  ## Run Palaver at PALAVER_HOST and PALAVER_PORT (127.0.0.1:8000).
	@exec $(BIN)/palaver serve

ready: install $(VENV)/.test-done  ## Get everything that the tests need: packages, Redis, Chromium, proxies.
	@scripts/test-parts

test: ready  ## Run all tests, on all cores.
	@$(PYTEST) $(ARGS)

prove: ready  ## Measure everything and try it at full size: docs/performance.md, docs/promises.md. Takes hours.
	@scripts/prove $(ARGS)

promises: $(VENV)/.test-done  ## Write docs/promises.md anew, of what was tried before.
	@PYTHONPATH=. $(BIN)/python scripts/promises.py

# Reading the types keeps one core busy for half a minute. What takes as long in all goes on meanwhile: the last is that
# every test can be found, and what pytest makes of their text is kept for all that run them.
check: install $(VENV)/.test-done  ## Check format, lint, types and import arrows.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy & types=$$!; \
	$(BIN)/python hatch_build.py check && $(BIN)/python -m pytest tests/meta && \
	{ found=$$($(BIN)/python -m pytest -q --collect-only) || { echo "$$found"; false; }; }; others=$$?; \
	wait $$types && exit $$others

format: $(VENV)/.test-done  ## Format the code and repair what the linter can repair.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install $(VENV)/.test-done  ## Measure what a turn costs.
	@$(BIN)/python bench/turn.py $(ARGS)

bench-all: install $(VENV)/.test-done  ## Measure all of it and make docs/performance.md: a quarter of an hour.
	@$(BIN)/python bench/all.py $(ARGS)

bench-stream: install $(VENV)/.test-done  ## Measure what a stream costs.
	@$(BIN)/python bench/stream.py $(ARGS)

bench-retrieval: install $(VENV)/.test-done  ## Measure how well passages of documents are found.
	@$(BIN)/python bench/retrieval.py $(ARGS)

# A later file is held to the pins of the earlier ones, but pip's: all are installed into one .venv.
requirements:  ## Pin requirements/*.in again. ARGS="--upgrade" takes newer versions.
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT INT TERM; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip --disable-pip-version-check install --quiet $(PIP_TOOLS); \
	for name in pip run build test; do \
		echo "Pinning requirements/$$name.in"; \
		"$$tools/bin/"$(PIP_COMPILE) --allow-unsafe --output-file requirements/$$name.txt $(ARGS) requirements/$$name.in; \
	done

sbom:  ## Write what Palaver is made of to build/palaver.cdx.json (CycloneDX). ARGS="--all": what builds and tests, too.
	@$(PYTHON) scripts/sbom.py build/palaver.cdx.json $(ARGS)

audit:  ## Look up known weaknesses of what is pinned. Needs the services that pip-audit and npm ask.
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT INT TERM; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip --disable-pip-version-check install --quiet $(PIP_AUDIT); \
	$(PYTHON) scripts/audit.py --pip-audit "$$tools/bin/pip-audit" $(ARGS)

screenshots: ready  ## Make pictures of the web app's main states in build/screenshots, and the README's own.
	@PYTHONPATH=. $(BIN)/python scripts/screenshots.py

clean:  ## Remove .venv and what tools have left.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The pip that comes with Python 3.11 takes twice as long to find what is pinned.
$(VENV)/.made-done: requirements/pip.txt
	@scripts/make-venv "$(PYTHON)" $(VENV)
	@$(PIP_INSTALL) --require-hashes -r requirements/pip.txt
	@touch $@

$(VENV)/.run-done: $(VENV)/.made-done requirements/build.txt requirements/run.txt
	@echo "Installing what Palaver runs on (requirements/run.txt)."
	@$(PIP_INSTALL) --require-hashes -r requirements/build.txt -r requirements/run.txt
	@touch $@

$(VENV)/.project-done: $(VENV)/.run-done pyproject.toml
	@PALAVER_WEB_APP=skip $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# Where make does two things at once (.ci/run), one of them alone may be pip.
$(VENV)/.test-done: $(VENV)/.run-done requirements/test.txt | $(VENV)/.project-done
	@echo "Installing what the tests need (requirements/test.txt)."
	@$(PIP_INSTALL) --require-hashes -r requirements/test.txt
	@touch $@
