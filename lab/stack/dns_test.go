package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// TestExternalDNSReplay makes the calls of external-dns as our service account, for it cannot be built from modules here: the caches of
// its sources service and ingress (source/service.go, source/ingress.go at v0.22.0), which are all it asks the API server for. Its
// arguments are checked one by one, and the facts of the overlay are in them.
func TestExternalDNSReplay(t *testing.T) {
	t.Parallel()
	c := stack.Start(t, stack.Options{Nodes: 1})
	const account = "external-dns/external-dns"
	c.Base(t, "addons/external-dns", "cluster-facts")
	args := argsOf(t, c.Kube, "external-dns", "external-dns")
	if words := checkFlags(t, "external-dns", args); len(words) > 0 {
		t.Errorf("external-dns takes no words, but is given %q", words)
	}
	// What the program or we require: without --policy it does not start, and without a zone or an owner it must do nothing.
	for flag, allowed := range map[string][]string{
		"--policy":   {"upsert-only", "create-only", "sync"},
		"--registry": {"txt"}, "--provider": {"aws"},
		"--txt-owner-id": {"$(OWNER)"}, "--domain-filter": {"$(ZONE)"},
	} {
		var values []string
		for _, arg := range args {
			if value, ok := strings.CutPrefix(arg, flag+"="); ok {
				values = append(values, value)
			}
		}
		if len(values) != 1 || !slices.Contains(allowed, values[0]) {
			t.Errorf("%s is %q, want one of %q", flag, values, allowed)
		}
	}
	env := map[string]string{}
	for _, variable := range c.Pod(t, "Deployment external-dns/external-dns").Spec.Containers[0].Env {
		env[variable.Name] = variable.Value
	}
	if env["OWNER"] != "lab" || env["ZONE"] != "unset.invalid" {
		t.Errorf("the facts in the environment are %q, want the cluster's name and a zone that is nobody's", env)
	}

	a := newActor(t, c, account)
	a.informs(t, "", resources("", "v1", "nodes", "pods", "services")...)
	a.informs(t, "", resources("discovery.k8s.io", "v1", "endpointslices")...)
	a.informs(t, "", resources("networking.k8s.io", "v1", "ingresses")...)
	if refused := c.Refused(t, account); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	c.LeastPrivilege(t, account, nil)

	c.Base(t, "addons/external-dns", "cluster-facts", "irsa")
	if role := c.Account(t, account).Annotations["eks.amazonaws.com/role-arn"]; role != "arn:aws:iam::111122223333:role/external-dns-external-dns" {
		t.Errorf("the component irsa sets the role %q", role)
	}
}

// TestHeadlampLogins: the dashboard has no rights of its own, and the login for readers reads and does nothing else.
func TestHeadlampLogins(t *testing.T) {
	t.Parallel()
	c := stack.Start(t, stack.Options{Nodes: 1})
	c.Base(t, "addons/headlamp", "reader")
	if granted := c.Granted(t, "headlamp/headlamp"); len(granted) > 0 {
		t.Errorf("the dashboard's own account is granted %v", granted)
	}
	pod := c.Pod(t, "Deployment headlamp/headlamp")
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if token := source.ServiceAccountToken; token != nil && token.Audience != "headlamp" {
				t.Errorf("the pod holds a token for %q, which the API server may take", token.Audience)
			}
		}
	}
	for verb, allowed := range map[string]bool{
		"list pods": true, "get configmaps": true, "list nodes": true, "list deployments.apps": true, "list storageclasses.storage.k8s.io": true,
		"get secrets": false, "list secrets": false, "delete pods": false, "create pods": false, "patch deployments.apps": false,
		"create pods/exec": false, "impersonate users": false, "update nodes": false, "create serviceaccounts/token": false,
	} {
		if got := c.May(t, "headlamp/reader", verb); got != allowed {
			t.Errorf("the reader may %s: %t, want %t", verb, got, allowed)
		}
	}
}
