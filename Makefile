# `make demo` and `make test` set everything up by themselves; nothing else is needed but Python 3.11+.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
OUT ?= demo

.PHONY: help demo test lint format docs notebook dist bench curvature theory benchmarks clean

help:
	@echo "make demo        set up, train small LLaMA models with adaptive and hand-tuned warm-up, draw demo/report.html"
	@echo "make test        set up and run the tests"
	@echo "make lint        ruff and pyright"
	@echo "make docs        the documentation site in site/, where a warning is an error"
	@echo "make notebook    run examples/tutorial.ipynb and store what it prints and draws (a minute)"
	@echo "make dist        wheel and source distribution in dist/, checked"
	@echo "make bench       the committed benchmark of warm-up rules again (about 10 hours on 2 cores; resumes)"
	@echo "make curvature   the committed curvature measurements again (about 1.5 hours on 2 cores)"
	@echo "make theory      the committed check of every theorem and the studies beside it again (minutes)"
	@echo "make benchmarks  the timings behind the README, as JSON in results/benchmarks"

$(READY): pyproject.toml constraints.txt peers.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "autowarmup needs Python 3.11 or newer: expected >= 3.11, got " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement peers.txt
	@touch $@

demo: $(READY)
	$(BIN)/autowarmup bench --set demo --out $(OUT)

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --benchmark-disable

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # --quiet would not count warnings
	$(BIN)/python tools/check_site.py site

notebook: $(READY)
	$(BIN)/python tools/notebook.py

dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tools/check_dist.py dist

bench: $(READY)
	for name in core extended robustness protocol logs; do $(BIN)/autowarmup bench --set $$name --out results/bench || exit; done
	$(BIN)/python tools/readme_results.py

curvature: $(READY)
	$(BIN)/python -m studies.curvature

theory: $(READY)
	$(BIN)/autowarmup theory --instances 600 --seed 1 --out results/theory
	$(BIN)/python -m studies.theory.separation
	$(BIN)/python -m studies.theory.picture
	$(BIN)/python -m studies.theory.counts
	$(BIN)/python -m studies.theory.neural
	$(BIN)/python tools/readme_results.py

benchmarks: $(READY)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/observer_overhead.py
	$(BIN)/python benchmarks/hosts_overhead.py
	$(BIN)/python benchmarks/fleet_speed.py
	$(BIN)/python benchmarks/gpu_syncs.py

clean:
	rm -rf .venv build dist site src/*.egg-info .pytest_cache .ruff_cache .hypothesis
