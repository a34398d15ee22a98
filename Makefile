# Two commands do all the set-up: `make demo` and `make test`. They need Python 3.10 or newer, make and a C++ compiler.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    ?= out/demo

.PHONY: help demo test lint test-slow gpu-check clean

help:
	@echo "make demo       install into $(VENV), find the hands in the bundled clip, show the result (pictures in $(OUT))"
	@echo "make test       install the development tools too; lint, types, tests"
	@echo "make test-slow  the tests that take minutes (every preset overfits 8 samples)"
	@echo "make gpu-check  CPU/CUDA parity, latency and training throughput; says so where there is no CUDA"

$(VENV)/bin/pip:
	@echo "== Creating the virtual environment $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade pip

# Stamps: installing again only when the requirements changed.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "== Installing lgnet_ros and what it needs (about a minute and a half the first time)"
	@$(BIN)/pip install --progress-bar on --constraint constraints.txt --editable .
	@$(BIN)/python -c "import lgnet_core, torch" && touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "== Installing lgnet_ros with its training and development tools (about two minutes the first time)"
	@$(BIN)/pip install --progress-bar on --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -c "import lgnet_core, torch, pytest, pytorch_lightning" && touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	@echo "== Finding the hands in the bundled clip"
	@$(BIN)/lgnet demo -o $(OUT)

lint: $(VENV)/.installed-dev
	@echo "== Lint and types"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test: lint
	@echo "== Tests"
	@$(BIN)/python -m pytest -m "not slow and not gpu" --durations=10 $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-dev
	@echo "== Tests that take minutes"
	@$(BIN)/python -m pytest -m slow --durations=10 --timeout=3600 $(PYTEST_ARGS)

gpu-check: $(VENV)/.installed-dev
	@$(BIN)/python tools/gpu_check.py
	@$(BIN)/python -m pytest -m gpu

clean:
	rm -rf $(VENV) build *.egg-info out
