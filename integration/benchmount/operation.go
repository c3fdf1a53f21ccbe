package main

import "slices"

// operation is something that people do in /nix.
type operation struct {
	name  string
	title string
	after string // the operation that has to have been done; empty: none
	// prepare and script are shell scripts, run by the ordinary user in his home; only script is measured.
	prepare string
	script  string
}

func allOperations() []operation {
	return []operation{
		{
			name: "add", title: "`nix-store --add`",
			prepare: "nix-store --init",
			script:  "nix-store --add tree",
		},
		{
			name: "verify", title: "`nix-store --verify --check-contents`", after: "add",
			script: "nix-store --verify --check-contents",
		},
		{
			name: "find", title: "`find`, names", after: "add",
			script: "find /nix/store",
		},
		{
			name: "findstat", title: "`find`, with sizes", after: "add",
			script: "find /nix/store -printf '%s %p\\n'",
		},
		{
			name: "optimise", title: "`nix-store --optimise`", after: "add",
			script: "nix-store --optimise",
		},
		{
			name: "instantiate", title: "`nix-instantiate`", after: "add",
			prepare: "cp -r packages /nix/packages",
			script:  "nix-instantiate /nix/packages",
		},
		{
			name: "gc", title: "`nix-store --gc`", after: "optimise",
			script: "nix-store --gc",
		},
		{
			name: "tar", title: "`tar x`",
			prepare: "mkdir /nix/work",
			script:  "tar -xf tree.tar -C /nix/work",
		},
		{
			name: "status", title: "`git status`", after: "tar",
			prepare: "cp -r tree.git /nix/work/tree/.git && git -C /nix/work/tree update-index -q --refresh",
			script:  "git -C /nix/work/tree status --porcelain",
		},
	}
}

func operationNames() (names []string) {
	for _, op := range allOperations() {
		names = append(names, op.name)
	}
	return names
}

// chosen are the operations of a list, with those that they build upon, in their order.
func chosen(list string) []operation {
	all := allOperations()
	need := map[string]bool{}
	for _, op := range slices.Backward(all) { // what is built upon comes before
		if need[op.name] || among(list, op.name) {
			need[op.name], need[op.after] = true, true
		}
	}
	return slices.DeleteFunc(all, func(op operation) bool { return !need[op.name] })
}
