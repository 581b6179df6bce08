//go:build !race

// Package component is the only importer of Kubernetes' own programs, etcd and kwok. It turns the name of a program and
// its arguments into a run of that program inside this process, so that one binary is the whole control plane.
//
// Input: a program name out of controlplane.Programs and its command line. Output: the program's exit code. Invariant: a process runs
// at most one component, since each of them owns process-wide state (flags, metrics registry, signal handlers). The race
// detector watches over the lab's own code; building half of Kubernetes with it would cost ten minutes and find nothing of ours.
package component

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client-go's own metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // kubernetes_build_info
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	"sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/signals"

	"github.com/eks-gitops/reconciler/lab/controlplane"
)

// Known tells whether name is a program of this binary.
func Known(name string) bool { return slices.Contains(controlplane.Programs(), name) }

// Run runs the program name with args (without the program's own name) and returns its exit code. It returns when the
// program has ended; etcd ends the process itself.
func Run(name string, args []string) int {
	switch name {
	case controlplane.Etcd:
		etcdmain.Main(append([]string{controlplane.Etcd}, args...))
		return 0
	case controlplane.APIServer:
		if err := reportAsEKS(); err != nil {
			_, _ = fmt.Fprintf(os.Stderr, "preparing the version to report: %v\n", err)
			return 1
		}
		return runCobra(apiserver.NewAPIServerCommand(), args)
	case controlplane.ControllerManager:
		return runCobra(controllermanager.NewControllerManagerCommand(), args)
	case controlplane.Scheduler:
		return runCobra(scheduler.NewSchedulerCommand(), args)
	case controlplane.Kwok:
		return runKwok(args)
	default:
		_, _ = fmt.Fprintf(os.Stderr, "unknown component %q\n", name)
		return 2
	}
}

func runCobra(command *cobra.Command, args []string) int {
	command.SetArgs(args)
	return cli.Run(command)
}

// runKwok does what kwok's own main does: its configuration comes from flags that are read ahead of the command's.
func runKwok(args []string) int {
	// cobra mixes in the process-wide flags, where Kubernetes' --version is not the boolean that kwok's has to be.
	pflag.CommandLine = pflag.NewFlagSet(controlplane.Kwok, pflag.ContinueOnError)
	os.Args = append([]string{controlplane.Kwok}, args...)
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, logger := log.InitFlags(signals.SetupSignalContext(), flags)
	ctx, err := config.InitFlags(ctx, flags)
	if err != nil {
		logger.Error("Reading kwok's configuration", "err", err)
		return 1
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	if err := command.ExecuteContext(ctx); err != nil && ctx.Err() == nil {
		logger.Error("Running kwok", "err", err)
		return 1
	}
	return exitCode(ctx)
}

// exitCode is 0 for a component that was asked to stop.
func exitCode(ctx context.Context) int {
	if ctx.Err() != nil {
		return 0
	}
	return 1
}
