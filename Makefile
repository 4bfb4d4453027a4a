# `make demo` and `make test` set up .venv by themselves; they need Python 3.11 or later, git and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
# one thread a process: two processes share two cores, and a second thread would only wait for them
export OMP_NUM_THREADS ?= 1

.PHONY: demo test quick lint setup lock clean

demo: setup
	$(BIN)/python simulations/run.py

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadscope

quick: setup
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadscope

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "expected Python 3.11 or later, got $$($(PYTHON) --version); run: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.9.7
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $(READY)

lock: setup
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --extra offline --extra openvino --extra imaging --extra scale --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv build dist
