# The front door of this project. `make` alone lists what there is.

PYTHON ?= python3
OUT ?= demo-out
DIR ?= lab
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix lock soak lab clean

help: ## List these targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

setup: ## Make .venv/ and all else that is needed; again costs nothing
	@$(PYTHON) scripts/setup dev

demo: ## A case from question to erasure on a real homeserver, results in demo-out/
	@$(PYTHON) scripts/setup lab
	@$(BIN)/consilium demo --out $(OUT)

test: ## All tests
	@$(PYTHON) scripts/setup dev --strict
	@$(BIN)/python -m pytest tests/ -n 2 --dist loadscope $(ARGS)

check: ## Style, types, import rules, spelling
	@$(PYTHON) scripts/setup dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python scripts/docs --check

fix: ## Let the tools put right what they can
	@$(PYTHON) scripts/setup dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Remake requirements/*.txt; `make lock ARGS=--upgrade` takes newer versions
	@$(PYTHON) scripts/setup dev
	@scripts/lock $(ARGS)

soak: ## The tests with bigger numbers; takes hours
	@$(PYTHON) scripts/setup dev --strict
	CONSILIUM_SOAK=1 $(BIN)/python -m pytest tests/ -n 2 --dist loadscope --timeout 0 $(ARGS)

lab: ## Homeserver, bot, eraser and mail catcher that stay up, in lab/
	@$(PYTHON) scripts/setup lab
	@$(BIN)/consilium lab --dir $(DIR) $(ARGS)

clean: ## Remove what setup, demo and the tools made
	rm -rf .venv .venv-synapse .setup.log .setup.lock bot/lab/js/node_modules demo-out build dist .coverage \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find bot commands specialties tests -name __pycache__ -type d -prune -exec rm -rf {} +
