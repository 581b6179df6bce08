package apply_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// thing is one object that git wants.
type thing struct {
	kind, namespace, name string
}

// state is what git says of a thing.
type state struct {
	overlay string
	// version is the value of a field that may change; fixed that of one that may not, in the kinds that have one.
	version, fixed int
}

// history is a git repository of one cluster that changes at random.
type history struct {
	id       string
	rand     *rand.Rand
	policy   string
	things   map[thing]state
	revision int
	serial   int
	// ever are the things that git had at some time.
	ever map[thing]bool
}

// kinds are what things are of; custom resources and namespaces come in groups.
var kinds = []string{"ConfigMap", "Secret", "ServiceAccount", "Service", "Role", "RoleBinding", "Deployment", "Frozen"}

// perKind is how many things of a kind there are at most.
const perKind = 6

func newHistory(id string, seed uint64) *history {
	h := &history{id: id, policy: faultPolicy, rand: rand.New(rand.NewPCG(seed, 5)), things: map[thing]state{}, ever: map[thing]bool{}}
	h.put(thing{"Namespace", "", id}, "base")
	for range 16 {
		h.add()
	}
	h.commit()
	return h
}

func (h *history) next() int {
	h.serial++
	return h.serial
}

func (h *history) put(t thing, overlay string) {
	h.things[t] = state{overlay, h.next(), h.next()}
	h.ever[t] = true
}

func (h *history) commit() { h.revision++ }

// any draws a thing that is not of the group kinds; false when there is none.
func (h *history) any() (thing, bool) {
	all := slices.SortedFunc(maps.Keys(h.things), func(a, b thing) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	all = slices.DeleteFunc(all, func(t thing) bool { return !slices.Contains(kinds, t.kind) || t.namespace != h.id })
	if len(all) == 0 {
		return thing{}, false
	}
	return all[h.rand.IntN(len(all))], true
}

func (h *history) overlays() []string {
	seen := map[string]bool{}
	for _, s := range h.things {
		seen[s.overlay] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// overlay draws an overlay that is there, or a new one.
func (h *history) overlay() string {
	all := h.overlays()
	if len(all) < 3 || h.rand.IntN(12) == 0 {
		return fmt.Sprintf("o%d", h.next())
	}
	return all[h.rand.IntN(len(all))]
}

// change makes one change of those that people make.
func (h *history) change() {
	t, found := h.any()
	s := h.things[t]
	switch n := h.rand.IntN(44); {
	case n < 10 || !found:
		h.add()
	case n < 20:
		s.version = h.next()
		h.things[t] = s
	case n < 25:
		delete(h.things, t)
	case n < 30:
		s.overlay = h.overlay()
		h.things[t] = s
	case n < 32:
		h.rename()
	case n < 36:
		s.fixed = h.next()
		h.things[t] = s
	case n < 38:
		h.toggleDefinition()
	case n < 39:
		h.toggleNamespace()
	case n < 43:
		h.toggleMany()
	default:
		h.touchAll()
	}
}

func (h *history) add() {
	kind := kinds[h.rand.IntN(len(kinds))]
	t := thing{kind, h.id, fmt.Sprintf("%s-%d", strings.ToLower(kind), h.rand.IntN(perKind))}
	if _, there := h.things[t]; !there {
		h.put(t, h.overlay())
	}
}

// rename gives an overlay another name.
func (h *history) rename() {
	all := h.overlays()
	from, to := all[h.rand.IntN(len(all))], fmt.Sprintf("r%d", h.next())
	for t, s := range h.things {
		if s.overlay == from {
			s.overlay = to
			h.things[t] = s
		}
	}
}

// touchAll changes every thing of an overlay, as a new release does.
func (h *history) touchAll() {
	all := h.overlays()
	overlay := all[h.rand.IntN(len(all))]
	for t, s := range h.things {
		if s.overlay == overlay {
			s.version = h.next()
			h.things[t] = s
		}
	}
}

func (h *history) definition() thing {
	return thing{"CustomResourceDefinition", "", "widgets." + h.id + ".example"}
}

// toggleDefinition adds or removes a definition with objects of its kind.
func (h *history) toggleDefinition() {
	h.toggle(h.definition(), thing{"Widget", h.id, "widget-0"}, thing{"Widget", h.id, "widget-1"})
}

// toggleNamespace adds or removes a namespace with its content.
func (h *history) toggleNamespace() {
	other := h.id + "-x"
	h.toggle(thing{"Namespace", "", other}, thing{"ConfigMap", other, "configmap-0"}, thing{"ServiceAccount", other, "serviceaccount-0"})
}

// toggleMany adds or removes so many things of a kind that they are created in bulk.
func (h *history) toggleMany() {
	const many = 12
	group := make([]thing, many)
	for i := range group {
		group[i] = thing{"ConfigMap", h.id, fmt.Sprintf("bulk-%d", i)}
	}
	h.toggle(group...)
}

func (h *history) toggle(group ...thing) {
	_, there := h.things[group[0]]
	for _, t := range group {
		if delete(h.things, t); !there {
			h.put(t, h.overlay())
		}
	}
}

// faultPolicy lets everything that git no longer has go: the firewall has tests of its own.
const faultPolicy = `prune: {maxShare: 1, maxCount: 10000}
hold: {destructive: false}
timeouts: {ready: 30s}
`

// snapshot is the repository as it is now.
func (h *history) snapshot() gitops.Snapshot {
	folder := "clusters/" + h.id
	files := fstest.MapFS{
		folder + "/cluster.yaml":   {Data: []byte("apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: " + h.id + ", region: eu-west-1}\n")},
		folder + "/reconcile.yaml": {Data: []byte(h.policy)},
	}
	texts := map[string][]string{}
	for t, s := range h.things {
		texts[s.overlay] = append(texts[s.overlay], t.manifest(s))
	}
	for overlay, docs := range texts {
		slices.Sort(docs)
		files[path.Join(folder, overlay, "kustomization.yaml")] = &fstest.MapFile{Data: []byte("resources: [objects.yaml]\n")}
		files[path.Join(folder, overlay, "objects.yaml")] = &fstest.MapFile{Data: []byte(strings.Join(docs, "---\n"))}
	}
	return gitops.Snapshot{Revision: gitops.Revision{Hash: fmt.Sprintf("%040x", h.revision)}, Files: files}
}

// manifest is a thing as git writes it.
func (t thing) manifest(s state) string {
	head := func(group, kind string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s, labels: {version: v%d}}\n", group, kind, t.name, t.namespace, s.version)
	}
	switch t.kind {
	case "Namespace":
		return fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {version: v%d}}\n", t.name, s.version)
	case "CustomResourceDefinition":
		_, group, _ := strings.Cut(t.name, ".")
		return fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %s, labels: {version: v%d}}
spec:
  group: %s
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}]
`, t.name, s.version, group)
	case "Widget":
		return head(t.namespace+".example/v1", "Widget") + fmt.Sprintf("spec: {size: %d}\n", s.version)
	case "ConfigMap":
		return head("v1", "ConfigMap") + fmt.Sprintf("data: {value: \"%d\", kept: always}\n", s.version)
	case "Frozen":
		return head("v1", "ConfigMap") + fmt.Sprintf("data: {fixed: \"%d\"}\nimmutable: true\n", s.fixed)
	case "Secret":
		return head("v1", "Secret") + fmt.Sprintf("stringData: {value: secret-%d}\n", s.version)
	case "ServiceAccount":
		return head("v1", "ServiceAccount")
	case "Service":
		return head("v1", "Service") + fmt.Sprintf("spec: {selector: {app: a%d}, ports: [{port: 80}]}\n", s.version)
	case "Role":
		return head("rbac.authorization.k8s.io/v1", "Role") + fmt.Sprintf("rules: [{apiGroups: [\"\"], resources: [pods], verbs: [get], resourceNames: [p%d]}]\n", s.version)
	case "RoleBinding":
		return head("rbac.authorization.k8s.io/v1", "RoleBinding") +
			fmt.Sprintf("roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: role-%d}\nsubjects: [{kind: User, name: u%d, apiGroup: rbac.authorization.k8s.io}]\n", s.fixed, s.version)
	case "Deployment":
		return head("apps/v1", "Deployment") + fmt.Sprintf(`spec:
  replicas: 0
  selector: {matchLabels: {app: a%d}}
  template:
    metadata: {labels: {app: a%d}}
    spec: {containers: [{name: c, image: "image:%d"}]}
`, s.fixed, s.fixed, s.version)
	}
	panic("no manifest of " + t.kind)
}

// replaceable reports whether a thing's fixed field is real, so that another value needs another object.
func (t thing) replaceable() bool {
	return t.kind == "Frozen" || t.kind == "RoleBinding" || t.kind == "Deployment"
}

// resource is where the API has things of a kind.
func (t thing) resource() (group, version, resource string) {
	switch t.kind {
	case "Namespace":
		return "", "v1", "namespaces"
	case "CustomResourceDefinition":
		return "apiextensions.k8s.io", "v1", "customresourcedefinitions"
	case "Widget":
		return t.namespace + ".example", "v1", "widgets"
	case "Deployment":
		return "apps", "v1", "deployments"
	case "Role", "RoleBinding":
		return "rbac.authorization.k8s.io", "v1", strings.ToLower(t.kind) + "s"
	case "Frozen":
		return "", "v1", "configmaps"
	}
	return "", "v1", strings.ToLower(t.kind) + "s"
}
