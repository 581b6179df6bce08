//go:build !race

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/lab/daemon"
	"github.com/eks-gitops/reconciler/lab/process"
)

func newDownCommand(dir *string) *cobra.Command {
	var purge bool
	command := &cobra.Command{
		Use: "down", Short: "Stop the lab; its state stays", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := down(command.Context(), *dir, command.OutOrStdout()); err != nil {
				return err
			}
			if purge {
				return purgeLab(*dir)
			}
			return nil
		},
	}
	command.Flags().BoolVar(&purge, "purge", false, "remove the state too")
	return command
}

// down asks the lab to end, and ends it if it does not. The lock says that the process is the lab's; what the lab has started
// the kernel ends with it. A lab that does not end when asked first writes into its log what it is at (SIGQUIT).
func down(ctx context.Context, dir string, out io.Writer) error {
	if !daemon.Running(dir) {
		_, _ = fmt.Fprintln(out, "The lab is not running.")
		return nil
	}
	state, err := daemon.ReadState(dir)
	if err != nil {
		return err
	}
	for _, attempt := range []struct {
		signal  syscall.Signal
		timeout time.Duration
	}{{syscall.SIGTERM, time.Minute}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 3 * time.Minute}} {
		if err := syscall.Kill(state.PID, attempt.signal); err != nil && daemon.Running(dir) {
			return fmt.Errorf("ending process %d: %w", state.PID, err)
		}
		waiting, cancel := context.WithTimeout(ctx, attempt.timeout)
		err = process.Poll(waiting, 50*time.Millisecond, "the lab to end", func(context.Context) (bool, error) { return !daemon.Running(dir), nil })
		cancel()
		if err == nil {
			_, _ = fmt.Fprintln(out, "The lab is down. Its state stays in", dir)
			return nil
		}
	}
	return err
}

// purgeLab removes a folder that is a lab's.
func purgeLab(dir string) error {
	if _, err := daemon.ReadState(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the lab's state: %w", err)
	}
	return nil
}

func newStatusCommand(dir *string) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use: "status", Short: "Tell what runs (exit code 1: not running, or a control plane is not ready)", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return showStatus(command.Context(), *dir, output, command.OutOrStdout())
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return command
}

func showStatus(ctx context.Context, dir, output string, out io.Writer) error {
	if !daemon.Running(dir) {
		if output == "json" {
			_, _ = fmt.Fprintln(out, `{"running":false}`)
		} else {
			_, _ = fmt.Fprintln(out, "The lab in", dir, "is not running.")
		}
		return exitError(1)
	}
	status, err := ask(ctx, dir)
	if err != nil {
		return err
	}
	if output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(struct {
			Running bool `json:"running"`
			daemon.Status
		}{true, status}); err != nil {
			return fmt.Errorf("writing the status: %w", err)
		}
	} else {
		printStatus(out, status)
	}
	for _, c := range status.Clusters {
		if !c.Ready {
			return exitError(1)
		}
	}
	return nil
}

func printStatus(out io.Writer, s daemon.Status) {
	_, _ = fmt.Fprintf(out, "AWS %s  region %s  speed %g  process %d\n", s.Endpoint, s.Region, s.Speed, s.PID)
	if len(s.Clusters) == 0 {
		return
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CLUSTER\tREADY\tVERSION\tNODES\tMEMORY\tENDPOINT\tERROR")
	for _, c := range s.Clusters {
		problem, _, _ := strings.Cut(c.Error, "\n")
		_, _ = fmt.Fprintf(table, "%s\t%t\t%s\t%d\t%d MiB\t%s\t%s\n", c.Name, c.Ready, c.Version, c.Nodes, c.Memory, c.Endpoint, problem)
	}
	_ = table.Flush()
}

func newEnvCommand(dir *string) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use: "env", Short: "Print the variables that make eksctl, aws, kubectl and others use the lab", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			state, err := daemon.ReadState(*dir)
			if err != nil {
				return err
			}
			env, err := daemon.Env(*dir, state)
			if err != nil {
				return err
			}
			return printEnv(command.OutOrStdout(), env, output)
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "sh", "sh or json")
	return command
}

func printEnv(out io.Writer, env map[string]string, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(env)
	case "sh":
		for _, name := range slices.Sorted(maps.Keys(env)) {
			_, _ = fmt.Fprintf(out, "export %s='%s'\n", name, strings.ReplaceAll(env[name], "'", `'\''`))
		}
		return nil
	default:
		return fmt.Errorf("there is no output %q: sh or json", output)
	}
}

func newLogsCommand(dir *string) *cobra.Command {
	var lines int
	command := &cobra.Command{
		Use: "logs [CLUSTER [COMPONENT]]", Short: "Print the end of the lab's log, or of a control plane's", Args: cobra.MaximumNArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			pattern := filepath.Join(*dir, daemonLog)
			if len(args) > 0 {
				component := "*"
				if len(args) > 1 {
					component = filepath.Base(args[1])
				}
				pattern = filepath.Join(*dir, "clusters", filepath.Base(args[0]), "run", component+".log")
			}
			files, err := filepath.Glob(pattern)
			if err != nil || len(files) == 0 {
				return fmt.Errorf("there is no log %s", pattern)
			}
			for _, file := range files {
				_, _ = fmt.Fprintf(command.OutOrStdout(), "==> %s\n%s", file, process.Tail(file, lines))
			}
			return nil
		},
	}
	command.Flags().IntVarP(&lines, "lines", "n", 20, "how many lines of each")
	return command
}
