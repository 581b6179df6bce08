package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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
	var yes, approval bool
	c := a.progressing(&cobra.Command{
		Use:   "teardown CLUSTER-FOLDER",
		Short: "Delete a cluster and everything that was made for it",
		Long: "Delete what the overlays put into the cluster, so that controllers give back what they made (load balancers, volumes), then\n" +
			"nodegroups, addons, IAM and the cluster itself; one that eksctl did not make stays. Stop the daemon first, or it makes the cluster\n" +
			"again; with --ledger kubernetes, nothing is deleted while it works on the cluster.\n" +
			"With --approval, nothing is deleted: it writes the file that lets the daemon do all this, once the rest of the folder left git.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if approval && (yes || a.skipping) {
				return errors.New("tearing down: --approval only writes a file, so --yes and --skip-objects say nothing beside it\n  try: the same without them")
			}
			if approval {
				return a.approveEnd(c.Context(), args)
			}
			return a.teardown(c.Context(), args, yes)
		},
	})
	c.Flags().BoolVar(&yes, "yes", false, "do not ask for the cluster's name")
	c.Flags().BoolVar(&approval, "approval", false, "only write the approval into the folder of the repository")
	c.Flags().BoolVar(&a.skipping, "skip-objects", false, "leave the objects inside alone, for a cluster whose API cannot be reached any more")
	c.Flags().BoolVar(&a.logGroups, "log-groups", false, "delete what the control plane logged, too (log group /aws/eks/NAME/cluster)")
	return c
}

func (a *app) teardown(ctx context.Context, args []string, yes bool) error {
	mode, err := a.mode()
	if err != nil {
		return err
	}
	progress, err := view.NewProgress(mode, a.stderr, view.ProgressOptions{Options: a.viewOptions(), Size: a.size})
	if err != nil {
		return err
	}
	f, cluster, err := a.openEnding(ctx, progress, args)
	if err != nil {
		return err
	}
	if !yes {
		if err := a.confirm(cluster); err != nil {
			return err
		}
	}
	records, err := f.each(ctx, f.claimed(func(ctx context.Context, j engine.Job) (run.Record, error) {
		j.Cause, j.Confirmed = "teardown", true
		return f.converge(ctx, j)
	}))
	if err := errors.Join(err, progress.Close()); err != nil {
		return err
	}
	if outcome := records[0].Outcome; outcome != run.Converged {
		records[0].Plan.Problems = a.wayAround(records[0].Plan.Problems)
		text, err := view.Record(view.Text, a.viewOptions(), records[0])
		_, written := a.stdout.Write(text)
		return errors.Join(err, written, code(max(exitLeft, outcomeCode(outcome))))
	}
	if eks.Adopted(cluster.Config) {
		_, err = fmt.Fprintf(a.stdout, "✔ everything made from here for cluster %s is gone; the cluster itself stays: eksctl did not make it\n", cluster.Name)
		return err
	}
	return a.prove(ctx, f, cluster)
}

// wayAround says of a cluster whose API does not answer how it is torn down all the same. It is never done unasked: what controllers made
// in AWS for objects of the cluster is given back by them alone.
func (a *app) wayAround(problems []*gitops.Error) []*gitops.Error {
	out := slices.Clone(problems)
	for i, p := range out {
		if p.Reason == gitops.Unreachable && p.Ref.Domain == gitops.K8s && !a.skipping {
			said := *p
			said.Try = "if the cluster's API is gone for good: the same with --skip-objects, which deletes no object in the cluster"
			out[i] = &said
		}
	}
	return out
}

// prove looks once more, as one who knows nothing of what was done, and says what is left of the cluster.
func (a *app) prove(ctx context.Context, f *fleet, cluster gitops.Cluster) error {
	records, err := f.each(ctx, func(ctx context.Context, j engine.Job) (run.Record, error) {
		j.Preview, j.Confirmed = true, true
		return f.engine.RunOnce(ctx, j)
	})
	if err != nil {
		return fmt.Errorf("looking what is left of cluster %s: %w", cluster.Name, err)
	}
	text, left := proof(cluster.Name, records[0].Plan)
	_, err = io.WriteString(a.stdout, text)
	return errors.Join(err, code(left))
}

// proof says what is left of a cluster: things that stay, each with the reason, and what a look found that is still to be deleted, or
// could not find out.
func proof(cluster string, p plan.Plan) (text string, left int) {
	var stays, open []string
	for _, c := range p.Changes {
		open, left = append(open, fmt.Sprintf("%s %s is still to be deleted", c.Ref.Kind, c.Ref.Name)), exitLeft
	}
	for _, problem := range p.Problems {
		switch said := problem.Message(); {
		case !problem.Reason.Note():
			open, left = append(open, said), exitUnknown
		case problem.Ref.Domain == gitops.EKS && problem.Try != "":
			stays = append(stays, said+"; "+problem.Try)
		case problem.Ref.Domain == gitops.EKS:
			stays = append(stays, said)
		}
	}
	switch {
	case left != 0:
		return fmt.Sprintf("cluster %s is gone, but not all that was made for it is known to be:\n  %s\n", cluster, strings.Join(append(open, stays...), "\n  ")), left
	case len(stays) > 0:
		return fmt.Sprintf("✔ cluster %s and everything made for it is gone; what stays in AWS:\n  %s\n", cluster, strings.Join(stays, "\n  ")), 0
	}
	return fmt.Sprintf("✔ cluster %s and everything made for it is gone; nothing is left in AWS\n", cluster), 0
}

// openEnding opens the one cluster that an argument selects as one of which nothing is wanted any more.
func (a *app) openEnding(ctx context.Context, sink run.Sink, args []string) (*fleet, gitops.Cluster, error) {
	f, err := a.open(ctx, sink, args)
	if err != nil {
		return nil, gitops.Cluster{}, err
	}
	if len(f.clusters) != 1 {
		return nil, gitops.Cluster{}, fmt.Errorf("tearing down: %s matches %d clusters, name one", args[0], len(f.clusters))
	}
	cluster := &f.clusters[0]
	cluster.Ending, cluster.LogGroups, cluster.Overlays = true, a.logGroups, nil
	return f, *cluster, nil
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
