package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
)

// server is a control plane of the lab.
type server struct {
	access access
	client dynamic.Interface
	plane  *exec.Cmd
	input  io.Closer
}

func startServer(ctx context.Context, dir string) (*server, error) {
	lab := os.Getenv("LAB_BIN")
	if lab == "" {
		return nil, errors.New("LAB_BIN does not name the lab: run make bench")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &server{plane: exec.CommandContext(ctx, lab, "control-plane", "--dir", filepath.Join(dir, "plane"), "--unsafe-no-fsync", "--controllers", "namespace-controller")}
	s.plane.Stderr = os.Stderr
	in, err := s.plane.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.input = in
	out, err := s.plane.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.plane.Start(); err != nil {
		return nil, err
	}
	kubeconfig := ""
	if _, err := fmt.Fscanln(out, &kubeconfig); err != nil {
		s.close()
		return nil, fmt.Errorf("the control plane did not start: %w", err)
	}
	if s.access, err = reach(kubeconfig); err == nil {
		s.client, err = dynamic.NewForConfig(s.access.config)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *server) close() {
	_ = s.input.Close()
	_ = s.plane.Wait()
}

// wipe removes the objects and what others made of them, and leaves the namespace of the sets empty, or nothing of it.
func (s *server) wipe(ctx context.Context, objects []*unstructured.Unstructured, namespaces bool) error {
	kinds := map[[2]string]*unstructured.Unstructured{}
	for _, o := range objects {
		kinds[[2]string{o.GroupVersionKind().String(), o.GetNamespace()}] = o
	}
	var single []*unstructured.Unstructured
	for key, o := range kinds {
		if key[1] == "" {
			continue
		}
		err := s.client.Resource(resource(o)).Namespace(key[1]).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("wiping %s: %w", o.GetKind(), err)
		}
	}
	for _, o := range objects {
		if o.GetNamespace() == "" && (namespaces || o.GetKind() != "Namespace") {
			single = append(single, o)
		}
	}
	single = append(single, namespaceObject(setsSpace))
	if err := s.remove(ctx, single); err != nil {
		return err
	}
	if !namespaces {
		return s.namespace(ctx, space)
	}
	return nil
}

// remove deletes objects and waits until they are gone.
func (s *server) remove(ctx context.Context, objects []*unstructured.Unstructured) error {
	return each(objects, func(o *unstructured.Unstructured) error {
		client := s.client.Resource(resource(o))
		for {
			if err := client.Delete(ctx, o.GetName(), metav1.DeleteOptions{}); apierrors.IsNotFound(err) {
				return nil
			} else if err != nil && !apierrors.IsConflict(err) {
				return fmt.Errorf("deleting %s %s: %w", o.GetKind(), o.GetName(), err)
			}
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	})
}

func (s *server) namespace(ctx context.Context, name string) error {
	_, err := s.client.Resource(resource(namespaceObject(name))).Apply(ctx, name, namespaceObject(name), metav1.ApplyOptions{FieldManager: "bench"})
	return err
}

// rest waits until controllers have answered everything: for a second, hardly anything is written but leases and heartbeats.
func (s *server) rest(ctx context.Context) error {
	const calm, window = 10, time.Second
	before, err := s.revision(ctx)
	for err == nil {
		if err = pause(ctx, window); err != nil {
			break
		}
		var now int
		if now, err = s.revision(ctx); err == nil && now-before <= calm {
			return nil
		}
		before = now
	}
	return err
}

// revision is etcd's.
func (s *server) revision(ctx context.Context) (int, error) {
	list, err := s.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(list.GetResourceVersion())
}

// requests are how many requests the API server answered about objects of the sets' kinds, by verb.
type requests map[string]int

func (s *server) requests(ctx context.Context) (requests, error) {
	return countRequests(ctx, s.access)
}

func (r requests) since(before requests) requests {
	out := requests{}
	for verb, n := range r {
		out[verb] = n - before[verb]
	}
	return out
}

// countRequests reads the API server's own count. It does not tell who asked, so that it is an upper bound; the kinds of the control
// plane's own leases and nodes are left out.
func countRequests(ctx context.Context, a access) (requests, error) {
	client, err := discovery.NewDiscoveryClientForConfig(a.config)
	if err != nil {
		return nil, err
	}
	text, err := client.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	kinds := []string{"configmaps", "serviceaccounts", "services", "deployments"}
	out := requests{}
	for line := range strings.Lines(string(text)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		labels, ok := strings.CutPrefix(series, "apiserver_request_total{")
		if !ok || !strings.Contains(labels, `subresource=""`) {
			continue
		}
		for _, kind := range kinds {
			if strings.Contains(labels, `resource="`+kind+`"`) {
				_, verb, _ := strings.Cut(labels, `verb="`)
				verb, _, _ = strings.Cut(verb, `"`)
				count, err := strconv.ParseFloat(value, 64)
				if err != nil {
					return nil, err
				}
				// APPLY is a PATCH by its content.
				out[strings.Replace(verb, "APPLY", "PATCH", 1)] += int(count)
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the API server counted no request")
	}
	return out, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
