//go:build !race

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/lab/cluster"
	"github.com/eks-gitops/reconciler/lab/controlplane"
	"github.com/eks-gitops/reconciler/lab/site"
)

type controlPlaneFlags struct {
	spec    controlplane.Spec
	nodes   int
	timeout time.Duration
}

func newControlPlaneCommand() *cobra.Command {
	var flags controlPlaneFlags
	command := &cobra.Command{
		Use: "control-plane --dir DIR", Short: "Run one Kubernetes control plane without AWS, until standard input is closed",
		Long: "control-plane runs etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok. When the API is served it\n" +
			"prints one line, the path of a kubeconfig with all rights. It ends everything when its standard input is closed, so that\n" +
			"a test that dies takes its control plane along. DIR may be used again: the cluster is then as it was.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return runControlPlane(command.Context(), flags, command.InOrStdin(), command.OutOrStdout())
		},
	}
	set := command.Flags()
	set.StringVar(&flags.spec.Dir, "dir", "", "folder for all state (required)")
	set.StringVar(&flags.spec.Version, "kubernetes", "", "minor version to serve: 1.33 to 1.36 (default: what DIR has, else the newest)")
	set.StringVar(&flags.spec.ServiceCIDR, "service-cidr", "", "network of ClusterIPs (default 10.100.0.0/16)")
	set.BoolVar(&flags.spec.UnsafeNoFsync, "unsafe-no-fsync", false, "let etcd lose data when the machine dies; faster on slow disks")
	set.StringSliceVar(&flags.spec.Controllers, "controllers", nil, "run only these of kube-controller-manager, such as namespace-controller (default: all that are on by default)")
	set.IntVar(&flags.nodes, "nodes", 1, "how many nodes the cluster has")
	set.DurationVar(&flags.timeout, "timeout", 2*time.Minute, "give up when the API is not served by then")
	_ = command.MarkFlagRequired("dir")
	return command
}

func runControlPlane(ctx context.Context, flags controlPlaneFlags, in io.Reader, out io.Writer) error {
	log := newLogger(slog.LevelWarn)
	path, err := executable()
	if err != nil {
		return err
	}
	flags.spec.Executable, flags.spec.Env, flags.spec.Egress = path, os.Environ(), true
	plane, err := controlplane.Open(flags.spec, log, time.Now)
	if err != nil {
		return err
	}
	ctx, closed := context.WithCancelCause(ctx)
	defer closed(nil)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		closed(errInputClosed)
	}()
	around, err := site.New(site.Options{
		Plane: plane, Region: "us-west-2", Env: flags.spec.Env, MetricsServer: metricsServerBeside(path), Log: log, Now: time.Now,
	})
	if err != nil {
		return err
	}
	defer around.Stop()
	starting, cancel := context.WithTimeout(ctx, flags.timeout)
	defer cancel()
	if err := plane.Start(starting); err != nil {
		if errors.Is(context.Cause(ctx), errInputClosed) {
			return nil
		}
		return err
	}
	defer plane.Kill()
	around.Cluster().SetSoftware([]cluster.Software{})
	around.Cluster().SetMachines(plainMachines(flags.nodes))
	around.Start(ctx)
	_, _ = fmt.Fprintln(out, plane.Kubeconfig("admin"))
	<-ctx.Done()
	return nil
}

// plainMachines are nodes as an EKS node group of m5.large has them.
func plainMachines(count int) map[string]cluster.Machine {
	out := map[string]cluster.Machine{}
	for i := range count {
		id := fmt.Sprintf("i-%017x", i+1)
		address := fmt.Sprintf("192.168.%d.%d", i/200, i%200+10)
		out[id] = cluster.Machine{
			ID: id, Name: "ip-" + strings.ReplaceAll(address, ".", "-") + ".us-west-2.compute.internal", Address: address,
			Type: "m5.large", Region: "us-west-2", Zone: "us-west-2" + string(rune('a'+i%3)), Arch: "amd64", OS: "Amazon Linux 2023",
			CPU: 2, Memory: 8192, MaxPods: 29, Version: "v1.36.3-eks-lab",
		}
	}
	return out
}

var errInputClosed = errors.New("standard input was closed")
