package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) teardownCommand() *cobra.Command {
	var yes, skipObjects bool
	c := a.progressing(&cobra.Command{
		Use:   "teardown CLUSTER-FOLDER",
		Short: "Delete a cluster and everything that was made for it",
		Long: "Delete what the overlays put into the cluster, so that controllers give back what they made (load balancers, volumes), then\n" +
			"nodegroups, addons, IAM and the cluster itself. A cluster is never deleted in any other way, and one that eksctl did not make not\n" +
			"even so. Stop the daemon first, or it makes the cluster again; with --ledger kubernetes, nothing is deleted while it works on the cluster.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.teardown(c.Context(), args, yes, skipObjects)
		},
	})
	c.Flags().BoolVar(&yes, "yes", false, "do not ask for the cluster's name")
	c.Flags().BoolVar(&skipObjects, "skip-objects", false, "leave the objects inside alone, for a cluster whose API cannot be reached any more")
	return c
}

func (a *app) teardown(ctx context.Context, args []string, yes, skipObjects bool) error {
	mode, err := a.mode()
	if err != nil {
		return err
	}
	progress, err := view.NewProgress(mode, a.stderr, view.ProgressOptions{Options: a.viewOptions(), Size: a.size})
	if err != nil {
		return err
	}
	a.ending = true
	f, err := a.open(ctx, progress, args)
	if err != nil {
		return err
	}
	if len(f.clusters) != 1 {
		return fmt.Errorf("tearing down: %s matches %d clusters, name one", args[0], len(f.clusters))
	}
	cluster := f.clusters[0]
	if !yes {
		if err := a.confirm(cluster); err != nil {
			return err
		}
	}
	f.engine.Renderer = nothing{f.engine.Renderer}
	domains := []gitops.Domain{gitops.K8s, gitops.EKS}
	if skipObjects {
		domains = domains[1:]
	}
	for _, domain := range domains {
		records, err := f.each(ctx, f.claimed(func(ctx context.Context, j engine.Job) (run.Record, error) {
			return f.converge(ctx, ending(j, domain))
		}))
		if err != nil {
			return errors.Join(err, progress.Close())
		}
		if records[0].Outcome != run.Converged {
			text, err := view.Record(view.Text, a.viewOptions(), records[0])
			_, written := a.stdout.Write(text)
			return errors.Join(err, written, progress.Close(), code(max(exitLeft, outcomeCode(records[0].Outcome))))
		}
	}
	if err := progress.Close(); err != nil {
		return err
	}
	gone := "✔ cluster %s and everything made for it is gone\n"
	if eks.Adopted(cluster.Config) {
		gone = "✔ everything made from here for cluster %s is gone; the cluster itself stays: eksctl did not make it\n"
	}
	_, err = fmt.Fprintf(a.stdout, gone, cluster.Name)
	return err
}

// ending is the job that ends one domain of a cluster. The cluster's policy is about its life: with prune off, nothing would
// ever be deleted, and a frozen cluster could not end.
func ending(j engine.Job, domain gitops.Domain) engine.Job {
	j.Cause, j.Cluster.Policy = "teardown", nil
	j.Policies = []plan.Policy{plan.OnlyDomain(domain), released}
	return j
}

// confirm asks for the cluster's name on the terminal.
func (a *app) confirm(c gitops.Cluster) error {
	name, what := c.Name, "cluster %s, its nodes, and what runs on them"
	if eks.Adopted(c.Config) {
		what = "what was made from here for cluster %s, and what runs on its nodes"
	}
	fmt.Fprintf(a.stderr, "This deletes "+what+". Type its name to go on: ", name)
	line, err := bufio.NewReader(a.stdin).ReadString('\n')
	if strings.TrimSpace(line) != name {
		return errors.Join(err, fmt.Errorf("tearing down %s: not confirmed; nothing was changed", name))
	}
	return nil
}

// nothing renders no overlay, as if all of them had left git.
type nothing struct{ engine.Renderer }

// Render gives the empty cluster.
func (n nothing) Render(_ context.Context, s gitops.Snapshot, c gitops.Cluster, _ gitops.Facts) (gitops.Desired, error) {
	return gitops.Desired{Revision: s.Revision, Cluster: c.Name}, nil
}

// released lifts holds that an approval could lift: whoever typed the cluster's name has approved.
func released(p plan.Plan) plan.Plan {
	p.Changes = slices.Clone(p.Changes)
	for i := range p.Changes {
		if h := p.Changes[i].Hold; h != nil && h.Approvable {
			p.Changes[i].Hold = nil
		}
	}
	return p
}
