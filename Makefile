# `make demo` and `make test` set up all they need on a fresh machine: Python 3.10+, node and make.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY := PASSIVE
JS := $(shell find js/src -type f) js/build.mjs js/package.json

.PHONY: demo test build lint check-js browser clean

demo: .stamps/demo build
	$(BIN)/python notebooks/open_demo.py

test: .stamps/test build lint check-js .stamps/chromium
	$(BIN)/python -m pytest --doctest-modules vit_attention_widget tests

build: vit_attention_widget/static/explorer.js

lint: .stamps/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-js: .stamps/node
	cd js && npm run check && npm test

clean:
	rm -rf .venv .stamps js/node_modules vit_attention_widget/static dist

.venv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

# torch and timm in one command: torchvision pins torch exactly.
.stamps/demo: pyproject.toml | .venv build
	$(BIN)/python -m pip install --quiet torch timm -e '.[demo]'
	@mkdir -p .stamps && touch $@

.stamps/test: pyproject.toml | .venv build
	$(BIN)/python -m pip install --quiet torch timm -e '.[test]'
	@mkdir -p .stamps && touch $@

# Not `npm ci`: it refuses a lock file without the binaries of platforms that a mirror leaves out.
.stamps/node: js/package.json js/package-lock.json
	cd js && npm install --no-save --no-audit --no-fund
	@mkdir -p .stamps && touch $@

vit_attention_widget/static/explorer.js: $(JS) | .stamps/node
	cd js && npm run build

.stamps/chromium: | .stamps/test
	$(BIN)/python tests/browser/chromium.py && mkdir -p .stamps && touch $@ || true
