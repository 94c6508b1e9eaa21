# The doors of the project. Each sets up what it needs: `make demo` and `make test` work on a fresh machine.
# ARGS is passed on: make demo ARGS="--duration 20 --rate 200 --json", make test ARGS="-k laws".

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCKS  := deploy/requirements
ARGS   ?=

.PHONY: help setup demo up test check bench chaos docs lock clean
.SILENT: help demo up

help:  ## this list
	grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# Two stamps, so that a demo does not wait for what only tests need. Set-up speaks on stderr: a demo's stdout is its own.
$(VENV)/run.stamp: $(LOCKS)/embedded.txt pyproject.toml
	@echo "setting up $(VENV) (once)" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/embedded.txt >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
	@touch $@

$(VENV)/dev.stamp: $(LOCKS)/dev.txt $(VENV)/run.stamp
	@echo "setting up what tests need (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/dev.txt >&2
	@touch $@

setup: $(VENV)/dev.stamp  ## the virtual environment, with what developers need

demo: $(VENV)/run.stamp  ## the whole hub with simulated agencies (ARGS="--broker apache --duration 20")
	$(BIN)/hub demo $(ARGS)

up: $(VENV)/run.stamp  ## the whole hub without the simulation
	$(BIN)/hub up $(ARGS)

test: $(VENV)/dev.stamp  ## all tests, in under ten minutes
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/dev.stamp  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp  ## measures the full path beside the engine's probe (ARGS="--events 100000")
	$(BIN)/python tests/bench/full_path.py $(ARGS)

chaos: $(VENV)/dev.stamp  ## kills and freezes everything, then judges the topics (ARGS="--quick": under 8 minutes)
	$(BIN)/python tests/chaos/run.py $(ARGS)

docs: $(VENV)/dev.stamp  ## writes the generated pages anew
	$(BIN)/python tests/docs/generate.py

lock: $(VENV)/dev.stamp  ## resolves the ranges of pyproject.toml anew
	$(BIN)/python -m pip install --quiet uv
	for set in "runtime" "embedded --extra embedded --extra build" "dev --extra embedded --extra build --extra dev"; do \
	  name=$${set%% *}; extras=$${set#$$name}; \
	  $(BIN)/uv pip compile -q pyproject.toml $$extras --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate -o $(LOCKS)/$$name.txt || exit 1; done

clean:  ## removes the environment and what runs have left
	rm -rf $(VENV) data .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
