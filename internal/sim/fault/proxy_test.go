package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

// TestEffects: each effect does to a write what it says, and is counted when it has.
func TestEffects(t *testing.T) {
	var done atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		done.Add(1)
		_, _ = fmt.Fprintf(w, "did %s", body)
	}))
	defer server.Close()
	p, err := Start(Options{Server: &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.CA())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	for effect, want := range map[Effect]struct {
		code int
		done bool
	}{
		None: {200, true}, Slow: {200, true}, Lost: {0, true}, Late: {0, true}, Hang: {0, false}, Break: {0, false}, Cut: {0, false},
		Ailing: {500, false}, Unavailable: {503, false}, Busy: {429, false}, Conflict: {409, false}, Denied: {401, false}, Expired: {410, false},
	} {
		before := p.Count()[effect]
		done.Store(0)
		p.Decide(func(*http.Request) Effect { return effect })
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if effect != Hang && effect != Late {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPatch, p.URL()+"/api/v1/namespaces/a/configmaps/b", strings.NewReader("it"))
		if err != nil {
			t.Fatal(err)
		}
		code, said := 0, ""
		if resp, err := client.Do(r); err == nil {
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			code, said = resp.StatusCode, string(body)
		}
		cancel()
		p.Settle()
		if code != want.code || code == 200 && said != "did it" || (done.Load() == 1) != want.done {
			t.Errorf("%q: answer %d %q, done %d times; want %+v", effect, code, said, done.Load(), want)
		}
		if counted := p.Count()[effect] - before; effect != None && counted != 1 {
			t.Errorf("%q: counted %d times", effect, counted)
		}
	}
}

// TestEveryEffectIsDrawn: a random fate has all effects, in about the share that was asked for, and fits them to the request.
func TestEveryEffectIsDrawn(t *testing.T) { synctest.Test(t, everyEffectIsDrawn) }

func everyEffectIsDrawn(t *testing.T) {
	const draws = 5000
	for _, c := range []struct {
		method, query string
		never         []Effect
	}{
		{http.MethodPatch, "", []Effect{Expired}},
		{http.MethodGet, "", []Effect{Expired, Conflict, Lost, Late}},
		{http.MethodPatch, "dryRun=All", []Effect{Expired, Conflict, Lost, Late}},
		{http.MethodGet, "watch=true", []Effect{Conflict, Lost, Late, Slow, Busy}},
	} {
		fate, seen, wrong := Random(1, 0.5), map[Effect]int{}, 0
		for range draws {
			time.Sleep(10 * time.Millisecond) // of the test's own clock: how long a server is busy is told by time
			e := fate(httptest.NewRequest(c.method, "/api/v1/namespaces/a/configmaps/b?"+c.query, http.NoBody))
			if seen[e]++; e != None && e != Busy {
				wrong++
			}
		}
		for _, e := range c.never {
			if seen[e] > 0 {
				t.Errorf("%s %s: %d times %s", c.method, c.query, seen[e], e)
			}
		}
		// A busy server refuses whatever comes.
		if answered := draws - seen[Busy]; wrong < answered*4/10 || wrong > answered*6/10 {
			t.Errorf("%s %s: %d of %d go wrong: %v", c.method, c.query, wrong, answered, seen)
		}
		for _, e := range []Effect{Ailing, Unavailable, Denied, Break, Cut, Hang} {
			if seen[e] == 0 {
				t.Errorf("%s %s: never %s", c.method, c.query, e)
			}
		}
	}
}
