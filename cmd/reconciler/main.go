// Command reconciler runs EKS clusters from git: it computes one plan over the EKS infrastructure and what runs in the
// clusters, shows it (diff), applies it (apply) and keeps it so (run).
//
// Exit codes, for every command: 0 nothing left to do, 1 something left to do, 2 could not tell.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], host{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, now: time.Now, size: terminalSize(os.Stderr), tty: isTerminal(os.Stdout),
	})
	stop()
	os.Exit(code)
}
