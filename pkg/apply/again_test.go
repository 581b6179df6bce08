package apply

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// script answers with one answer after the other, the last one for ever.
type script struct {
	answers []reply
	got     []string
}

type reply struct {
	code        int
	body, after string
	err         error
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
	}
	s.got = append(s.got, string(sent))
	a := s.answers[min(len(s.got), len(s.answers))-1]
	if a.err != nil {
		return nil, a.err
	}
	header := http.Header{}
	if a.after != "" {
		header.Set("Retry-After", a.after)
	}
	return &http.Response{StatusCode: a.code, Header: header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func TestAgain(t *testing.T) {
	const (
		slow    = `{"kind":"Status","message":"etcdserver: request timed out","code":500}`
		webhook = `{"kind":"Status","message":"Internal error occurred: failed calling webhook \"x\"","reason":"InternalError","code":500}`
	)
	apply := string(types.ApplyPatchType)
	fine, lost := reply{code: 200, body: "fine"}, reply{err: errors.New("connection refused")}
	cases := []struct {
		name, method, query, kind string
		answers                   []reply
		// tries are how often it is sent, code the last answer, most and least the time it takes.
		tries, code int
		least, most time.Duration
	}{
		{"fine", "GET", "", "", []reply{fine}, 1, 200, 0, 0},
		{"the store times out once", "PATCH", "", apply, []reply{{code: 500, body: slow}, fine}, 2, 200, againFirst / 2, 2 * againFirst},
		{"the store stays away", "PATCH", "", apply, []reply{{code: 500, body: slow}}, 5, 500, time.Second, 8 * time.Second},
		{"a proxy lost it", "GET", "", "", []reply{{code: 502}, {code: 504}, {code: 503}, fine}, 4, 200, 0, 4 * time.Second},
		{"a token that was not looked at", "GET", "", "", []reply{{code: 401}, fine}, 2, 200, 0, time.Second},
		{"a token that is wrong", "GET", "", "", []reply{{code: 401}}, 2, 401, 0, time.Second},
		{"a webhook that does not work", "PATCH", "", apply, []reply{{code: 500, body: webhook}}, 1, 500, 0, 0},
		{"the server says when", "GET", "", "", []reply{{code: 503, after: "1"}}, 1, 503, 0, 0},
		{"not found", "GET", "", "", []reply{{code: 404}}, 1, 404, 0, 0},
		{"no answer", "GET", "", "", []reply{lost}, 1, 0, 0, 0},
		{"a deletion", "DELETE", "", "", []reply{{code: 500, body: slow}}, 1, 500, 0, 0},
		{"a creation", "POST", "", "", []reply{{code: 500, body: slow}}, 1, 500, 0, 0},
		{"a creation that is a dry run", "POST", "dryRun=All", "", []reply{{code: 500, body: slow}, fine}, 2, 200, 0, time.Second},
		{"a patch of another form", "PATCH", "", string(types.JSONPatchType), []reply{{code: 504}}, 1, 504, 0, 0},
		{"a watch", "GET", "watch=true", "", []reply{{code: 504}}, 1, 504, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: c.answers}
				var body io.Reader
				if c.method != http.MethodGet {
					body = strings.NewReader("text")
				}
				r, err := http.NewRequestWithContext(t.Context(), c.method, "https://x/apis/apps/v1/namespaces/a/deployments/b?"+c.query, body)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", c.kind)
				began := time.Now()
				resp, err := again{newGate(s, time.Now)}.RoundTrip(r)
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("took %s, want %s to %s", took, c.least, c.most)
				}
				if len(s.got) != c.tries {
					t.Errorf("sent %d times, want %d", len(s.got), c.tries)
				}
				for i, sent := range s.got {
					if body != nil && sent != "text" {
						t.Errorf("try %d sent %q", i+1, sent)
					}
				}
				if c.code == 0 {
					if err == nil {
						t.Error("no error")
					}
					return
				}
				if err != nil || resp.StatusCode != c.code {
					t.Fatalf("answers %v, %v; want %d", resp, err, c.code)
				}
				said, err := io.ReadAll(resp.Body)
				if want := c.answers[min(c.tries, len(c.answers))-1].body; err != nil || string(said) != want {
					t.Errorf("says %q, %v; want %q", said, err, want)
				}
				if err := resp.Body.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAgainEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://x/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		resp, err := again{&script{answers: []reply{{code: 504}}}}.RoundTrip(r.WithContext(ctx))
		if err == nil {
			resp.Body.Close()
			t.Fatal("no error")
		}
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
