package iam

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Tag is a tag.
type Tag struct{ Key, Value string }

// Nothing is an empty answer.
type Nothing struct{}

const (
	maxTags   = 50
	maxTagKey = 128
)

var (
	namePattern = regexp.MustCompile(`^[\w+=,.@-]+$`)
	pathPattern = regexp.MustCompile(`^(/|/[\x21-\x7e]+/)$`)
)

// fold is how names are compared: IAM keeps their case and ignores it.
func fold(name string) string { return strings.ToLower(name) }

// missing is the error for a required parameter that is not there.
func missing(member string) *wire.Error {
	lower := strings.ToLower(member[:1]) + member[1:]
	return wire.Errorf("ValidationError", "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", lower)
}

// checkName checks a name of an entity: IAM's name characters and a length.
func checkName(member, name string, limit int) error {
	lower := strings.ToLower(member[:1]) + member[1:]
	switch {
	case name == "":
		return missing(member)
	case len(name) > limit:
		return wire.Errorf("ValidationError", "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must have length less than or equal to %d", name, lower, limit)
	case !namePattern.MatchString(name):
		return wire.Errorf("ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", lower)
	}
	return nil
}

// checkPath gives the path, "/" by default.
func checkPath(path string) (string, error) {
	if path == "" {
		return "/", nil
	}
	if len(path) > 512 || !pathPattern.MatchString(path) {
		return "", wire.Errorf("ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return path, nil
}

func checkTags(have world.Tags, list []Tag) (world.Tags, error) {
	over := map[string]string{}
	for _, t := range list {
		lower := strings.ToLower(t.Key)
		switch {
		case t.Key == "" || len(t.Key) > maxTagKey || len(t.Value) > 256:
			return nil, wire.Errorf("ValidationError", "1 validation error detected: a tag's key has 1 to 128 characters and its value up to 256")
		case strings.HasPrefix(lower, "aws:"):
			return nil, wire.Errorf("InvalidInput", "Tag keys starting with 'aws:' are reserved for system use")
		}
		for other := range over {
			if strings.EqualFold(other, t.Key) {
				return nil, wire.Errorf("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
			}
		}
		over[t.Key] = t.Value
	}
	out := have.With()
	for key := range over { // a key of another case replaces the one that is there
		for old := range out {
			if strings.EqualFold(old, key) {
				delete(out, old)
			}
		}
	}
	out = out.With(over)
	if len(out) > maxTags {
		return nil, wire.StatusErrorf(http.StatusConflict, "LimitExceeded", "The number of tags has reached the maximum limit: %d", maxTags)
	}
	return out, nil
}

func showTags(tags world.Tags) []Tag {
	out := []Tag{}
	for _, t := range tags.List() {
		out = append(out, Tag(t))
	}
	return out
}

func noSuch(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusNotFound, "NoSuchEntity", format, args...)
}

func exists(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusConflict, "EntityAlreadyExists", format, args...)
}

func conflict(text string) *wire.Error {
	return wire.StatusErrorf(http.StatusConflict, "DeleteConflict", "%s", text)
}

func exceeded(format string, args ...any) *wire.Error {
	return wire.StatusErrorf(http.StatusConflict, "LimitExceeded", format, args...)
}

// Page asks for a part of a list.
type Page struct {
	Marker   string
	MaxItems int
}

// More tells whether and where a list goes on.
type More struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// paginate cuts one page out of a list, in the order of its items' keys.
func paginate[T any](list []T, key func(item T) string, p Page) ([]T, More, error) {
	size := p.MaxItems
	if size == 0 {
		size = 100
	}
	if size < 1 || size > 1000 {
		return nil, More{}, wire.Errorf("ValidationError", "1 validation error detected: Value '%d' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and 1000", size)
	}
	part, next, ok := wire.Page(list, key, size, p.Marker)
	if !ok {
		return nil, More{}, wire.Errorf("ValidationError", "Invalid Marker")
	}
	return part, More{IsTruncated: next != "", Marker: next}, nil
}

// encodeDocument is how IAM shows policy documents: percent-encoded by RFC 3986.
func encodeDocument(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// size is a document's length as IAM counts it against quotas: without white space.
func size(document string) int {
	return len(strings.Join(strings.Fields(document), ""))
}
