# The doors of the project. Each sets up what it needs: `make demo` and `make test` work on a fresh machine.
# ARGS is passed on: make demo ARGS="--duration 20 --rate 200 --json", make test ARGS="-k laws".

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCKS  := deploy/requirements
ARGS   ?=

.PHONY: help setup demo up test check bench chaos docs lock clean
.SILENT: help demo up bench

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

test: $(VENV)/dev.stamp  ## all tests but the long ones, in under ten minutes (ARGS="-m long": those)
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(VENV)/dev.stamp  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The peers' packages conflict with the hub's: an environment of their own. Without them those sides are skipped.
.venv-peers/stamp: tests/bench/peers.txt $(VENV)/dev.stamp
	@echo "setting up .venv-peers (once)" >&2
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/bench/peers.txt >&2
	@touch $@

bench: .venv-peers/stamp  ## the hub beside others: throughput, CPU, latency, scale (ARGS="--quick --json")
	$(BIN)/python tests/bench/run.py $(ARGS)

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
	rm -rf $(VENV) .venv-peers data .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
