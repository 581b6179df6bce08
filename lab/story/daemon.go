package story

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Reconciler is the product under way: its daemon, and its CLI beside it.
type Reconciler struct {
	Programs
	Fleet *Fleet
	// State holds the ledger and the daemon's log.
	State string
	// Progress is how the daemon tells what it does; empty means plain.
	Progress string
	daemon   *process.Process
}

// args are the flags that daemon and CLI share.
func (r *Reconciler) args() []string {
	return []string{"-C", r.Fleet.URL(), "--rev", "main", "--ledger", "file:" + r.State + "/ledger"}
}

// Start starts the daemon for the cluster folders given.
func (r *Reconciler) Start(folders ...string) error {
	args := append([]string{"run", "--progress", cmp.Or(r.Progress, "plain"), "--poll", "500ms"}, r.args()...)
	d, err := process.Start(process.Spec{
		Name: "reconciler", Path: r.Bin + "/reconciler", Args: append(args, folders...), Env: r.Env, Dir: r.State, WorkDir: r.Dir,
	})
	r.daemon = d
	return err
}

// Log is the file with what the daemon says.
func (r *Reconciler) Log() string { return r.State + "/reconciler.log" }

// PID is the daemon's process id.
func (r *Reconciler) PID() int { return r.daemon.PID() }

// Kill ends the daemon as kill -9 does.
func (r *Reconciler) Kill() { r.daemon.Kill() }

// Stop asks the daemon to finish; it is an error when it does not end by itself or not in good order.
func (r *Reconciler) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	r.daemon.Stop(ctx)
	if ctx.Err() != nil {
		return errors.New("stopping the daemon: it did not end by itself")
	}
	return r.daemon.Err()
}

// CLI runs a command of the reconciler on the same repository and ledger.
func (r *Reconciler) CLI(ctx context.Context, args ...string) (Output, error) {
	return r.Run(ctx, "reconciler", append(args, r.args()...)...)
}

// History is the runs of a cluster, newest first, read from the ledger as the commands do.
func (r *Reconciler) History(ctx context.Context, cluster string) ([]run.Record, error) {
	return ledger.New(ledger.Files(r.State+"/ledger"), ledger.Options{}).Records(ctx, cluster, 0)
}

// Settled waits until the newest run of a cluster is at the commit and ended with the outcome. A failed run does not end
// the wait (the daemon tries again); the last one is told when time is up.
func (r *Reconciler) Settled(ctx context.Context, cluster, commit string, outcome run.Outcome) (run.Record, error) {
	var last run.Record
	err := process.Poll(ctx, 300*time.Millisecond, fmt.Sprintf("%s to be %s at %.7s", cluster, outcome, commit), func(ctx context.Context) (bool, error) {
		select {
		case <-r.daemon.Done():
			return false, fmt.Errorf("the daemon ended: %w", r.daemon.Err())
		default:
		}
		records, err := r.History(ctx, cluster)
		if err != nil {
			return false, err
		}
		if len(records) == 0 {
			return false, nil
		}
		last = records[0]
		return last.Plan.Revision.Hash == commit && last.Outcome == outcome, nil
	})
	if err != nil {
		return last, fmt.Errorf("%w; the last run %d is %s at %.7s:%s", err, last.ID, last.Outcome, last.Plan.Revision.Hash, trouble(last))
	}
	return last, nil
}

// trouble lists what is not done in a record.
func trouble(r run.Record) string {
	text := ""
	for _, p := range r.Plan.Problems {
		text += "\n  " + p.Error()
	}
	for _, res := range r.Results {
		if res.State != run.Done {
			text += fmt.Sprintf("\n  %s %s %s", res.State, res.Ref, res.Health.String())
			if res.Error != nil {
				text += " " + res.Error.Error()
			}
		}
	}
	return text
}

// Changed finds the first run, from the newest on, that carried out a change as described.
func Changed(records []run.Record, what func(run.Record, plan.Change) bool) (run.Record, plan.Change, bool) {
	for _, r := range records {
		for _, c := range r.Plan.Changes {
			if res, ok := r.Result(c.ID); ok && (res.State == run.Done || res.State == run.Applied) && what(r, c) {
				return r, c, true
			}
		}
	}
	return run.Record{}, plan.Change{}, false
}
