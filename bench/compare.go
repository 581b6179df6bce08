package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// newNamespace is the row of a cold apply that brings its namespace along.
const newNamespace = "cold apply with its namespace"

// comparison measures contenders on one set of objects.
type comparison struct {
	count int
	runs  int
	// all has kubectl and cli-utils take part, which are slow.
	all bool
	// fresh sets begin with their namespace, which does not exist.
	fresh bool
	// stack is the set that is not made of apps.
	stack bool
}

// step is one act within a contender's turn: what a row compares.
type step struct {
	row, peer string
	act       string
	// want is how many changes it has to find or make; unknown ones are not checked.
	want int
	// edited has it look at the set with 1 % changed.
	edited bool
}

// us marks our own results.
const us = "ours"

// turns are what each contender does between two wipes.
func (c comparison) turns(count, edited int) [][]step {
	ours := []step{
		{row: coldApply, peer: us, act: "ours apply", want: count},
		{row: noChange, peer: us, act: "ours check"},
		{row: noChange, peer: rawLists, act: "raw list", want: unknown},
		{row: onePart, peer: us, act: "ours check", want: edited, edited: true},
	}
	raw := []step{{row: coldApply, peer: rawBound, act: "raw apply", want: unknown}}
	flux := []step{
		{row: coldApply, peer: fluxApplies, act: "flux apply", want: count},
		{row: noChange, peer: fluxApplies, act: "flux apply"},
		{row: noChange, peer: fluxDiffs, act: "flux diff"},
		{row: onePart, peer: fluxDiffs, act: "flux diff", want: edited, edited: true},
	}
	kubectl := []step{
		{row: coldApply, peer: "kubectl apply", act: "kubectl apply", want: unknown},
		{row: noChange, peer: kubectlDoes, act: "kubectl diff"},
		{row: onePart, peer: kubectlDoes, act: "kubectl diff", want: edited, edited: true},
		{row: onePart, peer: "kubectl diff, 16 at once", act: "kubectl diff 16", want: edited, edited: true},
	}
	applier := []step{
		{row: coldApply, peer: "cli-utils applier", act: "cli-utils apply", want: unknown},
		{row: noChange, peer: "cli-utils applier", act: "cli-utils apply", want: unknown},
	}
	switch {
	case c.stack:
		return [][]step{ours, flux}
	case c.fresh:
		ours, raw, flux := ours[0], raw[0], flux[0]
		ours.row, raw.row, flux.row = newNamespace, newNamespace, newNamespace
		return [][]step{{ours}, {raw}, {flux}}
	case c.all:
		return [][]step{ours, raw, flux, kubectl, applier}
	default:
		return [][]step{ours, raw, flux}
	}
}

// run implements part.
func (c comparison) run(ctx context.Context, o options, dir string) ([]figure, error) {
	dir = filepath.Join(dir, fmt.Sprintf("set-%d-%t", c.count, c.fresh))
	in, err := c.objects(o)
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer s.close()
	edited, edits := changed(in)
	files := map[bool]string{false: filepath.Join(dir, "objects.yaml"), true: filepath.Join(dir, "changed.yaml")}
	if err := errors.Join(write(files[false], in), write(files[true], edited)); err != nil {
		return nil, err
	}
	took := results{}
	var asked requests
	for range min(c.runs, o.runs) {
		for _, turn := range c.turns(len(in), edits) {
			if err := s.wipe(ctx, in, c.fresh || c.stack); err != nil {
				return took.figures(len(in)), err
			}
			for _, st := range turn {
				counted, err := c.step(ctx, s, st, files[st.edited], took)
				if err != nil {
					return took.figures(len(in)), err
				}
				if st.row == noChange && st.peer == us {
					asked = counted
				}
			}
		}
	}
	out := took.figures(len(in))
	if !c.fresh {
		out = append(out, limited(noChange+": PATCHes", len(in), float64(asked["PATCH"]), 0, "requests", 1),
			limited(noChange+": GETs of an object", len(in), float64(asked["GET"]), 0, "requests", 1))
	}
	return out, nil
}

func (c comparison) objects(o options) ([]*unstructured.Unstructured, error) {
	if c.stack {
		return stack("..")
	}
	in, err := objects(c.count*o.size/100, space)
	if c.fresh {
		in = append([]*unstructured.Unstructured{namespaceObject(space)}, in...)
	}
	return in, err
}

// step has the server come to rest, a new process do the act, and the requests about objects counted meanwhile.
func (c comparison) step(ctx context.Context, s *server, st step, file string, took results) (requests, error) {
	if err := s.rest(ctx); err != nil {
		return nil, err
	}
	before, err := s.requests(ctx)
	if err != nil {
		return nil, err
	}
	r, err := start(ctx, task{Act: st.act, Kubeconfig: s.access.kubeconfig, Objects: file, Want: st.want})
	if err != nil {
		return nil, err
	}
	after, err := s.requests(ctx)
	if err != nil {
		return nil, err
	}
	took.add(st.row, st.peer, r)
	return after.since(before), nil
}

// results are what was measured, by row and contender.
type results map[[2]string][]result

func (r results) add(row, peer string, one result) {
	r[[2]string{row, peer}] = append(r[[2]string{row, peer}], one)
}

// figures puts us beside everybody, row by row.
func (r results) figures(objects int) []figure {
	keys := slices.SortedFunc(maps.Keys(r), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	var out []figure
	for _, key := range keys {
		if ours := r[[2]string{key[0], us}]; key[1] != us && len(ours) > 0 {
			out = append(out, compared(key[0], objects, ours, key[1], r[key]))
		}
	}
	return out
}
