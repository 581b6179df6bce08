package view_test

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

var update = flag.Bool("update", false, "rewrite the golden screens of docs/ux.md")

const uxPage = "../../docs/ux.md"

// opening is the first line of a golden block of docs/ux.md: ```text NAME. It ends with as many backticks as it began with.
var opening = regexp.MustCompile("^(```+)text ([a-z-]+)\n$")

// eachBlock passes every golden block through f and returns the page with what f made of them.
func eachBlock(page string, f func(name, screen string) string) string {
	var out strings.Builder
	lines := strings.SplitAfter(page, "\n")
	for i := 0; i < len(lines); i++ {
		out.WriteString(lines[i])
		m := opening.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		var screen strings.Builder
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != m[1]; i++ {
			screen.WriteString(lines[i])
		}
		out.WriteString(f(m[2], screen.String()) + m[1] + "\n")
	}
	return out.String()
}

// screens are all screens of docs/ux.md, made anew.
func screens(t *testing.T) map[string]string {
	t.Helper()
	must := func(body []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	o := view.Options{Now: now, Folder: "clusters/prod"}
	later := o
	later.Now = time.Date(2026, 11, 21, 14, 14, 12, 0, time.UTC)
	verbose := o
	verbose.Verbose = true
	empty := plan.Plan{ID: "5e5e5e5e00000000", Cluster: "prod", Revision: revision, Complete: true, Unchanged: 223}
	bad, good, drift := failedRun(), goodRun(), driftRun()
	records := []run.Record{bad, good, drift}
	web := object("apps", "Deployment", "shop", "web")
	explained, ok := view.Explain(o, gitops.ApplyConflict)
	if !ok {
		t.Fatal("ApplyConflict is not explained")
	}
	behind := good
	behind.Next = now.Add(time.Minute)
	return map[string]string{
		"diff":            must(view.Plans(view.Text, o, fleetPlan())),
		"diff-verbose":    must(view.Plans(view.Text, verbose, fleetPlan())),
		"diff-empty":      must(view.Plans(view.Text, o, empty)),
		"diff-kept":       must(view.Plans(view.Text, o, keptPlan())),
		"diff-overruled":  must(view.Plans(view.Text, o, overruledPlan())),
		"diff-incomplete": must(view.Plans(view.Text, o, incompletePlan())),
		"apply-plain":     replay(t, view.Plain, nil),
		"run-plain":       replayed(t, view.Plain, nil, waitingEvents()),
		"status": must(view.Status(view.Text, later, view.Standing{
			Cluster: "prod", Last: &bad, Good: &good, Want: revision, Fetched: later.Now.Add(-20 * time.Second),
		})),
		"status-converged": must(view.Status(view.Text, o, view.Standing{Cluster: "prod", Last: &behind, Good: &behind, Want: behind.Plan.Revision, Fetched: now.Add(-20 * time.Second)})),
		"history":          must(view.History(view.Text, later, false, records)),
		"history-fleet":    must(view.History(view.Text, later, true, fleetRuns())),
		"history-show":     must(view.Record(view.Text, later, bad)),
		"history-why":      must(view.Why(view.Text, later, web, run.Why(records, web))),
		"history-diff":     must(view.Compare(view.Text, later, run.Compare(records, drift, bad))),
		"explain":          string(explained),
		"problem":          view.Problem(o, gitops.Errorf(gitops.ConfigInvalid, `unknown field "managedNodegroups" (did you mean managedNodeGroups?)`).At(gitops.Origin{Position: gitops.Position{File: "clusters/prod/cluster.yaml", Line: 12}})),
		"markdown":         must(view.Plans(view.Markdown, o, fleetPlan())),
	}
}

func TestScreens(t *testing.T) {
	page, err := os.ReadFile(uxPage)
	if err != nil {
		t.Fatal(err)
	}
	got, seen := screens(t), map[string]bool{}
	rewritten := eachBlock(string(page), func(name, screen string) string {
		seen[name] = true
		if diff := cmp.Diff(screen, got[name]); diff != "" && !*update {
			t.Errorf("screen %s (-docs/ux.md +now):\n%s", name, diff)
		}
		return got[name]
	})
	if *update {
		if err := os.WriteFile(uxPage, []byte(rewritten), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range got {
		if !seen[name] {
			t.Errorf("screen %s is not in docs/ux.md", name)
		}
	}
}

// replay runs the fixture's events through a progress display and returns what it wrote.
func replay(t *testing.T, m view.Mode, size func() (int, int)) string {
	t.Helper()
	return replayed(t, m, size, events())
}

func replayed(t *testing.T, m view.Mode, size func() (int, int), events []run.Event) string {
	t.Helper()
	var out bytes.Buffer
	p, err := view.NewProgress(m, &out, view.ProgressOptions{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		p.Emit(e)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The same screens in colour are the same text: colour carries nothing by itself.
func TestColorCarriesNothing(t *testing.T) {
	sgr := regexp.MustCompile("\x1b\\[[0-9;]*m")
	plainText, err := view.Plans(view.Text, view.Options{Now: now}, fleetPlan(), incompletePlan())
	if err != nil {
		t.Fatal(err)
	}
	colored, err := view.Plans(view.Text, view.Options{Now: now, Color: true}, fleetPlan(), incompletePlan())
	if err != nil {
		t.Fatal(err)
	}
	if !sgr.Match(colored) {
		t.Error("there is no colour")
	}
	if diff := cmp.Diff(string(plainText), sgr.ReplaceAllString(string(colored), "")); diff != "" {
		t.Error(diff)
	}
}

// Values from outside cannot move the cursor, forge lines or break out of Markdown.
func TestHostileValues(t *testing.T) {
	evil := "x\x1b[2Jy\r\nz```\n<script>|\u202e@all [l](u)"
	ref := object("", "ConfigMap", "shop", evil)
	p := plan.Plan{ID: "aa", Cluster: evil, Revision: gitops.Revision{Hash: "1234567", Subject: evil, Author: evil}, Complete: false, Changes: []plan.Change{{
		ID: "bb", Ref: ref, Action: plan.Delete, Why: evil, Edits: []plan.Edit{{Path: evil, Before: evil, After: "b", Owner: &gitops.Owner{Manager: evil}}},
		Hold: &plan.Hold{Reason: gitops.Held, Why: evil}, From: gitops.Origin{Position: gitops.Position{File: evil}},
	}}, Problems: []*gitops.Error{gitops.Errorf(gitops.ApplyFailed, "%s", evil).On(ref)}}
	r := run.Record{ID: 1, Cluster: evil, Cause: evil, Plan: p, Results: []run.Result{{Change: "bb", Ref: ref, State: run.Broken, Health: gitops.Health{Message: evil}, Error: gitops.Errorf(gitops.ApplyFailed, "%s", evil)}}}
	for _, f := range []view.Format{view.Text, view.Markdown} {
		for _, verbose := range []bool{false, true} {
			o := view.Options{Verbose: verbose, Now: now}
			for name, show := range map[string]func() ([]byte, error){
				"plan":    func() ([]byte, error) { return view.Plans(f, o, p) },
				"record":  func() ([]byte, error) { return view.Record(f, o, r) },
				"history": func() ([]byte, error) { return view.History(f, o, true, []run.Record{r}) },
				"status":  func() ([]byte, error) { return view.Status(f, o, view.Standing{Cluster: evil, Last: &r}) },
				"why":     func() ([]byte, error) { return view.Why(f, o, ref, run.Why([]run.Record{r}, ref)) },
			} {
				body, err := show()
				if err != nil {
					t.Fatal(err)
				}
				text := string(body)
				if strings.ContainsAny(text, "\x1b\r\u202e") {
					t.Errorf("%s %s lets control characters through: %q", f, name, text)
				}
				if f == view.Markdown && strings.Contains(outsideFences(text), "<script>") {
					t.Errorf("%s %s lets a tag through: %q", f, name, text)
				}
				if n := strings.Count(text, "```"); f == view.Markdown && n%2 != 0 {
					t.Errorf("%s %s has %d fences", f, name, n)
				}
			}
		}
	}
}

// outsideFences is a Markdown text without its code blocks.
func outsideFences(text string) string {
	var out []string
	for i, part := range strings.Split(text, "```") {
		if i%2 == 0 {
			out = append(out, part)
		}
	}
	return strings.Join(out, "")
}

func TestUseColor(t *testing.T) {
	for _, tc := range []struct {
		flag     string
		env      map[string]string
		terminal bool
		want     bool
	}{
		{terminal: true, want: true},
		{terminal: false},
		{flag: "auto", terminal: true, env: map[string]string{"NO_COLOR": "1"}},
		{flag: "auto", terminal: true, env: map[string]string{"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}},
		{flag: "auto", env: map[string]string{"CLICOLOR_FORCE": "1"}, want: true},
		{flag: "auto", env: map[string]string{"CLICOLOR_FORCE": "0"}},
		{flag: "auto", terminal: true, env: map[string]string{"TERM": "dumb"}},
		{flag: "always", env: map[string]string{"NO_COLOR": "1"}, want: true},
		{flag: "never", terminal: true, env: map[string]string{"CLICOLOR_FORCE": "1"}},
	} {
		got, err := view.UseColor(tc.flag, func(name string) string { return tc.env[name] }, tc.terminal)
		if err != nil || got != tc.want {
			t.Errorf("%+v: %v, %v", tc, got, err)
		}
	}
	if _, err := view.UseColor("blue", func(string) string { return "" }, true); err == nil {
		t.Error("blue is a colour mode")
	}
}

func TestExit(t *testing.T) {
	noted := plan.Plan{Complete: true, Problems: []*gitops.Error{gitops.Errorf(gitops.NotManaged, "x")}}
	circular := plan.Plan{Complete: true, Problems: []*gitops.Error{gitops.Errorf(gitops.Cycle, "x")}}
	for want, plans := range map[int][]plan.Plan{0: {{Complete: true}, noted}, 1: {{Complete: true}, fleetPlan(), circular}, 2: {fleetPlan(), incompletePlan(), {Complete: true}}} {
		if got := view.Exit(plans...); got != want {
			t.Errorf("exit %d, want %d", got, want)
		}
	}
}
