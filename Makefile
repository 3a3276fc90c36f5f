# Everything here runs on a laptop with Go, git and a C compiler (for -race).
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LINT    := bin/golangci-lint

.DEFAULT_GOAL := help

help: ## print this
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build ./throng
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o throng ./cmd/throng

test: ## the tests, as the README runs them
	$(GO) test ./...

check: fmt-check lint generate-check tidy-check cross race ## what continuous integration checks beside the tests

fmt: $(LINT) ## format everything
	$(LINT) fmt

fmt-check: $(LINT) ## fail where something is not formatted
	$(LINT) fmt --diff

lint: $(LINT) ## lint, import rules included
	$(GO) vet ./...
	$(LINT) run ./...

$(LINT): tools/go.mod
	cd tools && $(GO) build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

generate-check: ## fail where a generated file is not what its generator makes
	$(GO) tool templ generate -path ./web
	$(GO) generate ./engine/bitmap/kernel ./internal/huffgz
	git diff --exit-code -- web engine/bitmap/kernel internal/huffgz

tidy-check: ## fail where go.mod is not tidy
	$(GO) mod tidy -diff

cross: ## build and vet for every platform that is released
	@for p in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do \
		echo "$$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/throng || exit 1; \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) vet ./... || exit 1; \
	done

# The tests of e2e run a binary of its own, which the detector does not see.
race: ## the short tests under the race detector, in random order
	CGO_ENABLED=1 $(GO) test -race -short -shuffle=on -timeout 20m $$($(GO) list ./... | grep -v /e2e$$)

crash: ## kill 300 processes under load on SQLite, and 300 on PostgreSQL with two servers, and cut the power as often; an hour or more
	THRONG_TEST_KILLS=300 scripts/postgres scripts/s3 $(GO) test ./e2e -run 'TestCrash|TestPowerCut' -v -count 1 -timeout 3h

fuzz: ## two minutes of every fuzz target
	scripts/fuzz 2m

demo: ## the demo, on http://127.0.0.1:8080
	$(GO) run ./cmd/throng demo

bench-peers: ## compare with ClickHouse, DuckDB, PostgreSQL and roaring; installs them; some 15 minutes, 3 GB of disk
	bench/peers/run

.PHONY: help build test check fmt fmt-check lint generate-check tidy-check cross race crash fuzz demo bench-peers
