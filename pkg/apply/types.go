package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// document is one OpenAPI document (the types of a group version), read when first needed and only once, however many ask at the same
// time. Of its schemas only those of the kinds that were asked for are made into types, with what they refer to: parsing all of
// them is much of what a look at a cluster costs that nothing is known of. The types of a kind stay the same: only what was typed by
// the same ones can be compared.
type document struct {
	mu    sync.Mutex
	types map[string]managedfields.TypeConverter
}

// unread says that the types of a group version could not be read, which says nothing about the objects of its kinds.
type unread struct {
	schema.GroupVersion
	err error
}

// Error implements error.
func (u unread) Error() string {
	return fmt.Sprintf("reading the types of %s: %v", u.GroupVersion, u.err)
}

// Unwrap gives what went wrong.
func (u unread) Unwrap() error { return u.err }

// learn reads the types of kinds in advance, beside what else is to be done; the result waits for the end. What goes wrong is told to
// whoever needs the types.
func (c *catalog) learn(ctx context.Context, want []schema.GroupVersionKind) (wait func()) {
	kinds := map[schema.GroupVersion][]string{}
	for _, gvk := range want {
		kinds[gvk.GroupVersion()] = append(kinds[gvk.GroupVersion()], gvk.Kind)
	}
	var all sync.WaitGroup
	for gv, names := range kinds {
		all.Go(func() { _, _ = c.converter(ctx, gv, names...) })
	}
	return all.Wait
}

// converter gives the types of a kind of a group version, and has those of more kinds ready. A version without a document gets deduced
// types: every list is then replaced as a whole, as the server does for kinds without a schema.
func (c *catalog) converter(ctx context.Context, gv schema.GroupVersion, kinds ...string) (managedfields.TypeConverter, error) {
	c.mu.Lock()
	url := c.documents[gv]
	if url == "" {
		c.mu.Unlock()
		return managedfields.NewDeducedTypeConverter(), nil
	}
	d := c.types[url]
	if d == nil {
		d = &document{types: map[string]managedfields.TypeConverter{}}
		c.types[url] = d
	}
	c.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	fresh := map[string]bool{}
	for _, k := range kinds {
		if d.types[k] == nil {
			fresh[k] = true
		}
	}
	if len(fresh) > 0 {
		types, err := c.readTypes(ctx, url, gv, fresh)
		if err != nil {
			return nil, unread{gv, err}
		}
		for k := range fresh {
			d.types[k] = types
		}
	}
	return d.types[kinds[0]], nil
}

func (c *catalog) readTypes(ctx context.Context, url string, gv schema.GroupVersion, kinds map[string]bool) (managedfields.TypeConverter, error) {
	body, err := c.client.RESTClient().Get().RequestURI(url).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	var document struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, err
	}
	schemas, err := reached(document.Components.Schemas, gv, kinds)
	if err != nil {
		return nil, err
	}
	return managedfields.NewTypeConverter(schemas, false)
}

// pointer is how schemas of a document name each other.
var pointer = regexp.MustCompile(`"\$ref"\s*:\s*"#/components/schemas/([^"]+)"`)

// reached decodes the schemas of kinds, and all that they refer to.
func reached(all map[string]json.RawMessage, gv schema.GroupVersion, kinds map[string]bool) (map[string]*spec.Schema, error) {
	out := map[string]*spec.Schema{}
	var next []string
	for name, raw := range all {
		if describesOneOf(raw, gv, kinds) {
			next = append(next, name)
		}
	}
	for len(next) > 0 {
		name := next[len(next)-1]
		next = next[:len(next)-1]
		raw, there := all[name]
		if _, done := out[name]; done || !there {
			continue
		}
		s := &spec.Schema{}
		if err := json.Unmarshal(raw, s); err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		out[name] = s
		for _, ref := range pointer.FindAllSubmatch(raw, -1) {
			next = append(next, string(ref[1]))
		}
	}
	return out, nil
}

// describesOneOf reports whether a schema is that of a wanted kind (extension x-kubernetes-group-version-kind).
func describesOneOf(raw json.RawMessage, gv schema.GroupVersion, kinds map[string]bool) bool {
	const extension = "x-kubernetes-group-version-kind"
	if !bytes.Contains(raw, []byte(extension)) {
		return false
	}
	var said struct {
		Of []schema.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
	}
	return json.Unmarshal(raw, &said) == nil && slices.ContainsFunc(said.Of, func(k schema.GroupVersionKind) bool {
		return k.GroupVersion() == gv && kinds[k.Kind]
	})
}

// typed gives an object its type. Kinds that the document does not describe get a deduced type.
func (c *catalog) typed(ctx context.Context, t map[string]any) (*typed.TypedValue, error) {
	u := &unstructured.Unstructured{Object: t}
	gvk := u.GroupVersionKind()
	types, err := c.converter(ctx, gvk.GroupVersion(), gvk.Kind)
	if err != nil {
		return nil, err
	}
	// Lists with duplicate keys exist in live objects; the server allows them there too.
	v, err := types.ObjectToTyped(u, typed.AllowDuplicates)
	if err != nil {
		if v, deduced := managedfields.NewDeducedTypeConverter().ObjectToTyped(u); deduced == nil && !c.describes(types, u) {
			return v, nil
		}
	}
	return v, err
}

// pair gives two objects their types, to be merged or compared.
func (c *catalog) pair(ctx context.Context, a, b map[string]any) (first, second *typed.TypedValue, err error) {
	if first, err = c.typed(ctx, a); err == nil {
		second, err = c.typed(ctx, b)
	}
	return first, second, err
}

// describes reports whether the types know the kind at all: an empty object of it can be typed.
func (c *catalog) describes(types managedfields.TypeConverter, u *unstructured.Unstructured) bool {
	empty := &unstructured.Unstructured{Object: map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind()}}
	_, err := types.ObjectToTyped(empty)
	return err == nil
}
