# make            what there is
# make demo       the pipeline and its dashboard, in one process
# make test       what CI runs
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
EXTRAS := $(VENV)/.extras
UV := $(shell command -v uv || echo $(VENV)/bin/uv)

# KAFKA=host:port  run the demo on that broker
# ARGS="…"         more arguments for pytest, the demo, the benchmarks or the broker
KAFKA ?=
ARGS ?=

.PHONY: help
help: ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(INSTALLED) ## Create .venv and install exactly what requirements.lock says

$(INSTALLED): requirements.lock pyproject.toml
	@if ! $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  for candidate in python3.13 python3.12 python3.11 python3; do \
	    if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	    then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$${found:-}" ]; then echo "anabranch needs Python 3.11, 3.12 or 3.13" >&2; exit 1; fi; \
	  echo "creating $(VENV) with $$found"; \
	  $$found -m venv $(VENV); \
	fi
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(EXTRAS): $(INSTALLED) requirements-extras.lock
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-extras.lock
	@touch $@

.PHONY: demo
demo: $(INSTALLED) ## Run the demo with its dashboard (KAFKA=host:port: on that broker)
	$(VENV)/bin/anabranch demo $(if $(KAFKA),--bootstrap $(KAFKA)) $(ARGS)

.PHONY: test
test: $(EXTRAS) lint ## Lint, then run all tests, those on a real Kafka broker included
	$(PYTHON) -m pytest $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## Check formatting, lint rules, types and layers
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy -p tools
	$(VENV)/bin/lint-imports

.PHONY: format
format: $(INSTALLED) ## Format the code and mend what ruff can mend
	$(VENV)/bin/ruff check --fix --exit-zero
	$(VENV)/bin/ruff format

.PHONY: bench
bench: $(INSTALLED) ## Run the benchmarks
	$(PYTHON) -m benchmarks $(ARGS)

.PHONY: bench-peers
bench-peers: $(INSTALLED) ## Run the benchmarks beside Kafka Streams and Quix Streams (needs Maven)
	$(PYTHON) -m benchmarks peers $(ARGS)

.PHONY: proof
proof: $(INSTALLED) ## Try what the statistics promise on simulated streams (ARGS="--streams 20000")
	$(PYTHON) -m tests.proof $(ARGS)

# SEED, RUNS      the first seed and how many runs of the chaos suite
SEED ?= 1
RUNS ?= 10

.PHONY: chaos
chaos: $(INSTALLED) ## Kill, hang and restart workers and broker; check every record (SEED, RUNS)
	$(PYTHON) -m tests.chaos --seed $(SEED) --runs $(RUNS) $(ARGS)

.PHONY: docs
docs: $(EXTRAS) ## Build the documentation as a site, every link checked, into build/site
	$(PYTHON) -m mkdocs build --quiet

.PHONY: reference
reference: $(INSTALLED) ## Write what is generated from code anew: specs, lints, metrics, commands, settings, topics, dashboards
	$(PYTHON) -m tools.specdocs
	$(PYTHON) -m tools.lintdocs
	$(PYTHON) -m tools.metricsdocs
	$(PYTHON) -m tools.clidocs
	$(PYTHON) -m tools.settingsdocs
	$(PYTHON) -m tools.topicdocs
	$(PYTHON) -m tools.apidocs
	$(PYTHON) -m tools.grafana
	$(PYTHON) -m tools.helmdocs
	$(VENV)/bin/anabranch asyncapi > docs/asyncapi.json

.PHONY: kafka
kafka: $(INSTALLED) ## Run a throw-away Kafka broker in the foreground
	@$(PYTHON) -m tools.devkafka $(ARGS)

LOCKING := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock"

.PHONY: lock
lock: ## Resolve the dependencies again into requirements*.lock (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(UV) pip compile $(LOCKING) --group dev pyproject.toml -o requirements.lock
	$(UV) pip compile $(LOCKING) --group dev --group browser --group docs --all-extras pyproject.toml -o requirements-extras.lock \
	  --constraints requirements.lock
	$(UV) pip compile $(LOCKING) --group image --extra tracing pyproject.toml -o requirements-image.lock \
	  --constraints requirements-extras.lock

.PHONY: clean
clean: ## Remove what builds, checks and tests leave (not .venv)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
