package view

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Plans prints plans: what should change, and what is not known.
func Plans(f Format, o Options, plans ...plan.Plan) ([]byte, error) {
	switch f {
	case JSON, YAML:
		return marshal(f, plans...)
	case Markdown:
		return planMarkdown(o, plans), nil
	case Text:
	}
	p := &page{Options: o}
	for _, each := range plans {
		p.gap()
		p.plan(each)
	}
	return p.bytes(), nil
}

func (p *page) plan(pl plan.Plan) {
	p.heading(pl)
	p.gap()
	sections := sectionsOf(pl)
	for _, s := range sections {
		p.line(p.paint(inkStrong, s.title))
		p.changes(s.changes, s.drift)
	}
	p.problems(pl.Problems)
	if len(sections) > 0 || len(pl.Problems) > 0 {
		p.gap()
	}
	p.summary(pl)
}

func (p *page) heading(pl plan.Plan) {
	parts := []string{p.paint(inkStrong, clean(pl.Cluster)), p.revision(pl.Revision)}
	if !p.Now.IsZero() {
		parts = append(parts, "compared with live at "+p.clock(p.Now, "15:04:05Z07:00"))
	}
	p.line(strings.Join(parts, " · "))
}

// revision is "main@4f2c9e1 "subject" (author, 12m ago)".
func (p *page) revision(r gitops.Revision) string {
	out := clean(r.Short())
	if r.Subject != "" {
		out += fmt.Sprintf(" %q", clean(r.Subject))
	}
	var by []string
	if r.Author != "" {
		by = append(by, clean(r.Author))
	}
	if ago := p.ago(r.At); ago != "" {
		by = append(by, ago)
	}
	if len(by) > 0 {
		out += " (" + strings.Join(by, ", ") + ")"
	}
	return out
}

// section is a part of a plan under its own heading.
type section struct {
	title   string
	drift   bool
	changes []plan.Change
}

// sectionsOf divides a plan so that what git asks for and what happened behind git's back are never mixed.
func sectionsOf(pl plan.Plan) []section {
	all := []section{{title: "EKS"}, {title: "Cluster"}, {title: "Drift (not caused by this commit)", drift: true}, {title: "In flight (as git says, not ready yet)"}}
	for _, c := range pl.Changes {
		i := 1
		switch {
		case c.Action == plan.Wait:
			i = 3
		case c.Drift:
			i = 2
		case c.Ref.Domain == gitops.EKS:
			i = 0
		}
		all[i].changes = append(all[i].changes, c)
	}
	all = slices.DeleteFunc(all, func(s section) bool { return len(s.changes) == 0 })
	for _, s := range all {
		slices.SortFunc(s.changes, func(a, b plan.Change) int { return a.Ref.Compare(b.Ref) })
	}
	return all
}

// bunch is how many new objects of one overlay and namespace the concise view sums up in one line.
const bunch = 4

// group is what new objects are summed up by.
type group struct{ overlay, namespace string }

func groupOf(c plan.Change) (group, bool) {
	return group{c.From.Overlay, c.Ref.Namespace}, c.Action == plan.Create && c.Hold == nil && c.Ref.Domain == gitops.K8s
}

func (p *page) changes(changes []plan.Change, drift bool) {
	groups := map[group][]plan.Change{}
	if !p.Verbose && !drift {
		for _, c := range changes {
			if g, ok := groupOf(c); ok {
				groups[g] = append(groups[g], c)
			}
		}
	}
	done := map[group]bool{}
	for _, c := range changes {
		g, ok := groupOf(c)
		switch {
		case ok && len(groups[g]) >= bunch && done[g]:
		case ok && len(groups[g]) >= bunch:
			done[g] = true
			p.group(g, groups[g])
		default:
			p.change(c)
		}
	}
}

func (p *page) group(g group, changes []plan.Change) {
	what := fmt.Sprintf("%d cluster-scoped objects", len(changes))
	if g.namespace != "" {
		what = fmt.Sprintf("%d objects in namespace %s", len(changes), clean(g.namespace))
	}
	cells := []cell{{inkFaint, clean(folderOf(changes))}}
	if slices.ContainsFunc(changes, func(c plan.Change) bool { return c.Predicted }) {
		cells = append(cells, cell{inkFaint, "predicted"})
	}
	p.row(2, "+ "+what, inkGood, detailColumn, cells...)
}

// folderOf is the deepest folder that holds the files of all changes.
func folderOf(changes []plan.Change) string {
	folder := path.Dir(changes[0].From.File)
	for _, c := range changes[1:] {
		for folder != "." && folder != "/" && !strings.HasPrefix(c.From.File, folder+"/") {
			folder = path.Dir(folder)
		}
	}
	if folder == "." || folder == "/" {
		return changes[0].From.Overlay
	}
	return folder + "/"
}

func (p *page) change(c plan.Change) {
	symbol, after := c.Action.Symbol(), ""
	if c.Drift {
		symbol, after = "!", ", will be restored"
	}
	why := clean(c.Why)
	if c.Action == plan.Replace {
		// What is made anew must not hang on one character.
		why = strings.TrimSuffix("replace: "+why, ": ")
	}
	cells := []cell{{inkNone, why}}
	if c.Hold != nil {
		cells = append(cells, cell{inkHold, "⏸ held: " + clean(c.Hold.Why)})
	}
	if c.Approved != nil {
		cells = append(cells, cell{inkGood, "✔ approved in " + clean(c.Approved.String())})
	}
	if c.Predicted {
		cells = append(cells, cell{inkFaint, "predicted"})
	}
	if c.Minutes > 0 {
		cells = append(cells, cell{inkFaint, fmt.Sprintf("≈ %d min", c.Minutes)})
	}
	cells = append(cells, cell{inkFaint, clean(c.From.Position.String())})
	p.row(2, symbol+" "+clean(c.Ref.Label()), inkOf(c.Action), detailColumn, cells...)
	p.edits(c, after)
}

// problems prints what is in the way, and apart from it what is merely not managed.
func (p *page) problems(problems []*gitops.Error) {
	notes := slices.DeleteFunc(slices.Clone(problems), func(e *gitops.Error) bool { return !e.Reason.Note() || e.Reason == gitops.Kept })
	for _, part := range []struct {
		title string
		list  []*gitops.Error
	}{{"Problems", pressing(problems)}, {"Notes", notes}} {
		for i, e := range part.list {
			if i == 0 {
				p.line(p.paint(inkStrong, part.title))
			}
			p.problem(e)
			// What to do about a kind of trouble is said once, below the last of its kind.
			if !slices.ContainsFunc(part.list[i+1:], func(other *gitops.Error) bool { return other.Reason == e.Reason && other.Try == e.Try }) {
				p.try(e)
			}
		}
	}
	p.kept(problems)
}

// pressing are the problems that are more than a note. What was not looked at because of something else comes after that.
func pressing(problems []*gitops.Error) []*gitops.Error {
	out := slices.DeleteFunc(slices.Clone(problems), func(e *gitops.Error) bool { return e.Reason.Note() })
	last := func(e *gitops.Error) int {
		if e.Reason == gitops.Blocked {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b *gitops.Error) int { return last(a) - last(b) })
	return out
}

// try says what to do about a problem: its own advice, or that of its kind.
func (p *page) try(e *gitops.Error) {
	if text := advice(e); text != "" && !e.Reason.Note() && e.Reason != gitops.Blocked {
		p.row(6, "try: "+text, inkFaint, 0)
	}
}

// advice is what to do about a problem, with the cluster's folder filled in where the file tells it.
func advice(e *gitops.Error) string {
	text := e.Try
	if known, ok := gitops.Explain(e.Reason); ok && text == "" {
		text = known.Try
	}
	if parts := strings.SplitN(e.From.File, "/", 3); len(parts) == 3 && parts[0] == "clusters" {
		text = strings.ReplaceAll(text, "CLUSTER-FOLDER", parts[0]+"/"+parts[1])
	}
	return clean(text)
}

// fewKept is how many kept things the concise view lists.
const fewKept = 10

// kept prints what left git and stays live: it is nothing to do, and nobody should have to find it by chance.
func (p *page) kept(problems []*gitops.Error) {
	all := slices.DeleteFunc(slices.Clone(problems), func(e *gitops.Error) bool { return e.Reason != gitops.Kept })
	if len(all) == 0 {
		return
	}
	p.line(p.paint(inkStrong, "Kept (left git; nothing deletes it)"))
	slices.SortStableFunc(all, func(a, b *gitops.Error) int { return a.Ref.Compare(b.Ref) })
	shown := all
	if !p.Verbose && len(all) > fewKept {
		shown = all[:fewKept-1]
	}
	for _, e := range shown {
		was := ""
		if e.From.Overlay != "" {
			was = "was in overlay " + e.From.Overlay
		}
		p.row(2, "· "+clean(e.Ref.Label()), inkFaint, detailColumn, cell{inkNone, clean(e.Message())}, cell{inkFaint, clean(was)})
	}
	if more := len(all) - len(shown); more > 0 {
		p.row(2, fmt.Sprintf("  … and %d more (-v shows them)", more), inkFaint, 0)
	}
	if known, ok := gitops.Explain(gitops.Kept); ok {
		p.row(6, "to remove: "+known.Try, inkFaint, 0)
	}
}

func (p *page) problem(e *gitops.Error) {
	symbol, c := "✗ ", inkBad
	if e.Reason.Note() {
		symbol, c = "· ", inkFaint
	}
	about := string(e.Reason)
	if !e.Ref.IsZero() {
		about += "  " + clean(e.Ref.Label())
	} else if e.From.Overlay != "" {
		about += "  overlay " + clean(e.From.Overlay)
	}
	p.row(2, symbol+about, c, detailColumn, cell{inkNone, clean(e.Message())}, cell{inkFaint, clean(e.From.Position.String())})
}

// Problem prints one problem, with what to do about it.
func Problem(o Options, e *gitops.Error) string {
	p := &page{Options: o}
	head := "✗ " + string(e.Reason)
	if !e.Ref.IsZero() {
		head += "  " + clean(e.Ref.Label())
	}
	p.row(0, head, inkBad, 0, cell{inkNone, clean(e.Message())}, cell{inkFaint, clean(e.From.Position.String())})
	if try := advice(e); try != "" {
		p.row(2, "try: "+try+" · reconciler explain "+string(e.Reason), inkFaint, 0)
	}
	return p.b.String()
}

// summary is always the last part: the counts, and how to go on with what is held.
func (p *page) summary(pl plan.Plan) {
	s := pl.Summary()
	line := "Plan: " + tally(s)
	switch {
	case len(pl.Changes) == 0 && !pl.Complete:
		line = "Plan: nothing to change in what is known"
	case len(pl.Changes) == 0:
		line = "Nothing to change"
	}
	for _, part := range []struct {
		n    int
		word string
	}{{s.Drift, "drift"}, {s.Held, "held"}, {s.Waiting, "in flight"}, {s.Kept, "kept"}, {s.Unchanged, "unchanged"}} {
		if part.n > 0 {
			line += fmt.Sprintf(" · %d %s", part.n, part.word)
		}
	}
	if !pl.Complete {
		line += p.paint(inkBad, " · incomplete: see Problems")
	}
	p.line(line + "        " + p.paint(inkFaint, "plan "+pl.ID.Short()))
	p.approve(pl)
}

func tally(s plan.Summary) string {
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{{s.Create, "add"}, {s.Update, "change"}, {s.Replace, "replace"}, {s.Delete, "delete"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", part.n, part.word))
		}
	}
	if len(parts) == 0 {
		return "nothing to change"
	}
	return strings.Join(parts, ", ")
}

func (p *page) approve(pl plan.Plan) {
	ids := approvable(pl)
	if ids == 0 {
		return
	}
	folder := p.Folder
	if folder == "" {
		folder = "clusters/" + pl.Cluster
	}
	short := pl.ID.Short()
	p.line(fmt.Sprintf("Approve held changes by committing:  %s/approvals/%s.yaml   (reconciler approve %s writes it: %s)", folder, short, short, count(ids, "change id", "change ids")))
}

// approvable counts the held changes that an approval releases.
func approvable(pl plan.Plan) int {
	n := 0
	for _, c := range pl.Changes {
		if c.Hold != nil && c.Hold.Approvable {
			n++
		}
	}
	return n
}
