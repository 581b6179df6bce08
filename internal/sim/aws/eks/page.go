package eks

import (
	"encoding/base64"
	"strings"
)

// page cuts one page out of items, which are in a stable order. The token names the last item given, so that items that
// come or go between two calls neither repeat nor hide others. Without maxResults a page holds 100, as the API documents.
func page[T any](items []T, key func(T) string, maxResults *int, token string) (out []T, next string, err error) {
	limit := 100
	if maxResults != nil {
		if *maxResults < 1 || *maxResults > 100 {
			return nil, "", subject{}.badParameter("maxResults must be between 1 and 100")
		}
		limit = *maxResults
	}
	after, err := decodeToken(token)
	if err != nil {
		return nil, "", err
	}
	out = []T{}
	for _, item := range items {
		if token != "" && key(item) <= after {
			continue
		}
		if len(out) == limit {
			return out, encodeToken(key(out[len(out)-1])), nil
		}
		out = append(out, item)
	}
	return out, "", nil
}

const tokenPrefix = "eks:after:"

func encodeToken(key string) string {
	return base64.StdEncoding.EncodeToString([]byte(tokenPrefix + key))
}

func decodeToken(token string) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	after, ok := strings.CutPrefix(string(raw), tokenPrefix)
	if err != nil || !ok {
		return "", subject{}.badParameter("Invalid nextToken")
	}
	return after, nil
}

// pageNames is page for names that are their own keys.
func pageNames(names []string, maxResults *int, token string) ([]string, string, error) {
	return page(names, func(s string) string { return s }, maxResults, token)
}
