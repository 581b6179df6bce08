package view

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// planMarkdown is the comment on a pull request: what destroys comes first and unfolded, the rest is folded. The first line
// is the marker by which an earlier comment is found and edited in place.
func planMarkdown(o Options, plans []plan.Plan) []byte {
	var b bytes.Buffer
	b.WriteString("<!-- reconciler:plan -->\n")
	var all plan.Summary
	for _, p := range plans {
		s := p.Summary()
		all.Create, all.Update, all.Replace, all.Delete = all.Create+s.Create, all.Update+s.Update, all.Replace+s.Replace, all.Delete+s.Delete
	}
	fmt.Fprintf(&b, "### %s\n\n", headline(all))
	rows := [][]string{{"cluster", "add", "change", "replace", "delete", "held", "drift", "checked", "plan"}}
	for _, p := range plans {
		s := p.Summary()
		checked := "✓"
		if !p.Complete {
			checked = "✗ incomplete"
		}
		rows = append(rows, []string{p.Cluster, fmt.Sprint(s.Create), fmt.Sprint(s.Update), strong(s.Replace), strong(s.Delete), fmt.Sprint(s.Held), fmt.Sprint(s.Drift), checked, p.ID.Short()})
	}
	b.Write(markdownTable(rows))
	for _, p := range plans {
		destructive(&b, p)
	}
	text := Options{Zone: o.Zone, Folder: o.Folder, Verbose: o.Verbose}
	for _, p := range plans {
		folded := &page{Options: text}
		folded.plan(p)
		fmt.Fprintf(&b, "\n<details><summary>%s — %s</summary>\n\n", escape(p.Cluster), count(len(p.Changes), "change", "changes"))
		b.Write(folded.fenced(Markdown))
		b.WriteString("\n</details>\n")
	}
	return b.Bytes()
}

func headline(s plan.Summary) string {
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{{s.Delete, "🔴 %d delete"}, {s.Replace, "🟠 %d replace"}, {s.Create, "%d add"}, {s.Update, "%d change"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf(part.word, part.n))
		}
	}
	if len(parts) == 0 {
		return "nothing to change"
	}
	return strings.Join(parts, " · ")
}

// destructive lists what is deleted or replaced, before anything is folded away.
func destructive(b *bytes.Buffer, p plan.Plan) {
	title := false
	for _, c := range p.Changes {
		if c.Action != plan.Delete && c.Action != plan.Replace {
			continue
		}
		if !title {
			fmt.Fprintf(b, "\n**Deleted or replaced in %s**\n\n", escape(p.Cluster))
			title = true
		}
		line := fmt.Sprintf("- %s %s", c.Action, escape(c.Ref.Label()))
		if c.Why != "" {
			line += " — " + escape(c.Why)
		}
		if c.Minutes > 0 {
			line += fmt.Sprintf(" (≈ %d min)", c.Minutes)
		}
		if c.Hold != nil {
			line += " ⏸ held: " + escape(c.Hold.Why)
		}
		b.WriteString(line + "\n")
	}
}

func strong(n int) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("**%d**", n)
}

func recordMarkdown(r run.Record) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "### %s run %d: %s at %s\n\n%s\n\n", escape(r.Cluster), r.ID, r.Outcome, escape(r.Plan.Revision.Short()), escape(totals(r)))
	rows := [][]string{{"state", "action", "object", "cause"}}
	for c, res := range r.Each() {
		said := c.Why
		if res.Error != nil {
			said = string(res.Error.Reason) + ": " + res.Error.Message()
		}
		rows = append(rows, []string{string(res.State), string(c.Action), c.Ref.Label(), said})
	}
	if len(rows) > 1 {
		b.Write(markdownTable(rows))
	}
	for _, e := range r.Plan.Problems {
		fmt.Fprintf(&b, "- %s\n", escape(e.Error()))
	}
	return b.Bytes()
}

func markdownTable(rows [][]string) []byte {
	var b bytes.Buffer
	for i, row := range rows {
		for _, text := range row {
			b.WriteString("| " + escape(text) + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.Bytes()
}

// escape makes a text from outside harmless in Markdown: no tags, links, mentions, table borders or emphasis of its own. The
// program's own **bold** numbers pass.
func escape(s string) string {
	s = clean(s)
	if strings.HasPrefix(s, "**") && strings.HasSuffix(s, "**") && strings.Trim(s, "*0123456789") == "" {
		return s
	}
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "|", "\\|", "`", "\\`", "[", "\\[", "]", "\\]", "*", "\\*", "_", "\\_", "@", "@\u200b").Replace(s)
}
