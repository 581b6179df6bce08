package eks

import "github.com/eks-gitops/reconciler/internal/sim/aws/wire"

// page cuts one page out of items, in the order of their keys. Without maxResults a page holds 100, as the API documents.
func page[T any](items []T, key func(item T) string, maxResults *int, token string) (part []T, next string, err error) {
	size := 100
	if maxResults != nil {
		if size = *maxResults; size < 1 || size > 100 {
			return nil, "", subject{}.badParameter("maxResults must be between 1 and 100")
		}
	}
	part, next, ok := wire.Page(items, key, size, token)
	if !ok {
		return nil, "", subject{}.badParameter("Invalid nextToken")
	}
	return part, next, nil
}

// pageNames is page for names that are their own keys.
func pageNames(names []string, maxResults *int, token string) (part []string, next string, err error) {
	return page(names, wire.Self, maxResults, token)
}
