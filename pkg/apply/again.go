package apply

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// again repeats what a server could not answer for a reason that passes: its store timed out or changed its leader, a proxy lost
// it, or its webhook for tokens had no answer (401). Only what may be done twice is repeated: reading, dry runs and applying; what an
// answer that says so asks to repeat later (Retry-After) is client-go's.
type again struct{ next http.RoundTripper }

// Pauses double from the first to the last: four seconds in all, on top of what the server's own timeouts take (etcd: 7 s).
const (
	againFirst = 250 * time.Millisecond
	againLast  = 2 * time.Second
	// againDenied is the last pause for a 401, which lasts more often than not.
	againDenied = againFirst
)

// RoundTrip implements http.RoundTripper.
func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	repeatable := repeatable(r)
	for pause := againFirst; ; pause *= 2 {
		resp, err := a.next.RoundTrip(r)
		if err != nil || !repeatable || pause > patience(resp) {
			return resp, err
		}
		_ = resp.Body.Close()
		// Not all at once: what failed together would come back together.
		if err := sleep(r.Context(), pause/2+rand.N(pause)); err != nil { //nolint:gosec // spreading needs no secrecy
			return nil, err
		}
		if r, err = renewed(r); err != nil {
			return nil, err
		}
	}
}

// repeatable reports whether a request may be sent twice.
func repeatable(r *http.Request) bool {
	query := r.URL.Query()
	switch {
	case endless(r), r.Body != nil && r.GetBody == nil:
		return false
	case r.Method == http.MethodGet, query.Has("dryRun"):
		return true
	}
	return r.Method == http.MethodPatch && r.Header.Get("Content-Type") == string(types.ApplyPatchType)
}

// patience is the longest pause that an answer is worth; 0 is none.
func patience(resp *http.Response) time.Duration {
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return againDenied
	case ailing(resp):
		return againLast
	}
	return 0
}

// ailing reports whether the server had no answer and may have one soon. A refusal by a webhook that does not work is none of that:
// it says InternalError, and lasts.
func ailing(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return resp.Header.Get("Retry-After") == ""
	case http.StatusInternalServerError:
		return resp.Header.Get("Retry-After") == "" && bytes.Contains(peek(resp), []byte("etcdserver: "))
	}
	return false
}

// peek reads the beginning of what a failure says, and leaves it to be read again.
func peek(resp *http.Response) []byte {
	const most = 4 << 10
	head, _ := io.ReadAll(io.LimitReader(resp.Body, most))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	return head
}

// renewed is a request once more, from its beginning.
func renewed(r *http.Request) (*http.Request, error) {
	r = r.Clone(r.Context())
	if r.GetBody == nil {
		return r, nil
	}
	var err error
	r.Body, err = r.GetBody()
	return r, err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
