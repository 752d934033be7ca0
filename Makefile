# Every target is a line or two of go; nothing here is needed to build or test.
# What .ci/run does is "make check".

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

FUZZTIME  ?= 30s
BENCHTIME ?= 20x
KILLS     ?= 10000
GATEWAYS  ?= 1000
SEEDS     ?= 1000
CLIENTS   ?= 100

export CGO_ENABLED ?= 0

.PHONY: help build test short race lint bench fuzz sim crash mcp agents sandboxes escapes interference clients vectors demo check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/hermes, static
	go build -trimpath -o bin/hermes ./cmd/hermes

test: ## all tests
	go test ./...

short: ## the tests that take no patience
	go test -short ./...

race: ## tests under the race detector (wants a C compiler)
	CGO_ENABLED=1 go test -race -short -shuffle=on ./...

lint: ## gofmt, vet, tidy, staticcheck, govulncheck
	@files="$$(gofmt -l .)"; if [ -n "$$files" ]; then echo "gofmt wants to change:"; echo "$$files"; exit 1; fi
	go vet ./...
	GOOS=darwin go vet ./...
	go mod tidy -diff
	go tool staticcheck ./...
	go tool govulncheck ./...

# Benchmarks that take turns of their own run once, those of processes
# BENCHTIME. Give them a machine that does nothing else.
bench: ## benchmarks, some minutes; read the ratios, the absolute numbers move with the machine
	@results() { grep -E '^(Benchmark|FAIL|panic:|--- FAIL)|^(pkg|cpu): |^ +[a-z_]+_test\.go:' || true; }; \
	bench() { go test -run=NONE -bench=. "$$@" | results; }; \
	bench -benchtime=1x ./boards/owner ./projections; \
	bench -benchtime=1s -benchmem ./events/... ./boards ./dispatcher ./agents/builtin; \
	bench -benchtime=$(BENCHTIME) ./cmd/hermes ./boards/registry

fuzz: ## every fuzz target for FUZZTIME (30s)
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; go test -run=NONE -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) "$$pkg"; \
		done; \
	done

sim: ## SEEDS (1000) of the simulated host, and calls of 64 workers checked to be linearizable
	go test -count=1 -timeout=4h -v -run='^TestSim' ./dispatcher -seeds=$(SEEDS)
	HERMES_LINEAR=10000 go test -count=1 -timeout=1h -v -run='^TestLinearizable' ./boards/owner

crash: ## the long form of kills (KILLS of a log, GATEWAYS of gateways), injected disk faults and bit flips
	BOLTLOG_KILLS=$(KILLS) BOLTLOG_FAULTS=all BOLTLOG_FLIPS=all \
		go test -count=1 -timeout=4h -v -run='^(TestKill|TestFaults|TestBitFlips|TestDiskFull)' ./events/boltlog
	go test -count=1 -timeout=1h -v -run='Crash|Unknown|Kill' ./boards/...
	HERMES_TEST_KILLS=$(GATEWAYS) \
		go test -count=1 -timeout=4h -v -run='Kill|Failover|Handover|Owner' ./cmd/hermes

mcp: ## a run done by the public MCP Inspector (wants npm and a registry)
	HERMES_TEST_NPM=1 go test -count=1 -v -run='^TestMCP' ./cmd/hermes

agents: ## the real claude, codex and opencode from npm against a scripted model (wants npm and a registry)
	HERMES_TEST_AGENTS=1 go test -run '^TestReal$$' -count=1 -v -timeout 20m ./agents/runtime

sandboxes: ## every sandbox in full: repeats, attempts to break out, walls, the demo in each
	HERMES_TEST_SANDBOX=all go test -count=1 -timeout=40m ./sandbox/...
	HERMES_TEST_SANDBOX=all go test -count=1 -run='^TestDemo' ./cmd/hermes

escapes: ## every attempt to break out of every sandbox, and each wall taken away in turn
	HERMES_TEST_SANDBOX=all go test -count=1 -timeout=40m -v -run='^(TestContained|TestWalls)$$' ./sandbox/...

interference: ## one run misbehaves, another board's commands are measured; 2,000 stops
	HERMES_TEST_INTERFERENCE=1 go test -count=1 -v -run='^TestInterference$$' ./cmd/hermes
	HERMES_TEST_STOPS=2000 go test -count=1 -timeout=30m -v -run='TestConformance$$/tree/many' ./sandbox/bwrapbox ./sandbox/localbox

clients: ## CLIENTS (100) clients on this machine: memory and processor time of their gateways
	HERMES_TEST_CLIENTS=$(CLIENTS) go test -count=1 -v -timeout 20m -run '^TestHundredClients$$' ./cmd/hermes

vectors: ## write golden vectors, golden files and the tables of FORMAT.md anew
	go test ./events -run='Format|Vector' -update
	go test ./agents/builtin -update
	go test ./cmd/hermes -run=Documents -update

demo: ## the whole pipeline on this machine: no model, no network
	go run ./cmd/hermes demo

check: ## everything that CI checks
	.ci/run
