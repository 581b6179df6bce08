package main

import (
	"context"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// resource is what an API server calls a kind; the kinds of the sets need no discovery.
func resource(o *unstructured.Unstructured) schema.GroupVersionResource {
	plural, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	return plural
}

// rawApply sends bare applies: first the namespaces, then everything else at once.
func rawApply(ctx context.Context, a access, s set) (int, error) {
	client, err := dynamic.NewForConfig(a.config)
	if err != nil {
		return 0, err
	}
	var first, rest []*unstructured.Unstructured
	for _, o := range s.objects {
		if o.GetKind() == "Namespace" {
			first = append(first, o)
		} else {
			rest = append(rest, o)
		}
	}
	for _, some := range [][]*unstructured.Unstructured{first, rest} {
		err := each(some, func(o *unstructured.Unstructured) error {
			_, err := client.Resource(resource(o)).Namespace(o.GetNamespace()).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: "raw", Force: true})
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return unknown, nil
}

// rawList reads each kind once.
func rawList(ctx context.Context, a access, s set) (int, error) {
	client, err := dynamic.NewForConfig(a.config)
	if err != nil {
		return 0, err
	}
	var kinds []*unstructured.Unstructured
	seen := map[schema.GroupVersionKind]bool{}
	for _, o := range s.objects {
		if !seen[o.GroupVersionKind()] {
			seen[o.GroupVersionKind()] = true
			kinds = append(kinds, o)
		}
	}
	return unknown, each(kinds, func(o *unstructured.Unstructured) error {
		_, err := client.Resource(resource(o)).List(ctx, metav1.ListOptions{})
		return err
	})
}

// each does something with every object, sixteen at once, until the first error.
func each(objects []*unstructured.Unstructured, do func(*unstructured.Unstructured) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make(chan error, parallel)
	for range parallel {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(objects); i = int(next.Add(1)) - 1 {
				if err := do(objects[i]); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}
