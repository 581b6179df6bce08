package view

import (
	"fmt"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Why prints which runs and commits changed one thing, newest first (`history why`).
func Why(f Format, o Options, ref gitops.Ref, touches []run.Touch) ([]byte, error) {
	if f == JSON || f == YAML {
		if touches == nil {
			touches = []run.Touch{}
		}
		return marshal(f, touches)
	}
	p := &page{Options: o}
	if len(touches) == 0 {
		p.line("no run that is kept changed " + clean(ref.Label()))
		return p.bytes(), nil
	}
	p.line(p.paint(inkStrong, clean(ref.Label())))
	for _, t := range touches {
		symbol, sink := mark(t.Result.State)
		head := fmt.Sprintf("%s %s run %d", symbol, t.Change.Action.Symbol(), t.Run)
		by := p.revision(t.Revision)
		if t.Change.Drift {
			by = "drift restored at " + clean(t.Revision.Short())
		}
		cells := []cell{{inkNone, by}, {inkFaint, p.clock(t.Result.Began, "15:04:05")}}
		if t.Result.Error != nil {
			cells = append(cells, cell{inkBad, said(t.Result.Error)})
		}
		if t.Change.From.File != "" {
			cells = append(cells, cell{inkFaint, clean(t.Change.From.Position.String())})
		}
		p.row(2, head, sink, 20, cells...)
		p.edits(t.Change, "")
	}
	return p.fenced(f), nil
}

// Compare prints what several runs did together (`history diff`).
func Compare(f Format, o Options, c run.Comparison) ([]byte, error) {
	if f == JSON || f == YAML {
		return marshal(f, c)
	}
	p := &page{Options: o}
	for _, side := range []struct {
		sign  string
		point run.Point
	}{{"from", c.From}, {"to  ", c.To}} {
		parts := []string{fmt.Sprintf("%s run %d", side.sign, side.point.Run), string(side.point.Outcome), p.revision(side.point.Revision)}
		p.line(strings.Join(parts, " · "))
	}
	p.gap()
	for _, n := range c.Net {
		runs := strings.Trim(strings.ReplaceAll(fmt.Sprint(n.Runs), " ", ", "), "[]")
		p.row(2, n.Action.Symbol()+" "+clean(n.Ref.Label()), inkOf(n.Action), detailColumn, cell{inkFaint, "run " + runs})
		p.edits(plan.Change{Ref: n.Ref, Action: n.Action, Edits: n.Edits}, "")
	}
	if len(c.Net) == 0 {
		p.line("  nothing changed")
	}
	if c.Missing > 0 {
		p.line(p.paint(inkChange, fmt.Sprintf("  %s between are no longer kept: what they did is not shown", count(c.Missing, "run", "runs"))))
	}
	return p.fenced(f), nil
}

// fenced gives the page as it is, or as a block of Markdown.
func (p *page) fenced(f Format) []byte {
	if f != Markdown {
		return p.bytes()
	}
	return []byte("```\n" + strings.ReplaceAll(p.b.String(), "```", "'''") + "```\n")
}
