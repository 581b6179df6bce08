package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/view"
)

// host is everything of the outside that commands may touch, so that tests own it.
type host struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	// size tells the terminal behind stderr; nil when it is none.
	size func() (width, height int)
	// tty says that stdout is a terminal.
	tty bool
}

// app is one invocation: the host and the flags that many commands share.
type app struct {
	host
	flags
	// poll and interval pace the daemon.
	poll, interval time.Duration
	// queues are the URLs of the queues that tell what others do in AWS, and feeds are what reads them.
	queues []string
	feeds  feeds
	// identities are who this process is in AWS.
	identities identities
	// watching is true of the daemon: it keeps watches open, and a sweep of AWS is good for more than one pass.
	watching bool
	// previewing only shows plans: diff does.
	previewing bool
	// skipping takes clusters as if nothing ran in them: teardown does so where their API cannot be reached any more.
	skipping bool
	// logGroups has the end of a cluster take what its control plane logged.
	logGroups bool
	// sealed opens no encrypted file: validate does not.
	sealed bool
}

// exit is an error that only carries an exit code: what there is to say was said on stdout.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// The exit codes.
const (
	exitDone    = 0
	exitLeft    = 1
	exitUnknown = 2
)

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, h host) int {
	a := &app{host: h}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(h.stdin)
	root.SetOut(h.stdout)
	root.SetErr(h.stderr)
	err := root.ExecuteContext(ctx)
	var code exit
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		if a.exitZero && code == exitLeft {
			return exitDone
		}
		return int(code)
	}
	a.complain(err)
	return exitUnknown
}

// complain prints every error of a joined one: what, where, why, the next command.
func (a *app) complain(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			a.complain(e)
		}
		return
	}
	if e, ok := errors.AsType[*gitops.Error](err); ok {
		fmt.Fprint(a.stderr, view.Problem(a.viewOptions(), e))
		return
	}
	fmt.Fprintf(a.stderr, "✗ %v\n", err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "reconciler",
		Short:         "Run EKS clusters from git",
		Long:          "reconciler keeps EKS clusters, and what runs in them, equal to a git repository.\n\nExit codes: 0 nothing left to do, 1 something left to do, 2 could not tell.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
	}
	// No cobra template, of versions, usage or help: text/template calls methods by name, and where that is linked the linker
	// keeps every exported method of every type: all of EC2's API, and twice the binary and the resident memory.
	a.flags.register(root)
	root.AddCommand(
		a.diffCommand(), a.applyCommand(), a.runCommand(), a.statusCommand(), a.historyCommand(), a.renderCommand(),
		a.validateCommand(), a.approveCommand(), a.importCommand(), a.teardownCommand(), a.explainCommand(), a.versionCommand(),
	)
	a.strict(root)
	return root
}

// viewOptions is how text looks on this host.
func (a *app) viewOptions() view.Options {
	color, err := view.UseColor(a.color, a.getenv, a.tty)
	if err != nil {
		color = false
	}
	return view.Options{Color: color, Verbose: a.verbose, Now: a.now(), Zone: time.UTC}
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// terminalSize gives the size of the terminal behind f, or nil when it is none.
func terminalSize(f *os.File) func() (int, int) {
	if !isTerminal(f) {
		return nil
	}
	return func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return width, height
	}
}
