package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Record prints one run: what was planned and what became of it (`history show`).
func Record(f Format, o Options, r run.Record) ([]byte, error) {
	switch f {
	case JSON, YAML:
		return marshal(f, r)
	case Markdown:
		return recordMarkdown(r), nil
	case Text:
	}
	p := &page{Options: o}
	p.line(strings.Join([]string{
		p.paint(inkStrong, clean(r.Cluster)), fmt.Sprintf("run %d", r.ID), p.paint(inkOutcome(r.Outcome), string(r.Outcome)), p.revision(r.Plan.Revision),
	}, " · "))
	when := "began " + p.clock(r.Began, "15:04:05")
	if !r.Ended.IsZero() {
		when += ", took " + span(r.Ended.Sub(r.Began))
	}
	p.line(when + " · cause: " + clean(r.Cause) + " · plan " + r.Plan.ID.Short())
	p.gap()
	for c, res := range r.Each() {
		p.result(c, res)
	}
	p.problems(r.Plan.Problems)
	if len(r.Plan.Changes)+len(r.Plan.Problems) > 0 {
		p.gap()
	}
	p.line("Run " + fmt.Sprint(r.ID) + ": " + totals(r))
	return p.bytes(), nil
}

func (p *page) result(c plan.Change, res run.Result) {
	symbol, sink := mark(res.State)
	var cells []cell
	took := ""
	if !res.Began.IsZero() && !res.Ended.IsZero() {
		took = span(res.Ended.Sub(res.Began))
	}
	switch {
	case res.Error != nil:
		cells = append(cells, cell{sink, string(res.State)}, cell{sink, said(res.Error)})
	case res.State == "":
		cells = append(cells, cell{inkFaint, "not reached"})
	default:
		cells = append(cells, cell{sink, string(res.State)}, cell{inkFaint, took}, cell{inkNone, clean(res.Health.String())})
	}
	if c.Why != "" && res.Error == nil {
		cells = append(cells, cell{inkFaint, clean(c.Why)})
	}
	if c.Approved != nil {
		cells = append(cells, cell{inkGood, "approved in " + clean(c.Approved.String())})
	}
	p.row(2, symbol+" "+c.Action.Symbol()+" "+clean(c.Ref.Label()), sink, detailColumn+2, cells...)
	p.edits(c, "")
}

// said is an error without its ref, which stands beside it; of a hold, what is held for.
func said(e *gitops.Error) string {
	if e.Reason == gitops.Held {
		return clean(e.Message())
	}
	return clean(string(e.Reason) + ": " + e.Message())
}

// mark is the symbol of a state on every surface.
func mark(s run.State) (string, ink) {
	switch s {
	case run.Done:
		return "✔", inkGood
	case run.Broken:
		return "✗", inkBad
	case run.ChangeHeld:
		return "⏸", inkHold
	case run.Blocked, run.Interrupted:
		return "◌", inkChange
	case run.Applying, run.Applied:
		return "…", inkMove
	case run.Pending:
	}
	return "·", inkFaint
}

func inkOutcome(o run.Outcome) ink {
	switch o {
	case run.Converged:
		return inkGood
	case run.Failed, run.Unknown:
		return inkBad
	case run.Waiting:
		return inkHold
	case run.Progressing:
		return inkMove
	case run.Preview:
	}
	return inkNone
}

// totals is "7 applied · 1 failed · 2 held".
func totals(r run.Record) string {
	n := r.Count()
	interrupted := 0
	for _, res := range r.Results {
		if res.State == run.Interrupted {
			interrupted++
		}
	}
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{
		{n.Applied(), "applied"}, {n.Failed, "failed"}, {n.Held, "held"}, {n.Blocked, "blocked"}, {interrupted, "interrupted"},
		{len(inFlight(r)), "in flight"}, {r.Plan.Unchanged, "unchanged"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, " · ")
	case !r.Plan.Complete:
		return "nothing to do in what is known"
	}
	return "nothing to do"
}

// History prints runs, one a line, in the order they come; of several clusters, each line begins with whose it is.
func History(f Format, o Options, several bool, records []run.Record) ([]byte, error) {
	switch f {
	case JSON, YAML:
		return marshal(f, records...)
	case Markdown, Text:
	}
	rows := [][]string{{"RUN", "WHEN", "COMMIT", "WHO", "OUTCOME", "+", "~", "±", "-", "TOOK", "CAUSE"}}
	outcome := 4
	inks := []ink{inkStrong}
	for _, r := range records {
		rows = append(rows, o.historyRow(r))
		inks = append(inks, inkOutcome(r.Outcome))
	}
	if several {
		outcome++
		rows[0] = append([]string{"CLUSTER"}, rows[0]...)
		for i, r := range records {
			rows[i+1] = append([]string{clean(r.Cluster)}, rows[i+1]...)
		}
	}
	if f == Markdown {
		return markdownTable(rows), nil
	}
	p := &page{Options: o}
	if len(records) == 0 {
		p.line("no runs yet")
		return p.bytes(), nil
	}
	p.table(rows, outcome, inks)
	return p.bytes(), nil
}

// historyRow is one run as a row of the history's table.
func (o Options) historyRow(r run.Record) []string {
	n := r.Count()
	commit, who, took := "—", "—", "—"
	outcome := string(r.Outcome)
	if r.Outcome == run.Converged && onlyDrift(r) {
		outcome = "drift"
	} else if r.Plan.Revision.Hash != "" {
		commit = clean(gitops.Revision{Hash: r.Plan.Revision.Hash, Dirty: r.Plan.Revision.Dirty}.Short())
		if r.Plan.Revision.Author != "" {
			who = clean(r.Plan.Revision.Author)
		}
	}
	if !r.Ended.IsZero() {
		took = span(r.Ended.Sub(r.Began))
	}
	num := func(n int) string { return fmt.Sprint(n) }
	return []string{num(r.ID), o.clock(r.Began, "15:04"), commit, who, outcome, num(n.Create), num(n.Update), num(n.Replace), num(n.Delete), took, cause(r)}
}

// table prints rows in columns two spaces apart, colouring one column of each row.
func (p *page) table(rows [][]string, colored int, inks []ink) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], width(text))
		}
	}
	for r, row := range rows {
		var b strings.Builder
		for i, text := range row {
			text = pad(text, widths[i])
			switch {
			case r == 0:
				text = p.paint(inkStrong, text)
			case i == colored:
				text = p.paint(inks[r], text)
			}
			b.WriteString(text + "  ")
		}
		p.line(b.String())
	}
}

// onlyDrift reports whether a run did nothing but restore what was changed outside git.
func onlyDrift(r run.Record) bool {
	did := false
	for c, res := range r.Each() {
		if res.Reached() && c.Action != plan.Wait {
			if !c.Drift {
				return false
			}
			did = true
		}
	}
	return did
}

// cause says in a few words what a run was about: what failed, what was restored, what is held, or the commit.
func cause(r run.Record) string {
	for _, res := range r.Results {
		if res.State == run.Broken && res.Error != nil {
			return clean(string(res.Error.Reason) + " " + short(res.Ref))
		}
	}
	if real := pressing(r.Plan.Problems); len(real) > 0 {
		if real[0].Ref.IsZero() {
			return clean(string(real[0].Reason))
		}
		return clean(string(real[0].Reason) + " " + short(real[0].Ref))
	}
	if onlyDrift(r) {
		return restored(r)
	}
	if held := r.Count().Held; held > 0 && r.Outcome == run.Waiting {
		text := fmt.Sprintf("%d held", held)
		if r.Cause == "commit" && r.Plan.Revision.Subject != "" {
			text += ": " + r.Plan.Revision.Subject
		}
		return clean(text)
	}
	if r.Plan.Revision.Subject != "" && r.Count().Applied() > 0 {
		return clean(r.Plan.Revision.Subject)
	}
	return clean(r.Cause)
}

func restored(r run.Record) string {
	var first string
	n := 0
	for c, res := range r.Each() {
		if !res.Reached() || !c.Drift {
			continue
		}
		if n++; n > 1 {
			continue
		}
		first = "restored " + short(c.Ref)
		for _, e := range c.Edits {
			if e.Owner != nil && e.Owner.Manager != "" {
				first += " (" + e.Owner.Manager + ")"
				break
			}
		}
	}
	if n > 1 {
		first += fmt.Sprintf(" and %d more", n-1)
	}
	return clean(first)
}

// short is a ref without its kind where the namespace says enough: "shop/web", "Nodegroup system".
func short(r gitops.Ref) string {
	if r.Domain == gitops.K8s && r.Namespace != "" {
		return r.Namespace + "/" + r.Name
	}
	return r.Label()
}

// took is how long something has lasted, from its begin to its end or to now.
func took(began, ended, now time.Time) string {
	switch {
	case began.IsZero():
		return ""
	case !ended.IsZero():
		return span(ended.Sub(began))
	case now.IsZero():
		return ""
	}
	return span(now.Sub(began))
}
