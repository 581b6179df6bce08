package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) renderCommand() *cobra.Command {
	var overlay, facts string
	var reveal bool
	c := &cobra.Command{
		Use:   "render [CLUSTER-FOLDER...]",
		Short: "Print the objects git wants, as YAML",
		Long: "Render the overlays of each cluster and print their objects. Values out of files that are encrypted with SOPS are printed as\n" +
			render.Concealed + ", unless --reveal is given; the files are opened in any case. Nothing is contacted but the repositories of Helm\ncharts, and AWS KMS for files that are encrypted with its keys.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.render(c.Context(), args, overlay, facts, reveal)
		},
	}
	c.Flags().StringVar(&overlay, "overlay", "", "only this overlay, for example addons/external-dns")
	c.Flags().BoolVar(&reveal, "reveal", false, "print decrypted values")
	c.Flags().StringVar(&facts, "facts", "", "YAML file with facts of the infrastructure (default: they are not known, and shown so)")
	return c
}

func (a *app) render(ctx context.Context, args []string, overlay, factsFile string, reveal bool) error {
	facts := gitops.Facts{}
	if factsFile != "" {
		body, err := os.ReadFile(factsFile)
		if err != nil {
			return fmt.Errorf("reading facts: %w", err)
		}
		if err := yaml.UnmarshalStrict(body, &facts); err != nil {
			return fmt.Errorf("reading facts from %s: %w", factsFile, err)
		}
	}
	f, err := a.open(ctx, run.Sinks{}, args)
	if err != nil {
		return err
	}
	if overlay != "" {
		if err := f.knows(overlay); err != nil {
			return err
		}
	}
	var trouble []error
	for _, cluster := range f.clusters {
		desired, err := f.engine.Renderer.Render(ctx, f.snapshot, cluster, facts)
		if err != nil {
			trouble = append(trouble, err)
			continue
		}
		trouble = append(trouble, asErrors(desired.Problems)...)
		if !reveal {
			desired = render.Conceal(desired)
		}
		body, err := render.YAML(desired, overlay)
		if err != nil {
			return err
		}
		if _, err := a.stdout.Write(body); err != nil {
			return err
		}
	}
	return errors.Join(trouble...)
}

// knows reports whether a selected cluster has the overlay: printing nothing would say that it renders to nothing.
func (f *fleet) knows(overlay string) error {
	var all []string
	for _, c := range f.clusters {
		all = append(all, c.Overlays...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if slices.Contains(all, overlay) {
		return nil
	}
	return fmt.Errorf("selecting overlay %s: there is none of this name; there are %s", overlay, strings.Join(all, ", "))
}

func (a *app) validateCommand() *cobra.Command {
	var kubernetes string
	c := &cobra.Command{
		Use:   "validate [CLUSTER-FOLDER...]",
		Short: "Check all files",
		Long:  "Read every ClusterConfig, policy, approval and overlay and report everything that is wrong with them. Nothing is contacted but the repositories of Helm charts.\nEncrypted files are checked without their keys: placeholders stand for their values.\nObjects that the cluster's version of Kubernetes, or that of --kubernetes, does not serve are told with what to write instead.\nExit code: 0 all well, 2 not.",
		RunE: func(c *cobra.Command, args []string) error {
			if _, ok := plan.Minor(kubernetes); kubernetes != "" && !ok {
				return fmt.Errorf("reading --kubernetes %s: want a version like 1.36", kubernetes)
			}
			return a.validate(c.Context(), args, kubernetes)
		},
	}
	c.Flags().StringVar(&kubernetes, "kubernetes", "", "check for this version, for example 1.36 (default: that of each ClusterConfig)")
	return c
}

func (a *app) validate(ctx context.Context, args []string, kubernetes string) error {
	a.sealed = true
	f, err := a.open(ctx, run.Sinks{}, args)
	if err != nil {
		return err
	}
	var all []error
	for _, cluster := range f.clusters {
		found, notes := a.check(ctx, f, cluster, kubernetes)
		trouble, unchecked := unsealed(found)
		all = append(all, trouble...)
		if len(trouble) == 0 {
			fmt.Fprintf(a.stdout, "✔ %s  cluster %s, %s\n", cluster.Folder, cluster.Name, view.Count(len(cluster.Overlays), "overlay"))
		} else {
			fmt.Fprintf(a.stdout, "✗ %s  %s\n", cluster.Folder, view.Count(len(trouble), "problem"))
		}
		for _, p := range unchecked {
			fmt.Fprintf(a.stdout, "  not checked: overlay %s: %s: %s\n", p.From.Overlay, p.From.Position, p.Message())
		}
		for _, p := range notes {
			fmt.Fprintf(a.stdout, "  note: %s: %s: %s\n    try: %s\n", p.From.Position, p.Reason, p.Message(), p.Try)
		}
	}
	return errors.Join(all...)
}

// unsealed tells what is wrong from what cannot be known without a key.
func unsealed(trouble []error) (wrong []error, unknown []*gitops.Error) {
	for _, err := range trouble {
		if p, ok := errors.AsType[*gitops.Error](err); ok && errors.Is(err, render.ErrSealed) {
			unknown = append(unknown, p)
		} else {
			wrong = append(wrong, err)
		}
	}
	return wrong, unknown
}

// check is everything that can be known about a cluster from its files: what is wrong, and what will be with a later version of
// Kubernetes than the given one ("": the ClusterConfig's).
func (a *app) check(ctx context.Context, f *fleet, cluster gitops.Cluster, kubernetes string) (trouble []error, notes []*gitops.Error) {
	trouble = asErrors(cluster.Problems)
	if cluster.Config.Spec != nil {
		_, problems := eks.Parse(cluster.Config)
		trouble = append(trouble, asErrors(problems)...)
	}
	rules, problems := plan.DecodeRules(cluster.Policy, f.engine.Checks)
	trouble = append(trouble, asErrors(append(problems, plan.CheckDependences(rules.DependsOn, cluster.Overlays)...))...)
	desired, err := f.engine.Renderer.Render(ctx, f.snapshot, cluster, gitops.Facts{})
	if err != nil {
		return append(trouble, err), nil
	}
	trouble = append(trouble, asErrors(desired.Problems)...)
	if kubernetes == "" {
		kubernetes = gitops.StringAt(cluster.Config.Spec, "metadata", "version")
	}
	if minor, known := plan.Minor(kubernetes); known {
		notes = plan.Unserved(desired.Items, minor)
	}
	trouble = append(trouble, asErrors(notes)...)
	return trouble, slices.DeleteFunc(notes, func(p *gitops.Error) bool { return !p.Reason.Note() })
}

// asErrors drops what only informs.
func asErrors(problems []*gitops.Error) []error {
	var out []error
	for _, p := range problems {
		if !p.Reason.Note() {
			out = append(out, p)
		}
	}
	return out
}
