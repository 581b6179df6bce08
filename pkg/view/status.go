package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Standing is what `status` knows of a cluster: it answers which revision, is it converged, what is not and why, and what
// happens next.
type Standing struct {
	Cluster string `json:"cluster"`
	// Last is the newest run; nil when there is none.
	Last *run.Record `json:"last,omitempty"`
	// Good is the newest run that converged; nil when there is none.
	Good *run.Record `json:"good,omitempty"`
	// Want is the newest revision of the source; zero when it is not known.
	Want gitops.Revision `json:"want,omitzero"`
	// Fetched is when Want was read.
	Fetched time.Time `json:"fetched,omitzero"`
	// Trouble is what kept status itself from knowing more.
	Trouble []*gitops.Error `json:"trouble,omitempty"`
}

// Exit is the exit code of `status`: 0 converged at what git wants, 1 not, 2 could not tell.
func (s Standing) Exit() int {
	switch {
	case len(s.Trouble) > 0 || s.Last == nil || s.Last.Outcome == run.Unknown:
		return int(plan.Unsure)
	case s.Last.Outcome != run.Converged || s.behind():
		return int(plan.Something)
	}
	return int(plan.Nothing)
}

func (s Standing) behind() bool {
	return s.Want.Hash != "" && s.Last != nil && s.Want.Hash != s.Last.Plan.Revision.Hash
}

// Status prints where a cluster stands.
func Status(f Format, o Options, standings ...Standing) ([]byte, error) {
	if f == JSON || f == YAML {
		return marshal(f, standings...)
	}
	p := &page{Options: o}
	for i, s := range standings {
		if i > 0 {
			p.gap()
		}
		p.standing(s)
	}
	return p.fenced(f), nil
}

func (p *page) standing(s Standing) {
	head := []string{p.paint(inkStrong, clean(s.Cluster))}
	if s.Last == nil {
		p.line(strings.Join(append(head, "no run yet"), "   "))
		p.next(s)
		return
	}
	head = append(head, p.verdict(s))
	at := "at " + clean(s.Last.Plan.Revision.Short())
	if s.behind() {
		at += " (want " + clean(gitops.Revision{Hash: s.Want.Hash, Dirty: s.Want.Dirty}.Short()) + ")"
	}
	head = append(head, at)
	if s.Good != nil && s.Good.ID != s.Last.ID {
		head = append(head, strings.TrimSuffix("last good "+clean(s.Good.Plan.Revision.Short())+", "+p.ago(s.Good.Ended), ", "))
	}
	p.line(strings.Join(head, "   "))
	for _, e := range pressing(s.Last.Plan.Problems) {
		p.problem(e)
		p.try(e)
	}
	held := 0
	for _, res := range s.Last.Results {
		if res.State == run.ChangeHeld {
			held++
			continue
		}
		p.unfinished(s, res)
	}
	if held > 0 {
		text := "no approval releases it: reconciler history show " + fmt.Sprint(s.Last.ID) + " --cluster " + clean(s.Cluster)
		if id := s.Last.Plan.ID.Short(); approvable(s.Last.Plan) > 0 {
			text = "plan " + id + " needs approval: reconciler approve " + id
		}
		p.row(2, fmt.Sprintf("⏸ %d held", held), inkHold, detailColumn, cell{inkNone, text})
	}
	p.next(s)
}

func (p *page) verdict(s Standing) string {
	switch {
	case s.Last.Outcome == run.Converged && s.behind():
		return p.paint(inkMove, "… behind git")
	case s.Last.Outcome == run.Converged:
		return p.paint(inkGood, "✔ converged")
	case s.Last.Outcome == run.Waiting:
		return p.paint(inkHold, "⏸ waits for approval")
	case s.Last.Outcome == run.Progressing:
		return p.paint(inkMove, "… progressing")
	case s.Last.Outcome == run.Preview:
		return "preview"
	case s.Last.Outcome == run.Unknown:
		return p.paint(inkBad, "? not known")
	case s.Last.Outcome == run.Failed:
	}
	return p.paint(inkBad, "✗ not converged")
}

// unfinished prints a change that is not done: failed ones with their cause, others with what they wait for.
func (p *page) unfinished(s Standing, res run.Result) {
	if res.State == run.Done {
		return
	}
	symbol, sink := mark(res.State)
	said := res.Health.String()
	since := took(res.Began, time.Time{}, p.Now)
	if res.Error != nil {
		said = res.Error.Message()
		reason := string(res.Error.Reason)
		if since != "" {
			reason += " for " + since
		}
		said = reason + ": " + said
	} else if since != "" {
		said = strings.TrimSuffix(string(res.State)+" for "+since+": "+said, ": ")
	}
	where := ""
	if c, ok := s.Last.Plan.Change(res.Ref); ok {
		where = c.From.Position.String()
	}
	p.row(2, symbol+" "+clean(res.Ref.Label()), sink, detailColumn, cell{inkNone, clean(said)}, cell{inkFaint, clean(where)})
}

// next prints what happens next, and whether the three worlds could be read.
func (p *page) next(s Standing) {
	var parts []string
	// A time that has passed tells nothing: looks that found nothing are not recorded.
	if s.Last != nil && s.Last.Next.After(p.Now) {
		parts = append(parts, "next reconcile "+p.clock(s.Last.Next, "15:04:05"))
	}
	if s.Want.Hash != "" {
		source := "source ok"
		if ago := p.ago(s.Fetched); ago != "" {
			source += " (fetched " + ago + ")"
		}
		parts = append(parts, source)
	}
	if s.Last != nil {
		parts = append(parts, world("EKS", gitops.EKS, s.Last.Plan), world("API", gitops.K8s, s.Last.Plan))
	}
	if len(parts) > 0 {
		p.line("  ◷ " + strings.Join(parts, " · "))
	}
	for _, e := range s.Trouble {
		p.problem(e)
		p.try(e)
	}
}

// world says whether a domain could be observed in the last run.
func world(name string, d gitops.Domain, pl plan.Plan) string {
	for _, e := range pressing(pl.Problems) {
		if e.Ref.Domain != d && e.Ref.Domain != "" {
			continue
		}
		if e.Reason == gitops.Blocked && d == gitops.K8s {
			return name + " not looked at"
		}
		if slices.Contains([]gitops.Reason{gitops.ObserveFailed, gitops.Unreachable, gitops.AccessDenied, gitops.Throttled}, e.Reason) {
			return name + " " + string(e.Reason)
		}
	}
	return name + " ok"
}
