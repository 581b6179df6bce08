package apply

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// page is how many objects one LIST asks for.
const page = 500

// reader gives the labelled objects of kinds: by LIST for one look, from watches for a daemon.
type reader interface {
	// members lists the objects of a kind that carry a label (in a namespace, or everywhere for ""). The objects are shared and
	// must not be changed.
	members(ctx context.Context, q query) ([]*stored, error)
	// keep says which queries will be asked from now on; others are given up.
	keep(queries []query)
}

// query selects objects of a kind that have a label.
type query struct {
	kind      kind
	namespace string
	label     string
}

// lister reads by LIST.
type lister struct{ link *link }

func (l lister) keep([]query) {}

func (l lister) members(ctx context.Context, q query) ([]*stored, error) {
	var out []*stored
	for next := ""; ; {
		list, err := l.link.list(ctx, q, next)
		if err != nil {
			return nil, err
		}
		for _, item := range list.Items {
			if t, ok := item.(gitops.Tree); ok {
				// Items of a list of the server's own kinds do not say what they are.
				t["apiVersion"], t["kind"] = q.kind.GroupVersion().String(), q.kind.Kind
				out = append(out, reference(&unstructured.Unstructured{Object: t}))
			}
		}
		if next = list.Metadata.Continue; next == "" {
			return out, nil
		}
	}
}

// listing is the answer to a LIST.
type listing struct {
	Metadata struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	Items []any `json:"items"`
}

// endpoint is where the API server has the objects of a kind, in a namespace or cluster-wide.
func endpoint(k kind, namespace string) []string {
	out := []string{"apis", k.Group, k.Version}
	if k.Group == "" {
		out = []string{"api", k.Version}
	}
	if k.Namespaced && namespace != "" {
		out = append(out, "namespaces", namespace)
	}
	return append(out, k.Resource)
}

// list asks for a page of objects; from is where the page before ended. The dynamic client would read the answer three times, which is
// most of what a look at many objects costs.
func (l *link) list(ctx context.Context, q query, from string) (listing, error) {
	request := l.catalog.client.RESTClient().Get().AbsPath(endpoint(q.kind, q.namespace)...).SetHeader("Accept", "application/json").
		Param("labelSelector", q.label).Param("limit", strconv.Itoa(page))
	if from != "" {
		request = request.Param("continue", from)
	}
	body, err := request.Do(ctx).Raw()
	if err != nil {
		return listing{}, err
	}
	var out listing
	if err := utiljson.Unmarshal(body, &out); err != nil {
		return listing{}, fmt.Errorf("reading the list of %s: %w", q.kind.Kind, err)
	}
	return out, nil
}

// each runs f for every index in parallel, at most width at once, and waits for all.
func each(n, width int, f func(i int)) {
	var running sync.WaitGroup
	places := make(chan struct{}, width)
	for i := range n {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	running.Wait()
}
