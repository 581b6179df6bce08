package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Labels and annotations of KEP-3659 (ApplySet: kubectl apply --prune redesign and graduation).
const (
	// partOf labels members with the id of their set.
	partOf = "applyset.kubernetes.io/part-of"
	// setID labels the parent with its own id.
	setID = "applyset.kubernetes.io/id"
	// tooling names the tool that owns the set; others must not change it.
	tooling = "applyset.kubernetes.io/tooling"
	// groupKinds lists the kinds of the members, "Kind.group" sorted and separated by commas: a superset while a change is
	// under way.
	groupKinds = "applyset.kubernetes.io/contains-group-kinds"
	// namespaces lists the members' namespaces other than the parent's own.
	namespaces = "applyset.kubernetes.io/additional-namespaces"
)

// Our own annotations on a parent: which overlay of which cluster it stands for.
const (
	ofOverlay = "reconciler.eks-gitops.io/overlay"
	ofCluster = "reconciler.eks-gitops.io/cluster"
)

// parent is the ConfigMap that stands for one overlay's set.
type parent struct {
	Namespace, Name string
	overlay         string
	kinds           map[schema.GroupKind]bool
	namespaces      map[string]bool
	uid             string
}

// parentName is the name of an overlay's parent: readable, unique and stable. Overlay names hold slashes and may be long.
func parentName(cluster, overlay string) string {
	sum := sha256.Sum256([]byte(cluster + "\x00" + overlay))
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, overlay)
	slug = strings.Trim(slug[:min(len(slug), 40)], "-")
	if slug == "" {
		slug = "overlay"
	}
	return "set-" + slug + "-" + hex.EncodeToString(sum[:5])
}

// id is the KEP's V1 id: applyset-<base64url(sha256(name.namespace.kind.group))>-v1.
func (p parent) id() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Name, p.Namespace, "ConfigMap", ""}, ".")))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}

// object is the parent as it is applied.
func (p parent) object(cluster, tool string) gitops.Tree {
	annotations := gitops.Tree{
		tooling:    tool,
		groupKinds: p.kindText(),
		ofOverlay:  p.overlay,
		ofCluster:  cluster,
	}
	if others := p.namespaceText(); others != "" {
		annotations[namespaces] = others
	}
	return gitops.Tree{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": gitops.Tree{
			"name": p.Name, "namespace": p.Namespace,
			"labels":      gitops.Tree{setID: p.id(), "app.kubernetes.io/managed-by": "reconciler"},
			"annotations": annotations,
		},
	}
}

func (p parent) kindText() string {
	var out []string
	for gk := range p.kinds {
		out = append(out, gk.String())
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func (p parent) namespaceText() string {
	var out []string
	for ns := range p.namespaces {
		if ns != p.Namespace && ns != "" {
			out = append(out, ns)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// readParent reads a live parent; false when the object is not a parent of ours: another tool's, or one whose label does not
// match its name (KEP: such a parent must be refused).
func readParent(u *unstructured.Unstructured, cluster string) (parent, bool) {
	a := u.GetAnnotations()
	p := parent{Namespace: u.GetNamespace(), Name: u.GetName(), overlay: a[ofOverlay], uid: string(u.GetUID())}
	tool, _, _ := strings.Cut(a[tooling], "/")
	if tool != userAgent || a[ofCluster] != cluster || u.GetLabels()[setID] != p.id() {
		return parent{}, false
	}
	p.kinds, p.namespaces = map[schema.GroupKind]bool{}, map[string]bool{}
	for text := range strings.SplitSeq(a[groupKinds], ",") {
		if text != "" {
			p.kinds[schema.ParseGroupKind(text)] = true
		}
	}
	for ns := range strings.SplitSeq(a[namespaces], ",") {
		if ns != "" {
			p.namespaces[ns] = true
		}
	}
	return p, true
}

// covers reports whether the parent says at least what q says.
func (p parent) covers(q parent) bool {
	for gk := range q.kinds {
		if !p.kinds[gk] {
			return false
		}
	}
	for ns := range q.namespaces {
		if ns != "" && ns != p.Namespace && !p.namespaces[ns] {
			return false
		}
	}
	return true
}

// include adds a member's kind and namespace.
func (p *parent) include(k key) {
	if p.kinds == nil {
		p.kinds, p.namespaces = map[schema.GroupKind]bool{}, map[string]bool{}
	}
	p.kinds[k.GroupKind] = true
	if k.Namespace != "" {
		p.namespaces[k.Namespace] = true
	}
}

func (p parent) clone() parent {
	p.kinds, p.namespaces = maps.Clone(p.kinds), maps.Clone(p.namespaces)
	return p
}
