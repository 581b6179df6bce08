package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Options wires a Proxy.
type Options struct {
	// Server is the real API server.
	Server *rest.Config
	// Serial lets one request at a time through, watches apart.
	Serial bool
	// Wrote is told of each write right before it is done; it may be nil. It may be called by several goroutines.
	Wrote func(r *http.Request, body []byte)
}

// Proxy is an API server as clients see it through a network and a control plane that are not at their best.
type Proxy struct {
	Options
	server    *httptest.Server
	transport http.RoundTripper
	forward   *httputil.ReverseProxy

	mu    sync.Mutex
	quiet *sync.Cond
	fate  Fate
	busy  int
	count map[Effect]int
	turn  sync.Mutex
}

// patience bounds what is done at the real server without a caller.
const patience = 30 * time.Second

type connKey struct{}

// Start serves on a port of loopback until Close. At first everything is fine.
func Start(o Options) (*Proxy, error) {
	target, _, err := rest.DefaultServerUrlFor(o.Server)
	if err != nil {
		return nil, fmt.Errorf("reading the server's address: %w", err)
	}
	transport, err := rest.TransportFor(o.Server)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection: %w", err)
	}
	p := &Proxy{Options: o, transport: transport, fate: Fine, count: map[Effect]int{}}
	p.quiet = sync.NewCond(&p.mu)
	silent := log.New(io.Discard, "", 0)
	p.forward = &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: silent,
		Rewrite: func(r *httputil.ProxyRequest) { aim(r.Out, target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // what did not get through is not answered
		},
	}
	p.server = httptest.NewUnstartedServer(p)
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = silent
	p.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	p.server.StartTLS()
	return p, nil
}

func aim(r *http.Request, target *url.URL) {
	r.URL.Scheme, r.URL.Host, r.Host = target.Scheme, target.Host, target.Host
	r.Header.Del("Authorization") // the transport brings its own
}

// URL is where the proxy listens.
func (p *Proxy) URL() string { return p.server.URL }

// CA is the certificate that clients trust.
func (p *Proxy) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

// Decide sets what becomes of requests from now on.
func (p *Proxy) Decide(f Fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fate = f
}

// Count is how often each effect took effect.
func (p *Proxy) Count() map[Effect]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.count)
}

// Settle waits until no request but watches is under way.
func (p *Proxy) Settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.busy > 0 {
		p.quiet.Wait()
	}
}

// Interrupt breaks every connection, and the watches on them.
func (p *Proxy) Interrupt() { p.server.CloseClientConnections() }

// Close ends everything that is open.
func (p *Proxy) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if Watches(r) {
		p.watch(w, r, p.ask(r))
		return
	}
	defer p.enter()()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if p.Serial {
		p.turn.Lock()
		defer p.turn.Unlock()
	}
	switch effect := p.ask(r); effect {
	case None:
		p.wrote(r, body)
		p.forward.ServeHTTP(w, r)
	case Slow:
		p.took(effect)
		pause(r.Context(), time.Duration(len(r.URL.Path)%7+1)*20*time.Millisecond)
		p.wrote(r, body)
		p.forward.ServeHTTP(w, r)
	case Lost:
		p.wrote(r, body)
		p.alone(r, body)
		p.took(effect)
		panic(http.ErrAbortHandler)
	case Late:
		<-r.Context().Done()
		p.wrote(r, body)
		p.alone(r, body)
		p.took(effect)
	default:
		p.refuse(w, r, effect)
	}
}

// watch lets a watch through, or not, or not for long.
func (p *Proxy) watch(w http.ResponseWriter, r *http.Request, e Effect) {
	switch e {
	case None, Slow, Lost, Late:
		p.forward.ServeHTTP(w, r)
	case Break:
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		ends := time.AfterFunc(rand.N(500*time.Millisecond), func() {
			p.took(e)
			cancel()
		})
		defer ends.Stop()
		p.forward.ServeHTTP(w, r.WithContext(ctx))
	default:
		p.refuse(w, r, e)
	}
}

// refuse answers what is not done.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, e Effect) {
	p.took(e)
	switch e {
	case Hang:
		<-r.Context().Done()
		return
	case Cut:
		if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			_ = c.Close()
		}
		panic(http.ErrAbortHandler)
	case Break:
		panic(http.ErrAbortHandler)
	default:
	}
	code, reason, said := words(e)
	if e == Busy {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: said,
	})
}

// words are how an API server says it.
func words(e Effect) (int, metav1.StatusReason, string) {
	switch e {
	case Unavailable:
		return http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "the server is currently unable to handle the request"
	case Busy:
		return http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later"
	case Conflict:
		return http.StatusConflict, metav1.StatusReasonConflict, "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again"
	case Denied:
		return http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized"
	case Expired:
		return http.StatusGone, metav1.StatusReasonExpired, "too old resource version"
	default:
		return http.StatusInternalServerError, "", "etcdserver: request timed out"
	}
}

// alone does a request whose caller hears nothing of it.
func (p *Proxy) alone(r *http.Request, body []byte) {
	target, _, err := rest.DefaultServerUrlFor(p.Server)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	out := r.Clone(ctx)
	out.RequestURI, out.Body, out.ContentLength = "", io.NopCloser(bytes.NewReader(body)), int64(len(body))
	aim(out, target)
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

func (p *Proxy) ask(r *http.Request) Effect {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fate(r)
}

func (p *Proxy) took(e Effect) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count[e]++
}

func (p *Proxy) wrote(r *http.Request, body []byte) {
	if p.Wrote != nil && Writes(r) {
		p.Wrote(r, body)
	}
}

// enter counts a request as under way until what it returns is called.
func (p *Proxy) enter() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.busy--
		p.quiet.Broadcast()
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
