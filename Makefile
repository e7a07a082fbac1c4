# `make` lists the targets. Go, git and make are all that is needed, and npm for make contract; the tools below are fetched by Go, at these versions.

GOFUMPT     := mvdan.cc/gofumpt@v0.9.2
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
KUSTOMIZE   := sigs.k8s.io/kustomize/kustomize/v5@v5.8.1

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
FUZZTIME ?= 5s
STEPS    ?= 100000
SANDBOX_STEPS ?= 2000
SEED     ?= 1
BENCHDIR ?= bin
# Where order and time decide, so where the race detector finds something; what has no goroutines (promotion.Plan) is not among them.
RACEPKGS ?= ./internal/store ./internal/reconcile ./internal/polling ./internal/hook ./internal/gitrepo ./internal/forge/...
FUZZPKGS ?= $(sort $(dir $(shell git grep -l '^func Fuzz' -- '*_test.go')))

.DEFAULT_GOAL := help
.PHONY: help build demo test model contract promises bench race lint fuzz fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/boatlift and bin/sandbox
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/boatlift ./cmd/boatlift
	CGO_ENABLED=0 go build -trimpath -o bin/sandbox ./cmd/sandbox

demo: build ## try it: a registry, a forge and the bot on this machine (ONCE=1: one promotion, then end; FORGE=gitlab)
	bin/sandbox -bot bin/boatlift $(if $(FORGE),-forge $(FORGE)) $(if $(ONCE),-once)

test: ## run all tests
	go test -timeout 20m ./...

model: ## drive the bot through STEPS=100000 random steps of SEED=1 (0: new ones) in memory, and SANDBOX_STEPS=2000 against the sandbox, and hold its rules against them
	go test -count=1 -timeout 60m -run '^TestModel$$' -v ./internal/reconcile -model.steps=$(STEPS) -model.seed=$(SEED) -rapid.shrinktime=2m
	go test -count=1 -timeout 60m -run '^TestModel$$' -v ./cmd/boatlift -sandbox.steps=$(SANDBOX_STEPS) -seed=$(SEED)

contract: ## check what bot and sandbox say to each other against GitHub's own documents (needs node and npm)
	@command -v node > /dev/null && command -v npm > /dev/null || { \
		echo "make contract: node and npm are not both on the PATH" >&2; \
		echo "install Node.js 20 or newer with npm: it fetches GitHub's documents, which are not part of this repository" >&2; exit 1; }
	@mkdir -p .contract && cp cmd/sandbox/conform/package.json cmd/sandbox/conform/package-lock.json .contract/
	npm ci --prefix .contract --ignore-scripts --no-audit --no-fund
	cd cmd/sandbox/hub && BOATLIFT_CONTRACT='$(CURDIR)/.contract' go test -count=1 -timeout 10m

promises: ## print what every forge promises, a line each: in memory, GitHub and GitLab side by side
	@mkdir -p bin
	@go test -count=1 -timeout 10m -run '^TestPromises$$' -v ./cmd/sandbox/hub > bin/promises.txt 2>&1; code=$$?; grep '^|' bin/promises.txt; \
		[ $$code -eq 0 ] || { cat bin/promises.txt; exit $$code; }

bench: build ## measure the bot beside what a script would do: bench.json, bench.md and cost.svg in BENCHDIR (SIZES=small: two minutes; PUBLISH=1: into README.md too)
	GOBIN='$(CURDIR)/bin' go install $(KUSTOMIZE)
	@mkdir -p $(BENCHDIR)
	PATH='$(CURDIR)/bin':"$$PATH" bin/sandbox -bot bin/boatlift -dir $(BENCHDIR) $(if $(PUBLISH),-publish .) bench $(SIZES)

race: ## run the tests under the race detector, where it matters (RACEPKGS=...); -short thins long tables and histories, as they are whole in make test
	CGO_ENABLED=1 go test -timeout 30m -race -short $(RACEPKGS)

lint: ## check format, vet, staticcheck and go.mod
	@out=$$(go run $(GOFUMPT) -l .) && { [ -z "$$out" ] || { printf 'not formatted, see make fmt:\n%s\n' "$$out"; exit 1; }; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go mod tidy -diff

fuzz: ## fuzz each parser for FUZZTIME=5s (FUZZPKGS=... for some)
	@set -e; for package in $(FUZZPKGS); do \
		for target in $$(go test -list '^Fuzz' ./$$package | grep '^Fuzz'); do \
			echo "go test -fuzz $$target ./$$package"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./$$package; \
		done; \
	done

fmt: ## format
	go run $(GOFUMPT) -l -w .

clean: ## remove what build made
	rm -rf bin .contract
