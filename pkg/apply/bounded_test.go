package apply

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// mute is a server that answers after a while, or never, and whose answers take a while to read.
type mute struct{ answers, reads time.Duration }

func (m mute) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := sleep(r.Context(), m.answers); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: &slowBody{r.Context(), m.reads, strings.NewReader("fine")}}, nil
}

type slowBody struct {
	ctx   context.Context
	takes time.Duration
	*strings.Reader
}

func (s *slowBody) Read(p []byte) (int, error) {
	if err := sleep(s.ctx, s.takes); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}

func (*slowBody) Close() error { return nil }

func TestRequestsWithoutAnAnswerAreGivenUp(t *testing.T) {
	const limit, never = time.Minute, 24 * time.Hour
	for _, c := range []struct {
		name, query string
		server      mute
		ctx         time.Duration
		// gaveUp is when it is given up; 0 is never.
		gaveUp time.Duration
	}{
		{"an answer", "", mute{time.Second, time.Second}, never, 0},
		{"no answer", "", mute{never, 0}, never, limit},
		{"half an answer", "", mute{time.Second, never}, never, limit},
		{"the caller is done first", "", mute{never, 0}, time.Second, time.Second},
		{"a watch", "watch=true", mute{time.Second, time.Hour}, never, 0},
		{"a watch that does not begin", "watch=1", mute{never, 0}, never, limit},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.ctx)
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://x/api/v1/pods?"+c.query, nil)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				resp, err := bounded{c.server, limit}.RoundTrip(r)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					if bad := resp.Body.Close(); bad != nil {
						t.Error(bad)
					}
				}
				took := time.Since(began)
				var timeout net.Error
				switch {
				case c.gaveUp == 0 && err != nil:
					t.Errorf("after %s: %v", took, err)
				case c.gaveUp == 0:
				case took != c.gaveUp || !errors.As(err, &timeout) || !timeout.Timeout():
					t.Errorf("given up after %s with %v, want %s", took, err, c.gaveUp)
				case c.gaveUp == limit && err.Error() != "no answer within 1m0s":
					t.Errorf("says %q", err)
				}
			})
		})
	}
}
