package apply

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	o := metav1.ListOptions{LabelSelector: q.label, Limit: page}
	for {
		list, err := l.link.resource(q.kind, q.namespace).List(ctx, o)
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			out = append(out, reference(&list.Items[i]))
		}
		if o.Continue = list.GetContinue(); o.Continue == "" {
			return out, nil
		}
	}
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
