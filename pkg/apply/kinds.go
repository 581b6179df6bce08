package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// kind is what the server says about one kind of objects.
type kind struct {
	schema.GroupVersionKind
	Resource   string
	Namespaced bool
	Listable   bool
}

func (k kind) gvr() schema.GroupVersionResource { return k.GroupVersion().WithResource(k.Resource) }

// catalog is the API of one server: its kinds (discovery) and their types (OpenAPI v3). It is read when first needed, again
// when something is missing, and again when it is old, because others may change CRDs.
type catalog struct {
	client discovery.DiscoveryInterface
	now    func() time.Time

	mu   sync.Mutex
	read time.Time
	// changes counts how often reading it anew brought something else.
	changes   int
	kinds     map[schema.GroupVersionKind]kind
	preferred map[schema.GroupKind]schema.GroupVersion
	// broken are groups whose server did not answer: what is in them is unknown, not absent.
	broken map[string]bool
	// documents are the OpenAPI v3 documents by group version; the URL holds a hash of the content.
	documents map[schema.GroupVersion]string
	types     map[string]*document
}

// catalogAge is how long what was read is believed without need.
const catalogAge = time.Minute

func newCatalog(client discovery.DiscoveryInterface, now func() time.Time) *catalog {
	return &catalog{client: client, now: now, types: map[string]*document{}}
}

// refresh reads the API anew when it is older than age, or when one of the wanted kinds is not known.
func (c *catalog) refresh(ctx context.Context, age time.Duration, want ...schema.GroupVersionKind) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := !c.read.IsZero() && c.now().Sub(c.read) < age
	for _, gvk := range want {
		if _, ok := c.kinds[gvk]; !ok {
			fresh = false
		}
	}
	if fresh {
		return nil
	}
	before := catalog{kinds: c.kinds, preferred: c.preferred, broken: c.broken, documents: c.documents}
	var kinds, documents error
	var both sync.WaitGroup
	both.Go(func() { kinds = c.readKinds(want) })
	both.Go(func() { documents = c.readDocuments(ctx) })
	both.Wait()
	if !maps.Equal(before.kinds, c.kinds) || !maps.Equal(before.preferred, c.preferred) || !maps.Equal(before.broken, c.broken) || !maps.Equal(before.documents, c.documents) {
		c.changes++
	}
	if kinds != nil {
		return fmt.Errorf("discovering the API: %w", kinds)
	}
	if documents != nil {
		return fmt.Errorf("reading the API's types: %w", documents)
	}
	c.read = c.now()
	return nil
}

// generation tells whether the API is the one that it was.
func (c *catalog) generation() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes
}

// readKinds takes what aggregated discovery tells in two requests, and asks for the wanted group versions that it does not show.
func (c *catalog) readKinds(want []schema.GroupVersionKind) error {
	groups, lists, err := c.client.ServerGroupsAndResources()
	broken := map[string]bool{}
	var partial *discovery.ErrGroupDiscoveryFailed
	switch {
	case errors.As(err, &partial):
		for gv := range partial.Groups {
			broken[gv.Group] = true
		}
	case err != nil:
		return err
	}
	c.kinds, c.preferred, c.broken = map[schema.GroupVersionKind]kind{}, map[schema.GroupKind]schema.GroupVersion{}, broken
	rank := versionRank(groups)
	for _, list := range lists {
		c.add(list, rank)
	}
	c.readUnshown(want, rank)
	return nil
}

// readUnshown asks the servers of group versions themselves. Discovery shows what a new APIService serves up to a minute after that is
// Available: the aggregator asks its server once when it comes, in vain, and then by the clock (kube-aggregator, handler_discovery.go).
func (c *catalog) readUnshown(want []schema.GroupVersionKind, rank map[schema.GroupVersion]int) {
	shown := map[schema.GroupVersion]bool{}
	for gvk := range c.kinds {
		shown[gvk.GroupVersion()] = true
	}
	for _, gvk := range want {
		gv := gvk.GroupVersion()
		if shown[gv] {
			continue
		}
		shown[gv] = true
		list, err := c.client.ServerResourcesForGroupVersion(gv.String())
		if err == nil {
			c.add(list, rank)
		} else if !apierrors.IsNotFound(err) {
			c.broken[gv.Group] = true
		}
	}
}

// add takes in the kinds of a group version.
func (c *catalog) add(list *metav1.APIResourceList, rank map[schema.GroupVersion]int) {
	gv, err := schema.ParseGroupVersion(list.GroupVersion)
	if err != nil {
		return
	}
	for _, r := range list.APIResources {
		if strings.Contains(r.Name, "/") {
			continue
		}
		k := kind{GroupVersionKind: gv.WithKind(r.Kind), Resource: r.Name, Namespaced: r.Namespaced, Listable: slices.Contains(r.Verbs, "list")}
		c.kinds[k.GroupVersionKind] = k
		gk := k.GroupKind()
		if best, ok := c.preferred[gk]; !ok || rank[gv] < rank[best] {
			c.preferred[gk] = gv
		}
	}
}

// versionRank orders the versions of each group as the server prefers them.
func versionRank(groups []*metav1.APIGroup) map[schema.GroupVersion]int {
	rank := map[schema.GroupVersion]int{}
	for _, g := range groups {
		for i, v := range g.Versions {
			rank[schema.GroupVersion{Group: g.Name, Version: v.Version}] = i
		}
	}
	return rank
}

// readDocuments reads the index of OpenAPI v3 documents; the documents themselves are read when a kind of theirs is typed.
func (c *catalog) readDocuments(ctx context.Context) error {
	body, err := c.client.RESTClient().Get().AbsPath("/openapi/v3").SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return err
	}
	var index struct {
		Paths map[string]struct {
			URL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(body, &index); err != nil {
		return err
	}
	documents, used := map[schema.GroupVersion]string{}, map[string]bool{}
	for path, document := range index.Paths {
		part := strings.Split(path, "/")
		switch {
		case len(part) == 2 && part[0] == "api":
			documents[schema.GroupVersion{Version: part[1]}] = document.URL
		case len(part) == 3 && part[0] == "apis":
			documents[schema.GroupVersion{Group: part[1], Version: part[2]}] = document.URL
		default:
			continue
		}
		used[document.URL] = true
	}
	c.documents = documents
	maps.DeleteFunc(c.types, func(url string, _ *document) bool { return !used[url] })
	return nil
}

// kind finds a kind of exactly this version.
func (c *catalog) kind(gvk schema.GroupVersionKind) (kind, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kinds[gvk]
	return k, ok
}

// serving finds a kind in the version that the server prefers.
func (c *catalog) serving(gk schema.GroupKind) (kind, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gv, ok := c.preferred[gk]
	return c.kinds[gv.WithKind(gk.Kind)], ok
}

// unknown reports whether the server of a group did not answer, so that nothing can be said about its kinds.
func (c *catalog) unknown(group string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken[group]
}

// serves reports whether there is any kind in a group version.
func (c *catalog) serves(gv schema.GroupVersion) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for gvk := range c.kinds {
		if gvk.GroupVersion() == gv {
			return true
		}
	}
	return false
}

// namespaced lists the namespaced kinds that can be listed, each once, in its preferred version.
func (c *catalog) namespaced() []kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []kind
	for gk, gv := range c.preferred {
		if k := c.kinds[gv.WithKind(gk.Kind)]; k.Namespaced && k.Listable {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b kind) int { return strings.Compare(a.GroupKind().String(), b.GroupKind().String()) })
	return out
}

// version identifies the types of a group version: what was decided by other types must be decided again.
func (c *catalog) version(gv schema.GroupVersion) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.documents[gv]
}
