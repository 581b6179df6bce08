//go:build !race

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/lab/daemon"
	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/lab/site"
)

const daemonLog = "lab.log"

type upFlags struct {
	options  daemon.Options
	detach   bool
	standins string
	timeout  time.Duration
}

func newUpCommand(dir *string) *cobra.Command {
	var flags upFlags
	command := &cobra.Command{
		Use: "up", Short: "Start the lab", Args: cobra.NoArgs,
		Long: "up starts the simulated AWS and, for each EKS cluster in it, a control plane. A lab that was there before goes on as it was.\n" +
			"It runs until it is interrupted, or with --detach in the background until 'lab down'.",
		RunE: func(command *cobra.Command, _ []string) error {
			flags.options.Dir = *dir
			if flags.detach {
				return detach(command.Context(), flags, command.OutOrStdout())
			}
			return serve(command.Context(), flags, command.OutOrStdout())
		},
	}
	set := command.Flags()
	set.Float64Var(&flags.options.Speed, "speed", 0, "divide AWS's durations by this (default: what the lab had, else 30)")
	set.IntVar(&flags.options.Port, "port", 0, "port of the AWS endpoint (default: what the lab had, else a free one)")
	set.StringVar(&flags.options.Region, "region", "", "region that is simulated (default: what the lab had, else us-west-2)")
	set.BoolVar(&flags.options.UnsafeNoFsync, "unsafe-no-fsync", false, "let etcd lose data when the machine dies; faster on slow disks")
	set.StringVar(&flags.options.MetricsServer, "metrics-server", "", "program to run for pods of metrics-server (default: metrics-server beside this program)")
	set.StringVar(&flags.standins, "standins", "", "YAML list of {image, address}: what answers for pods of an image (default: prometheus-adapter, without metrics)")
	set.BoolVar(&flags.detach, "detach", false, "run in the background")
	set.DurationVar(&flags.timeout, "timeout", time.Minute, "with --detach: give up when the lab does not answer by then")
	return command
}

func serve(ctx context.Context, flags upFlags, out io.Writer) error {
	o := flags.options
	path, err := executable()
	if err != nil {
		return err
	}
	o.Executable, o.Env, o.Now, o.Log = path, os.Environ(), time.Now, newLogger(slog.LevelInfo)
	if o.MetricsServer == "" {
		o.MetricsServer = metricsServerBeside(path)
	}
	// What the sample fleet runs and the lab does not: it would have nothing to serve without a real Prometheus.
	o.Standins = []site.Standin{{Image: "prometheus-adapter"}}
	if flags.standins != "" {
		content, err := os.ReadFile(flags.standins)
		if err != nil {
			return fmt.Errorf("reading stand-ins: %w", err)
		}
		if err := yaml.UnmarshalStrict(content, &o.Standins); err != nil {
			return fmt.Errorf("reading stand-ins from %s: %w", flags.standins, err)
		}
	}
	d, err := daemon.New(o)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "The lab is up: %s (speed %g). Try: eval \"$(%s env --dir %s)\"\n", d.State().Endpoint(), d.State().Speed, path, o.Dir)
	return d.Run(ctx)
}

// metricsServerBeside is the program metrics-server in the folder of this one, or empty.
func metricsServerBeside(path string) string {
	beside := filepath.Join(filepath.Dir(path), "metrics-server")
	info, err := os.Stat(beside)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return ""
	}
	return beside
}

// detach starts the same command without --detach in a session of its own and waits until it answers.
func detach(ctx context.Context, flags upFlags, out io.Writer) error {
	dir := flags.options.Dir
	if daemon.Running(dir) {
		return fmt.Errorf("starting the lab in %s: %w", dir, daemon.ErrRunning)
	}
	path, err := executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	log, err := os.OpenFile(filepath.Join(dir, daemonLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	child := exec.Command(path, flags.again()...) //nolint:noctx // it has to outlive this command
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return fmt.Errorf("starting the lab: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	waiting, cancel := context.WithTimeout(ctx, flags.timeout)
	defer cancel()
	var status daemon.Status
	err = process.Poll(waiting, 50*time.Millisecond, "the lab to answer", func(ctx context.Context) (bool, error) {
		select {
		case err := <-ended:
			return false, fmt.Errorf("the lab ended at once: %w; the end of its log:\n%s", errOrNone(err), process.Tail(log.Name(), 10))
		default:
		}
		status, err = ask(ctx, dir)
		return err == nil && status.PID == child.Process.Pid && settled(status), nil
	})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "The lab is up: %s (speed %g, process %d). Try: eval \"$(%s env --dir %s)\"\n", status.Endpoint, status.Speed, status.PID, path, dir)
	return nil
}

// settled says that every control plane of an earlier time serves again, or why it does not.
func settled(s daemon.Status) bool {
	for _, c := range s.Clusters {
		if !c.Ready && c.Error == "" {
			return false
		}
	}
	return true
}

func errOrNone(err error) error {
	if err == nil {
		return errors.New("without an error")
	}
	return err
}

// again is the command line of the detached lab.
func (f upFlags) again() []string {
	args := []string{"up", "--dir", f.options.Dir}
	if f.options.Speed != 0 {
		args = append(args, fmt.Sprintf("--speed=%g", f.options.Speed))
	}
	if f.options.Port != 0 {
		args = append(args, fmt.Sprintf("--port=%d", f.options.Port))
	}
	if f.options.UnsafeNoFsync {
		args = append(args, "--unsafe-no-fsync")
	}
	for name, value := range map[string]string{"region": f.options.Region, "metrics-server": f.options.MetricsServer, "standins": f.standins} {
		if value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	return args
}

// ask asks the lab in dir for its status.
func ask(ctx context.Context, dir string) (daemon.Status, error) {
	state, err := daemon.ReadState(dir)
	if err != nil {
		return daemon.Status{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return daemon.Ask(ctx, state)
}
