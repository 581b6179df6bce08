//go:build !race

package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

func newCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "lab", Short: "A whole EKS on one machine", SilenceUsage: true, SilenceErrors: true,
		Long: "lab runs a simulated AWS and, behind each EKS cluster created in it, a real Kubernetes control plane with kwok nodes.\n" +
			"Exit codes: 0 well, 1 something is left to do (not running, not ready), 2 error.",
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	dir := command.PersistentFlags().String("dir", ".lab", "folder for all state")
	command.AddCommand(
		newUpCommand(dir), newDownCommand(dir), newStatusCommand(dir), newEnvCommand(dir), newLogsCommand(dir), newFaultCommand(dir),
		newTokenCommand(dir), newControlPlaneCommand(),
	)
	return command
}

// newLogger logs to standard error, and makes client-go do so too.
func newLogger(level slog.Level) *slog.Logger {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	klog.SetSlogLogger(log)
	return log
}

// executable is the path of this binary, which is every component too.
func executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	return path, nil
}
