package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// scrubber takes values out of what the server says. The server's words may repeat any value of the object (Argo
// CVE-2025-23216: an invalid Secret was shown by its own error message).
type scrubber struct {
	// mute says that nothing of the server's free text may be shown: the object is a Secret, or holds one.
	mute   bool
	values []string
}

// shortest is the length from which a value is taken out of texts; shorter ones are words, numbers and the like, and would
// take the sense out of every message. Values in quotes or in known positions go whatever their length.
const shortest = 6

// secrets makes the scrubber of what is wanted and its live state. Of an object with values out of an encrypted file nothing is
// told that the server says: short values, and what was made of values, cannot be found in texts.
func (w want) secrets(live *unstructured.Unstructured) scrubber {
	s := secrets(w.payload, live)
	s.mute = s.mute || w.hidden
	return s
}

// secrets makes the scrubber of an object that was sent and its live state.
func secrets(payload gitops.Tree, live *unstructured.Unstructured) scrubber {
	s := scrubber{mute: gitops.StringAt(payload, "kind") == "Secret" && gitops.StringAt(payload, "apiVersion") == "v1"}
	trees := []gitops.Tree{payload}
	if live != nil {
		trees = append(trees, live.Object)
	}
	for _, t := range trees {
		for field, value := range t {
			switch field {
			case "apiVersion", "kind", "status":
			case "metadata":
				s.collect(gitops.TreeAt(t, "metadata", "annotations"))
			default:
				s.collect(value)
			}
		}
	}
	// Longest first: a value that contains another goes as a whole.
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) })
	s.values = slices.Compact(s.values)
	return s
}

func (s *scrubber) collect(v any) {
	switch v := v.(type) {
	case gitops.Tree:
		for _, inner := range v {
			s.collect(inner)
		}
	case []any:
		for _, inner := range v {
			s.collect(inner)
		}
	case string:
		for _, part := range append(strings.Fields(v), v) {
			s.add(part)
		}
	case int64, float64:
		s.add(fmt.Sprint(v))
	}
}

// add takes a value in every form in which Go programs print strings.
func (s *scrubber) add(value string) {
	if len(value) < shortest {
		return
	}
	s.values = append(s.values, value)
	quoted := strconv.Quote(value)
	s.values = append(s.values, quoted[1:len(quoted)-1])
	if body, err := json.Marshal(value); err == nil {
		s.values = append(s.values, string(body[1:len(body)-1]))
	}
}

const (
	hidden = "…"
	// longest bounds a message; what is longer is a dump of something.
	longest = 300
)

// text is what may be shown of a free text.
func (s scrubber) text(said string) string {
	if s.mute {
		return ""
	}
	for _, v := range s.values {
		said = strings.ReplaceAll(said, v, hidden)
	}
	// structured-merge-diff prints the offending value: "expected string, got &value.valueUnstructured{Value:12}".
	if before, _, ok := strings.Cut(said, "got &"); ok {
		said = before + "got " + hidden
	}
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > longest {
		said = strings.ToValidUTF8(said[:longest], "") + hidden
	}
	return said
}

// cause is one field error without its value. Its message is "WHAT: VALUE: DETAIL" or "WHAT: DETAIL" (apimachinery,
// field.Error.ErrorBody); the value may be quoted text, a number or a dump. WHAT is told by the type, not taken from the text.
func (s scrubber) cause(c metav1.StatusCause) string {
	what, valued := fault(c.Type)
	rest := c.Message
	if what != "" {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, what), ": ")
	}
	if valued {
		rest = afterValue(rest)
	}
	if detail := s.text(rest); detail != "" {
		what = strings.TrimPrefix(what+": "+detail, ": ")
	}
	if c.Field == "" || c.Field == "<nil>" {
		return what
	}
	return c.Field + ": " + what
}

// fault words a type of field error as apimachinery does (field.ErrorType), and says whether its message holds the value.
func fault(t metav1.CauseType) (what string, valued bool) {
	switch field.ErrorType(t) {
	case field.ErrorTypeInvalid, field.ErrorTypeNotSupported, field.ErrorTypeDuplicate, field.ErrorTypeNotFound, field.ErrorTypeTypeInvalid,
		field.ErrorTypeTooMany, field.ErrorTypeTooFew:
		return field.ErrorType(t).String(), true
	case field.ErrorTypeRequired, field.ErrorTypeForbidden, field.ErrorTypeTooLong, field.ErrorTypeTooShort, field.ErrorTypeInternal:
		return field.ErrorType(t).String(), false
	}
	return "", false
}

// afterValue is what follows the value in a field error's message.
func afterValue(rest string) string {
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		return strings.TrimPrefix(rest[len(quoted):], ": ")
	}
	head, detail, more := strings.Cut(rest, ": ")
	if !more && strings.Contains(head, " ") && !strings.ContainsAny(head, `"{}[]`) {
		return head // words: the value was left out, as rules of definitions (CEL) do; texts that are values are quoted
	}
	if strings.ContainsAny(head, "{[") {
		// A dump: where it ends cannot be told, but what follows the last colon is no field of it when it reads like words.
		last := strings.LastIndex(rest, ": ")
		if last < 0 || !strings.Contains(rest[last+2:], " ") || strings.ContainsAny(rest[last:], `"{}[]`) {
			return ""
		}
		return rest[last+2:]
	}
	return detail
}

// failure turns what went wrong with a request into the product's words. fallback is the reason when the server's answer
// does not tell a better one.
func failure(err error, fallback gitops.Reason, s scrubber) *gitops.Error {
	if e, ok := errors.AsType[*gitops.Error](err); ok {
		return e
	}
	var api apierrors.APIStatus
	if !errors.As(err, &api) {
		return unanswered(err, fallback)
	}
	status := api.Status()
	if status.Reason == metav1.StatusReasonUnauthorized {
		return stranger()
	}
	reason := reasonOf(status, fallback)
	if reason == gitops.AccessDenied && errors.Is(err, errAdmission) {
		reason = gitops.AdmissionDenied
	}
	said := words(status, s)
	if said == "" {
		said = strings.TrimSpace("the API server answers " + strconv.Itoa(int(status.Code)) + " " + string(status.Reason))
		if s.mute {
			said += "; its words are withheld because they may hold secret values"
		}
	}
	return gitops.Errorf(reason, "%s", said)
}

// stranger is the answer 401: nothing was asked about rights yet, the server does not know who asks.
func stranger() *gitops.Error {
	e := gitops.Errorf(gitops.AccessDenied, "the API server does not know the reconciler (401 Unauthorized)")
	e.Try = "let its role in: aws sts get-caller-identity · aws eks create-access-entry"
	return e
}

// reasonOf maps the server's reason to ours.
func reasonOf(status metav1.Status, fallback gitops.Reason) gitops.Reason {
	switch status.Reason {
	case metav1.StatusReasonForbidden:
		return forbidden(status)
	case metav1.StatusReasonTooManyRequests:
		return gitops.Throttled
	case metav1.StatusReasonInvalid, metav1.StatusReasonBadRequest, metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonUnsupportedMediaType:
		return gitops.ApplyInvalid
	case metav1.StatusReasonConflict:
		if status.Details != nil && slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool { return c.Type == metav1.CauseTypeFieldManagerConflict }) {
			return gitops.ApplyConflict
		}
		return gitops.ApplyFailed
	case metav1.StatusReasonInternalError, metav1.StatusReasonServiceUnavailable, metav1.StatusReasonTimeout, metav1.StatusReasonServerTimeout:
		if fallback == gitops.ApplyInvalid {
			return gitops.ApplyFailed
		}
	default:
	}
	switch status.Code {
	case http.StatusTooManyRequests:
		return gitops.Throttled
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return gitops.ApplyInvalid
	}
	return fallback
}

// words is what may be told of an answer: its causes where it has any, else its message.
func words(status metav1.Status, s scrubber) string {
	if status.Details == nil || len(status.Details.Causes) == 0 {
		return s.text(status.Message)
	}
	const most = 5
	var said []string
	for i, c := range status.Details.Causes {
		if i == most {
			said = append(said, fmt.Sprintf("and %d more", len(status.Details.Causes)-most))
			break
		}
		said = append(said, s.cause(c))
	}
	return strings.Join(said, "; ")
}

// unanswered names what kept a request from being answered, without the URL's query and userinfo.
func unanswered(err error, fallback gitops.Reason) *gitops.Error {
	if errors.Is(err, context.Canceled) {
		return gitops.Errorf(gitops.Interrupted, "%w", context.Canceled)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		host := ""
		if u, bad := url.Parse(e.URL); bad == nil {
			host = u.Host + ": "
		}
		return gitops.Errorf(gitops.Unreachable, "calling the API server %s%w", host, e.Err)
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, context.DeadlineExceeded) {
		return gitops.Errorf(gitops.Unreachable, "calling the API server: %w", err)
	}
	return &gitops.Error{Reason: fallback, Err: err}
}
