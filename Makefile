# One command each; the virtual environment is made once and renewed when pyproject.toml or constraints.txt change.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable

.PHONY: demo test bench lint format dbt clean

demo: .venv/base.stamp ## a simulated gateway, a first load, a few ticks, and what is now in SQLite
	$(BIN)/bifrost-etl demo

test: .venv/dev.stamp ## all tests; REQUIRE_ALL=1 fails where a database server is missing instead of skipping
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: .venv/dev.stamp ## measures against a yardstick and writes docs/performance.md; ARGS=--help
	$(BIN)/python -m benchmarks $(ARGS)

lint: .venv/dev.stamp ## formatting, lint and types; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dbt: .venv/dbt.stamp ## dbt in an environment of its own: it pins what we pin otherwise

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/base.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) '.[postgres,mysql]' # so that DATABASE_URL may name any of the three
	touch $@

.venv/dev.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) '.[dev]'
	touch .venv/base.stamp $@

.venv/dbt.stamp: dbt/requirements.txt
	$(PYTHON) -m venv .venv/dbt
	.venv/dbt/bin/python -m pip --disable-pip-version-check install --quiet --requirement dbt/requirements.txt
	touch $@
