package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// approveEnd writes the approval of the end of a cluster: the id of the deletion of exactly this cluster, and where it is, because
// its ClusterConfig leaves git with the folder. Nothing else has to be remembered by anybody.
func (a *app) approveEnd(ctx context.Context, args []string) error {
	root, err := a.checkout()
	if err != nil {
		return err
	}
	a.previewing = true
	f, cluster, err := a.openEnding(ctx, run.Sinks{}, args)
	if err != nil {
		return err
	}
	if eks.Adopted(cluster.Config) {
		return fmt.Errorf("approving the end of %s: eksctl did not make this cluster, so it stays\n  try: reconciler teardown %s removes what was made from here", cluster.Name, cluster.Folder)
	}
	records, err := f.each(ctx, func(ctx context.Context, j engine.Job) (run.Record, error) {
		j.Preview = true
		return f.engine.RunOnce(ctx, j)
	})
	if err != nil {
		return err
	}
	p := records[0].Plan
	if !slices.ContainsFunc(p.Changes, plan.EndsCluster) {
		return fmt.Errorf("approving the end of %s: %w", cluster.Name, noEnd(cluster, p))
	}
	name, err := writeApproval(root, cluster.Folder, "teardown", endingFile(p, cluster))
	if err != nil {
		return err
	}
	rest, err := besides(filepath.Join(root, filepath.FromSlash(cluster.Folder)), "approvals")
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s approves the end of cluster %s: %s.\nIt begins when the rest of the folder has left git:\n", name, cluster.Name, counted(p))
	if len(rest) > 0 {
		fmt.Fprintf(a.stdout, "  git rm -r --quiet %s\n", cluster.Folder+"/"+strings.Join(rest, " "+cluster.Folder+"/"))
	}
	_, err = fmt.Fprintf(a.stdout, "  git add %s && git commit -m \"Delete cluster %s\" && git push\n", name, cluster.Name)
	return err
}

// departed finds the plan of a cluster whose folder left git, by the beginning of its id: the folder, and the newest revision on record
// that had it.
func departed(ctx context.Context, f *fleet, id string) (folder, rev string, found bool) {
	books, ok := f.engine.Ledger.(*ledger.Ledger)
	if !ok || id == "" {
		return "", "", false
	}
	names, err := books.Clusters(ctx)
	if err != nil {
		return "", "", false
	}
	for _, name := range names {
		records, err := books.Records(ctx, name, 0)
		if err != nil || len(records) == 0 || !strings.HasPrefix(string(records[0].Plan.ID), id) {
			continue
		}
		if folder = leftFolder(records[0].Plan); folder == "" {
			continue
		}
		for _, r := range records {
			if leftFolder(r.Plan) == "" {
				return folder, r.Plan.Revision.Hash, true
			}
		}
	}
	return "", "", false
}

// leftFolder is the folder that left git, of a plan that says so of the whole cluster.
func leftFolder(p plan.Plan) string {
	for _, problem := range p.Problems {
		if problem.Reason == gitops.Kept && problem.Ref.Kind == eks.ConfigKind {
			return problem.From.File
		}
	}
	return ""
}

// noEnd says why a plan does not delete the cluster.
func noEnd(c gitops.Cluster, p plan.Plan) error {
	var why []error
	for _, problem := range p.Problems {
		if !problem.Reason.Note() {
			why = append(why, problem)
		}
	}
	if len(why) == 0 {
		return fmt.Errorf("there is none in AWS, in %s", gitops.StringAt(c.Config.Spec, "metadata", "region"))
	}
	return errors.Join(why...)
}

// endingFile is the approval as people review it. What goes after the cluster has an id of its own: by then, the cluster's approves nothing.
func endingFile(p plan.Plan, c gitops.Cluster) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Approves the end of cluster %s once the rest of this folder has left git. As planned at %s:\n# %s.\n", c.Name, p.Revision.Short(), counted(p))
	fmt.Fprintf(&b, "cluster:\n  name: %q\n  region: %q\n", c.Name, gitops.StringAt(c.Config.Spec, "metadata", "region"))
	if c.Policy != nil && gitops.TreeAt(c.Policy.Spec, "aws") != nil {
		b.WriteString("  aws: # how its AWS is reached\n")
		for _, name := range slices.Sorted(maps.Keys(gitops.TreeAt(c.Policy.Spec, "aws"))) {
			fmt.Fprintf(&b, "    %s: %q\n", name, gitops.StringAt(c.Policy.Spec, "aws", name))
		}
	}
	if c.LogGroups {
		b.WriteString("  logGroups: true\n")
	}
	writeIDs(&b, p, slices.DeleteFunc(slices.Clone(p.Changes), func(c plan.Change) bool {
		return !plan.EndsCluster(c) && c.Ref.Kind != eks.KindLogGroup
	}))
	return []byte(b.String())
}

// counted says what a plan deletes, by kind: infrastructure kind by kind, and objects together.
func counted(p plan.Plan) string {
	count, objects, beside := map[string]int{}, 0, 0
	for _, c := range p.Changes {
		switch {
		case c.Action != plan.Delete:
		case c.Ref.Domain == gitops.EKS:
			count[c.Ref.Kind]++
		default:
			objects++
			if c.From.Overlay == "" {
				beside++
			}
		}
	}
	inside := fmt.Sprintf("%d objects inside", objects)
	if beside > 0 {
		inside += fmt.Sprintf(" (%d of them made beside git)", beside)
	}
	var out []string
	for kind, n := range count {
		out = append(out, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(out)
	return "it deletes " + strings.Join(append(out, inside), ", ")
}

// besides lists what a folder has besides one name; nothing when it is not there.
func besides(folder, name string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("looking what is in %s: %w", folder, err)
	}
	var out []string
	for _, e := range entries {
		if e.Name() != name {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
