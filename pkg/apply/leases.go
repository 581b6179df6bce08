package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Leases share the clusters among several processes: engine.Leases. A Lease per cluster, in Options.Namespace, names the process
// that works on it. It is written as client-go's leader election writes it, so that kubectl shows the holder; the
// election is our own because a lease must be given back after work has ended, never before (docs/adr/0005).
//
// The clocks of processes are never compared: a lease has expired when this process has seen it unchanged for as long as its holder
// asked for.
type Leases struct {
	store  leaseStore
	holder string
	now    func() time.Time
	log    *slog.Logger
}

// Leases opens the leases of the clusters for one process. The holder's name must be its own in every life of it, or a
// process that starts anew would take itself for the one that died. It performs no I/O.
func (c *Cluster) Leases(holder string) *Leases {
	return &Leases{store: clusterLeases{c}, holder: holder, now: c.Now, log: c.Log}
}

const (
	// leaseTime is how long a holder that is not heard of keeps a cluster. It is the longest that a cluster is left alone when
	// a process dies without giving it back.
	leaseTime = 30 * time.Second
	// renewTime is how long a holder works without being able to renew. What is left of leaseTime is for calls that were cut
	// off to end.
	renewTime = 20 * time.Second
	// retryTime is the pause between two renewals, and between two looks at a lease that another process holds.
	retryTime = 5 * time.Second
	// hurryTime is the pause after a renewal that failed.
	hurryTime = time.Second
)

// leaseStore keeps Lease objects.
type leaseStore interface {
	// get reads a Lease; nil without an error when there is none.
	get(ctx context.Context, name string) (*coordinationv1.Lease, error)
	// put creates a Lease that has no resource version, and replaces one that is still at its resource version. It returns
	// what was stored; nil without an error when somebody else was faster.
	put(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
}

// Hold waits until this process holds the lease of a cluster, calls work, and gives the lease back when work has returned.
func (l *Leases) Hold(ctx context.Context, cluster string, work func(ctx context.Context, lost <-chan struct{})) error {
	return l.term(cluster).serve(ctx, work)
}

// Claim is Hold for a person, who does not wait for a daemon: it fails as soon as the holder of the lease shows that it is alive,
// and takes the lease of one that is not heard of.
func (l *Leases) Claim(ctx context.Context, cluster string, work func(ctx context.Context, lost <-chan struct{})) error {
	t := l.term(cluster)
	t.impatient = true
	return t.serve(ctx, work)
}

func (l *Leases) term(cluster string) *term {
	return &term{Leases: l, cluster: cluster, name: storedName("cluster", cluster)}
}

func (t *term) serve(ctx context.Context, work func(ctx context.Context, lost <-chan struct{})) error {
	if err := t.win(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	lost, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		work(working, lost)
	}()
	if t.keep(ctx, done) {
		t.release(ctx)
		return nil
	}
	t.log.Warn("the lease was lost", "cluster", t.cluster)
	close(lost)
	stop()
	<-done
	return nil
}

// term is one candidacy for one cluster and, when it is won, the time in office.
type term struct {
	*Leases
	cluster, name string
	// impatient gives up when another holder is alive.
	impatient bool
	// lease is what is stored, while it is ours; renewed is a time at which it certainly was.
	lease   *coordinationv1.Lease
	renewed time.Time
	// seen is the version of another holder's lease, other its name, since when it was first seen here.
	seen, other string
	since       time.Time
}

// win tries until the lease is ours or ctx ends. One that became ours while ctx ended is given back.
func (t *term) win(ctx context.Context) error {
	for {
		before := t.seen
		held, err := t.attempt(ctx, retryTime, t.try)
		if t.impatient && !held && err == nil && before != "" && t.seen != before && ctx.Err() == nil {
			e := gitops.Errorf(gitops.LeaseHeld, "%s works on cluster %s: it renewed its lease just now", t.other, t.cluster)
			e.Try = "push to git and leave it to that one, or stop it first (kubectl scale deployment reconciler --replicas 0)"
			return e
		}
		switch {
		case ctx.Err() != nil:
			if held {
				t.release(ctx)
			}
			return nil
		case held || err != nil:
			return err
		}
		// Processes that start together should not move in step, or the first takes every cluster.
		pause := time.NewTimer(retryTime/2 + rand.N(retryTime/2)) //nolint:gosec // it spreads, it hides nothing
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// keep renews the lease until work is done; false means that it is not ours any more.
func (t *term) keep(ctx context.Context, done <-chan struct{}) bool {
	pause := retryTime
	for {
		timer := time.NewTimer(pause)
		select {
		case <-done:
			timer.Stop()
			return true
		case <-timer.C:
		}
		held, err := t.attempt(ctx, min(retryTime, t.left()), t.renew)
		switch {
		case held:
			pause = retryTime
		case err == nil || t.left() <= 0:
			return false
		default:
			t.log.Warn("renewing the lease", "cluster", t.cluster, "error", err)
			pause = min(hurryTime, t.left())
		}
	}
}

// left is how long the holder may go on without a renewal.
func (t *term) left() time.Duration { return renewTime - t.now().Sub(t.renewed) }

// attempt bounds one exchange with the API server. The end of ctx does not cut it short, since its outcome must be known.
func (t *term) attempt(ctx context.Context, limit time.Duration, do func(context.Context) (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return do(ctx)
}

// renew writes the time into our lease. When it was changed meanwhile, it is read again: it may be ours all the same.
func (t *term) renew(ctx context.Context) (bool, error) {
	if held, err := t.claim(ctx, t.lease); held || err != nil {
		return held, err
	}
	return t.try(ctx)
}

// try takes the lease if it is free.
func (t *term) try(ctx context.Context) (bool, error) {
	lease, err := t.store.get(ctx, t.name)
	if err != nil {
		return false, err
	}
	if lease == nil {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
			Name: t.name, Labels: map[string]string{"app.kubernetes.io/managed-by": "reconciler"}, Annotations: map[string]string{leaseCluster: t.cluster},
		}}
	}
	if !t.free(lease) {
		return false, nil
	}
	return t.claim(ctx, lease)
}

// free reports whether a lease is nobody's, ours, or that of a holder who was not heard of for as long as he asked for.
func (t *term) free(lease *coordinationv1.Lease) bool {
	holder := lease.Spec.HolderIdentity
	if holder == nil || *holder == "" || *holder == t.holder {
		return true
	}
	if lease.ResourceVersion != t.seen {
		t.seen, t.other, t.since = lease.ResourceVersion, *holder, t.now()
		return false
	}
	asked := leaseTime
	if s := lease.Spec.LeaseDurationSeconds; s != nil {
		asked = time.Duration(*s) * time.Second
	}
	return t.now().Sub(t.since) > asked
}

// claim writes our name and the time into a lease, under the precondition that nobody else wrote meanwhile.
func (t *term) claim(ctx context.Context, lease *coordinationv1.Lease) (bool, error) {
	lease = lease.DeepCopy()
	began := t.now()
	now, seconds := metav1.NewMicroTime(began), int32(leaseTime/time.Second)
	if h := lease.Spec.HolderIdentity; h == nil || *h != t.holder {
		transitions := int32(0)
		if n := lease.Spec.LeaseTransitions; n != nil {
			transitions = *n + 1
		}
		lease.Spec.AcquireTime, lease.Spec.LeaseTransitions = &now, &transitions
	}
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &t.holder, &seconds, &now
	stored, err := t.store.put(ctx, lease)
	if stored == nil || err != nil {
		return false, err
	}
	// Counted from before the request was sent: others count from when it was stored.
	t.lease, t.renewed = stored, began
	return true, nil
}

// release gives the lease back, so that the next holder need not wait until it expires. Failing is no harm.
func (t *term) release(ctx context.Context) {
	_, err := t.attempt(ctx, retryTime, func(ctx context.Context) (bool, error) {
		// It is read again, since the answer to the last renewal may have been lost.
		lease, err := t.store.get(ctx, t.name)
		if err != nil || lease == nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != t.holder {
			return false, err
		}
		nobody := ""
		lease.Spec.HolderIdentity = &nobody
		_, err = t.store.put(ctx, lease)
		return false, err
	})
	if err != nil {
		t.log.Warn("giving the lease back", "cluster", t.cluster, "error", err)
	}
}

// leaseCluster names the cluster, since the name of the object need not.
const leaseCluster = "reconciler.eks-gitops.io/cluster"

// clusterLeases keeps Leases in a cluster.
type clusterLeases struct{ *Cluster }

func (c clusterLeases) client(ctx context.Context) (dynamic.ResourceInterface, error) {
	l, _, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return l.client.Resource(coordinationv1.SchemeGroupVersion.WithResource("leases")).Namespace(c.Namespace), nil
}

// trouble is an error on the way. A connection that did not answer in time is not used again: it may be dead, and a lease
// does not last until TCP finds out.
func (c clusterLeases) trouble(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		c.Close()
	}
	return failure(err, gitops.LedgerUnavailable, scrubber{})
}

func (c clusterLeases) get(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	client, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	u, err := client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // absence is an answer, not an error
	}
	if err != nil {
		return nil, c.trouble(ctx, fmt.Errorf("reading Lease %s: %w", name, err))
	}
	return asLease(u)
}

func (c clusterLeases) put(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	client, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	lease.APIVersion, lease.Kind = coordinationv1.SchemeGroupVersion.String(), "Lease"
	body, err := runtime.DefaultUnstructuredConverter.ToUnstructured(lease)
	if err != nil {
		return nil, fmt.Errorf("encoding Lease %s: %w", lease.Name, err)
	}
	u := &unstructured.Unstructured{Object: body}
	if lease.ResourceVersion == "" {
		u, err = client.Create(ctx, u, metav1.CreateOptions{FieldManager: c.Manager})
	} else {
		u, err = client.Update(ctx, u, metav1.UpdateOptions{FieldManager: c.Manager})
	}
	switch {
	case apierrors.IsAlreadyExists(err), apierrors.IsConflict(err), lease.ResourceVersion != "" && apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // somebody else was faster
	case apierrors.IsNotFound(err):
		return nil, c.withNamespace(ctx, lease.Name, err)
	case err != nil:
		return nil, c.trouble(ctx, fmt.Errorf("writing Lease %s: %w", lease.Name, err))
	}
	return asLease(u)
}

// withNamespace makes the namespace that a first Lease lacks, so that the next try succeeds; err is why there is none yet.
func (c clusterLeases) withNamespace(ctx context.Context, name string, err error) error {
	l, _, gone := c.connect(ctx)
	if gone != nil {
		return gone
	}
	if made := c.ensureNamespace(ctx, l); made != nil {
		return c.trouble(ctx, fmt.Errorf("writing Lease %s: %w", name, errors.Join(err, made)))
	}
	return nil
}

func asLease(u *unstructured.Unstructured) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, lease); err != nil {
		return nil, gitops.Errorf(gitops.LedgerUnavailable, "reading Lease %s: %w", u.GetName(), err)
	}
	return lease, nil
}
