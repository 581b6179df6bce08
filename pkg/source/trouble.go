package source

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// refused reports whether asking again cannot help.
func refused(err error) bool {
	_, ok := errors.AsType[*gitops.Error](err)
	return ok
}

// trouble gives an error its reason and names the repository.
func (g *git) trouble(err error) *gitops.Error {
	if e, ok := errors.AsType[*gitops.Error](err); ok {
		named := *e
		named.Err = &naming{text: "fetching " + g.shown + ": " + e.Message(), cause: e.Err}
		return &named
	}
	reason, why := gitops.SourceUnreachable, err
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired):
		reason, why = gitops.SourceDenied, errors.New("the server wants credentials, or other ones")
	case errors.Is(err, transport.ErrAuthorizationFailed):
		reason, why = gitops.SourceDenied, errors.New("the server does not allow these credentials to read it")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		why = errors.New("the server knows no such repository, or hides it from these credentials")
	case errors.Is(err, context.DeadlineExceeded):
		why = &naming{text: "no answer in the time given", cause: err}
	}
	e := gitops.Errorf(reason, "fetching %s: %w", g.shown, why)
	if reason == gitops.SourceUnreachable {
		e.Try = "git ls-remote " + g.shown
	}
	return e
}

// overdue is what an exchange was broken off for.
type overdue struct {
	what  string
	after time.Duration
}

func (o overdue) Error() string { return o.what + " within " + o.after.String() }

// overdueOr is why ctx broke an exchange off, if it did, else err. Whoever was cut short tells that in words of its own.
func overdueOr(ctx context.Context, err error) error {
	if late, ok := errors.AsType[overdue](context.Cause(ctx)); ok {
		return late
	}
	return err
}

// naming is an error under a longer text.
type naming struct {
	text  string
	cause error
}

func (n *naming) Error() string { return n.text }
func (n *naming) Unwrap() error { return n.cause }

// tail keeps the end of what a server writes for people.
type tail struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	const room = 1000
	t.mu.Lock()
	defer t.mu.Unlock()
	if free := room - t.text.Len(); free > 0 {
		t.text.Write(p[:min(free, len(p))])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(t.text.String()), " ")
}
