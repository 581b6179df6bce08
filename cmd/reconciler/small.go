package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.stdout, "reconciler %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain [REASON]", Short: "Explain a reason, or list all", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var reasons []string
			for _, e := range gitops.Explanations() {
				reasons = append(reasons, string(e.Reason))
			}
			return reasons, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := a.stdout.Write(view.Reasons(a.viewOptions()))
				return err
			}
			for _, e := range gitops.Explanations() {
				if strings.EqualFold(string(e.Reason), args[0]) {
					text, _ := view.Explain(a.viewOptions(), e.Reason)
					_, err := a.stdout.Write(text)
					return err
				}
			}
			return fmt.Errorf("explaining %q: no such reason\n  try: reconciler explain", args[0])
		},
	}
}
