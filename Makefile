# `make demo` and `make test` set up everything they need. Requires Python 3.10 or newer and a C++ compiler.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    ?= out/demo
# Processes that `make test` runs the tests in, one file at a time; 0: without processes, for debugging.
TEST_WORKERS ?= 2
# Command run by `make demo` after the installation.
DEMO   ?= $(BIN)/lgnet-hands --demo $(OUT)

.PHONY: help demo test lint docs test-slow test-external gpu-check colcon-check wheels pins bench-node soak clean
.NOTPARALLEL:

# With a sourced ROS 2, its loader and its resource index must find our messages in the virtual environment.
ifdef AMENT_PREFIX_PATH
export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV):$(AMENT_PREFIX_PATH)
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/lib:$(LD_LIBRARY_PATH)
endif
# Set by the ROS 2 wheels in all child processes of a Python that uses them, but wrong for other Pythons.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

help:
	@echo "make demo       install into $(VENV) and run the node on the bundled clip (images in $(OUT))"
	@echo "make test       install the development tools; run linters, type checker and tests"
	@echo "make docs       build the manual in out/docs; warnings and dead links are errors"
	@echo "make test-slow  run the slow tests (every preset overfits 8 samples, 200 lifecycles of the node)"
	@echo "make test-external  test against MediaPipe and dex-retargeting, installed into out/external"
	@echo "make colcon-check  build with colcon in each install layout, with ROS 2 from wheels"
	@echo "make wheels     build a wheel for each Python that is found, and try it in fresh environments (out/wheels)"
	@echo "make pins       write the newest versions of all requirements to constraints.txt"
	@echo "make bench-node measure latency, rate and CPU time of the node with each of its outputs (JSON in out/)"
	@echo "make soak       run the node for 10 minutes, then 1000 lifecycles (JSON in out/)"
	@echo "make gpu-check  compare CPU and CUDA results, measure latency and training throughput"

$(VENV)/bin/pip:
	@echo "== Creating the virtual environment $(VENV)"
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is required, this is " + sys.version)'
	@"$(PYTHON)" -c 'import sys; sys.path.insert(0, "tools/ros"); import interfaces; interfaces.check_path()'
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade pip setuptools

# Stamp files: reinstall only if the requirements changed, rebuild only if the messages did.
REQUIREMENTS := pyproject.toml setup.py requirements.txt constraints.txt tools/ros/kilted.txt tools/ros/wheels.py
MESSAGES := $(wildcard msg/*.msg tools/ros/packages/*/* tools/ros/packages/*/msg/* tools/ros/*.cmake) \
	CMakeLists.txt package.xml tools/ros/interfaces.py resource/program.py.in $(wildcard launch/* config/*)

$(VENV)/.installed: $(REQUIREMENTS) | $(VENV)/bin/pip
	@$(BIN)/python tools/ros/install.py requirements torch
	@$(BIN)/python -c "import lgnet_core, torch" && touch $@

$(VENV)/.installed-dev: $(REQUIREMENTS) | $(VENV)/bin/pip
	@$(BIN)/python tools/ros/install.py requirements dev
	@$(BIN)/python -c "import lgnet_core, torch, pytest, pytorch_lightning" && touch $@ $(VENV)/.installed

$(VENV)/.messages: $(MESSAGES) | $(VENV)/.installed
	@$(BIN)/python tools/ros/install.py messages
	@$(BIN)/python -c "import rclpy, lgnet_ros.msg, tf2_msgs.msg" && touch $@

demo: $(VENV)/.installed $(VENV)/.messages
	@echo "== Running the node on the bundled clip: camera, node and listener processes (about half a minute)"
	@$(DEMO)

lint: $(VENV)/.installed-dev
	@echo "== Linters and type checker"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache

test: lint $(VENV)/.messages
	@echo "== Tests"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile -m "not slow and not gpu" \
		--durations=10 $(PYTEST_ARGS)

docs: $(VENV)/.installed-dev $(VENV)/.messages
	@echo "== Building the manual in out/docs"
	@$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --nitpicky --quiet $(DOCS_ARGS) docs out/docs

test-slow: $(VENV)/.installed-dev $(VENV)/.messages
	@echo "== Slow tests"
	@$(BIN)/python -m pytest -m slow --durations=10 --timeout=3600 $(PYTEST_ARGS)

# MediaPipe needs NumPy 1; dex-retargeting is added to the tested packages, which its environment sees through a .pth file.
EXTERNAL := out/external
SITE_PACKAGES := -c "import sysconfig; print(sysconfig.get_path('purelib'))"

$(EXTERNAL)/.mediapipe:
	@echo "== Installing MediaPipe into $(EXTERNAL)"
	@"$(PYTHON)" -m venv --clear $(EXTERNAL)/mediapipe
	@$(EXTERNAL)/mediapipe/bin/pip install --quiet mediapipe==0.10.21
	@touch $@

$(EXTERNAL)/.retargeting: $(VENV)/.installed-dev
	@echo "== Installing dex-retargeting into $(EXTERNAL)"
	@"$(PYTHON)" -m venv --clear $(EXTERNAL)/retargeting
	@$(BIN)/python $(SITE_PACKAGES) > "$$($(EXTERNAL)/retargeting/bin/python $(SITE_PACKAGES))/tested.pth"
	@$(EXTERNAL)/retargeting/bin/pip install --quiet --constraint constraints.txt dex-retargeting==0.5.0 six
	@touch $@

test-external: $(VENV)/.installed-dev $(EXTERNAL)/.mediapipe $(EXTERNAL)/.retargeting
	@echo "== Tests against MediaPipe and dex-retargeting"
	@LGNET_MEDIAPIPE=$(EXTERNAL)/mediapipe/bin/python $(BIN)/python -m pytest \
		test/core/evaluation/end_to_end/test_mediapipe_process.py
	@$(EXTERNAL)/retargeting/bin/python -m pytest test/core/robotics/test_dex_retargeting.py

colcon-check: $(VENV)/.installed-dev
	@$(BIN)/python tools/ros/colcon_check.py $(COLCON_CHECK_ARGS)

wheels: $(VENV)/.installed-dev
	@$(BIN)/python tools/ros/try_wheels.py $(WHEELS_ARGS)

pins: $(VENV)/.installed-dev
	@$(BIN)/python tools/ros/refresh_pins.py $(PINS_ARGS)

bench-node: $(VENV)/.installed-dev $(VENV)/.messages
	@$(BIN)/python tools/benchmarks/bench_node.py --out out/bench_node.json

soak: $(VENV)/.installed-dev $(VENV)/.messages
	@$(BIN)/python tools/benchmarks/soak.py --out out/soak.json

gpu-check: $(VENV)/.installed-dev
	@$(BIN)/python tools/benchmarks/gpu_check.py
	@$(BIN)/python -m pytest -m gpu

clean:
	rm -rf $(VENV) build *.egg-info out
