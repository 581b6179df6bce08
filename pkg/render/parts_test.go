package render_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

// shapes are objects of kinds that refer to each other, and of kinds that nobody knows.
func shapes() []string {
	return []string{
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, namespace: NS, labels: {own: x}}\ndata: {a: b}\n",
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: NAME, namespace: NS}\n",
		"apiVersion: v1\nkind: Service\nmetadata: {name: NAME, namespace: NS}\nspec: {selector: {app: o0-0}, ports: [{port: 80}]}\n",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME, namespace: NS, labels: {own: x}}\nspec: {replicas: 1, selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {serviceAccountName: OTHER, containers: [{name: a, image: 'web:1', envFrom: [{configMapRef: {name: OTHER}}]}]}}}\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: NAME, namespace: NS}\nrules: [{apiGroups: [''], resources: [configmaps], resourceNames: [OTHER], verbs: [get]}]\n",
		"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: NAME, namespace: NS}\nspec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: OTHER}}\n",
		"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: NAME, namespace: NS}\nspec: {serviceAccountName: OTHER}\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: NAME, namespace: NS}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: OTHER}\nsubjects: [{kind: ServiceAccount, name: OTHER, namespace: NS}, {kind: ServiceAccount, name: default}]\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: NAME}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: OTHER}\nsubjects: [{kind: ServiceAccount, name: OTHER}]\n",
		"apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: NAME}\nwebhooks: [{name: a.example.com, clientConfig: {service: {name: OTHER, namespace: NS}}}]\n",
		"apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: NAME}\nspec: {group: g, service: {name: OTHER, namespace: NS}}\n",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: NAME}\n",
	}
}

// forest makes overlays that can be cut: bases, components, and operators that look at one object at a time.
type forest struct {
	*rand.Rand
	files map[string]string
	// names are those of all objects; deployments those of Deployments, by the folder they pass through.
	names       []string
	deployments map[string][]string
	// bindings are planted instead of patches that may hit any kind; housed says that there is a Namespace.
	bindings, housed bool
}

func (f *forest) often(text string) string {
	if f.IntN(2) == 0 {
		return text
	}
	return ""
}

// object is one of any kind, with references to any other.
func (f *forest) object(folder, name string) string {
	all := shapes()
	if !f.bindings {
		all = slices.DeleteFunc(all, func(s string) bool { return strings.Contains(s, "Binding") || strings.Contains(s, "Webhook") })
	}
	at := f.IntN(len(all))
	for f.housed && strings.Contains(all[at], "kind: Namespace\nmeta") {
		at = f.IntN(len(all)) // a second one may get the name of the first
	}
	f.housed = f.housed || strings.Contains(all[at], "kind: Namespace\nmeta")
	if strings.Contains(all[at], "kind: Deployment\nmeta") {
		f.deployments[folder] = append(f.deployments[folder], name)
	}
	return strings.NewReplacer("NAME", name, "OTHER", f.names[f.IntN(len(f.names))], "NS", []string{"old", "older"}[f.IntN(2)]).Replace(all[at])
}

// folder writes a kustomization with some files, and gives the Deployments that pass through it.
func (f *forest) folder(folder, prefix string, resources []string, kind string) {
	for i := range 3 + f.IntN(8) {
		text := ""
		for n := range 1 + f.IntN(3) {
			text += "---\n" + f.object(folder, fmt.Sprintf("%s%d-%d", prefix, i, n))
		}
		name := fmt.Sprintf("f%d.yaml", i)
		f.files[path.Join(folder, name)] = text
		resources = append(resources, name)
	}
	f.kustomization(folder, kind, resources)
}

func (f *forest) kustomization(folder, kind string, resources []string) {
	text := kind
	for _, line := range []string{
		"labels: [{pairs: {team: " + folder + "}, includeSelectors: true}]\n", "commonAnnotations: {note: b}\n",
		"images: [{name: web, newTag: '2'}]\n", "buildMetadata: [managedByLabel]\n",
	} {
		text += f.often(line)
	}
	patches := ""
	if !f.bindings {
		patches = "patches:\n"
	}
	patches += f.often("- target: {labelSelector: own=x}\n  patch: |-\n    - {op: add, path: /metadata/labels/patched, value: "+folder+"}\n") +
		f.often("- target: {kind: Deploy.*}\n  path: all.yaml\n")
	f.files[path.Join(folder, "all.yaml")] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {minReadySeconds: 3}\n"
	if of := f.deployments[folder]; len(of) > 0 {
		text += f.often("replicas: [{name: " + of[0] + ", count: 4}]\n")
	}
	text += f.often("metadata: {name: x}\n")
	if strings.Count(patches, "\n") > 1 && !f.bindings {
		text += patches
	}
	f.files[path.Join(folder, "kustomization.yaml")] = text + "resources: [" + strings.Join(resources, ", ") + "]\n"
}

// newForest plants one: base below middle below the overlay, and a component of the overlay.
func newForest(r *rand.Rand) *forest {
	f := &forest{Rand: r, files: map[string]string{}, deployments: map[string][]string{}, bindings: r.IntN(2) == 0}
	for _, prefix := range []string{"b", "m", "c", "t"} {
		for i := range 11 {
			f.names = append(f.names, fmt.Sprintf("%s%d-%d", prefix, i, r.IntN(3)))
		}
	}
	f.folder("base", "b", nil, "namespace: based\n")
	f.folder("middle", "m", []string{"../base"}, f.often("namespace: middle\n"))
	component := "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
	f.folder("component", "c", nil, component)
	f.files["empty/kustomization.yaml"] = component + "replicas: [{name: scaled, count: 3}]\npatches: [{path: p.yaml}]\n"
	f.files["empty/p.yaml"] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: scaled}\nspec: {paused: true}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: served}\nspec: {type: NodePort}\n"
	f.files["base/scaled.yaml"] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: scaled}\nspec: {replicas: 1}\n"
	f.files["all/served.yaml"] = "apiVersion: v1\nkind: Service\nmetadata: {name: served}\nspec: {ports: [{port: 1}]}\n"
	f.files["base/kustomization.yaml"] = strings.ReplaceAll(f.files["base/kustomization.yaml"], "resources: [", "resources: [scaled.yaml, ")
	f.folder("all", "t", []string{"../middle", "served.yaml"}, f.often("namespace: new\n")+"components: [../component, ../empty]\n")
	return f
}

// repository puts the overlay where a cluster has it.
func (f *forest) repository() fstest.MapFS {
	out := fstest.MapFS{"clusters/dev/cluster.yaml": {Data: []byte(config)}}
	for name, text := range f.files {
		if folder, file := path.Split(name); folder != "all/" {
			out[name] = &fstest.MapFile{Data: []byte(text)}
		} else {
			text = strings.ReplaceAll(text, "../", "../../../")
			out["clusters/dev/all/"+file] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return out
}

// change changes one file, takes one away from a kustomization, or gives the overlay another label.
func (f *forest) change() {
	switch f.IntN(3) {
	case 0:
		if text := f.files["base/f0.yaml"]; !strings.Contains(text, "changed") {
			f.files["base/f0.yaml"] = strings.ReplaceAll(text, "name: b0", "annotations: {changed: 'yes'}, name: b0")
		}
	case 1:
		f.files["middle/kustomization.yaml"] = strings.ReplaceAll(f.files["middle/kustomization.yaml"], ", f1.yaml", "")
	default:
		f.files["all/all.yaml"] = strings.ReplaceAll(f.files["all/all.yaml"], "3", "7")
	}
}

// TestPartsAreTheWhole: an overlay that is built in parts comes to what `kustomize build` makes of it, origins and problems
// included, and again after something has changed.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	cut := 0
	for i := range 6 {
		f := newForest(rand.New(rand.NewPCG(seed, uint64(i))))
		parted, whole := render.New(render.Options{}), render.New(render.Options{})
		parted.Portion(6 + 4*(i%4))
		whole.Portion(1 << 30)
		for range 3 {
			disk := t.TempDir()
			repository := f.repository()
			for name, file := range repository {
				full := filepath.Join(disk, name)
				if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(full, file.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, want := desired(t, parted, repository, nil), desired(t, whole, repository, nil)
			want.Fields, got.Fields = nil, nil
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *gitops.Error) bool { return a.Error() == b.Error() })); diff != "" {
				t.Fatalf("overlay %d (-whole +parts):\n%s", i, diff)
			}
			if len(got.Problems) > 0 {
				t.Log(got.Problems)
				break // such as a replica whose base sets a namespace: what counts is that both say the same
			}
			if parted.Parts("clusters/dev/all") > 1 {
				cut++
			}
			if diff := cmp.Diff(buildOnDisk(t, filepath.Join(disk, "clusters/dev/all")), asKustomizePrints(t, got, "all")); diff != "" {
				t.Fatalf("overlay %d (-kustomize +parts):\n%s", i, diff)
			}
			f.change()
		}
	}
	if cut < 8 {
		t.Errorf("only %d of 18 renders were built in parts", cut)
	}
}

// TestCutsKnowKustomize: what cut.go relies on was read in one version of kustomize. With another one, read again what its
// transformers and its references (nameReference in its default configuration) look at, and then change the version here.
func TestCutsKnowKustomize(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), "\tsigs.k8s.io/kustomize/api v0.21.2\n") {
		t.Error("go.mod has another version of kustomize than cut.go was written for")
	}
}

// TestNotInParts: what may depend on more than one object is built as a whole.
func TestNotInParts(t *testing.T) {
	t.Parallel()
	const object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"
	const two = "resources: [a.yaml, b.yaml]\n"
	patch := func(entry string) string { return two + "patches:\n" + entry }
	for name, files := range map[string]map[string]string{
		"a prefix":             {"kustomization.yaml": "namePrefix: x-\n" + two},
		"a patch of the name":  {"kustomization.yaml": patch("- target: {kind: ConfigMap, name: a}\n  patch: |-\n    - {op: replace, path: /metadata/name, value: c}\n")},
		"another name allowed": {"kustomization.yaml": patch("- target: {kind: ConfigMap, name: a}\n  patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}'\n  options: {allowNameChange: true}\n")},
		"a deletion":           {"kustomization.yaml": patch("- patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, $patch: delete}'\n")},
		"all annotations gone": {"kustomization.yaml": patch("- target: {kind: ConfigMap}\n  patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: null}}'\n")},
		"a binding patched": {
			"kustomization.yaml": patch("- target: {kind: Role.*}\n  patch: '{apiVersion: v1, kind: Role, metadata: {name: x, labels: {a: b}}}'\n"),
			"b.yaml":             "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\n",
		},
		"a binding and its account": {
			"kustomization.yaml": "namespace: new\n" + two,
			"a.yaml":             "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: old}\n",
			"b.yaml":             "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: a, namespace: old}]\n",
		},
		"a patch of both":   {"kustomization.yaml": patch("- patch: |-\n    {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: y}}\n    ---\n    {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {x: y}}\n")},
		"a generator":       {"kustomization.yaml": two + "configMapGenerator: [{name: g, literals: [a=b]}]\n"},
		"a replacement":     {"kustomization.yaml": two + "replacements: [{source: {kind: ConfigMap, name: a, fieldPath: metadata.name}, targets: [{select: {name: b}, fieldPaths: [data.x], options: {create: true}}]}]\n"},
		"another order":     {"kustomization.yaml": two + "sortOptions: {order: legacy}\n"},
		"a Node":            {"kustomization.yaml": two, "b.yaml": "apiVersion: v1\nkind: Node\nmetadata: {name: b}\n"},
		"for kustomize":     {"kustomization.yaml": two, "b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {config.kubernetes.io/local-config: 'true'}}\n"},
		"old labels":        {"kustomization.yaml": two + "commonLabels: {a: b}\n"},
		"the same twice":    {"kustomization.yaml": two, "b.yaml": strings.ReplaceAll(object, "NAME", "a")},
		"the default twice": {"kustomization.yaml": two, "b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := fstest.MapFS{
				"clusters/dev/cluster.yaml": {Data: []byte(config)},
				"clusters/dev/all/a.yaml":   {Data: []byte(strings.ReplaceAll(object, "NAME", "a"))},
				"clusters/dev/all/b.yaml":   {Data: []byte(strings.ReplaceAll(object, "NAME", "b"))},
			}
			for file, text := range files {
				repository["clusters/dev/all/"+file] = &fstest.MapFile{Data: []byte(text)}
			}
			r := render.New(render.Options{})
			r.Portion(1)
			d := desired(t, r, repository, nil)
			if parts := r.Parts("clusters/dev/all"); parts != 0 {
				t.Errorf("it was built in %d parts", parts)
			}
			if twice := strings.HasSuffix(name, "twice"); twice != (len(d.Problems) == 1 && d.Problems[0].Reason != gitops.Internal) {
				t.Errorf("problems: %v", d.Problems)
			}
		})
	}
}
