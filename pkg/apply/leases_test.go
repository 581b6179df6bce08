package apply

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/internal/labbin"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// leaseServer is an API server for Leases: the precondition is real, and the way to it can break.
type leaseServer struct {
	mu      sync.Mutex
	version int
	leases  map[string]*coordinationv1.Lease
}

// leaseClient is one process's way to the server. While it hangs, nothing is answered; while it is deaf, requests arrive and
// answers do not.
type leaseClient struct {
	*leaseServer
	hangs, deaf bool
	err         error
}

func (c *leaseClient) way(ctx context.Context, deaf bool) error {
	c.mu.Lock()
	hangs, err := c.hangs || deaf, c.err
	c.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (c *leaseClient) breaks(hangs, deaf bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangs, c.deaf, c.err = hangs, deaf, err
}

func (c *leaseClient) get(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	if err := c.way(ctx, false); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leases[name].DeepCopy(), nil
}

func (c *leaseClient) put(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	if err := c.way(ctx, false); err != nil {
		return nil, err
	}
	stored := c.store(lease)
	c.mu.Lock()
	deaf := c.deaf
	c.mu.Unlock()
	return stored, c.way(ctx, deaf)
}

func (c *leaseClient) store(lease *coordinationv1.Lease) *coordinationv1.Lease {
	c.mu.Lock()
	defer c.mu.Unlock()
	version := ""
	if have := c.leases[lease.Name]; have != nil {
		version = have.ResourceVersion
	}
	if version != lease.ResourceVersion {
		return nil
	}
	c.version++
	stored := lease.DeepCopy()
	stored.ResourceVersion = strconv.Itoa(c.version)
	c.leases[lease.Name] = stored
	return stored.DeepCopy()
}

// stage has several processes that want one cluster, and watches that never two of them work on it.
type stage struct {
	*testing.T
	server *leaseServer

	mu      sync.Mutex
	working string
	began   time.Time
}

type actor struct {
	*stage
	name   string
	client *leaseClient
	stop   context.CancelFunc
	done   chan struct{}
}

func newStage(t *testing.T) *stage {
	return &stage{T: t, server: &leaseServer{leases: map[string]*coordinationv1.Lease{}}}
}

// enter starts a process. Its work takes windDown to finish once its context ends, and nothing once the lease is lost.
func (s *stage) enter(name string, windDown time.Duration) *actor {
	ctx, stop := context.WithCancel(s.Context())
	a := &actor{stage: s, name: name, client: &leaseClient{leaseServer: s.server}, stop: stop, done: make(chan struct{})}
	leases := &Leases{store: a.client, holder: name, now: time.Now, log: slog.New(slog.DiscardHandler)}
	go func() {
		defer close(a.done)
		for ctx.Err() == nil {
			err := leases.Hold(ctx, "dev", func(ctx context.Context, lost <-chan struct{}) { a.work(ctx, lost, windDown) })
			if err != nil {
				time.Sleep(time.Second)
			}
		}
	}()
	return a
}

// leave stops a process and waits until it is gone.
func (a *actor) leave() {
	a.stop()
	<-a.done
}

func (a *actor) work(ctx context.Context, lost <-chan struct{}, windDown time.Duration) {
	a.mu.Lock()
	if a.working != "" {
		a.Errorf("%s starts while %s works", a.name, a.working)
	}
	a.working, a.began = a.name, time.Now()
	a.mu.Unlock()
	<-ctx.Done()
	select {
	case <-lost:
	case <-time.After(windDown):
	}
	a.mu.Lock()
	a.working = ""
	a.mu.Unlock()
}

// works waits for some time and then tells who works, and since when.
func (s *stage) works(after time.Duration) (string, time.Time) {
	time.Sleep(after)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.working, s.began
}

func (s *stage) want(name string, after time.Duration) {
	s.Helper()
	if got, _ := s.works(after); got != name {
		s.Fatalf("after %s %q works, want %q", after, got, name)
	}
}

func TestLeaseIsHeldForAsLongAsItsHolderLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		a := s.enter("a", 0)
		s.want("a", time.Second)
		b := s.enter("b", 0)
		s.want("a", time.Hour)
		a.leave()
		b.leave()
	})
}

func TestLeaseIsGivenBackWhenWorkHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		// Winding down takes longer than the lease lasts, so it has to be renewed meanwhile.
		a := s.enter("a", 2*leaseTime)
		s.want("a", time.Second)
		b := s.enter("b", 0)
		a.stop()
		s.want("a", 2*leaseTime-time.Second)
		s.want("b", time.Second+retryTime)
		<-a.done
		b.leave()
	})
}

func TestLeaseOfTheDeadExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		// A process that dies leaves its lease as it is.
		dead := "dead"
		seconds := int32(leaseTime / time.Second)
		(&leaseClient{leaseServer: s.server}).store(&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: storedName("cluster", "dev")}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &dead, LeaseDurationSeconds: &seconds},
		})
		b := s.enter("b", 0)
		s.want("", leaseTime)
		s.want("b", retryTime)
		b.leave()
	})
}

// TestLostLeaseEndsWorkBeforeTheNextBegins cuts the holder off in every way; stage fails the test if two ever work at once.
func TestLostLeaseEndsWorkBeforeTheNextBegins(t *testing.T) {
	for name, cut := range map[string]func(*leaseClient){
		"nothing is answered": func(c *leaseClient) { c.breaks(true, false, nil) },
		"everything fails":    func(c *leaseClient) { c.breaks(false, false, errors.New("no route")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				a := s.enter("a", time.Hour) // would go on for an hour, were the lease not lost
				s.want("a", time.Second)
				b := s.enter("b", 0)
				time.Sleep(time.Minute)
				cut(a.client)
				gone := time.Now()
				s.want("", renewTime)
				got, began := s.works(leaseTime + 2*retryTime - renewTime)
				if got != "b" {
					t.Fatalf("%q works after the lease expired", got)
				}
				if margin := began.Sub(gone); margin < leaseTime-retryTime {
					t.Errorf("the next holder begins %s after the last renewal could be", margin)
				}
				// Back again, it waits like everybody else.
				a.client.breaks(false, false, nil)
				s.want("b", time.Hour)
				a.leave()
				b.leave()
			})
		})
	}
}

// TestShortTroubleLosesNothing breaks the way for less than the holder has.
func TestShortTroubleLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		a := s.enter("a", 0)
		_, began := s.works(time.Minute)
		for range 20 {
			a.client.breaks(false, true, nil)
			time.Sleep(renewTime - 2*retryTime)
			a.client.breaks(false, false, nil)
			time.Sleep(2 * retryTime)
		}
		if who, since := s.works(time.Second); who != "a" || since != began {
			t.Errorf("%q works since %s, want a since %s", who, since, began)
		}
		a.leave()
	})
}

// TestLeaseThatIsTakenIsLostAtOnce: somebody edits the Lease by hand.
func TestLeaseThatIsTakenIsLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		a := s.enter("a", time.Hour)
		s.want("a", time.Second)
		thief := "thief"
		c := &leaseClient{leaseServer: s.server}
		lease, _ := c.get(t.Context(), storedName("cluster", "dev"))
		lease.Spec.HolderIdentity = &thief
		if c.store(lease) == nil {
			t.Fatal("the lease was not stored")
		}
		s.want("", retryTime)
		s.want("a", leaseTime+retryTime) // the thief never renews
		a.leave()
	})
}

// TestLeasesInACluster goes through a real API server: two processes and one cluster, handed over by a release.
func TestLeasesInACluster(t *testing.T) {
	access := Access{Kubeconfig: labbin.ControlPlane(t)}
	open := func(holder string) *Leases {
		c := New(Options{Cluster: "home", Namespace: "default", Now: time.Now, Access: func(context.Context) (Access, error) { return access, nil }})
		t.Cleanup(c.Close)
		return c.Leases(holder)
	}
	const cluster = "Big_Cluster.1"
	first, second := make(chan struct{}), make(chan string, 2)
	ctx, stop := context.WithCancel(t.Context())
	var both sync.WaitGroup
	both.Go(func() {
		if err := open("a").Hold(ctx, cluster, func(ctx context.Context, _ <-chan struct{}) {
			close(first)
			<-ctx.Done()
			second <- "a ended"
		}); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-first:
	case <-time.After(time.Minute):
		t.Fatal("a free lease was not taken")
	}
	both.Go(func() {
		if err := open("b").Hold(t.Context(), cluster, func(context.Context, <-chan struct{}) { second <- "b began" }); err != nil {
			t.Error(err)
		}
	})
	stop()
	both.Wait()
	if x, y := <-second, <-second; x != "a ended" || y != "b began" {
		t.Errorf("%s, then %s", x, y)
	}
	c := clusterLeases{New(Options{Cluster: "home", Namespace: "default", Now: time.Now, Access: func(context.Context) (Access, error) { return access, nil }})}
	defer c.Close()
	lease, err := c.get(t.Context(), storedName("cluster", cluster))
	if err != nil || lease == nil {
		t.Fatalf("lease %v, error %v", lease, err)
	}
	if *lease.Spec.HolderIdentity != "" || *lease.Spec.LeaseTransitions != 1 || lease.Annotations[leaseCluster] != cluster {
		t.Errorf("the lease is left as %+v", lease)
	}
}

// TestLeaseIsGivenBackAfterALostAnswer: the renewal was stored, and the holder does not know.
func TestLeaseIsGivenBackAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		a := s.enter("a", 0)
		s.want("a", retryTime-time.Second)
		a.client.breaks(false, true, nil)
		time.Sleep(retryTime + time.Second) // the renewal is stored, and waits for its answer until its time is over
		a.client.breaks(false, false, nil)
		b := s.enter("b", 0)
		a.leave()
		s.want("b", retryTime)
		b.leave()
	})
}

// A person's command takes a lease that is free or abandoned, and does not wait for a holder that is alive.
func TestClaimDoesNotWaitForTheLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		person := &Leases{store: &leaseClient{leaseServer: s.server}, holder: "person", now: time.Now, log: slog.New(slog.DiscardHandler)}
		claim := func() (worked bool, took time.Duration, err error) {
			began := time.Now()
			err = person.Claim(t.Context(), "dev", func(context.Context, <-chan struct{}) { worked = true })
			return worked, time.Since(began), err
		}
		if worked, took, err := claim(); !worked || took > time.Second || err != nil {
			t.Errorf("a free lease: worked %t after %s, error %v", worked, took, err)
		}
		a := s.enter("a", 0)
		s.want("a", retryTime)
		worked, took, err := claim()
		if e := gitops.AsError(gitops.Internal, err); worked || took > 2*retryTime || err == nil || e.Reason != gitops.LeaseHeld || !strings.Contains(e.Message(), "a works on cluster dev") {
			t.Errorf("a living holder: worked %t after %s, error %v", worked, took, err)
		}
		a.client.breaks(true, false, nil)
		if worked, took, err := claim(); !worked || took < leaseTime-retryTime || err != nil {
			t.Errorf("a silent holder: worked %t after %s, error %v", worked, took, err)
		}
		a.client.breaks(false, false, nil)
		a.leave()
	})
}
