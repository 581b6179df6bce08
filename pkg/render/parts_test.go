package render_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
)

// plainOverlay is an overlay of files and of transformers of single objects, in every mixture.
func plainOverlay(r *rand.Rand) map[string]string {
	files := map[string]string{}
	list := ""
	for i := range 5 + r.IntN(20) {
		text := ""
		for n := range 1 + r.IntN(3) {
			name := fmt.Sprintf("o%d-%d", i, n)
			text += "---\n" + []string{
				"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: old, labels: {own: x}}\ndata: {a: b}\n",
				"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: " + name + ", namespace: old}\n",
				"apiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: old}\nspec: {selector: {app: o0-0}, ports: [{port: 80}]}\n",
				"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + ", namespace: old}\nspec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {serviceAccountName: o1-0, containers: [{name: a, image: 'web:1', envFrom: [{configMapRef: {name: o2-0}}]}]}}}\n",
				"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: " + name + ", namespace: old}\nrules: [{apiGroups: [''], resources: [configmaps], resourceNames: [o0-0], verbs: [get]}]\n",
				"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: " + name + ", namespace: old}\nspec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: o3-0}}\n",
			}[r.IntN(6)]
		}
		name := fmt.Sprintf("f%d.yaml", i)
		files[name] = text
		list += "- " + name + "\n"
	}
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	for _, line := range []string{
		"namespace: new\n", "labels: [{pairs: {team: a}, includeSelectors: true}]\n", "commonAnnotations: {note: b}\n",
		"images: [{name: web, newTag: '2'}]\n", "buildMetadata: [managedByLabel]\n",
	} {
		if r.IntN(2) == 0 {
			text += line
		}
	}
	files["kustomization.yaml"] = text + "resources:\n" + list
	return files
}

// TestPartsAreTheWhole: a plain kustomization that is built in parts comes to what `kustomize build` makes of it,
// origins and problems included, and again after a file has changed.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i := range 24 {
		files := plainOverlay(rand.New(rand.NewPCG(seed, uint64(i))))
		parted, whole := render.New(render.Options{}), render.New(render.Options{})
		parted.Portion(1 + i%4)
		whole.Portion(1 << 30)
		for range 2 {
			disk, repository := t.TempDir(), fstest.MapFS{"clusters/dev/cluster.yaml": {Data: []byte(config)}}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(disk, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				repository["clusters/dev/all/"+name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, want := desired(t, parted, repository, nil), desired(t, whole, repository, nil)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("overlay %d (-whole +parts):\n%s", i, diff)
			}
			if parts := parted.Parts("clusters/dev/all"); parts < 2 {
				t.Fatalf("overlay %d was built in %d parts", i, parts)
			}
			text, err := render.YAML(got, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(buildOnDisk(t, disk), trees(t, append([]byte("\n"), text...))); diff != "" {
				t.Fatalf("overlay %d (-kustomize +parts):\n%s", i, diff)
			}
			files["f0.yaml"] = strings.ReplaceAll(files["f0.yaml"], "namespace: old", "namespace: old, annotations: {changed: 'yes'}")
		}
	}
}

// TestNotInParts: what may depend on more than one object is built as a whole.
func TestNotInParts(t *testing.T) {
	t.Parallel()
	const object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"
	for name, files := range map[string]map[string]string{
		"a prefix":          {"kustomization.yaml": "namePrefix: x-\nresources: [a.yaml, b.yaml]\n"},
		"a patch":           {"kustomization.yaml": "resources: [a.yaml, b.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: |\n    - {op: add, path: /data, value: {}}\n"},
		"a generator":       {"kustomization.yaml": "resources: [a.yaml, b.yaml]\nconfigMapGenerator: [{name: g, literals: [a=b]}]\n"},
		"another order":     {"kustomization.yaml": "resources: [a.yaml, b.yaml]\nsortOptions: {order: legacy}\n"},
		"a binding":         {"kustomization.yaml": "namespace: new\nresources: [a.yaml, b.yaml]\n", "b.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\n"},
		"two namespaces":    {"kustomization.yaml": "resources: [a.yaml, b.yaml]\n", "b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: other}\n"},
		"a custom resource": {"kustomization.yaml": "resources: [a.yaml, b.yaml]\n", "b.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: b}\n"},
		"the same twice":    {"kustomization.yaml": "resources: [a.yaml, b.yaml]\n", "b.yaml": strings.ReplaceAll(object, "NAME", "a")},
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
			if twice := name == "the same twice"; twice != (len(d.Problems) == 1 && d.Problems[0].Reason != gitops.Internal) {
				t.Errorf("problems: %v", d.Problems)
			}
		})
	}
}
