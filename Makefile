# make atlas    environment, base install (no torch), the table of verdicts in under three minutes
# make test     what the tests need, then the tests        make slow    what CI leaves out
# make lint     ruff and pyright                           make bench   the benchmarks
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: atlas test slow lint bench clean

$(VENV)/.base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) torch==2.13.0
	$(PIP) -e '.[dev,export]'
	touch $@

atlas: $(VENV)/.base
	$(BIN)/separatrix atlas --preset quick

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) separatrix-out
