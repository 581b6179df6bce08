package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Daemon reconciles every cluster of the repository until ctx ends: one goroutine follows the source, one per cluster
// runs passes. It returns after all of them have stopped, each having finished or handed back what it had under way.
// Only selects clusters by folder; nil means all.
func (e *Engine) Daemon(ctx context.Context, only func(folder string) bool) error {
	d := &daemon{Engine: e, workers: map[string]*worker{}}
	defer d.running.Wait()
	var pause time.Duration
	for {
		retry := e.Interval
		if err := d.fetch(ctx, only); err != nil {
			pause = min(max(2*pause, 2*time.Second), e.Interval)
			retry = pause
			e.Log.Warn("fetching", "error", err, "retry", retry)
		} else {
			pause = 0
		}
		timer := time.NewTimer(e.spread(retry))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-e.Source.Changed():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// daemon is the state of the source's goroutine.
type daemon struct {
	*Engine
	workers map[string]*worker
	running sync.WaitGroup
	last    string
	// trouble is why the last fetch failed; it is told once, and so is its end.
	trouble string
}

// work is what a worker is told: the newest snapshot and the cluster's part of it.
type work struct {
	snapshot gitops.Snapshot
	cluster  gitops.Cluster
}

// fetch gets the newest snapshot and hands it to the clusters' workers when it moved.
func (d *daemon) fetch(ctx context.Context, only func(string) bool) error {
	snapshot, err := d.Source.Fetch(ctx)
	if err != nil {
		d.tell(gitops.Revision{}, gitops.AsError(gitops.SourceUnreachable, err))
		return err
	}
	if snapshot.Revision.Hash == d.last {
		if d.trouble != "" {
			d.tell(snapshot.Revision, nil)
		}
		return nil
	}
	clusters, err := d.Renderer.Clusters(ctx, snapshot)
	if err != nil {
		d.tell(snapshot.Revision, gitops.AsError(gitops.RenderFailed, err))
		return err
	}
	d.last = snapshot.Revision.Hash
	d.tell(snapshot.Revision, nil)
	seen := map[string]bool{}
	for _, c := range clusters {
		if only != nil && !only(c.Folder) {
			continue
		}
		seen[c.Folder] = true
		d.assign(ctx, work{snapshot: snapshot, cluster: c})
	}
	for folder := range d.workers {
		if !seen[folder] {
			d.left(folder, snapshot, clusters)
		}
	}
	if len(seen) == 0 && len(d.workers) == 0 {
		// A daemon with nothing to do must not look like one that is content.
		d.Sink.Emit(run.Fetched{Head: d.head(""), Revision: snapshot.Revision, Error: unselected(clusters)})
	}
	return nil
}

// left is what becomes of a cluster whose folder left git. That is no order to delete it: its end is planned, and held until a commit
// approves it. A cluster that another folder has now, whose end was approved, or that was never read is not looked at any more.
func (d *daemon) left(folder string, snapshot gitops.Snapshot, now []gitops.Cluster) {
	w := d.workers[folder]
	moved := slices.ContainsFunc(now, func(c gitops.Cluster) bool { return c.Name == w.name })
	if moved || w.had.cluster.Ending || w.had.cluster.Config.Spec == nil {
		w.stop()
		delete(d.workers, folder)
		return
	}
	cluster := w.had.cluster
	e := gitops.Errorf(gitops.Kept, "folder %s left git, and its cluster stays until a commit approves its end", folder)
	e.Try = fmt.Sprintf("reconciler teardown %s --rev %s --approval", folder, w.had.snapshot.Revision.Hash)
	e = e.On(cluster.Config.Ref).At(gitops.Origin{Position: gitops.Position{File: folder}})
	cluster.Ending, cluster.Overlays, cluster.Approvals, cluster.Problems = true, nil, nil, []*gitops.Error{e}
	if !w.left {
		d.Log.Warn(e.Message(), "try", e.Try)
	}
	w.left = true
	w.give(work{snapshot: snapshot, cluster: cluster})
}

// unselected says that no cluster is followed, and which there are.
func unselected(clusters []gitops.Cluster) *gitops.Error {
	folders := make([]string, 0, len(clusters))
	for _, c := range clusters {
		folders = append(folders, c.Folder)
	}
	e := gitops.Errorf(gitops.SourceInvalid, "no cluster folder is selected, so nothing is reconciled; there are: %s", strings.Join(folders, ", "))
	e.Try = "name one of them, or push the folder that is meant"
	return e
}

// tell says what a fetch yielded; trouble that lasts is told once.
func (d *daemon) tell(r gitops.Revision, e *gitops.Error) {
	said := ""
	if e != nil {
		said = e.Error()
	}
	if e == nil || said != d.trouble {
		d.Sink.Emit(run.Fetched{Head: d.head(""), Revision: r, Error: e})
	}
	d.trouble = said
}

// assign gives work to the cluster's worker, starting one when there is none.
func (d *daemon) assign(ctx context.Context, todo work) {
	w := d.workers[todo.cluster.Folder]
	if w != nil && w.name != todo.cluster.Name && todo.cluster.Config.Spec != nil {
		// Another name is another cluster, with a lease and books of its own.
		w.stop()
		w = nil
	}
	if w == nil {
		ctx, cancel := context.WithCancel(ctx)
		w = &worker{Engine: d.Engine, name: todo.cluster.Name, mail: make(chan work, 1), yield: make(chan struct{}, 1), stop: cancel}
		d.workers[todo.cluster.Folder] = w
		d.running.Go(func() { w.serve(ctx) })
	}
	w.had, w.left = todo, false
	todo.cluster.Name = w.name // a file that cannot be read does not say the name
	w.give(todo)
}

// spread adds up to a tenth to a pause, so that many replicas and clusters do not move in step.
func (e *Engine) spread(pause time.Duration) time.Duration {
	return pause + time.Duration(e.Jitter()*float64(pause)/10)
}
