//go:build !race

// Command lab is a whole EKS on one machine: a simulated AWS, and behind each simulated cluster a real Kubernetes control plane
// with kwok nodes. The same binary is etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, called by their
// names as first argument.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/eks-gitops/reconciler/lab/component"
)

func main() {
	if len(os.Args) > 1 && component.Known(os.Args[1]) {
		os.Exit(component.Run(os.Args[1], os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	var silent exitError
	switch {
	case errors.As(err, &silent):
		os.Exit(int(silent))
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
}

// exitError ends the program with a code when everything has been said already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
