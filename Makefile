# Every target is one line that can be pasted; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
# uv of PATH, else one of our own that `make setup` installs by pip.
UV := $(shell command -v uv 2>/dev/null || echo .cache/uv/bin/uv)
RUN := .venv/bin/python -m

.PHONY: help
help: ## List what one can do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

.PHONY: setup
setup: .venv/.installed ## Install everything into .venv and .cache (asks nothing)
	@tools/prometheus
	@tools/helm
	@tools/postgres

.venv/.installed: pyproject.toml uv.lock | uv
	$(UV) sync --locked --all-extras --compile-bytecode --quiet
	@touch $@

.PHONY: uv
uv:
	@[ -x "$(UV)" ] || command -v "$(UV)" >/dev/null \
	    || { $(PYTHON) -m venv .cache/uv && .cache/uv/bin/pip install --quiet uv; } \
	    || { echo "expected a python3 with venv and pip, or uv on PATH; got neither" >&2; exit 1; }

.PHONY: run
run: setup ## Watch the whole loop close on real flights (about seven minutes)
	.venv/bin/serinus demo

.PHONY: test
test: setup ## Run every test that needs no Kubernetes
	$(RUN) pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST)

.PHONY: test-kube
test-kube: setup ## Tests on a real API server: KUBEBUILDER_ASSETS is a folder with etcd, kube-apiserver and kubectl
	$(RUN) pytest tests/kube -n 2 --dist loadfile $(PYTEST)

.PHONY: test-cluster
test-cluster: ## Tests on the cluster of KUBECONFIG; its images come from `make images test-images`
	@$(MAKE) --no-print-directory test-cluster-together
	@$(MAKE) --no-print-directory test-cluster-alone

.PHONY: test-cluster-together
test-cluster-together: setup # those that share the cluster
	$(RUN) pytest tests/cluster -m "not disturbs" -n 4 --dist worksteal --durations=0 $(PYTEST)

.PHONY: test-cluster-alone
test-cluster-alone: setup # those that take away what every loop leans on
	$(RUN) pytest tests/cluster -m disturbs -p no:xdist --durations=0 $(PYTEST)

.PHONY: check
check: setup lint types fresh test ## Everything that CI runs

.PHONY: lint
lint: setup ## Style and the import contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/shellcheck -x .ci/run tools/prometheus tools/helm tools/postgres tools/kind-up tools/kind-demo tools/kind-down tools/kind/steps.sh

.PHONY: types
types: setup ## Strict types
	.venv/bin/mypy

.PHONY: compile
compile: setup ## Make the generated files anew: the compiled pipeline, the schema, the reference page, the chart's README
	$(RUN) pipelines.compile
	$(RUN) services.cli.reference
	$(RUN) services.cli.crds
	$(RUN) tools.chart

.PHONY: fresh
fresh: setup
	$(RUN) pipelines.compile --check
	$(RUN) services.cli.reference --check
	$(RUN) services.cli.crds --check
	$(RUN) tools.chart --check

PURE := serinus.decide serinus.stats serinus.render serinus.spec
# The unit tests that name them, or the loops that their cases are made of; the others take minutes and add nothing.
PURE_TESTS = $(shell grep -lE 'serinus\.(decide|stats|render|spec)|loop_cases' tests/unit/test_*.py)

.PHONY: coverage
coverage: setup ## Branch coverage of the pure parts by their unit tests; fails under 100 %
	$(RUN) pytest $(PURE_TESTS) -n 2 --dist loadfile $(PURE:%=--cov=%) --cov-branch --cov-fail-under=100 \
	    --cov-report=term-missing:skip-covered $(PYTEST)

.PHONY: covered
covered: # those tests, in words for `make test PYTEST=...` to leave them out
	@echo $(PURE_TESTS:%=--ignore=%)

.PHONY: bench
bench: setup ## The predictor's CPU per request beside a bare model server with the same model
	$(RUN) benchmarks.predictor_cpu

.PHONY: bench-collect
bench-collect: setup ## The predictor's throughput with the collector on, slow and dead, beside one without
	$(RUN) benchmarks.predictor_collect

.PHONY: bench-operator
bench-operator: setup ## An operator with 500 loops at rest: KUBEBUILDER_ASSETS as for test-kube, some 15 minutes
	UV_PROJECT_ENVIRONMENT=.cache/operator $(UV) sync --locked --quiet --no-default-groups --extra operator --extra collector
	$(RUN) benchmarks.operator_500 --python .cache/operator/bin/python

.PHONY: bench-estimate
bench-estimate: setup ## Accuracy before labels come: ours, NannyML's (in an environment of its own) and the truth
	$(UV) venv --quiet --allow-existing .cache/nannyml
	$(UV) pip install --quiet --python .cache/nannyml/bin/python --requirement benchmarks/elsewhere/nannyml.txt
	$(RUN) benchmarks.flights_estimate --share 1 --nannyml .cache/nannyml/bin/python

.PHONY: bench-triggers
bench-triggers: setup ## What drift and quality as triggers gain on a year of flights, in replayed time
	$(RUN) benchmarks.flights_triggers

.PHONY: bench-judges
bench-judges: setup ## Our judge in every simulated world, and other tools' documented rules: two hours on two processors
	$(RUN) benchmarks.judges --seeds 400 --processes 2 --json docs/benchmarks/judges.json
	$(RUN) benchmarks.judges.watch --seeds 200 --processes 2 --json docs/benchmarks/watch.json
	$(RUN) benchmarks.judges.page

.PHONY: statistics
statistics: setup ## docs/statistics.md: each method's simulation, plot and page anew, in minutes
	$(RUN) tools.statistics

.PHONY: bench-drift
bench-drift: setup ## Our drift check beside four libraries', each in an environment of its own: an hour on two processors
	for library in evidently nannyml frouros alibi; do \
	  $(UV) venv --quiet --allow-existing .cache/$$library && $(UV) pip install --quiet \
	    --python .cache/$$library/bin/python --requirement benchmarks/elsewhere/$$library.txt || exit 1; \
	done
	$(RUN) benchmarks.drift --seeds 40 --years 3 --processes 2 --json docs/benchmarks/drift.json
	$(RUN) benchmarks.drift.cost --json docs/benchmarks/drift.json
	$(RUN) benchmarks.drift.page

# Images are called after the project and tagged with its version, which is in pyproject.toml alone.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE_BUILDER ?= $(firstword $(foreach tool,docker podman buildah,$(shell command -v $(tool) 2>/dev/null)) docker)
IMAGE_BUILD = $(IMAGE_BUILDER) build --build-arg VERSION=$(VERSION) \
    --build-arg REVISION=$(shell git rev-parse --short HEAD 2>/dev/null) $(BUILD_ARGS)

.PHONY: images
images: ## Build the three images; IMAGE_BUILDER=docker|podman|buildah, BUILD_ARGS="--build-arg BASE=..."
	$(IMAGE_BUILD) --file components/Dockerfile --tag serinus/pipeline:$(VERSION) .
	$(IMAGE_BUILD) --file services/predictor/Dockerfile --tag serinus/predictor:$(VERSION) .
	$(IMAGE_BUILD) --file services/operator/Dockerfile --tag serinus/control:$(VERSION) .

.PHONY: kind-up
kind-up: setup ## Everything on a kind cluster of this machine: 12 GB of memory for docker, some 20 minutes
	@tools/kind-up

.PHONY: kind-demo
kind-demo: setup ## On that cluster: a canary that is let in, and a broken one that is thrown back
	@tools/kind-demo

.PHONY: kind-down
kind-down: ## Take that cluster away
	@tools/kind-down

.PHONY: test-images
test-images: setup ## Build what the tests on a cluster need besides: images as users derive them from ours, a Postgres
	rm -rf .cache/test-images
	$(RUN) tests.cluster.images .cache/test-images
	$(IMAGE_BUILD) --tag serinus-test/pipeline:1 .cache/test-images/pipeline
	$(IMAGE_BUILD) --tag serinus-test/predictor:1 .cache/test-images/predictor
	$(IMAGE_BUILD) --tag serinus-test/postgres:1 tests/cluster/postgres

.PHONY: clean
clean: ## Remove what was built; .serinus folders of loops stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
