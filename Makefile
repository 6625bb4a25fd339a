# `make demo` and `make test` set up all they need on a fresh machine: Python 3.10+, node and make.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY := PASSIVE
MAKEFLAGS += --jobs=2 # downloads, types and JavaScript beside one another; the tests come last
JS := $(shell find js/src -type f) js/build.mjs js/parts.mjs js/package.json

# Processes that run tests, a core each. `make test WORKERS=0` runs all in one.
WORKERS := 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --doctest-modules vit_attention_widget tests

.PHONY: demo test quick fuzz shots docs live site build lint check-js browser oldest release clean

demo: .stamps/demo build
	$(BIN)/python notebooks/open_demo.py

test: .stamps/test build lint check-js .stamps/live .stamps/chromium
	$(PYTEST)

# For every change: what takes seconds and what needs a browser is left out, and so is the linting.
quick: .stamps/test build
	$(PYTEST) -m "not slow and not browser"

# Long attacks by chance; `make test` runs short ones.
fuzz: .stamps/test
	$(BIN)/python -m tests.fuzz

# Pictures of every state of the widgets, to be looked at: tests/artifacts/shots.
shots: .stamps/test build .stamps/chromium
	PYTHONPATH=. $(BIN)/python js/dev/shots.py tests/artifacts/shots

# The live page alone: live/site, to be put on any web host. `make live` opens it here.
site: .stamps/docs .stamps/live build
	PYTHONPATH=. $(BIN)/python live/build.py live/site

live: site
	$(BIN)/python live/serve.py live/site

# The documentation with the live page in it: docs/_build/html, to be put on any web host, at any
# path. No page of it asks other hosts for anything.
docs: .stamps/docs .stamps/live build
	PYTHONPATH=. $(BIN)/python live/build.py docs/_build/extra/live
	$(BIN)/python docs/gallery.py docs/_build/extra/widgets
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html

build: vit_attention_widget/static/explorer.js

lint: .stamps/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-js: .stamps/node build
	cd js && npm run check && npm test

# The core with the oldest versions that are supported. Left out: timm 1.0.20's mixed RoPE fails by
# itself outside float32; models that pool by attention agree with torch 2.7 to rounding, not bit for bit.
OLDEST := torch==2.7.1 timm==1.0.20 transformers==4.57.1 open-clip-torch==3.2.0
oldest: build
	test -d .venv-oldest || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet $(OLDEST) -e . pytest scikit-learn opentsne
	.venv-oldest/bin/python -m pytest tests/test_contract.py tests/test_masks_and_threads.py \
		tests/test_ways_of_holding_a_model.py tests/test_token_gradients.py tests/test_libraries.py \
		tests/test_contract_libraries.py tests/test_shapes_libraries.py tests/test_legrad_siglip.py \
		tests/test_zero_shot.py tests/test_trace.py tests/test_importance.py tests/test_strength.py \
		-k "not rope-mixed and not several_attentions and not (bit_equal and \
		(siglip or map or pe-core or test-vit3))"

# Builds, checks and tries what is to be uploaded, and says what stands against it. Uploads nothing,
# unless UPLOAD names a repository of twine's: `make release UPLOAD=testpypi`.
release: .stamps/release .stamps/node
	cd js && npm run build
	$(BIN)/python release.py $(if $(UPLOAD),--upload $(UPLOAD))

clean:
	rm -rf .venv .venv-oldest .stamps js/node_modules vit_attention_widget/static dist \
		live/node_modules live/graphs live/site

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

.stamps/release: pyproject.toml | .venv build
	$(BIN)/python -m pip install --quiet torch timm -e '.[release]'
	@mkdir -p .stamps && touch $@

.stamps/docs: pyproject.toml | .venv build
	$(BIN)/python -m pip install --quiet torch timm -e '.[docs,patterns]'
	@mkdir -p .stamps && touch $@

# Not `npm ci`: it refuses a lock file without the binaries of platforms that a mirror leaves out.
.stamps/node: js/package.json js/package-lock.json
	cd js && npm install --no-save --no-audit --no-fund
	@mkdir -p .stamps && touch $@

# What the live page needs of ONNX Runtime, which no widget does.
.stamps/live: live/package.json live/package-lock.json
	cd live && npm install --no-save --ignore-scripts --no-audit --no-fund
	@mkdir -p .stamps && touch $@

vit_attention_widget/static/explorer.js: $(JS) | .stamps/node
	cd js && npm run build

.stamps/chromium: | .stamps/test
	$(BIN)/python tests/browser/chromium.py && mkdir -p .stamps && touch $@ || true
