package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// bounded gives up a request that gets no answer. A server, or a balancer before it, that keeps the connection and says nothing would
// else hold up the pass, and everything that waits for it, for ever. Of a watch, which has no end, only the beginning is waited for.
type bounded struct {
	next  http.RoundTripper
	limit time.Duration
}

// silence is the error of a request that was given up.
type silence struct{ limit time.Duration }

// Error implements error.
func (s silence) Error() string { return fmt.Sprintf("no answer within %s", s.limit) }

// Timeout implements net.Error.
func (silence) Timeout() bool { return true }

// Temporary implements net.Error.
func (silence) Temporary() bool { return true }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	late := time.AfterFunc(b.limit, func() { cancel(silence{b.limit}) })
	resp, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		late.Stop()
		err = silenced(ctx, err)
		cancel(nil)
		return nil, err
	}
	if endless(r) {
		late.Stop()
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, ctx: ctx, done: func() {
		late.Stop()
		cancel(nil)
	}}
	return resp, nil
}

// boundedBody is an answer whose end is waited for, too.
type boundedBody struct {
	io.ReadCloser
	ctx  context.Context
	done func()
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = silenced(b.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *boundedBody) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return err
}

// silenced is what ended a request: that it was given up, or what it says itself.
func silenced(ctx context.Context, err error) error {
	if gaveUp, ok := errors.AsType[silence](context.Cause(ctx)); ok {
		return gaveUp
	}
	return err
}

// endless reports whether a request is a watch.
func endless(r *http.Request) bool {
	watch := r.URL.Query().Get("watch")
	return watch == "true" || watch == "1"
}
