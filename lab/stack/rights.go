package stack

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// builtIn labels the roles that every cluster has: what is in them is not ours to narrow.
const builtIn = "kubernetes.io/bootstrapping"

// Granted is everything that roles of ours allow a service account ("namespace/name"), each once, sorted. Roles that every
// cluster has (system:auth-delegator) are left out; so is what all authenticated users may do.
func (c *Cluster) Granted(t testing.TB, account string) []Permission {
	t.Helper()
	namespace, name := split(t, account)
	var out []Permission
	clusterBindings, err := c.Kube.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range clusterBindings.Items {
		if binds(b.Subjects, "", namespace, name) {
			out = append(out, c.rules(t, b.RoleRef, "", "")...)
		}
	}
	bindings, err := c.Kube.RbacV1().RoleBindings("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bindings.Items {
		if binds(b.Subjects, b.Namespace, namespace, name) {
			out = append(out, c.rules(t, b.RoleRef, b.Namespace, b.Namespace)...)
		}
	}
	return sorted(out)
}

func binds(subjects []rbacv1.Subject, home, namespace, name string) bool {
	return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
		if s.Namespace == "" {
			s.Namespace = home
		}
		return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == namespace && s.Name == name
	})
}

// rules are a role's, one by one, valid in a namespace or ("") everywhere.
func (c *Cluster) rules(t testing.TB, ref rbacv1.RoleRef, home, valid string) []Permission {
	t.Helper()
	var rules []rbacv1.PolicyRule
	var labels map[string]string
	if ref.Kind == "Role" {
		role, err := c.Kube.RbacV1().Roles(home).Get(t.Context(), ref.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rules, labels = role.Rules, role.Labels
	} else {
		role, err := c.Kube.RbacV1().ClusterRoles().Get(t.Context(), ref.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rules, labels = role.Rules, role.Labels
	}
	if labels[builtIn] != "" {
		return nil
	}
	var out []Permission
	for _, rule := range rules {
		out = append(out, expand(rule, valid)...)
	}
	return out
}

func expand(rule rbacv1.PolicyRule, namespace string) []Permission {
	var out []Permission
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, verb := range rule.Verbs {
		for _, path := range rule.NonResourceURLs {
			out = append(out, Permission{Verb: verb, Path: path})
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					out = append(out, Permission{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name})
				}
			}
		}
	}
	return out
}

// covers tells whether a grant is what allowed a use. A wildcard never is: it allows more than anybody used.
func (p Permission) covers(use Permission) bool {
	return p.Verb == use.Verb && p.Group == use.Group && p.Resource == use.Resource && p.Path == use.Path &&
		(p.Namespace == "" || p.Namespace == use.Namespace) && (p.Name == "" || p.Name == use.Name)
}

// LeastPrivilege checks that roles grant a service account nothing that it has not used in this test. Unused lists what is granted
// all the same, each with the reason; an entry that is not granted, or was used, fails too. An entry without a name or namespace stands for
// all of that verb and resource.
func (c *Cluster) LeastPrivilege(t testing.TB, account string, unused map[string]string) {
	t.Helper()
	granted := c.Granted(t, account)
	if len(granted) == 0 {
		t.Errorf("%s is granted nothing by roles of ours: is it the right account?", account)
	}
	var extra []Permission
	err := poll(t, account+" to use what it is granted", func(context.Context) (bool, error) {
		extra = beyond(granted, c.Used(t, account))
		return !slices.ContainsFunc(extra, func(p Permission) bool { return reason(unused, p) == "" }), nil
	})
	if err != nil {
		for _, p := range extra {
			if reason(unused, p) == "" {
				t.Errorf("%s is granted %q and has not used it: take it away, or say why it stays", account, p)
			}
		}
		t.Logf("%s used:\n%s", account, lines(c.Used(t, account)))
	}
	for _, text := range slices.Sorted(maps.Keys(unused)) {
		if !slices.ContainsFunc(extra, func(p Permission) bool { return reason(map[string]string{text: "known"}, p) != "" }) {
			t.Errorf("%q of %s is listed as unused but was used, or is not granted: take it off the list", text, account)
		}
	}
}

// beyond are the grants that no use needed.
func beyond(granted, used []Permission) []Permission {
	return slices.DeleteFunc(slices.Clone(granted), func(grant Permission) bool {
		return slices.ContainsFunc(used, grant.covers)
	})
}

// reason is why a grant may stay unused.
func reason(unused map[string]string, p Permission) string {
	if why := unused[p.String()]; why != "" {
		return why
	}
	return strings.TrimSpace(unused[Permission{Verb: p.Verb, Group: p.Group, Resource: p.Resource, Path: p.Path}.String()])
}
