package stack_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// TestNodeLocalDNS checks what can be checked of a program that cannot be built from modules: the Service that its environment names
// is there before the DaemonSet, the address of kube-dns is the cluster's, and the Corefile is whole once everybody has filled in
// their part.
func TestNodeLocalDNS(t *testing.T) {
	t.Parallel()
	c := stack.Start(t, stack.Options{Nodes: 1})
	service := firstSeen(t, c, resources("", "v1", "services")[0], "kube-dns-upstream")
	daemons := firstSeen(t, c, resources("apps", "v1", "daemonsets")[0], "node-local-dns")
	c.Base(t, "addons/node-local-dns", "cluster-facts")
	if s, d := service(), daemons(); s >= d {
		t.Errorf("the Service came at version %d, the DaemonSet at %d: its pods may not know the Service", s, d)
	}
	set, err := c.Kube.AppsV1().DaemonSets("kube-system").Get(t.Context(), "node-local-dns", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	container := set.Spec.Template.Spec.Containers[0]
	address := ""
	for _, variable := range container.Env {
		if variable.Name == "KUBE_DNS_IP" {
			address = variable.Value
		}
	}
	if address != c.Plane.DNS() {
		t.Errorf("kube-dns is said to be at %q, it is at %s", address, c.Plane.DNS())
	}
	if i := slices.Index(container.Args, "-localip"); i < 0 || container.Args[i+1] != "169.254.20.10,$(KUBE_DNS_IP)" {
		t.Errorf("the arguments are %q", container.Args)
	}
	config, err := c.Kube.CoreV1().ConfigMaps("kube-system").Get(t.Context(), "node-local-dns", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	corefile := strings.NewReplacer("{$KUBE_DNS_IP}", address, "__PILLAR__CLUSTER__DNS__", "10.100.3.4", "__PILLAR__UPSTREAM__SERVERS__", "192.168.0.2").Replace(config.Data["Corefile"])
	checkCorefile(t, corefile)
}

// firstSeen waits for an object of kube-system to appear and tells the version at which it did. Versions are of one store, so they order
// objects of all kinds.
func firstSeen(t *testing.T, c *stack.Cluster, r schema.GroupVersionResource, name string) func() int {
	t.Helper()
	events, err := c.Objects.Resource(r).Namespace("kube-system").Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	return func() int {
		t.Helper()
		defer events.Stop()
		for event := range events.ResultChan() {
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok || event.Type != watch.Added {
				continue
			}
			version, err := strconv.Atoi(object.GetResourceVersion())
			if err != nil {
				t.Fatal(err)
			}
			return version
		}
		t.Fatalf("%s did not appear", name)
		return 0
	}
}

// checkCorefile checks that nothing is left to fill in, that blocks end, and that addresses are addresses.
func checkCorefile(t *testing.T, corefile string) {
	t.Helper()
	if left := regexp.MustCompile(`__\w+__|\{\$\w+\}|%\w+%`).FindString(corefile); left != "" {
		t.Errorf("nobody fills in %s", left)
	}
	depth := 0
	for line := range strings.Lines(corefile) {
		depth += strings.Count(line, "{") - strings.Count(line, "}")
		words := strings.Fields(line)
		var addresses []string
		switch {
		case len(words) > 1 && words[0] == "bind":
			addresses = words[1:]
		case len(words) > 2 && words[0] == "forward":
			addresses = slices.DeleteFunc(slices.Clone(words[2:]), func(w string) bool { return w == "{" })
		}
		for _, a := range addresses {
			if _, err := netip.ParseAddr(a); err != nil {
				t.Errorf("%s: %v", strings.TrimSpace(line), err)
			}
		}
	}
	if depth != 0 {
		t.Errorf("%d blocks are not closed", depth)
	}
	if binds := strings.Count(corefile, "bind 169.254.20.10 "); binds != strings.Count(corefile, ":53 {") {
		t.Errorf("of the servers, %d listen on the link-local address", binds)
	}
}
