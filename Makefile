# Two commands do everything: `make search` and `make test`. Both set up .venv first, once, and say what they do.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
BENCH_VENV := .venv-bench
STORE_SERVER := .venv-store/bin/moto_server
PEERS_VENV := .venv-peers
PEERS_REQUIREMENTS := benchmarks/replay/peer_process/requirements.txt
PEERS_STAMP := $(PEERS_VENV)/.installed
BENCH_STAMP := $(VENV)/.bench-installed

.PHONY: search test tests test-slow test-browser test-examples soak lint format bench peers gpu clean
.DEFAULT_GOAL := help

help:
	@echo "make search     search a better configuration on the embedded data set (about 5 minutes on 2 cores)"
	@echo "make test       lint, format check, types, tests"
	@echo "make test-slow  the tests that take minutes"
	@echo "make test-browser  report.html in a browser; needs Chromium"
	@echo "make test-examples  the examples that need more packages"
	@echo "make bench      ours beside its peers on the same work (10 to 17 minutes on 2 quiet cores)"
	@echo "make peers      SMAC3, DEHB and Syne Tune for python -m benchmarks.replay --peers (0.7 GB)"
	@echo "make gpu        on a machine with a CUDA device: tests, speed, memory, a search (20 minutes, to be continued)"
	@echo "make soak       a search that is killed thirty times at random moments"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed, {sys.executable} is {v.major}.{v.minor}: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) with the pinned dependencies (1-3 minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $(STAMP)

search: $(STAMP)
	@echo "Searching: python -m tuner.search --space moe"
	@$(PY) -m tuner.search --space moe

lint: $(STAMP)
	@echo "Lint, format and types"
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: $(STAMP)
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

# The tests often wait for processes to start: the type checker runs beside them.
test:
	@$(MAKE) --no-print-directory -j 2 lint tests

# Three workers on two cores: a third of the time goes into waiting for processes. One of them runs all that starts Ray.
# A hundred processes import the same files, which containers often forbid Python to keep compiled.
tests: export PYTHONDONTWRITEBYTECODE :=
tests: $(STAMP)
	@echo "Tests"
	@$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow and not soak and not browser and not examples"

test-slow: $(STAMP) $(STORE_SERVER)
	@$(PY) -m pytest -m slow

# boto3 is tied to an older python-dateutil than ours; the tests only talk to the server.
$(STORE_SERVER):
	@$(PYTHON) -m venv .venv-store
	@.venv-store/bin/python -m pip install --quiet --disable-pip-version-check 'moto[s3]==5.2.5' flask flask-cors || rm -rf .venv-store

test-browser: $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[browser]'
	@$(PY) -m pytest -m browser

test-examples: $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[examples]'
	@$(PY) -m pytest -m examples

soak: $(STAMP)
	@$(PY) -m pytest -m soak -s

# pysodmetrics is tied to an older numpy than ours. What can't be had is named in the table.
$(BENCH_STAMP): $(STAMP)
	@echo "Adding the peers: accelerate and lightning to $(VENV), pysodmetrics to $(BENCH_VENV) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check pysodmetrics==1.6.2 || rm -rf $(BENCH_VENV)
	@touch $(BENCH_STAMP)

bench: $(BENCH_STAMP)
	@$(PY) -m benchmarks

# syne-tune needs numpy 1, ours numpy 2: an environment of their own. Python 3.11 is the one that was measured with.
$(PEERS_STAMP): $(PEERS_REQUIREMENTS)
	@echo "Setting up $(PEERS_VENV) with SMAC3, DEHB and Syne Tune (1-2 minutes, once) ..."
	@$(PYTHON) -m venv $(PEERS_VENV)
	@$(PEERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(PEERS_REQUIREMENTS)
	@touch $(PEERS_STAMP)

peers: $(PEERS_STAMP)

# With the Python and torch of the machine: nothing is installed, nothing is downloaded. GPU='--seconds 540' ends in time.
gpu:
	@$(PYTHON) -m benchmarks.gpu $(GPU)

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(PEERS_VENV) .venv-store
