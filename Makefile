# All targets use .venv, which `make install` creates; the only other requirements are Python 3.11+
# and a package manager.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# for `make soak`: minutes of use of a server, kills under load, freezes of one of two servers, kills
# and freezes of three behind HAProxy, streams during a rolling restart of three, inputs for the
# parsers, frames for a live server
MINUTES ?= 120
KILLS ?= 1000
FREEZES ?= 200
STRIKES ?= 200
STREAMS ?= 200
INPUTS ?= 100000000
FRAMES ?= 1000000

.PHONY: help install run check test bench look soak hold audit sbom docs wheel image release contract format lock clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: $(VENV)/runtime ## Create .venv; install locked versions, with hashes

run: $(VENV)/runtime ## Start the chat and print its address
	@$(BIN)/wireside serve

check: $(VENV)/dev ## Format, lint, import contracts, types, scripts and styles, unit tests
	@$(BIN)/python scripts/verify.py check

test: $(VENV)/dev $(VENV)/adapters $(VENV)/docs ## Checks, integration, a real browser, the wheel
	@$(BIN)/python scripts/verify.py test

bench: $(VENV)/dev ## Measure the cost of a token against a bare relay
	@$(BIN)/python -m benchmarks $(ARGS)

look: $(VENV)/dev ## Draw the pages in some 60 states; compare them with references
	@$(BIN)/python -m tests.look $(ARGS)

soak: $(VENV)/dev ## Use, cuts, kills, hostile input for hours: no loss, leak or crash
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) $(ARGS)
	@$(BIN)/python -m tests.faults.flood --kills $(KILLS)
	@$(BIN)/python -m tests.faults.freezes --rounds $(FREEZES)
	@$(BIN)/python -m tests.faults.fleet_storm --strikes $(STRIKES)
	@$(BIN)/python -m tests.faults.rolling --streams $(STREAMS)
	@$(BIN)/python -m tests.faults.abuse
	@$(BIN)/python -m tests.fuzz.soak --inputs $(INPUTS) --frames $(FRAMES)

hold: $(VENV)/dev ## Hold ten thousand connections and 200 streams for half an hour
	@$(BIN)/python -m tests.faults.many $(ARGS)

audit: $(VENV)/dev ## Check the locked packages for vulnerabilities
	@$(BIN)/python scripts/audit.py $(ARGS)

sbom: $(VENV)/dev ## Write the software bill of materials, build/sbom.json
	@$(BIN)/python scripts/sbom.py

docs: $(VENV)/runtime $(VENV)/docs ## Build the documentation, which the server serves at /docs
	@$(BIN)/python scripts/docs.py

wheel: $(VENV)/dev docs ## Build the wheel, with the documentation, into dist/
	@rm -f dist/wireside-*.whl
	@$(BIN)/python -m build --wheel --no-isolation

image: $(VENV)/dev ## Replay the container image's recipe in a bare file system, and check it
	@WIRESIDE_TEST_IMAGE=1 $(BIN)/pytest -q tests/packaging/test_container.py

release: $(VENV)/dev docs ## Check and build a release into dist/: all but the upload
	@$(BIN)/python scripts/release.py

contract: $(VENV)/dev ## Write docs/contract/; name what breaks clients of the last release
	@$(BIN)/python scripts/contract.py $(ARGS)

format: $(VENV)/dev ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/python scripts/web.py format

lock: $(VENV)/dev ## Resolve the dependencies into requirements/
	@$(BIN)/python scripts/lock.py

clean: ## Remove .venv and everything built
	rm -rf $(VENV) node_modules build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/runtime: requirements/runtime.txt pyproject.toml
	@PYTHON="$(PYTHON)" sh scripts/install.sh $(VENV) requirements/runtime.txt
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/runtime
	@PYTHON="$(PYTHON)" sh scripts/install.sh $(VENV) requirements/dev.txt
	@touch $@

$(VENV)/adapters: requirements/adapters.txt $(VENV)/dev
	@echo "Installing requirements/adapters.txt …"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $@
	@$(BIN)/uv pip install --quiet --python $@ --require-hashes -r requirements/adapters.txt
	@$(BIN)/uv pip install --quiet --python $@ --no-deps --no-build-isolation --offline --editable .
	@touch $@

$(VENV)/docs: requirements/docs.txt $(VENV)/runtime
	@echo "Installing requirements/docs.txt …"
	@$(BIN)/python -m venv --clear $@
	@$@/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@
