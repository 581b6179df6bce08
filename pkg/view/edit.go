package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

const (
	// detailColumn is where the second column of plan rows begins, editColumn that of edits.
	detailColumn = 42
	// fewEdits is how many edits of a change the concise view shows.
	fewEdits = 3
	// shortValue is the longest value that the concise view shows whole.
	shortValue = 48
)

// edits prints the fields that change.
func (p *page) edits(c plan.Change, after string) {
	shown := c.Edits
	if !p.Verbose {
		if c.Action == plan.Create {
			return // what is made is in git as it will be
		}
		shown = shown[:min(len(shown), fewEdits)]
	} else {
		shown = leaves(shown)
	}
	for _, e := range shown {
		p.edit(e, c.Action, after)
	}
	if more := len(c.Edits) - len(shown); more > 0 {
		p.row(6, fmt.Sprintf("… and %d more (-v shows them)", more), inkFaint, detailColumn)
	}
	for _, s := range c.Skipped {
		p.row(6, p.path(s.Path), inkFaint, detailColumn, cell{inkFaint, clean("left to " + s.Owner + why(s.Why))})
	}
}

func why(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func (p *page) edit(e plan.Edit, a plan.Action, after string) {
	said := p.values(e)
	if a == plan.Create {
		said = strings.TrimPrefix(said, "unset → ")
	}
	notes := []cell{{inkNone, said}}
	if e.Owner != nil && e.Owner.Manager != "" {
		note := "set by " + e.Owner.Manager
		if at, err := time.Parse(time.RFC3339, e.Owner.At); err == nil {
			if ago := p.ago(at); ago != "" {
				note += " " + ago
			}
		}
		notes = append(notes, cell{inkFaint, clean(note + after)})
	}
	if e.From != nil {
		notes = append(notes, cell{inkFaint, clean(e.From.String())})
	}
	p.row(6, p.path(e.Path), inkNone, detailColumn, notes...)
	if p.Verbose {
		p.lines(e)
	}
}

// path shortens a path to its column by leaving out steps in the middle: the first says where it is, the last what it is.
func (p *page) path(path string) string {
	path = clean(path)
	limit := detailColumn - 8
	if p.Verbose || width(path) <= limit {
		return path
	}
	steps := pathSteps(path)
	for from := 2; from < len(steps); from++ {
		if short := steps[0] + "…" + strings.TrimPrefix(strings.Join(steps[from:], ""), "."); width(short) <= limit || from == len(steps)-1 {
			return short
		}
	}
	return path
}

// pathSteps divides a path before each dot that is outside brackets, so that joining the steps gives the path again.
func pathSteps(path string) []string {
	var steps []string
	from, depth, quoted := 0, 0, false
	for i, r := range path {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == '.' && depth == 0 && i > from:
			steps, from = append(steps, path[from:i]), i
		}
	}
	return append(steps, path[from:])
}

func (p *page) values(e plan.Edit) string {
	switch before, after := gitops.IsRedacted(e.Before), gitops.IsRedacted(e.After); {
	case before && after:
		return "‹secret: changed›"
	case after:
		return p.value(e.Before) + " → ‹secret: set›"
	case before:
		return "‹secret: set› → " + p.value(e.After)
	}
	if was, is, ok := texts(e); ok {
		return fmt.Sprintf("%s → %s", count(len(was), "line", "lines"), count(len(is), "line", "lines"))
	}
	return p.value(e.Before) + " → " + p.value(e.After)
}

// value prints one side of an edit on one line.
func (p *page) value(v any) string {
	v = veil(v)
	text := ""
	switch v := v.(type) {
	case nil:
		return "unset"
	case string:
		if text = clean(v); text == "" || text != v || strings.ContainsAny(text, " →") || ambiguous(text) {
			body, _ := json.Marshal(v)
			text = clean(string(body))
		}
	default:
		body, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		text = clean(string(body))
	}
	if !p.Verbose && width(text) > shortValue {
		text = string([]rune(text)[:shortValue-1]) + "…"
	}
	return text
}

// ambiguous reports whether a text would read as a value of another type.
func ambiguous(s string) bool {
	var v any
	return json.Unmarshal([]byte(s), &v) == nil || s == "unset"
}

// veil replaces marks of secrets inside a value by words: the mark itself tells people nothing.
func veil(v any) any {
	switch v := v.(type) {
	case string:
		if gitops.IsRedacted(v) {
			return "‹secret: set›"
		}
	case gitops.Tree:
		out := make(gitops.Tree, len(v))
		for name, value := range v {
			out[name] = veil(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = veil(v[i])
		}
		return out
	}
	return v
}

// texts gives both sides of an edit as lines, when at least one side is text of several lines.
func texts(e plan.Edit) (was, is []string, ok bool) {
	before, ok1 := e.Before.(string)
	after, ok2 := e.After.(string)
	if (e.Before != nil && !ok1) || (e.After != nil && !ok2) || !strings.Contains(before+after, "\n") {
		return nil, nil, false
	}
	return splitLines(before), splitLines(after), true
}

func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// lines prints the lines that differ in a text of several lines, with one line around.
func (p *page) lines(e plan.Edit) {
	was, is, ok := texts(e)
	if !ok {
		return
	}
	for _, l := range lineDiff(was, is) {
		c := inkFaint
		switch l.mark {
		case '+':
			c = inkGood
		case '-':
			c = inkBad
		}
		p.row(8, string(l.mark)+" "+clean(l.text), c, 0)
	}
}

// leaves spreads edits that add or remove whole subtrees into one edit for each value in them.
func leaves(edits []plan.Edit) []plan.Edit {
	var out []plan.Edit
	for _, e := range edits {
		switch {
		case e.Before == nil:
			spread(e.Path, e.After, func(path string, v any) {
				out = append(out, plan.Edit{Path: path, After: v, Owner: e.Owner, From: e.From})
			})
		case e.After == nil:
			spread(e.Path, e.Before, func(path string, v any) {
				out = append(out, plan.Edit{Path: path, Before: v, Owner: e.Owner, From: e.From})
			})
		default:
			out = append(out, e)
		}
	}
	return out
}

func spread(path string, v any, leaf func(string, any)) {
	switch v := v.(type) {
	case gitops.Tree:
		if len(v) > 0 {
			for _, name := range slices.Sorted(maps.Keys(v)) {
				spread(plan.Field(path, name), v[name], leaf)
			}
			return
		}
	case []any:
		if len(v) > 0 {
			for i, item := range v {
				spread(plan.Index(path, i), item, leaf)
			}
			return
		}
	}
	leaf(path, v)
}
