package gitops

import (
	"errors"
	"fmt"
	"strings"
)

// Error is how trouble leaves a package: what (Ref), where (From), why (Err) and what to do next (Try).
// It never contains object bodies, credentials or URLs with userinfo.
type Error struct {
	Reason Reason
	// Ref is zero when the trouble is about an overlay, a file or the run as a whole.
	Ref  Ref
	From Origin
	Err  error
	// Try is the next command or action, for people. Empty means: see `reconciler explain REASON`.
	Try string
}

// Errorf makes an Error from a format, which may wrap with %w.
func Errorf(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// At sets where the trouble is and returns e.
func (e *Error) At(from Origin) *Error { e.From = from; return e }

// On sets what the trouble is about and returns e.
func (e *Error) On(ref Ref) *Error { e.Ref = ref; return e }

// Error is one line: "ApplyConflict: apps/Deployment shop/web (addons/shop/web.yaml:14): why".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Reason))
	b.WriteString(": ")
	if !e.Ref.IsZero() {
		b.WriteString(e.Ref.Label())
		b.WriteString(": ")
	}
	if where := e.From.Position.String(); where != "" {
		b.WriteString(where)
		b.WriteString(": ")
	}
	b.WriteString(e.Message())
	return b.String()
}

// Message is the cause alone.
func (e *Error) Message() string {
	if e.Err == nil {
		return e.Reason.Title()
	}
	return e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches another *Error by Reason, so that errors.Is(err, &Error{Reason: ApplyConflict}) asks for the kind of trouble.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// String is "file:line", "file" or "".
func (p Position) String() string {
	if p.File == "" || p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// AsError finds the *Error in err's chain, or wraps err with the given reason.
func AsError(reason Reason, err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Reason: reason, Err: err}
}
