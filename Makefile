# Two commands do all the set-up: `make demo` and `make test`. They need Python 3.10 or newer, make and a C++ compiler.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    ?= out/demo
# What `make demo` ends with.
DEMO   ?= $(BIN)/lgnet-hands --demo $(OUT)

.PHONY: help demo test lint test-slow gpu-check colcon-check bench-node soak clean
.NOTPARALLEL:

# Beside a sourced ROS 2, its loader and its index have to find our messages in the virtual environment.
ifdef AMENT_PREFIX_PATH
export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV):$(AMENT_PREFIX_PATH)
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/lib:$(LD_LIBRARY_PATH)
endif
# Set by ROS 2's wheels in every child of a Python that uses them; here another Python starts.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

help:
	@echo "make demo       install into $(VENV), play the bundled clip to the node, show what arrives (images in $(OUT))"
	@echo "make test       install the development tools too; lint, types, tests"
	@echo "make test-slow  the tests that take minutes (every preset overfits 8 samples)"
	@echo "make colcon-check  the package built by colcon in each of its ways, on ROS 2 from wheels"
	@echo "make bench-node what the node costs beside its network, as JSON in out/"
	@echo "make soak       the node for ten minutes, then a thousand lifecycles, as JSON in out/"
	@echo "make gpu-check  CPU/CUDA parity, latency and training throughput; says so where there is no CUDA"

$(VENV)/bin/pip:
	@echo "== Creating the virtual environment $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed, this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade pip setuptools

# Stamps: installing again only when the requirements changed, building again only when the messages did.
REQUIREMENTS := pyproject.toml setup.py requirements.txt constraints.txt tools/ros/kilted.txt tools/ros/wheels.py
MESSAGES := $(wildcard msg/*.msg tools/ros/packages/*/* tools/ros/packages/*/msg/* tools/ros/*.cmake) \
	CMakeLists.txt package.xml tools/ros/interfaces.py

$(VENV)/.installed: $(REQUIREMENTS) | $(VENV)/bin/pip
	@$(BIN)/python tools/ros/install.py requirements
	@$(BIN)/python -c "import lgnet_core, torch" && touch $@

$(VENV)/.installed-dev: $(REQUIREMENTS) | $(VENV)/bin/pip
	@$(BIN)/python tools/ros/install.py requirements dev
	@$(BIN)/python -c "import lgnet_core, torch, pytest, pytorch_lightning" && touch $@ $(VENV)/.installed

$(VENV)/.messages: $(MESSAGES) | $(VENV)/.installed
	@$(BIN)/python tools/ros/install.py messages
	@$(BIN)/python -c "import rclpy, lgnet_ros.msg, tf2_msgs.msg" && touch $@

demo: $(VENV)/.installed $(VENV)/.messages
	@echo "== Playing the bundled clip: a camera, the node and a listener, each a process (about half a minute)"
	@$(DEMO)

lint: $(VENV)/.installed-dev
	@echo "== Lint and types"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache

test: lint $(VENV)/.messages
	@echo "== Tests"
	@$(BIN)/python -m pytest -m "not slow and not gpu" --durations=10 $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-dev $(VENV)/.messages
	@echo "== Tests that take minutes"
	@$(BIN)/python -m pytest -m slow --durations=10 --timeout=3600 $(PYTEST_ARGS)

colcon-check: $(VENV)/.installed-dev
	@$(BIN)/python tools/ros/colcon_check.py $(COLCON_CHECK_ARGS)

bench-node: $(VENV)/.installed-dev $(VENV)/.messages
	@$(BIN)/python tools/bench_node.py --out out/bench_node.json

soak: $(VENV)/.installed-dev $(VENV)/.messages
	@$(BIN)/python tools/soak.py --out out/soak.json

gpu-check: $(VENV)/.installed-dev
	@$(BIN)/python tools/gpu_check.py
	@$(BIN)/python -m pytest -m gpu

clean:
	rm -rf $(VENV) build *.egg-info out
