# make demo   watch a real generative model collapse on its own output, and its corrected twin (minutes)
# make test   run the tests
# Both make the environment in .venv first. Needs Python >= 3.11; name one with: make test PYTHON=python3.12
VENV ?= .venv
export PYTHON
# One thread a process: tests run in parallel, and results depend on the number of threads.
TEST = OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS)
WORKERS ?= 2

.PHONY: help demo test lint docs clean

help:
	@sed -n 's/^# //p' Makefile | head -3

demo:
	@.ci/venv $(VENV)
	$(VENV)/bin/ouroloop demo

test:
	@.ci/venv $(VENV) dev
	$(TEST)

lint:
	@.ci/venv $(VENV) dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

docs:
	@.ci/venv $(VENV) docs
	$(VENV)/bin/mkdocs build --strict

clean:
	rm -rf $(VENV) site
