package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

func (a *app) approveCommand() *cobra.Command {
	var only []string
	c := &cobra.Command{
		Use:   "approve PLAN-ID [CLUSTER-FOLDER...]",
		Short: "Write the file whose commit releases held changes",
		Long: "Write clusters/<name>/approvals/<plan>.yaml with the ids of the changes that a plan holds, into the folder of the repository.\n" +
			"Nothing is changed until the file is committed and the commit is followed. An approval covers exactly these changes.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.approve(c.Context(), args[0], args[1:], only)
		},
	}
	c.Flags().StringSliceVar(&only, "change", nil, "ids of the changes to approve, or unique beginnings (default: all that are held)")
	return c
}

func (a *app) approve(ctx context.Context, id string, args, only []string) error {
	root, err := a.checkout()
	if err != nil {
		return err
	}
	if a.rev != "" {
		return errors.New("approving: an approval is of what git says now, not of --rev")
	}
	a.previewing = true
	f, err := a.connect(ctx, run.Sinks{})
	if err != nil {
		return err
	}
	if folder, rev, found := departed(ctx, f, id); found {
		a.rev = rev
		return a.approveEnd(ctx, []string{folder})
	}
	if err := f.read(ctx, args); err != nil {
		return err
	}
	cluster, p, err := a.findPlan(ctx, f, id)
	if err != nil {
		return err
	}
	changes, err := heldChanges(p, only)
	if err != nil {
		return err
	}
	name, err := writeApproval(root, cluster.Folder, p.ID.Short(), approvalFile(p, changes))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s approves %d changes of plan %s; commit and push it:\n", name, len(changes), p.ID.Short())
	for _, c := range changes {
		fmt.Fprintf(a.stdout, "  %s %s  %s\n", c.Action.Symbol(), c.Ref.Label(), c.Why)
	}
	fmt.Fprintf(a.stdout, "  git add %s && git commit -m \"Approve %s\" && git push\n", name, p.ID.Short())
	return err
}

// checkout is the folder of the repository, to write into.
func (a *app) checkout() (string, error) {
	root, err := a.location()
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return "", fmt.Errorf("approving: %s is no folder to write into\n  try: the same with -C PATH-OF-YOUR-CHECKOUT", root)
	}
	return root, nil
}

// writeApproval writes an approval of a cluster and tells its path in the repository.
func writeApproval(root, folder, name string, content []byte) (string, error) {
	name = filepath.Join(folder, "approvals", name+".yaml")
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of the user's checkout, as git would make it
		return "", fmt.Errorf("writing the approval: %w", err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // a file of the user's checkout, as git would make it
		return "", fmt.Errorf("writing the approval: %w", err)
	}
	return name, nil
}

// findPlan looks for a plan by the beginning of its id: first among those that were recorded, which is what people saw in status and
// history and what run told, then a plan made now, which is what they saw in diff.
func (a *app) findPlan(ctx context.Context, f *fleet, id string) (gitops.Cluster, plan.Plan, error) {
	books, ok := f.engine.Ledger.(*ledger.Ledger)
	for _, c := range f.clusters {
		if !ok {
			break
		}
		// Runs that cannot be read are as those that are kept no more.
		recent, _ := books.Records(ctx, c.Name, recentRuns)
		if p, found := shown(recent, id); found {
			return c, p, nil
		}
	}
	records, err := f.each(ctx, func(ctx context.Context, j engine.Job) (run.Record, error) {
		j.Preview = true
		return f.engine.RunOnce(ctx, j)
	})
	var seen []string
	for i, r := range records {
		if strings.HasPrefix(string(r.Plan.ID), id) && id != "" {
			return f.clusters[i], r.Plan, nil
		}
		had := fmt.Sprintf("%s has %s", f.clusters[i].Name, r.Plan.ID.Short())
		if !r.Plan.Complete {
			had += " (incomplete)"
		}
		seen = append(seen, had)
	}
	err = errors.Join(err, fmt.Errorf("approving %s: no cluster has a plan of this id now: %s\n  try: reconciler diff", id, strings.Join(seen, ", ")))
	return gitops.Cluster{}, plan.Plan{}, err
}

// recentRuns are those among which a plan is looked for: on a busy cluster the next run comes in seconds, and what it holds is the same.
const recentRuns = 50

// shown looks for a plan among the runs of a cluster, newest first. An older one is found by an id as long as those that people are shown, and
// without what the newest run does not hold any more: what else there is to do changes the id of a plan, and no approval.
func shown(newestFirst []run.Record, id string) (plan.Plan, bool) {
	for i, r := range newestFirst {
		p := r.Plan
		if id == "" || !strings.HasPrefix(string(p.ID), id) || i > 0 && len(id) < len(p.ID.Short()) {
			continue
		}
		if i > 0 {
			p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(c plan.Change) bool {
				return !slices.ContainsFunc(newestFirst[0].Plan.Changes, func(now plan.Change) bool { return now.ID == c.ID && now.Hold != nil })
			})
		}
		return p, i == 0 || len(p.Changes) > 0
	}
	return plan.Plan{}, false
}

// heldChanges are the changes of a plan that an approval can release, narrowed to the ids given.
func heldChanges(p plan.Plan, only []string) ([]plan.Change, error) {
	var out []plan.Change
	for _, c := range p.Changes {
		if c.Hold == nil || !c.Hold.Approvable {
			continue
		}
		wanted := len(only) == 0
		for _, id := range only {
			wanted = wanted || strings.HasPrefix(string(c.ID), id)
		}
		if wanted {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("approving plan %s: it holds no change that an approval releases", p.ID.Short())
	}
	return out, nil
}

// approvalFile is the file as people review it: what each change is stands beside its id.
func approvalFile(p plan.Plan, changes []plan.Change) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Approves held changes of cluster %s, as planned at %s.\n# Each id is a hash of exactly what the change does; it covers nothing else.\n", p.Cluster, p.Revision.Short())
	writeIDs(&b, p, changes)
	return []byte(b.String())
}

// writeIDs writes what is approved of a plan.
func writeIDs(b *strings.Builder, p plan.Plan, changes []plan.Change) {
	fmt.Fprintf(b, "plan: %q\nchanges:\n", p.ID)
	for _, c := range changes {
		fmt.Fprintf(b, "  - %q # %s %s: %s\n", c.ID, c.Action.Symbol(), c.Ref.Label(), oneLine(c))
	}
	for i, about := range concerns(changes) {
		if i == 0 {
			b.WriteString("# What was known of them. More of it, or something else, needs another approval.\nconcerns:\n")
		}
		fmt.Fprintf(b, "  %q: %d # %s\n", about.ID, about.Count, strings.Join(strings.Fields(about.Why), " "))
	}
}

// concerns are those of all the changes.
func concerns(changes []plan.Change) []plan.Concern {
	var out []plan.Concern
	for _, c := range changes {
		out = append(out, c.Concerns...)
	}
	return out
}

// oneLine says what a change does, for a comment.
func oneLine(c plan.Change) string {
	text := string(c.Action)
	if c.Why != "" {
		text += ", " + c.Why
	}
	return strings.Join(strings.Fields(text), " ")
}
