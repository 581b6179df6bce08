package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

func (a *app) importCommand() *cobra.Command {
	var region, file string
	var as plan.AWS
	c := &cobra.Command{
		Use:   "import CLUSTER",
		Short: "Write the ClusterConfig of a live cluster",
		Long: "Read a live EKS cluster from AWS and write the eksctl ClusterConfig for it, as YAML. Nothing is changed. What is not in the file, and\n" +
			"what a diff of it would show all the same, is said on stderr. A cluster that eksctl did not make is marked as such: it is managed then,\n" +
			"but neither made nor deleted. Exit code: 0 a diff shows nothing, 1 it shows something, 2 could not tell.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			return a.importCluster(c.Context(), args[0], region, file, as)
		},
	}
	c.Flags().StringVar(&region, "region", "", "the cluster's region (default: that of the environment or the profile)")
	c.Flags().StringVarP(&file, "output", "o", "", "file to write, for example clusters/NAME/cluster.yaml; it must not be there yet (default: stdout)")
	c.Flags().StringVar(&as.Role, "role", "", "ARN of an IAM role to assume; reconcile.yaml beside the file is written to say so")
	c.Flags().StringVar(&as.ExternalID, "external-id", "", "external id that the role asks for")
	return c
}

func (a *app) importCluster(ctx context.Context, name, region, file string, as plan.AWS) error {
	if _, err := os.Stat(file); err == nil {
		return there(file)
	}
	policy, err := policyOf(as)
	if err != nil {
		return err
	}
	cfg, err := awsConfig(ctx, region)
	if err != nil {
		return noAWS(name, err)
	}
	if cfg.Region == "" {
		return fmt.Errorf("importing %s: neither --region nor the environment nor a profile names its region\n  try: reconciler import %s --region eu-west-1", name, name)
	}
	if as.Role != "" {
		cfg = roleOf(name, as).Assume(cfg)
	}
	got, err := eks.New(eks.Options{AWS: cfg, Now: a.now, Log: a.log()}).Import(ctx, name)
	if err != nil {
		return err
	}
	if err := a.deliver(got.File, file); err != nil {
		return err
	}
	if err := a.deliverPolicy(policy, file); err != nil {
		return err
	}
	a.remark(name, file, got)
	if len(got.Problems) > 0 {
		return errors.Join(asErrors(got.Problems)...)
	}
	return code(min(len(got.Left), exitLeft))
}

// deliver writes to a new file, or to stdout.
func (a *app) deliver(body []byte, file string) error {
	if file == "" {
		_, err := a.stdout.Write(body)
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // a folder of the user's checkout, as git would make it
		return fmt.Errorf("writing %s: %w", file, err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a file of the user's checkout, as git would make it
	if errors.Is(err, fs.ErrExist) {
		return there(file)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	_, err = f.Write(body)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

// policyOf is a reconcile.yaml that says no more than as whom AWS is reached; empty where that is the process itself.
func policyOf(as plan.AWS) ([]byte, error) {
	if as == (plan.AWS{}) {
		return nil, nil
	}
	said := gitops.Tree{}
	for name, value := range map[string]string{"role": as.Role, "externalID": as.ExternalID} {
		if value != "" {
			said[name] = value
		}
	}
	tree := gitops.Tree{"aws": said}
	if _, problems := plan.DecodeRules(&gitops.Item{Spec: tree}, checks()); len(problems) > 0 {
		return nil, fmt.Errorf("--role and --external-id: %s", problems[0].Message())
	}
	body, err := yaml.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("writing the policy: %w", err)
	}
	return body, nil
}

// deliverPolicy writes the policy beside the ClusterConfig, or tells what it must say where it cannot.
func (a *app) deliverPolicy(policy []byte, file string) error {
	if len(policy) == 0 {
		return nil
	}
	beside := filepath.Join(filepath.Dir(file), "reconcile.yaml")
	if _, err := os.Stat(beside); file == "" || err == nil {
		fmt.Fprintf(a.stderr, "Let reconcile.yaml beside it say:\n%s", policy)
		return nil
	}
	return a.deliver(policy, beside)
}

// there says that a file is in the way.
func there(file string) error {
	return fmt.Errorf("writing %s: it is there already, and is left as it is\n  try: another file, or none, and compare", file)
}

// remark tells what the file does not say, what a diff of it would show, and what comes next.
func (a *app) remark(name, file string, got eks.Imported) {
	if got.Adopted {
		fmt.Fprintf(a.stderr, "eksctl did not make cluster %s: an annotation of the file says so. It is managed, but neither made nor deleted from here.\n", name)
	}
	if len(got.Notes) > 0 {
		fmt.Fprintln(a.stderr, "Not in the file:")
	}
	for _, note := range got.Notes {
		fmt.Fprintf(a.stderr, "  %s\n", note)
	}
	if len(got.Left) > 0 {
		fmt.Fprintln(a.stderr, "What a diff of the file shows all the same:")
	}
	for _, c := range got.Left {
		fmt.Fprintf(a.stderr, "  %s %s  %s\n", c.Action.Symbol(), c.Ref.Label(), edited(c))
	}
	folder := "clusters/" + name
	if file == "" {
		fmt.Fprintf(a.stderr, "Next: put it into %s/cluster.yaml of the repository, then: reconciler diff %s\n", folder, folder)
		return
	}
	fmt.Fprintf(a.stderr, "%s is written. Next: reconciler diff %s\n", file, filepath.ToSlash(filepath.Dir(file)))
}

// edited are the fields that a change is about.
func edited(c plan.Change) string {
	var paths []string
	for _, e := range c.Edits {
		paths = append(paths, e.Path)
	}
	return strings.Join(paths, ", ")
}
