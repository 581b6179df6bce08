package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// part is a piece of the run that can be chosen by name.
type part struct {
	name string
	run  func(ctx context.Context, o options, dir string) ([]figure, error)
}

func parts() []part {
	return []part{
		{"objects 1000", comparison{count: 1000, runs: 5, all: true}.run},
		{"new namespace 1000", comparison{count: 1000, runs: 5, fresh: true}.run},
		{"kube-prometheus", comparison{stack: true, runs: 3}.run},
		{"objects 5000", comparison{count: 5000, runs: 3}.run},
		{"objects 10000", comparison{count: 10000, runs: 1}.run},
		{"render", renders},
		{"daemon", daemon},
	}
}

// Names of rows.
const (
	coldApply = "cold apply"
	noChange  = "no-change check"
	onePart   = "diff with 1 % changed"
)

// Names of peers.
const (
	rawBound    = "raw bound"
	rawLists    = "one LIST per kind"
	fluxApplies = "flux ssa ApplyAllStaged"
	fluxDiffs   = "flux ssa Diff"
	kubectlDoes = "kubectl diff"
)

// bar is the highest ratio that is good enough, for a row with so many objects and a peer.
type bar struct {
	row     string
	objects int
	peer    string
	ratio   float64
}

// bars are what is to be reached.
func bars() []bar {
	return []bar{
		{noChange, 1000, rawLists, 2.5},
		{noChange, 1000, fluxApplies, 0.12},
		{onePart, 1000, fluxDiffs, 0.1},
		{onePart, 1000, kubectlDoes, 0.1},
		{coldApply, 1000, rawBound, 1.25},
		{coldApply, 1000, fluxApplies, 0.4},
		{newNamespace, 1001, rawBound, 1.25},
		{newNamespace, 1001, fluxApplies, 0.4},
		{rendering, 5000, kustomizeBuild, 0.1},
		{rendering, 5000, oursAtThousand, 6},
		{rerendering, 5000, oursCold, 0.1},
	}
}

// figure is one row of the table.
type figure struct {
	Name    string  `json:"name"`
	Objects int     `json:"objects"`
	Ours    float64 `json:"ours_s"`
	Peer    string  `json:"peer"`
	Theirs  float64 `json:"peer_s"`
	Ratio   float64 `json:"ratio"`
	// Bar is the highest good ratio; nil where there is none.
	Bar     *float64 `json:"bar,omitempty"`
	Verdict string   `json:"verdict,omitempty"`
	// Unit is what ours_s and peer_s are in; empty is seconds.
	Unit string `json:"unit,omitempty"`
	// OursMB and PeerMB are peaks of resident memory.
	OursMB float64 `json:"ours_mb,omitempty"`
	PeerMB float64 `json:"peer_mb,omitempty"`
	Runs   int     `json:"runs,omitempty"`
	// Load is how busy the machine was in the minute before the part began; on a quiet one it is below 1.
	Load string `json:"load"`
}

// compared is the row of us beside a peer.
func compared(row string, objects int, us []result, peer string, they []result) figure {
	ours, theirs := median(us), median(they)
	f := figure{
		Name: row, Objects: objects, Ours: ours.Seconds, Peer: peer, Theirs: theirs.Seconds, Ratio: ours.Seconds / theirs.Seconds,
		OursMB: ours.Megabytes, PeerMB: theirs.Megabytes, Runs: len(us),
	}
	for _, b := range bars() {
		if b.row == row && b.objects == objects && b.peer == peer {
			f.judge(b.ratio)
		}
	}
	return f
}

// limited is the row of a figure that has a limit instead of a peer.
func limited(row string, objects int, value, limit float64, unit string, runs int) figure {
	f := figure{Name: row, Objects: objects, Ours: value, Peer: "limit", Theirs: limit, Unit: unit, Runs: runs}
	if limit == 0 {
		// Nothing is the limit: the ratio is what there is.
		f.Ratio = value
		f.judge(0)
		return f
	}
	f.Ratio = value / limit
	f.judge(1)
	return f
}

func (f *figure) judge(bar float64) {
	f.Bar, f.Verdict = &bar, "reached"
	if f.Ratio > bar {
		f.Verdict = "MISSED"
	}
}

func median(results []result) result {
	seconds, megabytes := []float64{}, []float64{}
	for _, r := range results {
		seconds, megabytes = append(seconds, r.Seconds), append(megabytes, r.Megabytes)
	}
	return result{Seconds: percentile(seconds, 50), Megabytes: percentile(megabytes, 50)}
}

// percentile is the value that so many percent of the values do not exceed.
func percentile(values []float64, percent int) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

// show prints figures as rows.
func show(w io.Writer, figures []figure) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		unit, digits := "s", 3
		if f.Unit != "" {
			unit, digits = f.Unit, 2
		}
		verdict := ""
		if f.Bar != nil {
			verdict = fmt.Sprintf("bar %.3g: %s", *f.Bar, f.Verdict)
		}
		fmt.Fprintf(t, "%s\t%d objects\t%.*f %s%s\t%s\t%.*f %s%s\tratio %.3f\t%s\n",
			f.Name, f.Objects, digits, f.Ours, unit, memory(f.OursMB), f.Peer, digits, f.Theirs, unit, memory(f.PeerMB), f.Ratio, verdict)
	}
	_ = t.Flush()
}

func memory(megabytes float64) string {
	if megabytes == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f MB", megabytes)
}

// load is how busy the machine was in the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
