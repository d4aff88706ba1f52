# make up and make test are all that is needed; uv is fetched when it is missing.

CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/footfall
UV      := $(or $(shell command -v uv 2>/dev/null),$(CACHE)/uv/bin/uv)
PYTHON  := .venv/bin/python
INSTALLED := .venv/.installed
TYPESCRIPT := clients/typescript/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help up test faults fuzz check typescript audit secrets fmt lock bench bench-quick clean

help: ## list these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

up: $(INSTALLED) ## run everything on this machine until Ctrl-C
	@.venv/bin/footfall up

test: check ## all checks, then all tests against real servers
	@$(PYTHON) -m runtime.temporal_binary >/dev/null
	$(PYTHON) -m pytest

faults: $(INSTALLED) ## thirty rounds of load with faults, and some with Cassandra and Redis: nothing lost, nothing twice
	$(PYTHON) -m tests.faults --seeds $(or $(SEEDS),1-30) --need-all
	$(PYTHON) -m tests.faults --seeds $(or $(OTHER_SEEDS),0-3) --cassandra --need-all
	$(PYTHON) -m tests.faults --seeds $(or $(OTHER_SEEDS),0-3) --redis --need-all
	$(PYTHON) -m pytest -m long

fuzz: $(INSTALLED) ## what reads bytes from outside, a minute each (SECONDS=60); findings stay as tests
	@$(UV) pip install --quiet --python $(PYTHON) --require-hashes -r requirements-fuzz.txt
	$(PYTHON) -m tests.fuzz --seconds $(or $(SECONDS),60)

check: $(INSTALLED) secrets audit typescript ## formatting, lint, types, room rules, secrets, known faults of dependencies
	.venv/bin/ruff format --check --quiet .
	.venv/bin/ruff check --quiet .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

typescript: ## formatting and types of clients/typescript; says so where there is no npm
	@if command -v npm >/dev/null; then $(MAKE) --silent --no-print-directory $(TYPESCRIPT) && npm --prefix clients/typescript run --silent check; \
	else echo "NOT CHECKED: clients/typescript, as there is no npm" >&2; test -z "$$FOOTFALL_TESTS_NEED_NPM"; fi

audit: $(INSTALLED) ## known faults of the locked dependencies; says so where no database of them answers
	@$(PYTHON) .ci/audit.py

secrets: $(INSTALLED) ## secrets in what is committed
	@git ls-files -z --cached --others --exclude-standard | PYTHONPATH=. xargs -0 -n 2000 \
	  .venv/bin/detect-secrets-hook --no-verify --baseline .secrets.baseline

fmt: $(INSTALLED) ## format, and mend what lint can mend
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	if [ -d clients/typescript/node_modules ]; then npm --prefix clients/typescript run --silent fmt; fi

bench: $(INSTALLED) ## measure all, also beside others (two and a half hours; Java, Maven, npm), write docs/performance/
	$(PYTHON) -m bench.spine --out docs/performance
	$(PYTHON) -m bench.compare --out docs/performance
	$(PYTHON) -m bench.block_format --out docs/performance
	$(PYTHON) -m bench.block_store --out docs/performance
	$(PYTHON) -m bench.compaction_strategies --out docs/performance
	$(PYTHON) -m bench.replay --out docs/performance
	$(PYTHON) -m bench.rebuild --out docs/performance
	$(PYTHON) -m bench.training --out docs/performance
	$(PYTHON) -m bench.experiments --out docs/performance
	$(PYTHON) -m bench.growth --out docs/performance
	$(PYTHON) -m bench.profiles --out docs/performance
	$(PYTHON) -m bench.costs --out docs/performance
	$(PYTHON) -m bench.telling --out docs/performance
	$(PYTHON) -m bench.ledger_layouts --out docs/performance
	$(PYTHON) -m bench.asking --out docs/performance
	$(PYTHON) -m bench.doors --out docs/performance
	$(PYTHON) -m bench.recommendations --out docs/performance
	$(PYTHON) -m bench.recommendation_scale --out docs/performance
	$(PYTHON) -m bench.recommend_quality --out docs/performance
# By hand, on a machine that does nothing else for an hour and some minutes: python -m bench.soak --out docs/performance

bench-quick: $(INSTALLED) ## Footfall beside others, once and shortly (two minutes; npm); writes nothing
	$(PYTHON) -m bench.compare --quick

lock: $(UV) ## resolve the dependencies again
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements-fuzz.in -o requirements-fuzz.txt

clean: ## remove what make made here; not the data
	rm -rf clients/typescript/node_modules clients/typescript/dist clients/typescript/build
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(INSTALLED): requirements-dev.txt pyproject.toml | $(UV)
	@test -x $(PYTHON) || $(UV) venv --quiet --python '>=3.11' .venv
	@$(UV) pip sync --quiet --python $(PYTHON) --require-hashes requirements-dev.txt
	@$(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	@touch $@

$(TYPESCRIPT): clients/typescript/package-lock.json
	@npm --prefix clients/typescript ci --ignore-scripts --silent
	@touch $@

$(CACHE)/uv/bin/uv:
	@echo "uv is missing: installing it into $(CACHE)/uv"
	@python3 -m venv $(CACHE)/uv
	@$(CACHE)/uv/bin/pip install --quiet --disable-pip-version-check uv
