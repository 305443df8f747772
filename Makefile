# Each target does its own set-up; a stamp in the virtual environment makes the second run quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# pytest-xdist shares the tests between processes; `make test JOBS=0` runs them in one. The longest tests wait rather than work, so
# there are more processes than cores.
JOBS ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup test core-coverage lint format demo rules dashboards screenshots bench fuzz soak lock wheel clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(READY) ## the virtual environment in .venv

$(READY): requirements/dev.txt pyproject.toml refreshd/__init__.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test: $(READY) core-coverage ## all tests that this machine allows; names what it does not
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal --ignore tests/core

core-coverage: $(READY) ## the core's own tests, which must take every branch
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest --numprocesses $(JOBS) --quiet tests/core
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

lint: $(READY) ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: $(READY) ## a day of a company with a few hundred logins, in two minutes
	$(BIN)/refreshd demo

rules: $(READY) ## the rules of Prometheus, written from their table; OVERRIDES=, INTO= for an installation's own
	$(BIN)/python -m deploy.prometheus.rules $(if $(OVERRIDES),--overrides $(OVERRIDES) --into $(INTO))

dashboards: $(READY) ## write grafana/dashboards/*.json anew from the code beside them
	$(BIN)/python -m grafana

screenshots: $(READY) ## draw every picture of the documents anew; needs prometheus, node, npm, chromium and pngquant
	$(BIN)/python -m tests.screenshots

bench: $(READY) ## logins per second with the budget lifted, scrapes during a pass over a million and what holds the event loop in it, beside the least that any program would do; PAIRS=, LOGINS=, SCRAPED=
	PAIRS=$(PAIRS) LOGINS=$(LOGINS) $(BIN)/python -m tests.bench
	SCRAPED=$(SCRAPED) $(BIN)/python -m tests.bench.scrapes
	SCRAPED=$(SCRAPED) $(BIN)/python -m tests.bench.stretches

soak: $(READY) ## kills by the thousand, random weeks, the fuzzer, takeovers, and their figures; KILLS=2000 (at random moments, named points on top), TAKEOVERS=20, WEEKS=50, SECONDS=300, SEED=1, SHARDS=3, JSON=, REPLAY=
	$(BIN)/python -m tests.soak $(if $(REPLAY),--replay $(REPLAY)) $(if $(JSON),--json $(JSON)) --kills $(or $(KILLS),2000) \
		--takeovers $(or $(TAKEOVERS),20) --weeks $(or $(WEEKS),50) --seconds $(or $(SECONDS),300) --seed $(or $(SEED),1) --shards $(or $(SHARDS),3)

fuzz: $(READY) ## the wire codec under a coverage-guided fuzzer; SECONDS=60, SEED=1
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

lock: $(READY) ## write requirements/*.txt anew from pyproject.toml; `make lock UPGRADE=--upgrade` takes newer versions
	BIN=$(BIN) UPGRADE=$(UPGRADE) sh requirements/lock.sh

wheel: $(READY) ## dist/refreshd-*.whl
	$(BIN)/python -m build --no-isolation --wheel --sdist

clean: ## everything that make has made
	rm -rf $(VENV) grafana/render/node_modules build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find deploy grafana refreshd tests -name __pycache__ -type d -prune -exec rm -rf {} +
