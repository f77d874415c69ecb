# Everything a clone needs, from python3, make and git alone. `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .peers
DEMO_SECONDS ?= 120

.DEFAULT_GOAL := help
.PHONY: help setup dev demo services services-stop test test-jitter check bench bench-stream bench-model bench-api bench-dynamic bench-ablation soak pretrain pretrain-plan pretrain-intents pins clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.demo ## the virtual environment .venv with the service and the demo plant
dev: $(VENV)/.dev $(PEERS)/.ready ## the same with what tests and checks need (torch: a few GB)

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make a virtual environment (on Debian: apt install python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt

$(VENV)/.demo: requirements/demo.txt pyproject.toml | $(BIN)/uv
	@echo "Installing the service (first run only) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/demo.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.demo
	@echo "Installing what tests and checks need (first run only; torch is large) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

$(PEERS)/.ready: requirements/peers.txt | $(BIN)/uv
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEERS)
	@$(BIN)/uv pip install --quiet --python $(PEERS)/bin/python --require-hashes -r requirements/peers.txt
	@touch $@

demo: $(VENV)/.demo ## a plant breaks; watch the service find out where and act (DEMO_SECONDS=120)
	@$(BIN)/openautoglm demo --seconds $(DEMO_SECONDS)

services: $(VENV)/.demo ## Kafka, Neo4j and Mosquitto on loopback, without containers (Java 17, Maven)
	@$(BIN)/python -m deploy.local.services start

services-stop: ## end what `make services` started
	@$(BIN)/python -m deploy.local.services stop

# What fails is run once more, in a process of its own, and each test that passes only then is named: it is unsteady, a fault to mend.
AGAIN = { [ $$? -eq 1 ] && echo 'Once more, by themselves: what passes only now is unsteady.' && $(BIN)/python -m pytest --last-failed -rpfE; }

# Two processes for two cores: more threads in each would wait for each other.
# The browser's tests by themselves: Playwright's loop runs in their process, where no other loop can.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: $(VENV)/.dev $(PEERS)/.ready ## all tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --durations 20 --ignore tests/console || $(AGAIN)
	@$(BIN)/python -m pytest tests/console || $(AGAIN)

SEED ?= 0
test-jitter: export OMP_NUM_THREADS = 1
test-jitter: export SEED := $(SEED)
test-jitter: $(VENV)/.dev $(PEERS)/.ready ## all but the browser's, shuffled, while sockets, threads and timers are late (an hour; SEED=0)
	@$(BIN)/python -m pytest -p tests.jitter -n 2 --dist loadgroup --ignore tests/console

check: $(VENV)/.dev ## lint, types, import contracts, size limits, policies, runbook
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/contracts/sizes.py
	@$(BIN)/openautoglm policy check deploy/policy && $(BIN)/openautoglm policy test deploy/policy > /dev/null
	@$(BIN)/openautoglm runbook check deploy/runbook.yaml

pretrain: $(VENV)/.dev ## the weights that tell where faults began, anew from rehearsed plants (hours)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m graph.nn.pretraining

PLAN_SETS ?= --set tests/agents/toolsets/hub.json tests/agents/toolsets/hub.ndjson tests/agents/toolsets/hub.ndjson \
             --set tests/agents/toolsets/daily.json tests/agents/toolsets/daily.ndjson tests/agents/toolsets/daily.ndjson
PLAN_FOREIGN := --foreign tests/agents/toolsets/media.json tests/agents/toolsets/media.ndjson tests/agents/toolsets/media.ndjson \
                --foreign tests/agents/toolsets/plant.json tests/agents/toolsets/plant.ndjson tests/agents/toolsets/plant.ndjson
# As shipped: PLAN_SETS with '--set tools.json requests.ndjson truth.ndjson' of UltraTool before the two of our own.
pretrain-intents: $(VENV)/.dev ## what parts of instructions ask for, anew from sentences with known plans (seconds)
	@OMP_NUM_THREADS=1 $(BIN)/python -m agents.parser.lessons tests/agents/instructions/plant.ndjson tests/agents/instructions/*.train.ndjson

pretrain-plan: $(VENV)/.dev ## the weights that judge tools nobody has planned with, anew from tool sets (minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m graph.nn.toolgraph.pretraining $(PLAN_SETS) $(PLAN_FOREIGN)

soak: $(VENV)/.dev ## kill, pause, cut and fill a whole deployment for half an hour; a table on stdout
	@$(BIN)/python -m tests.cluster.soak

bench: $(VENV)/.dev ## measure each part beside its peer; JSON on stdout
	@$(BIN)/python -m tests.bench

bench-stream: $(VENV)/.dev $(PEERS)/.ready ## Kafka to graph, takeover and projection, beside their peers; JSON on stdout
	@$(BIN)/python -m tests.bench stream distributed takeover projection

bench-model: $(VENV)/.dev ## the temporal graph network beside PyG's parts, in one thread; JSON on stdout
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m tests.bench temporal

bench-api: $(VENV)/.dev ## fault paths, HTTP and events, beside Neo4j and plain FastAPI; JSON on stdout
	@$(BIN)/python -m tests.bench api

bench-dynamic: $(VENV)/.dev ## a frozen and the live topology side by side on rebuilt plants (15 minutes); JSON on stdout
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m tests.bench dynamic

bench-ablation: $(VENV)/.dev ## the networks with real edges, shuffled ones and none (10 minutes); JSON on stdout
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m tests.bench ablation

clean: ## remove the virtual environment and all caches
	@rm -rf $(VENV) $(PEERS) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# For maintainers: pins anew from pyproject.toml.
pins: | $(BIN)/uv ## pin the requirements anew
	@deploy/pin-requirements
