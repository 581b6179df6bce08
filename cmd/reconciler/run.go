package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

func (a *app) runCommand() *cobra.Command {
	var listen string
	c := a.progressing(&cobra.Command{
		Use:   "run [CLUSTER-FOLDER...]",
		Short: "Keep the clusters equal to git, forever",
		Long:  "Follow the repository and the clusters, and apply what differs. It stops on SIGTERM or SIGINT after finishing or handing back\nwhat is in flight; started again, it continues from what is live.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.daemon(c.Context(), args, listen)
		},
	})
	c.Flags().DurationVar(&a.poll, "poll", 30*time.Second, "how often the repository is asked for news")
	c.Flags().DurationVar(&a.interval, "interval", 3*time.Minute, "the longest time between two looks at a cluster, unless its reconcile.yaml says otherwise")
	c.Flags().StringSliceVar(&a.queues, "events-queue", nil, "URL of an SQS queue that tells what others do in AWS, one per region (default: $RECONCILER_EVENTS_QUEUE, else none)")
	c.Flags().StringVar(&listen, "listen", "", "address for /healthz and /readyz, for example :8080 (default: none)")
	return c
}

func (a *app) daemon(ctx context.Context, args []string, listen string) error {
	mode, err := a.mode()
	if err != nil {
		return err
	}
	progress, err := view.NewProgress(mode, a.stderr, view.ProgressOptions{Options: a.viewOptions(), Size: a.size})
	if err != nil {
		return err
	}
	a.watching = true
	a.saveMemory()
	health, calm := &probes{}, newCalm(debug.FreeOSMemory)
	defer calm.stop()
	f, err := a.connect(ctx, run.Sinks{progress, health, calm})
	if err != nil {
		return err
	}
	if err := a.openFeeds(ctx, progress); err != nil {
		return err
	}
	if f.leases != nil {
		f.engine.Leases = f.leases
	}
	stop, err := health.serve(listen)
	if err != nil {
		return err
	}
	defer stop()
	watch, ended := context.WithCancel(ctx)
	var watched error
	var watching sync.WaitGroup
	watching.Go(func() { watched = f.source.Watch(watch) })
	a.feeds.start(watch, &watching)
	err = f.engine.Daemon(ctx, picker(args))
	ended()
	watching.Wait()
	return errors.Join(err, watched, progress.Close())
}

// openLeases opens the leases of the clusters, which are beside a ledger that several daemons may share: the one in a cluster.
func (a *app) openLeases() (*apply.Leases, error) {
	kind, where, _ := strings.Cut(a.ledgerPlace(), ":")
	if kind != "kubernetes" {
		return nil, nil //nolint:nilnil // this ledger is this process's own
	}
	// Not the ledger's connection: renewing a lease must never wait behind anything.
	home, err := a.home(where)
	if err != nil {
		return nil, err
	}
	host := a.getenv("HOSTNAME") // the Pod's name
	if host == "" {
		if host, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("asking for the host's name: %w", err)
		}
	}
	return home.Leases(host + "_" + rand.Text()), nil
}

// probes answers the kubelet: alive always, ready once a revision was fetched. A replica that waits for leases is as ready as
// one that holds them.
type probes struct{ ready atomic.Bool }

// Emit learns from the events of the engine.
func (p *probes) Emit(e run.Event) {
	if fetched, ok := e.(run.Fetched); ok && fetched.Error == nil {
		p.ready.Store(true)
	}
}

// serve listens in the background until the returned function is called.
func (p *probes) serve(address string) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for probes on %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !p.ready.Load() {
			http.Error(w, "no revision fetched yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	return func() { _ = server.Close(); <-done }, nil
}
