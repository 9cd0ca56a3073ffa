# Everything here needs Python 3.11 or newer, make and git; nothing else.
PYTHON ?= python3
VENV := .venv
# The benchmark's own, with the engines that Holdfast is measured against.
RIVALS := .venv-bench
FUZZER := .venv-fuzz
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# A real Odoo and a real browser have targets of their own.
TESTS := tests --ignore tests/odoo --ignore tests/browser
# The folders whose tests look into the database.
KEPT := $(addprefix tests/,tables files ledger quotes jobs exports operations findings/test_findings.py \
	findings/test_directory.py infrastructure/test_database.py webhooks retention)

.PHONY: help setup demo test test-fast test-slow test-speed test-full test-blows test-odoo test-browser test-fuzz test-servers bench bench-dose lint format lock clean
.DEFAULT_GOAL := help

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(VENV)/.ready ## Make .venv with everything, by the locked hashes

$(VENV)/.ready: .ci/requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Holdfast needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .ci/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Export the U.S. Congress twice, in a fresh home, and check every credit
	$(BIN)/holdfast demo

test: setup ## All tests but the slow and the long ones: at most 6 minutes on two cores
	$(PYTEST) -n 3 --dist worksteal -m "not full and not alone and not slow" $(TESTS)

test-fast: setup ## The tests that start nothing
	$(PYTEST) -n 2 -m "quick and not full and not alone and not slow" $(TESTS)

test-slow: setup ## Installations that are killed, other ways into CRMs; half the promised speeds
	$(PYTEST) -n 2 -m "slow and not full" $(TESTS)
	$(PYTEST) -m "alone and not full" --slack 2 $(TESTS)

test-speed: setup ## What is promised of speeds, to the letter: with nothing beside it
	$(PYTEST) -m alone $(TESTS)

test-full: setup ## The million records, the crash loops, the long fuzzing
	HYPOTHESIS_PROFILE=long $(PYTEST) --timeout 3600 tests

test-servers: setup ## What the database keeps, and workers, on the servers in HOLDFAST_TEST_*_URL
	$(PYTEST) -m "not full and not alone and not quick" $(KEPT) tests/system/test_crashes.py

test-blows: setup ## Forty minutes of blows on each installation; servers by HOLDFAST_TEST_*_URL
	HOLDFAST_TEST_BLOWS_S=2400 $(PYTEST) --timeout 7200 tests/system/test_blows.py

test-odoo: setup ## Pushes into a real Odoo, where HOLDFAST_TEST_ODOO_UP or the PATH has odoo-up
	$(PYTEST) tests/odoo
	$(PYTEST) tests/pushes/test_contract.py -k odoo

test-browser: setup ## Clicks through the console in Chromium, where .ci/browser could install it
	$(PYTEST) tests/browser

test-fuzz: setup $(FUZZER)/.ready ## An hour of bytes that might break a reader, led by the branches not seen yet
	$(FUZZER)/bin/python -m tests.support.reader_fuzzing 3600

$(FUZZER)/.ready: .ci/requirements-fuzz.txt pyproject.toml
	$(PYTHON) -m venv $(FUZZER)
	$(FUZZER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .ci/requirements-fuzz.txt
	@touch $@

bench: setup $(RIVALS)/.ready ## Measure everything beside its rivals, into docs/performance.md; BENCH= names less
	$(RIVALS)/bin/python -m bench $(or $(BENCH),--write --against f58870b)

bench-dose: setup ## A few minutes of it: fails where a ratio has clearly become worse
	$(BIN)/python -m bench.dose

$(RIVALS)/.ready: .ci/requirements-bench.txt pyproject.toml
	$(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .ci/requirements-bench.txt
	@touch $@

lint: setup ## Format check, ruff with all rules, mypy strict
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup ## Let ruff put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## Write the lock files anew (needs uv)
	.ci/lock

clean: ## Remove what was made here
	rm -rf $(VENV) $(RIVALS) .bench .screenshots .mypy_cache .pytest_cache .ruff_cache .hypothesis
