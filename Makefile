# Everything is done in .venv, an environment of this folder's own, and written under build/.
# Every command can be run first, and again: it makes what it needs and uses what is there.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help lab demo test check-all lint heavy chaos kernel6 lock binder site screenshots bench dist clean clean-all dev chromium

PY := .venv/bin/python
BIOME := .venv/bin/biome ci --colors=off --error-on-warnings nbvlm/widgets/static
PORT ?= 8888

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

lab: ## JupyterLab on a copy of the tutorials, nbvlm-tutorials/, on this machine only
	@sh scripts/environment.sh lab
	@exec $(PY) -m nbvlm lab --port $(PORT)

demo: ## the quick-start without a browser: executed notebook and annotated picture under build/
	@sh scripts/environment.sh lab
	@$(PY) scripts/demo.py

test: dev chromium ## lint, types, all tests, all notebooks
	@failed=0; \
	$(PY) -m ruff check . || failed=1; \
	$(PY) -m ruff format --check . || failed=1; \
	$(PY) -m mypy || failed=1; \
	$(BIOME) || failed=1; \
	.venv/bin/lint-imports --no-cache || failed=1; \
	[ $$failed -eq 0 ] || echo "Lint or types failed, see above; the tests are run all the same."; \
	$(PY) scripts/tests.py || failed=1; \
	exit $$failed

lint: dev ## lint and types only
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(BIOME)
	@.venv/bin/lint-imports --no-cache

check-all: test heavy chaos kernel6 dist binder site ## all of that, the heavy tests, chaos, an older kernel, the wheel alone, Binder, the site

heavy: dev chromium
	@sh scripts/heavy.sh

chaos: dev ## clients before a server that misbehaves, damaged inputs, batches that are killed
	@$(PY) bench/chaos.py

kernel6: dev
	@sh scripts/kernel6.sh

# make lock UPGRADE=--upgrade takes the newest versions; without it, pins that still fit are kept.
lock: dev ## the pinned packages of Binder, binder/requirements.txt, from the loose lists
	@sh scripts/lock.sh binder/requirements.txt $(UPGRADE)

binder: dev
	@$(PY) scripts/check_binder.py

site: dev ## the documentation with all tutorials, under build/site
	@$(PY) scripts/make_site.py

screenshots: dev chromium ## the pictures of README and docs, under docs/images/
	@$(PY) scripts/screenshots.py

# bench/server.py is what bench/client.py talks to; bench/answers.py runs the parts beside it; chaos is no benchmark.
bench: dev ## the benchmarks; tables under build/bench/
	@mkdir -p build/bench; failed=0; \
	for script in $(filter-out bench/server.py bench/answers_%.py bench/chaos%.py,$(wildcard bench/*.py)); do \
		table="build/bench/$$(basename "$$script" .py).txt"; \
		echo "== $$script"; \
		$(PY) "$$script" >"$$table" || failed=1; \
		cat "$$table"; \
	done; \
	exit $$failed

dist: dev ## source archive and wheel under build/dist/, tried as a new user would
	@rm -rf build/dist && mkdir -p build
	@$(PY) -m build --outdir build/dist . >build/dist.log 2>&1 || { cat build/dist.log; exit 1; }
	@ls -l build/dist
	@$(PY) scripts/check_wheel.py

clean: ## remove what was built (not .venv)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find nbvlm tests bench scripts notebooks -name __pycache__ -prune -exec rm -rf {} +

clean-all: clean ## … and .venv
	rm -rf .venv

dev:
	@sh scripts/environment.sh dev

chromium:
	@sh scripts/chromium.sh
