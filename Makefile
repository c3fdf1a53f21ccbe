# nixnfsd's tasks. On a fresh Debian with Go and make: "make demo", "make test".

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     = mvdan.cc/gofumpt@v0.12.0
PLATFORMS   = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
TOOLS       = $(CURDIR)/dist/tools
FUZZTIME    = 1m

.PHONY: help build demo test test-fewnodes bench bench-mount fuzz lint check-cross release release-check packages clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

build: ## build ./nixnfsd
	CGO_ENABLED=0 go build -trimpath -o nixnfsd ./cmd/nixnfsd

demo: packages ## a real nix-build in /nix over nixnfsd, in a small guest machine
	@go run ./integration/demo

test: packages ## every test, and how many there were
	@go run ./internal/testcount -race -timeout 75m ./...

test-fewnodes: ## the overlay's tests with next to no object in memory, less those that it makes no odds to
	@go run ./internal/testcount -race -tags fewnodes -skip 'Matrix|Journal|Memory|Fsck|NoSpace|Exact|Confused|Fuzz' ./overlay

bench: build ## nixnfsd beside its peers, a bare server and the system calls; BENCH=-help lists flags
	@go build -o dist/bench ./integration/bench && dist/bench $(BENCH)

bench-mount: build packages ## on the kernel's client, beside the kernel's server, ganesha and ext4; BENCH=-help lists flags
	@CGO_ENABLED=0 go build -o dist/benchmount ./integration/benchmount && dist/benchmount $(BENCH)

fuzz: ## each fuzz target for FUZZTIME, as many at once as there are processors
	@go run ./internal/fuzzall -time $(FUZZTIME)

lint: ## go vet and staticcheck for each platform, and gofumpt
	@GOBIN=$(TOOLS) go install $(STATICCHECK)
	@GOBIN=$(TOOLS) go install $(GOFUMPT)
	@unformatted=$$($(TOOLS)/gofumpt -l .); [ -z "$$unformatted" ] || { echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; }
	@for p in $(PLATFORMS); do echo "lint $$p"; export CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/}; \
		go vet ./... && $(TOOLS)/staticcheck ./... || exit 1; done

check-cross: ## build the command for each platform
	@for p in $(PLATFORMS); do echo "build $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -trimpath -o dist/$$p/nixnfsd ./cmd/nixnfsd || exit 1; done

release: ## VERSION=v0.1.0: archives for each platform, their sums and a Homebrew formula, in dist/release
	@go run ./internal/release -version "$(VERSION)"

release-check: ## that each platform's archive has the same bytes when it is made again, with everything compiled anew
	@go test ./internal/release -run TestSameBytes -count 1 -v -all

packages: ## install the Debian packages that the tests need, where they are missing
	@if command -v apt-get >/dev/null && ! { command -v gcc && command -v strace && command -v zsh && command -v fish && command -v mandoc && ls /usr/share/bash-completion/bash_completion && command -v git && command -v ruby && command -v xz && command -v sqlite3 && command -v fio && ls /usr/include/stdio.h /sbin/mke2fs /sbin/mkfs.btrfs; } >/dev/null 2>&1; then \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update && $$sudo apt-get install -y --no-install-recommends gcc libc6-dev e2fsprogs btrfs-progs strace zsh fish mandoc bash-completion git ruby xz-utils sqlite3 fio; fi

clean: ## remove what was built here; the unpacked guest stays in the user's cache
	rm -rf nixnfsd dist
