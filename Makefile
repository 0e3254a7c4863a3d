# Only Python 3.11 or newer and make are needed. PYTHON chooses another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Byte code is compiled as modules are first imported: compiling all of it here would take half of the set-up.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

.PHONY: run setup test soak lint web-check format schema bench clean

run: setup
	$(BIN)/maquette serve

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; say which with make PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(INSTALL) --editable '.[dev]'
	touch $@

# In the files' order, the short ones last: no process is left with a long one while the others have nothing to do.
test: $(VENV)/ready-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# Faults by a seed, for minutes on end: make soak SEED=7 MINUTES=5
SEED ?= $(shell date +%s)
MINUTES ?= 5

soak: $(VENV)/ready-dev
	@echo "SEED=$(SEED) MINUTES=$(MINUTES)"
	SEED=$(SEED) MINUTES=$(MINUTES) $(BIN)/python -m pytest tests/faults -m soak --capture=no --hypothesis-seed=$(SEED)

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/strawberry export-schema resolvers | diff schema/schema.graphql - || { echo 'schema/schema.graphql is stale: run make schema'; exit 1; }

# Ours and the predecessor in turn, by its load driver. BASELINE is its folder. Needs Node 20, MariaDB and Redis.
BASELINE ?= ../shared/baseline

bench: $(VENV)/ready-dev
	$(BIN)/python -m bench.compare --baseline $(BASELINE)

# Needs Node 20 or newer and npm.
web-check:
	sh web/check.sh

format: $(VENV)/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(VENV)/ready-dev
	$(BIN)/strawberry export-schema resolvers > schema/schema.graphql

clean:
	rm -rf $(VENV)
