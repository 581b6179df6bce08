// Package egress is the way from a control plane into its cluster, whose pods exist on paper only.
//
// Input: HTTP CONNECT requests of the API server (and of programs that run in the place of pods) for addresses of pods,
// Services and nodes. Output: a connection to what stands for that address: the real program run as a local process, a
// declared stand-in, the lab's kubelet; or a refusal, as in life where nothing listens. Invariant: no connection leaves this
// machine.
package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Dialer connects to an address of the cluster's network ("192.168.3.7:443").
type Dialer interface {
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// ErrRefused is why nothing answers: no program stands for the address.
var ErrRefused = errors.New("connection refused: no program of the lab stands for this address")

// connectTimeout leaves a program time to start.
const connectTimeout = 15 * time.Second

// Proxy serves CONNECT.
type Proxy struct {
	Dialer Dialer
	Log    *slog.Logger
}

// Serve answers connections until ctx is over, then closes them and waits for their ends.
func (p *Proxy) Serve(ctx context.Context, listeners ...net.Listener) {
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.tunnel(ctx, w, r) }),
		ReadHeaderTimeout: connectTimeout, ErrorLog: slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
	}
	var group sync.WaitGroup
	for _, l := range listeners {
		group.Go(func() {
			if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				p.Log.Error("serving egress", "address", l.Addr().String(), "error", err)
			}
		})
	}
	<-ctx.Done()
	_ = server.Close()
	group.Wait()
}

// tunnel serves one connection for as long as ctx. The request's own context is of no use once the connection is hijacked: it is
// over as soon as the client has sent its last byte, while the answer may still be on its way.
func (p *Proxy) tunnel(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "this is an HTTP CONNECT proxy", http.StatusMethodNotAllowed)
		return
	}
	dialing, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	far, err := p.Dialer.Dial(dialing, r.Host)
	if err != nil {
		p.Log.Debug("refusing a connection into the cluster", "address", r.Host, "error", err)
		http.Error(w, fmt.Sprintf("connecting to %s: %v", r.Host, err), http.StatusServiceUnavailable)
		return
	}
	defer func() { _ = far.Close() }()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = near.Close() }()
	if _, err := near.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return
	}
	join(ctx, near, buffered, far)
}

// join copies both ways until both are done or ctx is over. What near has sent already is in buffered.
func join(ctx context.Context, near net.Conn, buffered io.Reader, far net.Conn) {
	stop := context.AfterFunc(ctx, func() {
		_ = near.Close()
		_ = far.Close()
	})
	defer stop()
	var group sync.WaitGroup
	group.Go(func() {
		_, _ = io.Copy(far, buffered)
		closeWrite(far)
	})
	group.Go(func() {
		_, _ = io.Copy(near, far)
		closeWrite(near)
	})
	group.Wait()
}

// closeWrite tells the other side that nothing more comes, where the connection can say that; else it ends it.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}
