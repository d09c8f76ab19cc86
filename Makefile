# The commands of Kumiki. `make run` and `make test` need Python 3.11 or later, and set up all else themselves.

PYTHON ?= python3
ENV ?= local
DESIGN ?= lambda
DISCOVERY ?= cloud-map
BIN := .local/venv/dev/bin
OPERATIONS = $(BIN)/python -m operations --environment $(ENV)
RELEASE = $(BIN)/python -m release --design "$(DESIGN)" $(if $(YES),--yes "$(YES)")
GROUPS := tools dev sam ministack runtime usual
MAKEFLAGS += --no-print-directory
# Compiled modules beside the sources would look like changes to `sam build`.
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help run stop run-ecs test verify token invoke logs redrive consumer replay reconcile build image deploy smoke destroy bench cost docs lock setup

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 \t/p' $(MAKEFILE_LIST) | expand -t 12

run: setup ## the Lambda design up on this machine, orders played
	@$(BIN)/python -m localcloud run

stop: ## everything down; its data stays
	@test ! -x $(BIN)/python || $(BIN)/python -m localcloud stop

run-ecs: setup ## the ECS design up in namespaces of its own, the same orders played, and down: DISCOVERY=service-connect
	@$(BIN)/python -m localcloud.ecs run --discovery "$(DISCOVERY)"

test: setup ## all that guards a change
	@$(BIN)/python -m tests.parts

verify: setup ## the same with the long runs of the proofs
	@$(BIN)/python -m tests.parts --long

token: setup ## an ID token alone: USER=alice, bob or staff
	@$(BIN)/python -m localcloud token "$(USER)"

invoke: setup ## one function with one of events/: FUNCTION=OrdersApi EVENT=place_order
	@$(BIN)/python -m localcloud invoke $(FUNCTION) $(EVENT)

logs: setup ## one order's story over all services: ORDER=…
	@$(OPERATIONS) logs "$(ORDER)"

redrive: setup ## what is in dead-letter queues, why, and back with it: YES=1 without a question
	@$(OPERATIONS) redrive $(if $(YES),--yes)

consumer: setup ## one consumer off and on: NAME=orders TURN=off
	@$(OPERATIONS) consumer "$(NAME)" "$(TURN)"

replay: setup ## archived events once more to one consumer: CONSUMER=orders FROM=2026-11-20T00:00Z TO=…
	@$(OPERATIONS) replay "$(CONSUMER)" "$(FROM)" $(TO)

reconcile: setup ## what the services' books say differently
	@$(OPERATIONS) reconcile

build: setup ## sam build into .aws-sam/build, for this machine or for ENV=dev or ENV=prod
	@$(BIN)/python -m localcloud build $(ENV)

image: setup ## the image of the ECS design, into the repository of ENV=dev or ENV=prod; needs Docker with buildx
	@$(RELEASE) image $(ENV)

deploy: setup ## an environment brought up to date, each change set shown: ENV=dev, DESIGN=ecs, YES=1 without a question
	@$(RELEASE) deploy $(ENV) $(if $(EMAIL),--email "$(EMAIL)") $(if $(REPOSITORY),--repository "$(REPOSITORY)") $(if $(ENDPOINTS),--endpoints 1)

smoke: setup ## an order through the front door by a user who is made for it: ENV=dev
	@$(RELEASE) smoke $(ENV)

destroy: setup ## everything of ENV=dev gone, ACCOUNT=1 with what all environments share; YES=prod is an answer for prod
	@$(RELEASE) destroy $(ENV) $(if $(filter 1,$(ACCOUNT)),--account)

bench: setup ## every benchmark against its floor or peer, into bench/results: ONLY=cold_start
	@$(BIN)/python -m bench $(ONLY)

cost: setup ## a month's price of ENV=dev or ENV=prod, both designs, by what is in the templates
	@$(BIN)/python -m cost $(ENV)

docs: setup ## the references of HTTP API and events, from the code; figures of the last proofs and benchmarks
	@$(BIN)/python -m reference
	@$(BIN)/python -m tests.faults.promises
	@$(BIN)/python -m tests.faults.designs
	@$(BIN)/python -m cost
	@$(BIN)/python -m bench.report

lock: setup ## the newest allowed versions into requirements/*.txt
	@for group in $(GROUPS); do \
	    .local/venv/tools/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	        --custom-compile-command "make lock" --group $$group --output-file requirements/$$group.txt \
	        $$(test $$group = dev && echo layers/common/requirements.txt ecs/requirements.txt) || exit 1; \
	done
	@.local/venv/tools/bin/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --custom-compile-command "make lock" \
	    layers/common/requirements.txt ecs/requirements.txt services/*/requirements.txt --output-file requirements/container.txt

setup:
	@$(PYTHON) -m localcloud.environments >&2
