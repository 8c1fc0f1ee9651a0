# What a newcomer runs: `make demo`, and then `make test`.

SHELL := /bin/bash
GO ?= go

# Tools are built by the Go module proxy's word, pinned, into the Go cache.
OAPI_CODEGEN := github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2
GOLANGCI     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Counts the tests, and shows of a failed one all it said.
GOTESTSUM    := $(GO) run gotest.tools/gotestsum@v1.13.0

# Outside the tree: what takes long to build and does not change with it.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/muniment
LINT  := $(CACHE)/golangci-lint-v2.15.0

# The S3 server of the tests, only ever a process of its own.
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c
MINIO := $(CACHE)/minio-$(MINIO_VERSION)

# The log server and signer that a supervisor runs, as folder.
TRILLIAN_VERSION := v1.8.0
TRILLIAN := $(CACHE)/trillian-$(TRILLIAN_VERSION)

# The key management of the tests: Vault's own code of its last years under the MPL, a
# process of its own.
VAULT_VERSION := v1.13.1
VAULT := $(CACHE)/vault-$(VAULT_VERSION)

# What tests alert rules.
PROMTOOL_VERSION := v0.316.0
PROMTOOL := $(CACHE)/promtool-$(PROMTOOL_VERSION)

# A time-stamp authority of the tests, likewise.
SIGSTORE_VERSION := v2.1.2
SIGSTORE := $(CACHE)/timestamp-server-$(SIGSTORE_VERSION)

# The witness of the tests that is not ours.
LITEWITNESS_VERSION := v0.9.0
LITEWITNESS := $(CACHE)/litewitness-$(LITEWITNESS_VERSION)

# The linters of openapi.yaml; a Redocly that runs on Debian 12's Node.js.
REDOCLY  := $(CACHE)/redocly-1.34.20
SPECTRAL := $(CACHE)/spectral-6.16.3

# What makes TypeScript's types of openapi.yaml, and checks the example that uses them.
TYPES := $(CACHE)/openapi-typescript-7.13.0-typescript-5.9.3-node-20.19.25
# The browser's driver, and the rules of accessibility, of the tests of the verify page.
PLAYWRIGHT := $(CACHE)/playwright-core-1.64.1-axe-core-4.11.1
NPM      := timeout 600 npm install --no-audit --no-fund --loglevel=error --prefix

# What the programs are built with, everywhere: the same source gives the same bytes. The
# toolchain writes version and revision into them, from the tags and the commit that are
# checked out.
RELEASE_FLAGS := -trimpath
PROGRAMS := munimentd munimentd-pkcs11 muniment muniment-bench
GOMOD_SBOM := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0

.PHONY: demo demo-production release build test check openapi generate wasm bench torture deps node

demo: build ## from nothing to a verified contract
	@cmd/munimentd/demo.sh

demo-production: deps build ## the same on PostgreSQL, S3 and three replicas, one of them killed
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./storage/storagetest/servers/stand
	@cmd/munimentd/demo-production.sh

build: ## the binaries into bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build $(RELEASE_FLAGS) -o bin/ $(PROGRAMS:%=./cmd/%)

release: ## bin/release: every program for each platform, SHA256SUMS, and what each is made of
	rm -rf bin/release && mkdir -p bin/release
	set -e; for p in linux/amd64 linux/arm64; do for c in $(PROGRAMS); do \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build $(RELEASE_FLAGS) -o bin/release/$$c-$${p%/*}-$${p#*/} ./cmd/$$c; done; done
	set -e; for p in darwin/arm64 windows/amd64; do \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build $(RELEASE_FLAGS) -o bin/release/muniment-$${p%/*}-$${p#*/} ./cmd/muniment; done
	mv bin/release/muniment-windows-amd64 bin/release/muniment-windows-amd64.exe
	set -e; cd bin/release; for f in $$(ls); do \
		$(GO) run $(GOMOD_SBOM) bin -json -licenses -std -noserial -output $$f.cdx.json $$f; done
	cd bin/release && sha256sum $$(ls) > SHA256SUMS

test: deps ## every test; installs what they need
	$(GOTESTSUM) --format pkgname -- -timeout 40m ./...
	cd proofs/strangers && $(GOTESTSUM) --format pkgname -- -timeout 10m ./...
	cd helm/tests && $(GOTESTSUM) --format pkgname -- -timeout 20m ./...

check: generate openapi $(LINT) ## what a change must pass beside the tests
	@test -z "$$(gofmt -l cmd helm notary proofs service storage)" || { gofmt -l cmd helm notary proofs service storage; echo "gofmt would change these files"; exit 1; }
	$(GO) vet ./...
	cd proofs/strangers && $(GO) vet ./...
	cd helm/tests && $(GO) vet ./...
	$(LINT) run ./...
	$(TYPES)/node_modules/.bin/tsc -p service/client/typescript --typeRoots $(TYPES)/node_modules/@types
	@git diff --exit-code -- service/api service/verifypage service/client/typescript go.mod go.sum || { echo "make generate changes the tree: commit what it makes"; exit 1; }

openapi: $(REDOCLY) $(SPECTRAL) ## openapi.yaml by two linters
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(REDOCLY)/node_modules/.bin/redocly lint --config .redocly.yaml openapi.yaml
	$(SPECTRAL)/node_modules/.bin/spectral lint --fail-severity=hint openapi.yaml

generate: wasm $(TYPES) ## code from openapi.yaml, and the verifier for browsers
	cd service/api && $(GO) run $(OAPI_CODEGEN) -config config.yaml ../../openapi.yaml
	$(TYPES)/node_modules/.bin/openapi-typescript openapi.yaml -o service/client/typescript/api.d.ts
	$(GO) mod tidy

# The same source gives the same bytes: a test builds them again.
wasm: ## package proofs for the browser, into service/verifypage
	@mkdir -p bin
	CGO_ENABLED=0 GOOS=js GOARCH=wasm GOWASM= GOFLAGS= $(GO) build -trimpath -buildvcs=false -ldflags "-s -w" -o bin/muniment.wasm ./cmd/muniment-wasm
	zcat -f service/verifypage/muniment.wasm.gz 2>/dev/null | cmp -s - bin/muniment.wasm || gzip -9nc bin/muniment.wasm > service/verifypage/muniment.wasm.gz
	cp "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" service/verifypage/wasm_exec.js
	cp "$$($(GO) env GOROOT)/LICENSE" service/verifypage/wasm_exec.LICENSE

bench: build ## figures of sequencer, storage and proofs, and of the whole service; minutes
	$(GO) test -run '^$$' -bench . -benchtime 3s ./notary ./proofs ./storage/...
	bin/muniment-bench suite --duration 5s --warmup 2s --baselines 1s

torture: deps ## the attacks at full size: hours
	MUNIMENT_TORTURE=1 $(GO) test -timeout 12h -v ./...
	cd proofs/strangers && MUNIMENT_TORTURE=1 $(GO) test -timeout 3h ./...
	for p in ./proofs ./proofs/mldsa ./proofs/rfc3161 ./notary/esignature ./notary/witness ./service; do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
		$(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 10m -fuzzminimizetime 5x $$p || exit 1; \
	done; done

deps: $(MINIO) $(LITEWITNESS) $(SIGSTORE) $(TRILLIAN) $(VAULT) $(PROMTOOL) $(PLAYWRIGHT) node ## Debian's packages, and the servers, that the tests drive
	@command -v strace >/dev/null || { apt-get update -qq && apt-get install -qq -y strace; }
	@command -v openssl >/dev/null || { apt-get update -qq && apt-get install -qq -y openssl; }
	@command -v nginx >/dev/null || test -x /usr/sbin/nginx || { apt-get update -qq && apt-get install -qq -y nginx; }
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -qq -y chromium fonts-wqy-microhei; }
	@command -v sqlite3 >/dev/null || { apt-get update -qq && apt-get install -qq -y sqlite3; }
	@command -v pdfsig >/dev/null || { apt-get update -qq && apt-get install -qq -y poppler-utils; }
	@command -v qpdf >/dev/null || { apt-get update -qq && apt-get install -qq -y qpdf; }
	@command -v certutil >/dev/null || { apt-get update -qq && apt-get install -qq -y libnss3-tools; }
	@command -v zbarimg >/dev/null || { apt-get update -qq && apt-get install -qq -y zbar-tools; }
	@command -v softhsm2-util >/dev/null || { apt-get update -qq && apt-get install -qq -y softhsm2; }
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || { \
		apt-get update -qq && apt-get install -qq -y postgresql-common && \
		echo 'create_main_cluster = false' >> /etc/postgresql-common/createcluster.conf && \
		apt-get install -qq -y postgresql; } # without a cluster of Debian's own

node: ## what the linters of openapi.yaml, the example for lending systems and the browser's driver run on
	@command -v npm >/dev/null || timeout 600 sh -c "apt-get update -qq && apt-get install -qq -y nodejs npm"

$(REDOCLY): | node
	@mkdir -p $(CACHE)/build
	$(NPM) $(CACHE)/build/redocly @redocly/cli@$(subst redocly-,,$(notdir $@))
	rm -rf $@ && mv $(CACHE)/build/redocly $@

$(SPECTRAL): | node
	@mkdir -p $(CACHE)/build
	$(NPM) $(CACHE)/build/spectral @stoplight/spectral-cli@$(subst spectral-,,$(notdir $@))
	rm -rf $@ && mv $(CACHE)/build/spectral $@

$(TYPES): | node
	@mkdir -p $(CACHE)/build
	$(NPM) $(CACHE)/build/types openapi-typescript@7.13.0 typescript@5.9.3 @types/node@20.19.25
	rm -rf $@ && mv $(CACHE)/build/types $@

$(PLAYWRIGHT): | node
	@mkdir -p $(CACHE)/build
	$(NPM) $(CACHE)/build/playwright playwright-core@1.64.1 axe-core@4.11.1
	rm -rf $@ && mv $(CACHE)/build/playwright $@

$(LINT):
	@mkdir -p $(CACHE)/build
	GOBIN=$(CACHE)/build $(GO) install $(GOLANGCI)
	mv $(CACHE)/build/golangci-lint $@

$(VAULT):
	@mkdir -p $(CACHE)/build
	cd storage/storagetest/servers/vault && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(CACHE)/build/vault .
	mv $(CACHE)/build/vault $@

$(MINIO):
	@mkdir -p $(CACHE)/build
	GOBIN=$(CACHE)/build $(GO) install github.com/minio/minio@$(MINIO_VERSION)
	mv $(CACHE)/build/minio $@

$(SIGSTORE):
	@mkdir -p $(CACHE)/build
	GOBIN=$(CACHE)/build $(GO) install github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@$(SIGSTORE_VERSION)
	mv $(CACHE)/build/timestamp-server $@

$(TRILLIAN):
	@mkdir -p $(CACHE)/build/trillian
	GOBIN=$(CACHE)/build/trillian $(GO) install -tags postgresql github.com/google/trillian/cmd/trillian_log_server@$(TRILLIAN_VERSION) github.com/google/trillian/cmd/trillian_log_signer@$(TRILLIAN_VERSION)
	cp $$($(GO) mod download -json github.com/google/trillian@$(TRILLIAN_VERSION) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')/storage/postgresql/schema/storage.sql $(CACHE)/build/trillian/
	rm -rf $@ && mv $(CACHE)/build/trillian $@

$(PROMTOOL):
	@mkdir -p $(CACHE)/build
	GOBIN=$(CACHE)/build $(GO) install github.com/prometheus/prometheus/cmd/promtool@$(PROMTOOL_VERSION)
	mv $(CACHE)/build/promtool $@

$(LITEWITNESS):
	@mkdir -p $(CACHE)/build
	GOBIN=$(CACHE)/build $(GO) install filippo.io/torchwood/cmd/litewitness@$(LITEWITNESS_VERSION)
	mv $(CACHE)/build/litewitness $@
