# Everything here needs Go and make; linting fetches its own tool, once.

# The release that `make lint` uses. It is installed under .tools and not
# listed in go.mod: docs/adr/0008-tools-outside-go-mod.md says why.
GOLANGCI_VERSION := v2.15.0
# The one that tests the chart of deploy/helm.
HELM_VERSION := v3.22.0
# And the one that `make vulncheck` uses.
GOVULNCHECK_VERSION := v1.9.0

GO       ?= go
TOOLS    := $(CURDIR)/.tools
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
HELM     := $(TOOLS)/helm-$(HELM_VERSION)
VULNTOOL := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)
# The vulnerability database; a copy of it is file:///path/to/vulndb.
VULNDB   := https://vuln.go.dev

# The programs we ship are static; only the race detector wants C.
export CGO_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help demo build test chromium check lint bench crashtest soak fuzz vulncheck dist fmt generate tools charttools clean alerttools

# How long the long proofs run: make crashtest KILLS=1000, make soak DURATION=1h,
# make fuzz FUZZTIME=5m PACKAGES=./internal/event
KILLS    := 500
DURATION := 10m
FUZZTIME := 1m
PACKAGES := ./...

# Long walks through tables, sizes and lives in fake time, and the scripts, each line
# of which starts a process. What runs at the same time in them does so in the other
# tests of the same packages too, under the race detector, which would make these
# five times as slow. PLAIN_IN are their packages; a test of scripts/testsum compares.
PLAIN := \
	TestHazards TestOldExtensionsFailures TestNothingLostNothingTwice TestOutageLongerThanRetention \
	TestFaultsAreOvercome TestBadEventsHarmNoNeighbours TestKilledAgainAndAgain TestStoreIsLost \
	TestStoreIsLostWhileRunning TestOlderStoreIsPutBack TestLetterQuotaIsTold TestRiskIsTold TestGapIsHealed \
	TestDownLongerThanRetention TestPushAndPoll TestPollHealsThePush TestSilentPush TestWebhookSurvivesSIGKILL \
	TestWebhookAmongStrangers TestWebhookWithAFullBuffer TestImportGoesOnWhereItWasStopped \
	TestDamagedStoreIsRestored TestNothingIsLostWithTheStore TestDemoSurvivesSIGKILL TestScripts \
	TestNothingLostAcrossReloads TestTroubleOfOneTenant TestDestinationIsDeleted TestQuietTenantIsSafe \
	TestFullDiskDrains TestNothingIsLostOrDoubled TestReplayOfMany TestShortRunsTidy TestShrinks \
	TestPrepareProperties TestTrimProperties TestExactlyAtTheLimits TestEndlessStream \
	TestFilesKeepTheContract TestSQSNothingLost TestPageReaderBordersFallAnywhere TestConservation \
	TestTrafficIsNobodys TestSeedsDiffer TestAnswersAreBounded \
	TestLostAnswersOfOneDestination TestFilteredExport TestRemovedDestination TestFilteredPush \
	TestDryRunShowsWhatTheNextRunSends TestNothingRedactedIsKeptOrShown TestDoctor TestVerify \
	TestVerifyDuringHeavyIngestion TestVerifyLeavesTheExporterItsShare TestVerifyByTheRules \
	TestOneDestinationIsDown TestReadBack TestManyNewDestinations TestBackfillBesideALiveExport \
	TestBackfillFillsHoles TestBackfillToAPlaceOfItsOwn TestBackfillIsPolite TestBackfillFollowsTheRules \
	TestBackfillKilledAgainAndAgain TestBackfillOfWhatIsTooOld TestBackfillCancelled TestVerifySchedule \
	TestVerifyScheduleDuringIngestion TestBrokenSecretIsToldToSlack TestLedgerFromEndToEnd TestLedgerModel TestInBrowser
PLAIN_IN := \
	./internal/app ./internal/auth0 ./internal/cli ./internal/cloudwatch ./internal/emulator/tenant ./internal/event \
	./internal/pipeline ./internal/source ./internal/store
space := $(subst ,, )

help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run the whole thing on this machine, without any account
	$(GO) run ./cmd/gapless demo

build: ## compile everything, here and for the other systems we ship to
	$(GO) build ./...
	GOOS=windows GOARCH=amd64 $(GO) build ./...
	GOOS=darwin GOARCH=arm64 $(GO) build ./...

# Without the vet of go test: lint vets everything, and this would do it once more for
# each of the two ways to compile.
test: chromium ## run all tests, with the race detector where a C compiler is there
	@$(GO) run ./scripts/testsum -plain '^($(subst $(space),|,$(strip $(PLAIN))))$$' -in '$(strip $(PLAIN_IN))' -vet=off -shuffle=on -timeout=9m ./...

# The tests of the page want a browser; they skip, and say so, where there is none.
chromium:
	@sh scripts/chromium.sh

check: lint build test ## what CI runs: lint, build, test

lint: $(GOLANGCI) ## vet, linters, import rules, formatting, go.mod, generated files
	$(GO) vet ./...
	$(GOLANGCI) run --allow-parallel-runners ./...
	$(GO) mod tidy -diff
	@sh scripts/generated.sh

bench: ## run the benchmarks; bench/README.md explains the figures
	$(GO) test -run '^$$' -bench . -benchmem ./...

crashtest: ## kill real processes KILLS times under load, with answers lost, and compare
	$(GO) test -run TestKilledAgainAndAgain -v -timeout 0 ./internal/app -kills $(KILLS)

soak: ## export with faults for DURATION; fail when memory, files, goroutines or the store grow
	$(GO) run ./scripts/soak -duration $(DURATION)

fuzz: ## run each fuzz target for FUZZTIME, one after another
	@GO="$(GO)" sh scripts/fuzz.sh $(FUZZTIME) $(PACKAGES)

vulncheck: $(VULNTOOL) ## ask the Go vulnerability database about what the code calls (needs the network)
	@GOVULNCHECK="$(VULNTOOL)" VULNDB="$(VULNDB)" sh scripts/vulncheck.sh $(PACKAGES)

dist: ## build the release binaries and their checksums into dist/
	@$(GO) run ./scripts/dist

fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt ./...

generate: ## regenerate the catalogue and the reference pages
	$(GO) generate ./...
	$(GO) run ./cmd/gapless docs --dir docs

tools: $(GOLANGCI) ## install the linter into .tools

charttools: $(HELM) $(TOOLS)/kubecheck ## install what the tests of the Helm chart need into .tools

alerttools: $(TOOLS)/promcheck ## install what the test of the alert rules needs into .tools

clean: ## remove what the other targets made
	rm -rf dist bin

$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI_VERSION) into .tools; this takes some minutes, once"
	@mkdir -p $(TOOLS)
	@GOFLAGS= GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/golangci-lint $@

$(VULNTOOL):
	@mkdir -p $(TOOLS)
	@GOFLAGS= GOBIN=$(TOOLS) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) || \
		{ echo "vulncheck: NOT CHECKED: govulncheck $(GOVULNCHECK_VERSION) could not be built; it comes from the module proxy" >&2; exit 4; }
	@mv $(TOOLS)/govulncheck $@

$(HELM):
	@echo "building helm $(HELM_VERSION) into .tools; this takes some minutes, once"
	@mkdir -p $(TOOLS)
	@GOFLAGS= GOBIN=$(TOOLS) $(GO) install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)
	@mv $(TOOLS)/helm $@

# A module of its own, so that what it needs stays out of go.mod.
$(TOOLS)/kubecheck: $(wildcard scripts/kubecheck/*)
	@mkdir -p $(TOOLS)
	@cd scripts/kubecheck && GOFLAGS= $(GO) build -o $@ .

# Likewise: Prometheus' own reader of rules and queries.
$(TOOLS)/promcheck: $(wildcard scripts/promcheck/*)
	@mkdir -p $(TOOLS)
	@cd scripts/promcheck && GOFLAGS= $(GO) build -o $@ .
