package plan

import (
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// naming is one object named by another, and as what.
type naming struct {
	to  gitops.Ref
	why string
}

func object(group, kind, namespace, name string) gitops.Ref {
	return gitops.Ref{Domain: gitops.K8s, Group: group, Kind: kind, Namespace: namespace, Name: name}
}

// names lists the objects that a Kubernetes object names and that must be there for it to work: its namespace, and what
// its content refers to. Whether they exist is not asked.
func names(r gitops.Ref, t gitops.Tree) []naming {
	n := namer{namespace: r.Namespace}
	if r.Namespace != "" {
		n.add("", "Namespace", "", r.Namespace, "its namespace")
	}
	if pod := podSpec(r, t); pod != nil {
		n.pod(pod)
	}
	switch r.Group + "/" + r.Kind {
	case "apps/StatefulSet":
		n.add("", "Service", n.namespace, gitops.StringAt(t, "spec", "serviceName"), "its service")
		for _, claim := range trees(t, "spec", "volumeClaimTemplates") {
			n.add("storage.k8s.io", "StorageClass", "", gitops.StringAt(claim, "spec", "storageClassName"), "its storage class")
		}
	case "/PersistentVolumeClaim":
		n.add("storage.k8s.io", "StorageClass", "", gitops.StringAt(t, "spec", "storageClassName"), "its storage class")
		n.add("", "PersistentVolume", "", gitops.StringAt(t, "spec", "volumeName"), "its volume")
	case "/PersistentVolume":
		n.add("storage.k8s.io", "StorageClass", "", gitops.StringAt(t, "spec", "storageClassName"), "its storage class")
	case "/ServiceAccount":
		for _, secret := range trees(t, "imagePullSecrets") {
			n.add("", "Secret", n.namespace, gitops.StringAt(secret, "name"), "its pull secret")
		}
	case "/Secret":
		// The token controller deletes a token whose account is not there.
		if gitops.StringAt(t, "type") == "kubernetes.io/service-account-token" {
			n.add("", "ServiceAccount", n.namespace, gitops.StringAt(t, "metadata", "annotations", "kubernetes.io/service-account.name"), "its service account")
		}
	case "networking.k8s.io/Ingress":
		n.add("networking.k8s.io", "IngressClass", "", gitops.StringAt(t, "spec", "ingressClassName"), "its ingress class")
		for _, tls := range trees(t, "spec", "tls") {
			n.add("", "Secret", n.namespace, gitops.StringAt(tls, "secretName"), "its certificate")
		}
	case "rbac.authorization.k8s.io/RoleBinding", "rbac.authorization.k8s.io/ClusterRoleBinding":
		n.role(t)
	}
	return n.found
}

type namer struct {
	namespace string
	found     []naming
}

func (n *namer) add(group, kind, namespace, name, why string) {
	if name != "" {
		n.found = append(n.found, naming{object(group, kind, namespace, name), why})
	}
}

// role names what a binding grants. The API server looks the role up when a binding is written by anyone who does not hold
// its rights already (RBAC privilege escalation prevention).
func (n *namer) role(t gitops.Tree) {
	kind, namespace := gitops.StringAt(t, "roleRef", "kind"), ""
	if kind == "Role" {
		namespace = n.namespace
	}
	n.add("rbac.authorization.k8s.io", kind, namespace, gitops.StringAt(t, "roleRef", "name"), "its role")
}

// podSpec is the pod spec inside a workload; nil for what runs no pods.
func podSpec(r gitops.Ref, t gitops.Tree) gitops.Tree {
	switch {
	case !workload(r):
		return nil
	case r.Kind == "Pod":
		return gitops.TreeAt(t, "spec")
	case r.Kind == "CronJob":
		return gitops.TreeAt(t, "spec", "jobTemplate", "spec", "template", "spec")
	}
	return gitops.TreeAt(t, "spec", "template", "spec")
}

// podLabels are the labels of the pods that a workload runs.
func podLabels(r gitops.Ref, t gitops.Tree) map[string]string {
	switch r.Kind {
	case "Pod":
		return gitops.StringsAt(t, "metadata", "labels")
	case "CronJob":
		return gitops.StringsAt(t, "spec", "jobTemplate", "spec", "template", "metadata", "labels")
	}
	return gitops.StringsAt(t, "spec", "template", "metadata", "labels")
}

// serviceAccount is the account that a workload's pods run as.
func serviceAccount(pod gitops.Tree) string {
	for _, field := range []string{"serviceAccountName", "serviceAccount"} {
		if name := gitops.StringAt(pod, field); name != "" {
			return name
		}
	}
	return "default"
}

func (n *namer) pod(pod gitops.Tree) {
	n.add("", "ServiceAccount", n.namespace, serviceAccount(pod), "its service account")
	n.add("scheduling.k8s.io", "PriorityClass", "", gitops.StringAt(pod, "priorityClassName"), "its priority class")
	n.add("node.k8s.io", "RuntimeClass", "", gitops.StringAt(pod, "runtimeClassName"), "its runtime class")
	for _, secret := range trees(pod, "imagePullSecrets") {
		n.add("", "Secret", n.namespace, gitops.StringAt(secret, "name"), "its pull secret")
	}
	for _, volume := range trees(pod, "volumes") {
		n.volume(volume)
	}
	for _, list := range []string{"initContainers", "containers"} {
		for _, container := range trees(pod, list) {
			n.container(container)
		}
	}
}

func (n *namer) volume(v gitops.Tree) {
	n.add("", "ConfigMap", n.namespace, gitops.StringAt(v, "configMap", "name"), "its volume")
	n.add("", "Secret", n.namespace, gitops.StringAt(v, "secret", "secretName"), "its volume")
	n.add("", "Secret", n.namespace, gitops.StringAt(v, "csi", "nodePublishSecretRef", "name"), "its volume")
	n.add("", "PersistentVolumeClaim", n.namespace, gitops.StringAt(v, "persistentVolumeClaim", "claimName"), "its volume")
	for _, source := range trees(v, "projected", "sources") {
		n.add("", "ConfigMap", n.namespace, gitops.StringAt(source, "configMap", "name"), "its volume")
		n.add("", "Secret", n.namespace, gitops.StringAt(source, "secret", "name"), "its volume")
	}
}

func (n *namer) container(c gitops.Tree) {
	for _, source := range trees(c, "envFrom") {
		n.add("", "ConfigMap", n.namespace, gitops.StringAt(source, "configMapRef", "name"), "its environment")
		n.add("", "Secret", n.namespace, gitops.StringAt(source, "secretRef", "name"), "its environment")
	}
	for _, env := range trees(c, "env") {
		n.add("", "ConfigMap", n.namespace, gitops.StringAt(env, "valueFrom", "configMapKeyRef", "name"), "its environment")
		n.add("", "Secret", n.namespace, gitops.StringAt(env, "valueFrom", "secretKeyRef", "name"), "its environment")
	}
}

// trees are the objects of the list at a path.
func trees(t gitops.Tree, path ...string) []gitops.Tree {
	list := gitops.ListAt(t, path...)
	out := make([]gitops.Tree, 0, len(list))
	for _, item := range list {
		if m, ok := item.(gitops.Tree); ok {
			out = append(out, m)
		}
	}
	return out
}

// backends are the Services that answer for a webhook configuration or an APIService.
func backends(r gitops.Ref, t gitops.Tree) []gitops.Ref {
	var out []gitops.Ref
	add := func(service gitops.Tree) {
		if name := gitops.StringAt(service, "name"); name != "" {
			out = append(out, object("", "Service", gitops.StringAt(service, "namespace"), name))
		}
	}
	switch r.Group + "/" + r.Kind {
	case "admissionregistration.k8s.io/ValidatingWebhookConfiguration", "admissionregistration.k8s.io/MutatingWebhookConfiguration":
		for _, hook := range trees(t, "webhooks") {
			add(gitops.TreeAt(hook, "clientConfig", "service"))
		}
	case "apiregistration.k8s.io/APIService":
		add(gitops.TreeAt(t, "spec", "service"))
	}
	return out
}

// dependsOn is the annotation by which people order objects (sigs.k8s.io/cli-utils, object/dependson).
const dependsOn = "config.kubernetes.io/depends-on"

// parseDependsOn reads its value: a comma-separated list of GROUP/namespaces/NAMESPACE/KIND/NAME for objects in a namespace
// and GROUP/KIND/NAME for others, the group empty for the core group. The second result lists what could not be read.
func parseDependsOn(value string) (refs []gitops.Ref, bad []string) {
	for part := range strings.SplitSeq(value, ",") {
		part = strings.TrimSpace(part)
		switch f := strings.Split(part, "/"); {
		case len(f) == 3 && f[1] != "" && f[2] != "":
			refs = append(refs, object(f[0], f[1], "", f[2]))
		case len(f) == 5 && f[1] == "namespaces" && f[2] != "" && f[3] != "" && f[4] != "":
			refs = append(refs, object(f[0], f[3], f[2], f[4]))
		default:
			bad = append(bad, part)
		}
	}
	return refs, bad
}
