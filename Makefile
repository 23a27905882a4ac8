# weekbot: `make demo` tries it, `make test` tests it. Needs python3 (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := requirements/build.in pyproject.toml

.PHONY: demo test long simulations hostile chaos adversary screenshots check content-test format catalogues bench image audit lock clean

demo: .venv/demo ## the whole bot in a browser: no Discord, no token
	@$(BIN)/weekbot demo $(ARGS)

test: WORKERS ?= 4
test: .venv/dev ## every test; they wait more than they work, so WORKERS=4 is for two cores
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

long: WORKERS ?= 4
long: .venv/dev ## tests that take long: failures of a running bot's parts, whatever goes wrong with each change, the ledger's model
	$(BIN)/pytest -m long -n $(WORKERS) --dist worksteal

simulations: WORKERS ?= 4
simulations: .venv/dev ## the tests that simulate a Discord, over PostgreSQL (`make test` has them over SQLite)
	WEEKBOT_TEST_SIMULATED_ON=postgresql $(BIN)/pytest -n $(WORKERS) --dist worksteal \
		$(shell grep -lE '^from simulation import|^from matrix import' tests/test_*.py)

hostile: .venv/dev ## a thousand made option values for every command: minutes
	WEEKBOT_TEST_HOSTILE_VALUES=1000 $(BIN)/pytest -n auto tests/test_hostile_options.py

chaos: .venv/dev ## the promise, with bots that are killed and cut off: minutes; CHAOS_SEED=... repeats a run, CHAOS_WHOLE=1 takes longer
	PYTHONPATH=tests $(BIN)/python -m chaos

adversary: .venv/dev ## two months under an adversary that is drawn by a seed, minutes each; SEEDS="1 2 3"
	@status=0; for seed in $(SEEDS); do \
		CHAOS_SEED=$$seed PYTHONPATH=tests $(BIN)/python -m chaos test_adversary || status=1; done; exit $$status
adversary: SEEDS ?= 1 2 3

screenshots: .venv/dev ## pictures of what people see, into docs/screenshots; ARGS="post status" for these only
	PYTHONPATH=tests $(BIN)/python -m screenshots $(ARGS)

check: .venv/dev ## format, lint, types, content
	$(BIN)/ruff format --check src tests benchmarks tools
	$(BIN)/ruff check src tests benchmarks tools
	$(BIN)/mypy
	$(BIN)/weekbot content check content

# uv finds the Pythons on the path; pyenv keeps its others beside it.
content-test: export PATH := $(PATH):$(subst $() ,:,$(wildcard $(HOME)/.pyenv/versions/*/bin))
content-test: .venv/dev ## each topic's example against the real package; ARGS="--light", ARGS="--latest", or slugs
	WEEKBOT_CONTENT_DIR=content $(CURDIR)/$(BIN)/weekbot content test $(ARGS)

format: .venv/dev ## put the code into shape
	$(BIN)/ruff format src tests benchmarks tools
	$(BIN)/ruff check --fix src tests benchmarks tools

catalogues: .venv/dev ## bring the interface's catalogues up to date with the code
	$(BIN)/python tools/catalogues.py

bench: .venv/bench ## measure, and write docs/benchmarks.md; ARGS="fanout tick" for these parts only
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

image: ## the Dockerfile's steps, where there is no Docker, and what they make used by somebody who may write nothing
	$(PYTHON) tools/image.py

audit: .venv/audit ## licences of what is installed, known vulnerabilities of what is locked; ARGS="--if-reachable"
	$(BIN)/pip-licenses
	$(BIN)/python tools/audit.py $(ARGS)

lock: .venv/dev ## choose new versions of everything
	$(COMPILE) --upgrade $(LOCK) --extra dev -o requirements/dev.txt
	$(COMPILE) $(LOCK) --extra demo -c requirements/dev.txt -o requirements/demo.txt
	$(COMPILE) $(LOCK) --extra bench -c requirements/dev.txt -o requirements/bench.txt
	$(COMPILE) $(LOCK) --extra audit -c requirements/bench.txt -o requirements/audit.txt
	$(COMPILE) pyproject.toml --extra postgres -c requirements/dev.txt -o requirements/run.txt
	$(COMPILE) requirements/build.in -c requirements/dev.txt -o requirements/build.txt
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header

clean:
	rm -rf .venv

# The folder's stamp names what is installed in it: everything for `dev`, the bot and its page for `demo`.
.venv/%: requirements/%.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv ..." >&2
	$(PIP) install --require-hashes --requirement $<
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "weekbot needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
