# `make` lists every target. Needs python3 (3.11 or newer) and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := requirements/build.in pyproject.toml

.PHONY: help demo clean content content-test catalogues quick test check format long simulations hostile chaos adversary \
	screenshots bench image audit lock

##@ Start

# A target's help follows `##` in its line, a group's heading follows `##@`.
help: ## List the targets
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

demo: .venv/demo ## Run the whole bot in a browser, without Discord and without a token
	@$(BIN)/weekbot demo $(ARGS)

clean: ## Delete the virtual environment
	rm -rf .venv

##@ Content

content: .venv/content ## Check the content with a light installation; ARGS="preview flask" for another command
	@$(BIN)/weekbot content $(or $(ARGS),check content)

# uv finds the Pythons on the path; pyenv keeps its others beside it.
content-test: export PATH := $(PATH):$(subst $() ,:,$(wildcard $(HOME)/.pyenv/versions/*/bin))
content-test: .venv/content ## Run the topics' examples against the real packages; ARGS="--light", "--latest" or slugs
	WEEKBOT_CONTENT_DIR=content $(CURDIR)/$(BIN)/weekbot content test $(ARGS)

catalogues: .venv/dev ## Update the translation catalogues from the code
	$(BIN)/python tools/catalogues.py

##@ Code

# Tests and the bots that they start are compiled once, even if the environment forbids writing bytecode.
quick test long simulations chaos adversary: export PYTHONDONTWRITEBYTECODE :=

quick: .venv/dev ## Run the tests without a database, a simulated Discord, a browser or a process
	$(BIN)/pytest -m "quick and not long and not chaos" -n 2

test: WORKERS ?= 4
test: .venv/dev ## Run every test; WORKERS=4 suits two cores, as tests mostly wait
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

check: .venv/dev ## Check format, lint rules, types and content
	$(BIN)/ruff format --check src tests benchmarks tools
	$(BIN)/ruff check src tests benchmarks tools
	$(BIN)/mypy
	$(BIN)/weekbot content check content

format: .venv/dev ## Format the code and fix what the linter can fix
	$(BIN)/ruff format src tests benchmarks tools
	$(BIN)/ruff check --fix src tests benchmarks tools

##@ Longer tests

long: WORKERS ?= 4
long: .venv/dev ## Run the slow tests: failing parts of a running bot, failing changes, the ledger's model
	$(BIN)/pytest -m long -n $(WORKERS) --dist worksteal

simulations: WORKERS ?= 4
simulations: .venv/dev ## Run the tests with a simulated Discord over PostgreSQL
	WEEKBOT_TEST_SIMULATED_ON=postgresql $(BIN)/pytest -n $(WORKERS) --dist worksteal \
		$(shell grep -lE '^from simulation import|^from matrix import' tests/test_*.py)

hostile: .venv/dev ## Call every command with a thousand generated values for each option
	WEEKBOT_TEST_HOSTILE_VALUES=1000 $(BIN)/pytest -n auto tests/test_hostile_options.py

chaos: .venv/dev ## Kill and cut off real processes, and count the posts; CHAOS_SEED=... repeats a run
	PYTHONPATH=tests $(BIN)/python -m chaos

adversary: .venv/dev ## Simulate two months of random failures for each of SEEDS="1 2 3"
	@status=0; for seed in $(SEEDS); do \
		CHAOS_SEED=$$seed PYTHONPATH=tests $(BIN)/python -m chaos test_adversary || status=1; done; exit $$status
adversary: SEEDS ?= 1 2 3

##@ Maintenance

screenshots: .venv/dev ## Render docs/screenshots; ARGS="post status" renders only these
	PYTHONPATH=tests $(BIN)/python -m screenshots $(ARGS)

bench: .venv/bench ## Measure and write docs/benchmarks.md; ARGS="fanout tick" measures only these parts
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

image: ## Carry out the Dockerfile's steps without Docker and try the result
	$(PYTHON) tools/image.py

audit: .venv/audit ## Check licences and known vulnerabilities of all dependencies
	$(BIN)/pip-licenses
	$(BIN)/python tools/audit.py $(ARGS)

lock: .venv/dev ## Choose new versions of all dependencies
	$(COMPILE) --upgrade $(LOCK) --extra dev -o requirements/dev.txt
	$(COMPILE) $(LOCK) --extra demo -c requirements/dev.txt -o requirements/demo.txt
	$(COMPILE) $(LOCK) --extra content -c requirements/dev.txt -o requirements/content.txt
	$(COMPILE) $(LOCK) --extra bench -c requirements/dev.txt -o requirements/bench.txt
	$(COMPILE) $(LOCK) --extra audit -c requirements/bench.txt -o requirements/audit.txt
	$(COMPILE) pyproject.toml --extra postgres -c requirements/dev.txt -o requirements/run.txt
	$(COMPILE) requirements/build.in -c requirements/dev.txt -o requirements/build.txt
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header

# A stamp in the folder names what is installed in it, such as everything for `dev`, or the bot and its page for `demo`.
.venv/%: requirements/%.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv ..." >&2
	$(PIP) install --require-hashes --requirement $<
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "weekbot needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
