# One command each; the virtual environment is made once and renewed when pyproject.toml or constraints.txt change.
# Variables: ARGS goes to pytest or the benchmark; REQUIRE_ALL=1 fails where a database server is missing instead of
# skipping; COVERAGE=1 measures lines and branches.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable
# Tests and benchmarks start the command hundreds of times: without byte code each start compiles it anew.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = $(BIN)/python $(if $(COVERAGE),-m coverage run) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all coverage bench prove lint format docs serve-docs dist dbt clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/base.stamp ## a simulated gateway, a first load, a few ticks, and what is now in SQLite
	$(BIN)/bifrost-etl demo

test: .venv/dev.stamp ## the fast tests, each on one database, one in eight of many cases; REQUIRE_ALL=1: all of them
	$(PYTEST) -m 'not slow' $(if $(REQUIRE_ALL),,--by-turns --share 8) $(ARGS)

test-slow: .venv/dev.stamp .venv/dbt.stamp ## the others: storms, whole services, browser, clusters, builds, documents
	$(PYTEST) -m slow $(ARGS)

test-all: ## all tests, as CI runs them
	$(MAKE) test test-slow REQUIRE_ALL=1

coverage: .venv/dev.stamp ## what of etl/ the tests reached: make test-all COVERAGE=1, then this
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report $(ARGS)

bench: .venv/dev.stamp ## measures against a yardstick and writes docs/performance.md; ARGS=--help
	$(BIN)/python -m benchmarks $(ARGS)

prove: .venv/dev.stamp ## what docs/reliability.md shows, in about MINUTES (240): worlds, every n-th call, kills, soaks
	nice $(BIN)/python -m harness.prove --minutes $(or $(MINUTES),240) $(ARGS)

lint: .venv/dev.stamp ## formatting, lint and types; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/dev.stamp ## formats, and mends what can be mended without thinking
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/dev.stamp ## generated pages written anew, and docs/ as a site in build/site; a broken link fails
	$(BIN)/python docs/build.py
	$(BIN)/mkdocs build --strict --quiet

serve-docs: .venv/dev.stamp ## the site at http://127.0.0.1:8000, renewed while you write
	$(BIN)/mkdocs serve

dist: .venv/dev.stamp ## a source archive and a wheel, in dist/
	rm -rf dist
	$(BIN)/python -m build

dbt: .venv/dbt.stamp ## dbt in an environment of its own: it pins what we pin otherwise

clean: ## removes what was made: environment, caches, builds
	rm -rf .venv build dist *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

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
