package wire

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Page cuts one page of up to size items out of a list, in the ascending order of their keys, and gives the token of the next
// page, which is empty if there is none. An empty token asks for the first page; ok is false for one that Page did not make,
// which every service refuses in its own words.
//
// Invariant: a token names the key of the last item given, as AWS's go on behind the last item shown. Keys are unique and an
// item keeps its own, so items that come or go between two calls neither repeat nor hide others: what is there all the time
// is shown exactly once.
func Page[T any](items []T, key func(item T) string, size int, token string) (part []T, next string, ok bool) {
	after, ok := decodeToken(token)
	if !ok {
		return nil, "", false
	}
	type keyed struct {
		key  string
		item T
	}
	left := make([]keyed, 0, len(items))
	for _, item := range items {
		if k := key(item); token == "" || k > after {
			left = append(left, keyed{k, item})
		}
	}
	slices.SortFunc(left, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	if len(left) > size {
		left = left[:size]
		next = encodeToken(left[size-1].key)
	}
	part = make([]T, 0, len(left))
	for _, k := range left {
		part = append(part, k.item)
	}
	return part, next, true
}

// tokenPrefix tells our tokens from other text that happens to be base64.
const tokenPrefix = "after:"

func encodeToken(key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenPrefix + key))
}

func decodeToken(token string) (key string, ok bool) {
	if token == "" {
		return "", true
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	key, ok = strings.CutPrefix(string(raw), tokenPrefix)
	return key, ok && err == nil
}

// Self is the key of names, which are their own keys.
func Self(name string) string { return name }

// Key makes one key of several parts, which order items one after the other.
func Key(parts ...string) string { return strings.Join(parts, "\x00") }

// Ascending is n as a key, or a part of one: the lowest number comes first.
func Ascending(n int64) string { return fmt.Sprintf("%016x", uint64(n)^(math.MaxInt64+1)) }

// Descending is n as a key, or a part of one: the highest number comes first. Of a time it means newest first.
func Descending(n int64) string { return Ascending(^n) }
