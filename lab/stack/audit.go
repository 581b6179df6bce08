package stack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Permission is one thing that one may do, or has done. Its text form is what allow lists hold:
//
//	get pods                                          in every namespace
//	update leases.coordination.k8s.io:lock in system  one object of one namespace
//	create pods/eviction                              a subresource
//	get /metrics                                      a path that is no object
type Permission struct {
	Verb, Group, Resource string
	// Namespace empty means all of them, or none; Name empty means all objects.
	Namespace, Name string
	// Path is set instead of all others but Verb.
	Path string
}

func (p Permission) String() string {
	if p.Path != "" {
		return p.Verb + " " + p.Path
	}
	resource, sub, _ := strings.Cut(p.Resource, "/")
	text := p.Verb + " " + resource
	if p.Group != "" {
		text += "." + p.Group
	}
	if sub != "" {
		text += "/" + sub
	}
	if p.Name != "" {
		text += ":" + p.Name
	}
	if p.Namespace != "" {
		text += " in " + p.Namespace
	}
	return text
}

// Used are the things that a service account ("namespace/name") has asked for and was allowed to do, each once, sorted.
func (c *Cluster) Used(t testing.TB, account string) []Permission {
	t.Helper()
	used, _ := c.asked(t, account)
	return used
}

// Refused are the things that it asked for and was not allowed to do.
func (c *Cluster) Refused(t testing.TB, account string) []Permission {
	t.Helper()
	_, refused := c.asked(t, account)
	return refused
}

// AwaitUse waits until a service account has used permissions, given as text without names and namespaces: "watch pods".
func (c *Cluster) AwaitUse(t testing.TB, account string, permissions ...string) {
	t.Helper()
	var missing []string
	err := poll(t, account+" to use permissions", func(context.Context) (bool, error) {
		used := c.Used(t, account)
		missing = slices.DeleteFunc(slices.Clone(permissions), func(text string) bool {
			return slices.ContainsFunc(used, func(p Permission) bool {
				return text == p.String() || text == Permission{Verb: p.Verb, Group: p.Group, Resource: p.Resource, Path: p.Path}.String()
			})
		})
		return len(missing) == 0, nil
	})
	if err != nil {
		t.Fatalf("%v: %s did not %s; it used:\n%s", err, account, strings.Join(missing, ", "), lines(c.Used(t, account)))
	}
}

func lines(permissions []Permission) string {
	var out strings.Builder
	for _, p := range permissions {
		_, _ = fmt.Fprintf(&out, "\t%s\n", p)
	}
	return out.String()
}

// asked reads the audit log.
func (c *Cluster) asked(t testing.TB, account string) (used, refused []Permission) {
	t.Helper()
	namespace, name := split(t, account)
	user := []byte("system:serviceaccount:" + namespace + ":" + name)
	content, err := os.ReadFile(c.Plane.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(bytes.NewReader(content))
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		if !bytes.Contains(scanner.Bytes(), user) {
			continue
		}
		var event auditv1.Event
		if json.Unmarshal(scanner.Bytes(), &event) != nil || event.User.Username != string(user) {
			continue // the last line may be on its way
		}
		permissions := permissionsOf(&event)
		if event.Annotations["authorization.k8s.io/decision"] == "forbid" {
			refused = append(refused, permissions...)
		} else {
			used = append(used, permissions...)
		}
	}
	return sorted(used), sorted(refused)
}

func sorted(permissions []Permission) []Permission {
	slices.SortFunc(permissions, func(a, b Permission) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(permissions)
}

// permissionsOf are those that a request needed. An apply of an object that was not there needed the right to create it, too.
func permissionsOf(event *auditv1.Event) []Permission {
	ref := event.ObjectRef
	if ref == nil {
		path, _, _ := strings.Cut(event.RequestURI, "?")
		return []Permission{{Verb: event.Verb, Path: path}}
	}
	p := Permission{Verb: event.Verb, Group: ref.APIGroup, Resource: ref.Resource, Namespace: ref.Namespace, Name: ref.Name}
	if ref.Subresource != "" {
		p.Resource += "/" + ref.Subresource
	}
	if event.Verb == "create" {
		p.Name = "" // the authorizer does not look at it: it may be generated
	}
	out := []Permission{p}
	if event.Verb == "patch" && event.Stage == auditv1.StageResponseComplete && event.ResponseStatus != nil && event.ResponseStatus.Code == http.StatusCreated {
		p.Verb, p.Name = "create", ""
		out = append(out, p)
	}
	return out
}
