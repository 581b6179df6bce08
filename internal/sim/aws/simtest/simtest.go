// Package simtest starts the simulator for tests: on a loopback port, on a clock that the test moves, with every exchange
// checked against AWS's models where those are beside the checkout.
//
// Input is a test and options; output is a running simulator that ends with the test.
package simtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/modelcheck"
)

// Clock is a clock that stands still until it is moved. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes a clock that stands at a moment.
func NewClock(at time.Time) *Clock { return &Clock{now: at} }

// Now tells the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves the clock on.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Sim is a running simulator.
type Sim struct {
	*aws.Server
	// URL is what AWS_ENDPOINT_URL should be.
	URL string
	// Clock is the world's and the signatures' clock.
	Clock *Clock

	handler http.Handler
	// socket is shared by the clients of every Config, and with it their connections.
	socket *http.Client
}

// oneWrite hands over a request's body as one that is in memory, which net/http sends at once with the headers. Otherwise the simulator
// may answer before net/http has seen the end of the body; the SDK closes the body then, as its bodies take for an error
// (smithy-go, safeWriteToReadCloser), and net/http drops the connection under the answer.
type oneWrite struct{ http.RoundTripper }

func (w oneWrite) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return w.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close() // it is read
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return w.RoundTripper.RoundTrip(r)
}

// Start starts a simulator on a clock that stands at the present. Clients sign by the real time, and so signatures are judged
// by it however far the world's clock is moved.
func Start(t testing.TB, o aws.Options) *Sim {
	t.Helper()
	return StartAt(t, NewClock(time.Now()), o)
}

// StartAt is Start on a given clock: with the clock and the World.Dir of an earlier simulator it goes on where that one was
// left, as after a kill, since nothing is done to the earlier one.
func StartAt(t testing.TB, clock *Clock, o aws.Options) *Sim {
	t.Helper()
	o.World.Clock = clock.Now
	if o.SignClock == nil {
		o.SignClock = time.Now
	}
	server, err := aws.New(o)
	if err != nil {
		t.Fatal(err)
	}
	checked := modelcheck.Wrap(t, server)
	front := httptest.NewServer(checked)
	t.Cleanup(func() {
		server.Close()
		front.Close()
	})
	return &Sim{Server: server, URL: front.URL, Clock: clock, handler: checked, socket: &http.Client{Transport: oneWrite{front.Client().Transport}}}
}

// Config is an AWS SDK configuration whose clients call the simulator as the default user and do not retry.
func (s *Sim) Config() sdk.Config {
	key := aws.DefaultKey()
	return sdk.Config{
		Region: s.World.Region, BaseEndpoint: &s.URL, HTTPClient: s.socket,
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: key.AccessKey, SecretAccessKey: key.Secret}, nil
		}),
		Retryer: func() sdk.Retryer { return sdk.NopRetryer{} },
	}
}

// Settle moves the clock in steps and advances the world until done says so; the test fails if that takes longer than limit
// on the world's clock.
func (s *Sim) Settle(t testing.TB, step, limit time.Duration, done func() bool) {
	t.Helper()
	for began := s.Clock.Now(); !done(); {
		if s.Clock.Now().Sub(began) > limit {
			t.Fatalf("the world has not settled in %s", limit)
		}
		s.Clock.Move(step)
		if err := s.World.Advance(); err != nil {
			t.Fatal(err)
		}
	}
}
